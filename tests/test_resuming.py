"""A run that was broken off: it goes on to the very model of an unbroken one, and nothing is lost."""

import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL, same_weights

import training
from fitting import callbacks, resuming, schedule
from running import files
from running.command import Problem
from running.files import read_json

# ---- whole runs --------------------------------------------------------------------------------------------

@pytest.fixture
def impatient(monkeypatch):
    """A plateau at every epoch, so that a run that forgets its best or its cuts ends elsewhere."""
    kind = keras.callbacks.ReduceLROnPlateau

    class ReduceLROnPlateau(kind):
        def __init__(self, **settings):
            super().__init__(**settings | {"patience": 1, "min_delta": 1})

    monkeypatch.setattr(keras.callbacks, "ReduceLROnPlateau", ReduceLROnPlateau)


def breaking(monkeypatch, name, method, epoch):
    """Interrupts the run in this callback's method, at the second batch of `epoch` if it is for batches."""
    kind = getattr(callbacks, name)
    before = getattr(kind, method)

    def broken(self, step, logs=None):
        if method == "on_epoch_end" and step == epoch:
            raise KeyboardInterrupt
        if method == "on_train_batch_end" and self.epoch == epoch and step == 1:
            raise KeyboardInterrupt
        before(self, step, logs)

    monkeypatch.setattr(kind, method, broken)


@pytest.fixture(scope="module")
def unbroken():
    """Filled by the first test that needs it: the folder of an unbroken run of three epochs."""
    return {}


