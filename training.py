"""Fits the U-Net to the pairs of augment.py and keeps the best model, with a card that says how it came about.

    python training.py                                  checkpoints/model.keras, model.json, history.csv, curves.png
    python training.py --minutes 30                     the same within half an hour (default: an hour)
    python training.py --resume                         goes on with a run that was interrupted
    python training.py --init weights/vessels.keras     starts from a trained model (fine-tuning)
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

from files import Problem, mark, read_json, run, same_as_before, say, start_tensorflow, write_json

EPOCHS, BATCH, CROP, RATE = 15, 2, 256, 2e-3
BEST, LAST = "model.keras", "state/last.keras"
MINUTES, MINUTES_OF_SAMPLES = 60, 15  # where a processor needs longer for all epochs, the rate is annealed to end in time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--pairs", type=Path, default=Path("augmented"), help="folder that augment.py wrote (default: %(default)s)")
    add("--out", type=Path, default=Path("checkpoints"), help="(default: %(default)s)")
    add("--epochs", type=int, default=EPOCHS, help="(default: %(default)s)")
    add("--minutes", type=float, help="end within this time, the rate annealed to fit; 0: no limit "
        f"(default: {MINUTES}, of the drawn samples {MINUTES_OF_SAMPLES})")
    add("--batch", type=int, default=BATCH, help="crops of pairs a step (default: %(default)s)")
    add("--crop", type=int, choices=[256, 512], default=CROP, help="side of the crops; 512: whole pairs (default: %(default)s)")
    add("--rate", type=float, default=RATE, help="Adam's highest learning rate (default: %(default)s)")
    add("--loss", default="dice", help="dice, dice+bce, bce, dice+bce+cldice (default: %(default)s)")
    add("--width", type=int, default=16, help="channels at full resolution (default: %(default)s)")
    add("--depth", type=int, default=4, help="levels (default: %(default)s)")
    add("--init", type=Path, metavar="MODEL", help="start from this model's weights; its width and depth count")
    add("--seed", type=int, default=0, help="(default: %(default)s)")
    add("--workers", type=int, default=os.cpu_count(), help="threads that read pairs (default: all cores, %(default)s here)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(default: %(default)s)")
    add("--devices", type=int, metavar="N", help="GPUs to share each batch among (default: all there are)")
    add("--resume", action="store_true", help="go on with an interrupted run")
    add("--overwrite", action="store_true", help="start anew over an earlier run")
    options = parser.parse_args()
    if min(options.epochs, options.batch, options.width, options.depth, options.workers) < 1 or options.rate <= 0:
        parser.error("--epochs, --batch, --width, --depth, --workers and --rate must be positive")
    if options.minutes is not None and options.minutes < 0:
        parser.error("--minutes must be 0 or more")
    if options.devices is not None and options.devices < 1:
        parser.error("--devices must be positive")
    return options


def settings_of(options, pairs):
    keys = ("epochs", "minutes", "batch", "crop", "rate", "loss", "width", "depth", "seed", "precision")
    return {"pairs": pairs.fingerprint, "init": str(options.init) if options.init else None,
            **{key: getattr(options, key) for key in keys}}


def prepare(options, settings):
    """Whether there is something to do in --out; an unfinished run wants --resume or --overwrite."""
    state = same_as_before(options.out, settings, options.overwrite)
    if state == "unfinished" and not options.resume:
        raise Problem(f"{options.out}: holds an unfinished run. Go on with --resume, or start anew with --overwrite.")
    if state == "new":
        if options.overwrite:
            mark(options.out, {}, finished=False)  # killed while it is cleared, the folder holds no run that goes on
        for name in ("state/training.npz", LAST, BEST, "model.json", "history.csv", "curves.png"):
            (options.out / name).unlink(missing_ok=True)
        mark(options.out, settings, finished=False)
    return state


def build(options, steps):
    """The compiled network: Adam with an exponential average of the weights, which validation and the file take.

    With --init its weights are that model's, and --width and --depth become that model's too.
    """
    import keras
    import tensorflow as tf

    import metrics
    import model as models
    from fitting.devices import mirrored

    precision = models.hardware_precision(options.precision)
    if options.init:
        if options.init.resolve() == (options.out / BEST).resolve():
            raise Problem(f"{options.init}: lies where the new model is written. Choose another --out.")
        first = models.load_network(options.init)  # the best model of a run that broke off has no card yet
        options.width, options.depth = models.shape_of(first)
    keras.utils.set_random_seed(options.seed)
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    network = (mirrored if several else models.network)(options.width, options.depth, precision)
    if options.init:
        models.copy_weights(first, network)
    adam = keras.optimizers.Adam(options.rate, use_ema=True, ema_momentum=1 - 2 / (steps + 2))  # half an epoch
    network.compile(optimizer=adam, loss=metrics.loss(options.loss), metrics=list(metrics.METRICS), jit_compile="auto")
    adam.build(network.trainable_variables)
    return network


def watchers(options, pairs, steps):
    import importlib.util

    import keras

    from fitting import callbacks
    from pictures import draw_curves

    best = {"monitor": "val_dice_coefficient", "mode": "max"}
    listening = [
        callbacks.Anneal(options.epochs * steps, 0.9 * options.minutes),  # the rest is for what is chosen on validation
        callbacks.Watch(lambda epoch, batch: pairs.names_of(options.seed, epoch, batch, options.batch)),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        callbacks.Keep(options.out / BEST, save_best_only=True, **best),
        callbacks.Keep(options.out / LAST),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4, min_delta=5e-4, **best),
        keras.callbacks.EarlyStopping(patience=12, min_delta=1e-4, **best),
        callbacks.Table(options.out / "history.csv", lambda table: draw_curves(options.out / "curves.png", table)),
    ]
    glimpse = []
    if importlib.util.find_spec("tensorboard"):
        glimpse = [callbacks.Glimpse(options.out / "tensorboard", pairs.validation(1))]
    return [*listening, *glimpse, callbacks.KeepState(options.out / "state/training.npz", listening)]


def fit(options, pairs, network):
    """Trains, or goes on training; the best model and the last are in --out afterwards."""
    steps = pairs.steps(options.batch)
    listening = watchers(options, pairs, steps)
    first = listening[-1].epoch()
    validation, devices = pairs.validation(options.batch), network.distribute_strategy.num_replicas_in_sync
    if devices > 1:  # as often as there are devices: the same means, and in the last batch no device is left without a square
        validation = validation.unbatch().repeat(devices).batch(options.batch)
    try:
        network.fit(pairs.training(options.seed, first, options.epochs, options.batch, options.workers), epochs=options.epochs,
                    initial_epoch=first, steps_per_epoch=steps, validation_data=validation,
                    callbacks=listening, shuffle=False, verbose=1 if sys.stderr.isatty() else 2)
    except Exception as error:
        raise pairs.problem or error from None  # TensorFlow wraps what went wrong in reading a pair


def kept_model(options, pairs, history, card):
    """(file, its row of `history`) of the model that stays: the best on validation squares, or the last, unless it is worse.

    The two are compared at native size, each at its best threshold. Before the rate has come down an epoch may look best on
    a few squares at one threshold, and not be (benchmarks/recipe.md, "The epoch that is kept").
    """
    from fitting.tuning import native_dice

    files = options.out / BEST, options.out / LAST
    best, last = history.loc[history["val_dice_coefficient"].idxmax()], history.iloc[-1]
    if best["epoch"] == last["epoch"]:
        return files[0], best
    of_best, of_last = (native_dice(file, card, pairs.photographs("validation"), options.precision) for file in files)
    return (files[0], best) if of_last < of_best else (files[1], last)


def write_card(options, pairs, began):
    """Chooses epoch, squares, calibration and threshold on the validation photographs at native size; writes model and card."""
    import keras
    import pandas as pd
    import tensorflow as tf

    import model as models
    from fitting.tuning import tune

    history = pd.read_csv(options.out / "history.csv")
    card = {
        "network": {"width": options.width, "depth": options.depth},
        "loss": options.loss,
        "recipe": {**settings_of(options, pairs), "augmentation": pairs.recipe},
        "epochs": len(history),
        "data": pairs.sources(), "seed": options.seed, "seconds": round(time.time() - began),
        "precision": models.hardware_precision(options.precision),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
        "licence": pairs.licence(),
        **seen_in(pairs.photographs("train")),
    }
    kept, row = kept_model(options, pairs, history, card)
    card |= {"best epoch": int(row["epoch"]),
             "best validation square": {key[4:]: round(float(row[key]), 5) for key in history if key.startswith("val_")}}
    card.update(tune(kept, card, pairs.photographs("validation"), options.precision))
    if kept != options.out / BEST:
        os.replace(kept, options.out / BEST)
    write_json(options.out / "model.json", card)
    return card


def seen_in(photographs):
    """What the network has met: the range of the FOVs' sides in pixels, which decides how wide vessels are drawn, and the least
    of each quantity, for eval.py to warn of a photograph that is darker, less sharp or smaller."""
    import data

    found = []
    for photograph in photographs:
        rgb = data.read_photograph(photograph.path)
        found.append(data.describe(rgb, data.fov_of(photograph, rgb)))
    sides = [round(one["side"]) for one in found]
    return {"fov sides": [min(sides), max(sides)],
            "photographs": {key: float(f"{min(one[key] for one in found):.4g}") for key in found[0]}}


def main():
    options = arguments()
    start_tensorflow()
    import tensorflow as tf

    from fitting.devices import chosen_devices, shared_by
    from fitting.pairs import Pairs

    began = time.time()
    pairs = Pairs(options.pairs, options.crop)
    if options.minutes is None:
        options.minutes = MINUTES_OF_SAMPLES if pairs.drawn else MINUTES
    strategy = shared_by(chosen_devices(options.devices, options.batch, tf.config.list_logical_devices("GPU")))
    with strategy.scope():
        network = build(options, pairs.steps(options.batch))  # a flag that makes no sense is refused before anything is removed
    settings = settings_of(options, pairs)
    if prepare(options, settings) == "finished":
        card = read_json(options.out / "model.json")
        say(f"{options.out}: this run is finished (validation Dice {card['validation']['dice']:.4f}). Next: python testing.py")
        return 0
    with strategy.scope():
        fit(options, pairs, network)
    card = write_card(options, pairs, began)
    mark(options.out, settings, finished=True)
    model_file = options.out / BEST
    chosen = "" if options.out == Path("checkpoints") else f" --model {model_file}"
    say(f"Best epoch {card['best epoch']} of {card['epochs']}: validation Dice {card['validation']['dice']:.4f}, ROC AUC "
        f"{card['validation']['roc_auc']:.4f} at native size, with --tta {card['tta']['validation']['dice']:.4f}. "
        f"The model is {model_file}. Next: python testing.py{chosen}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main, "Go on with  python training.py --resume"))
