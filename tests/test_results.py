"""The results folder: names, what is still to be done, what is written, and what overwriting may touch."""

import os
import shutil
import time
import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import picture

from photographs.finding import KINDS
from prediction.results import FolderResults
from prediction.rows import Rows, lacking, table_in
from prediction.segmented import Segmented
from running import sources
from running.command import Problem
from running.files import Folder, read_json, sha256, write_json, write_png
from running.names import names_apart

SETTINGS = {"model sha256": "1", "tta": False}


# ---- names -----------------------------------------------------------------------------------------------

def named(*belows, known=None):
    """The names of photographs with these paths below their folders."""
    return list(names_apart({f"{k}/{below}": below for k, below in enumerate(belows)}, known or {}).values())


def test_a_photograph_is_named_after_its_path_below_its_folder():
    assert named("OD.png", "PATIENT/2020/OD.jpg", "im0001.ppm.gz", "no extension") == [
        "OD", "PATIENT/2020/OD", "im0001.ppm", "no extension"]


@pytest.mark.parametrize("others", [(), ("a.png", "b/x.png"), ("x/x.png", "x.x.png", "x_2.jpg")])
def test_a_name_does_not_depend_on_what_else_there_is(others):
    assert named(*others, "x.png", "deep/x.png")[-2:] == ["x", "deep/x"]


def test_no_two_photographs_get_one_name():
    assert named("x.jpg", "x.png", "x.png", "x.jpg") == ["x", "x.png", "x_2", "x.jpg"]
    assert named("x.jpg", "x_2.jpg", "x.jpg", "x.jpg") == ["x", "x_2", "x.jpg", "x_3"]


def test_names_that_differ_in_case_or_unicode_form_only_are_alike():
    composed, decomposed = (unicodedata.normalize(form, "Gefäß") for form in ("NFC", "NFD"))
    assert named("x.png", "X.png", "x.PNG") == ["x", "X.png", "x_2"]
    assert named("Patient/a.png", "patient/a.png") == ["Patient/a", "patient/a.png"]
    assert named(f"{composed}.jpg", f"{decomposed}.png") == [composed, f"{decomposed}.png"]
    assert len(set(named(f"{composed}.jpg", f"{composed.upper()}.jpg"))) == 2


def test_a_name_stays_with_its_photograph_when_others_come_before_it():
    photographs = {"a/x.gif": "x.gif", "a/x.jpg": "x.jpg", "a/y.png": "y.png"}
    assert names_apart(photographs, {"a/x.jpg": "x"}) == {"a/x.gif": "x.gif", "a/x.jpg": "x", "a/y.png": "y"}
    assert list(names_apart(photographs, {"a/y.png": "y"})) == list(photographs)


def test_names_of_earlier_versions_stay():
    """They put the folder's name before stems that were alike, and left out folders below."""
    known = {"one/a.png": "one_a", "two/a.png": "two_a", "two/deep/b.tif": "b"}
    photographs = {"one/a.png": "a.png", "two/a.png": "a.png", "two/deep/b.tif": "deep/b.tif"}
    assert names_apart(photographs, known) == known


def test_names_of_twenty_thousand_photographs_take_seconds_even_if_all_are_alike():
    began = time.process_time()
    assert len(set(named(*["x.png"] * 20_000))) == 20_000
    assert time.process_time() - began < 5


# ---- what is still to be done ----------------------------------------------------------------------------

@pytest.fixture
def photographs(tmp_path):
    """{path: path below the folder} of two files, and one folder deeper."""
    found = {}
    for below in ("x.png", "y.png", "deep/z.png"):
        path = tmp_path / "photographs" / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(below.encode())
        found[path] = below
    return found


@pytest.fixture
def segmented(draw):
    rgb, mask, fov = draw.eye(1)
    spread = np.where(fov, np.float32(0.25), 0)
    return Segmented(rgb, fov, (mask * np.uint16(60000)).astype(np.uint16), mask, spread)


def do(results, named, segmented):
    results.begin(named)
    for path, name in results.left(named).items():
        results.add(name, path, segmented, {})
    results.write_table()
    results.finish()


