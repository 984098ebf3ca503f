"""Writes a model in another form, for prediction without this project, and checks it against the original.

    python export.py --format savedmodel        a folder for TensorFlow and TensorFlow Serving
    python export.py --format onnx              a file for ONNX Runtime (needs requirements-export.txt)
    python export.py --format litert            a file for LiteRT, once called TensorFlow Lite

All take RGB in [0, 1], (N, S, S, 3) float32, and give the network's probabilities, not yet calibrated.
"""

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
from checkpoint import CHECKPOINT, SHIPPED, find_model, load
from running.command import Problem, run, say
from running.files import UNFINISHED, told_as, whole
from running.tensorflow_start import start_tensorflow

FORMATS = {"savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}  # and how their names end
NEEDED = {"onnx": ("tf2onnx", "onnx", "onnxruntime")}
MOST_DIFFERENCE = 1e-4  # between the probabilities of the two forms


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--format", choices=FORMATS, required=True, help="the form to write")
    add("--model", type=Path, help=f"model file (default: {CHECKPOINT}, else weights/{SHIPPED.name})")
    add("--out", type=Path, help="where to write it (default: beside the model)")
    add("--side", type=int, default=512, help="S, the height and width that it takes (default: %(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    start_tensorflow()
    path = find_model(options.model)
    out, difference = export(path, options.format, options.out, options.side)
    say(f"{path} -> {out}: the probabilities differ by at most {difference:.0e}. "
        f"Give it RGB in [0, 1], (N, {options.side}, {options.side}, 3).")


def export(path, form, out=None, side=512):
    """Writes the folded model in float32 for N squares of `side`; returns (where, largest difference found).

    `form` is a key of FORMATS. Raises Problem if a package is missing, if an argument does not fit, or if the
    probabilities differ by more than MOST_DIFFERENCE.
    """
    from prediction.folded_network import folded

    missing = [name for name in NEEDED.get(form, ()) if not importlib.util.find_spec(name)]
    if missing:
        raise Problem(f"--format {form} needs {', '.join(missing)}: pip install -r requirements-export.txt")
    out = _place(path, form, out)
    network, card = load(path)
    step = 1 << card["network"]["depth"]
    if side < 1 or side % step:
        raise Problem(f"--side {side}: choose a multiple of {step}.")
    squares = np.random.default_rng(0).random((1, side, side, 3), dtype=np.float32)
    with warnings.catch_warnings(), _whole_folder(out) if form == "savedmodel" else whole(out) as beside:
        warnings.simplefilter("ignore")  # of the converters among themselves; what counts is compared below
        write_as(folded(network), form, beside, side)
        difference = float(np.abs(exported(form, beside)(squares) - np.asarray(network(squares))).max())
        if not difference <= MOST_DIFFERENCE:
            raise Problem(f"{out}: not written, because its probabilities differ by {difference:.1e} "
                          "from the model's.")
    return out, difference


def _place(path, form, out):
    """Returns where to write: `out`, or a name beside the model.

    Raises Problem if its ending is wrong, or if there is something already, which may be somebody's own.
    """
    ending = FORMATS[form]
    out = Path(out or path.with_name(path.stem + (ending or "_savedmodel")))
    if out.suffix != ending:
        raise Problem(f"--out {out}: choose a name that ends in {ending}." if ending
                      else f"--out {out}: a SavedModel is a folder: choose a name without an ending.")
    if os.path.lexists(out):
        raise Problem(f"{out}: exists already. Remove it, or choose another --out.")
    return out


@contextlib.contextmanager
def _whole_folder(out):
    """Gives a folder beside `out` that takes its name if all goes well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with told_as(out), tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=out.parent) as folder:
        beside = Path(folder) / out.name
        yield beside
        beside.replace(out)


def write_as(network, form, path, side):
    """Writes a network as one for squares of `side`."""
    import keras

    # A fixed size spares the transposed convolutions the arithmetic of their shapes.
    signature = [keras.InputSpec(shape=(None, side, side, 3), dtype="float32", name="photograph")]
    network.export(str(path), format={"savedmodel": "tf_saved_model"}.get(form, form),
                   input_signature=signature, verbose=False)


def exported(form, path):
    """Returns an exported model, run by its own runtime, as a function (N, S, S, 3) -> (N, S, S, 1).

    No runtime keeps the file open, which could not be renamed then on Windows.
    """
    if form == "onnx":
        import onnxruntime  # of requirements-export.txt

        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        return lambda squares: session.run(None, {session.get_inputs()[0].name: squares})[0]
    import tensorflow as tf

    if form == "savedmodel":
        loaded = tf.saved_model.load(str(path))
        return lambda squares: loaded.serve(squares).numpy()
    runner = tf.lite.Interpreter(model_content=path.read_bytes()).get_signature_runner("serving_default")
    name, = runner.get_input_details()
    return lambda squares: next(iter(runner(**{name: squares}).values()))


if __name__ == "__main__":
    sys.exit(run(main))
