"""Whole commands: eval.py on one photograph, on a folder of 50, on a large one, with --tta; augment.py on one core and on all.

    python benchmarks/commands.py [--model FILE] [--repetitions 5] [--large PHOTOGRAPH]

eval.py counts beside `python -c "import tensorflow"`, and the folder beside its bare forward passes. Without a data set at hand
the samples serve, enlarged where a large photograph is wanted.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from machine import alternate, as_process, cores, describe, table  # noqa: E402

SAMPLES = sorted((ROOT / "samples/test/images").glob("*.png"))


def evaluate(model, out, *photographs):
    return as_process(sys.executable, "eval.py", *map(str, photographs), "--out", str(out), "--overwrite", *model, cwd=ROOT)


def predictor_of(model):
    import model as models
    from predict import Predictor

    return Predictor(models.find_model(model[1] if model else None))


def photographs(model, work, repetitions):
    """One photograph against the import, and 50 against one plus the forward passes of the 50, in this process."""
    import numpy as np

    import data
    from predict import plan_of

    folder = work / "fifty"
    folder.mkdir()
    for k in range(50):
        shutil.copy(SAMPLES[k % len(SAMPLES)], folder / f"photograph_{k:02d}.png")
    predictor = predictor_of(model)
    network, seen = predictor._network, []  # the squares of these photographs, also of the look at how wide vessels are
    predictor._network = lambda squares: seen.append(squares.shape) or network(squares)
    for path in sorted(folder.iterdir()):
        photograph = data.read_photograph(path)
        predictor(photograph, data.found_fov(path, photograph), plan_of(predictor.card))

    def passes():
        for shape in seen:
            network(np.zeros(shape, np.float32)).numpy()

    times = alternate({"import tensorflow": lambda: as_process(sys.executable, "-c", "import tensorflow"),
                       "one photograph": lambda: evaluate(model, work / "one", SAMPLES[0]), "50 forward passes": passes,
                       "folder of 50": lambda: evaluate(model, work / "many", folder)}, repetitions)
    table(times, "import tensorflow")
    start, one, bare, many = map(statistics.median, times.values())
    print(f"one photograph / import tensorflow: {one / start:.2f}; "
          f"folder of 50 / (one photograph + 50 forward passes): {many / (one + bare):.2f}")


def eight_views(model, repetitions):
    """One photograph predicted with and without --tta, in this process."""
    import data
    from predict import plan_of

    predictor = predictor_of(model)
    photograph = data.read_photograph(SAMPLES[0])
    fov = data.found_fov(SAMPLES[0], photograph)
    named = {name: partial(predictor, photograph, fov, plan_of(predictor.card, tta)) for name, tta in
             (("one look", False), ("--tta", True))}
    alternate(named, 1)  # compiles
    table(alternate(named, repetitions), "--tta")


def memory(model, work, large):
    import cv2

    if large is None:
        large = work / "large.png"
        cv2.imwrite(str(large), cv2.resize(cv2.imread(str(SAMPLES[0])), (3504, 2336), interpolation=cv2.INTER_CUBIC))
    print(f"eval.py on 3504 x 2336: peak memory {evaluate(model, work / 'large', large)[1]:.0f} MB")


def pairs_a_second(work, repetitions, few=10, many=70):
    """Copies of the six training photographs of the samples. What few of them take is start-up, and is told apart."""
    def augment(copies, workers):
        with cores(workers):
            as_process(sys.executable, "augment.py", "--data", str(ROOT / "samples"), "--copies", str(copies),
                       "--workers", str(workers), "--out", str(work / f"pairs{workers}"), "--overwrite", cwd=ROOT)

    every = os.cpu_count()
    ways = {(copies, workers): partial(augment, copies, workers) for workers in (1, every) for copies in (few, many)}
    named = {f"augment.py, {6 * copies} pairs, {workers} core{'s' * (workers > 1)}": ways[copies, workers]
             for copies, workers in ways}
    times = alternate(named, repetitions)
    table(times, next(iter(times)))
    seconds = dict(zip(ways, map(statistics.median, times.values()), strict=True))
    rates = {workers: 6 * (many - few) / (seconds[many, workers] - seconds[few, workers]) for workers in (1, every)}
    print(f"past start-up: {rates[1]:.0f} pairs a second with 1 core, {rates[every]:.0f} with {every}, "
          f"{rates[every] / rates[1]:.2f} times as many")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="(default: as eval.py)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--large", type=Path, help="a photograph of 3504 x 2336 (default: an enlarged sample)")
    options = parser.parse_args()
    model = ["--model", str(Path(options.model).resolve())] if options.model else []
    print(describe())
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photographs(model, work, options.repetitions)
        memory(model, work, options.large.resolve() if options.large else None)
        eight_views(model, options.repetitions)
        pairs_a_second(work, max(3, options.repetitions // 2))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