@pytest.fixture
def done(tmp_path, photographs, segmented):
    """A folder in which all photographs are done."""
    results = FolderResults(tmp_path / "out", SETTINGS)
    do(results, results.names(photographs), segmented)
    return tmp_path / "out"


def left(out, photographs, settings=SETTINGS, **how):
    results = FolderResults(out, settings, **how)
    return results.state, list(results.left(results.names(photographs)).values())


def test_what_has_its_row_and_its_pictures_is_done(done, photographs, everything):
    before = everything(done)
    assert left(done, photographs) == ("finished", [])
    (done / "deep/z_overlay.png").unlink()
    (done / ".rows/y.json").unlink()
    assert left(done, photographs) == ("finished", ["y", "deep/z"])
    assert left(done, photographs, overwrite=True) == ("new", ["x", "y", "deep/z"])
    assert everything(done).items() <= before.items(), "to ask changes nothing"


def test_what_a_full_disk_emptied_is_not_done(done, photographs, segmented, capsys):
    (done / "deep/z_overlay.png").write_bytes(b"")
    (done / ".rows/y.json").write_bytes(b"")
    assert left(done, photographs) == ("finished", ["y", "deep/z"])
    assert "1 row (" in capsys.readouterr().err
    results = FolderResults(done, SETTINGS)
    do(results, results.names(photographs), segmented)
    assert left(done, photographs) == ("finished", []) and FolderResults(done, SETTINGS).shows()
    (done / "predictions.csv").write_bytes(b"")
    assert not FolderResults(done, SETTINGS).shows()


def test_a_damaged_row_is_left_out_and_done_anew(done, photographs, segmented, capsys):
    """It blocked the folder, and could neither be restored nor made again."""
    for name, content in (("x", b"{"), ("y", bytes(100)), ("deep/z", b"3")):
        (done / f".rows/{name}.json").write_bytes(content)
    assert left(done, photographs) == ("finished", ["x", "y", "deep/z"])
    assert "3 rows (" in (said := capsys.readouterr().err) and "as if not done yet" in said
    results = FolderResults(done, SETTINGS)
    do(results, results.names(photographs), segmented)
    assert left(done, photographs) == ("finished", [])


def test_a_damaged_row_whose_photograph_is_not_given_is_not_lost_from_the_table(done, photographs):
    """The table is the last place that has its measures."""
    (done / ".rows/x.json").write_bytes(b"{")
    results = FolderResults(done, SETTINGS)
    with pytest.raises(Problem, match="holds 1 row .x. that .rows beside it lacks"):
        results.begin({path: name for path, name in results.names(photographs).items() if name != "x"})


def test_a_row_that_cannot_be_read_for_a_moment_is_not_done_anew(done, photographs, monkeypatch):
    read_text = Path.read_text

    def locked(self, **how):
        if self.suffix == ".json":
            raise PermissionError(13, "locked", str(self))
        return read_text(self, **how)

    monkeypatch.setattr(Path, "read_text", locked)
    with pytest.raises(PermissionError, match="locked"):
        left(done, photographs)


def test_what_macos_puts_beside_rows_on_other_disks_is_not_a_row(done, photographs, segmented, capsys):
    (done / ".rows/deep/._z.json").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2\xb0\xff")
    assert left(done, photographs) == ("finished", []) and capsys.readouterr().err == ""
    results = FolderResults(done, SETTINGS, overwrite=True)
    do(results, results.names(photographs), segmented)


@pytest.mark.parametrize("copy", ["x-DESKTOP-7F3", "x (1)", "x_conflict", "deep/x"])
def test_a_copy_of_a_row_is_not_a_second_photograph(done, photographs, segmented, copy, capsys):
    """OneDrive, Dropbox and the like make such copies where two machines have written."""
    table = (done / "predictions.csv").read_bytes()
    shutil.copy(done / ".rows/x.json", done / f".rows/{copy}.json")
    results = FolderResults(done, SETTINGS)
    assert list(results.names(photographs).values()) == ["x", "y", "deep/z"]
    assert f"1 row ({done / '.rows' / copy}.json) " in capsys.readouterr().err
    do(results, results.names(photographs), segmented)
    assert (done / "predictions.csv").read_bytes() == table


