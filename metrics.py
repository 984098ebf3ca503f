"""Losses and metrics for Keras, and scores of arrays.

Keras: soft, one value a square, (N, H, W, 1) in [0, 1] -> (N,); any Keras backend, always in float32.

    model.compile(loss=loss("dice+bce"), metrics=METRICS)
"""

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

    intersection = (|y| + |p| - |y - p|) / 2 (Wang et al., arXiv 2303.16296): sum(y p) for masks of 0 and 1, gradient
    included; for soft masks, unlike sum(y p), it makes the prediction p = y the best one.
    """
    y_true, y_pred = _checked(y_true, y_pred)
    true, pred = ops.sum(y_true, axis=(1, 2, 3)), ops.sum(y_pred, axis=(1, 2, 3))
    return true, pred, true + pred - ops.sum(ops.abs(y_true - y_pred), axis=(1, 2, 3))


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
    for peeling in range(PEELINGS + 1):
        image = _eroded(image) if peeling else image
        ridge = ops.relu(image - _widest(_eroded(image), (3, 3)))
        skeleton = skeleton + ops.relu(ridge - skeleton * ridge)
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
    """Half Dice, half cross-entropy: Dice alone pushes probabilities to 0 and 1, which costs ROC AUC and calibration."""
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
            raise Problem(f"{name}: values of a mask must lie in [0, 1], but lie in [{low:g}, {high:g}]. Divide by the maximum.")
