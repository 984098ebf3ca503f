"""The U-Net, its precision, and how it is kept: a stock Keras file with a card (JSON) beside it.

    python model.py                                            the network's summary
    python model.py --export savedmodel|onnx|litert            the model in another form, checked against the original
"""

import argparse
import contextlib
import importlib.util
import io
import json
import re
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from files import Problem, read_json, run, say, start_tensorflow, whole

WIDTH, DEPTH = 16, 4
WIDEST = 2048  # channels at the bottom; 120 million parameters. A file that asks for more is not one of ours
PROBABILITY = "probability"
CHECKPOINT, SHIPPED = Path("checkpoints/model.keras"), Path(__file__).parent / "weights" / "vessels.keras"


def unet(width=WIDTH, depth=DEPTH, precision="float32", layers=None, folded=False):
    """U-Net of Ronneberger et al. 2015 (arXiv 1505.04597) with batch normalization and padded convolutions.

    (N, H, W, 3) in [0, 1] -> (N, H, W, 1) float32 in [0, 1]; H and W are multiples of 2^depth. `width` channels at full
    resolution, twice as many each level down. `layers` is keras.layers or fused. `folded` leaves out the batch normalizations
    and composes the way up: the weights that go there come from `fold`. Problem if width or depth make no sense.
    """
    import keras

    if not (width >= 1 and 1 <= depth <= 8 and width << depth <= WIDEST):
        raise Problem(f"A U-Net of width {width} and depth {depth} cannot be built: choose a depth of 1 to 8 "
                      f"and a width of 1 to {WIDEST} / 2^depth.")
    layers = layers or keras.layers
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"

    def convolve(x, channels, name):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=folded, activation="relu" if folded else None,
                          kernel_initializer="zeros" if folded else "he_normal", dtype=policy, name=name)(x)
        if folded:
            return x
        x = layers.BatchNormalization(dtype=policy, name=f"{name}_normalization")(x)
        return layers.ReLU(dtype=policy, name=f"{name}_relu")(x)

    def block(x, channels, name):
        return convolve(convolve(x, channels, f"{name}_1"), channels, f"{name}_2")

    def join(skip, below, channels, name):
        grown = layers.Conv2DTranspose(channels, 2, strides=2, padding="same", use_bias=False, dtype=policy,
                                       name=f"{name}_grow")(below)
        return convolve(layers.Concatenate(dtype=policy, name=f"{name}_skip")([skip, grown]), channels, f"{name}_1")

    def join_composed(skip, below, channels, name):
        grown = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", use_bias=False, dtype=policy,
                                       name=f"{name}_grow")(below)
        seen = layers.Conv2D(channels, 3, padding="same", dtype=policy, name=f"{name}_1")(skip)
        return layers.ReLU(dtype=policy, name=f"{name}_relu")(layers.Add(dtype=policy, name=f"{name}_sum")([seen, grown]))

    x = inputs = keras.Input((None, None, 3), name="photograph")
    skips = []
    for level in range(depth):
        x = block(x, width << level, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(dtype=policy, name=f"pool{level}")(x)
    x = block(x, width << depth, "bottom")
    for level in reversed(range(depth)):
        x = (join_composed if folded else join)(skips[level], x, width << level, f"up{level}")
        x = convolve(x, width << level, f"up{level}_2")
    # float32: bfloat16 has 8 bits of mantissa, and thresholds and ROC curves would turn into stairs
    outputs = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=PROBABILITY)(x)
    return keras.Model(inputs, outputs, name="unet")


def network(width=WIDTH, depth=DEPTH, precision="float32"):
    """The U-Net to train: of the layers in fitting/fused.py where they pay (TensorFlow on a CPU), else of stock layers."""
    if not tensorflow_on_cpu():
        return unet(width, depth, precision)
    from fitting import fused

    return unet(width, depth, precision, fused)


def tensorflow_on_cpu():
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def hardware_precision(choice="auto"):
    """'auto', 'float32' or 'bfloat16' -> the last two; 'auto' is bfloat16 only where the hardware computes in it.

    In software bfloat16 is slower than float32. Processors: AVX512_BF16 or AMX; GPUs: compute capability 8 (Ampere).
    """
    if choice != "auto":
        return choice
    gpus = _gpu_capabilities()
    if gpus:
        return "bfloat16" if min(gpus) >= (8, 0) else "float32"
    return "bfloat16" if processor_flags() & {"avx512_bf16", "amx_bf16"} else "float32"


