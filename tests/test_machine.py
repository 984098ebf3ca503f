"""What is found out about this machine: processors, precision, free memory."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from conftest import linux_only

from running import machine
from running.machine import free_memory, hardware_precision, processor_flags, processors

# ---- precision ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("features, precision", [
    (["AVX2", "AVX512F", "AVX512BF16"], "bfloat16"), (["AVX2", "AVX512F"], "float32"),
    (["ASIMD"], "float32")])
def test_bfloat16_only_where_the_processor_computes_in_it(monkeypatch, features, precision):
    monkeypatch.setattr(machine, "gpu_capabilities", lambda: [])
    monkeypatch.setattr(machine, "cpu_features", dict.fromkeys(features, True))
    assert hardware_precision("auto") == precision
    assert hardware_precision("float32") == "float32"
    assert hardware_precision("bfloat16") == "bfloat16"


def test_the_processor_itself_is_asked_on_systems_without_linux_list_of_it(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self, **how: pytest.fail(f"{self} is not there"))
    monkeypatch.setattr(machine, "cpu_features", {"AVX2": True, "AVX512F": False, "SSE2": True})
    assert processor_flags() == {"avx2"}


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="this system has no such list")
def test_what_is_found_is_what_linux_lists():
    listed = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    assert processor_flags() == machine.FLAGS.keys() & listed


@pytest.mark.parametrize("capability, precision", [
    ((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_bfloat16_only_where_the_gpu_computes_in_it(monkeypatch, capability, precision):
    monkeypatch.setattr(machine, "gpu_capabilities", lambda: [(9, 0), capability])
    assert hardware_precision() == precision


# ---- processors --------------------------------------------------------------------------------------------

@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system has no affinity")
def test_only_processors_that_this_process_may_use_are_counted():
    process = psutil.Process()
    allowed = process.cpu_affinity()
    assert processors() == len(allowed)
    try:
        process.cpu_affinity(allowed[:1])
        assert processors() == 1
    finally:
        process.cpu_affinity(allowed)


def test_without_an_affinity_all_processors_count(monkeypatch):
    """As on macOS."""
    monkeypatch.setattr(machine.psutil, "Process", SimpleNamespace)
    assert processors() == os.cpu_count()


# ---- memory ------------------------------------------------------------------------------------------------

@pytest.fixture
def roomy(monkeypatch, tmp_path):
    """A system with a terabyte of free memory that knows no container; returns the folder of its cgroups."""
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 40))
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    return tmp_path


def test_free_memory_is_that_of_the_system(roomy):
    assert free_memory() == 1 << 40


@pytest.mark.parametrize("limit, used, kinds", [
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat")])
def test_a_containers_limit_counts_from_what_is_used_and_not_merely_cached(roomy, limit, used, kinds):
    (roomy / "memory").mkdir()
    (roomy / limit).write_text("1000000\n")
    (roomy / used).write_text("900000\n")
    (roomy / kinds).write_text("anon 500000\ninactive_file 300000\nactive_file 100000\n")
    assert free_memory() == 400_000
    (roomy / used).write_text("1500000\n")
    assert free_memory() == 0, "over its limit"


def test_a_container_without_a_limit_has_what_the_system_has(roomy):
    (roomy / "memory.max").write_text("max\n")
    (roomy / "memory.current").write_text("900000\n")
    (roomy / "memory.stat").write_text("inactive_file 300000\n")
    assert free_memory() == 1 << 40


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_AS"), reason="psutil knows no limits here")
def test_a_limit_on_the_process_counts_from_what_it_has(roomy, monkeypatch):
    has = psutil.Process().memory_info().vms
    monkeypatch.setattr(psutil.Process, "rlimit", lambda self, kind: (has + (1 << 26), has + (1 << 26)))
    assert 0 < free_memory() < 1 << 27


@linux_only
def test_a_large_array_takes_no_memory_once_it_is_freed():
    code = """
import numpy, psutil
from running.machine import freed_at_once
freed_at_once()
resident = lambda: psutil.Process().memory_info().rss
del [numpy.ones(1 << 21)][:]  # 16 MB, after which glibc would keep as much
before, array = resident(), numpy.ones(1 << 20)
held = resident() - before
del array
print(held, resident() - before)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                           cwd=Path(__file__).parents[1])
    held, left = map(int, ended.stdout.split())
    assert held > 7e6 and left < 1e6
