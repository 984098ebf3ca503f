"""From a photograph to its probability and mask: the square, the network, views averaged, the way back.

    network, card = checkpoint.load(checkpoint.find_model())
    predictor = Predictor(network, card.plan(tta=True))
    segmented = predictor.segment(rgb, found_fov(path, rgb))
"""

import functools
import math

import numpy as np
import tensorflow as tf
from skimage.morphology import skeletonize

import metrics
from model import shape_of
from photographs.square import VIEWS, Square, seen_as, seen_back
from prediction.folded_network import compiled, folded
from prediction.pen import edges_moved
from prediction.segmented import Segmented
from running.machine import hardware_precision

SIDES = (448, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280)  # px, of the squares that a network sees
FIRST_SIDE = 512  # px, of the square on which the width of the vessels is measured
MARGIN = 8  # px, at least so much black around each square: at the border itself a network sees vessels
MOST_ENLARGED = 1.6  # times the FOV in the photograph's own pixels that a square may be


class Predictor:
    """A network and a Plan, ready to segment one photograph after another; a size is compiled once."""

    def __init__(self, network, plan, precision="auto"):
        self.plan, self.precision = plan, hardware_precision(precision)
        self._step = 2 ** shape_of(network)[1]
        self._function = functools.cache(functools.partial(compiled, folded(network, self.precision)))

    def probabilities(self, squares):
        """Returns what the network says of squares: (N, S, S, 3) uint8 -> (N, S, S) float32 in [0, 1]."""
        # Not in the compiled function, where TensorFlow would multiply by a rounded 1 / 255.
        shares = tf.cast(tf.cast(squares, tf.float32) / 255, self.precision)
        return self._function(squares.shape)(shares).numpy()[..., 0]

    def look(self, square, views=VIEWS[:1]):
        """Returns mean and standard deviation over views: (S, S, 3) uint8 -> (S, S) float32 each."""
        seen = []
        for pair in (views[k:k + 2] for k in range(0, len(views), 2)):  # two at once: 5 % faster than singly
            answers = self.probabilities(np.stack([seen_as(square, view) for view in pair]))
            seen += [seen_back(answer, view) for answer, view in zip(answers, pair, strict=True)]
        if len(views) == 1:
            return seen[0], np.zeros_like(seen[0])
        return np.mean(seen, axis=0), np.std(seen, axis=0)

    def seen(self, rgb, fov, side, views=VIEWS):
        """Returns mean and spread over the views of a square of `side`, (S, S) float32, before any pen."""
        margin = (math.ceil((side + 2 * MARGIN) / self._step) * self._step - side) // 2
        square = Square.around(fov).cut(rgb, fov, side)
        square = np.pad(square, ((margin, margin), (margin, margin), (0, 0)))
        return [seen[margin:-margin, margin:-margin] for seen in self.look(square, views)]

    def drawn(self, mean, fov, pen=None):
        """Returns a square's mean, (S, S) float32, drawn with `pen` or the plan's: (H, W) float32."""
        frame = Square.around(fov)
        pens = self.plan.pens
        out = pens.share(frame.side, fov.shape, pen) * len(mean)
        return frame.back(edges_moved(mean, out, pens.by_odds), fov)

    def uncalibrated(self, rgb, fov, side, views=VIEWS, pen=None):
        """Returns probability and spread over the views from a square of `side`, drawn with `pen`.

        Each is (H, W) float32 and zero outside the FOV.
        """
        mean, spread = self.seen(rgb, fov, side, views)
        spread = Square.around(fov).back(spread, fov) if len(views) > 1 else np.zeros(fov.shape, np.float32)
        return self.drawn(mean, fov, pen), spread

    def vessel_width(self, rgb, fov):
        """Returns the mean width of the vessels at first sight, in px of a square of FIRST_SIDE.

        It is their area over their length, NaN where no vessel is found.
        """
        mask = self.look(Square.around(fov).cut(rgb, fov, FIRST_SIDE))[0] >= 0.5
        return mask.sum() / skeletonize(mask).sum() if mask.any() else math.nan

    def side(self, rgb, fov):
        """Returns the side of the photograph's square: the plan's own, or one by the width of its vessels."""
        width = self.vessel_width(rgb, fov) if self.plan.vessel_width else math.nan
        side = self.plan.side if math.isnan(width) else FIRST_SIDE * self.plan.vessel_width / width
        return side_near(side, Square.around(fov).side)

    def __call__(self, rgb, fov, pen=None):
        """Returns the probability, (H, W) float32 in [0, 1], and its spread, both zero outside the FOV.

        pen: as of `Pens.chosen`, in place of the plan's.
        """
        views = VIEWS if self.plan.tta else VIEWS[:1]
        mean, spread = self.uncalibrated(rgb, fov, self.side(rgb, fov), views, pen)
        return calibrated(mean, self.plan.temperature, self.plan.bias, out=mean), spread

    def segment(self, rgb, fov):
        """Returns the Segmented photograph of (H, W, 3) uint8 and its FOV, (H, W) bool."""
        probability, spread = self(rgb, fov)
        return self.cut(rgb, fov, metrics.levels_of(probability), spread)

    def cut(self, rgb, fov, levels, spread=None):
        """Returns the Segmented photograph of 16-bit probabilities that are known already."""
        mask = metrics.cut(levels, self.plan.threshold) & fov
        return Segmented(rgb, fov, levels, mask, spread, self.plan.pens.name(fov.shape))


def side_near(side, native):
    """Returns the side of SIDES nearest to `side` that is not much larger than the FOV, `native` px wide."""
    allowed = [candidate for candidate in SIDES if candidate <= MOST_ENLARGED * native] or SIDES[:1]
    return min(allowed, key=lambda candidate: abs(math.log(candidate / side)))


def calibrated(probability, temperature, bias, out=None):
    """Returns sigmoid(logit(p) / temperature + bias) (Platt 1999; Guo et al. 2017, arXiv 1706.04599).

    0 and 1 stay what they are. out: a float32 array of the same shape for the result, perhaps itself.
    """
    if temperature == 1 and bias == 0:
        return probability
    out = np.empty(probability.shape, np.float32) if out is None else out
    for p, result in metrics.in_parts(probability, out):
        with np.errstate(over="ignore"):  # infinite odds against are a probability of 0, as they should be
            odds = ((1 - p) / np.maximum(p, 1e-12)) ** np.float32(1 / temperature)
            odds = np.float32(np.exp(min(-bias, 80.0))) * odds
        result[:] = np.where(p > 0, 1 / (1 + odds), 0)
    return out
