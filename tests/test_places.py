"""Where the photographs of rows lay, and how paths that lead there are told from others typed alike."""

import os
from pathlib import Path

from prediction.places import names_known, places_known, replacing


def row(lay, typed):
    return {"file": typed, "made of": {"photograph": {"path": lay}}}


def test_where_a_photograph_lies_tells_more_than_how_its_path_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = places_known({"deep/x": row(f"{tmp_path.as_posix()}/ann/x.png", "photos/x.png")})
    here, typed = Path("ann/x.png"), Path("photos/x.png")
    assert names_known({here: "x.png"}, known) == {here: "deep/x"}
    assert names_known({typed: "x.png"}, known) == {typed: "deep/x"}
    assert names_known({typed: "x.png", here: "x.png"}, known) == {here: "deep/x"}, "no name twice"


def test_two_paths_of_one_photograph_do_not_get_one_name(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    paths = dict.fromkeys((tmp_path / "b/x.png", tmp_path / "a/x.png"), "x.png")
    assert names_known(paths, places_known({"x": row((tmp_path / "a/x.png").as_posix(), "y.png")})) == {
        tmp_path / "b/x.png": "x"}


def test_a_drive_may_be_typed_in_either_case_on_windows(monkeypatch):
    monkeypatch.setattr(os.path, "normcase", str.lower)
    assert names_known({Path("/c/EYES/x.png"): "x.png"}, places_known({"x": row("/C/eyes/x.png", "x.png")}))
    assert replacing("/c/EYES/x.png", row("/C/eyes/x.png", "x.png")) == "is another photograph than it was"


def test_a_photograph_that_was_edited_and_of_which_the_case_changed_is_the_same_on_a_disk_that_knows_none(
        tmp_path):
    former, here = tmp_path / "x.png", tmp_path / "X.png"
    former.write_bytes(b"edited")
    assert not replacing(here, row(former.as_posix(), "x.png"))
    os.link(former, here)
    assert replacing(here, row(former.as_posix(), "x.png")) == "is another photograph than it was"
