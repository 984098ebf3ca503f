"""training.py as a command: what it leaves, what it refuses, and what it says."""

import shutil
import time

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

import losses
import training
from fitting import layers
from fitting.pairs import Pairs
from running.command import Problem, typed
from running.files import read_json, write_json

# ---- what is written -------------------------------------------------------------------------------------

def test_a_training_leaves_the_model_its_card_the_history_and_the_curves(tiny_training):
    left = {path.name for path in tiny_training.iterdir()}
    assert {"model.keras", "model.json", "history.csv", "curves.png", "run.json", "state"} <= left
    assert not list(tiny_training.rglob(".unfinished*"))
    assert (tiny_training / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_the_history_has_a_row_an_epoch_with_all_metrics(tiny_training):
    table = pd.read_csv(tiny_training / "history.csv")
    assert list(table["epoch"]) == [1, 2]
    for name in ("loss", "dice_coefficient", "iou", "precision", "recall"):
        assert table[[name, f"val_{name}"]].notna().all(axis=None)
    assert (table["learning_rate"] > 0).all()
    assert np.allclose(table["loss"], 1 - table["dice_coefficient"], atol=1e-5), "Dice loss is the default"


def validation_dice(model_file, pairs):
    network = keras.models.load_model(model_file, compile=False)
    batches = Pairs(pairs).validation(2)
    return np.mean(np.concatenate([losses.dice_coefficient(masks, network(rgb)) for rgb, masks in batches]))


def test_the_model_kept_is_the_one_that_validation_saw(tiny_training, tiny_pairs):
    """It has the averaged weights of the epoch that the card names, not those of the last step."""
    seen = pd.read_csv(tiny_training / "history.csv").set_index("epoch")["val_dice_coefficient"]
    kept = seen[read_json(tiny_training / "model.json")["best epoch"]]
    assert validation_dice(tiny_training / "model.keras", tiny_pairs) == pytest.approx(kept, abs=1e-4)


@pytest.fixture
def started(monkeypatch):
    """Filled with each network that a training starts with."""
    networks, start = [], layers.starting_network

    def starting(*given):
        networks.append(start(*given))
        return networks[-1]

    monkeypatch.setattr(layers, "starting_network", starting)
    return networks


def test_the_model_kept_has_the_averaged_weights(train, tmp_path, started):
    """When the fit ends, Keras leaves the average in the network; after one epoch the file holds the same."""
    assert train(tmp_path / "c", "--epochs", 1).code == 0
    kept = keras.models.load_model(tmp_path / "c/model.keras", compile=False)
    assert all(map(np.array_equal, started[0].get_weights(), kept.get_weights()))


@pytest.mark.parametrize("file", ["model.keras", "model.json"])
def test_a_finished_run_that_has_lost_its_model_is_named(
        file, refused, tiny_training, tiny_pairs, tmp_path):
    out = shutil.copytree(tiny_training, tmp_path / "c")
    (out / file).write_bytes(b"")
    sentence = refused("training", "--pairs", tiny_pairs, "--out", out, "--batch", 2, *SMALL, "--epochs", 2)
    assert f"{out / file}: is gone or empty. Put it back" in sentence


def test_a_finished_run_is_left_as_it_is_and_other_flags_are_refused(
        command, tiny_training, tiny_pairs, everything):
    before = everything(tiny_training)
    words = ("training", "--pairs", tiny_pairs, "--out", tiny_training, "--batch", 2, *SMALL)
    for more in ((), ("--resume",)):
        ended = command(*words, "--epochs", 2, *more)
        assert ended.code == 0 and "is finished" in ended.out
    ended = command(*words, "--epochs", 2, "--loss", "bce", "--seed", 4)
    assert ended.code == 2
    assert "loss: dice before, bce now" in ended.err and "seed: 0 before, 4 now" in ended.err
    assert everything(tiny_training) == before


# ---- flags -----------------------------------------------------------------------------------------------

@pytest.fixture
def stopped_before_the_fit(monkeypatch):
    """Lets a training say its minutes and go no further."""
    def stop(options, pairs, steps, minutes):
        raise Problem(f"minutes: {minutes:g}.")

    monkeypatch.setattr(training, "watchers", stop)


def test_fine_tuning_starts_from_the_models_weights_and_takes_its_shape(
        train, tiny_training, tmp_path, started, stopped_before_the_fit):
    # without its card, as a run that broke off leaves it
    alone = shutil.copy(tiny_training / "model.keras", tmp_path / "alone.keras")
    train(tmp_path / "c", "--init", alone, "--width", 16, "--depth", 4)
    settings = read_json(tmp_path / "c/run.json")["settings"]
    assert (settings["width"], settings["depth"]) == (2, 2) and settings["init"] == str(alone)
    kept = keras.models.load_model(tiny_training / "model.keras", compile=False)
    assert all(map(np.array_equal, started[0].get_weights(), kept.get_weights()))


def test_a_model_to_start_from_is_known_by_content_and_its_place_in_the_project(
        train, tiny_training, tmp_path, monkeypatch, stopped_before_the_fit):
    monkeypatch.chdir(tmp_path)
    model = shutil.copy(tiny_training / "model.keras", tmp_path / "model.keras")
    assert "minutes:" in train("c", "--init", model).err
    assert "minutes:" in train("c", "--init", "model.keras", "--resume").err, "the same place"
    started = read_json(tmp_path / "c/run.json")
    old = {**started, "settings": dict(started["settings"])}
    del old["settings"]["init sha256"]
    write_json(tmp_path / "c/run.json", old)
    assert "minutes:" in train("c", "--init", model, "--resume").err, "of an earlier version"
    write_json(tmp_path / "c/run.json", started)
    network = keras.models.load_model(model, compile=False)
    network.set_weights([2 * weights for weights in network.get_weights()])
    network.save(model)
    assert "the model of --init is another" in train("c", "--init", model, "--resume").err


@pytest.mark.parametrize("words, sentence", [
    (("--init", "nothing.keras"), "no such model"), (("--init", "."), "is a folder"),
    (("--init", "text.keras"), "not a model of this project"), (("--loss", "hinge"), "no loss 'hinge'"),
    (("--width", 2000), "cannot be built"),
])
def test_a_flag_that_cannot_be_used_loses_nothing(
        train, tiny_training, tmp_path, monkeypatch, everything, words, sentence):
    shutil.copytree(tiny_training, tmp_path / "c")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("no model")
    before = everything(tmp_path / "c")
    ended = train(tmp_path / "c", "--overwrite", *words)
    assert ended.code == 2 and sentence in ended.err and len(ended.err.strip().splitlines()) == 1
    assert everything(tmp_path / "c") == before


@pytest.mark.parametrize("words", [
    ("--epochs", 0), ("--batch", 0), ("--workers", 0), ("--rate", 0), ("--minutes", -1), ("--devices", 0)])
def test_a_number_that_is_too_small_is_refused(train, tmp_path, words):
    ended = train(tmp_path / "c", *words)
    assert ended.code == 2 and f"{words[0]}" in ended.err.splitlines()[-1] and not (tmp_path / "c").exists()


def test_fine_tuning_never_removes_the_model_it_starts_from(train, tiny_training, tmp_path):
    shutil.copytree(tiny_training, tmp_path / "c")
    ended = train(tmp_path / "c", "--overwrite", "--init", tmp_path / "c/model.keras")
    assert ended.code == 2 and "another --out" in ended.err
    assert (tmp_path / "c/model.keras").exists()


def test_no_pairs_no_training(refused, tmp_path):
    sentence = refused("training", "--pairs", tmp_path / "nothing", "--out", tmp_path / "c")
    assert "python augment.py" in sentence and not (tmp_path / "c").exists()


def test_empty_masks_do_not_break_the_loss(quick, tiny_pairs, tmp_path, command):
    """Such masks come from a crop that holds no vessel."""
    pairs = shutil.copytree(tiny_pairs, tmp_path / "augmented")
    for path in list((pairs / "train/masks").iterdir())[:3]:
        cv2.imwrite(str(path), np.zeros((512, 512), np.uint8))
    words = ("--pairs", pairs, "--out", tmp_path / "c", "--epochs", 1, "--batch", 2, *SMALL)
    ended = command("training", *words)
    assert ended.code == 0, ended.err
    assert np.isfinite(pd.read_csv(tmp_path / "c/history.csv").to_numpy()).all()


# ---- time ------------------------------------------------------------------------------------------------

def test_the_time_given_is_kept(train, tiny_pairs, tmp_path):
    began = time.monotonic()
    ended = train(tmp_path / "c", "--epochs", 100000, "--minutes", 0.08)
    assert ended.code == 0, ended.err
    assert time.monotonic() - began < 240, "five seconds of fit, and building and validation when busy"
    table = pd.read_csv(tmp_path / "c/history.csv")
    assert len(table) < 1000 and (tmp_path / "c/model.keras").exists()
    last = validation_dice(tmp_path / "c" / training.LAST, tiny_pairs)
    assert last == pytest.approx(table["val_dice_coefficient"].iloc[-1], abs=1e-4), "averaged, though cut"


@pytest.mark.parametrize("words, samples, minutes", [
    ((), False, 60), ((), True, 15), (("--minutes", 0), True, 0), (("--minutes", 7), False, 7),
])
def test_a_fit_without_flags_ends_within_the_hour_and_sooner_on_the_samples(
        refused, tiny_pairs, tmp_path, monkeypatch, stopped_before_the_fit, words, samples, minutes):
    monkeypatch.setattr(Pairs, "drawn", samples)
    sentence = refused("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", *SMALL, *words)
    assert f"minutes: {minutes}." in sentence


def test_what_comes_next_can_be_pasted_whatever_the_folder_is_called(tmp_path, capsys):
    scores = {"validation": {"dice": 0.8, "roc_auc": 0.9}}
    card = {**scores, "tta": scores, "epochs": 1, "best epoch": 1}
    training.tell(tmp_path / "my models", card)
    following = typed("python", "testing.py", "--model", tmp_path / "my models/model.keras")
    assert capsys.readouterr().out.endswith(f"Next: {following}\n") and following.endswith(("'", '"'))
    training.tell(training.Path("checkpoints"), card)
    assert capsys.readouterr().out.endswith("Next: python testing.py\n")
