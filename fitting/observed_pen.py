"""The pen of a set: how much wider its observers drew vessels than they look.

    pen = pen_of(examples)                   a share of the FOV's side, on either edge
    mask = without_pen(mask, pen, side)      the mask as wide as vessels look, whoever drew it

Observers differ by a fifth to a half of a vessel, each consistently (docs/cameras.md, "One pen").
"""

import cv2
import numpy as np

from photographs.labelled import Labelled
from prediction.pen import HABIT, HALF_PIXEL, MOST_PERCENT
from running.command import Problem, say
from sets.layouts import by_set

PHOTOGRAPHS = 16  # of a set, evenly spread, that tell its pen
MOST_PROFILES = 3000  # of a photograph
SAMPLES = 97  # of a profile
AVERAGED = 7  # profiles beside each other: noise makes a single dip look deeper, and so narrower
LEAST_DEPTH = 4  # grey levels of a dip that is measured
# So much of the FOV's side wider than they look vessels stay on each edge: the thin ones of a coarse
# photograph would vanish.
SPARED = 0.0004


def without_pen(mask, pen, side):
    """Returns a mask as wide as its vessels look: (H, W) bool -> (H, W) uint8, soft, 0 to 255.

    pen: a share of `side`, the side of the FOV in px. The mask's edge is moved by distance and not by
    `edges_moved`, which moves an edge as sharp as this one too little.
    """
    out = -pen * side
    inner = (mask if out < 0 else ~mask).astype(np.uint8)
    away = cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    soft = np.clip(away + out, 0, 1) * mask if out < 0 else np.where(mask, 1, np.clip(out + 1 - away, 0, 1))
    return np.rint(soft * 255).astype(np.uint8)


