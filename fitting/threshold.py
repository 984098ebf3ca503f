"""How a new model predicts: square, calibration and threshold, chosen on the validation photographs."""

import math
from collections import Counter

import numpy as np

import metrics
from fitting.centrelines import right_lines
from photographs.labelled import Labelled
from photographs.square import VIEWS
from predict import FIRST_SIDE, SIDES, calibrated, side_near
from sets.layouts import by_set

WIDTHS = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0, 9.0)  # of vessels, px
WORTH_TIME = 0.001  # of Dice that a larger square must gain: it takes longer
COMPARED_AT = 768  # px, side of the square on which two models are compared
MOST_PHOTOGRAPHS = 24  # 120 large ones would take 37 minutes and 4 GB and gain .0004 Dice (docs/recipe.md)


def tune(predictor, photographs):
    """Returns what a card says of prediction, chosen on `photographs` with masks, at native size in the FOV.

    First the side of the squares is chosen, by the best mean Dice: one for all photographs, or the width to
    which the vessels of each are brought, unless that is clearly worse. Then follow calibration and
    threshold, for one view and for eight. Each set counts the same, however many photographs it has, and each
    photograph of a set, however many pixels; each is drawn with its own observer's pen, if the predictor
    knows it.
    """
    photographs = evenly_spread(photographs)
    weights = _weights(photographs)
    examples = [Labelled.read(photograph) for photograph in photographs]
    pens = [_own_pen(predictor, photograph) for photograph in photographs]
    natives = [example.square.side for example in examples]
    single = [{side: _histogram(predictor, example, side, VIEWS[:1], pen) for side in SIDES
               if side == side_near(side, native)}
              for example, pen, native in zip(examples, pens, natives, strict=True)]
    widths = [predictor.vessel_width(example.rgb, example.fov) for example in examples]
    side, width, dice_by_side = _best_side(single, widths, natives, weights)
    sides = _sides(side, width, widths, natives)
    one = [by_side[own] for by_side, own in zip(single, sides, strict=True)]
    eight = [_histogram(predictor, example, own, VIEWS, pen)
             for example, own, pen in zip(examples, sides, pens, strict=True)]
    return {"vessel width": width, "validation Dice by side": dice_by_side, "side": side,
            **_described(one, weights), "tta": {"side": side, **_described(eight, weights)}}


def native_dice(predictor, photographs):
    """Returns the mean Dice on `photographs` with masks, at native size in the FOV, at its best threshold.

    Eight views of one square each are enough to tell two models of one training apart.
    """
    histograms = [_histogram(predictor, example, side_near(COMPARED_AT, example.square.side), VIEWS,
                             _own_pen(predictor, photograph))
                  for photograph, example in examples_of(photographs)]
    return _best_dice(histograms, _weights(evenly_spread(photographs)))


def examples_of(photographs):
    """Yields each photograph that counts, and the same as a Labelled, read when its turn comes."""
    return ((photograph, Labelled.read(photograph)) for photograph in evenly_spread(photographs))


def right_at_best(predictor, examples):
    """Returns the share of right centrelines at the best threshold for Dice; a list of `examples_of`."""
    weights = _weights([photograph for photograph, _ in examples])
    examples = [(each, _own_pen(predictor, photograph)) for photograph, each in examples]
    seen = [np.clip(predictor.uncalibrated(each.rgb, each.fov, side_near(COMPARED_AT, each.square.side),
                                           VIEWS[:1], pen)[0], 0, 1) for each, pen in examples]
    histograms = [metrics.histogram(probability, each.mask, each.fov)
                  for probability, (each, _) in zip(seen, examples, strict=True)]
    threshold = metrics.best_threshold(_weighted(histograms, weights))
    right = [right_lines(metrics.cut(probability, threshold), each)
             for probability, (each, _) in zip(seen, examples, strict=True)]
    return float(np.average(right, weights=weights))


def as_used(predictor, photographs):
    """Returns the mean share of right centrelines and the mean Dice of what eval.py makes of photographs.

    Each is drawn with its set's pen, if the model has one, even where its size does not tell the set.
    """
    found = []
    for photograph, example in examples_of(photographs):
        probability, _ = predictor(example.rgb, example.fov, _own_pen(predictor, photograph))
        mask = predictor.cut(example.rgb, example.fov, metrics.levels_of(probability)).mask
        counts = metrics.histogram(mask, example.mask, example.fov)
        found.append((right_lines(mask, example), metrics.scores(counts, 0.5)["dice"]))
    return tuple(np.average(found, axis=0, weights=_weights(evenly_spread(photographs))).tolist())