def processor_flags():
    """What the processor can do, as Linux tells it of x86; the empty set elsewhere."""
    try:
        return set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    except (OSError, TypeError):  # not Linux, or a processor that describes itself otherwise
        return set()


def _gpu_capabilities():
    """Compute capabilities of the GPUs that TensorFlow sees: [(major, minor)]."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return [detail.get("compute_capability", (0, 0)) for detail in details]


def shape_of(model):
    """(width, depth) of a U-Net made here."""
    names = [layer.name for layer in model.layers]
    return model.get_layer("down0_1").filters, sum(name.endswith("_grow") for name in names)


def copy_weights(source, target):
    """From one U-Net of the same width and depth to another, whatever their precision and kind of normalization."""
    for layer in source.layers:
        if layer.weights:
            target.get_layer(layer.name).set_weights(layer.get_weights())


def fold(model, precision="float32"):
    """A U-Net for prediction that gives the same probabilities from fewer operations.

    Batch normalizations go into the convolutions before them: gamma (w * x - mean) / s + beta = (gamma w / s) * x +
    (beta - gamma mean / s), with s = sqrt(variance + epsilon). On the way up the convolution of a concatenation is the sum of
    two, and that of a transposed convolution with stride 2 is itself one, of 4x4.
    """
    width, depth = shape_of(model)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for name in [name for name in weights if f"{name}_normalization" in weights]:
        gamma, beta, mean, variance = weights[f"{name}_normalization"]
        scale = gamma / (variance + model.get_layer(f"{name}_normalization").epsilon) ** 0.5
        weights[name] = [weights[name][0] * scale, beta - mean * scale]
    for level in range(depth):
        kernel, bias = weights[f"up{level}_1"]
        weights[f"up{level}_1"] = [kernel[:, :, :width << level], bias]
        weights[f"up{level}_grow"] = [composed(weights[f"up{level}_grow"][0], kernel[:, :, width << level:])]
    folded = unet(width, depth, precision, folded=True)
    for layer in folded.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return folded


def composed(grow, kernel):
    """(2, 2, C, I), transposed with stride 2, then (3, 3, C, K) -> one of (4, 4, K, I), transposed with stride 2."""
    from keras import ops

    turned = ops.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
    both = ops.conv_transpose(ops.transpose(grow, (3, 0, 1, 2)), turned, strides=1, padding="valid")
    return ops.transpose(both, (1, 2, 3, 0))


def save(model, path):
    """Write `model` as a file that stock Keras loads without this project: stock layers, float32, no optimizer."""
    portable = unet(*shape_of(model))
    copy_weights(model, portable)
    with whole(path) as beside:
        portable.save(beside)


def find_model(given=None):
    """The model to use: the one `given`, else the one trained last, else the one that comes with the project."""
    if given:
        return Path(given)
    return CHECKPOINT if CHECKPOINT.exists() else SHIPPED


def load(path):
    """(model, card) of a model file and the JSON beside it. Problem where either cannot be used."""
    model = load_network(path)
    return model, _read_card(Path(path).with_suffix(".json"), *shape_of(model))


def load_network(path):
    """The model of a model file, with or without a card beside it: stock layers in float32.

    Nothing in the file is run or built: it may only fill the weights of a U-Net made here. Problem where it cannot.
    """
    import numpy as np

    path = Path(path)
    model = _network_of(path)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "model.weights.h5"  # twice as fast to read as within the archive
        alone.write_bytes(_weights_of(path, model.count_params()))
        try:
            model.load_weights(alone)
        except Exception as error:  # whatever a damaged file makes h5py or Keras raise
            raise _unusable(path, "its weights cannot be read") from error
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise _unusable(path, "some of its weights are not numbers")
    return model


def _unusable(path, reason):
    return Problem(f"{path}: not a model of this project ({reason}). Train one by training.py, or give another --model.")


# What decides a layer's arithmetic, besides its class and its inputs
SETTINGS = ("filters", "kernel_size", "strides", "padding", "pool_size", "dilation_rate", "groups", "use_bias",
            "activation", "axis", "epsilon", "center", "scale", "max_value", "negative_slope", "threshold", "data_format")


def _outline(config):
    """A network's configuration, as in a .keras file, -> {layer: (class, settings, inputs)}."""
    outline = {}
    for layer in config["config"]["layers"]:
        settings = [layer["config"].get(key) for key in SETTINGS]
        inputs = re.findall(r'"keras_history": \["([^"]*)"', json.dumps(layer["inbound_nodes"]))
        outline[layer["config"]["name"]] = (layer["class_name"], settings, inputs)
    return outline


