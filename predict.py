"""From a photograph to its probability: squares, the network, test-time augmentation, and the way back to native size."""

import functools
import math
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


SIDES = (448, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280)
LOOK = 512  # side of the square on which the vessels' width is measured
ENLARGED = 1.6  # a square is at most so much larger than the FOV in the photograph's own pixels


@dataclass(frozen=True)
class Plan:
    """How a photograph is predicted: the sides of its squares, the views of each, the calibration and the threshold.

    With a `vessel_width` the sides are chosen for each photograph so that its vessels are about so many pixels wide.
    """

    sides: tuple
    views: tuple
    temperature: float
    bias: float
    threshold: float
    vessel_width: float | None = None


def plan_of(card, tta=False):
    """The plan that a card holds, for one look at the photograph or for `tta`."""
    chosen = card.get("tta", card) if tta else card
    calibration = chosen.get("calibration") or {}
    return Plan(tuple(chosen.get("sides", [LOOK])), tuple(VIEWS if tta else VIEWS[:1]), calibration.get("temperature", 1.0),
                calibration.get("bias", 0.0), chosen["threshold"], card.get("vessel width"))


def sides_around(side, count, native):
    """`count` sides of SIDES with `side` in their middle, none of them much larger than the FOV is in the photograph."""
    allowed = [one for one in SIDES if one <= ENLARGED * native] or [SIDES[0]]
    middle = min(range(len(allowed)), key=lambda k: abs(math.log(allowed[k] / side)))
    first = min(max(middle - count // 2, 0), max(len(allowed) - count, 0))
    return tuple(allowed[first:first + count])


def calibrated(probability, temperature, bias):
    """sigmoid(logit(p) / temperature + bias) (Platt 1999; Guo et al. 2017, arXiv 1706.04599); 0 and 1 stay."""
    if temperature == 1 and bias == 0:
        return probability
    with np.errstate(over="ignore"):  # infinite odds against are a probability of 0, as they should be
        odds = ((1 - probability) / np.maximum(probability, 1e-12)) ** np.float32(1 / temperature)
        odds = np.float32(np.exp(min(-bias, 80.0))) * odds
    return np.where(probability > 0, 1 / (1 + odds), 0).astype(np.float32)


class Predictor:
    """A model and its card, ready to segment photographs one after another, each shape compiled once."""

    def __init__(self, path, precision="auto"):
        import tensorflow as tf

        network, self.card = models.load(path)
        self.path, self.precision = path, models.hardware_precision(precision)
        folded = models.fold(network, self.precision)

        @functools.cache
        def compiled_for(side):  # with a known size TensorFlow fuses the sums on the way up; there are few sides
            return tf.function(lambda squares: folded(squares, training=False), autograph=False,
                               input_signature=[tf.TensorSpec((1, side, side, 3), tf.float32)])

        self._network = lambda squares: compiled_for(squares.shape[1])(squares)

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

    def vessel_width(self, photograph, fov):
        """Mean width of the vessels found at first sight, in pixels of a square of LOOK: area over length; NaN without any."""
        from skimage.morphology import skeletonize

        mask = self.square(Square.around(fov).cut(photograph, fov, LOOK))[0] >= 0.5
        return mask.sum() / skeletonize(mask).sum() if mask.any() else math.nan

    def sides(self, photograph, fov, plan):
        """The sides of this photograph's squares: the plan's, or those that bring its vessels to the plan's width."""
        native = Square.around(fov).side
        width = self.vessel_width(photograph, fov) if plan.vessel_width else math.nan
        middle = plan.sides[len(plan.sides) // 2] if math.isnan(width) else LOOK * plan.vessel_width / width
        return sides_around(middle, len(plan.sides), native)

    def __call__(self, photograph, fov, plan):
        """-> (H, W) float32 probability in [0, 1], zero outside the FOV, and the spread over all looks at it."""
        mean, spread = self.raw(photograph, fov, self.sides(photograph, fov, plan), plan.views)
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

WIDTHS = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0, 9.0)  # pixels


def tune(model_file, photographs, precision="auto"):
    """What the card says of prediction, chosen on `photographs` (with masks) at native size, inside the FOV.

    The side, or the vessels' width that decides each photograph's own side where that is clearly better, with the best mean
    Dice for one look; its neighbours too for test-time augmentation; then, for each, calibration and threshold. Each photograph
    counts the same, however many pixels it has.
    """
    import data

    predictor = Predictor(model_file, precision)
    read = []
    for photograph in photographs:
        rgb = data.read_photograph(photograph.path)
        fov = data.fov_of(photograph, rgb)
        read.append((rgb, fov, data.read_vessels(photograph.mask, rgb.shape)))
    looks = [{side: _histogram(predictor, one, (side,), VIEWS[:1]) for side in SIDES if side in sides_around(
        side, 1, Square.around(one[1]).side)} for one in read]
    widths = [predictor.vessel_width(rgb, fov) for rgb, fov, _ in read]
    natives = [Square.around(fov).side for _, fov, _ in read]
    chosen, told = _best_sides(looks, widths, natives)
    plan = Plan((chosen["side"],), VIEWS[:1], 1.0, 0.0, 0.5, chosen["vessel width"])
    card = {"vessel width": chosen["vessel width"], "validation Dice by side": told}
    for tta, count in ((False, 1), (True, 3)):
        sides = [sides_around(LOOK * plan.vessel_width / width if plan.vessel_width else chosen["side"], count, native)
                 for width, native in zip(widths, natives, strict=True)]
        counts = [_histogram(predictor, one, own, VIEWS) if tta else look[own[0]]
                  for one, own, look in zip(read, sides, looks, strict=True)]
        found = {"sides": list(sides_around(chosen["side"], count, 10**6)), **_described(counts)}
        card |= {"tta": found} if tta else found
    return card


def _best_sides(looks, widths, natives):
    """-> {side, vessel width or None} and the mean Dice at each fixed side and each width."""
    def mean_dice(sides):
        return _best_dice([look[side] for look, side in zip(looks, sides, strict=True)])

    def sides_for(width):
        return [sides_around(LOOK * width / own, 1, native)[0] for own, native in zip(widths, natives, strict=True)]

    fixed = {side: mean_dice([sides_around(side, 1, native)[0] for native in natives]) for side in SIDES}
    adapted = {} if any(map(math.isnan, widths)) else {width: mean_dice(sides_for(width)) for width in WIDTHS}
    side, width = max(fixed, key=fixed.get), max(adapted, key=adapted.get, default=None)
    worth_it = width is not None and adapted[width] > fixed[side] + 0.002  # a look more must bring something
    told = {**{str(key): round(value, 4) for key, value in fixed.items()},
            **{f"vessels {key} wide": round(value, 4) for key, value in adapted.items()}}
    return {"side": side, "vessel width": width if worth_it else None}, told


def _evenly(histograms):
    """The sum of histograms in which each photograph counts the same."""
    return sum(counts * (1e6 / counts.sum()) for counts in histograms)


def _best_dice(histograms):
    threshold = metrics.best_threshold(_evenly(histograms))
    return float(np.mean([metrics.scores(counts, threshold)["dice"] for counts in histograms]))


def _histogram(predictor, one, sides, views):
    rgb, fov, mask = one
    return metrics.histogram(np.clip(predictor.raw(rgb, fov, sides, views)[0], 0, 1), mask, fov)


def _described(histograms):
    """Calibration, threshold and scores of these uncalibrated histograms, one a photograph."""
    temperature, bias = fit_calibration(_evenly(histograms))
    levels = calibrated(np.arange(metrics.LEVELS, dtype=np.float32) / (metrics.LEVELS - 1), temperature, bias)
    places = np.rint(levels * (metrics.LEVELS - 1)).astype(int)
    moved = [np.stack([np.bincount(places, row, metrics.LEVELS) for row in counts]) for counts in histograms]
    threshold = round(metrics.best_threshold(_evenly(moved)), 4)
    before = metrics.scores(sum(histograms), 0.5)["ece"]
    return {"calibration": {"temperature": temperature, "bias": bias, "ece before": round(before, 4)}, "threshold": threshold,
            "threshold chosen": f"best Dice on {len(histograms)} validation photographs, each counting the same, "
                                "native size, in FOV",
            "validation": {key: round(value, 4) for key, value in metrics.scores(sum(moved), threshold).items()}}


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
