"""Sets of one archive, fetched from a server on this machine: whole and original, or not at all."""

import hashlib
import io
import sys
import zipfile
from dataclasses import replace

import pytest
from test_download import site, zipped  # noqa: F401 - site is a fixture

from running.command import Problem
from sets import archives
from sets.archives import download_archive
from sets.licences import SOURCES
from sets.pairing import recognise

UNZIP = sys.executable, "-m", "zipfile", "-e", "{archive}", "{folder}"


@pytest.fixture
def offered(draw, site, tmp_path):  # noqa: F811
    """A function (key of SOURCES, change) -> (the Source of a small archive, its address)."""
    def offer(key, change=b""):
        made = tmp_path / "made"
        if key == "fives":
            draw.fives(made)
        else:
            for number, name in enumerate(("001_G", "002_N", "003_D")):
                rgb, mask, _ = draw.eye(number)
                draw.put(made / "images" / f"{name}.png", rgb)
                draw.put(made / "annotation" / f"{name}.png", mask)
            (made / "training.txt").write_text("001_G.png\n002_N.png\n")
            (made / "testing.txt").write_text("003_D.png\n")
        root = "FIVES A Fundus Image Dataset" if key == "fives" else "Fundus-AVSeg"
        content = zipped({f"{root}/{path.relative_to(made).as_posix()}": path.read_bytes()
                          for path in made.rglob("*") if path.is_file()})
        source = replace(SOURCES[key], archive_sha256=hashlib.sha256(content).hexdigest(),
                         photographs=5 if key == "fives" else 3)
        (address,) = site.offer({source.archive_name: content + change})
        return source, address, content

    return offer


@pytest.fixture
def unpacker(monkeypatch):
    """A program that unpacks our RAR, which is a zip."""
    fails = sys.executable, "-c", "raise SystemExit(1)"
    monkeypatch.setattr(archives, "UNRAR", (("no such program",), fails, UNZIP))


def test_fundus_avseg_is_fetched_checked_and_unpacked(offered, tmp_path, capsys):
    source, address, _ = offered("fundus-avseg")
    folder = download_archive(source, tmp_path / "sets", address)
    found = recognise(folder)
    assert folder == tmp_path / "sets/Fundus-AVSeg" and found.name == "Fundus-AVSeg"
    assert len(found.of("training")) == 2 and len(found.of("test")) == 1 and not found.problems
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["Fundus-AVSeg"]
    said = capsys.readouterr().out
    assert "CC BY 4.0" in said and "Deng" in said and "the archive's sum is right" in said
    download_archive(source, tmp_path / "sets", address)
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("there", ["a file", "another set", "a part of it"])
def test_what_is_there_but_is_not_the_whole_set_is_not_called_complete(there, offered, draw, tmp_path):
    source, address, _ = offered("fundus-avseg")
    folder = tmp_path / "sets/Fundus-AVSeg"
    if there == "a file":
        folder.parent.mkdir()
        folder.write_text("text")
    elif there == "another set":
        draw.plain(folder, train=2, test=None)
    else:
        download_archive(source, tmp_path / "sets", address)
        (folder / "annotation/003_D.png").unlink()
    with pytest.raises(Problem, match="is already there, but holds . photographs .* of the 3 of"):
        download_archive(source, tmp_path / "sets", address)


def test_an_empty_folder_is_filled(offered, tmp_path):
    source, address, _ = offered("fundus-avseg")
    (tmp_path / "sets/Fundus-AVSeg").mkdir(parents=True)
    assert len(recognise(download_archive(source, tmp_path / "sets", address)).photographs) == 3


def test_fives_is_unpacked_by_whatever_program_there_is(offered, unpacker, tmp_path):
    source, address, _ = offered("fives")
    found = recognise(download_archive(source, tmp_path / "sets", address))
    assert found.name == "FIVES" and (len(found.of("training")), len(found.of("test"))) == (3, 2)


def test_without_such_a_program_the_archive_is_kept_and_what_to_install_is_said(
        offered, tmp_path, monkeypatch, site):  # noqa: F811
    source, address, content = offered("fives")
    monkeypatch.setattr(archives, "UNRAR", (("no such program",),))
    with pytest.raises(Problem, match="FIVES.rar: is here and sound, but is a RAR archive.*libarchive-tools"):
        download_archive(source, tmp_path / "sets", address)
    assert (tmp_path / "sets/FIVES.rar").read_bytes() == content and not (tmp_path / "sets/FIVES").exists()
    monkeypatch.setattr(archives, "UNRAR", (UNZIP,))
    site.asked.clear()
    assert recognise(download_archive(source, tmp_path / "sets", address)).name == "FIVES"
    assert site.asked == [] and (tmp_path / "sets/FIVES.rar").exists(), "what was saved is taken, and stays"


def test_an_archive_that_is_not_the_original_is_refused_and_fetched_anew(offered, tmp_path):
    source, address, content = offered("fundus-avseg", change=b"x")
    with pytest.raises(Problem, match="Fundus-AVSeg.zip: is not the original archive"):
        download_archive(source, tmp_path / "sets", address)
    assert not (tmp_path / "sets/Fundus-AVSeg").exists()
    source, address, _ = offered("fundus-avseg")
    assert download_archive(source, tmp_path / "sets", address).is_dir()


def test_a_site_that_is_not_reached_is_said_with_what_to_save_where(tmp_path):
    with pytest.raises(Problem, match="cannot be reached.*save Fundus-AVSeg.zip in .*sets"):
        download_archive(SOURCES["fundus-avseg"], tmp_path / "sets", "http://127.0.0.1:9/x.zip")


def test_an_archive_of_something_else_is_named(site, tmp_path):  # noqa: F811
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    source = replace(SOURCES["fundus-avseg"], archive_sha256=hashlib.sha256(content.getvalue()).hexdigest())
    (address,) = site.offer({"x.zip": content.getvalue()})
    with pytest.raises(Problem, match="holds no Fundus-AVSeg"):
        download_archive(source, tmp_path / "sets", address)
