"""Losses and metrics in Keras's graph: masks and predictions, (N, H, W, 1) in [0, 1] -> (N,) float32.

Masks may be soft. metrics.py has the scores of arrays, by which photographs are judged.
"""

from keras import ops

from running.command import Problem

# The same as in keras.losses.Dice. It is far below one pixel, so it decides only where both are empty.
SMOOTH = 1e-7
# Each round peels off a pixel on every side: 5 reach the middle of the widest vessels, 10 px of a 512 square.
PEELINGS = 5


def _checked(y_true, y_pred):
    """Returns both as float32 tensors; raises ValueError unless they have one shape, (N, H, W, 1)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    same = len(true) == len(pred) and all(a == b or None in (a, b) for a, b in zip(true, pred, strict=True))
    if not same or len(true) != 4 or true[-1] != 1 or pred[-1] != 1:
        raise ValueError(f"Masks and predictions must both be (N, H, W, 1), but are {true} and {pred}.")
    return ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")


def _areas(y_true, y_pred):
    """Returns the area of the mask, that of the prediction, and twice that of their intersection, each (N,).

    intersection = sum(min(y, p)) = (|y| + |p| - |y - p|) / 2 (Wang et al., arXiv 2303.16296). For masks of
    0 and 1 this is sum(y p), gradient included; for soft masks, unlike sum(y p), it makes p = y the best
    prediction. The minimum it is, since the difference of large areas loses a small one to rounding.
    """
    y_true, y_pred = _checked(y_true, y_pred)
    parts = y_true, y_pred, ops.minimum(y_true, y_pred)
    true, pred, both = (ops.sum(part, axis=(1, 2, 3)) for part in parts)
    return true, pred, 2 * both


def dice_coefficient(y_true, y_pred):
    """Returns 2 intersection / (mask + prediction) of each square, (N,) in [0, 1]; 1 where both are empty."""
    true, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (true + pred + SMOOTH)


def iou(y_true, y_pred):
    """Returns intersection / union of each square, (N,) in [0, 1]; 1 where both are empty."""
    true, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * (true + pred) - twice + SMOOTH)


def precision(y_true, y_pred):
    """Returns the share of the prediction that is vessel, (N,) in [0, 1]; 1 where nothing is predicted."""
    _, pred, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * pred + SMOOTH)


def recall(y_true, y_pred):
    """Returns the share of the mask that is predicted, (N,) in [0, 1]; 1 where the mask is empty."""
    true, _, twice = _areas(y_true, y_pred)
    return (twice + SMOOTH) / (2 * true + SMOOTH)


METRICS = [dice_coefficient, iou, precision, recall]


def dice_loss(y_true, y_pred):
    """Returns 1 - Dice of each square, (N,); keras.losses.Dice takes the whole batch as one by default."""
    return 1 - dice_coefficient(y_true, y_pred)


def bce_loss(y_true, y_pred):
    """Returns the binary cross-entropy, the mean over the pixels of each square, (N,)."""
    y_true, y_pred = _checked(y_true, y_pred)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred), axis=(1, 2, 3))


def _widest(image, window):
    return ops.max_pool(image, window, strides=1, padding="same", data_format="channels_last")


def _eroded(image):
    """Returns the minimum over a 3x3 cross."""
    return ops.minimum(-_widest(-image, (3, 1)), -_widest(-image, (1, 3)))


def soft_skeleton(image):
    """Returns what opening takes away, gathered over PEELINGS erosions: (N, H, W, 1) in [0, 1] -> the same.

    Shit et al., arXiv 2003.07311, algorithm 1, with the union a + b - ab of their own code.
    """
    skeleton = 0.0
    for _ in range(PEELINGS + 1):
        smaller = _eroded(image)
        opened = _widest(_widest(smaller, (3, 1)), (1, 3))  # two lines take two thirds of a square's time
        ridge = ops.relu(image - opened)
        skeleton = skeleton + ops.relu(ridge - skeleton * ridge)
        image = smaller
    return skeleton


def cldice_loss(y_true, y_pred):
    """Returns 1 - soft centreline Dice of each square, (N,) in [0, 1] (arXiv 2003.07311, algorithm 2)."""
    y_true, y_pred = _checked(y_true, y_pred)

    def share(skeleton, area):
        both = ops.sum(skeleton * area, axis=(1, 2, 3))
        return (both + SMOOTH) / (ops.sum(skeleton, axis=(1, 2, 3)) + SMOOTH)

    exact, complete = share(soft_skeleton(y_pred), y_true), share(soft_skeleton(y_true), y_pred)
    return 1 - (2 * exact * complete + SMOOTH) / (exact + complete + SMOOTH)


def dice_bce_loss(y_true, y_pred):
    """Half Dice, half cross-entropy: Dice alone pushes probabilities to 0 and 1 and spoils their ranking."""
    return 0.5 * dice_loss(y_true, y_pred) + 0.5 * bce_loss(y_true, y_pred)


def dice_bce_cldice_loss(y_true, y_pred):
    """Half cross-entropy, a quarter Dice, a quarter clDice (alpha = 0.5 of arXiv 2003.07311)."""
    overlap = 0.5 * dice_loss(y_true, y_pred) + 0.5 * cldice_loss(y_true, y_pred)
    return 0.5 * bce_loss(y_true, y_pred) + 0.5 * overlap


LOSSES = {"dice": dice_loss, "dice+bce": dice_bce_loss, "bce": bce_loss,
          "dice+bce+cldice": dice_bce_cldice_loss}


def loss(name):
    """Returns the loss function of this name; raises Problem for an unknown one."""
    if name not in LOSSES:
        raise Problem(f"There is no loss '{name}': choose one of {', '.join(LOSSES)}.")
    return LOSSES[name]
