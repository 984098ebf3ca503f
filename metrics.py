"""Losses and metrics for Keras, and scores of arrays.

Keras: soft, one value a square, (N, H, W, 1) in [0, 1] -> (N,); any Keras backend, always in float32.

    model.compile(loss=loss("dice+bce"), metrics=METRICS)

Arrays: native size, inside the FOV. A photograph becomes one histogram of its 16-bit probabilities, histograms of
photographs add up to the pooled one, and scores, curves and the best threshold are read from either.

    counts = histogram(probability, reference, fov)
    scores(counts, threshold), roc_curve(counts), cldice(cut(probability, threshold), reference, fov)
"""

import math

import numpy as np
from keras import ops

from files import Problem

# keras.losses.Dice has the same; far below one pixel, so it decides only where mask and prediction are both empty.
SMOOTH = 1e-7
# Each round peels one pixel off every side: 5 reach the middle of vessels 10 pixels wide, the widest on a 512 square.
PEELINGS = 5


def _checked(y_true, y_pred):
    """Both as float32 tensors; ValueError unless they have one shape (N, H, W, 1)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    same = len(true) == len(pred) and all(a == b or None in (a, b) for a, b in zip(true, pred, strict=True))
    if not same or len(true) != 4 or true[-1] != 1 or pred[-1] != 1:
        raise ValueError(f"Masks and predictions must both be (N, H, W, 1), but are {true} and {pred}.")
    return ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")


def _areas(y_true, y_pred):
    """Vessel area of the mask, of the prediction, and twice that of their intersection, each (N,).

    intersection = sum(min(y, p)) = (|y| + |p| - |y - p|) / 2 (Wang et al., arXiv 2303.16296): sum(y p) for masks of 0 and 1,
    gradient included; for soft masks, unlike sum(y p), it makes the prediction p = y the best one. By the minimum, since the
    difference of large areas loses a small one to rounding.
    """
    y_true, y_pred = _checked(y_true, y_pred)
    true, pred, both = (ops.sum(part, axis=(1, 2, 3)) for part in (y_true, y_pred, ops.minimum(y_true, y_pred)))
    return true, pred, 2 * both


def dice_coefficient(y_true, y_pred):
    """2 intersection / (mask + prediction), per square, (N,) in [0, 1]; 1 where both are empty."""
    true, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (true + pred + SMOOTH)


def iou(y_true, y_pred):
    """Intersection / union, per square, (N,) in [0, 1]; 1 where both are empty."""
    true, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * (true + pred) - twice + SMOOTH)


def precision(y_true, y_pred):
    """Share of the prediction that is vessel, (N,) in [0, 1]; 1 where nothing is predicted."""
    _, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * pred + SMOOTH)


def recall(y_true, y_pred):
    """Share of the mask's vessels that is predicted, (N,) in [0, 1]; 1 where the mask is empty."""
    true, _, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * true + SMOOTH)


METRICS = [dice_coefficient, iou, precision, recall]


def dice_loss(y_true, y_pred):
    """1 - Dice of each square, (N,); not of the whole batch, as keras.losses.Dice is by default."""
    return 1 - dice_coefficient(y_true, y_pred)


def bce_loss(y_true, y_pred):
    """Binary cross-entropy, mean over the pixels of each square, (N,); masks may be soft."""
    y_true, y_pred = _checked(y_true, y_pred)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred), axis=(1, 2, 3))


def _widest(image, window):
    return ops.max_pool(image, window, strides=1, padding="same", data_format="channels_last")


def _eroded(image):
    """Minimum over a cross of 3x3."""
    return ops.minimum(-_widest(-image, (3, 1)), -_widest(-image, (1, 3)))


def _soft_skeleton(image):
    """(N, H, W, 1) in [0, 1] -> the same: what opening takes away, gathered over PEELINGS erosions.

    Shit et al., arXiv 2003.07311, algorithm 1, with the union a + b - ab of their own code.
    """
    skeleton = 0.0
    for _ in range(PEELINGS + 1):
        smaller = _eroded(image)
        opened = _widest(_widest(smaller, (3, 1)), (1, 3))  # two lines: two thirds of the time of one 3x3 window
        ridge = ops.relu(image - opened)
        skeleton = skeleton + ops.relu(ridge - skeleton * ridge)
        image = smaller
    return skeleton


