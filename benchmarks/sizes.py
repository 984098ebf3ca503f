"""What eval.py costs against the size of photographs, their number, and the cores that it may use.

    python benchmarks/sizes.py [--megapixels 0.25 1 4 16 50] [--cores 1 2 4 8]

The photographs are the samples, for the sizes one that was enlarged or shrunk. Cores that the machine has not
are left out. Under five minutes.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import cv2
from machine import ROOT, as_process, cores, describe, flags, in_markdown

from running.machine import processors

SAMPLES = sorted((ROOT / "samples/test/images").glob("*.png"))
FEW, MORE = 3, 10  # photographs of one size in a folder
TEN, MANY, RECKONED = 10, 60, (1_000, 10_000)  # photographs in a folder


def folder_of(work, photographs, count):
    """Returns a new folder with so many copies of these photographs."""
    folder = work / f"{count} {photographs[0].stem}"
    folder.mkdir()
    for k in range(count):
        source = photographs[k % len(photographs)]
        shutil.copy(source, folder / f"{k:04d}{source.suffix}")
    return folder


def evaluate(work, photographs, count):
    """Runs eval.py on a folder of so many copies; returns its seconds and its peak memory, MB."""
    folder = folder_of(work, photographs, count)
    done = as_process(sys.executable, ROOT / "eval.py", folder, "--out", folder / "out",
                      "--model", ROOT / "weights/vessels.keras")
    shutil.rmtree(folder)
    return done


def enlarged(work, megapixels):
    """Returns the path of a square sample at so many megapixels, as a JPEG."""
    side, path = round((megapixels * 1e6)**0.5), work / f"{megapixels:g}.jpg"
    sample = cv2.imread(str(SAMPLES[0]))
    cv2.imwrite(str(path), cv2.resize(sample, (side, side), interpolation=cv2.INTER_CUBIC))
    return path


def by_size(work, sizes):
    """Yields a row for each size, in megapixels: seconds of the first photograph and of more, and memory."""
    for megapixels in sizes:
        photograph, more = enlarged(work, megapixels), MORE if megapixels < 10 else FEW
        first, alone = evaluate(work, [photograph], 1)
        several, together = evaluate(work, [photograph], more)
        yield (f"{megapixels:g}", f"{first:.1f}", f"{(several - first) / (more - 1):.2f}", f"{alone:.0f}",
               f"{together:.0f} ({more})")


def by_number(work, counts):
    """Yields a row for each number of cores: seconds of a photograph past the start, and of how many."""
    for count in counts:
        with cores(count):
            ten, many = (evaluate(work, SAMPLES, number)[0] for number in (TEN, MANY))
        each = (many - ten) / (MANY - TEN)
        minutes = [f"{(ten + (number - TEN) * each) / 60:.1f}" for number in RECKONED]
        yield count, f"{each:.3f}", f"{ten:.1f}", f"{many:.1f}", *minutes


def main():
    parser = flags(__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 4, 16, 50],
                        help="(default: %(default)s)")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2, 4, 8], help="(default: %(default)s)")
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        in_markdown(["megapixels", "the first, s", "each more, s", "memory for one, MB", "for several, MB"],
                    by_size(work, options.megapixels))
        in_markdown(["cores", "each past the start, s", f"{TEN} photographs, s", f"{MANY}, s",
                     *(f"{number:,}, minutes, reckoned" for number in RECKONED)],
                    by_number(work, [count for count in options.cores if count <= processors()]))


if __name__ == "__main__":
    main()
