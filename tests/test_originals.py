"""Which files of a folder are, byte for byte, those of a public set."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from conftest import linux_only

from sets import originals
from sets.originals import about_originals, content_sum, is_original, plain_name, sums

CHASE = {f"Image_{number:02d}{eye}{kind}": os.urandom(3000)
         for number in (1, 2) for eye in "LR" for kind in (".jpg", "_1stHO.png", "_2ndHO.png")}
STARE = {"stare-images/im0001.ppm": os.urandom(2000)}


@pytest.fixture
def known(tmp_path_factory, monkeypatch):
    """The sums of generated files in place of the real ones."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}/{place}"
             for name, files in (("CHASE_DB1", CHASE), ("STARE", STARE)) for place, content in files.items()]
    monkeypatch.setattr(originals, "LIST", tmp_path_factory.mktemp("sums") / "SHA256SUMS")
    originals.LIST.write_text("\n".join(lines))


def test_originals_are_known_by_content_wherever_they_lie(known, tmp_path):
    (tmp_path / "a").mkdir()
    for number, (name, content) in enumerate(CHASE.items()):
        (tmp_path / ("a" if number % 2 else ".") / name).write_bytes(content)
    assert is_original(tmp_path) == (12, [], 12, "CHASE_DB1")
    assert about_originals(tmp_path) == "Byte for byte the original CHASE_DB1: all 12 files are here."
    (tmp_path / "Image_01L.jpg").write_bytes(b"mine")
    (tmp_path / "a" / "Image_02R_2ndHO.png").unlink()
    assert is_original(tmp_path) == (10, ["Image_01L.jpg"], 12, "CHASE_DB1")
    assert about_originals(tmp_path).startswith(
        "Not quite the original CHASE_DB1: 10 of the 12 files are here, but 1 ")


def test_gzipped_files_are_known_by_what_is_inside(known, tmp_path):
    (tmp_path / "im0001.ppm.gz").write_bytes(gzip.compress(STARE["stare-images/im0001.ppm"]))
    assert is_original(tmp_path) == (1, [], 1, "STARE")


def test_a_folder_of_other_photographs_is_nothing_known(known, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    assert is_original(tmp_path) == (0, [], 0, "") and about_originals(tmp_path) == ""


@linux_only
def test_strange_things_with_an_originals_name_do_no_harm(known, tmp_path):
    os.mkfifo(tmp_path / "Image_01L.jpg")
    (tmp_path / "Image_01R.jpg").symlink_to("Image_01R.jpg")
    (tmp_path / "im0001.ppm.gz").write_bytes(b"not gzipped")
    assert is_original(tmp_path) == (0, ["Image_01L.jpg", "Image_01R.jpg"], 12, "CHASE_DB1")


def test_a_gzip_bomb_is_not_read_out(tmp_path, monkeypatch):
    monkeypatch.setattr(originals, "LARGEST_FILE", 100_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(300_000)))
    assert content_sum(tmp_path / "bomb.gz") != hashlib.sha256(bytes(300_000)).hexdigest()


@pytest.mark.parametrize("folder, files", [("CHASE_DB1", 84), ("STARE", 60), ("HRF", 135), ("DRIVE", 140)])
def test_names_tell_the_files_of_a_set_apart(folder, files):
    places = sums(folder)
    assert len({plain_name(place) for place in places}) == len(places) == files


@pytest.mark.parametrize("folder, expected", [
    ("CHASE_DB1", (84, [], 84, "CHASE_DB1")), ("DRIVE", (100, [], 140, "DRIVE")),
    ("HRF", (45, [], 132, "HRF"))])
def test_the_real_sets_are_originals(shared, folder, expected):
    assert is_original(shared / folder) == expected


def test_the_names_of_windows_are_told_apart_too():
    assert plain_name(r"a\b\im0001.ppm.gz") == plain_name(Path("c/im0001.ppm")) == "im0001.ppm"
