"""Where the field of view (FOV) of a photograph lies: as its set's own mask says, else its round lit part."""

import cv2
import numpy as np

from photographs.reading import SMALLEST_SIDE, brightest, read_mask
from photographs.square import Square, box_of
from running.command import Problem

SEARCHED_AT = 1024  # px: a larger photograph is shrunk so far to look for its FOV
LIGHT = 0.3  # share of the brightest light: a surround that is lighter than that is not a dark one
BLACK = 0.1  # share: a lighter corner alone is dim retina. Surrounds of six sets: .04 at most, but one of .26
LEAST_FILLED = 0.4  # share of the box around a FOV: of a disc .79, of vessels .2 at most
STICKS_OUT = 1.03  # radii from the middle: 1.01 would cut where a photograph was stretched by 3 %


def fov_of(photograph, rgb):
    """Returns the FOV of a photograph, (H, W) bool: its set's own mask, else the one found in `rgb`.

    Raises Problem if that mask is empty, inverted or of vessels, or if none is found.
    """
    if photograph.fov is None:
        return found_fov(photograph.path, rgb)
    fov = read_mask(photograph.fov, rgb.shape)
    if not _large_enough(fov):
        raise Problem(f"{photograph.fov}: this FOV mask is empty or nearly so. "
                      "Give the right one, or remove it to have the FOV found.")
    if _inverted(fov):
        raise Problem(f"{photograph.fov}: this FOV mask is black in the middle and white around it. "
                      "Invert it, or remove it to have the FOV found.")
    if fov[box_of(fov)].mean() < LEAST_FILLED:
        raise Problem(f"{photograph.fov}: this FOV mask has lines or specks for an area, as a mask of "
                      "vessels has. Give the right one, or remove it to have the FOV found.")
    return fov


def found_fov(path, rgb):
    """Returns the FOV found in `rgb`, (H, W) bool. Raises Problem, which names `path`, if there is none."""
    fov = find_fov(rgb)
    if not fov.any():
        raise Problem(f"{path}: is dark everywhere, so no field of view is found. Take the photograph again.")
    return fov


def find_fov(rgb):
    """Returns the lit part of (H, W, 3) uint8 as (H, W) bool, convex.

    It is everything where no corner is dark or a single one is dim, and nothing where all is dark. Vessels,
    lesions and shadows inside belong to it, so the convex hull of the largest lit piece is taken. Bars,
    frames and surrounds of one light colour do not belong to it, nor does what sticks out of its circle:
    text, dates, labels.
    """
    scale = min(1.0, SEARCHED_AT / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    light = cv2.GaussianBlur(_light(small), (0, 0), 1.0).astype(np.float32)
    bright, (dark, second, *_) = np.percentile(light, 95), _corners(light)
    nothing = np.zeros(rgb.shape[:2], bool)
    if bright < 16:
        return nothing
    if dark > LIGHT * bright or (dark > BLACK * bright and second > LIGHT * bright):
        return ~nothing
    outline = _outline_of_largest(_lit(light, dark, bright))
    if outline is None:
        return nothing
    found = _filled_hull(outline, scale, rgb.shape[:2])
    return found if _large_enough(found) else nothing


def _light(rgb):
    """Returns the brightest channel, (H, W) uint8, made black where it has the light colour of an edge.

    Such an edge is a row or column at the border of which four fifths are of one colour: that of a bar or a
    frame. No retina is so even.
    """
    light = brightest(rgb)
    bright, cleared = np.percentile(light[::4, ::4], 95), light
    for edge in (rgb[1], rgb[-2], rgb[:, 1], rgb[:, -2]):
        colour = np.median(edge, axis=0)
        even = (np.abs(edge - colour).max(axis=1) <= 2).mean() >= 0.8
        if even and colour.max() > LIGHT * bright:
            cleared = np.minimum(cleared, brightest(cv2.absdiff(rgb, (*colour, 0.0))))
    return cleared if np.percentile(cleared[::4, ::4], 95) >= 16 else light


def _corners(light):
    """Returns how light the four corners are, the darkest first."""
    rows, columns = light.shape[0] // 32 + 1, light.shape[1] // 32 + 1
    return sorted(np.median(light[vertical, horizontal]) for vertical in (slice(rows), slice(-rows, None))
                  for horizontal in (slice(columns), slice(-columns, None)))


def _lit(light, dark, bright):
    """Returns which pixels are lit, (H, W) uint8, without specks.

    The edge is where the light has fallen by half: further out, a network takes the dark rim inside for a
    vessel.
    """
    beside = cv2.dilate(light, np.ones((7, 7), np.uint8))
    half_as_light = 2 * light - beside > dark  # light - dark > (beside - dark) / 2, in a fifth of its time
    lit = (light > dark + 0.12 * (bright - dark)) & half_as_light
    return cv2.morphologyEx(lit.view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))


