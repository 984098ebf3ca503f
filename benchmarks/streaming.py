"""How fast pairs are read that do not fit into memory: the process may take 2 GB more than TensorFlow has.

    python benchmarks/streaming.py                    the first pair of augmented/, 8000 times: 8.4 GB
    python benchmarks/streaming.py --pairs FOLDER     of another folder that augment.py wrote
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from machine import flags

from running.command import Problem, run, say
from running.files import read_json, sha256, write_json
from running.machine import processors
from running.tensorflow_start import start_tensorflow


def arguments():
    parser = flags(__doc__)
    parser.add_argument("--pairs", type=Path, default=Path("augmented"), help="(default: %(default)s)")
    parser.add_argument("--count", type=int, default=8000, help="training pairs (default: %(default)s)")
    parser.add_argument("--read", type=int, default=1000, help="pairs to read (default: %(default)s)")
    parser.add_argument("--crop", type=int, default=256, help="side of the crops (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=2, help="crops at once (default: %(default)s)")
    return parser.parse_args()


def repeat(pairs, out, count):
    """Makes a folder of `count` training pairs, all links to the first of `pairs`: small, much to decode."""
    table = pd.read_csv(pairs / "manifest.csv", keep_default_na=False, dtype=str)
    first = table[table["split"] == "train"].iloc[0]
    files = [f"pair{k:06d}.png" for k in range(count)]
    for kind in ("images", "masks"):
        (out / "train" / kind).mkdir(parents=True)
        (out / "validation").mkdir(exist_ok=True)
        (out / "validation" / kind).symlink_to((pairs / "validation" / kind).resolve())
        for file in files:
            (out / "train" / kind / file).symlink_to((pairs / "train" / kind / first["file"]).resolve())
    rows = pd.DataFrame([first] * count).assign(file=files)
    pd.concat([rows, table[table["split"] == "validation"]]).to_csv(out / "manifest.csv", index=False)
    write_json(out / "run.json", read_json(pairs / "run.json") | {"manifest": sha256(out / "manifest.csv")})


def confine(more):
    """Lets the process take `more` bytes of address space than it has; returns how many that are in all."""
    has = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))
    return has + more


def main():
    options = arguments()
    if not (options.pairs / "manifest.csv").exists():
        raise Problem(f"{options.pairs}: there are no pairs here. "
                      "Run  python augment.py  first, or give --pairs.")
    start_tensorflow()
    from fitting.pairs import BYTES, Pairs

    with tempfile.TemporaryDirectory() as folder:
        repeat(options.pairs, Path(folder), options.count)
        limit = confine(2 * 10**9)
        if options.count * BYTES < limit:
            raise Problem(f"--count {options.count}: these fit into {limit / 1e9:.1f} GB. Choose more.")
        pairs = Pairs(folder, options.crop)
        epochs = 1 + options.read // options.count
        batches = pairs.training(0, 0, epochs, options.batch, processors())
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        few = batches.take(options.read * pairs.crops // options.batch)
        read = sum(len(squares) for squares, _ in few) / pairs.crops
        seconds = time.monotonic() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    say(f"{options.count} pairs of {options.count * BYTES / 1e9:.1f} GB decoded, "
        f"{limit / 1e9:.1f} GB of address space: "
        f"{read / seconds:.0f} pairs a second, memory grew by {grown / 1000:.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
