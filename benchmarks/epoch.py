"""Does the fit wait for data? An epoch of training.py's fit beside as many bare steps on one batch in memory.

    python benchmarks/epoch.py [--pairs augmented] [--steps 40] [--repetitions 5]

Without --pairs it makes some of the samples. Prints the ratio, and the peak memory of this process, which
held all the pairs. Under five minutes.
"""

import contextlib
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from machine import ROOT, alternate, as_process, describe, flags, in_markdown, table

from running.tensorflow_start import start_tensorflow


def main():
    parser = flags(__doc__)
    parser.add_argument("--pairs", type=Path, help="(default: made of the samples)")
    parser.add_argument("--batch", type=int, default=2, help="(default: %(default)s, as training.py)")
    parser.add_argument("--crop", type=int, default=256, help="(default: %(default)s, as training.py)")
    parser.add_argument("--steps", type=int, default=40, help="(default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    print(describe())
    with contextlib.nullcontext(options.pairs) if options.pairs else tempfile.TemporaryDirectory() as folder:
        if not options.pairs:
            as_process(sys.executable, ROOT / "augment.py", "--data", ROOT / "samples", "--out", folder,
                       "--overwrite")
        measure(options, Path(folder))


def measure(options, folder):
    start_tensorflow()
    import keras
    import tensorflow as tf

    from fitting.layers import starting_network
    from fitting.pairs import Pairs, untuned
    from losses import METRICS, loss
    from model import DEPTH, WIDTH

    pairs = Pairs(folder, options.crop)
    network = starting_network(WIDTH, DEPTH, "auto", seed=0)
    adam = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=1 - 2 / (options.steps + 2))
    network.compile(adam, loss("dice"), metrics=list(METRICS), jit_compile="auto")
    adam.build(network.trainable_variables)
    read = iter(pairs.training(0, 0, 1000, options.batch, 2))
    batch = untuned(tf.data.Dataset.from_tensors(next(read)).repeat())
    pipeline = untuned(tf.data.Dataset.from_generator(lambda: read, output_signature=batch.element_spec))

    def fit(batches):
        network.fit(batches, steps_per_epoch=options.steps, verbose=0, shuffle=False)

    fits = {"bare steps": lambda: fit(batch), "training.py's pipeline": lambda: fit(pipeline)}
    alternate(fits, 1)  # compiles
    times = alternate(fits, options.repetitions)
    table(times, "bare steps", unit=1000 / options.steps, unit_name="ms a step")
    bare, ours = (statistics.median(seconds) / options.steps * 1000 for seconds in times.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    in_markdown(["the fit", "what it takes"],
                [[f"a step of {options.batch} crops of {options.crop}, beside a bare one",
                  f"{ours:.0f} ms beside {bare:.0f} ms, {ours / bare:.2f} times that"],
                 [f"memory with {len(pairs.parts['train'])} pairs", f"{peak:.0f} MB"]])


if __name__ == "__main__":
    main()