def test_a_row_whose_name_a_disk_spells_otherwise_is_a_row_all_the_same(done, photographs, capsys):
    row = read_json(done / ".rows/x.json")
    write_json(done / ".rows/x.json", row | {"name": "X"})
    assert left(done, photographs) == ("finished", []) and capsys.readouterr().err == ""


def test_a_run_is_finished_only_when_it_says_so(tmp_path, photographs, segmented):
    results = FolderResults(tmp_path / "out", SETTINGS)
    assert results.state == "new" and not (tmp_path / "out").exists()
    named = results.names(photographs)
    results.begin(named)
    for path, name in named.items():
        results.add(name, path, segmented, {})
    assert left(tmp_path / "out", photographs) == ("unfinished", [])
    results.finish()
    assert left(tmp_path / "out", photographs) == ("finished", [])


def test_a_photograph_that_was_moved_is_done_and_one_that_changed_is_refused(done, photographs, tmp_path):
    (tmp_path / "photographs").rename(tmp_path / "moved")
    moved = {tmp_path / "moved" / below: below for below in photographs.values()}
    (tmp_path / "moved/y.png").write_bytes(b"another")
    with pytest.raises(Problem, match="y.png: .*out holds the results of another photograph of this name"):
        left(done, moved)
    (tmp_path / "moved/y.png").write_bytes(b"y.png")
    assert left(done, moved) == ("finished", [])


def test_one_photograph_of_a_taken_name_does_not_keep_the_others_from_being_done(done, photographs, tmp_path):
    (tmp_path / "photographs").rename(tmp_path / "moved")
    moved = {tmp_path / "moved" / below: below for below in (*photographs.values(), "new.png")}
    for below in ("y.png", "new.png"):
        (tmp_path / "moved" / below).write_bytes(b"another")
    results, refused = FolderResults(done, SETTINGS), {}
    assert list(results.left(results.names(moved), refused).values()) == ["new"]
    assert [path.name for path in refused] == ["y.png"]


def test_a_file_is_read_again_only_where_place_size_or_time_differ(done, photographs, monkeypatch):
    read = []
    monkeypatch.setattr(sources, "sha256", lambda path: read.append(path.name) or sha256(path))
    assert left(done, photographs) == ("finished", []) and read == []
    path = next(path for path in photographs if path.name == "y.png")
    os.utime(path, ns=(0, 10**18))  # of a time that tells something, see running/sources.py
    assert left(done, photographs) == ("finished", []) and read == ["y.png"]
    assert left(done, photographs) == ("finished", []) and read == ["y.png"], "its new time is known by now"
    path.write_bytes(b"other")
    os.utime(path, ns=(0, 1))
    assert left(done, photographs) == ("finished", ["y"])


def test_rows_of_an_earlier_version_are_read(done, photographs):
    for file in (done / ".rows").rglob("*.json"):
        row = read_json(file)
        made_of = row.pop("made of")
        write_json(file, {**row, "sha256": made_of["photograph"]["sha256"]})
    before = (done / "predictions.csv").read_bytes()
    results = FolderResults(done, SETTINGS)
    assert left(done, photographs) == ("finished", [])
    assert "made of" in read_json(done / ".rows/y.json") and "sha256" not in read_json(done / ".rows/y.json")
    results.write_table()
    assert (done / "predictions.csv").read_bytes() == before


def test_what_a_changed_photograph_had_goes_before_it_is_done_anew(done, photographs):
    """If it cannot be done, nothing of the former one must stay under its name."""
    path = next(path for path in photographs if path.name == "y.png")
    path.write_bytes(b"damaged")
    results = FolderResults(done, SETTINGS)
    named = results.names(photographs)
    assert list(results.left(named).values()) == ["y"]
    results.begin(named)
    assert [row["name"] for row in results.write_table()] == ["deep/z", "x"]
    assert not list(done.glob("y_*")) and not (done / ".rows/y.json").exists()


