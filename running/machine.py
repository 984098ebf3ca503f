"""What this machine has: processors, their instructions, GPUs, the precision they compute in, free memory."""

import contextlib
import ctypes
import math
import os
import re
import sys
from pathlib import Path

import psutil
from numpy._core._multiarray_umath import __cpu_features__ as cpu_features

# What decides how to compute: {Linux's name: numpy's}. Every processor with AMX has the third as well.
FLAGS = {"avx2": "AVX2", "avx512f": "AVX512F", "avx512_bf16": "AVX512BF16"}
M_MMAP_THRESHOLD = -3  # of malloc.h
CGROUP = Path("/sys/fs/cgroup")  # where a container sees its own limits
CGROUP_FILES = (  # of Linux's cgroups, version 2 and 1: the limit, what is in use, and of what kinds it is
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"))


def processors():
    """Returns how many processors this process may use: fewer than there are if its affinity is limited.

    On Windows at most 61, since a pool there cannot wait for more processes.
    """
    process = psutil.Process()
    count = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1
    return min(count, 61) if os.name == "nt" else count


def processor_flags():
    """Returns which of FLAGS the processor has, by Linux's names; none where it is not of the x86 family.

    numpy asks the processor itself, on Windows as well, where oneDNN computes as on Linux.
    """
    return {flag for flag, name in FLAGS.items() if cpu_features.get(name)}


def gpu_capabilities():
    """Returns the compute capability of each GPU that TensorFlow sees, [(major, minor), ...]."""
    import tensorflow as tf  # not at the top: a command reads its arguments before it starts TensorFlow

    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]


def hardware_precision(choice="auto"):
    """Returns 'float32' or 'bfloat16'; for 'auto' it is bfloat16 only where the hardware computes in it.

    In software bfloat16 is slower than float32. Processors need AVX512_BF16 or AMX, GPUs compute capability 8
    (Ampere).
    """
    if choice != "auto":
        return choice
    capabilities = gpu_capabilities()
    if capabilities:
        return "bfloat16" if min(capabilities) >= (8, 0) else "float32"
    return "bfloat16" if "avx512_bf16" in processor_flags() else "float32"


def free_memory():
    """Returns the bytes that this process may still take: what system, container and limit all leave."""
    return max(0, min(psutil.virtual_memory().available, _left_in_container(), _left_to_process()))


def freed_at_once():
    """Lets large arrays go back to the system as soon as they are freed, where the C library is glibc.

    From the first large one that is freed on, glibc would keep up to 32 MB of each kind for later, in pieces.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 4 << 20)


def _left_in_container():
    """Returns the bytes that a container's limit leaves, infinity where there is none.

    Files that are only cached count as free, since the kernel drops them first.
    """
    left = math.inf
    for names in CGROUP_FILES:
        try:
            limit, used, kinds = ((CGROUP / name).read_text(encoding="utf-8") for name in names)
            cached = re.search(r"^inactive_file (\d+)$", kinds, re.MULTILINE)
            left = min(left, int(limit) - int(used) + int(cached[1]))
        except (OSError, ValueError, TypeError):  # no limit of this version: no file, or "max" in it
            continue
    return left


def _left_to_process():
    """Returns the bytes of addresses that `ulimit -v` leaves to this process, infinity without a limit."""
    if not hasattr(psutil, "RLIMIT_AS"):  # psutil knows it of Linux and FreeBSD
        return math.inf
    limit = psutil.Process().rlimit(psutil.RLIMIT_AS)[0]
    return math.inf if limit == psutil.RLIM_INFINITY else limit - psutil.Process().memory_info().vms