def _own_pen(predictor, photograph):
    """Returns the name of its set's pen, so that like is compared with like, or None."""
    return photograph.set if photograph.set in (predictor.plan.pens.of_sets or {}) else None


def evenly_spread(photographs):
    """Returns about MOST_PHOTOGRAPHS of a list at most, of each set as many, at equal distances."""
    sets = by_set(photographs)
    most = math.ceil(MOST_PHOTOGRAPHS / len(sets))
    counts = {name: min(len(own), most) for name, own in sets.items()}
    return [own[k * len(own) // counts[name]] for name, own in sets.items() for k in range(counts[name])]


def smallest_within(dice, tolerance):
    """Returns the smallest key of {key: Dice} of which the value is within `tolerance` of the best."""
    best = max(dice.values())
    return min(key for key, value in dice.items() if not value < best - tolerance)  # nor is NaN


def _weights(photographs):
    """Returns what each photograph counts, 1 in all: every set the same, and each photograph of a set."""
    counts = Counter(photograph.set for photograph in photographs)
    return [1 / len(counts) / counts[photograph.set] for photograph in photographs]


def _sides(side, width, widths, natives):
    """Returns the side for each photograph: `side`, or one that brings its vessels to `width` if given."""
    return [side_near(FIRST_SIDE * width / own if width else side, native)
            for own, native in zip(widths, natives, strict=True)]


def _best_side(single, widths, natives, weights):
    """Returns the side, the vessel width or None, and the mean Dice at each fixed side and each width."""
    def mean_dice(side, width=None):
        sides = _sides(side, width, widths, natives)
        return _best_dice([by_side[own] for by_side, own in zip(single, sides, strict=True)], weights)

    fixed = {side: mean_dice(side) for side in SIDES}
    adapted = {} if any(map(math.isnan, widths)) else {width: mean_dice(None, width) for width in WIDTHS}
    side, width = (smallest_within(dice, WORTH_TIME) if dice else None for dice in (fixed, adapted))
    # One camera alone cannot tell them apart, and on others the width served better (docs/recipe.md).
    worth_it = width is not None and adapted[width] > fixed[side] - 0.002
    dice_by_side = {**{str(key): round(value, 4) for key, value in fixed.items()},
                    **{f"vessels {key} wide": round(value, 4) for key, value in adapted.items()}}
    return side, width if worth_it else None, dice_by_side


def _weighted(histograms, weights):
    """Returns the sum of histograms in which each photograph counts as much as its weight says."""
    return sum(counts * (1e6 * len(weights) * weight / counts.sum())
               for counts, weight in zip(histograms, weights, strict=True))


def _best_dice(histograms, weights):
    threshold = metrics.best_threshold(_weighted(histograms, weights))
    scores = [metrics.scores(counts, threshold)["dice"] for counts in histograms]
    return float(np.average(scores, weights=weights))


def _histogram(predictor, example, side, views, pen):
    probability = predictor.uncalibrated(example.rgb, example.fov, side, views, pen)[0]
    return metrics.histogram(np.clip(probability, 0, 1), example.mask, example.fov)


def _described(histograms, weights):
    """Returns calibration, threshold and scores of these uncalibrated histograms, one for each photograph."""
    temperature, bias = fit_calibration(_weighted(histograms, weights))
    levels = metrics.probability_of(np.arange(metrics.LEVELS))
    places = np.rint(calibrated(levels, temperature, bias) * metrics.HIGHEST).astype(int)
    moved = [np.stack([np.bincount(places, row, metrics.LEVELS) for row in counts]) for counts in histograms]
    threshold = round(metrics.best_threshold(_weighted(moved, weights)), 4)
    before = metrics.scores(sum(histograms), 0.5)["ece"]
    scores = metrics.scores(sum(moved), threshold)
    return {"calibration": {"temperature": temperature, "bias": bias, "ece before": round(before, 4)},
            "threshold": threshold,
            "threshold chosen": f"best Dice on {len(histograms)} validation photographs, every set counting "
                                "the same and each photograph of a set, native size, in FOV",
            "validation": {key: round(value, 4) for key, value in scores.items()}}


def fit_calibration(counts):
    """Returns the temperature and bias that make calibrated probabilities likeliest, for a pooled histogram.

    They are found by Newton's method in standardised log-odds, since a network of few steps keeps all its
    probabilities within a narrow band.
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
    if not gain > 0.05:  # a network that tells no vessel from what is around it
        return 1.0, 0.0
    return round(float(1 / gain), 4), round(float(bias), 4)
