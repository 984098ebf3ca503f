"""New cameras for a model that knows others: it predicts as it did, and learns their observers' pens.

Its threshold and calibration suit all that it knows. A few photographs with vessels drawn thinner would move
them for every camera; what they have of their own is the pen (docs/recipe.md, "Fine-tuning").
"""

import numpy as np
from scipy.optimize import minimize_scalar

import metrics
from fitting.threshold import examples_of, own_pen
from photographs.square import VIEWS
from predict import calibrated

THINNEST, WIDEST = -0.004, 0.003  # of the FOV's side: pens among which the best is sought
EXACT = 0.0001  # of the FOV's side


def as_before(predictor_of, card, photographs):
    """Returns a Card that predicts as this one, with pens for the sets of `photographs`, and their scores.

    predictor_of: Plan -> Predictor. Pens are the best for one view, each for its own set.
    """
    photographs, examples = zip(*examples_of(photographs), strict=True)
    pens = best_pens(predictor_of(card.plan()), photographs, examples)
    card = type(card)(card | {"pens": card["pens"] | pens})

    def scores(tta):
        predictor = predictor_of(card.plan(tta))
        counts = sum(_histogram(predictor, example, _seen(predictor, example), own_pen(predictor, photograph))
                     for photograph, example in zip(photographs, examples, strict=True))
        return {"validation": {key: round(value, 4) for key, value
                               in metrics.scores(counts, predictor.plan.threshold).items()}}

    return type(card)(card | scores(False) | {"tta": card["tta"] | scores(True)})


def best_pens(predictor, photographs, examples):
    """Returns {set: the pen with the best mean Dice at the plan's threshold, a share of the FOV's side}.

    examples: the photographs, read, Labelled.
    """
    seen = {}
    for photograph, example in zip(photographs, examples, strict=True):
        seen.setdefault(photograph.set, []).append((example, _seen(predictor, example)))

    def lost(pen, own):
        counts = (_histogram(predictor, *each, f"{100 * pen}%") for each in own)
        return -np.mean([metrics.scores(each, predictor.plan.threshold)["dice"] for each in counts])

    return {name: float(minimize_scalar(lost, args=(own,), bounds=(THINNEST, WIDEST), method="bounded",
                                        options={"xatol": EXACT}).x) for name, own in seen.items()}


def _seen(predictor, example):
    """Returns what the network finds, (S, S) float32, before any pen."""
    side = predictor.side(example.rgb, example.fov)
    return predictor.seen(example.rgb, example.fov, side, VIEWS if predictor.plan.tta else VIEWS[:1])[0]


def _histogram(predictor, example, mean, pen):
    drawn = predictor.drawn(mean, example.fov, pen)
    probability = calibrated(np.clip(drawn, 0, 1), predictor.plan.temperature, predictor.plan.bias)
    return metrics.histogram(probability, example.mask, example.fov)
