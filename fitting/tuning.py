"""How prediction is to be done with a new model: side, vessel width, calibration, threshold, chosen on validation photographs."""

import math

import numpy as np

import data
import metrics
from predict import LOOK, SIDES, VIEWS, Predictor, calibrated, side_near

WIDTHS = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0, 9.0)  # pixels
COMPARED = 768  # side of the square on which two models are compared
MOST = 24  # photographs that choose; 120 large ones would take 37 minutes and 4 GB and gain .0004 Dice (benchmarks/recipe.md)


def tune(model_file, card, photographs, precision="auto"):
    """What a card says of prediction, chosen on `photographs` (with masks) at native size, inside the FOV.

    `card` holds what is known before: the network, and the sides of the training's FOVs. Chosen are the vessels' width that
    decides each photograph's own side, or one side for all where that is clearly better, with the best mean Dice; then, for one
    look and for eight views, calibration and threshold. Each photograph counts the same, however many pixels it has.
    """
    predictor, read = Predictor(model_file, precision, card), _read(photographs)
    natives = [data.Square.around(fov).side for _, fov, _ in read]
    looks = [{side: _histogram(predictor, one, side, VIEWS[:1]) for side in SIDES if side == side_near(side, native)}
             for one, native in zip(read, natives, strict=True)]
    widths = [predictor.vessel_width(rgb, fov) for rgb, fov, _ in read]
    side, width, by_side = _best_side(looks, widths, natives)
    sides = [side_near(LOOK * width / own if width else side, native) for own, native in zip(widths, natives, strict=True)]
    single = [look[own] for look, own in zip(looks, sides, strict=True)]
    many = [_histogram(predictor, one, own, VIEWS) for one, own in zip(read, sides, strict=True)]
    return {"vessel width": width, "validation Dice by side": by_side, "sides": [side], **_described(single),
            "tta": {"sides": [side], **_described(many)}}


def native_dice(model_file, card, photographs, precision="auto"):
    """Mean Dice of a model on `photographs` (with masks) at native size, inside the FOV, at the threshold that is best for it.

    Eight views of one square each: enough to tell two models of one training apart.
    """
    predictor = Predictor(model_file, precision, card)
    return _best_dice([_histogram(predictor, one, side_near(COMPARED, data.Square.around(one[1]).side), VIEWS)
                       for one in _read(photographs)])


def _read(photographs):
    """[(photograph, FOV, mask), ...] of at most MOST photographs, evenly spread."""
    read, count = [], min(len(photographs), MOST)
    for photograph in (photographs[k * len(photographs) // count] for k in range(count)):
        rgb = data.read_photograph(photograph.path)
        read.append((rgb, data.fov_of(photograph, rgb), data.read_vessels(photograph.mask, rgb.shape)))
    return read


def _best_side(looks, widths, natives):
    """-> side, vessel width or None, and the mean Dice at each fixed side and each width."""
    def mean_dice(sides):
        return _best_dice([look[side] for look, side in zip(looks, sides, strict=True)])

    def sides_for(width):
        return [side_near(LOOK * width / own, native) for own, native in zip(widths, natives, strict=True)]

    fixed = {side: mean_dice([side_near(side, native) for native in natives]) for side in SIDES}
    adapted = {} if any(map(math.isnan, widths)) else {width: mean_dice(sides_for(width)) for width in WIDTHS}
    side, width = max(fixed, key=fixed.get), max(adapted, key=adapted.get, default=None)
    # One camera alone cannot tell them apart, and on others the width served better (benchmarks/recipe.md)
    worth_it = width is not None and adapted[width] > fixed[side] - 0.002
    told = {**{str(key): round(value, 4) for key, value in fixed.items()},
            **{f"vessels {key} wide": round(value, 4) for key, value in adapted.items()}}
    return side, width if worth_it else None, told


def _evenly(histograms):
    """The sum of histograms in which each photograph counts the same."""
    return sum(counts * (1e6 / counts.sum()) for counts in histograms)


def _best_dice(histograms):
    threshold = metrics.best_threshold(_evenly(histograms))
    return float(np.mean([metrics.scores(counts, threshold)["dice"] for counts in histograms]))


def _histogram(predictor, one, side, views):
    rgb, fov, mask = one
    return metrics.histogram(np.clip(predictor.raw(rgb, fov, side, views)[0], 0, 1), mask, fov)


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