def test_rows_that_a_folder_has_lost_are_known(done, photographs, tmp_path):
    results, folder = FolderResults(done, SETTINGS), tmp_path / "photographs"
    named = results.names({path: below for path, below in photographs.items() if below != "y.png"})
    assert [row["name"] for row in results.others(named, [folder])] == ["y"]
    assert results.others(named, [folder / "deep"]) == results.others(named, [tmp_path / "elsewhere"]) == []


def test_a_photograph_is_known_where_it_lies_however_its_path_is_typed(done, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "photographs")
    monkeypatch.chdir(tmp_path)
    for deep in (Path("photographs/deep"), tmp_path / "photographs/deep", Path("link/../photographs/deep"),
                 Path("link/deep")):
        results = FolderResults(done, SETTINGS)
        named = results.names({deep / "z.png": "z.png"})
        assert list(named.values()) == ["deep/z"] and results.left(named) == {}
        assert [row["name"] for row in results.others(named, [deep])] == []


def test_names_stay_where_photographs_and_results_were_moved_or_copied(
        done, photographs, tmp_path, monkeypatch):
    """The first photograph that is called x keeps this name, though another one comes before it now."""
    monkeypatch.chdir(tmp_path)
    typed = {Path("photographs", below): below for below in photographs.values()}
    assert left(done, typed) == ("finished", [])
    for move in (shutil.copytree, shutil.move):
        there = tmp_path / move.__name__
        move("photographs", there / "photographs")
        (there / "photographs/x.gif").write_bytes(b"x.gif")
        monkeypatch.chdir(there)
        results = FolderResults(done, SETTINGS)
        named = results.names({Path("photographs/x.gif"): "x.gif"} | typed)
        assert list(named.values()) == ["x.gif", "x", "y", "deep/z"]
        assert list(results.left(named).values()) == ["x.gif"]
        monkeypatch.chdir(tmp_path)


def test_a_photograph_that_is_gone_is_left_to_do(done, photographs):
    next(iter(photographs)).unlink()
    assert left(done, photographs) == ("finished", ["x"])


