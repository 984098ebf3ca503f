"""What prediction on a Ray cluster costs and withstands, measured here, and what that means for ten million.

    python benchmarks/scale.py                        400 photographs, about an hour on two cores
    python benchmarks/scale.py --quick                24, to see that all works; its figures mean nothing

Every node of the cluster is a process on this machine with one core to itself. Start-up is left out of the
photographs a second: they are the difference between a run of all photographs and one of a quarter of them.
Memory is what all processes of a run hold together (PSS: shared memory counted once), sampled every three
seconds.
"""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from machine import ROOT, cores, flags

from running.command import Problem, run, say

SCALES = (1.0, 1.6, 2.6, 4.2)  # of the samples: 0.3 to 5.7 megapixels
DAMAGED = {"empty.png": b"", "text.jpg": b"no picture", "cut.jpg": b"\xff\xd8\xff\xe0" + bytes(300),
           "header.png": b"\x89PNG\r\n\x1a\n", "zeros.tif": bytes(999)}
# The cluster of the estimate: machines with the bfloat16 units that auto precision uses, processors of each,
# bytes a second of its network, and writes a second of the store, as their makers state them.
MACHINES, CORES, NETWORK, PUTS = 16, 64, 25e9 / 8, 3500
TEN_MILLION = 10_000_000
# {way: cores}
WAYS = {"eval.py, 1 core": 1, "eval.py, 2 cores": 2, "Ray, 1 worker": 1, "Ray, 2 workers": 2}


def arguments():
    parser = flags(__doc__)
    parser.add_argument("--photographs", type=int, default=400, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="24 photographs")
    parser.add_argument("--model", type=Path, help="(default: that of eval.py)")
    parser.add_argument("--work", type=Path,
                        help="folder for what the runs write, kept (default: a temporary one)")
    options = parser.parse_args()
    options.photographs = 24 if options.quick else options.photographs
    return options


# ---- photographs -------------------------------------------------------------------------------------------

