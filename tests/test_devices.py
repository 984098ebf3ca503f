"""Training on several devices gives what one gives, and pairs that do not fit into memory are streamed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL

from benchmarks.streaming import repeat
from files import Problem
from fitting import pairs
from fitting.devices import chosen_devices
from fitting.pairs import Pairs

# The command in a fresh process, with two logical processors in the place of GPUs, broken off in the second epoch and resumed
AS_GPUS = """
import sys
import tensorflow as tf
processor, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
every = tf.config.list_logical_devices
tf.config.list_logical_devices = lambda kind=None: every("CPU") if kind == "GPU" else every(kind)
import files
import training
from fitting import callbacks, devices, tuning
told = {"threshold": 0.5, "validation": {"dice": 0.1, "roc_auc": 0.5}, "tta": {"threshold": 0.5, "validation": {"dice": 0.1}}}
tuning.tune, tuning.native_dice = lambda *_: told, lambda *_: 0.1
shared_by, sound = devices.shared_by, callbacks.Watch.on_train_batch_end
def counted(devices):
    strategy = shared_by(devices)
    print("devices", strategy.num_replicas_in_sync)
    return strategy
def broken(self, batch, logs=None):
    if (self.epoch, batch) == (1, 1):
        raise KeyboardInterrupt
devices.shared_by, callbacks.Watch.on_train_batch_end = counted, broken
assert files.run(training.main) == 130
callbacks.Watch.on_train_batch_end = sound
sys.argv.append("--resume")
sys.exit(files.run(training.main))
"""


def train(pairs, out, *words):
    command = [sys.executable, "-c", AS_GPUS, "--pairs", pairs, "--out", out, "--batch", 2, "--epochs", 3, *SMALL, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(list(map(str, command)), cwd=out.parent, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    return pd.read_csv(out / "history.csv"), ended.stdout


@pytest.mark.slow
def test_two_devices_give_the_losses_of_one(tiny_pairs, tmp_path):
    """Also when resumed, and the metrics of a validation that cannot be shared evenly: it has one photograph."""
    alone, told_alone = train(tiny_pairs, tmp_path / "one", "--devices", 1)
    shared, told_shared = train(tiny_pairs, tmp_path / "two")
    assert "devices 1" in told_alone and "devices 2" in told_shared
    assert len(alone) == 3 and list(alone) == list(shared)
    for name in alone:
        assert np.allclose(alone[name], shared[name], rtol=0, atol=1e-4), (name, alone[name], shared[name])
    assert (tmp_path / "two/model.keras").exists()


# ---- which devices -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("devices, batch, there, used", [
    (None, 4, 0, 0), (None, 4, 1, 1), (None, 4, 2, 2), (None, 4, 8, 4), (None, 6, 4, 3), (None, 3, 2, 1),
    (1, 4, 0, 0), (1, 4, 8, 1), (2, 4, 8, 2), (8, 16, 8, 8)])
def test_as_many_devices_as_asked_for_else_as_many_as_share_a_batch_evenly(devices, batch, there, used):
    gpus = [f"GPU:{k}" for k in range(there)]
    assert chosen_devices(devices, batch, gpus) == gpus[:used]


def test_devices_that_stay_idle_are_told_of(capsys):
    chosen_devices(None, 4, list("abcdefgh"))
    assert "4 of 8 GPUs" in capsys.readouterr().out
    chosen_devices(None, 4, list("ab"))
    assert not capsys.readouterr().out


def test_devices_that_are_not_there_and_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(Problem, match="--devices 2: TensorFlow finds 0 GPUs"):
        chosen_devices(2, 4, [])
    with pytest.raises(Problem, match="multiple of 3"):
        chosen_devices(3, 4, list("abc"))


# ---- more pairs than memory ----------------------------------------------------------------------------------------

STREAM = """
import resource, sys
from pathlib import Path
import tensorflow as tf
from fitting.pairs import BYTES, Pairs
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + (2 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
pairs = Pairs(sys.argv[1])
assert len(pairs.parts["train"]) * BYTES > limit - used, "the pairs must not fit"
batches = pairs.training(seed=0, first=0, epochs=2, batch=4, workers=2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = sum(len(photographs) for photographs, masks in batches.take(100))
print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""


def test_pairs_that_do_not_fit_into_memory_are_streamed(tiny_pairs, tmp_path):
    """The process may take 2 GB of addresses more than TensorFlow itself maps; the pairs would be more than all of that."""
    folder = tmp_path / "many"
    repeat(tiny_pairs, folder, 4000)
    ended = subprocess.run([sys.executable, "-c", STREAM, folder], env={**os.environ, "PYTHONPATH": str(ROOT)},
                           capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    seen, megabytes = map(int, ended.stdout.split()[-2:])
    assert seen == 400 and megabytes < 300, "400 MB were read"


def test_validation_pairs_that_do_not_fit_are_streamed_and_are_the_same(tiny_pairs, monkeypatch):
    kept = [[part.numpy() for part in batch] for batch in Pairs(tiny_pairs).validation(2)]
    monkeypatch.setattr(pairs, "free_memory", lambda: 0)
    monkeypatch.setattr(pairs.np, "stack", None)
    streamed = [[part.numpy() for part in batch] for batch in Pairs(tiny_pairs).validation(2)]
    assert all(np.array_equal(a, b) for one, other in zip(kept, streamed, strict=True) for a, b in zip(one, other, strict=True))


def test_a_limit_on_the_process_counts_from_what_it_has(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1 << 40, 1 << 40))
    assert pairs.free_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (has + (1 << 26), has + (1 << 26)))
    assert 0 < pairs.free_memory() < 1 << 27
