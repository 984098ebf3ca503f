"""New cameras for a model that knows others: it predicts as it did, and learns their observers' pens.

Its threshold and calibration suit all that it knows. A few photographs with vessels drawn thinner would move
them for every camera; what they have of their own is the pen (docs/fine-tuning.md).
"""

import numpy as np
from scipy.optimize import minimize_scalar

import metrics
from card import Card
from fitting.threshold import examples_of
from photographs.square import VIEWS
from predict import calibrated
from running.command import complain

THINNEST, WIDEST = -0.004, 0.003  # of the FOV's side: pens among which the best is sought
EXACT = 0.0001  # of the FOV's side


def as_before(predictor_of, card, photographs):
    """Returns a Card that predicts as this one, with pens for the sets of `photographs`, and their scores.

    predictor_of: Plan -> Predictor. Pens are the best for one view, each for its own set.
    """
    photographs, examples = zip(*examples_of(photographs), strict=True)
    one, eight = (predictor_of(card.plan(tta)) for tta in (False, True))
    seen = [_seen(one, example) for example in examples]
    pens = best_pens(one, photographs, examples, seen)

    def scores(predictor, seen):
        counts = sum(_histogram(predictor, example, mean, pens[photograph.set])
                     for photograph, example, mean in zip(photographs, examples, seen, strict=True))
        return {"validation": {key: round(value, 4) for key, value
                               in metrics.scores(counts, predictor.plan.threshold).items()}}

    of_eight = scores(eight, (_seen(eight, example) for example in examples))
    return Card(card | {"pens": card["pens"] | pens} | scores(one, seen) | {"tta": card["tta"] | of_eight})


def best_pens(predictor, photographs, examples, seen):
    """Returns {set: the pen with the best mean Dice at the plan's threshold, a share of the FOV's side}.

    examples: the photographs, read, Labelled. seen: what the network finds in each, (S, S) float32.
    """
    sets = {}
    for photograph, example, mean in zip(photographs, examples, seen, strict=True):
        sets.setdefault(photograph.set, []).append((example, mean))

    def lost(pen, own):
        counts = (_histogram(predictor, *each, pen) for each in own)
        return -np.mean([metrics.scores(each, predictor.plan.threshold)["dice"] for each in counts])

    pens = {name: float(minimize_scalar(lost, args=(own,), bounds=(THINNEST, WIDEST), method="bounded",
                                        options={"xatol": EXACT}).x) for name, own in sets.items()}
    for name, pen in pens.items():
        if not THINNEST + 2 * EXACT < pen < WIDEST - 2 * EXACT:
            complain(f"{name}: its masks are drawn so {'thin' if pen < 0 else 'wide'} that the pen that was "
                     f"found, {100 * pen:+.2f} % of the FOV's side, is at the end of what is tried.")
    return pens


def _seen(predictor, example):
    """Returns what the network finds, (S, S) float32, before any pen."""
    side = predictor.side(example.rgb, example.fov)
    return predictor.seen(example.rgb, example.fov, side, VIEWS if predictor.plan.tta else VIEWS[:1])[0]


def _histogram(predictor, example, mean, pen):
    drawn = predictor.drawn(mean, example.fov, f"{100 * pen}%")
    probability = calibrated(drawn, predictor.plan.temperature, predictor.plan.bias)
    return metrics.histogram(probability, example.mask, example.fov)
