"""Sets that lie beside each other: what each is called, and that two are not parts of one."""

import pytest

import data
from running.command import Problem
from sets.beside import told_apart
from sets.layouts import Photograph, Set


def called(folders):
    return {found.folder.name: found.name for found in data.find_sets(folders, strict=False)}


@pytest.mark.parametrize("make, layout", [("drive", "DRIVE"), ("stare", "STARE"), ("hrf", "HRF")])
def test_two_sets_of_one_layout_side_by_side_are_called_after_their_folders(make, layout, draw, tmp_path):
    """Every command went on for ever: the folders above such sets are the same at any depth."""
    for folder in (layout, f"{layout}_kaggle", "copy"):
        getattr(draw, make)(tmp_path / folder)
    assert called([tmp_path]) == {layout: layout, f"{layout}_kaggle": f"{layout}_kaggle_{layout}",
                                  "copy": f"copy_{layout}"}


def test_a_set_within_a_set_of_its_layout_has_a_name_of_its_own(tmp_path):
    sets = [Set("DRIVE", tmp_path / place) for place in ("x/A", "x/A/DRIVE")]
    assert [found.name for found in told_apart(sets)] == ["A_DRIVE", "DRIVE"]


def test_folders_that_make_one_name_at_every_depth_end_with_a_sentence(tmp_path):
    deep = "/".join("1234567890123456789012345")
    places = ["a_b/s", "a/b/s", f"p/{deep}/s", f"q/{deep}/s"]
    with pytest.raises(Problem, match="a_b.s.*cannot be told apart.*Rename one"):
        told_apart([Set("s", tmp_path / place) for place in places])


@pytest.mark.parametrize("name", ["none", "default"])
def test_a_set_is_not_called_as_what_pen_takes_besides_sets(name, draw, tmp_path):
    draw.plain(tmp_path / "eyes" / name, train=2)
    assert called([tmp_path / "eyes"]) == {name: f"eyes_{name}"}


# ---- parts of one ------------------------------------------------------------------------------------------

def divided(draw, folder, place_of):
    """CHASE_DB1, each file in the folder that place_of(its name) says."""
    whole = draw.chase(folder / "whole", children=(1, 2, 3))
    for path in list(whole.iterdir()):
        place = folder / place_of(path.name)
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    whole.rmdir()
    return folder


@pytest.mark.parametrize("place_of", [
    lambda name: "train" if "L" in name[:9] else "test",  # a child in both
    lambda name: "left" if "L" in name[:9] or "01" in name else "right",
    lambda name: "Test" if "03" in name else "train"], ids=["eyes", "others", "children"])
def test_chase_in_two_folders_is_one_set(place_of, command, draw, tmp_path):
    """The test part was learned from, and one child's eyes were two children's."""
    folder = divided(draw, tmp_path / "CHASE", place_of)
    ended = command("data", folder)
    assert ended.code == 1 and "are parts of one CHASE_DB1" in ended.err
    ended = command("augment", "--data", folder, "--out", tmp_path / "out")
    assert ended.code == 2 and "Put all of it into one folder" in ended.err


def test_a_copy_and_the_official_parts_in_two_folders_are_no_parts_of_one(draw, tmp_path):
    draw.chase(tmp_path / "a/CHASE_DB1", children=(1, 2))
    draw.chase(tmp_path / "a/copy", children=(1, 2, 11))
    assert not [found.problems for found in data.find_sets([tmp_path / "a"]) if found.problems]
    draw.chase(tmp_path / "b/train", children=(1, 2))
    draw.chase(tmp_path / "b/test", children=(11, 12))
    assert called([tmp_path / "b"]) == {"train": "train_CHASE_DB1", "test": "test_CHASE_DB1"}
    assert all(not found.problems for found in data.find_sets([tmp_path / "b"]))


def test_two_sites_with_patients_of_one_number_are_no_parts_of_one(tmp_path):
    own = [Set("data", tmp_path / site / "data", [Photograph("data", site, "all", "7", tmp_path / site)])
           for site in ("a", "b")]
    assert [found.problems for found in told_apart(own)] == [[], []]
