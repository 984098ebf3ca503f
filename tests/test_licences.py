"""What is said of the public sets: how a person gets one, and under which licence its photographs are."""

import shutil

import pandas as pd
import pytest

import samples
from fitting.fine_tuning import learned_from
from fitting.manifest import Manifest
from running.files import read_json, sha256, write_json
from sets.licences import SOURCES, how_to_get, licences_of


@pytest.mark.parametrize("name, words", [
    ("drive", ["https://drive.grand-challenge.org/", "account", "datasets/DRIVE/training/images",
               "passed on"]),
    ("stare", ["cecas.clemson.edu", "labels-ah.tar and labels-vk.tar in datasets", "Hoover"]),
    ("fives", ["19688169", "RAR", "datasets/FIVES/train/Original", "train/Ground truth", "CC BY 4.0",
               "Jin"])])
def test_how_a_person_gets_a_set_is_explained(name, words):
    assert all(word in how_to_get(name) for word in words)


def test_the_folder_that_was_chosen_stands_in_the_explanation():
    explained = how_to_get("drive", "my sets")
    assert "my sets/DRIVE/training" in explained and "{" not in explained


def test_every_set_says_where_it_is_its_licence_and_its_paper():
    for source in SOURCES.values():
        assert source.page.startswith("https://") and source.licence and "doi:" in source.citation
        assert source.ways or source.by_hand


def test_a_models_card_names_the_licence_of_every_set_once():
    assert licences_of({"STARE", "CHASE_DB1"}) == (
        "CHASE_DB1: CC BY 4.0; STARE: offered for research, no explicit licence")
    assert licences_of({"DRIVE"}) == "DRIVE: for research and education, no redistribution of the photographs"
    assert licences_of({"samples", "HRF", "FIVES"}) == (
        "FIVES: CC BY 4.0; HRF: CC BY 4.0; samples: made by this project, CC0")


def test_a_set_that_is_not_known_is_its_owners():
    assert licences_of({"clinic"}) == "clinic: as its owner says"


def test_only_the_samples_of_this_project_are_said_to_be_its_own():
    """The photographs of a clinic were said to be CC0, since their folder ended in _samples."""
    owners = "as its owner says"
    assert licences_of({"clinic_samples"}) == f"clinic_samples: {owners}"
    assert licences_of({"samples", "x_DRIVE"}, drawn=False) == (
        f"samples: {owners}; x_DRIVE: for research and education, no redistribution of the photographs")
    assert learned_from({}, {"samples": {"train": {"a": "1" * 64}}})["licence"] == f"samples: {owners}"
    assert "CC0" in learned_from({}, {"samples": {"train": dict(enumerate(samples.sums()))}})["licence"]


def test_a_folder_of_ones_own_that_is_called_samples_is_its_owners(tiny_pairs, tiny_set, tmp_path):
    folder = shutil.copytree(tiny_pairs, tmp_path / "p")
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table["set"] = "samples"
    table.to_csv(folder / "manifest.csv", index=False)
    run = read_json(folder / "run.json")
    write_json(folder / "run.json", run | {"manifest": sha256(folder / "manifest.csv")})
    assert Manifest(folder, [tiny_set]).licence() == "samples: as its owner says"
