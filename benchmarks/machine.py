"""What the benchmarks share: flags, a line about machine and commit, repetitions in turns, medians, tables.

A benchmark prints that line first and its table, in Markdown, last; benchmarks/all.py writes both to a page.
"""

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks import this file before the project's own: they find those then


def flags(doc):
    """Returns a parser of flags whose help is the docstring of its script."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def commit():
    """Returns the commit that is measured, with a + if more than pages differs; without Git 'unknown'."""
    git = ["git", "-C", ROOT]
    name = [*git, "describe", "--always", "--exclude=*"]
    changed = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]
    try:
        answers = [subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
                   for words in (name, changed)]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answers[0] + "+" * bool(answers[1])


def describe():
    """Returns a line to print first: commit, processor, its bfloat16, cores, memory, Python, load."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
        known = next(line.split() for line in text.splitlines() if line.startswith("flags"))
        name += "".join(f", {flag.upper()}" for flag in ("avx512_bf16", "amx_bf16") if flag in known)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    return (f"commit {commit()}; {name}; {os.cpu_count()} cores; {memory:.0f} GiB; "
            f"Python {platform.python_version()}; load {psutil.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def cores(count):
    """Confines this process, and what it starts, to so many cores."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        raise SystemExit("macOS cannot confine a process to some of its cores.")
    before = process.cpu_affinity()
    if len(before) < count:
        raise SystemExit(f"This machine has {len(before)} cores, and {count} are needed.")
    process.cpu_affinity(sorted(before)[:count])
    try:
        yield
    finally:
        process.cpu_affinity(before)


def alternate(named, repetitions):
    """Returns {name: [seconds, ...]} of {name: function}, called in turns: a slow minute hits all alike."""
    times = {name: [] for name in named}
    for _ in range(repetitions):
        for name, call in named.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return times


def table(times, base, unit=1000.0, unit_name="ms"):
    """Prints median, least and most of each, and how many times faster than `base` it is."""
    reference = statistics.median(times[base])
    print(f"{'':44}{'median':>10}{'least':>10}{'most':>10}   {base} / this   ({unit_name})")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        figures = "".join(f"{value * unit:10.1f}" for value in (middle, min(seconds), max(seconds)))
        print(f"{name:44}{figures}{reference / middle:12.2f}")


def in_markdown(head, rows):
    """Prints a table row by row, as the rows come: head, rows of cells."""
    print()
    for row in chain([head, ["---"] * len(head)], rows):
        print(f"| {' | '.join(map(str, row))} |", flush=True)


# Runs a command and prints its peak memory last. To Linux the peak of a process is no less than that of the
# one that starts it, which may be a benchmark with TensorFlow: so a small one starts it.
PEAK = """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("\\n", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, sep="", end="")
sys.exit(code)"""


def command(script, *words, **how):
    """Runs a script of this project to its end; how: of subprocess.run. Raises CalledProcessError."""
    subprocess.run([sys.executable, ROOT / f"{script}.py", *map(str, words)], check=True, **how)


def as_process(*command, cwd=None):
    """Runs a command to its end and returns (seconds, peak memory in MB); its output is shown if it fails."""
    began = time.perf_counter()
    ended = subprocess.run([sys.executable, "-S", "-c", PEAK, *command], cwd=cwd, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")
    output, _, peak = ended.stdout.rpartition("\n")
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output}")
    return time.perf_counter() - began, int(peak) / 1024