def test_a_photograph_that_cannot_be_read_for_a_moment_keeps_its_results(
        done, photographs, everything, monkeypatch):
    path = next(path for path in photographs if path.name == "y.png")
    os.utime(path)
    before = everything(done)

    def locked(path):
        raise PermissionError(13, "locked", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(sources, "sha256", locked)
        results, refused = FolderResults(done, SETTINGS), {}
        named = results.names(photographs)
        assert results.left(named, refused) == {} and list(refused) == [path]
        assert "y.png: the photograph cannot be read now" in str(refused[path])
        results.begin(named)
    assert {name for name, kept in everything(done).items() if kept != before[name]} == {"run.json"}
    assert left(done, photographs) == ("unfinished", [])


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_photograph_of_which_only_the_case_changed_keeps_its_name_on_a_disk_that_knows_none(
        done, photographs, tmp_path, monkeypatch, overwrite):
    file = Rows.file
    monkeypatch.setattr(Rows, "file", lambda self, name: file(self, name.lower()))
    (tmp_path / "photographs/x.png").rename(tmp_path / "photographs/X.png")
    results = FolderResults(done, SETTINGS, overwrite)
    named = results.names({tmp_path / "photographs/X.png": "X.png"})
    assert list(named.values()) == ["x"] and len(results.left(named)) == overwrite
    results.begin(named)


def test_two_photographs_that_differ_in_case_keep_their_names_where_the_disk_tells_them_apart(
        done, photographs, tmp_path, segmented):
    for name in ("X", "x"):
        photograph = tmp_path / f"other/{name}.png"
        photograph.parent.mkdir(exist_ok=True)
        photograph.write_bytes(b"x.png")
        results = FolderResults(done, SETTINGS)
        named = results.names({photograph: photograph.name})
        assert list(named.values()) == [name]
        do(results, named, segmented)


def test_other_settings_and_other_files_are_refused(done, tmp_path):
    with pytest.raises(Problem, match="tta: not given before, given now"):
        FolderResults(done, SETTINGS | {"tta": True})
    (tmp_path / "own").mkdir()
    (tmp_path / "own/thesis.txt").touch()
    with pytest.raises(Problem, match="holds other files"):
        FolderResults(tmp_path / "own", SETTINGS)


# ---- overwriting -----------------------------------------------------------------------------------------

def test_overwriting_removes_what_the_rows_know_and_nothing_else(done, photographs, segmented):
    write_png(done / "mine_mask.png", np.zeros((5, 5), np.uint8))
    only = dict([next(iter(photographs.items()))])
    results = FolderResults(done, SETTINGS | {"tta": True}, overwrite=True)
    do(results, results.names(only), segmented)
    assert sorted(path.relative_to(done).as_posix() for path in done.rglob("*.png")) == [
        "mine_mask.png", "x_mask.png", "x_overlay.png", "x_probability.png", "x_uncertainty.png"]
    assert list(pd.read_csv(done / "predictions.csv")["name"]) == ["x"]


def test_a_picture_that_is_from_no_run_is_not_replaced(tmp_path, photographs, everything):
    write_png(tmp_path / "photographs/deep/z_mask.png", np.zeros((5, 5), np.uint8))
    before = everything(tmp_path)
    results = FolderResults(tmp_path / "photographs", SETTINGS, overwrite=True)
    with pytest.raises(Problem, match="deep/z_mask.png: would be lost"):
        results.begin(results.names(photographs))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_nor_is_one_beside_the_results_of_an_earlier_run(done, photographs, everything, overwrite):
    new = done.parent / "photographs/new.png"
    new.write_bytes(b"new")
    write_png(done / "new_mask.png", np.zeros((5, 5), np.uint8))
    before = everything(done)
    results = FolderResults(done, SETTINGS, overwrite=overwrite)
    with pytest.raises(Problem, match="new_mask.png: would be lost"):
        results.begin(results.names(photographs | {new: "new.png"}))
    assert everything(done) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_read_is_not_lost_though_it_is_from_an_earlier_run(done, photographs, everything, overwrite):
    """A mask that was corrected where it lies, or a picture of the run that is given as a photograph."""
    before, given = everything(done), dict(list(photographs.items())[:1 if overwrite else 2])
    for more, masks in (({}, [done / "y_mask.png"]), ({done / "y_overlay.png": "y_overlay.png"}, [])):
        results = FolderResults(done, SETTINGS, overwrite=overwrite)
        with pytest.raises(Problem, match="y_.*.png: is a file of the data and would be lost"):
            results.begin(results.names(given | more), masks)
    assert everything(done) == before


@pytest.mark.parametrize("shows", ["predictions.csv", "contact_sheet.png", "review.html"])
def test_nor_is_a_table_sheet_or_page_of_somebodys_own(tmp_path, photographs, shows):
    (tmp_path / "photographs" / shows).write_text("own")
    results = FolderResults(tmp_path / "photographs", SETTINGS, overwrite=True)
    with pytest.raises(Problem, match=f"{shows}: would be lost"):
        results.begin(results.names(photographs))


def test_overwriting_keeps_a_picture_of_a_kind_that_was_not_written(done, photographs, segmented):
    write_png(done / "x_uncertainty.png", np.zeros((5, 5), np.uint8))
    results = FolderResults(done, SETTINGS, overwrite=True)
    do(results, results.names(photographs), segmented)
    assert (done / "x_uncertainty.png").exists()


def test_pictures_of_a_killed_run_are_not_taken_for_somebodys_own(tmp_path, photographs, segmented):
    """Killed before a row. A mask that came later, of a photograph it had not begun, is somebody's own."""
    results = FolderResults(tmp_path / "out", SETTINGS)
    results.begin(results.names(photographs))
    for kind in ("probability", "mask"):
        write_png(tmp_path / f"out/x_{kind}.png", np.zeros((5, 5), np.uint8))
    again = FolderResults(tmp_path / "out", SETTINGS)
    again.begin(again.names(photographs))
    write_png(tmp_path / "out/y_mask.png", np.zeros((5, 5), np.uint8))
    once_more = FolderResults(tmp_path / "out", SETTINGS)
    with pytest.raises(Problem, match="y_mask.png: would be lost"):
        once_more.begin(once_more.names(photographs))


def test_pictures_of_a_photograph_that_failed_halfway_are_not_taken_for_somebodys_own(tmp_path, photographs):
    results = FolderResults(tmp_path / "out", SETTINGS)
    results.begin(results.names(photographs))
    write_png(tmp_path / "out/x_probability.png", np.zeros((5, 5), np.uint8))
    results.finish()
    again = FolderResults(tmp_path / "out", SETTINGS)
    assert again.state == "finished"
    again.begin(again.names(photographs))


def test_rows_that_stay_where_all_that_is_visible_was_removed_are_not_of_the_next_run(
        done, photographs, segmented, everything):
    """`rm -r out/*` leaves .rows; the next run may be of another model."""
    for entry in done.iterdir():
        if not entry.name.startswith("."):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    before = everything(done)
    results = FolderResults(done, SETTINGS | {"tta": True})
    assert results.state == "new" and everything(done) == before
    do(results, results.names(dict(list(photographs.items())[1:2])), segmented)
    assert list(pd.read_csv(done / "predictions.csv")["name"]) == ["y"]
    assert [file.name for file in (done / ".rows").rglob("*.json")] == ["y.json"]


# ---- rows that did not come along ------------------------------------------------------------------------

def test_rows_that_the_hidden_folder_lacks_are_not_lost(done, photographs, tmp_path, everything):
    shutil.rmtree(done / ".rows")
    before = everything(done)
    new = tmp_path / "new.png"
    new.write_bytes(b"new")
    other = tmp_path / "other/x.png"
    other.parent.mkdir()
    other.write_bytes(b"other")
    for given in ({new: "new.png"}, {other: "x.png"}, dict(list(photographs.items())[:2])):
        results = FolderResults(done, SETTINGS)
        with pytest.raises(Problem, match="predictions.csv: holds . rows? .* .rows beside it lacks. Copy"):
            results.begin(results.names(given))
    assert everything(done) == before


def test_rows_that_did_not_come_along_are_made_again_where_all_their_photographs_are_given(
        done, photographs, segmented, capsys):
    table = (done / "predictions.csv").read_bytes()
    shutil.rmtree(done / ".rows")
    results = FolderResults(done, SETTINGS)
    do(results, results.names(photographs), segmented)
    assert "holds 3 rows (deep/z for one) that .rows beside it lacks. These" in capsys.readouterr().err
    assert (done / "predictions.csv").read_bytes() == table and left(done, photographs) == ("finished", [])


def test_a_table_that_excel_has_saved_is_read_all_the_same(done, photographs):
    (done / "predictions.csv").write_bytes("\ufeffname;file;width\r\nx;x.png;5\r\nmine;m.png;5\r\n".encode())
    results = FolderResults(done, SETTINGS)
    with pytest.raises(Problem, match="holds 1 row .mine. that .rows beside it lacks"):
        results.begin(results.names(photographs))


def changed_by_excel(table):
    """Writes 1 in place of the name x, as Excel does of 01."""
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("\nx,", "\n1,"), encoding="utf-8")
    assert table.read_text(encoding="utf-8") != text


