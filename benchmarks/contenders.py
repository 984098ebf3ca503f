"""The same U-Net by this project and by others, each in a process of its own that waits to be told to work.

    Contender("training", "Keras, stock layers, float32", shape).seconds(3)     what three training steps took

`python benchmarks/contenders.py training|prediction NAME WIDTH BATCH SIDE` is the other end: it builds, warms
up, says `ready`, and then answers every number of rounds on its standard input with the seconds that they
took.
"""

import atexit
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
from machine import describe, flags, in_markdown

from running.machine import hardware_precision, processors
from running.tensorflow_start import set_switches, start_tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DEPTH = 4
Shape = namedtuple("Shape", "width batch side")


class Contender:
    """A process that runs one implementation; a context manager, so that it ends with the block."""

    def __init__(self, task, name, shape):
        command = [sys.executable, __file__, task, name, *map(str, shape)]
        self.complaints = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.complaints, text=True)

    def __enter__(self):
        for line in self.process.stdout:  # what libraries print at their start comes first
            if line == "ready\n":
                return self
        self.complaints.seek(0)
        raise SystemExit(f"{self.process.args[3]} did not start:\n{self.complaints.read()}")

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()
        self.complaints.close()

    def seconds(self, rounds):
        self.process.stdin.write(f"{rounds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def compare(task, ours, others, shape, repetitions, rounds):
    """Yields (name, our ms a photograph, its ms, (least, median, most) of its time over ours) of each other.

    Two processes at a time, in turns: a slow minute hits both, and eight gigabytes of memory are enough.
    """
    scale = 1000 / (rounds * shape.batch)
    with Contender(task, ours, shape) as first:
        for name in others:
            with Contender(task, name, shape) as second:
                pairs = [(first.seconds(rounds), second.seconds(rounds)) for _ in range(repetitions)]
            our, their = (statistics.median(times) * scale for times in zip(*pairs, strict=True))
            ratios = sorted(theirs / ours for ours, theirs in pairs)
            yield name, our, their, (ratios[0], their / our, ratios[-1])


def report(task, rows, all_ours):
    """Prints the rows of `compare` as they come, and adds each of our own milliseconds to `all_ours`."""
    def cells():
        for name, our, their, (least, ratio, most) in rows:
            all_ours.append(our)
            yield name, f"{their:.1f}", f"{our:.1f}", f"{ratio:.2f} ({least:.2f} to {most:.2f})"

    in_markdown([f"{task}, ms a photograph", "it", "ours in the same turns", "ours is faster by"], cells())


def suits(name):
    """Returns whether people would choose it on this processor: bfloat16 only where that is fast."""
    if hardware_precision() == "float32":
        return not name.endswith("bfloat16")
    return name != "PyTorch, channels_last, float32"


def installed(names):
    """Returns those of {name: (packages needed, function)} that can run here; says which cannot."""
    ready = []
    for name, (packages, _) in names.items():
        missing = [package for package in packages if not importlib.util.find_spec(package)]
        if missing:
            print(f"(left out: {name}, which needs {', '.join(missing)})")
        else:
            ready.append(name)
    return ready


def operations(width):
    """Returns multiplications and additions of the forward pass for a pixel, counted from convolutions."""
    from model import unet

    total = 0
    for layer in unet(width, DEPTH).layers:
        if "Conv2D" in type(layer).__name__:
            down, across, *channels = layer.kernel.shape
            # With stride 2 each pixel has one tap. Where channels are twice as many, pixels are a quarter.
            taps = 1 if layer.name.endswith("_grow") else down * across
            total += 2 * taps * channels[0] * channels[1] / max(1, layer.filters / width) ** 2
    return total


def matrix_speed(precision):
    """Returns the operations a second of a 4096^2 matrix product in TensorFlow, the best of ten."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((4096, 4096)), precision)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    product()
    return 2 * 4096**3 / min(_timed(product, 1) for _ in range(10))


def share_of_limit(own, shape, passes):
    """Prints which share of the machine's arithmetic `own` ms for so many forward `passes` make use of."""
    start_tensorflow()
    precision = hardware_precision()
    count, speed = passes * operations(shape.width) * shape.side**2, matrix_speed(precision)
    print(f"\nOurs takes {own:.1f} ms for {count / 1e9:.1f} GFLOP: {count / speed * 1000 / own:.0%} of the "
          f"{speed / 1e9:.0f} GFLOP/s that this machine has in a {precision} product of 4096x4096 numbers.")


def side_by_side(task, about, repetitions, rounds, passes):
    """Runs the command that lets ours work beside the others; a round is worth so many forward `passes`."""
    parser = flags(about)
    parser.add_argument("--width", type=int, default=16,
                        help="channels at full resolution (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="photographs at once (default: %(default)s)")
    parser.add_argument("--only", choices=[name for name in TASKS[task] if name != OURS], help="one opponent")
    parser.add_argument("--repetitions", type=int,
                        help=f"(default: {repetitions}, 3 where the processor is fastest in float32)")
    parser.add_argument("--quick", action="store_true",
                        help="one repetition of a small picture: does it run?")
    options = parser.parse_args()
    shape = Shape(options.width, options.batch, 128 if options.quick else 512)
    names = {name: needed for name, needed in TASKS[task].items() if name != OURS and suits(name)}
    others = [options.only] if options.only else installed(names)
    print(describe())
    by_default = repetitions if hardware_precision() == "bfloat16" else 3  # else it takes ten minutes
    repetitions = 1 if options.quick else options.repetitions or by_default
    own = []
    report(task, compare(task, OURS, others, shape, repetitions, rounds), own)
    share_of_limit(statistics.median(own), shape, passes)


def _timed(work, rounds):
    began = time.perf_counter()
    for _ in range(rounds):
        work()
    return time.perf_counter() - began


def _photographs(shape):
    return np.random.default_rng(0).random((shape.batch, shape.side, shape.side, 3), dtype=np.float32)


# ---- Keras

def _keras_training(network, shape):
    import keras
    import tensorflow as tf

    from losses import loss

    network.compile(keras.optimizers.Adam(1e-3), loss("dice"), jit_compile=False)
    network.make_train_function()
    masks = (_photographs(shape)[..., :1] > 0.9).astype(np.float32)
    batches = iter(tf.data.Dataset.from_tensors((_photographs(shape), masks)).repeat())
    return lambda: network.train_function(batches)


def _keras_prediction(network, shape):
    import tensorflow as tf

    photographs = tf.random.uniform((shape.batch, shape.side, shape.side, 3))
    predict = tf.function(lambda photographs: network(photographs, training=False))
    return lambda: predict(photographs)


def _own(shape):
    from fitting.layers import trainable
    from model import unet

    return trainable(unet(shape.width, DEPTH), hardware_precision())


def _folded(shape, precision="float32"):
    """Returns a network as if trained: a new one's biases are zeros, which TensorFlow would leave out."""
    import keras

    from model import unet
    from prediction.folded_network import folded

    network = unet(shape.width, DEPTH)
    for weight in network.non_trainable_variables:
        weight.assign(keras.random.uniform(weight.shape, 0.5, 1.5, seed=0))
    return folded(network, precision)


def _own_prediction(shape):
    import tensorflow as tf

    from prediction.folded_network import compiled

    squares = (shape.batch, shape.side, shape.side, 3)
    precision = hardware_precision()
    network = compiled(_folded(shape, precision), squares)
    photographs = tf.random.uniform(squares)
    return lambda: network(tf.cast(photographs, precision))


def _stock(shape, precision):
    from fitting.layers import rebuilt
    from model import unet

    return rebuilt(unet(shape.width, DEPTH), precision=precision)


# ---- PyTorch -----------------------------------------------------------------------------------------------

def _torch_unet(width):
    from torch import cat, nn

    def block(before, after):
        layers = []
        for channels in (before, after):
            layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
                       nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            widths = [width << level for level in range(DEPTH + 1)]
            self.down = nn.ModuleList(map(block, [3, *widths[:-1]], widths))
            self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2, bias=False)
                                      for w in widths[:-1])
            self.up = nn.ModuleList(block(2 * w, w) for w in widths[:-1])
            self.last = nn.Conv2d(width, 1, 1)

        def forward(self, x):
            skips = []
            for level, down in enumerate(self.down):
                x = down(nn.functional.max_pool2d(x, 2) if level else x)
                skips.append(x)
            for level in reversed(range(DEPTH)):
                x = self.up[level](cat([skips[level], self.grow[level](x)], 1))
            return self.last(x).float().sigmoid()

    return UNet()


