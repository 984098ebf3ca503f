"""Fits the U-Net to the pairs of augment.py and keeps the best model, with a card that says how it was made.

    python training.py                                  checkpoints/model.keras, its card, history, curves.png
    python training.py --minutes 30                     the same within half an hour (default: an hour)
    python training.py --resume                         goes on with a run that was interrupted
    python training.py --init weights/vessels.keras     starts from a trained model (fine-tuning)

docs/recipe.md tells how the defaults were found, docs/scoring.md what the card holds.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
from model import DEPTH, WIDTH, shape_of
from pictures import draw_curves
from running.again import make_way, mark, same_as_before
from running.command import Problem, run, say, seed_number, typed
from running.files import is_there, read_json, sha256
from running.machine import processors
from running.tensorflow_start import start_tensorflow

BEST, LAST, STATE = "model.keras", "state/last.keras", "state/training.npz"
CARD, HISTORY, CURVES = "model.json", "history.csv", "curves.png"
MINUTES, MINUTES_OF_SAMPLES = 60, 15  # if all epochs take longer here, the rate is annealed to end in time
SHARE_OF_FIT = 0.9  # of the minutes; the rest is for what is chosen on validation
FROM_NOTHING = {"epochs": 15, "rate": 2e-3, "loss": "dice"}
# With --init: what suits ten photographs, in some minutes (docs/fine-tuning.md).
FINE_TUNING, STEPS = {"epochs": None, "rate": 1e-3, "loss": "dice+bce"}, 1000
SETTINGS = ("epochs", "minutes", "batch", "crop", "rate", "loss", "width", "depth", "seed", "precision")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--pairs", type=Path, default=Path("augmented"),
        help="folder that augment.py wrote (default: %(default)s)")
    add("--data", nargs="+", type=Path, metavar="DIR",
        help="where the data of the pairs lies now, if it was moved")
    add("--out", type=Path, default=Path("checkpoints"), help="(default: %(default)s)")
    add("--epochs", type=int, help=f"(default: {FROM_NOTHING['epochs']}; with --init, unless --minutes is "
        f"given too, so many as make {STEPS} steps)")
    add("--minutes", type=float, help="end within this time, the rate annealed to fit; 0: no limit "
        f"(default: {MINUTES}, for the drawn samples {MINUTES_OF_SAMPLES})")
    add("--batch", type=int, default=2, help="crops in a step (default: %(default)s)")
    add("--crop", type=int, choices=[128, 256, 512], default=256,
        help="side of the crops; 512: whole pairs; 128, with --batch 4, makes most of ten minutes "
        "(default: %(default)s)")
    add("--rate", type=float, help=f"Adam's highest learning rate (default: {FROM_NOTHING['rate']}, "
        f"with --init {FINE_TUNING['rate']})")
    add("--loss", help=f"dice, dice+bce, bce, dice+bce+cldice (default: {FROM_NOTHING['loss']}, "
        f"with --init {FINE_TUNING['loss']})")
    add("--width", type=int, default=WIDTH, help="channels at full resolution (default: %(default)s)")
    add("--depth", type=int, default=DEPTH, help="levels (default: %(default)s)")
    add("--init", type=Path, metavar="MODEL",
        help="start from this model's weights; its width and depth count. What is kept is no worse than "
        "it on the validation photographs, by right centrelines or by Dice")
    add("--seed", type=seed_number, default=0, help="(default: %(default)s)")
    add("--workers", type=int, default=processors(),
        help="threads that read pairs (default: all processors, %(default)s here)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(default: %(default)s)")
    add("--devices", type=int, metavar="N", help="GPUs that share each batch (default: as many as can)")
    add("--resume", action="store_true", help="go on with an interrupted run")
    add("--overwrite", action="store_true", help="start anew over an earlier run")
    options = parser.parse_args()
    defaults = FINE_TUNING if options.init else FROM_NOTHING
    options.chosen = {key: value for key, value in defaults.items() if getattr(options, key) is None}
    vars(options).update(options.chosen)
    epochs = 1 if options.epochs is None else options.epochs
    if min(epochs, options.batch, options.width, options.depth, options.workers) < 1 or options.rate <= 0:
        parser.error("--epochs, --batch, --width, --depth, --workers and --rate must be positive")
    if options.minutes is not None and options.minutes < 0:
        parser.error("--minutes must be 0 or more")
    if options.devices is not None and options.devices < 1:
        parser.error("--devices must be positive")
    if options.init and options.init.resolve() in [(options.out / name).resolve() for name in (BEST, LAST)]:
        parser.error(f"--init {options.init} lies where the new model is written: choose another --out")
    return options


def main():
    options = arguments()
    start_tensorflow()
    import keras

    from fitting.callbacks import tensorboard
    from fitting.fine_tuning import card_of
    from fitting.finishing import finish
    from fitting.layers import devices_for, starting_network
    from fitting.pairs import Pairs
    from fitting.resuming import KeepState
    from losses import METRICS, loss

    began = time.time()

    # Data: the pairs that augment.py wrote.
    pairs = Pairs(options.pairs, options.crop, options.data)
    steps = pairs.steps(options.batch)
    minutes = length_of(options, pairs, steps)

    # Network: Adam keeps an average of the weights over half an epoch, which validation and the file take.
    devices = devices_for(options.devices, options.batch)
    with devices.scope():
        network = starting_network(options.width, options.depth, options.precision, options.seed,
                                   options.init)
        adam = keras.optimizers.Adam(options.rate, use_ema=True, ema_momentum=1 - 2 / (steps + 2))
        network.compile(adam, loss(options.loss), metrics=list(METRICS), jit_compile="auto")
        adam.build(network.trainable_variables)
    before = card_of(options.init, shape_of(network), pairs.sources()) if options.init else {}
    settings = settings_of(options, pairs.fingerprint, minutes, shape_of(network))
    if begin(options, settings) == "finished":
        return tell(options.out, read_json(options.out / CARD), finished_before=True)

    # Fit.
    watching = watchers(options, pairs, steps, minutes)
    state = KeepState(options.out / STATE, watching)
    first = state.epoch()
    with devices.scope(), pairs.problems_raised():
        network.fit(pairs.training(options.seed, first, options.epochs, options.batch, options.workers),
                    validation_data=pairs.validation(options.batch, devices.num_replicas_in_sync),
                    epochs=options.epochs, initial_epoch=first, steps_per_epoch=steps, shuffle=False,
                    callbacks=[*watching.values(), *tensorboard(options.out / "tensorboard", pairs), state],
                    verbose=1 if sys.stderr.isatty() else 2)

    # What is chosen afterwards, on the validation photographs: weights, square, calibration, threshold.
    card = finish(options.out / BEST, options.out / LAST, watching["history"], pairs, settings, began, before)
    mark(options.out, settings, finished=True)
    tell(options.out, card)


def length_of(options, pairs, steps):
    """Returns the minutes of the fit, and sets its epochs, of `steps` each, if --init leaves them open.

    Together they are then about STEPS steps, but whoever gives --minutes wants to have those used.
    """
    if options.epochs is None:
        few = min(max(1, round(STEPS / steps)), FROM_NOTHING["epochs"])
        options.epochs = few if options.minutes is None else FROM_NOTHING["epochs"]
    default = MINUTES_OF_SAMPLES if pairs.drawn else MINUTES
    return default if options.minutes is None else options.minutes


def watchers(options, pairs, steps, minutes):
    """Returns what watches the fit, {name: callback}, in the order in which they are called."""
    import keras

    from fitting.callbacks import History, ModelCheckpoint, Watch
    from fitting.schedule import Anneal

    best = {"monitor": "val_dice_coefficient", "mode": "max"}
    return {
        "rate": Anneal(options.epochs * steps, SHARE_OF_FIT * minutes),
        "loss": Watch(lambda epoch, step: pairs.names_of(options.seed, epoch, step, options.batch)),
        "average": keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        "best": ModelCheckpoint(options.out / BEST, save_best_only=True, **best),
        "last": ModelCheckpoint(options.out / LAST),
        "plateau": keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=4, min_delta=5e-4, **best),
        "stopping": keras.callbacks.EarlyStopping(patience=12, min_delta=1e-4, **best),
        "history": History(options.out / HISTORY, lambda table: draw_curves(options.out / CURVES, table)),
    }


def settings_of(options, fingerprint, minutes, shape):
    """Returns what decides the model, for run.json and the card."""
    width, depth = shape
    init, here = options.init, Path.cwd()
    if init and init.is_relative_to(here):
        init = init.relative_to(here)  # so that a project that was moved goes on
    return {"pairs": fingerprint, "init": init.as_posix() if init else None,
            **({"init sha256": sha256(options.init)} if init else {}),
            **{key: getattr(options, key) for key in SETTINGS},
            "minutes": minutes, "width": width, "depth": depth}


def begin(options, settings):
    """Returns the state of --out, 'new', 'unfinished' or 'finished', and clears the folder for a new run.

    Raises Problem if the settings differ, or if the run is unfinished and neither --resume nor --overwrite is
    given.
    """
    compared = {key: value for key, value in settings.items() if key != "init sha256"}
    state = same_as_before(options.out, compared, options.overwrite,
                           earlier={"init sha256": settings.get("init sha256")})
    gone = [file for file in (options.out / BEST, options.out / CARD) if not is_there(file)]
    if state == "finished" and gone:
        raise Problem(f"{gone[0]}: is gone or empty. Put it back, or train anew with --overwrite.")
    if state == "unfinished" and not options.resume:
        raise Problem(f"{options.out}: holds an unfinished run. "
                      "Give the same command with --resume, or start anew with --overwrite.")
    if state == "new":
        if options.resume:
            say(f"{options.out}: there is no run to go on with; it begins anew.")
        written = STATE, LAST, BEST, CARD, HISTORY, CURVES
        make_way(options.out, written, written, overwrite=True)
        mark(options.out, settings, finished=False)
    if options.init and options.chosen and state != "finished":
        chosen = " ".join(f"--{key} {getattr(options, key)}" for key in options.chosen)
        say(f"Chosen for fine-tuning: {chosen}")
    return state


def tell(out, card, finished_before=False):
    """Says how good the model is, where it lies and what comes next."""
    dice, roc_auc, dice_with_tta = (f"{score:.4f}" for score in (
        card["validation"]["dice"], card["validation"]["roc_auc"], card["tta"]["validation"]["dice"]))
    following = typed("python", "testing.py", *["--model", out / BEST] * (out != Path("checkpoints")))
    tuned = card.get("fine-tuning", {"share": 1})
    if "kept" in tuned:
        say(tuned["kept"])
    if finished_before:
        say(f"{out}: this run is finished (validation Dice {dice}). Next: {following}")
    elif not tuned["share"]:
        say(f"The model is {out / BEST}. Next: {following}")
    else:
        say(f"Best epoch {card['best epoch']} of {card['epochs']}: validation Dice {dice}, ROC AUC {roc_auc} "
            f"at native size, with --tta {dice_with_tta}. The model is {out / BEST}. Next: {following}")


def goes_on(words):
    """Returns how to go on with the run of a command that had these words behind training.py."""
    kept = [word for word in words if word not in ("--resume", "--overwrite")]
    return f"Go on with  {typed('python', 'training.py', *kept, '--resume')}"


if __name__ == "__main__":
    sys.exit(run(main, goes_on(sys.argv[1:])))
