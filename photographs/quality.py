"""What a photograph is like, and what its user is told of it: too dark, noisy, inverted, more than one eye.

docs/quality.md says how often each warning is right, and benchmarks/quality.py measures it.
"""

import re
from collections import Counter, defaultdict

import cv2
import numpy as np

from photographs.fov import find_fov, fov_of
from photographs.reading import brightest, read_photograph
from photographs.square import Square, box_of

SHOWS_LINES = 256  # px: in a smaller square vessels are too few pixels wide to be told from grain
LOOKED_AT = 512  # px: the side of the square that is looked at, or the photograph's own if that is smaller
GRAIN = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])  # blind to edges (Immerkaer 1996)

# Kind, quantity of `describe`, share of its least in the training below which one is warned, sentence.
UNLIKE_TRAINING = (
    ("dark", "brightness", 0.5, "too dark ({value:.3g}, the training photographs {least:.3g} or more)"),
    ("small", "side", 0.6, "too small ({value:.3g} pixels across the FOV, the training photographs "
                           "{least:.3g} or more)"))
# Kind, quantity, the least and the most that are not warned of, sentence, its numbers in brackets. What sound
# ones have was measured on 180 photographs of six sets.
UNSOUND = (
    ("bright", "green", 0, 145, "too bright (mean green {value:.0f}, in sound ones under 130): expose less"),
    ("blurred", "sharpness", 0.55, np.inf,
     "blurred (fine detail is {value:.2f} of coarser detail, in nearly all sound ones 0.58 or more)"),
    ("noisy", "noise", 0, 2.5, "noisy (grain of {value:.1f} grey levels, in sound ones under 1.7)"),
    ("compressed", "blocks", 0, 1.1,
     "heavily compressed (JPEG's blocks show: {value:.1f}, in sound ones under 1.1): use the original file"),
    # 1.09 to 1.90 in sound ones, 0.53 to 0.92 in inverted ones.
    ("inverted", "dark lines", 1.0, np.inf,
     "vessels look brighter than what is beside them, as in inverted photographs and fluorescein angiograms, "
     "of which the model knows nothing"),
    ("swapped", "red", 0.95, np.inf, "more blue than red: red and blue look swapped"),  # sound: 1.4 or more
    ("grey", "colour", 3, np.inf, "without colour, but the model knows colour photographs only"),
    ("eyes", "eyes", 0, 1,
     "more than one eye, of which at most one is segmented rightly: cut it into one file for each eye"),
    ("density", "vessel_density", 0.02, 0.25,
     "implausible vessel density ({value:.3f}, people draw 0.03 to 0.17)"))


