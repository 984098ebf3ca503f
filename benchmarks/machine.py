"""What the benchmarks share: a line about the machine, alternating repetitions, medians, ratios."""

import contextlib
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path


def describe():
    """Processor, cores, what it has for bfloat16, memory, versions: one line to print above every table."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        name = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
        flags = next(line.split() for line in text.splitlines() if line.startswith("flags"))
        name += "".join(f", {flag.upper()}" for flag in ("avx512_bf16", "amx_bf16") if flag in flags)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{name}; {os.cpu_count()} cores; {memory:.0f} GiB; Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"


@contextlib.contextmanager
def cores(count):
    """Confines this process, and what it starts, to so many cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit("Only Linux can confine a process to some of its cores.")
    before = os.sched_getaffinity(0)
    if len(before) < count:
        raise SystemExit(f"This machine has {len(before)} cores, and {count} are needed.")
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def alternate(named, repetitions):
    """{name: function} -> {name: [seconds, ...]}: each called once in turn, so that a slow minute hits all alike."""
    times = {name: [] for name in named}
    for _ in range(repetitions):
        for name, call in named.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return times


def table(times, base, unit=1000.0, unit_name="ms"):
    """Prints median, least and most of each, and how many times faster than `base`."""
    reference = statistics.median(times[base])
    print(f"{'':44}{'median':>10}{'least':>10}{'most':>10}   {base} / this   ({unit_name})")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name:44}{middle * unit:10.1f}{min(seconds) * unit:10.1f}{max(seconds) * unit:10.1f}{reference / middle:12.2f}")


def as_process(*command, cwd=None):
    """Runs a command to its end -> (seconds, peak memory in MB); an error shows its output."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output.decode(errors='replace')}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