def cldice_loss(y_true, y_pred):
    """1 - soft centreline Dice of each square, (N,) in [0, 1] (Shit et al., arXiv 2003.07311, algorithm 2)."""
    y_true, y_pred = _checked(y_true, y_pred)

    def share(skeleton, area):
        both = ops.sum(skeleton * area, axis=(1, 2, 3))
        return (both + SMOOTH) / (ops.sum(skeleton, axis=(1, 2, 3)) + SMOOTH)

    exact, complete = share(_soft_skeleton(y_pred), y_true), share(_soft_skeleton(y_true), y_pred)
    return 1 - (2 * exact * complete + SMOOTH) / (exact + complete + SMOOTH)


def dice_bce_loss(y_true, y_pred):
    """Half Dice, half cross-entropy: Dice alone pushes probabilities to 0 and 1, which spoils their ranking."""
    return 0.5 * dice_loss(y_true, y_pred) + 0.5 * bce_loss(y_true, y_pred)


def dice_bce_cldice_loss(y_true, y_pred):
    """Half cross-entropy, a quarter Dice, a quarter clDice (alpha = 0.5 of arXiv 2003.07311)."""
    overlap = 0.5 * dice_loss(y_true, y_pred) + 0.5 * cldice_loss(y_true, y_pred)
    return 0.5 * bce_loss(y_true, y_pred) + 0.5 * overlap


LOSSES = {"dice": dice_loss, "dice+bce": dice_bce_loss, "bce": bce_loss, "dice+bce+cldice": dice_bce_cldice_loss}


def loss(name):
    """The loss function (y_true, y_pred) -> (N,) of this name; Problem for an unknown one."""
    if name not in LOSSES:
        raise Problem(f"There is no loss '{name}': choose one of {', '.join(LOSSES)}.")
    return LOSSES[name]


def check_range(masks, names):
    """Problem that names the file of the first mask with a value outside [0, 1] or not a number.

    Losses run inside a graph, where they cannot look at values; so whoever reads masks for them asks here.
    """
    for mask, name in zip(masks, names, strict=True):
        low, high = np.min(mask), np.max(mask)
        if not (low >= 0 and high <= 1):
            raise Problem(f"{name}: a mask must lie in [0, 1], not [{low:g}, {high:g}]: divide it by its maximum.")


LEVELS = 65536


def levels_of(probability):
    """Probability, or mask of bool, -> uint16 as in the probability PNGs, 65535 = 1; ValueError outside [0, 1]."""
    if probability.dtype == np.uint16:
        return probability
    probability = probability.astype(np.float32, copy=False)
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("Probabilities must be uint16, or numbers in [0, 1].")
    return np.rint(probability * np.float32(LEVELS - 1)).astype(np.uint16)


def _first_level(threshold):
    """The lowest level that counts as vessel: level / 65535 >= threshold."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"A threshold must lie in [0, 1], but is {threshold}.")
    # 1e-6 levels of slack: (k / 65535) * 65535 may come out just above k.
    return math.ceil(threshold * (LEVELS - 1) - 1e-6)


def cut(probability, threshold):
    """Vessel or not, bool: 16-bit probability >= threshold. `probability`: in [0, 1], or uint16 with 65535 = 1."""
    return levels_of(probability) >= _first_level(threshold)


def histogram(probability, reference, fov):
    """Pixels inside the FOV at each 16-bit probability, (2, 65536) int64; row 1 where the reference has vessel.

    `probability` (H, W) in [0, 1], uint16, or the bool mask of another observer; `reference` and `fov` (H, W) bool.
    """
    if not probability.shape == reference.shape == fov.shape:
        sizes = f"{probability.shape}, {reference.shape} and {fov.shape}"
        raise ValueError(f"Probability, reference and FOV must be of one size, but are {sizes}.")
    if reference.dtype != bool or fov.dtype != bool:
        raise ValueError(f"Reference and FOV must be bool, but are {reference.dtype} and {fov.dtype}.")
    place = levels_of(probability)[fov].astype(np.int32) + LEVELS * reference[fov]
    return np.bincount(place, minlength=2 * LEVELS).reshape(2, LEVELS).astype(np.int64, copy=False)


def why_not(counts):
    """Why some scores of this histogram are NaN, in words; '' where nothing is missing."""
    background, vessel = counts.sum(axis=1)
    if background + vessel == 0:
        return "the field of view is empty"
    if vessel == 0:
        return "the reference shows no vessel inside the field of view"
    return "" if background else "the reference is vessel everywhere inside the field of view"


def _ratio(part, whole):
    return float(part) / float(whole) if whole else math.nan


def _mcc(tp, fp, fn, tn):
    """Matthews' correlation; 0, its limit, where the mask is all vessel or none (Chicco & Jurman 2020)."""
    spread = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / spread if spread else 0.0


