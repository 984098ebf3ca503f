"""How photographs and masks are read, whatever their format; what is not a sound one is a Problem.

`remarks`, where a function takes it, is a list to which (path, sentence) is added for all that should be said
of a file that was read.
"""

from collections import defaultdict

import cv2
import numpy as np

from photographs.formats import content_of, picture_of
from running.command import Problem

SMALLEST_SIDE = 32  # px, of a photograph and of its FOV
DEPTHS = 8, 10, 12, 14, 16  # bits that cameras write, in files of 16
FEW = 8  # levels or colours of a mask, at most, are classes; smooth edges have more
MOST_TOUCHING = 0.5  # share of a class's pixels that touch brighter ones
MOST_OF_NUMBERED = 0.2  # of many numbered pieces: theirs is .04 at most, that of smooth edges from .55
LEAST_PLAIN = 0.75  # share of a mask near its commonest level or white; photographs of six sets: .69 at most
FAINTEST, MOST_FAINT = 0.2, 0.05  # share of the brightest; share of what counts as vessel: see `_has_faint`
MOST_INK = 0.35  # share of a picture that ink on a transparent layer can cover, if it is vessels

FAINT = "has vessels in a darker grey than half of its brightest, which do not count: draw all of them white"
CLASSES = ("is drawn in several classes, colours or inks: all but the background count as vessel (what is to "
           "be ignored must be black)")


def read_photograph(path, remarks=None):
    """Returns (H, W, 3) uint8 RGB, turned as its EXIF says, black where it is transparent around the FOV.

    Raises Problem if the file is not a sound picture or is smaller than 32 x 32 pixels.
    """
    return rgb_from(content_of(path), path, remarks)


def rgb_from(content, path, remarks=None):
    """Returns the bytes of a file as `read_photograph` does. Problems name `path`.

    Of more than 8 bits the largest value tells how many are used, 10, 12, 14 or 16, unless the file does, as
    DICOM does. Floats may be in unit range as well.
    """
    picture = picture_of(content, path)
    if remarks is not None:
        remarks += [(path, remark) for remark in picture.remarks]
    values = picture.values
    height, width = values.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise Problem(f"{path}: has {width} x {height} pixels; "
                      f"a photograph needs {SMALLEST_SIDE} x {SMALLEST_SIDE} or more.")
    if _is_of_two_levels(values):
        raise Problem(f"{path}: is black and white throughout, as masks are and photographs are not. "
                      "Leave it out, or give the photograph.")
    if values.dtype != np.uint8:
        values = _in_eight_bits(picture)
    if (visible := _visible(picture)) is not None:
        values = _black_outside(values, visible)
    return np.ascontiguousarray(values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2))


def _is_of_two_levels(values):
    low, high = values.min(), values.max()
    return all(((part == low) | (part == high)).all() and low < high
               for part in (values[::7, ::7], values))  # the first is enough, and quick, for a photograph


def _in_eight_bits(picture):
    values, largest = picture.values, picture.values.max()
    if picture.is_float and largest <= 1:
        return (values * 255).astype(np.uint8)
    bits = DEPTHS[-1] if picture.is_scaled else next(bits for bits in DEPTHS if largest < 2**bits)
    return (values * np.float32(255 / (2**bits - 1))).astype(np.uint8)


def _black_outside(values, visible):
    """Returns a photograph, black outside the convex hull of what is visible, (H, W) bool."""
    hull = cv2.convexHull(cv2.findNonZero(visible.view(np.uint8)))
    inside = cv2.fillConvexPoly(np.zeros(visible.shape, np.uint8), hull, 1)
    return cv2.bitwise_and(values, values, mask=inside)


# ---- masks -----------------------------------------------------------------------------------------------

def read_mask(path, shape=None):
    """Returns a mask as (H, W) bool, cut at half of the file's own maximum.

    So it may hold 1 bit, 0 and 1, 0 and 255, a palette, greys or one colour on black; what is drawn on a
    transparent layer may have any colour. Raises Problem if its size is not `shape`, that of its photograph.
    """
    return _cut_at_half(_mask_of_size(path, shape))


def read_vessels(path, shape, empty_is_fine=False, remarks=None):
    """Returns a mask of vessels as `read_mask` does, of a few classes or colours all but the background.

    Raises Problem also if it is mostly white (inverted, or not of vessels), if it is a photograph, or if it
    is empty, unless that is fine.
    """
    picture = _mask_of_size(path, shape)
    classes = _classes(picture)
    mask = _cut_at_half(picture) if classes is None else classes
    if remarks is not None:
        kind = CLASSES if classes is not None else FAINT if _has_faint(picture, mask) else None
        remarks += [(path, remark) for remark in (*picture.remarks, kind) if remark]
    if mask.mean() > 0.5:
        raise Problem(f"{path}: more than half of it is white. Vessels are white on black: "
                      "invert it, or give the right file.")
    if not _is_drawing(picture):
        raise Problem(f"{path}: is a photograph, or drawn on one: it has too many shades. A mask shows the "
                      "vessels alone, on black. Give the right file; of a probability, what is above .5.")
    if not empty_is_fine and not mask.any():
        raise Problem(f"{path}: is black everywhere, so no vessel is drawn. "
                      "Give the right mask or remove this photograph.")
    return mask


