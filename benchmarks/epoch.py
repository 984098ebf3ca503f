"""Does the fit wait for data? An epoch of training.py's fit against the same number of bare steps on one batch in memory.

    python benchmarks/epoch.py [--pairs augmented] [--steps 40] [--repetitions 5]

Prints the ratio, and the peak memory of this process, which held all the pairs.
"""

import argparse
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from machine import alternate, describe, table  # noqa: E402

from files import start_tensorflow  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, default=Path("augmented"), help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="(default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    start_tensorflow()
    import tensorflow as tf

    import training
    from fitting.pairs import Pairs, untuned

    pairs = Pairs(options.pairs, training.CROP)
    settings = SimpleNamespace(width=16, depth=4, precision="auto", seed=0, init=None, rate=1e-3, loss="dice", devices=None)
    network = training.build(settings, options.steps)
    read = iter(pairs.training(0, 0, 1000, training.BATCH, 2))
    batch = untuned(tf.data.Dataset.from_tensors(next(read)).repeat())
    whole = untuned(tf.data.Dataset.from_generator(lambda: read, output_signature=batch.element_spec))
    fits = {"bare steps": lambda: network.fit(batch, steps_per_epoch=options.steps, verbose=0, shuffle=False),
            "training.py's pipeline": lambda: network.fit(whole, steps_per_epoch=options.steps, verbose=0, shuffle=False)}
    for fit in fits.values():
        fit()
    print(describe())
    table(alternate(fits, options.repetitions), "bare steps", unit=1000 / options.steps, unit_name="ms a step")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB with {len(pairs.parts['train'])} pairs")


if __name__ == "__main__":
    main()
