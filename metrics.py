"""Scores of arrays, at native size and inside the FOV (field of view). What the fit computes is in losses.py.

A photograph becomes one histogram of its 16-bit probabilities. Histograms add up to the pooled one, and from
either one reads scores, curves and the best threshold.

    counts = histogram(probability, reference, fov)
    scores(counts, threshold), roc_curve(counts), cldice(cut(probability, threshold), reference, fov)
"""

import math

import numpy as np

from running.command import Problem

LEVELS = 65536  # of a 16-bit probability
HIGHEST = LEVELS - 1  # the level of probability 1
MOST_POINTS = 1000  # of a curve


def levels_of(probability):
    """Returns a probability, or a mask of bool, as the uint16 of probability PNGs, 65535 = 1.

    Raises ValueError if a value is not a number in [0, 1].
    """
    if probability.dtype == np.uint16:
        return probability
    probability = probability.astype(np.float32, copy=False)
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("Probabilities must be uint16, or numbers in [0, 1].")
    levels = np.empty(probability.shape, np.uint16)
    for part, found in in_parts(probability, levels):
        found[:] = np.rint(part * np.float32(HIGHEST))
    return levels


def in_parts(*arrays):
    """Yields a few pixels of arrays of one shape, then the next; an array that is to be filled is contiguous.

    What is computed of them stays in the processor's cache: whole, 50 million pixels take 200 MB a step.
    """
    flat = [array.reshape(-1) for array in arrays]
    for k in range(0, flat[0].size, 1 << 16):
        yield [array[k:k + (1 << 16)] for array in flat]


def probability_of(levels):
    """Returns uint16, 65535 = 1, as float32 in [0, 1]."""
    return levels.astype(np.float32) / HIGHEST


def _first_level(threshold):
    """Returns the lowest level that counts as vessel: level / 65535 >= threshold."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"A threshold must lie in [0, 1], but this one is {threshold}.")
    # 1e-6 levels of slack: (k / 65535) * 65535 may come out just above k.
    return math.ceil(threshold * HIGHEST - 1e-6)


def cut(probability, threshold):
    """Returns the mask, bool, of a probability in [0, 1] or of uint16, 65535 = 1: at 16 bits >= threshold."""
    return levels_of(probability) >= _first_level(threshold)


def histogram(probability, reference, fov):
    """Returns the number of pixels inside the FOV at each 16-bit probability, (2, 65536) int64.

    Row 0 counts background of the reference, row 1 its vessels. `probability`: (H, W) in [0, 1] or uint16, or
    the bool mask of another observer; `reference`, `fov`: (H, W) bool. Raises ValueError for other arrays.
    """
    if not probability.shape == reference.shape == fov.shape:
        sizes = f"{probability.shape}, {reference.shape} and {fov.shape}"
        raise ValueError(f"Probability, reference and FOV must be of one size, but are {sizes}.")
    if reference.dtype != bool or fov.dtype != bool:
        raise ValueError(f"Reference and FOV must be bool, but are {reference.dtype} and {fov.dtype}.")
    place = levels_of(probability)[fov].astype(np.int32) + LEVELS * reference[fov]
    return np.bincount(place, minlength=2 * LEVELS).reshape(2, LEVELS).astype(np.int64, copy=False)


def why_not(counts):
    """Returns why some scores of this histogram are NaN, in words; '' where none is."""
    background, vessel = counts.sum(axis=1)
    if background + vessel == 0:
        return "the field of view is empty"
    if vessel == 0:
        return "the reference shows no vessel inside the field of view"
    return "" if background else "the reference is vessel everywhere inside the field of view"


def _ratio(part, whole):
    return float(part) / float(whole) if whole else math.nan


def _mcc(tp, fp, fn, tn):
    """Returns Matthews' correlation; its limit, 0, for a mask of all or nothing (Chicco & Jurman 2020)."""
    spread = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / spread if spread else 0.0


def scores(counts, threshold):
    """Returns the scores of a histogram, {name: float}: dice to mcc at `threshold`, the other three without.

    A score that is not defined is NaN and must not count as 0 or 1 in a mean: all of them in an empty FOV,
    those of vessels where the reference has none (`why_not` says so), precision where nothing is predicted.
    """
    first = _first_level(threshold)
    tn, fn = counts[:, :first].sum(axis=1).tolist()
    fp, tp = counts[:, first:].sum(axis=1).tolist()
    vessels = tp + fn > 0
    return {
        "dice": _ratio(2 * tp, vessels and 2 * tp + fp + fn),
        "iou": _ratio(tp, vessels and tp + fp + fn),
        "precision": _ratio(tp, vessels and tp + fp),
        "recall": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        "mcc": math.nan if why_not(counts) else _mcc(tp, fp, fn, tn),
        "roc_auc": _roc_auc(counts),
        "average_precision": _average_precision(counts),
        "ece": _ece(counts),
    }