def _outline_of_largest(lit):
    """Returns the outline of the largest lit piece as OpenCV's (N, 1, 2), or None if nothing is lit."""
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    if len(sizes) < 2:
        return None
    largest = (pieces == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    outline = _longest_outline(largest)
    circle = _circle_of(outline, lit.shape)
    if circle is None:
        return outline
    (x, y), radius = circle
    if np.hypot(*(outline[:, 0] - (x, y)).T).max() <= STICKS_OUT * radius:
        return outline
    disc = cv2.circle(np.zeros_like(largest), (round(x), round(y)), round(STICKS_OUT * radius), 1, -1)
    if 2 * np.count_nonzero(largest & disc) < np.count_nonzero(largest):
        return outline  # the circle of something dark beside it
    return _longest_outline(largest & disc)


def _longest_outline(piece):
    return max(cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)


def _circle_of(outline, shape):
    """Returns the circle, ((x, y), radius), that 70 % of an outline follows, or None if there is none.

    Of 100 circles through three of its points each, the one that most points are near to (Fischler and Bolles
    1981). Points at the border of the picture, where the FOV is cut off, do not count.
    """
    points = outline[:, 0].astype(np.float64)
    points = points[((points > 1) & (points < np.array(shape[::-1]) - 2)).all(axis=1)]
    points = points[::len(points) // 150 + 1]
    if len(points) < 30:
        return None
    one, two, three = points[np.random.default_rng(0).integers(len(points), size=(3, 100))]
    to_two, to_three = two - one, three - one
    squares = np.stack([(to_two**2).sum(axis=1), (to_three**2).sum(axis=1)])
    doubled = 2 * (to_two[:, 0] * to_three[:, 1] - to_two[:, 1] * to_three[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):  # three points of a line lie on no circle
        to_centre = np.stack([to_three[:, 1] * squares[0] - to_two[:, 1] * squares[1],
                              to_two[:, 0] * squares[1] - to_three[:, 0] * squares[0]], axis=1)
        to_centre /= doubled[:, None]
        radii = np.linalg.norm(to_centre, axis=1)
        centres = one + to_centre
        away = np.linalg.norm(points - centres[:, None], axis=2) - radii[:, None]
        near = (np.abs(away) < 0.01 * radii[:, None]).mean(axis=1)
    near[~(radii < max(shape))] = 0
    best = np.argmax(near)
    return (centres[best], radii[best]) if near[best] >= 0.7 else None


def _filled_hull(outline, scale, shape):
    """Returns the convex hull of an outline that was taken at `scale`, at full size: (H, W) bool."""
    hull = np.zeros(shape, np.uint8)
    native = (cv2.convexHull(outline).astype(np.float64) + 0.5) / (scale, scale) - 0.5
    cv2.fillConvexPoly(hull, np.rint(native * 16).astype(np.int32), 1, shift=4)
    return hull > 0


def _large_enough(fov):
    return fov.any() and Square.around(fov).side >= SMALLEST_SIDE


def _inverted(fov):
    height, width = fov.shape
    middle = fov[height // 3:-(height // 3), width // 3:-(width // 3)]
    return middle.mean() < 0.5 and fov[[0, 0, -1, -1], [0, -1, 0, -1]].all()