def pens_of_sets(pool, training, validation=()):
    """Returns {set: its pen}, measured on `training` by the workers of a pool, and says them.

    A set of which all is of `validation` is measured on that. Raises Problem if a pen is wider than any
    vessel.
    """
    sets = dict(sorted((by_set(validation) | by_set(training)).items()))
    chosen = [own[::-(-len(own) // PHOTOGRAPHS)] for own in sets.values()]
    pens = dict(zip(sets, pool.map(_pen_of_photographs, chosen), strict=True))
    for name, pen in pens.items():
        if abs(pen) + abs(HABIT) > MOST_PERCENT / 100:  # a card holds their sum at most
            raise Problem(f"{sets[name][0].mask}: this and the other masks of {name} are drawn "
                          f"{200 * pen:+.1f} % of the FOV's side wider than vessels look, which are .7 % "
                          "wide at most. Look at them: python data.py DIR --picture found.png")
    shares = ", ".join(f"{name} {100 * pen:+.3f}" for name, pen in pens.items())
    say(f"Pens, in percent of the FOV's side on either edge: {shares}")
    return pens


def _pen_of_photographs(photographs):
    return pen_of(map(Labelled.read, photographs))


def pens_in_table(rows):
    """Returns for the card which pens were taken out of the masks of pairs: nothing if there is no column."""
    if "pen" not in rows:
        return {}
    return {"pens": rows.drop_duplicates("set").set_index("set")["pen"].astype(float).to_dict(),
            "habit": HABIT}


def pen_of(examples):
    """Returns the pen of a set, measured on `examples`, a Labelled each; 0 where no vessel can be measured.

    It is half of the width drawn less the width seen, and half a pixel, since to a network the vessels of a
    coarse photograph look wider by that on either edge (docs/cameras.md): the median over photographs, as a
    share of the FOV's side, less SPARED.
    """
    found = []
    for example in examples:
        drawn, seen = widths(example.rgb, example.mask, example.fov)
        if len(drawn):
            found.append((np.median(drawn - seen) / 2 + HALF_PIXEL) / example.square.side)
    return float(np.median(found)) - SPARED if found else 0.0


def widths(rgb, mask, fov):
    """Returns the widths of vessels as drawn and as seen, px: two arrays of one length.

    They are measured on profiles across vessels, away from branches, ends and neighbours. What is seen is the
    width of the dip in the green channel at half its depth. rgb (H, W, 3) uint8; mask, fov (H, W) bool.
    """
    from skimage.morphology import skeletonize  # here: with scipy it would double the time of --help

    mask = mask & fov
    skeleton = skeletonize(mask)
    points, across, radius = _places(mask, skeleton) if skeleton.any() else ([], [], [])
    if not len(points):
        return np.zeros(0), np.zeros(0)
    reach = 3 * radius + 4  # beyond what is drawn, on both sides
    smear = max(2.0, mask.sum() / skeleton.sum())
    drawn = _profiles(mask.astype(np.float32), points, across, reach, smear, cv2.INTER_LINEAR)
    light = _profiles(rgb[..., 1].astype(np.float32), points, across, reach, smear, cv2.INTER_CUBIC)
    inside = _profiles(fov.astype(np.float32), points, across, reach, 0, cv2.INTER_LINEAR).min(axis=1) > 0.99
    found = [_measured(*profile) for profile in zip(drawn[inside], light[inside], reach[inside], strict=True)]
    found = np.array([pair for pair in found if pair]).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _places(mask, skeleton):
    """Returns points on single, straight vessels, (N, 2), the direction across, (N, 2), and the radius."""
    from scipy.spatial import cKDTree  # here, as in `widths`

    near = max(4.0, 1.5 * mask.sum() / skeleton.sum())
    around = cv2.filter2D(skeleton.astype(np.float32), -1, np.ones((3, 3), np.float32),
                          borderType=cv2.BORDER_CONSTANT)
    plain = skeleton & (np.rint(around) == 3)  # neither an end nor a branch
    points = np.argwhere(plain)
    if len(points) > 3 * MOST_PROFILES:
        points = points[np.random.default_rng(0).permutation(len(points))[:3 * MOST_PROFILES]]
    radius = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)[tuple(points.T)].astype(np.float64)
    special = np.argwhere(skeleton & ~plain)
    if len(special) and len(points):
        away = cKDTree(special).query(points)[0] > 2 * radius + 2
        points, radius = points[away], radius[away]
    points, radius = points[:MOST_PROFILES].astype(np.float64), radius[:MOST_PROFILES]
    line = np.argwhere(skeleton).astype(np.float64)
    across, straight = np.zeros_like(points), np.zeros(len(points), bool)
    for k, beside in enumerate(cKDTree(line).query_ball_point(points, near)):
        spread = line[beside] - line[beside].mean(axis=0)
        lengths, directions = np.linalg.eigh(spread.T @ spread)
        across[k], straight[k] = directions[:, 0], len(beside) >= 6 and lengths[0] < 0.02 * lengths[1]
    return points[straight], across[straight], radius[straight]


def _profiles(values, points, across, reach, smear, interpolation):
    """Returns (N, SAMPLES): `values` across the vessel at `points`, from -reach to reach, px.

    Each is the mean of AVERAGED profiles within `smear` px along the vessel.
    """
    along, steps = across[:, ::-1] * (-1, 1), np.linspace(-1, 1, SAMPLES)
    total = 0
    for shift in np.linspace(-smear, smear, AVERAGED):
        rows, columns = ((points[:, k, None] + shift * along[:, k, None]
                          + reach[:, None] * across[:, k, None] * steps).astype(np.float32) for k in (0, 1))
        total = total + cv2.remap(values, columns, rows, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return total / AVERAGED


def _measured(drawn, light, reach):
    """Returns the width drawn and that of the dip, px; None if another vessel is near or no dip is clear."""
    middle, step = len(drawn) // 2, 2 * reach / (len(drawn) - 1)
    inner = drawn > 0.5
    if not inner[middle]:
        return None
    left, right = middle - np.argmin(inner[middle::-1]), middle + np.argmin(inner[middle:])
    beside = (drawn[:left] > 0.05).sum() + (drawn[right + 1:] > 0.05).sum()
    if inner[left] or inner[right] or beside > 2 / step + 2:
        return None
    dip = _dip(light, left, right, step)
    return dip and (drawn[max(left - 4, 0):right + 5].sum() * step, dip)


def _dip(light, left, right, step):
    """Returns the width at half depth of the dip between the samples `left` and `right`, px, or None."""
    beyond = round(1.5 / step)
    shoulders = light[:max(left - beyond, 1)], light[right + beyond:]
    if min(map(len, shoulders)) < 4:
        return None
    light = np.convolve(np.pad(light, 1, mode="edge"), np.full(3, 1 / 3), "valid")
    level, lowest = np.mean([np.median(side) for side in shoulders]), left + np.argmin(light[left:right + 1])
    half = (level + light[lowest]) / 2
    below = light < half
    first, last = lowest - np.argmin(below[lowest::-1]), lowest + np.argmin(below[lowest:])
    if level - light[lowest] < LEAST_DEPTH or below[first] or below[last]:
        return None
    start = first + (light[first] - half) / (light[first] - light[first + 1])
    end = last - (light[last] - half) / (light[last] - light[last - 1])
    return (end - start) * step