def _falling(counts):
    """Returns false and true positives, (65536,) each, for a cut at each level, the highest level first."""
    return np.cumsum(counts[:, ::-1], axis=1)


def _roc_auc(counts):
    """Returns the chance that a vessel pixel has a higher probability than a background pixel; ties: half."""
    background, vessel = counts.astype(np.float64)
    below = np.cumsum(background) - background
    return _ratio(vessel @ (below + background / 2), background.sum() * vessel.sum())


def _average_precision(counts):
    """Returns the sum of (rise of recall) x precision over all thresholds, not interpolated."""
    fp, tp = _falling(counts)
    return _ratio(counts[1, ::-1] @ (tp / np.maximum(tp + fp, 1)), tp[-1])


def reliability(counts, bins=15):
    """Returns mean probability, share of vessel and number of pixels of bins of equal width, (bins,) each.

    The first two are NaN in a bin without pixels.
    """
    level = np.arange(LEVELS)
    place = np.minimum(level * bins // HIGHEST, bins - 1)
    pixels = np.bincount(place, counts.sum(axis=0), bins)
    shares = np.full((2, bins), np.nan)
    for share, of in zip(shares, (counts.sum(axis=0) * (level / HIGHEST), counts[1]), strict=True):
        np.divide(np.bincount(place, of, bins), pixels, out=share, where=pixels > 0)
    return shares[0], shares[1], pixels.astype(np.int64)


def _ece(counts):
    """Returns the expected calibration error (Naeini et al. 2015) of the vessel probability, in 15 bins."""
    mean, share, pixels = reliability(counts)
    return _ratio(np.nansum(np.abs(mean - share) * pixels), pixels.sum())


def thinned(x, y, most):
    """Returns at most `most` points of a curve, (N,) each, spread evenly along it, both ends among them."""
    if len(x) <= most:
        return x, y
    length = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], most)))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]


def roc_curve(counts):
    """Returns false positive rate and recall, from (0, 0) to (1, 1); empty where `why_not` has a reason."""
    fp, tp = _falling(counts)
    if why_not(counts):
        return np.empty(0), np.empty(0)
    steps = np.flatnonzero(counts[:, ::-1].any(axis=0))
    return thinned(np.r_[0.0, fp[steps] / fp[-1]], np.r_[0.0, tp[steps] / tp[-1]], MOST_POINTS)


def pr_curve(counts):
    """Returns recall, rising to 1, and precision, from the highest probability on; empty without a vessel."""
    fp, tp = _falling(counts)
    if not tp[-1]:
        return np.empty(0), np.empty(0)
    steps = np.flatnonzero(counts[:, ::-1].any(axis=0))
    return thinned(tp[steps] / tp[-1], tp[steps] / (tp + fp)[steps], MOST_POINTS)


def best_threshold(counts):
    """Returns the threshold in [0, 1] of the best Dice, the middle of the longest stretch of equal ones.

    Raises Problem if there is no vessel.
    """
    fp, tp = _falling(counts)
    if not tp[-1]:
        raise Problem("No threshold can be chosen: the masks show no vessel inside the field of view. "
                      "Check the masks.")
    dice = (2 * tp / (tp + fp + tp[-1]))[::-1]
    best = np.flatnonzero(dice == dice.max())
    stretch = max(np.split(best, np.flatnonzero(np.diff(best) > 1) + 1), key=len)
    return float(stretch[0] + stretch[-1]) / 2 / HIGHEST


def cldice(mask, reference, fov):
    """Returns the centreline Dice of two (H, W) bool masks inside the FOV.

    Shit et al., arXiv 2003.07311, equations 1 and 2, with scikit-image's skeletons (Zhang). NaN where the
    reference has no vessel, 0 where the mask alone has none.
    """
    from skimage.morphology import skeletonize  # its import takes as long as that of all else a --help needs

    mask, reference = mask & fov, reference & fov
    drawn, true = skeletonize(mask), skeletonize(reference)
    if not true.any():
        return math.nan
    exact = _ratio((drawn & reference).sum(), drawn.sum()) if drawn.any() else 0.0
    complete = _ratio((true & mask).sum(), true.sum())
    return 2 * exact * complete / (exact + complete) if exact + complete else 0.0
