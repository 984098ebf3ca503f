"""Whole commands: eval.py on one photograph, on 50, on a large one, with --tta; augment.py on 1 core and all.

    python benchmarks/commands.py [--model FILE] [--repetitions 5] [--large PHOTOGRAPH]

eval.py is set beside `python -c "import tensorflow"`, and the folder of 50 beside its bare forward passes.
The photographs are the samples, and for the large one an enlarged sample. Under five minutes.
"""

import shutil
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from machine import ROOT, alternate, as_process, cores, describe, flags, in_markdown, table

from photographs.fov import found_fov
from photographs.reading import read_photograph
from running.machine import processors
from running.tensorflow_start import start_tensorflow

SAMPLES = sorted((ROOT / "samples/test/images").glob("*.png"))
IMPORT = "import tensorflow"


def evaluate(model, out, *photographs):
    """Runs eval.py; returns its seconds and its peak memory, MB."""
    words = *map(str, photographs), "--out", str(out), "--overwrite", *model
    return as_process(sys.executable, "eval.py", *words, cwd=ROOT)


def one_and_fifty(predictor, model, work, repetitions, count=50):
    """Compares one photograph with the import, and many with one and their forward passes in this process.

    Yields a row for each.
    """
    folder = work / "many photographs"
    folder.mkdir()
    for k in range(count):
        shutil.copy(SAMPLES[k % len(SAMPLES)], folder / f"photograph_{k:02d}.png")
    # The shapes of all squares that are predicted, also of those that tell how wide vessels are.
    shapes, probabilities = [], predictor.probabilities
    predictor.probabilities = lambda squares: shapes.append(squares.shape) or probabilities(squares)
    for path in sorted(folder.iterdir()):
        rgb = read_photograph(path)
        predictor(rgb, found_fov(path, rgb))

    def passes():
        for shape in shapes:
            probabilities(np.zeros(shape, np.uint8))

    times = alternate({IMPORT: lambda: as_process(sys.executable, "-c", IMPORT),
                       "one photograph": lambda: evaluate(model, work / "one", SAMPLES[0]),
                       f"{count} forward passes": passes,
                       f"folder of {count}": lambda: evaluate(model, work / "many", folder)}, repetitions)
    table(times, IMPORT)
    start, one, bare, many = map(statistics.median, times.values())
    yield ("`eval.py` on one photograph, beside `import tensorflow`",
           f"{one:.1f} s beside {start:.1f} s, {one / start:.2f} times that")
    yield (f"`eval.py` on {count} photographs, beside one and the bare forward passes of all",
           f"{many:.1f} s beside {one:.1f} s and {bare:.1f} s, {many / (one + bare):.2f} times that")


def eight_views(predictors, repetitions):
    """Compares the Predictors {name: Predictor} on one photograph; returns a row."""
    rgb = read_photograph(SAMPLES[0])
    fov = found_fov(SAMPLES[0], rgb)
    named = {name: partial(predictor, rgb, fov) for name, predictor in predictors.items()}
    alternate(named, 1)  # compiles
    times = alternate(named, repetitions)
    table(times, "--tta")
    one, eight = map(statistics.median, times.values())
    return "`--tta` beside one view", f"{eight / one:.1f} times"


def memory(model, work, large):
    """Measures eval.py's peak memory on a photograph of 3504 x 2336; returns a row."""
    if large is None:
        large = work / "large.png"
        sample = cv2.imread(str(SAMPLES[0]))
        cv2.imwrite(str(large), cv2.resize(sample, (3504, 2336), interpolation=cv2.INTER_CUBIC))
    peak = evaluate(model, work / "large", large)[1]
    return "largest memory of `eval.py` at 3504x2336 pixels", f"{peak:.0f} MB"


def pairs_a_second(work, repetitions, few, many):
    """Measures augment.py with `few` and `many` copies of the samples' six training photographs.

    The difference of the two is without start-up. Returns a row.
    """
    def augment(copies, workers):
        words = "--data", ROOT / "samples", "--copies", copies, "--workers", workers
        with cores(workers):
            as_process(sys.executable, "augment.py", *map(str, words), "--out", str(work / f"pairs{workers}"),
                       "--overwrite", cwd=ROOT)

    every = processors()
    ways = {(copies, workers): partial(augment, copies, workers)
            for workers in (1, every) for copies in (few, many)}
    named = {f"augment.py, {6 * copies} pairs, {workers} core{'s' * (workers > 1)}": way
             for (copies, workers), way in ways.items()}
    times = alternate(named, repetitions)
    table(times, next(iter(times)))
    seconds = dict(zip(ways, map(statistics.median, times.values()), strict=True))
    rates = {workers: 6 * (many - few) / (seconds[many, workers] - seconds[few, workers])
             for workers in (1, every)}
    return (f"`augment.py`, past its start-up, {every} cores",
            f"{rates[every]:.0f} pairs a second, {rates[every] / rates[1]:.2f} times one core")


def main():
    parser = flags(__doc__)
    parser.add_argument("--model", type=Path, help="(default: as eval.py)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--large", type=Path,
                        help="a photograph of 3504 x 2336 (default: an enlarged sample)")
    options = parser.parse_args()
    start_tensorflow()
    import checkpoint
    from predict import Predictor

    network, card = checkpoint.load(checkpoint.find_model(options.model))
    predictors = {name: Predictor(network, card.plan(tta))
                  for name, tta in (("one look", False), ("--tta", True))}
    model = ["--model", str(options.model.resolve())] if options.model else []
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows = [eight_views(predictors, options.repetitions),
                *one_and_fifty(predictors["one look"], model, work, options.repetitions),
                memory(model, work, options.large.resolve() if options.large else None),
                pairs_a_second(work, max(3, options.repetitions // 2), few=10, many=70)]
    in_markdown(["command", "what it takes"], rows)


if __name__ == "__main__":
    main()