def _torch(shape, layout, precision):
    """Returns network, photographs, context; as people write it, layout is torch.contiguous_format."""
    import torch

    torch.set_num_threads(processors())
    layout = getattr(torch, layout)
    network = _torch_unet(shape.width).to(memory_format=layout)
    photographs = torch.rand(shape.batch, 3, shape.side, shape.side).to(memory_format=layout)
    return network, photographs, lambda: torch.autocast("cpu", torch.bfloat16, precision == "bfloat16")


def _torch_training(shape, layout, precision):
    import torch

    network, photographs, context = _torch(shape, layout, precision)
    masks = (torch.rand(shape.batch, 1, shape.side, shape.side) > 0.9).float()
    adam = torch.optim.Adam(network.parameters(), 1e-3)

    def step():
        adam.zero_grad()
        with context():
            found = network(photographs)
        both = (found * masks).sum((1, 2, 3))
        loss = (1 - 2 * both / (found.sum((1, 2, 3)) + masks.sum((1, 2, 3)) + 1e-6)).mean()
        loss.backward()
        adam.step()

    return step


def _torch_prediction(shape, layout, precision):
    import torch

    network, photographs, context = _torch(shape, layout, precision)
    network.eval()

    def predict():
        with torch.inference_mode(), context():
            return network(photographs)

    return predict