def _network_of(path):
    """A U-Net made here whose configuration is that of the model file, still without the file's weights."""
    if not path.is_file():
        raise Problem(f"{path}: there is no such model. Train one with training.py, or give another --model.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > 1 << 22:
                raise ValueError("a configuration of this size is none of ours")
            outline = _outline(json.loads(archive.read("config.json")))
        width = outline["down0_1"][1][0]
        depth = sum(name.endswith("_grow") for name in outline)
    except Exception as error:  # whatever a damaged or hostile file makes zipfile and json raise
        raise _unusable(path, "it cannot be read as a Keras U-Net") from error
    if not isinstance(width, int) or not (width >= 1 and 1 <= depth <= 8 and width << depth <= WIDEST):
        raise _unusable(path, f"a U-Net of width {str(width)[:20]} and depth {depth}")
    model = unet(width, depth)
    if outline != _outline(json.loads(model.to_json())):
        raise _unusable(path, "other layers than those of model.py")
    return model


def _weights_of(path, count):
    """The weights within a model file, still packed: as many numbers as the network has, and no file behind the file."""
    import h5py

    sizes = []
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("model.weights.h5").file_size > 8 * count + (1 << 22):
                raise ValueError("more bytes than weights")
            packed = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(packed)) as store:
            store.visititems(lambda name, entry: sizes.append(getattr(entry, "size", 0)))
    except Exception as error:  # whatever a damaged or hostile file makes zipfile and h5py raise
        raise _unusable(path, "its weights are damaged") from error
    if sum(sizes) != count:
        raise _unusable(path, f"{sum(sizes):,} weights where the network has {count:,}")
    return packed


def _read_card(path, width, depth):
    if not path.is_file():
        raise Problem(f"{path}: the model's card is missing (threshold, squares), which training.py writes when it ends. "
                      "Go on with its --resume, put the card beside the model again, or give another --model.")
    card = read_json(path)
    shape = card.get("network") if isinstance(card, dict) else None
    if not isinstance(shape, dict) or (shape.get("width"), shape.get("depth")) != (width, depth):
        raise Problem(f"{path}: this card is of another model (network {str(shape)[:60]}; the file beside it has width "
                      f"{width} and depth {depth}). Put the card and the model of the same training side by side.")
    threshold = card.get("threshold")
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise Problem(f"{path}: the threshold must be a number from 0 to 1, not {threshold!r}. Mend the card.")
    odd = next((key for key, sound in _sound(card).items() if not sound), None)
    if odd:
        raise Problem(f"{path}: its {odd} make no sense. Restore the card that training.py wrote.")
    return card


def _sound(card):
    """{what prediction and testing take from a card: whether they can}."""
    def number(value, low, high):
        return isinstance(value, (int, float)) and low <= value <= high

    def each(value, check, kind=dict):
        return isinstance(value, kind) and all(map(check, value.values() if kind is dict else value))

    def plan(part):
        sides, calibration = part.get("sides", [512]), part.get("calibration") or {}
        return (each(sides, lambda side: isinstance(side, int) and 1 <= side <= 4096, list) and len(sides) > 0
                and isinstance(calibration, dict) and number(calibration.get("temperature", 1), 1e-3, 1e3)
                and number(calibration.get("bias", 0), -1e3, 1e3) and number(part.get("threshold"), 0, 1))

    tta, width = card.get("tta", card), card.get("vessel width")
    return {"squares or calibration": plan(card), "squares or calibration for --tta": isinstance(tta, dict) and plan(tta),
            "vessel width": width is None or number(width, 0.1, 100),
            "sides of FOVs": each(card.get("fov sides", [1, 1]), lambda side: number(side, 1, 1e5), list)
                             and len(card.get("fov sides", [1, 1])) == 2,
            "lists of data": each(card.get("data", {}), lambda parts: each(parts, lambda part: isinstance(part, dict))),
            "limits for photographs": each(card.get("photographs", {}), lambda least: number(least, 0, 1e9))}