def looked_at(rgb, fov, square):
    """Returns the square at LOOKED_AT, (S, S, 3) uint8, its FOV, and that away from its edge, 0 or 1 each."""
    size = min(LOOKED_AT, square.side)
    inside = (square.cut(fov, fov, size) > 250).astype(np.uint8)
    return square.cut(rgb, fov, size), inside, cv2.erode(inside, np.ones((size // 17 | 1,) * 2, np.uint8))


def describe(rgb, fov, square):
    """Returns what a photograph is like, {quantity: float}.

    side: of the square, px; blocks: see `_blocks`; eyes: 1, or 2 if another one lies beside the FOV. The rest
    is measured on the square at LOOKED_AT, away from the FOV's edge. brightness, green: mean of the brightest
    channel and of green, 0 to 255; sharpness: contrast of detail of 1 to 2 px by that of 2 to 4 px; noise:
    standard deviation of the grain, grey levels; red: mean red by mean blue; colour: mean difference of the
    channels; dark lines, from SHOWS_LINES on: their contrast by that of bright ones.
    """
    small, inside, core = looked_at(rgb, fov, square)
    size, core = len(small), core if core.any() else inside
    if not core.any():
        return {"brightness": 0.0, "sharpness": 0.0, "side": float(square.side)}
    red, green, blue = cv2.mean(small, core)[:3]
    brightness = cv2.mean(brightest(small), core)[0]
    grain = cv2.filter2D(small[..., 1], cv2.CV_32F, GRAIN)
    sharpness, dark_lines = _detail(small[..., 1], core > 0)
    described = {
        "brightness": brightness, "sharpness": sharpness, "side": float(square.side), "green": green,
        "noise": cv2.mean(np.abs(grain), core)[0] * (np.pi / 2)**0.5 / 6, "red": red / max(blue, 1.0),
        "colour": brightness - 255 + cv2.mean(brightest(~small), core)[0],
        "blocks": _blocks(_middle(rgb[..., 1], fov)), "eyes": _eyes(rgb, fov)}
    return described | ({"dark lines": dark_lines} if size >= SHOWS_LINES else {})


def _detail(green, core):
    """Returns sharpness, and the contrast of dark lines by that of bright ones."""
    fine = cv2.GaussianBlur(green.astype(np.float32), (0, 0), 1.0)[::2, ::2]
    middle = cv2.GaussianBlur(fine, (0, 0), 3**0.5 / 2)  # as if by 2 at full size, at a quarter of the work
    coarse = cv2.GaussianBlur(middle, (0, 0), 3**0.5)  # and by 4
    core = core[::2, ::2]
    sharpness = _high(np.abs(fine - middle)[core], 90) / _high(np.abs(middle - coarse)[core], 90)
    # A line is curved across and straight along: of the Hessian's two values, one is large, the other small.
    across, down, both = (cv2.Sobel(middle, cv2.CV_32F, *order)[core] for order in ((2, 0), (0, 2), (1, 1)))
    mean, apart = (across + down) / 2, np.sqrt(((across - down) / 2)**2 + both**2)
    larger, smaller = mean + apart, mean - apart
    dark, bright = larger - 1.5 * np.abs(smaller), -smaller - 1.5 * np.abs(larger)
    return sharpness, _high(dark, 98) / _high(bright, 98)


def _high(values, percentile):
    return max(float(np.percentile(values, percentile)), 0.01)


def _middle(green, fov):
    """Returns up to 512 x 512 px from the middle of the FOV, at native size."""
    rows, columns = box_of(fov)
    return green[tuple(slice(max((side.start + side.stop) // 2 - 256, side.start),
                             (side.start + side.stop) // 2 + 256) for side in (rows, columns))]


def _blocks(green):
    """Returns the step at the edges of JPEG's blocks by the mean difference of neighbours, 0 without blocks.

    It is what every eighth difference exceeds its neighbours by, at the phase where that is most, down or
    across, whichever is less.
    """
    found = []
    for lines in (green, green.T):
        steps = np.abs(np.diff(lines.astype(np.int16), axis=1)).mean(axis=0)
        beyond = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
        if len(beyond) < 16:
            return 0.0
        phases = beyond[:len(beyond) // 8 * 8].reshape(-1, 8).mean(axis=0)
        found.append((phases.max() - np.median(phases)) / max(steps.mean(), 1.0))
    return float(min(found))


def _eyes(rgb, fov):
    """Returns 2 if another FOV lies beside this one or this one is as wide as two, else 1."""
    rows, columns = box_of(fov)
    side = Square.around(fov).side
    if side > 1.9 * _narrower(fov):
        return 2
    step = max(rgb.shape[:2]) // 256 + 1
    for beside in (rgb[:rows.start], rgb[rows.stop:], rgb[:, :columns.start], rgb[:, columns.stop:]):
        if min(beside.shape[:2]) >= side / 2:
            beside = np.ascontiguousarray(beside[::step, ::step])
            other = find_fov(beside)
            even = beside[other].std(axis=0).max() < 5 if other.any() else True  # a bar, or paper
            if not even and not other.all() and _narrower(other) * step >= side / 2:
                return 2
    return 1


def _narrower(fov):
    return min(side.stop - side.start for side in box_of(fov))


def warnings_of(description, fov, least):
    """Returns {kind: sentence} on what is wrong with a photograph, or unlike those of the training.

    description: from `describe`, with the vessel_density where that is known; least: {quantity: its least in
    the training}, as the card holds it.
    """
    found = {"surround": "no dark surround, so all of it counts as FOV"} if fov.all() else {}
    for kind, quantity, share, sentence in UNLIKE_TRAINING:
        if quantity in least and description[quantity] < share * least[quantity]:
            found[kind] = sentence.format(value=description[quantity], least=least[quantity])
    for kind, quantity, lowest, highest, sentence in UNSOUND:
        if quantity in description and not lowest <= description[quantity] <= highest:
            found[kind] = sentence.format(value=description[quantity])
    return found


def looked_over(rgb, fov, mask=None):
    """Returns the warnings of a photograph that no model is asked for, without numbers: [sentence].

    mask: its vessels as they were drawn, (H, W) bool, or None.
    """
    description = describe(rgb, fov, Square.around(fov))
    if mask is not None:
        description["vessel_density"] = mask[fov].mean()
    return [re.sub(r" \(.*?\)", "", sentence) for sentence in warnings_of(description, fov, {}).values()]


def seen_in(training, kept_aside=()):
    """Returns what a network has met in the photographs of its training, for the card.

    `fov sides`: least and largest side of their FOVs, px. `picture sizes`: {set: widths and heights, px, of
    its pictures, `kept_aside` or not, that no other set has}. Both decide how wide vessels are drawn.
    `photographs`: the least brightness, sharpness and side, of which `warnings_of` takes a share as its
    limit.
    """
    found, sizes = [], defaultdict(set)
    for photograph in training:
        rgb = read_photograph(photograph.path)
        fov = fov_of(photograph, rgb)
        found.append(describe(rgb, fov, Square.around(fov)))
        sizes[photograph.set].add(rgb.shape[1::-1])
    for photograph in kept_aside:
        sizes[photograph.set].add(read_photograph(photograph.path).shape[1::-1])
    everyone = Counter(size for own in sizes.values() for size in own)
    sizes = {name: [list(size) for size in sorted(own) if everyone[size] == 1]
             for name, own in sorted(sizes.items())}
    fovs = [round(description["side"]) for description in found]
    least = {key: float(f"{min(description[key] for description in found):.4g}")
             for key in ("brightness", "sharpness", "side")}
    return {"fov sides": [min(fovs), max(fovs)], "picture sizes": sizes, "photographs": least}