@pytest.mark.parametrize("name, method", [("Watch", "on_train_batch_end"), ("History", "on_epoch_end")])
def test_a_resumed_run_equals_the_unbroken_one_to_the_last_digit(
        train, tmp_path, tmp_path_factory, monkeypatch, impatient, unbroken, name, method):
    """Broken within the second epoch, or at its end between the best model and the history."""
    if not unbroken:
        unbroken["folder"] = tmp_path_factory.mktemp("unbroken") / "c"
        assert train(unbroken["folder"], "--epochs", 3).code == 0
    whole, out = unbroken["folder"], tmp_path / "c"
    with monkeypatch.context() as patch:
        breaking(patch, name, method, 1)
        ended = train(out, "--epochs", 3)
        assert ended.code == 130 and "Interrupted" in ended.err
    assert len(pd.read_csv(out / "history.csv")) == 1
    ended = train(out, "--epochs", 3, "--resume")
    assert ended.code == 0, ended.err
    assert (out / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    assert same_weights(out / "model.keras", whole / "model.keras")
    rates = pd.read_csv(whole / "history.csv")["learning_rate"]
    assert rates[1] < 0.6 * rates[0], "the plateau's cut is part of this test"


def test_an_unfinished_run_wants_resume_or_overwrite(train, tmp_path, monkeypatch, everything):
    with monkeypatch.context() as patch:
        breaking(patch, "Watch", "on_train_batch_end", 0)
        assert train(tmp_path / "c", "--epochs", 2).code == 130
    before = everything(tmp_path / "c")
    ended = train(tmp_path / "c", "--epochs", 2)
    assert ended.code == 2 and "--resume" in ended.err and "--overwrite" in ended.err
    ended = train(tmp_path / "c", "--epochs", 3, "--resume")
    assert ended.code == 2 and "epochs: 2 before, 3 now" in ended.err
    assert everything(tmp_path / "c") == before


def test_a_damaged_state_is_named(train, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        breaking(patch, "Watch", "on_train_batch_end", 0)
        train(tmp_path / "c", "--epochs", 2)
    state = tmp_path / "c/state/training.npz"
    state.write_bytes(state.read_bytes()[:5000])
    ended = train(tmp_path / "c", "--epochs", 2, "--resume")
    assert ended.code == 2 and "training.npz: cannot be read" in ended.err and "--overwrite" in ended.err


def test_who_interrupts_is_told_the_same_command_with_resume():
    words = ["--pairs", "mine", "--init", "weights/vessels.keras", "--overwrite", "--out", "checkpoints-mine"]
    assert training.goes_on(words) == ("Go on with  python training.py --pairs mine "
                                       "--init weights/vessels.keras --out checkpoints-mine --resume")
    assert training.goes_on(["--resume"]) == "Go on with  python training.py --resume"


def test_resume_says_where_there_is_nothing_to_go_on_with(train, tmp_path):
    ended = train(tmp_path / "mistyped", "--epochs", 1, "--resume")
    assert ended.code == 0 and "mistyped: there is no run to go on with; it begins anew" in ended.out


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_unbroken_run(tiny_pairs, tmp_path):
    words = [sys.executable, str(ROOT / "training.py"), "--pairs", str(tiny_pairs), "--batch", "2",
             "--epochs", "3", *map(str, SMALL)]
    subprocess.run([*words, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen([*words, "--out", str(tmp_path / "c")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    while not (tmp_path / "c/history.csv").exists() and killed.poll() is None:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert read_json(tmp_path / "c/run.json")["finished"] is False
    subprocess.run([*words, "--out", str(tmp_path / "c"), "--resume"], check=True, capture_output=True)
    assert (tmp_path / "c/history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()
    assert same_weights(tmp_path / "c/model.keras", tmp_path / "whole/model.keras")


# ---- what is remembered ------------------------------------------------------------------------------------

KNOWN = {"rate": {"done": 40, "seconds": 12.5, "last": 0.7, "compiled": 3.5, "slow": True},
         "loss": {"odd_epochs": 2},
         "checkpoint": {"best": 0.61},
         "plateau": {"wait": 3, "best": 0.6, "cooldown_counter": 1},
         "stopping": {"wait": 5, "best": 0.59, "best_epoch": 2, "stopped_epoch": 4},
         "history": {"rows": [{"epoch": 1, "val": 0.6}]}}


def small_training(tmp_path):
    """A training of one weight, about to begin: its state, the callbacks that remember, its network."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.1), "mse")
    network.optimizer.build(network.trainable_variables)
    best = {"monitor": "val", "mode": "max"}
    watching = {"rate": schedule.Anneal(100), "loss": callbacks.Watch(lambda *_: []),
                "checkpoint": callbacks.ModelCheckpoint(tmp_path / "m.keras", save_best_only=True, **best),
                "plateau": keras.callbacks.ReduceLROnPlateau(**best),
                "stopping": keras.callbacks.EarlyStopping(**best),
                "history": callbacks.History(tmp_path / "h.csv")}
    state = resuming.KeepState(tmp_path / "state.npz", watching)
    for callback in (*watching.values(), state):
        callback.set_model(network)
    for callback in watching.values():
        callback.on_train_begin()
    return state, watching, network


def test_everything_that_the_callbacks_know_is_put_back(tmp_path):
    state, watching, network = small_training(tmp_path)
    for key, known in KNOWN.items():
        for name, value in known.items():
            setattr(watching[key], name, value)
    network.optimizer.learning_rate = 0.025
    network.train_on_batch(np.ones((4, 1)), np.zeros((4, 1)))
    state.on_epoch_begin(4)
    later, watching_later, network_later = small_training(tmp_path)
    assert later.epoch() == 4
    later.on_train_begin()
    for key, known in KNOWN.items():
        assert {name: getattr(watching_later[key], name) for name in known} == known, key
        assert set(resuming.remembered(watching_later[key])) == set(known), key
    watching_later["rate"].on_train_batch_begin(0)
    passed = time.monotonic() - watching_later["rate"].began
    assert passed == pytest.approx(12.5, abs=1), "the time before counts against --minutes"


def test_weights_and_optimizer_are_put_back(tmp_path):
    state, _, network = small_training(tmp_path)
    network.optimizer.learning_rate = 0.025
    network.train_on_batch(np.ones((4, 1)), np.zeros((4, 1)))
    state.on_epoch_begin(4)
    later, _, network_later = small_training(tmp_path)
    later.on_train_begin()
    for before, after in zip([*network.variables, *network.optimizer.variables],
                             [*network_later.variables, *network_later.optimizer.variables], strict=True):
        assert np.array_equal(before.numpy(), after.numpy()), before.path


def test_a_state_of_another_version_is_told(tmp_path):
    state, watching, _ = small_training(tmp_path)
    state.others = {key: callback for key, callback in watching.items() if key != "rate"}
    state.on_epoch_begin(1)
    state.others = watching
    with pytest.raises(Problem, match="state.npz: another version .* --overwrite"):
        state.on_train_begin()


def test_the_state_is_replaced_whole(tmp_path, monkeypatch):
    state, _, _ = small_training(tmp_path)
    state.on_epoch_begin(1)
    before = (tmp_path / "state.npz").read_bytes()

    def torn(*_):
        raise OSError("the power failed")

    monkeypatch.setattr(files.os, "replace", torn)
    with pytest.raises(OSError):
        state.on_epoch_begin(2)
    assert (tmp_path / "state.npz").read_bytes() == before and not list(tmp_path.glob(".unfinished*"))
