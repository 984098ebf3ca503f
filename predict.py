"""From a photograph to its probability: squares, the network, test-time augmentation, and the way back to native size."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import metrics
import model as models
from data import Square
from files import Problem

VIEWS = [(turn, flip) for flip in (False, True) for turn in range(4)]  # the eight flips and quarter turns


def seen_as(square, view):
    turn, flip = view
    turned = np.rot90(square, turn)
    return turned[:, ::-1] if flip else turned


def seen_back(square, view):
    turn, flip = view
    return np.rot90(square[:, ::-1] if flip else square, -turn)


@dataclass(frozen=True)
class Plan:
    """How a photograph is predicted: the sides of its squares, the views of each, the calibration and the threshold."""

    sides: tuple
    views: tuple
    temperature: float
    bias: float
    threshold: float


def plan_of(card, tta=False):
    """The plan that a card holds, for one look at the photograph or for `tta`."""
    chosen = card.get("tta", card) if tta else card
    calibration = chosen.get("calibration") or {}
    return Plan(tuple(chosen.get("sides", [512])), tuple(VIEWS if tta else VIEWS[:1]), calibration.get("temperature", 1.0),
                calibration.get("bias", 0.0), chosen["threshold"])


def calibrated(probability, temperature, bias):
    """sigmoid(logit(p) / temperature + bias) (Platt 1999; Guo et al. 2017, arXiv 1706.04599); 0 and 1 stay."""
    if temperature == 1 and bias == 0:
        return probability
    with np.errstate(over="ignore"):  # infinite odds against are a probability of 0, as they should be
        odds = np.float32(np.exp(min(-bias, 80.0))) * ((1 - probability) / np.maximum(probability, 1e-12)) ** np.float32(1 / temperature)
    return np.where(probability > 0, 1 / (1 + odds), 0).astype(np.float32)


class Predictor:
    """A model and its card, ready to segment photographs one after another, each shape compiled once."""

    def __init__(self, path, precision="auto"):
        import tensorflow as tf

        network, self.card = models.load(path)
        self.path, self.precision = path, models.hardware_precision(precision)
        folded = models.fold(network, self.precision)
        self._network = tf.function(lambda squares: folded(squares, training=False),
                                    input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)])

    def square(self, square, views=VIEWS[:1]):
        """(S, S, 3) uint8 -> mean and standard deviation over the views, (S, S) float32 each."""
        seen = [seen_back(self._network(np.ascontiguousarray(seen_as(square, view), np.float32)[None] / np.float32(255))
                          .numpy()[0, ..., 0], view) for view in views]
        return np.mean(seen, axis=0), np.std(seen, axis=0)

    def raw(self, photograph, fov, sides, views):
        """(H, W, 3) uint8, (H, W) bool -> uncalibrated probability and spread over views and sides, (H, W) float32."""
        frame = Square.around(fov)
        means, squares = 0.0, 0.0
        for side in sides:
            mean, spread = self.square(frame.cut(photograph, fov, side), views)
            mean_native, spread_native = frame.back(mean, fov), frame.back(spread, fov) if len(views) > 1 else 0.0
            means, squares = means + mean_native, squares + mean_native**2 + spread_native**2
        mean = means / len(sides)
        return mean, np.sqrt(np.maximum(squares / len(sides) - mean**2, 0))

    def __call__(self, photograph, fov, plan):
        """-> (H, W) float32 probability in [0, 1], zero outside the FOV, and the spread over all looks at it."""
        mean, spread = self.raw(photograph, fov, plan.sides, plan.views)
        return calibrated(mean, plan.temperature, plan.bias) * fov, spread


def in_step(items, read, compute, finish, ahead=2):
    """Yields (item, finish's result or the Problem met), in order: reads ahead and finishes behind while `compute` works.

    read(item) -> what compute(item, read) needs -> what finish(item, computed) needs. At most `ahead` items wait on either
    side, so memory stays bounded however many items there are.
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
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as finisher:
        reading = deque((item, reader.submit(attempt, read, item)) for item in items[:ahead])
        finishing = deque()
        for k in range(len(items)):
            item, future = reading.popleft()
            result = computed(item, future)
            if k + ahead < len(items):
                reading.append((items[k + ahead], reader.submit(attempt, read, items[k + ahead])))
            finishing.append((item, result if isinstance(result, Problem) else finisher.submit(attempt, finish, item, result)))
            while finishing and (len(finishing) > ahead or k == len(items) - 1):
                done, outcome = finishing.popleft()
                yield done, outcome if isinstance(outcome, Problem) else outcome.result()


# ---- choosing the plan on validation photographs -------------------------------------------------------------------

SIDES = (448, 512, 576, 640, 704, 768, 896)


def tune(model_file, photographs, precision="auto"):
    """What the card says of prediction, chosen on `photographs` (with masks) at native size, inside the FOV, pooled.

    The side with the best Dice for one look, that and its neighbours for test-time augmentation; then, for each, the
    calibration by maximum likelihood and the threshold of best Dice.
    """
    import data

    predictor = Predictor(model_file, precision)
    read = []
    for photograph in photographs:
        rgb = data.read_photograph(photograph.path)
        fov = data.fov_of(photograph, rgb)
        read.append((rgb, fov, data.read_vessels(photograph.mask, rgb.shape)))
    tried = {side: _pooled(predictor, read, (side,), VIEWS[:1]) for side in SIDES}
    dice = {side: metrics.scores(counts, metrics.best_threshold(counts))["dice"] for side, counts in tried.items()}
    side = max(dice, key=dice.get)
    place = min(max(SIDES.index(side), 1), len(SIDES) - 2)
    beside = SIDES[place - 1:place + 2]
    chosen = _described((side,), tried[side], read)
    chosen["validation Dice by side"] = {str(side): round(value, 4) for side, value in dice.items()}
    chosen["tta"] = _described(beside, _pooled(predictor, read, beside, VIEWS), read)
    return chosen


def _pooled(predictor, read, sides, views):
    return sum(metrics.histogram(np.clip(predictor.raw(rgb, fov, sides, views)[0], 0, 1), mask, fov) for rgb, fov, mask in read)


def _described(sides, counts, read):
    temperature, bias = fit_calibration(counts)
    levels = calibrated(np.arange(metrics.LEVELS, dtype=np.float32) / (metrics.LEVELS - 1), temperature, bias)
    moved = np.zeros_like(counts)
    for row in (0, 1):
        np.add.at(moved[row], np.rint(levels * (metrics.LEVELS - 1)).astype(int), counts[row])
    threshold = round(metrics.best_threshold(moved), 4)
    scores = {key: round(value, 4) for key, value in metrics.scores(moved, threshold).items()}
    return {"sides": list(sides), "calibration": {"temperature": temperature, "bias": bias, "ece before": round(metrics.scores(counts, 0.5)["ece"], 4)},
            "threshold": threshold, "threshold chosen": f"best pooled Dice on {len(read)} validation photographs, native size, in FOV",
            "validation": scores}


def fit_calibration(counts):
    """(temperature, bias) that make calibrated probabilities likeliest, by Newton's method on the pooled histogram.

    In standardised log-odds, since a network of few steps keeps all its probabilities within a narrow band.
    """
    level = (np.arange(metrics.LEVELS) + 0.5) / metrics.LEVELS
    pixels, vessels = counts.sum(axis=0), counts[1]
    odds = np.log(level / (1 - level))
    centre = np.average(odds, weights=pixels)
    width = max(np.average((odds - centre) ** 2, weights=pixels) ** 0.5, 1e-3)
    design = np.stack([(odds - centre) / width, np.ones_like(odds)])
    share = np.clip(vessels.sum() / pixels.sum(), 1e-6, 1 - 1e-6)
    solution = np.array([0.0, np.log(share / (1 - share))])
    for _ in range(50):
        expected = 1 / (1 + np.exp(np.clip(-solution @ design, -60, 60)))
        slope = design @ (vessels - pixels * expected)
        curvature = (design * (pixels * expected * (1 - expected))) @ design.T
        step = np.linalg.solve(curvature + 1e-6 * np.eye(2), slope)
        solution = solution + step * min(1, 2 / np.abs(step).max())
        if np.abs(step).max() < 1e-6:
            break
    gain, bias = solution[0] / width, solution[1] - solution[0] * centre / width
    if not gain > 0.05:  # a network without any sense of vessels
        return 1.0, 0.0
    return round(float(1 / gain), 4), round(float(bias), 4)