def _has_faint(picture, mask):
    """Returns whether much is drawn away from a mask that was cut at half: a class of a mask kept as JPEG."""
    values = _grey(picture)
    background = np.median(values[::7, ::7])
    lost = (values > int(max(FAINTEST * values.max(initial=0), background + 16))) & ~mask
    if lost.any():  # seldom
        lost &= cv2.dilate(mask.view(np.uint8), np.ones((9, 9), np.uint8)) == 0
    return np.count_nonzero(lost) > MOST_FAINT * np.count_nonzero(mask)


def _is_drawing(picture):
    """Returns whether most of a picture is near its commonest level or white, or some of it transparent."""
    values = _grey(picture)[::3, ::3]
    if _visible(picture) is not None or not values.max(initial=0):
        return True
    counts = np.bincount((values * (255 / values.max())).astype(np.uint8).ravel(), minlength=256)
    level = int(counts.argmax())
    plain = np.abs(np.arange(256) - level) <= 16
    return counts[plain | (np.arange(256) >= 239)].sum() > LEAST_PLAIN * counts.sum()


def _grey(picture):
    return brightest(picture.values) if picture.values.ndim == 3 else picture.values


def _mask_of_size(path, shape):
    picture = picture_of(content_of(path), path)
    height, width = picture.values.shape[:2]
    if shape is not None and (height, width) != tuple(shape[:2]):
        turned = "Turn it as EXIF turns the photograph, or give" if (width, height) == shape[:2] else "Give"
        raise Problem(f"{path}: is {width} x {height}, its photograph {shape[1]} x {shape[0]}. "
                      f"{turned} the mask that was drawn on this photograph.")
    return picture


def _cut_at_half(picture):
    values = _grey(picture)
    drawn = values > values.max(initial=0) / 2
    visible = _visible(picture)
    if visible is None:
        return drawn
    return drawn & visible if 0 < np.count_nonzero(drawn & visible) < np.count_nonzero(visible) else visible


def _visible(picture):
    """Returns where a picture is not transparent, (H, W) bool, or None if that says nothing."""
    if picture.alpha is None:
        return None
    visible = picture.alpha > picture.alpha.max() / 2
    return visible if visible.any() and not visible.all() else None


def _classes(picture):
    """Returns all that a mask of classes, colours or inks shows, (H, W) bool; None of any other mask."""
    visible, values = _visible(picture), picture.values
    if visible is not None and visible.mean() < MOST_INK:
        plain = values[visible].max(initial=0) == 255 == values[visible].min(initial=255)
        return None if plain else visible
    if values.ndim == 3 and all((values[..., 0] == values[..., k]).all() for k in (1, 2)):
        values = values[..., 0]
    return _colours(values) if values.ndim == 3 else _levels(values)


def _levels(values):
    """Returns what is above the background in (H, W) of classes or numbered pieces; None of smooth edges."""
    largest, whole = values.max(initial=0), values
    if values.dtype != np.uint8:
        values = (values if largest <= 255 else values * (255 / largest)).round().astype(np.uint8)
    counts = cv2.calcHist([values], [0], None, [256], [0, 256]).ravel()
    levels, background = np.flatnonzero(counts), int(counts.argmax())
    if len(levels) < 3 or background == levels[-1]:
        return None
    drawn = whole > 0 if background == 0 else values > background
    lost = drawn & (values <= levels[-1] / 2)  # by cutting at half
    if len(levels) <= FEW and (levels[-1] < 16 or not lost.any()):
        return drawn
    # Pixels of a smooth edge touch brighter ones, those of a class or of a numbered piece seldom do.
    touching = cv2.dilate(values, np.ones((3, 3), np.uint8)) > values
    most = MOST_TOUCHING if len(levels) <= FEW else MOST_OF_NUMBERED
    return drawn if lost.any() and touching[lost].mean() < most else None


def _colours(rgb):
    """Returns what has not the background's colour in (H, W, 3) of a few colours, else None."""
    wide = rgb.astype(np.uint32)
    packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    if len(np.unique(packed[::7, ::7])) > FEW:  # quick, of a photograph or a soft mask
        return None
    colours, counts = np.unique(packed, return_counts=True)
    if len(colours) > FEW:
        return None
    background = colours[counts.argmax()]
    others = [colour for colour in colours if colour != background]
    chromatic = [len({colour >> 16, colour >> 8 & 255, colour & 255}) > 1 for colour in others]
    return packed != background if len(others) > 1 or (background and any(chromatic)) else None


def brightest(rgb):
    """Returns the largest of the channels, (H, W, 3) -> (H, W), in a ninth of the time of max(axis=2)."""
    return np.maximum(rgb[..., 0], np.maximum(rgb[..., 1], rgb[..., 2]))


def summed_up(remarks):
    """Returns remarks, [(path, sentence)], as sentences: each once, with how many files and one of them."""
    paths = defaultdict(list)
    for path, sentence in remarks:
        paths[sentence].append(path)
    return [f"{found[0]}: {sentence}" if len(found) == 1 else
            f"{len(found)} files, {found[0]} for one: each {sentence}" for sentence, found in paths.items()]
