"""Time to accuracy: minutes of training.py until a validation Dice is reached, and of stock Keras beside it.

    python benchmarks/accuracy.py --data datasets/DRIVE [--reach 0.8 0.81 0.82] [-- FLAGS OF training.py]

Both train on the same pairs with the same loss, optimizer and schedule, one after the other. The second has
Keras's own layers in float32, and TensorFlow as it comes. Dice is that of the card: validation photographs,
one view, native size, in the FOV, with the square and threshold chosen for each epoch's model. It takes as
long as two trainings, over two hours by default, so all.py leaves it out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import ROOT, as_process, describe, flags, in_markdown

from running.tensorflow_start import start_tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # also of the processes started here

TRAININGS = {"this project": [ROOT / "training.py"],
             "Keras, stock layers, float32": [__file__, "stock"]}


def stock_training(words):
    """Runs training.py with Keras's own layers; TensorFlow is imported before its switches can be set."""
    import training
    from fitting import layers

    layers.trainable = lambda plain, precision: layers.rebuilt(plain)
    sys.argv = ["training.py", *words]
    return training.main()


def epochs_of(process, out):
    """Yields (minutes, a copy of its model's file) of each epoch of a training as it ends."""
    began, seen, history = time.perf_counter(), 0, out / "history.csv"
    while process.poll() is None:
        time.sleep(0.5)
        rows = len(history.read_text(encoding="utf-8").splitlines()) - 1 if history.exists() else 0
        if rows > seen:
            seen, minutes = rows, (time.perf_counter() - began) / 60
            yield minutes, shutil.copy(out / "state/last.keras", out / f"{seen}.keras")
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, process.args))} failed.")


def trained(name, pairs, out, words):
    """Returns [(minutes, model file), ...] of the epochs of one of TRAININGS."""
    command = [sys.executable, *TRAININGS[name], "--pairs", pairs, "--out", out, *words]
    epochs = []
    for minutes, file in epochs_of(subprocess.Popen(command, stdout=subprocess.DEVNULL), out):
        epochs.append((minutes, file))
        print(f"{name}: epoch {len(epochs)} after {minutes:.1f} minutes", flush=True)
    return epochs


def scorer(pairs, model):
    """Returns a function, model file -> Dice as its card would say it, given a model that has a card."""
    start_tensorflow()
    import checkpoint
    from fitting.pairs import Pairs
    from fitting.threshold import tune
    from predict import Predictor

    plan, photographs = checkpoint.load(model)[1].plan(), Pairs(pairs).photographs("validation")

    def dice(file):
        return tune(Predictor(checkpoint.load_network(file), plan), photographs)["validation"]["dice"]

    return dice


def reached(epochs, least):
    """Returns in words after how many minutes a Dice was reached first, of [(minutes, Dice), ...]."""
    return next((f"{minutes:.1f}" for minutes, dice in epochs if dice >= least), "not reached")


def main():
    if sys.argv[1:2] == ["stock"]:
        return stock_training(sys.argv[2:])
    parser = flags(__doc__)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--copies", default="40", help="(default: %(default)s)")
    parser.add_argument("--reach", nargs="+", type=float, default=[0.80, 0.81, 0.82], metavar="DICE",
                        help="(default: %(default)s)")
    parser.add_argument("flags", nargs="*", help="for training.py, after --")
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seconds, _ = as_process(sys.executable, ROOT / "augment.py", "--data", *options.data, "--copies",
                                options.copies, "--out", work / "pairs")
        print(f"The pairs took {seconds / 60:.1f} minutes.", flush=True)
        files = {name: trained(name, work / "pairs", work / name, options.flags) for name in TRAININGS}
        dice = scorer(work / "pairs", work / "this project/model.keras")
        found = [[(minutes, dice(file)) for minutes, file in epochs] for epochs in files.values()]
    in_markdown(["minutes to a validation Dice of", *files],
                [[f"{least:.2f}", *(reached(epochs, least) for epochs in found)] for least in options.reach])
    for name, epochs in zip(files, found, strict=True):
        print(f"{name}: Dice", ", ".join(f"{dice:.4f} after {minutes:.1f}" for minutes, dice in epochs))


if __name__ == "__main__":
    sys.exit(main())
