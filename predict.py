"""From a photograph to its probability, mask and row of measures: squares, the network, its views, and the way back."""

import functools
import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import model as models
from data import Square, describe, sha256
from files import Problem

VIEWS = [(turn, flip) for flip in (False, True) for turn in range(4)]  # the eight flips and quarter turns


def seen_as(square, view):
    turn, flip = view
    turned = np.rot90(square, turn)
    return turned[:, ::-1] if flip else turned


def seen_back(square, view):
    turn, flip = view
    return np.rot90(square[:, ::-1] if flip else square, -turn)


SIDES = (448, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280)
LOOK = 512  # side of the square on which the vessels' width is measured
MARGIN = 8  # black pixels around each square, or more where a deeper network needs it: in a rim cut off it sees vessels
ENLARGED = 1.6  # a square is at most so much larger than the FOV in the photograph's own pixels
TOUCHED = 0.5  # pixels of a photograph: a drawing has every pixel that a vessel touches, half of one too much on either side


@dataclass(frozen=True)
class Plan:
    """How a photograph is predicted: the side of its square, the views of it, the calibration and the threshold.

    With a `vessel_width` the side is chosen for each photograph so that its vessels are about so many pixels wide.
    """

    side: int
    views: tuple
    temperature: float
    bias: float
    threshold: float
    vessel_width: float | None = None