def draw(folder, count):
    """Writes `count` photographs, no two alike: the samples at several sizes, turned, a little darker."""
    samples = sorted((ROOT / "samples").glob("*/images/*"))
    folder.mkdir(parents=True)
    for k in range(count):
        picture = cv2.imread(str(samples[k % len(samples)]))
        scale = SCALES[k // len(samples) % len(SCALES)]
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        picture = cv2.convertScaleAbs(np.rot90(picture, k % 4), alpha=1 - 0.002 * (k % 97))
        cv2.imwrite(str(folder / f"photograph{k:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return folder


# ---- runs --------------------------------------------------------------------------------------------------

def family(first):
    """Returns the process ids of `first` and of all below it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [first]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def held(processes):
    """Returns the bytes of memory that they hold together."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def command_of(process):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


class Kill:
    """Kills one of the workers that hold a model as soon as `when()` says so."""

    def __init__(self, when):
        self.when, self.victim = when, None

    def __call__(self, processes):
        victims = [process for process in processes
                   if command_of(process).startswith(b"ray::MapWorker(Map(Worker)")]
        if self.victim is None and victims and self.when():
            self.victim = victims[0]
            os.kill(self.victim, signal.SIGKILL)


def predict(photographs, out, options, *words, watch=lambda processes: None, expected=(0,)):
    """Runs eval.py; returns its seconds and the peak of memory, bytes, of all processes below this one."""
    command = [sys.executable, ROOT / "eval.py", photographs, "--out", out, *words]
    command += ["--model", options.model] if options.model else []
    with tempfile.TemporaryFile("w+") as output:
        began, looked, peak = time.monotonic(), 0, 0
        job = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
        while job.poll() is None:
            processes = family(os.getpid())[1:]
            if time.monotonic() - looked > 3:  # looking takes a core 0.06 s
                peak, looked = max(peak, held(processes)), time.monotonic()
            watch(processes)
            time.sleep(0.5)
        seconds = time.monotonic() - began
        output.seek(0)
        if job.returncode not in expected:
            raise Problem(f"{' '.join(map(str, command))}: ended with {job.returncode}.\n{output.read()}")
    return seconds, peak


@contextlib.contextmanager
def nodes(count):
    """Yields the address of a Ray cluster of so many nodes with a core each, all on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=1, object_store_memory=10**9)
        yield cluster.address
    finally:
        cluster.shutdown()


# ---- what is measured --------------------------------------------------------------------------------------

def speeds(options, few, many):
    """Returns {way: (seconds for few, seconds for many, memory for few, memory for many)}."""
    found = {}
    for way, count in WAYS.items():
        with cores(count):
            runs = []
            for photographs in (few, many):
                with nodes(count) if "Ray" in way else contextlib.nullcontext() as address:
                    words = ("--ray", address) if address else ()
                    out = options.work / f"{way} {photographs.name}"
                    runs.append(predict(photographs, out, options, *words))
        (short, memory_few), (long, memory_many) = runs
        found[way] = short, long, memory_few, memory_many
        say(f"{way}: {short:.0f} s and {long:.0f} s, {memory_few / 1e9:.2f} and {memory_many / 1e9:.2f} GB")
    return found


def alike(folder, reference):
    """Returns how many masks both folders hold; raises Problem if not all are of the same bytes."""
    masks, expected = ({path.name: path.read_bytes() for path in place.glob("*_mask.png")}
                       for place in (folder, reference))
    if masks != expected:
        different = sorted(name for name in masks | expected if masks.get(name) != expected.get(name))
        raise Problem(f"{folder}: {len(different)} masks are not those of {reference}, "
                      f"{different[0]} for one.")
    return len(masks)


def faults(options, photographs, plain):
    """Runs a job with damaged photographs and a worker that is killed, then once more; returns sentences.

    plain: what eval.py wrote for the photographs that are sound.
    """
    count, out = len(list(photographs.iterdir())), options.work / "Ray faults"
    photographs = shutil.copytree(photographs, options.work / "damaged")
    for name, content in DAMAGED.items():
        (photographs / name).write_bytes(content)
    kill = Kill(lambda: len(list(out.glob("*_mask.png"))) >= count // 3)
    with nodes(2) as address:
        predict(photographs, out, options, "--ray", address, watch=kill, expected=(1,))
        same = alike(out, plain)
        table = pd.read_parquet(out / "predictions.parquet")
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*.p*")}
        seconds, _ = predict(photographs, out, options, "--ray", address, expected=(1,))
    touched = {path: path.stat().st_mtime_ns for path in out.rglob("*.p*")} != before
    each_once = len(table) == count + len(DAMAGED) and not table["name"].duplicated().any()
    if kill.victim is None or touched or same != count or not each_once:
        raise Problem(f"{out}: killed {kill.victim}, {same} masks, {len(table)} rows, "
                      f"touched again: {touched}.")
    damaged = sum(table["status"] == "failed")
    return [f"{same} masks of the same bytes as eval.py's, {damaged} damaged photographs as rows, though a "
            "worker was killed after a third of them; the same command again changed nothing and took "
            f"{seconds:.0f} s."]


def driver(blocks=300, few=8):
    """Returns the photographs a second that Ray's driver hands on when there is nothing to do to them."""
    import ray

    class Nothing:
        def __call__(self, item):
            return item

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init("local", num_cpus=2, log_to_driver=False, logging_level=logging.ERROR)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False

        def seconds(count):
            began = time.monotonic()
            items = [{"file": "x" * 80, "k": k} for k in range(count * few)]
            rows = ray.data.from_items(items, override_num_blocks=count)
            rows = rows.map(Nothing, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=0.75)
            assert sum(1 for _ in rows.iter_rows()) == count * few
            return time.monotonic() - began

        return 3 * blocks * few / (seconds(4 * blocks) - seconds(blocks))
    finally:
        ray.shutdown()


def listing(count):
    """Returns the bytes of the driver's memory for each photograph that it has still to do."""
    from cluster.stores import find_stored
    from running.names import names_apart

    with tempfile.TemporaryDirectory() as folder:
        for k in range(count):
            Path(folder, f"photograph{k:08d}.jpg").touch()
        tracemalloc.start()
        found = find_stored([folder], f"{folder}/out")
        names = names_apart({file: below for file, (_, below) in found.items()}, {})
        items = [{"place": found[file][0], "file": file, "name": name, "error": ""}
                 for file, name in names.items()]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / len(items)


# ---- what is printed ---------------------------------------------------------------------------------------

def table(found, few, many):
    """Returns lines of Markdown, and {way: photographs a second past start-up}."""
    lines = ["| | start-up s | photographs a second | core-seconds each | memory GB, a quarter | all |",
             "|---|---|---|---|---|---|"]
    rates = {}
    for way, (short, long, memory_few, memory_many) in found.items():
        rate = rates[way] = (many - few) / (long - short)
        lines.append(f"| {way} | {short - few / rate:.0f} | {rate:.2f} | {WAYS[way] / rate:.2f} "
                     f"| {memory_few / 1e9:.2f} | {memory_many / 1e9:.2f} |")
    return lines, rates


def estimate(rate, photographs, out, handed, note):
    """Returns lines on ten million photographs.

    rate: photographs a second of a core; handed: of the driver; note: bytes of its memory for a photograph.
    """
    sizes = [path.stat().st_size for path in photographs.iterdir()]
    masks = [path.stat().st_size for path in out.glob("*_mask.png")]
    rows = sum(path.stat().st_size for path in (out / "predictions.parquet").iterdir()) / len(masks)
    read, written = sum(sizes) / len(sizes), sum(masks) / len(masks)
    processors, wanted = MACHINES * CORES, rate * MACHINES * CORES
    limits = {"processors": wanted, "Ray's driver": handed, "network": MACHINES * NETWORK / (read + written),
              "writes to one prefix of the store": PUTS}
    first = min(limits, key=limits.get)
    hours = TEN_MILLION / limits[first] / 3600
    return [f"{TEN_MILLION:,} photographs of {read / 1e6:.2f} MB on {MACHINES} machines of {CORES} "
            "processors:",
            "| would allow | photographs a second |", "|---|---|",
            *(f"| {name} | {value:,.0f} |" for name, value in limits.items()), "",
            f"What saturates first: {first}. {hours:.1f} hours, "
            f"{TEN_MILLION / rate / 3600:,.0f} processor-hours, {TEN_MILLION * read / 1e12:.1f} TB read, "
            f"{TEN_MILLION * written / 1e9:,.0f} GB of masks ({written / 1e3:.1f} kB each), "
            f"{TEN_MILLION * rows / 1e9:.1f} GB of table, "
            f"{TEN_MILLION * note / 1e9:.1f} GB of memory for the driver's list. "
            f"{processors} processors are kept busy up to {min(1, limits[first] / wanted):.0%}."]


def main():
    options = arguments()
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise Problem("Ray is needed: pip install -r requirements-ray.txt") from error
    kept = options.work
    options.work = options.work or Path(tempfile.mkdtemp(prefix="scale-"))
    many = options.photographs
    few = many // 4
    try:
        found = speeds(options, draw(options.work / "few", few), draw(options.work / "many", many))
        lines, rates = table(found, few, many)
        alike(options.work / "Ray, 2 workers many", options.work / "eval.py, 1 core many")
        alone = rates["Ray, 1 worker"]
        lines += ["", f"Two workers do {rates['Ray, 2 workers'] / alone:.2f} times what one does. "
                  f"A photograph takes one worker {rates['eval.py, 1 core'] / alone:.2f} of the time that it "
                  "takes eval.py on one core, which writes its probability and its overlay as well."]
        lines += ["", *faults(options, options.work / "many", options.work / "eval.py, 2 cores many")]
        handed, note = driver(30 if options.quick else 300), listing(20_000 if options.quick else 100_000)
        lines += ["", *estimate(rates["Ray, 2 workers"] / 2, options.work / "many",
                                options.work / "Ray, 2 workers many", handed, note)]
        say("\n".join(lines))
    finally:
        if not kept:
            shutil.rmtree(options.work)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
