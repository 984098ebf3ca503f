"""The card beside a model: what is refused, and the plan that is read from it."""

import json
import re

import pytest
from conftest import ROOT

import checkpoint
from card import Card, Plan
from prediction.pen import Pens
from running.command import Problem

SOUND = {"network": {"width": 4, "depth": 2}, "threshold": 0.4}
TABLE = (ROOT / "docs/scoring.md").read_text(encoding="utf-8").split("\n## The card\n")[1].split("\n## ")[0]
CELLS = re.findall(r"^\| (`.*?`) \|", TABLE, re.MULTILINE)
DOCUMENTED = {key for cell in CELLS for key in re.findall("`(.*?)`", cell)}


def read(tmp_path, card):
    (tmp_path / "model.json").write_text(card if isinstance(card, str) else json.dumps(card))
    return Card.read(tmp_path / "model.json", 4, 2)


# ---- what is refused ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("card, words", [
    (SOUND | {"network": {"width": 5, "depth": 2}}, "another model"),
    (SOUND | {"network": None}, "another model"),
    ([], "another model"), ("{", "cannot be read as JSON"), ({"network": SOUND["network"]}, "threshold"),
    (SOUND | {"threshold": 1.5}, "threshold"), (SOUND | {"threshold": "high"}, "threshold"),
    (SOUND | {"threshold": float("nan")}, "threshold"), (SOUND | {"threshold": True}, "threshold"),
    (SOUND | {"tta": {"threshold": 2}}, "threshold for --tta"), (SOUND | {"tta": 1}, "threshold for --tta"),
    (SOUND | {"side": 0}, "side of the square"), (SOUND | {"side": "large"}, "side of the square"),
    (SOUND | {"side": True}, "side of the square"),
    (SOUND | {"sides": 512}, "side of the square"), (SOUND | {"sides": ["512"]}, "side of the square"),
    (SOUND | {"tta": {"threshold": 0.5, "side": 10**9}}, "side of the square for --tta"),
    (SOUND | {"calibration": [1, 0]}, "calibration"),
    (SOUND | {"calibration": {"temperature": 0}}, "calibration"),
    (SOUND | {"calibration": {"bias": "none"}}, "calibration"), (SOUND | {"vessel width": 0}, "vessel width"),
    (SOUND | {"fov sides": [500]}, "range of FOV sides"), (SOUND | {"fov sides": None}, "range of FOV sides"),
    (SOUND | {"data": {"DRIVE": {"train": []}}}, "list of photographs"),
    (SOUND | {"data": []}, "list of photographs"),
    (SOUND | {"photographs": {"side": "large"}}, "limits for photographs"),
])
def test_a_card_that_cannot_be_used_is_refused_with_what_is_wrong(tmp_path, card, words):
    with pytest.raises(Problem, match=rf"model\.json: .*{words}"):
        read(tmp_path, card)


def test_a_card_that_is_missing_is_told(tmp_path):
    with pytest.raises(Problem, match=r"model\.json: .*missing"):
        Card.read(tmp_path / "model.json", 4, 2)


# ---- the plan ----------------------------------------------------------------------------------------------

def test_a_card_that_says_nothing_but_a_threshold_is_one_plain_look(tmp_path):
    assert read(tmp_path, SOUND).plan() == Plan(side=512, threshold=0.4)
    assert read(tmp_path, SOUND).plan(tta=True) == Plan(side=512, tta=True, threshold=0.4)


def test_a_full_card_is_the_plan_for_one_view_and_for_eight(tmp_path):
    card = read(tmp_path, SOUND | {
        "side": 640, "calibration": {"temperature": 2, "bias": -1}, "vessel width": 6.5,
        "fov sides": [500, 600],
        "tta": {"threshold": 0.5, "side": 768, "calibration": {"temperature": 3, "bias": 1}}})
    assert card.plan() == Plan(640, 6.5, False, 2, -1, 0.4, Pens(fov_sides=(500, 600)))
    assert card.plan(tta=True) == Plan(768, 6.5, True, 3, 1, 0.5, Pens(fov_sides=(500, 600)))
    assert card.plan(threshold=0.9).threshold == card.plan(tta=True, threshold=0.9).threshold == 0.9


def test_a_card_of_several_sides_is_read_as_the_middle_one(tmp_path):
    """Earlier versions averaged three of them with test-time augmentation."""
    card = read(tmp_path, SOUND | {"sides": [768], "tta": {"threshold": 0.5, "sides": [640, 704, 768]}})
    assert card.plan().side == 768 and card.plan(tta=True).side == 704


# ---- the file ----------------------------------------------------------------------------------------------

def test_a_card_comes_back_as_it_was_written(tmp_path):
    card = Card(SOUND | {"licence": "näher: CC0"})
    card.write(tmp_path / "model.json")
    assert Card.read(tmp_path / "model.json", 4, 2) == card


@pytest.mark.parametrize("path", sorted(checkpoint.SHIPPED.parent.glob("*.json")), ids=lambda path: path.stem)
def test_every_key_of_a_shipped_card_is_documented(path):
    card = json.loads(path.read_text(encoding="utf-8"))
    assert set(card) - DOCUMENTED <= {"sides"}, "earlier versions had a list of sides"


def test_what_was_kept_aside_after_it_was_learned_from_is_in_both_parts():
    card = Card({"data": {"A": {"train": {"1": "a", "2": "b"}, "validation": {"2": "b", "3": "c"}}}})
    assert card.parts_met() == {"a": "train", "b": "both", "c": "validation"} and Card().parts_met() == {}
