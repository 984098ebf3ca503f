"""What is chosen when the fit has ended: the weights to keep and how they predict; the card that says so."""

import os
import platform
import time

import keras
import tensorflow as tf

from card import WEIGHTS, Card, Plan, pens_in
from checkpoint import load_network, save, weights_sum
from fitting.fine_tuning import fine_tuned, shared_sizes
from fitting.observed_pen import pens_in_table
from fitting.threshold import native_dice, tune
from photographs.quality import seen_in
from predict import Predictor
from running.command import complain
from running.machine import hardware_precision


def finish(best, last, history, pairs, settings, began, first):
    """Chooses a model, writes it to `best` and its card beside it; returns the Card.

    best, last: model files of the best validation Dice and of the last epoch. history: the fit's
    fitting.callbacks.History, whose file may lack what could not be written. pairs: a Pairs. settings: the
    flags that decide the model. began: the time at which training began, s. first: the Card of the model that
    the fit started from.
    """
    table, validation = history.write(), pairs.photographs("validation")
    seen = {**seen_in(pairs.photographs("train"), validation), **pens_in_table(pairs.parts["train"])}

    def predictor_of(network, plan):
        return Predictor(network, plan, settings["precision"])

    def seen_by(file):
        return predictor_of(load_network(file), Plan(pens=pens_in(seen)))

    file, row = last, table.iloc[-1]
    if not settings["init"]:
        file, row = kept_epoch(best, last, table, lambda file: native_dice(seen_by(file), validation))
    scores = {key.removeprefix("val_"): round(float(row[key]), 5) for key in table if key.startswith("val_")}
    card = Card({
        "network": {"width": settings["width"], "depth": settings["depth"]},
        "loss": settings["loss"],
        "recipe": {**settings, "augmentation": pairs.recipe},
        "epochs": len(table), "data": pairs.sources(), "seed": settings["seed"],
        "seconds": round(time.time() - began), "precision": hardware_precision(settings["precision"]),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__,
                     "keras": keras.__version__},
        "licence": pairs.licence(), **seen,
        "best epoch": int(row["epoch"]), "best validation square": scores})
    if settings["init"]:
        tuned = load_network(last)
        network, card = fine_tuned(settings["init"], first, tuned, card, predictor_of, validation,
                                   shared_sizes(pairs.photographs("train") + validation))
        save(network, best)
    else:
        card |= tune(seen_by(file), validation)
        if file != best:
            os.replace(file, best)
    card[WEIGHTS] = weights_sum(load_network(best))
    tell_sizes(card, first)
    card.write(best.with_suffix(".json"))
    return card


def tell_sizes(card, first):
    """Says of which sets photographs are not known by their size, or no longer as by the `first` Card."""
    for name in card.get("pens", {}):
        sizes, before = (each.get("picture sizes", {}).get(name, []) for each in (card, first))
        if not sizes or any(size not in sizes for size in before):
            complain(f"{name}: another set that was learned from has pictures of the same size, so eval.py "
                     f"does not know these by it. Give it --pen {name} for them.")


def kept_epoch(best, last, table, native_dice_of):
    """Returns (file, its row of `table`) of the model to keep: the best on validation squares, or the last.

    The last is kept unless it is worse at native size, each at its best threshold: before the rate has come
    down an epoch may look best on a few squares at one threshold, and not be (docs/recipe.md, "The epoch that
    is kept").
    """
    row_of_best, row_of_last = table.loc[table["val_dice_coefficient"].idxmax()], table.iloc[-1]
    if row_of_best["epoch"] == row_of_last["epoch"]:
        return best, row_of_best
    dice_of_best, dice_of_last = native_dice_of(best), native_dice_of(last)
    return (best, row_of_best) if dice_of_last < dice_of_best else (last, row_of_last)
