"""Which layers and devices a training takes, and that several devices give what one gives."""

import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL

from fitting import fused, layers
from fitting.layers import chosen_devices, rebuilt, starting_network, trainable
from model import copy_weights, shape_of, unet
from running.command import Problem

# ---- which layers ------------------------------------------------------------------------------------------

def kinds(network):
    return {type(layer) for layer in network.layers}


def test_on_a_processor_the_layers_are_the_fused_ones_and_on_a_gpu_keras_own(monkeypatch):
    plain = unet(2, 2)
    monkeypatch.setattr(layers, "gpu_capabilities", lambda: [])
    assert {fused.Conv2D, fused.BatchNormalization, fused.Concatenate} <= kinds(trainable(plain))
    monkeypatch.setattr(layers, "gpu_capabilities", lambda: [(8, 0)])
    assert kinds(trainable(plain)) == kinds(plain)


def test_on_several_devices_batch_normalization_takes_its_statistics_from_all(monkeypatch):
    two = SimpleNamespace(num_replicas_in_sync=2)
    with monkeypatch.context() as patch:
        patch.setattr(layers.tf.distribute, "get_strategy", lambda: two)
        plain = unet(2, 2)
        network = trainable(plain)
    normalizations = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert normalizations and all(layer.synchronized for layer in normalizations)


def test_in_bfloat16_the_last_layer_stays_in_float32():
    network = trainable(unet(2, 2), "bfloat16")
    assert {layer.compute_dtype for layer in network.layers[1:-1]} == {"bfloat16"}
    assert network.layers[-1].compute_dtype == "float32"


def test_a_network_made_of_other_layers_has_the_same_names_and_weights():
    plain = unet(2, 2)
    same = rebuilt(plain)
    assert [layer.name for layer in same.layers] == [layer.name for layer in plain.layers]
    copy_weights(plain, same)
    picture = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
    assert np.array_equal(plain(picture), same(picture))


def test_the_first_weights_are_a_function_of_the_seed():
    first, again, other = (starting_network(2, 2, "float32", seed).get_weights() for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, again)) and not all(map(np.array_equal, first, other))


def test_with_a_model_its_weights_and_shape_count(tiny_model):
    network = starting_network(16, 4, "float32", 0, tiny_model)
    kept = keras.models.load_model(tiny_model, compile=False)
    assert shape_of(network) == (2, 2) and all(map(np.array_equal, network.get_weights(), kept.get_weights()))


# ---- which devices -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("count, batch, there, used", [
    (None, 4, 0, 0), (None, 4, 1, 1), (None, 4, 2, 2), (None, 4, 8, 4), (None, 6, 4, 3), (None, 3, 2, 1),
    (1, 4, 0, 0), (1, 4, 8, 1), (2, 4, 8, 2), (8, 16, 8, 8)])
def test_as_many_devices_as_asked_for_else_as_many_as_share_a_batch_evenly(count, batch, there, used):
    gpus = [f"GPU:{k}" for k in range(there)]
    assert chosen_devices(count, batch, gpus) == gpus[:used]


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


# The command in a process of its own, with two logical processors in the place of GPUs, broken off in the
# second epoch and resumed
AS_GPUS = """
import sys
import tensorflow as tf
processor, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
every = tf.config.list_logical_devices
tf.config.list_logical_devices = lambda kind=None: every("CPU") if kind == "GPU" else every(kind)
import training
from fitting import callbacks, finishing, layers
from running.command import run
validation = {"dice": 0.1, "roc_auc": 0.5}
chosen = {"threshold": 0.5, "validation": validation, "tta": {"threshold": 0.5, "validation": validation}}
finishing.tune, finishing.native_dice = lambda *_: chosen, lambda *_: 0.1
devices_for, sound = layers.devices_for, callbacks.Watch.on_train_batch_end
def counted(*given):
    strategy = devices_for(*given)
    print("devices", strategy.num_replicas_in_sync)
    return strategy
def broken(self, batch, logs=None):
    if (self.epoch, batch) == (1, 1):
        raise KeyboardInterrupt
layers.devices_for, callbacks.Watch.on_train_batch_end = counted, broken
assert run(training.main) == 130
callbacks.Watch.on_train_batch_end = sound
sys.argv.append("--resume")
sys.exit(run(training.main))
"""


def train(pairs, out, *words):
    command = [sys.executable, "-c", AS_GPUS, "--pairs", pairs, "--out", out, "--batch", 2, "--epochs", 3]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(list(map(str, [*command, *SMALL, *words])), cwd=out.parent, env=environment,
                           capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    return pd.read_csv(out / "history.csv"), ended.stdout


@pytest.mark.slow
def test_two_devices_give_the_losses_of_one(tiny_pairs, tmp_path):
    """Also when resumed, and the metrics of a validation of one photograph, which cannot be shared evenly."""
    alone, said_alone = train(tiny_pairs, tmp_path / "one", "--devices", 1)
    shared, said_shared = train(tiny_pairs, tmp_path / "two")
    assert "devices 1" in said_alone and "devices 2" in said_shared
    assert len(alone) == 3 and list(alone) == list(shared)
    for name in alone:
        assert np.allclose(alone[name], shared[name], rtol=0, atol=1e-4), (name, alone[name], shared[name])
    assert (tmp_path / "two/model.keras").exists()