def test_a_row_whose_name_excel_has_changed_is_not_missed(done, photographs, segmented, tmp_path):
    changed_by_excel(done / "predictions.csv")
    new = tmp_path / "new.png"
    new.write_bytes(b"new")
    results = FolderResults(done, SETTINGS)
    do(results, results.names({new: "new.png"}), segmented)
    assert list(pd.read_csv(done / "predictions.csv")["name"]) == ["deep/z", "new", "x", "y"]
    changed_by_excel(done / "predictions.csv")
    (done / ".rows/y.json").unlink()
    results = FolderResults(done, SETTINGS)
    assert list(lacking(table_in(Folder(done)), results.rows)) == ["y"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_rows_that_were_removed_on_purpose_are_not_missed_though_the_table_still_has_them(
        done, photographs, segmented, overwrite):
    """Killed, or the table is open in Excel, before it was written without them."""
    next(path for path in photographs if path.name == "y.png").write_bytes(b"damaged")
    results = FolderResults(done, SETTINGS, overwrite=overwrite)
    named = results.names(photographs)
    results.left(named)
    results.begin(named)
    results.complete = False
    results.finish()
    again = FolderResults(done, SETTINGS)
    some = {path: below for path, below in photographs.items() if below != "y.png"}
    do(again, again.names(some), segmented)
    assert list(pd.read_csv(done / "predictions.csv")["name"]) == ["deep/z", "x"]


def test_damaged_rows_do_not_keep_from_overwriting(done, photographs, segmented):
    (done / ".rows/x.json").write_text("{")
    results = FolderResults(done, SETTINGS, overwrite=True)
    do(results, results.names(photographs), segmented)
    assert left(done, photographs) == ("finished", [])


# ---- what is written -------------------------------------------------------------------------------------

def test_pictures_are_what_was_segmented(tmp_path, photographs, segmented):
    results = FolderResults(tmp_path / "out", SETTINGS | {"tta": True})
    do(results, results.names(photographs), segmented)
    probability, mask, overlay, uncertainty = (picture(tmp_path / f"out/deep/z_{kind}.png") for kind in KINDS)
    assert probability.dtype == np.uint16 and np.array_equal(probability, segmented.levels)
    assert mask.dtype == np.uint8 and np.array_equal(mask, segmented.mask * 255)
    assert overlay.shape == segmented.rgb.shape
    assert uncertainty.dtype == np.uint16 and np.array_equal(uncertainty, segmented.fov * np.uint16(32768))


def test_the_table_holds_a_row_a_photograph_in_order_of_names(done):
    table = pd.read_csv(done / "predictions.csv")
    assert list(table["name"]) == ["deep/z", "x", "y"] and "sha256" not in table
    assert table["file"][0].endswith("photographs/deep/z.png") and (table["status"] == "done").all()


def test_names_of_any_characters_are_written_and_read_again(tmp_path, segmented):
    names = ['quo"te', "new\nline", "Gefäß 網膜", "comma, and = sign", "dots...", "folder.json/inside"]
    photographs = {tmp_path / f"{name}.png": f"{name}.png" for name in names}
    for path in photographs:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode())
    results = FolderResults(tmp_path / "out", SETTINGS)
    do(results, results.names(photographs), segmented)
    assert sorted(pd.read_csv(tmp_path / "out/predictions.csv")["name"]) == sorted(names)
    assert left(tmp_path / "out", photographs) == ("finished", [])


