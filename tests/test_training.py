"""Training: a resumed run is the unbroken one, nothing is lost, and what it says is true."""

import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL

import files
import metrics
import training
from files import read_json
from fitting import callbacks, tuning
from fitting.pairs import Pairs


@pytest.fixture
def quick(monkeypatch):
    """Without the choice of threshold and squares, which has tests of its own."""
    told = {"threshold": 0.5, "validation": {"dice": 0.1, "roc_auc": 0.5}, "tta": {"threshold": 0.5, "validation": {"dice": 0.1}}}
    monkeypatch.setattr(tuning, "tune", lambda *_: told)
    monkeypatch.setattr(tuning, "native_dice", lambda file, *_: float(file.name == "model.keras"))


@pytest.fixture
def train(command, tiny_pairs, quick):
    def training(out, *words):
        return command("training", "--pairs", tiny_pairs, "--out", out, "--batch", 2, *SMALL, *words)

    return training


def weights(model_file):
    """{name: array} of a .keras file, whose bytes hold the time of writing."""
    found = {}
    with zipfile.ZipFile(model_file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as store:
        store.visititems(lambda name, entry: found.update({name: entry[()]}) if isinstance(entry, h5py.Dataset) else None)
    return found


def same_weights(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


# ---- what is written -----------------------------------------------------------------------------------------------

def test_a_training_leaves_what_the_contract_lists(tiny_training):
    assert {"model.keras", "model.json", "history.csv", "curves.png", "state"} <= {path.name for path in tiny_training.iterdir()}
    assert not list(tiny_training.rglob(".unfinished*"))
    assert (tiny_training / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_the_history_has_a_row_an_epoch_with_all_metrics(tiny_training):
    table = pd.read_csv(tiny_training / "history.csv")
    assert list(table["epoch"]) == [1, 2]
    for name in ("loss", "dice_coefficient", "iou", "precision", "recall"):
        assert table[[name, f"val_{name}"]].notna().all(axis=None)
    assert (table["learning_rate"] > 0).all()
    assert np.allclose(table["loss"], 1 - table["dice_coefficient"], atol=1e-5), "Dice loss is the default"


def test_the_card_says_everything_that_is_needed_to_use_the_model_and_to_repeat_it(tiny_training, tiny_set):
    card = read_json(tiny_training / "model.json")
    assert card["network"] == {"width": 2, "depth": 2} and card["seed"] == 0 and card["loss"] == "dice"
    assert 0 < card["threshold"] < 1 and "1 validation photographs" in card["threshold chosen"]
    assert len(card["sides"]) == 1 and set(card["calibration"]) >= {"temperature", "bias"}
    assert card["tta"]["threshold"] and card["tta"]["sides"] and card["tta"]["validation"]["dice"]
    assert set(card["validation"]) >= {"dice", "iou", "precision", "recall", "roc_auc", "average_precision", "ece"}
    assert set(card["data"]["tiny"]["validation"]) == {"eye3"} and len(card["data"]["tiny"]["train"]["eye0"]) == 64
    assert card["recipe"]["epochs"] == 2 and card["recipe"]["crop"] == 256 and card["recipe"]["augmentation"]["copies"] == 2
    assert set(card["versions"]) == {"python", "tensorflow", "keras"} and card["licence"] and card["seconds"] >= 0
    assert set(card["photographs"]) == {"brightness", "sharpness", "side"}
    assert len(card["fov sides"]) == 2 and card["fov sides"][0] == round(card["photographs"]["side"])
    kept = pd.read_csv(tiny_training / "history.csv").set_index("epoch")["val_dice_coefficient"][card["best epoch"]]
    assert card["best validation square"]["dice_coefficient"] == pytest.approx(kept, abs=1e-5)


def validation_dice(model_file, pairs):
    network = keras.models.load_model(model_file, compile=False)
    found = [metrics.dice_coefficient(masks, network(photographs)) for photographs, masks in Pairs(pairs).validation(2)]
    return np.mean(np.concatenate(found))


def test_the_model_kept_is_the_one_that_validation_saw(tiny_training, tiny_pairs):
    """The averaged weights of the epoch that the card names, not those of the last step."""
    seen = pd.read_csv(tiny_training / "history.csv").set_index("epoch")["val_dice_coefficient"]
    kept = seen[read_json(tiny_training / "model.json")["best epoch"]]
    assert validation_dice(tiny_training / "model.keras", tiny_pairs) == pytest.approx(kept, abs=1e-4)


@pytest.mark.parametrize("of_last, epoch, name", [(0.81, 3, "last.keras"), (0.8, 3, "last.keras"), (0.79, 2, "model.keras")])
def test_the_last_epoch_is_kept_unless_it_is_worse_at_native_size(tmp_path, monkeypatch, of_last, epoch, name):
    monkeypatch.setattr(tuning, "native_dice", lambda file, *_: of_last if file.name == "last.keras" else 0.8)
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_dice_coefficient": [0.1, 0.5, 0.4]})
    options, pairs = SimpleNamespace(out=tmp_path, precision="auto"), SimpleNamespace(photographs=lambda part: [])
    file, row = training.kept_model(options, pairs, history, {})
    assert (file.name, row["epoch"]) == (name, epoch)


def test_killed_at_its_end_a_run_still_has_its_best_model(train, tmp_path, monkeypatch):
    """The last model takes its place with its card, not before: until then the run goes on from what it had."""
    monkeypatch.setattr(training, "kept_model",
                        lambda options, pairs, history, card: (options.out / training.LAST, history.iloc[-1]))
    with monkeypatch.context() as killed:
        killed.setattr(tuning, "tune", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tmp_path / "c", "--epochs", 1)
    assert not (tmp_path / "c/model.json").exists(), "a threshold that nobody chose"
    last = shutil.copy(tmp_path / "c" / training.LAST, tmp_path / "last.keras")
    assert train(tmp_path / "c", "--epochs", 1, "--resume").code == 0
    assert same_weights(tmp_path / "c/model.keras", last)


def test_the_model_kept_has_the_averaged_weights(train, tmp_path, monkeypatch):
    """When the fit ends, Keras leaves the average in the network; after one epoch the file must hold the same."""
    seen, fit = [], training.fit
    monkeypatch.setattr(training, "fit", lambda *given: fit(*given) or seen.append(given[2]))
    assert train(tmp_path / "c", "--epochs", 1).code == 0
    kept = keras.models.load_model(tmp_path / "c/model.keras", compile=False)
    assert all(map(np.array_equal, seen[0].get_weights(), kept.get_weights()))


# ---- resuming ------------------------------------------------------------------------------------------------------

@pytest.fixture
def impatient(monkeypatch):
    """A plateau at every epoch, so that a run that forgets its best or its cuts ends elsewhere."""
    kind = keras.callbacks.ReduceLROnPlateau

    class ReduceLROnPlateau(kind):
        def __init__(self, **settings):
            super().__init__(**settings | {"patience": 1, "min_delta": 1})

    monkeypatch.setattr(keras.callbacks, "ReduceLROnPlateau", ReduceLROnPlateau)


def breaking(monkeypatch, name, method, epoch):
    """Interrupts the run in this callback's method, the second time within `epoch` if it is called for batches."""
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


@pytest.mark.parametrize("name, method", [("Watch", "on_train_batch_end"), ("Table", "on_epoch_end")])
def test_a_resumed_run_equals_the_unbroken_one_to_the_last_digit(
    train, tmp_path, tmp_path_factory, monkeypatch, impatient, unbroken, name, method
):
    """Broken within the second epoch, or at its end between the best model and the table."""
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
    assert (out / "history.csv").read_text() == (whole / "history.csv").read_text()
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


def test_a_finished_run_is_left_as_it_is_and_other_flags_are_refused(command, tiny_training, tiny_pairs, everything):
    before = everything(tiny_training)
    words = ("training", "--pairs", tiny_pairs, "--out", tiny_training, "--batch", 2, *SMALL)
    for more in ((), ("--resume",)):
        ended = command(*words, "--epochs", 2, *more)
        assert ended.code == 0 and "is finished" in ended.out
    ended = command(*words, "--epochs", 2, "--loss", "bce", "--seed", 4)
    assert ended.code == 2 and "loss: dice before, bce now" in ended.err and "seed: 0 before, 4 now" in ended.err
    assert everything(tiny_training) == before


def test_a_damaged_state_is_named(train, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        breaking(patch, "Watch", "on_train_batch_end", 0)
        train(tmp_path / "c", "--epochs", 2)
    state = tmp_path / "c/state/training.npz"
    state.write_bytes(state.read_bytes()[:5000])
    ended = train(tmp_path / "c", "--epochs", 2, "--resume")
    assert ended.code == 2 and "training.npz: cannot be read" in ended.err and "--overwrite" in ended.err


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_unbroken_run(tiny_pairs, tmp_path):
    words = [
        sys.executable,
        str(ROOT / "training.py"),
        "--pairs",
        str(tiny_pairs),
        "--batch",
        "2",
        "--epochs",
        "3",
        *map(str, SMALL),
    ]
    subprocess.run([*words, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen([*words, "--out", str(tmp_path / "c")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "c/history.csv").exists() and killed.poll() is None:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert read_json(tmp_path / "c/run.json")["finished"] is False
    subprocess.run([*words, "--out", str(tmp_path / "c"), "--resume"], check=True, capture_output=True)
    assert (tmp_path / "c/history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()
    assert same_weights(tmp_path / "c/model.keras", tmp_path / "whole/model.keras")


# ---- flags ---------------------------------------------------------------------------------------------------------

def test_fine_tuning_starts_from_the_models_weights_and_takes_its_shape(train, tiny_training, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(training, "fit", lambda options, pairs, network: seen.append((options, network)))
    monkeypatch.setattr(training, "write_card", lambda *_: {"best epoch": 1, "epochs": 1, **tuning.tune()})
    alone = shutil.copy(tiny_training / "model.keras", tmp_path / "alone.keras")  # as a run that broke off leaves it
    ended = train(tmp_path / "c", "--init", alone, "--width", 16, "--depth", 4)
    assert ended.code == 0, ended.err
    (options, network), = seen
    assert (options.width, options.depth) == (2, 2)
    kept = keras.models.load_model(tiny_training / "model.keras", compile=False)
    assert all(map(np.array_equal, network.get_weights(), kept.get_weights()))


@pytest.mark.parametrize("words, told", [
    (("--init", "nothing.keras"), "no such model"), (("--init", "text.keras"), "not a model of this project"),
    (("--loss", "hinge"), "no loss 'hinge'"), (("--width", 2000), "cannot be built"),
])
def test_a_flag_that_makes_no_sense_loses_nothing(train, tiny_training, tmp_path, monkeypatch, everything, words, told):
    shutil.copytree(tiny_training, tmp_path / "c")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("no model")
    before = everything(tmp_path / "c")
    ended = train(tmp_path / "c", "--overwrite", *words)
    assert ended.code == 2 and told in ended.err and len(ended.err.strip().splitlines()) == 1
    assert everything(tmp_path / "c") == before


def test_fine_tuning_never_removes_the_model_it_starts_from(train, tiny_training, tmp_path):
    shutil.copytree(tiny_training, tmp_path / "c")
    ended = train(tmp_path / "c", "--overwrite", "--init", tmp_path / "c/model.keras")
    assert ended.code == 2 and "another --out" in ended.err
    assert (tmp_path / "c/model.keras").exists()


def test_no_pairs_no_training(refused, tmp_path):
    sentence = refused("training", "--pairs", tmp_path / "nothing", "--out", tmp_path / "c")
    assert "python augment.py" in sentence and not (tmp_path / "c").exists()


def test_the_time_given_is_kept(train, tiny_pairs, tmp_path):
    began = time.monotonic()
    ended = train(tmp_path / "c", "--epochs", 100000, "--minutes", 0.08)
    assert ended.code == 0, ended.err
    assert time.monotonic() - began < 240, "five seconds of training, besides building and validation, on a busy machine"
    table = pd.read_csv(tmp_path / "c/history.csv")
    assert len(table) < 1000 and (tmp_path / "c/model.keras").exists()
    last = table["val_dice_coefficient"].iloc[-1]
    assert validation_dice(tmp_path / "c" / training.LAST, tiny_pairs) == pytest.approx(last, abs=1e-4), "averaged, though cut"


# ---- the rate ------------------------------------------------------------------------------------------------------

def annealed(steps, cut_at=None, minutes=None, clock=None):
    """The rate at each step; `cut_at` halves it, as ReduceLROnPlateau does."""
    watcher = callbacks.Anneal(steps, minutes)
    network = SimpleNamespace(optimizer=keras.optimizers.Adam(1.0), stop_training=False)
    watcher.set_model(network)
    watcher.on_train_begin()
    rates = []
    for step in range(steps):
        if step == cut_at:
            network.optimizer.learning_rate = 0.5 * float(network.optimizer.learning_rate)
        watcher.on_train_batch_begin(step)
        rates.append(float(network.optimizer.learning_rate))
        if clock:
            clock.now += 1
        watcher.on_train_batch_end(step)
        if network.stop_training:
            break
    return np.array(rates)


def test_the_rate_warms_up_reaches_its_height_once_and_comes_down():
    rates = annealed(200)
    top = rates.argmax()
    assert rates[0] < 0.1 and 4 <= top <= 8 and rates[top] == pytest.approx(1, abs=0.02)
    assert (np.diff(rates[:top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all() and rates[-1] < 0.02


def test_a_cut_by_the_plateau_stays_under_the_annealing():
    whole, cut = annealed(100), annealed(100, cut_at=40)
    assert np.allclose(cut[:40], whole[:40]) and np.allclose(cut[40:], 0.5 * whole[40:], rtol=1e-4)


def test_within_a_budget_the_rate_has_come_down_when_the_time_is_over(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock.now)
    rates = annealed(10000, minutes=1, clock=clock)
    assert len(rates) == 60, "a second a step: the fit stops after one minute"
    assert rates.max() > 0.9 and rates[-1] < 0.02


def test_a_machine_too_slow_for_the_limit_is_told_early(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock.now)
    annealed(600, minutes=5, clock=clock)
    assert "some 10 minutes" in (told := capsys.readouterr().out) and "ends after 5" in told and "--minutes 0" in told
    for minutes in (15, 0):
        annealed(600, minutes=minutes, clock=clock)
        assert capsys.readouterr().out == ""


def test_a_machine_that_is_fast_enough_trains_as_without_a_limit(monkeypatch):
    """However long the first step takes, which compiles."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock.now)
    rate, slow_start = callbacks.Anneal.on_train_batch_begin, {0: 60, 1: 2}

    def starting(watcher, batch, logs=None):
        rate(watcher, batch, logs)
        clock.now += slow_start.get(batch, 0)

    monkeypatch.setattr(callbacks.Anneal, "on_train_batch_begin", starting)
    assert np.array_equal(annealed(600, minutes=12, clock=clock), annealed(600))


@pytest.mark.parametrize("words, samples, minutes", [
    ((), False, 60), ((), True, 15), (("--minutes", 0), True, 0), (("--minutes", 7), False, 7),
])
def test_a_fit_without_flags_ends_within_the_hour_and_sooner_on_the_samples(
        refused, tiny_pairs, tmp_path, monkeypatch, words, samples, minutes):
    def told(options, *_):
        raise files.Problem(f"minutes: {options.minutes:g}.")

    monkeypatch.setattr(Pairs, "drawn", samples)
    monkeypatch.setattr(training, "fit", told)
    sentence = refused("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", *SMALL, *words)
    assert f"minutes: {minutes}." in sentence


# ---- what is watched -----------------------------------------------------------------------------------------------

def test_a_loss_that_is_no_number_stops_the_run_names_the_pairs_and_keeps_the_best_model(train, tmp_path, monkeypatch):
    poison = keras.Variable(0.0, trainable=False)
    monkeypatch.setattr(metrics, "loss", lambda name: lambda true, pred: metrics.dice_loss(true, pred) + poison)
    watchers = training.watchers

    def poisoned(options, pairs, steps):
        spoil = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: poison.assign(math.nan) if epoch == 1 else None)
        return [spoil, *watchers(options, pairs, steps)]

    monkeypatch.setattr(training, "watchers", poisoned)
    monkeypatch.setitem(callbacks.REMEMBERED, "LambdaCallback", ())
    ended = train(tmp_path / "c", "--epochs", 3)
    assert ended.code == 2 and "The loss became nan in epoch 2 at the pairs eye" in ended.err
    assert len(re.findall(r"eye\d_000\d\.png", ended.err)) == 2, "a batch's pairs"
    network = keras.models.load_model(tmp_path / "c/model.keras", compile=False)
    assert all(np.isfinite(values).all() for values in network.get_weights())
    assert len(pd.read_csv(tmp_path / "c/history.csv")) == 1


def watched(capsys, *epochs):
    watch = callbacks.Watch(lambda epoch, batch: [])
    for epoch, (recall, precision) in enumerate(epochs):
        watch.on_epoch_end(epoch, {"val_recall": recall, "val_precision": precision})
    return capsys.readouterr().err


def test_three_epochs_of_nothing_or_of_vessels_everywhere_are_said_aloud_once(capsys):
    assert "predicted nothing" in watched(capsys, *[(0.0, 1.0)] * 3)
    assert watched(capsys, *[(0.0, 1.0)] * 6).count("For three epochs") == 1
    assert "vessels everywhere" in watched(capsys, *[(1.0, 0.12)] * 3)
    assert not watched(capsys, (0, 1), (0, 1), (0.5, 0.5), (0, 1), (0, 1))
    assert not watched(capsys, *[(0.999, 0.95)] * 5), "good is not everywhere"


def test_empty_masks_do_not_break_the_loss(train, tiny_pairs, tmp_path, command):
    """As from a validated photograph whose crop holds no vessel."""
    import cv2

    pairs = shutil.copytree(tiny_pairs, tmp_path / "augmented")
    for path in list((pairs / "train/masks").iterdir())[:3]:
        cv2.imwrite(str(path), np.zeros((512, 512), np.uint8))
    ended = command("training", "--pairs", pairs, "--out", tmp_path / "c", "--epochs", 1, "--batch", 2, *SMALL)
    assert ended.code == 0, ended.err
    assert np.isfinite(pd.read_csv(tmp_path / "c/history.csv").to_numpy()).all()


# ---- what is remembered --------------------------------------------------------------------------------------------

KNOWN = {
    "EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "Keep": ("best",),
    "Anneal": ("done", "seconds", "last", "compiled", "slow"),
    "Watch": ("odd",),
    "Table": ("rows",),
}


def company(tmp_path, network):
    """The callbacks that remember, around a network of one weight."""
    best = {"monitor": "val", "mode": "max"}
    listening = [
        callbacks.Anneal(100),
        callbacks.Watch(lambda *_: []),
        callbacks.Keep(tmp_path / "m.keras", save_best_only=True, **best),
        keras.callbacks.ReduceLROnPlateau(**best),
        keras.callbacks.EarlyStopping(**best),
        callbacks.Table(tmp_path / "h.csv"),
    ]
    listening.append(callbacks.KeepState(tmp_path / "state.npz", listening[:]))
    for one in listening:
        one.set_model(network)
    return listening


def one_weight():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.1), "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def test_everything_that_the_callbacks_know_is_put_back(tmp_path):
    network = one_weight()
    first = company(tmp_path, network)
    for one in first:
        one.on_train_begin()
    anneal, watch, best, plateau, stopping, table, state = first
    anneal.done, anneal.last, anneal.seconds, anneal.compiled, anneal.slow = 40, 0.7, 12.5, 3.5, True
    watch.odd, best.best = 2, 0.61
    plateau.wait, plateau.best, plateau.cooldown_counter = 3, 0.6, 1
    stopping.wait, stopping.best, stopping.best_epoch = 5, 0.59, 2
    table.rows = [{"epoch": 1, "val": 0.6}]
    network.optimizer.learning_rate = 0.025
    network.train_on_batch(np.ones((4, 1)), np.zeros((4, 1)))
    state.on_epoch_begin(4)
    later_network = one_weight()
    later = company(tmp_path, later_network)
    assert later[-1].epoch() == 4
    for one in later:
        one.on_train_begin()
    for before, after in zip(first[:-1], later[:-1], strict=True):
        for name in KNOWN[type(before).__name__]:
            assert getattr(after, name) == getattr(before, name), (type(before).__name__, name)
    assert time.monotonic() - later[0].began == pytest.approx(12.5, abs=1), "the time before counts against --minutes"
    for before, after in zip(
        [*network.variables, *network.optimizer.variables],
        [*later_network.variables, *later_network.optimizer.variables],
        strict=True,
    ):
        assert np.array_equal(before.numpy(), after.numpy())


def test_a_state_of_another_version_is_told(tmp_path):
    *listening, state = company(tmp_path, one_weight())
    for one in listening:
        one.on_train_begin()
    state.others = listening[1:]
    state.on_epoch_begin(1)
    state.others = listening
    with pytest.raises(files.Problem, match="state.npz: another version .* --overwrite"):
        state.on_train_begin()


def test_the_state_is_replaced_whole(tmp_path, monkeypatch):
    listening = company(tmp_path, one_weight())
    for one in listening:
        one.on_train_begin()
    state = listening[-1]
    state.on_epoch_begin(1)
    before = (tmp_path / "state.npz").read_bytes()

    def torn(*_):
        raise OSError("the power failed")

    monkeypatch.setattr(files.os, "replace", torn)
    with pytest.raises(OSError):
        state.on_epoch_begin(2)
    assert (tmp_path / "state.npz").read_bytes() == before and not list(tmp_path.glob(".unfinished*"))


def test_the_best_model_is_only_replaced_by_a_better_one(tmp_path):
    import model as models

    network = models.network(1, 1)
    keep = callbacks.Keep(tmp_path / "m.keras", save_best_only=True, monitor="val", mode="max")
    keep.set_model(network)
    seen = []
    for epoch, value in enumerate((0.2, 0.5, 0.4, 0.6)):
        keep.on_epoch_end(epoch, {"val": value})
        seen.append((tmp_path / "m.keras").stat().st_mtime_ns)
    assert seen[0] < seen[1] == seen[2] < seen[3]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    network = one_weight()
    table = callbacks.Table(tmp_path / "h.csv")
    table.set_model(network)
    table.on_epoch_end(0, {"loss": 0.5})
    before = (tmp_path / "h.csv").read_text()
    assert before.splitlines()[0] == "epoch,loss,learning_rate"
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError):
        table.on_epoch_end(1, {"loss": 0.4})
    assert (tmp_path / "h.csv").read_text() == before