def scores(counts, threshold):
    """Histogram (2, 65536) -> {name: float}; dice to mcc at `threshold`, the other three without one.

    NaN is what cannot be said, and must not count as 0 or 1 in a mean: everything in an empty FOV, what is about
    vessels where the reference has none (`why_not` tells), and precision where nothing is predicted.
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
    """False and true positives (65536,) when the cut lies at each level, from the highest level down."""
    return np.cumsum(counts[:, ::-1], axis=1)


def _roc_auc(counts):
    """Chance that a vessel pixel has a higher probability than a background pixel, ties as half."""
    background, vessel = counts.astype(np.float64)
    below = np.cumsum(background) - background
    return _ratio(vessel @ (below + background / 2), background.sum() * vessel.sum())


def _average_precision(counts):
    """Sum of (rise of recall) x precision over all thresholds, as in scikit-learn; no interpolation."""
    fp, tp = _falling(counts)
    return _ratio(counts[1, ::-1] @ (tp / np.maximum(tp + fp, 1)), tp[-1])


def reliability(counts, bins=15):
    """Mean probability, share of vessel and pixels, (bins,) each, of equal-width bins; NaN where no pixel is."""
    level = np.arange(LEVELS)
    place = np.minimum(level * bins // (LEVELS - 1), bins - 1)
    pixels = np.bincount(place, counts.sum(axis=0), bins)
    shares = np.full((2, bins), np.nan)
    for share, of in zip(shares, (counts.sum(axis=0) * (level / (LEVELS - 1)), counts[1]), strict=True):
        np.divide(np.bincount(place, of, bins), pixels, out=share, where=pixels > 0)
    return shares[0], shares[1], pixels.astype(np.int64)


def _ece(counts):
    """Expected calibration error (Naeini et al. 2015) of the vessel probability, not of the likelier class; 15 bins."""
    mean, share, pixels = reliability(counts)
    return _ratio(np.nansum(np.abs(mean - share) * pixels), pixels.sum())


def _thinned(x, y, most=1000):
    """At most so many of the points, evenly along the curve, both ends among them; every point left is exact."""
    if len(x) <= most:
        return x, y
    way = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], most)))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]


def roc_curve(counts):
    """False positive rate and recall, rising from (0, 0) to (1, 1), at most 1000 points; empty where `why_not`."""
    fp, tp = _falling(counts)
    if why_not(counts):
        return np.empty(0), np.empty(0)
    steps = np.flatnonzero(counts[:, ::-1].any(axis=0))
    return _thinned(np.r_[0.0, fp[steps] / fp[-1]], np.r_[0.0, tp[steps] / tp[-1]])


def pr_curve(counts):
    """Recall, rising to 1, and precision, from the highest probability on; at most 1000 points, none without vessel."""
    fp, tp = _falling(counts)
    if not tp[-1]:
        return np.empty(0), np.empty(0)
    steps = np.flatnonzero(counts[:, ::-1].any(axis=0))
    return _thinned(tp[steps] / tp[-1], tp[steps] / (tp + fp)[steps])


def best_threshold(counts):
    """The threshold in [0, 1] with the best Dice; the middle of the longest stretch of equally good ones."""
    fp, tp = _falling(counts)
    if not tp[-1]:
        raise Problem("No threshold can be chosen: the masks show no vessel inside the field of view. Check them.")
    dice = (2 * tp / (tp + fp + tp[-1]))[::-1]
    best = np.flatnonzero(dice == dice.max())
    stretch = max(np.split(best, np.flatnonzero(np.diff(best) > 1) + 1), key=len)
    return float(stretch[0] + stretch[-1]) / 2 / (LEVELS - 1)


def cldice(mask, reference, fov):
    """Centreline Dice of two (H, W) bool masks inside the FOV (Shit et al., arXiv 2003.07311, equations 1 and 2).

    Skeletons are scikit-image's (Zhang). NaN where the reference has no vessel, 0 where only the mask has none.
    """
    from skimage.morphology import skeletonize

    mask, reference = mask & fov, reference & fov
    drawn, true = skeletonize(mask), skeletonize(reference)
    if not true.any():
        return math.nan
    exact = _ratio((drawn & reference).sum(), drawn.sum()) if drawn.any() else 0.0
    complete = _ratio((true & mask).sum(), true.sum())
    return 2 * exact * complete / (exact + complete) if exact + complete else 0.0