FORMATS = {"savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}
NEEDED = {"onnx": ("tf2onnx", "onnx", "onnxruntime")}


def export(path, kind, out=None, side=512):
    """Write the folded float32 model for N photographs of side x side; returns (where, largest difference found).

    `kind` is a key of FORMATS. Problem if an extra package is missing or the probabilities differ by more than 1e-4.
    """
    import numpy as np

    missing = [name for name in NEEDED.get(kind, ()) if not importlib.util.find_spec(name)]
    if missing:
        raise Problem(f"--export {kind} needs {', '.join(missing)}: pip install -r requirements-export.txt")
    model, card = load(path)
    if side < 1 or side % (1 << card["network"]["depth"]):
        raise Problem(f"--side {side}: choose a multiple of {1 << card['network']['depth']}.")
    out = Path(out or path.with_name(path.stem + (FORMATS[kind] or "_savedmodel")))
    if out.suffix != FORMATS[kind]:
        raise Problem(f"--out {out}: choose a name that ends in {FORMATS[kind]}." if FORMATS[kind]
                      else f"--out {out}: a SavedModel is a folder: choose a name without an ending.")
    picture = np.random.default_rng(0).random((1, side, side, 3), dtype=np.float32)
    with warnings.catch_warnings(), _whole_folder(out) if kind == "savedmodel" else whole(out) as beside:
        warnings.simplefilter("ignore")  # of the converters among themselves; what counts is the comparison below
        write_as(fold(model), kind, beside, side)
        difference = float(np.abs(_reader(kind, beside)(picture) - np.asarray(model(picture))).max())
        if not difference <= 1e-4:
            raise Problem(f"{out}: not written, since its probabilities differ by {difference:.1e} from the model's.")
    return out, difference


@contextlib.contextmanager
def _whole_folder(out):
    """A temporary folder beside `out` that takes its name when all went well. Problem if there is something already."""
    if out.exists():
        raise Problem(f"{out}: is there already. Remove it, or choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out.parent) as folder:
        beside = Path(folder) / out.name
        yield beside
        beside.replace(out)


def write_as(folded, kind, path, side):
    import keras

    # a fixed height and width give transposed convolutions without shape arithmetic around them
    signature = [keras.InputSpec(shape=(None, side, side, 3), dtype="float32", name="photograph")]
    kind = {"savedmodel": "tf_saved_model"}.get(kind, kind)
    folded.export(str(path), format=kind, input_signature=signature, verbose=False)


def _reader(kind, path):
    """An exported model as a function (1, side, side, 3) float32 -> (1, side, side, 1) float32, by its own runtime."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda picture: session.run(None, {session.get_inputs()[0].name: picture})[0]
    import tensorflow as tf

    if kind == "savedmodel":
        loaded = tf.saved_model.load(str(path))
        return lambda picture: loaded.serve(picture).numpy()
    signature = tf.lite.Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda picture: next(iter(signature(**{next(iter(signature.get_input_details())): picture}).values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help=f"model file (default: {CHECKPOINT}, else weights/{SHIPPED.name})")
    parser.add_argument("--export", choices=FORMATS, help="write the model in this form, ready for prediction")
    parser.add_argument("--out", type=Path, help="where to (default: beside the model)")
    parser.add_argument("--side", type=int, default=512, help="height and width of the exported model (default: 512)")
    arguments = parser.parse_args()
    if importlib.util.find_spec("tensorflow"):
        start_tensorflow()
    if not arguments.export:
        (load(arguments.model)[0] if arguments.model else unet()).summary(line_length=110)
        return
    path = find_model(arguments.model)
    out, difference = export(path, arguments.export, arguments.out, arguments.side)
    say(f"{path} -> {out}: probabilities equal to {difference:.0e}. "
        f"Give it RGB in [0, 1], (N, {arguments.side}, {arguments.side}, 3).")


if __name__ == "__main__":
    sys.exit(run(main))