def plan_of(card, tta=False, threshold=None):
    """The plan that a card holds, for one look at the photograph or for `tta`; a `threshold` counts in place of its own."""
    chosen = card.get("tta", card) if tta else card
    sides, calibration = chosen.get("sides", [LOOK]), chosen.get("calibration") or {}
    return Plan(sides[len(sides) // 2], tuple(VIEWS if tta else VIEWS[:1]), calibration.get("temperature", 1.0),
                calibration.get("bias", 0.0), chosen["threshold"] if threshold is None else threshold, card.get("vessel width"))


def settings_of(options, model_file):
    """What decides the results beside the photographs: a folder holds those of one such choice."""
    files = {"model sha256": model_file, "card sha256": model_file.with_suffix(".json")}
    return {**{key: sha256(path) if path.is_file() else None for key, path in files.items()}, "tta": options.tta,
            "threshold": options.threshold, "precision": models.hardware_precision(options.precision)}


def side_near(side, native):
    """The side of SIDES that is nearest to `side`, none much larger than the FOV is in the photograph."""
    allowed = [one for one in SIDES if one <= ENLARGED * native] or [SIDES[0]]
    return min(allowed, key=lambda one: abs(math.log(one / side)))


def calibrated(probability, temperature, bias):
    """sigmoid(logit(p) / temperature + bias) (Platt 1999; Guo et al. 2017, arXiv 1706.04599); 0 and 1 stay."""
    if temperature == 1 and bias == 0:
        return probability
    with np.errstate(over="ignore"):  # infinite odds against are a probability of 0, as they should be
        odds = ((1 - probability) / np.maximum(probability, 1e-12)) ** np.float32(1 / temperature)
        odds = np.float32(np.exp(min(-bias, 80.0))) * odds
    return np.where(probability > 0, 1 / (1 + odds), 0).astype(np.float32)


def edges_moved(probability, out):
    """(S, S) in [0, 1] -> the same with the edges of vessels moved out by so many pixels (in if negative), ridges as they were.

    Level-set motion, p + out |grad p| (Osher & Sethian 1988), in small steps of a form that does not leave [0, 1].
    """
    import cv2

    steps = math.ceil(abs(out) / 0.25)
    left = 1 - probability if out > 0 else probability  # what becomes less
    for _ in range(steps):
        down, across = (cv2.Sobel(left, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((0, 1), (1, 0)))
        left = left * np.exp(cv2.magnitude(down, across) / np.maximum(left, 1e-6) * np.float32(-abs(out) / steps))
    return 1 - left if out > 0 else left


def compiled(folded, shape):
    """A folded network as a function of tensors of exactly this shape, (N, S, S, 3) float32 -> (N, S, S, 1) float32.

    With a known size TensorFlow fuses the sums on the way up. Weights that are constants are turned to the layout of the
    convolutions once and not at every call: an eighth of the time of one square of 512. The last layer, float32, is left to
    XLA, which makes one pass of it: 6 % of the time of two squares.
    """
    import keras
    import tensorflow as tf

    features, last = keras.Model(folded.input, folded.layers[-2].output), folded.layers[-1]
    weights, (kernel, bias) = [weight.numpy() for weight in features.variables], last.get_weights()

    @tf.function(autograph=False, jit_compile=models.tensorflow_on_cpu())
    def probability(seen):
        return tf.sigmoid(tf.reduce_sum(tf.cast(seen, tf.float32) * kernel[0, 0, :, 0], -1, keepdims=True) + bias)

    @tf.function(autograph=False)
    def network(squares):
        constants = [tf.constant(weight) for weight in weights]
        return probability(features.stateless_call(constants, [], squares, training=False)[0])

    return network.get_concrete_function(tf.TensorSpec(shape, tf.float32))


class Predictor:
    """A model and its card (or the one given), ready to segment photographs one after another, each shape compiled once."""

    def __init__(self, path, precision="auto", card=None):
        import tensorflow as tf

        network, self.card = (models.load_network(path), card) if card else models.load(path)
        self.path, self.precision = path, models.hardware_precision(precision)
        known = functools.cache(functools.partial(compiled, models.fold(network, self.precision)))  # there are few shapes
        self._network = lambda squares: known(squares.shape)(tf.constant(squares))

    def square(self, square, views=VIEWS[:1]):
        """(S, S, 3) uint8 -> mean and standard deviation over the views, (S, S) float32 each."""
        seen = []
        for pair in (views[k:k + 2] for k in range(0, len(views), 2)):  # two at once: 5 % faster than one by one
            squares = np.stack([seen_as(square, view) for view in pair]).astype(np.float32) / np.float32(255)
            answers = self._network(squares).numpy()[..., 0]
            seen += [seen_back(answer, view) for answer, view in zip(answers, pair, strict=True)]
        mean = np.mean(seen, axis=0)
        return mean, np.std(seen, axis=0) if len(views) > 1 else np.zeros_like(mean)

    def raw(self, photograph, fov, side, views):
        """(H, W, 3) uint8, (H, W) bool -> uncalibrated probability and spread over the views, (H, W) float32."""
        frame, step = Square.around(fov), 2 ** self.card["network"]["depth"]
        margin = (math.ceil((side + 2 * MARGIN) / step) * step - side) // 2
        square = np.pad(frame.cut(photograph, fov, side), ((margin, margin), (margin, margin), (0, 0)))
        mean, spread = (seen[margin:-margin, margin:-margin] for seen in self.square(square, views))
        mean = edges_moved(mean, self.growth(frame.side, side))
        return frame.back(mean, fov), frame.back(spread, fov) if len(views) > 1 else np.zeros(fov.shape, np.float32)

    def growth(self, native, side):
        """How much wider, in pixels of a square of `side`, vessels are drawn on a photograph whose FOV is `native` pixels across
        than on those of the training: the network has learned their share of the FOV that TOUCHED is. 0 within their range."""
        least, most = self.card.get("fov sides") or (native, native)
        return TOUCHED * side * (1 / native - 1 / min(max(native, least), most))

    def vessel_width(self, photograph, fov):
        """Mean width of the vessels found at first sight, in pixels of a square of LOOK: area over length; NaN without any."""
        from skimage.morphology import skeletonize

        mask = self.square(Square.around(fov).cut(photograph, fov, LOOK))[0] >= 0.5
        return mask.sum() / skeletonize(mask).sum() if mask.any() else math.nan

    def side(self, photograph, fov, plan):
        """The side of this photograph's square: the plan's, or the one that brings its vessels to the plan's width."""
        width = self.vessel_width(photograph, fov) if plan.vessel_width else math.nan
        side = plan.side if math.isnan(width) else LOOK * plan.vessel_width / width
        return side_near(side, Square.around(fov).side)

    def __call__(self, photograph, fov, plan):
        """-> (H, W) float32 probability in [0, 1], zero outside the FOV, and its spread over the views."""
        mean, spread = self.raw(photograph, fov, self.side(photograph, fov, plan), plan.views)
        return calibrated(mean, plan.temperature, plan.bias) * fov, spread


def segment(predictor, plan, photograph, fov):
    """-> levels (H, W) uint16, mask (H, W) bool, spread (H, W) float32: what one photograph's files are made of."""
    import metrics

    probability, spread = predictor(photograph, fov, plan)
    levels = metrics.levels_of(probability)
    return levels, metrics.cut(levels, plan.threshold) & fov, spread


LIMITS = (("brightness", 0.5, "too dark", "darker than"), ("sharpness", 0.4, "blurred", "less sharp than"),
          ("side", 0.6, "too small", "fewer pixels across the FOV than"))


def warnings_of(description, fov, known):
    """Sentences on how a photograph is unlike those of the training; `known`: {quantity: its least in training}."""
    told = ["no dark surround, so all of it counts as FOV"] if fov.all() else []
    for key, share, word, how in LIMITS:
        if key in known and description[key] < share * known[key]:
            told.append(f"{word} ({how} the training photographs: {description[key]:.3g}, theirs {known[key]:.3g} or more)")
    return told


def row_of(name, path, photograph, fov, levels, mask, card):
    """A photograph's row of predictions.csv."""
    import measures

    box = Square.around(fov)
    found = {"name": name, "file": str(path), "width": fov.shape[1], "height": fov.shape[0],
             "fov_share": round(float(fov.mean()), 4), "fov_top": box.top, "fov_left": box.left,
             "certainty": round(float(np.maximum(levels, ~levels)[fov].mean()) / 65535, 4)}
    description = describe(photograph, fov)
    found |= {key: float(f"{value:.5g}") for key, value in measures.measures(mask, fov).items()}
    return found | {"warnings": "; ".join(warnings_of(description, fov, card.get("photographs", {}))), "status": "done"}


FINISHERS = min(4, os.cpu_count())  # a large photograph takes longer to be drawn and measured than to be predicted


def in_step(items, read, compute, finish, ahead=2, finishers=FINISHERS):
    """Yields (item, finish's result or the Problem met), in order: reads ahead and finishes behind while `compute` works.

    read(item) -> what compute(item, read) needs -> what finish(item, computed) needs; `finishers` items are finished at once.
    No more wait than `ahead` before `compute` and the larger of the two after, so memory stays bounded however many there are.
    """
    def attempt(step, *given):
        try:
            return step(*given)
        except Problem as problem:
            return problem

    def computed(item, future):
        result = future.result()
        return result if isinstance(result, Problem) else attempt(compute, item, result)

    items = list(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(finishers) as finisher:
        reading = deque((item, reader.submit(attempt, read, item)) for item in items[:ahead])
        finishing = deque()
        for k in range(len(items)):
            item, future = reading.popleft()
            result = computed(item, future)
            if k + ahead < len(items):
                reading.append((items[k + ahead], reader.submit(attempt, read, items[k + ahead])))
            finishing.append((item, result if isinstance(result, Problem) else finisher.submit(attempt, finish, item, result)))
            while finishing and (len(finishing) > max(ahead, finishers) or k == len(items) - 1):
                done, outcome = finishing.popleft()
                yield done, outcome if isinstance(outcome, Problem) else outcome.result()