def test_a_damaged_overlay_is_white_on_the_contact_sheet_and_named(done, capsys):
    (done / "y_overlay.png").write_bytes(bytes(1000))
    results = FolderResults(done, SETTINGS)
    results.draw_sheet(results.in_table())
    said = capsys.readouterr().err
    assert "1 overlay (" in said and "y_overlay.png) damaged" in said
    sheet = picture(done / "contact_sheet.png")
    cells = [sheet[40:-2, k * sheet.shape[1] // 3:][:, 5:300] for k in range(3)]
    assert [bool((cell == 255).all()) for cell in cells] == [False, False, True]


def test_a_contact_sheet_does_not_hold_all_overlays_at_full_size(tmp_path):
    names = [f"p{k:02d}" for k in range(24)]
    overlay = np.zeros((1000, 1200, 3), np.uint8)
    write_json(tmp_path / "run.json", {"settings": SETTINGS, "finished": True})
    for name in names:
        write_png(tmp_path / f"{name}_overlay.png", overlay)
    tracemalloc.start()
    FolderResults(tmp_path, SETTINGS).draw_sheet([{"name": name, "vessel_density": 0.1} for name in names])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * overlay.nbytes
    assert picture(tmp_path / "contact_sheet.png").shape[1] > 6 * 320
    assert read_json(tmp_path / "run.json")["finished"]
