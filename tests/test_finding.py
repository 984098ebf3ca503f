"""Which files in the folders that a user gives are photographs, and where each lies below its folder."""

from pathlib import Path

import pytest

from photographs.finding import find_photographs
from running.command import Problem


@pytest.fixture
def touch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def touching(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return touching


def found(*places, out="out"):
    return {path.as_posix(): below for path, below in find_photographs(places, out).items()}


def test_pictures_in_a_folder_and_below_are_found_in_order_and_others_left_out(touch):
    touch("a/b/c.JPG", "a/b/a.png", "a/z.tif", "a/notes.txt", "a/.hidden.png", "a/folder.png/inside.gif")
    assert list(found("a").items()) == [
        ("a/z.tif", "z.tif"), ("a/b/a.png", "b/a.png"), ("a/b/c.JPG", "b/c.JPG"),
        ("a/folder.png/inside.gif", "folder.png/inside.gif")]


def test_a_file_lies_below_nothing_whatever_its_extension(touch):
    touch("a/b/x.png", "a/im0001.ppm.gz")
    assert found("a/b/x.png", "a/im0001.ppm.gz") == {"a/b/x.png": "x.png", "a/im0001.ppm.gz": "im0001.ppm.gz"}


def test_the_folder_that_one_is_in_can_be_given(touch):
    touch("a/x.png", "y.png")
    assert found(".") == {"y.png": "y.png", "a/x.png": "a/x.png"}


def test_what_is_given_twice_is_found_once_as_it_was_given_first(touch):
    touch("a/b/x.png", "a/y.png")
    assert found("a/b", "a", "a/y.png") == {"a/b/x.png": "x.png", "a/y.png": "y.png"}


def test_results_are_not_photographs(touch):
    touch("a/x.png", "a/predictions/x_mask.png", "a/predictions/deep/y_mask.png")
    assert found("a", out="a/predictions") == {"a/x.png": "x.png"}
    assert found("a", out=Path("a/predictions").resolve()) == {"a/x.png": "x.png"}
    assert found("a/predictions/deep", out=".") == {"a/predictions/deep/y_mask.png": "y_mask.png"}


def test_what_is_gone_comes_last_or_is_told_if_it_is_all(touch):
    touch("a/x.png")
    assert list(found("gone.png", "a")) == ["a/x.png", "gone.png"]
    with pytest.raises(Problem, match="gone.png: there is no such file"):
        found("gone.png", "gone too.png")


def test_a_folder_without_photographs_is_named(touch):
    touch("empty/notes.txt", "a/x.png")
    with pytest.raises(Problem, match="empty: there is no photograph in this folder"):
        found("a", "empty")