# ---- runtimes for prediction -------------------------------------------------------------------------------

def _exported(shape, form):
    """Returns the path of the folded network in another form; its folder goes when this process ends."""
    from export import FORMATS, write_as

    folder = tempfile.mkdtemp(prefix="contender-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / f"model{FORMATS[form]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_as(_folded(shape), form, path, shape.side)
    return path


def _onnxruntime(shape):
    import onnxruntime

    path = _exported(shape, "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processors()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    photographs = _photographs(shape)
    return lambda: session.run(None, {session.get_inputs()[0].name: photographs})


def _openvino(shape, precision):
    import openvino

    core = openvino.Core()
    network = core.read_model(_exported(shape, "savedmodel"))
    network.reshape([shape.batch, shape.side, shape.side, 3])
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
             "INFERENCE_NUM_THREADS": processors()}
    request = core.compile_model(network, "CPU", hints).create_infer_request()
    photographs = _photographs(shape)
    return lambda: request.infer({0: photographs})


def _by_torch(work):
    """Returns {name: (packages, function)} of `work`, one of the two functions above, in its three ways."""
    ways = {"PyTorch as people write it, float32": ("contiguous_format", "float32"),
            "PyTorch, channels_last, float32": ("channels_last", "float32"),
            "PyTorch, channels_last, bfloat16": ("channels_last", "bfloat16")}
    return {name: (("torch",), lambda shape, way=way: work(shape, *way)) for name, way in ways.items()}


def _stock_training(precision):
    return (), lambda shape: _keras_training(_stock(shape, precision), shape)


def _stock_prediction(precision):
    return (), lambda shape: _keras_prediction(_stock(shape, precision), shape)


OURS = "this project"
TASKS = {  # {task: {name: (packages that it needs, function that returns what one round calls)}}
    "training": {
        OURS: ((), lambda shape: _keras_training(_own(shape), shape)),
        "Keras, stock layers, float32": _stock_training("float32"),
        "Keras, stock layers, bfloat16": _stock_training("bfloat16"),
        **_by_torch(_torch_training),
    },
    "prediction": {
        OURS: ((), _own_prediction),
        "Keras, stock layers, float32": _stock_prediction("float32"),
        "Keras, stock layers, bfloat16": _stock_prediction("bfloat16"),
        **_by_torch(_torch_prediction),
        "ONNX Runtime, float32": (("onnxruntime", "tf2onnx", "onnx"), _onnxruntime),
        "OpenVINO, float32": (("openvino",), lambda shape: _openvino(shape, "f32")),
        "OpenVINO, bfloat16": (("openvino",), lambda shape: _openvino(shape, "bf16")),
    },
}


def main():
    task, name, *shape = sys.argv[1:]
    if name == OURS:  # the others take TensorFlow as it comes
        set_switches()
    _, build = TASKS[task][name]
    work = build(Shape(*map(int, shape)))
    _timed(work, 3)
    print("ready", flush=True)
    for line in sys.stdin:
        print(_timed(work, int(line)), flush=True)


if __name__ == "__main__":
    main()
