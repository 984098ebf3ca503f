"""What is chosen when the fit has ended, and the card that says so."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import same_weights
from test_card import DOCUMENTED

import training
from fitting import finishing
from prediction.pen import HABIT
from running import files
from running.files import read_json


def test_the_card_says_everything_that_is_needed_to_use_the_model_and_to_repeat_it(tiny_training, tiny_set):
    card = read_json(tiny_training / "model.json")
    assert set(card) == DOCUMENTED - {"fine-tuning"}, "every key is documented"
    assert card["network"] == {"width": 2, "depth": 2} and card["seed"] == 0 and card["loss"] == "dice"
    assert 0 < card["threshold"] < 1 and "1 validation photographs" in card["threshold chosen"]
    assert card["side"] and set(card["calibration"]) >= {"temperature", "bias"}
    assert card["tta"]["threshold"] and card["tta"]["side"] and card["tta"]["validation"]["dice"]
    scores = {"dice", "iou", "precision", "recall", "roc_auc", "average_precision", "ece"}
    assert set(card["validation"]) >= scores
    data = card["data"]["tiny"]
    assert set(data["validation"]) == {"eye3"} and len(data["train"]["eye0"]) == 64
    assert card["recipe"]["epochs"] == 2 and card["recipe"]["crop"] == 256
    assert card["recipe"]["augmentation"]["copies"] == 2
    assert set(card["versions"]) == {"python", "tensorflow", "keras"}
    assert card["licence"] and card["seconds"] >= 0
    assert set(card["photographs"]) == {"brightness", "sharpness", "side"}
    assert set(card["pens"]) == set(card["picture sizes"]) == {"tiny"} and card["habit"] == HABIT
    assert len(card["fov sides"]) == 2 and card["fov sides"][0] == round(card["photographs"]["side"])
    history = pd.read_csv(tiny_training / "history.csv").set_index("epoch")
    kept = history["val_dice_coefficient"][card["best epoch"]]
    assert card["best validation square"]["dice_coefficient"] == pytest.approx(kept, abs=1e-5)


@pytest.mark.parametrize("of_last, name, epoch", [
    (0.81, "last.keras", 3), (0.8, "last.keras", 3), (0.79, "model.keras", 2)])
def test_the_last_epoch_is_kept_unless_it_is_worse_at_native_size(of_last, name, epoch):
    table = pd.DataFrame({"epoch": [1, 2, 3], "val_dice_coefficient": [0.1, 0.5, 0.4]})
    dice = {"model.keras": 0.8, "last.keras": of_last}
    file, row = finishing.kept_epoch(
        Path("model.keras"), Path("last.keras"), table, lambda file: dice[file.name])
    assert (file.name, row["epoch"]) == (name, epoch)


def test_a_last_epoch_that_is_the_best_is_not_compared():
    table = pd.DataFrame({"epoch": [1, 2], "val_dice_coefficient": [0.1, 0.5]})
    file, row = finishing.kept_epoch("model.keras", "last.keras", table, lambda file: 1 / 0)
    assert (file, row["epoch"]) == ("model.keras", 2)


def test_killed_at_its_end_a_run_still_has_its_best_model(train, tmp_path, monkeypatch):
    """The last model takes its place together with its card; until then the run goes on from what it had."""
    monkeypatch.setattr(finishing, "kept_epoch", lambda best, last, table, _: (last, table.iloc[-1]))
    with monkeypatch.context() as killed:
        killed.setattr(finishing, "tune", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tmp_path / "c", "--epochs", 1)
    assert not (tmp_path / "c/model.json").exists(), "a threshold that nobody chose"
    last = shutil.copy(tmp_path / "c" / training.LAST, tmp_path / "last.keras")
    assert train(tmp_path / "c", "--epochs", 1, "--resume").code == 0
    assert same_weights(tmp_path / "c/model.keras", last)


@pytest.mark.parametrize("most", [2, 99])
def test_a_history_and_curves_that_are_open_in_another_program_change_nothing_else(
        most, train, tmp_path, monkeypatch):
    """The card was made of the epochs that history.csv had before, and another model might be kept."""
    replace, tries = os.replace, []

    def refusing(source, target):
        tries.append(name := Path(target).name)
        if name == "curves.png" or name == "history.csv" and 2 <= tries.count(name) <= most:
            raise PermissionError(13, "The process cannot access the file", str(target))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refusing)
    monkeypatch.setattr(files, "PAUSES", ())
    ended = train(tmp_path / "c", "--epochs", 2)
    assert ended.code == 0 and "of 2: validation Dice" in ended.out
    assert all(f"{name}: is open in another program" in ended.err for name in ("history.csv", "curves.png"))
    card = read_json(tmp_path / "c/model.json")
    assert card["epochs"] == 2 and read_json(tmp_path / "c/run.json")["finished"]
    assert len(pd.read_csv(tmp_path / "c/history.csv")) == (2 if most == 2 else 1)


def test_sets_that_are_not_known_by_the_size_of_their_pictures_are_told(capsys):
    first = {"picture sizes": {"A": [[9, 9], [8, 8]], "B": [[7, 7]]}}
    finishing.tell_sizes({"pens": {"A": 0, "B": 0, "C": 0},
                          "picture sizes": {"A": [[8, 8]], "B": [[7, 7]], "C": []}}, first)
    said = capsys.readouterr().err
    assert "A: another set" in said and "--pen C" in said and "--pen B" not in said
    finishing.tell_sizes({}, {})
