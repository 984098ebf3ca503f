"""What watches a training: models and tables that stay whole, and what is said aloud."""

import math
import re

import keras
import numpy as np
import pandas as pd
import pytest

import losses
import training
from fitting import callbacks
from model import unet
from running import files

# ---- a network that goes astray ----------------------------------------------------------------------------

def test_a_loss_that_is_not_a_number_stops_the_run_names_the_pairs_and_keeps_the_best_model(
        train, tmp_path, monkeypatch):
    poison, watchers = keras.Variable(0.0, trainable=False), training.watchers

    def poisoned(*given):
        spoil = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: poison.assign(math.nan if epoch == 1 else 0))
        return {"spoil": spoil, **watchers(*given)}

    monkeypatch.setattr(losses, "loss", lambda name: lambda true, pred: losses.dice_loss(true, pred) + poison)
    monkeypatch.setattr(training, "watchers", poisoned)
    ended = train(tmp_path / "c", "--epochs", 3)
    assert ended.code == 2 and "The loss became nan in epoch 2 at the pairs eye" in ended.err
    assert len(re.findall(r"eye\d_000\d\.png", ended.err)) == 2, "a batch's pairs"
    network = keras.models.load_model(tmp_path / "c/model.keras", compile=False)
    assert all(np.isfinite(values).all() for values in network.get_weights())
    assert len(pd.read_csv(tmp_path / "c/history.csv")) == 1


def watched(capsys, *epochs):
    watch = callbacks.Watch(lambda epoch, step: [])
    for epoch, (recall, precision) in enumerate(epochs):
        watch.on_epoch_end(epoch, {"val_recall": recall, "val_precision": precision})
    return capsys.readouterr().err


def test_three_epochs_of_nothing_or_of_vessels_everywhere_are_said_aloud_once(capsys):
    assert "predicted nothing" in watched(capsys, *[(0.0, 1.0)] * 3)
    assert watched(capsys, *[(0.0, 1.0)] * 6).count("For three epochs") == 1
    assert "vessels everywhere" in watched(capsys, *[(1.0, 0.12)] * 3)
    assert not watched(capsys, (0, 1), (0, 1), (0.5, 0.5), (0, 1), (0, 1))
    assert not watched(capsys, *[(0.999, 0.95)] * 5), "good is not everywhere"


# ---- files -------------------------------------------------------------------------------------------------

def test_the_best_model_is_only_replaced_by_a_better_one(tmp_path):
    keep = callbacks.ModelCheckpoint(tmp_path / "m.keras", save_best_only=True, monitor="val", mode="max")
    keep.set_model(unet(1, 1))
    seen = []
    for epoch, value in enumerate((0.2, 0.5, 0.4, 0.6)):
        keep.on_epoch_end(epoch, {"val": value})
        seen.append((tmp_path / "m.keras").stat().st_mtime_ns)
    assert seen[0] < seen[1] == seen[2] < seen[3]


def test_a_history_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.1), "mse")
    history = callbacks.History(tmp_path / "h.csv")
    history.set_model(network)
    history.on_epoch_end(0, {"loss": 0.5})
    before = (tmp_path / "h.csv").read_text(encoding="utf-8")
    assert before.splitlines()[0] == "epoch,loss,learning_rate"
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError):
        history.on_epoch_end(1, {"loss": 0.4})
    assert (tmp_path / "h.csv").read_text(encoding="utf-8") == before


# ---- TensorBoard -------------------------------------------------------------------------------------------

def test_a_tensorboard_that_cannot_be_imported_is_as_none(monkeypatch, tmp_path):
    """Version 2.20 without setuptools ended a training with its first epoch, and no model was left."""
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard/__init__.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    assert callbacks.tensorboard(tmp_path, None) == []
