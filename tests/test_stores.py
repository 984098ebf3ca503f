"""Folders and object stores alike: which photographs are found, what the results folder keeps of a job."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from photographs.finding import find_photographs
from prediction.results import FolderResults
from running.again import mark
from running.command import Problem
from running.files import read_json, write_bytes
from running.names import names_apart

pyarrow = pytest.importorskip("pyarrow", reason="pip install -r requirements-ray.txt")

from cluster import stores  # noqa: E402

SETTINGS = {"model sha256": "1", "tta": False}


# ---- photographs -----------------------------------------------------------------------------------------

def found(*places, out="out"):
    """{file, relative: path below the place}."""
    return {os.path.relpath(file): below for file, (_, below) in stores.find_stored(places, out).items()}


def test_pictures_in_folders_below_are_found_and_others_are_left_out(touch):
    touch("a/2024/left.JPG", "a/2024/right.png", "a/2025/left.jpg", "a/top.tif", "a/notes.txt", "a/.x.png")
    assert found("a") == {"a/2024/left.JPG": "2024/left.JPG", "a/2024/right.png": "2024/right.png",
                          "a/2025/left.jpg": "2025/left.jpg", "a/top.tif": "top.tif"}


def test_a_file_is_taken_as_given_and_none_twice(touch):
    touch("a/x.jpg", "b/deep/x.png")
    assert found("a/x.jpg", "a", "b/deep", "b") == {"a/x.jpg": "x.jpg", "b/deep/x.png": "x.png"}


def test_results_are_not_photographs(touch):
    touch("a/x.png", "a/out/x_mask.png", "a/out2/y.png")
    assert found("a", out="a/out") == {"a/x.png": "x.png", "a/out2/y.png": "out2/y.png"}
    assert found("a/out2", out=".") == {"a/out2/y.png": "y.png"}, "photographs may lie among results"


def test_photographs_beside_results_are_counted_and_named(touch, capsys):
    touch("a/x.png", "a/y2/x.png", "a/y2/deep/z.jpg", "a/y2/x_mask.png", "a/y2/run.json", "a/out/x_mask.png",
          "a/out/corrected/x.png", "a/pairs/train/images/x_0001.png", "a/pairs/run.json")
    assert found("a", out="a/out") == {"a/x.png": "x.png"}
    sentence, = capsys.readouterr().err.splitlines()
    assert "a: left out 2 pictures beside results of this project, in " in sentence and "a/y2" in sentence
    touch("a/out/mine.png")
    assert found("a", out="a/out") == {"a/x.png": "x.png"}
    assert "left out 3 pictures" in capsys.readouterr().err
    Path("a/x.png").unlink()
    with pytest.raises(Problem, match="no photograph in this folder, but for 3 pictures"):
        found("a", out="a/out")


def test_photographs_may_lie_in_the_folder_of_the_results(touch, capsys):
    touch("a/x.png", "a/p7/y.png")
    assert found("a", out="a") == {"a/x.png": "x.png", "a/p7/y.png": "p7/y.png"}
    touch("a/run.json", "a/x_mask.png", "a/p7/y_mask.png", "a/corrected/x.png", "a/old/run.json",
          "a/old/z.png")
    assert found("a", out="a") == {"a/x.png": "x.png", "a/p7/y.png": "p7/y.png"}
    assert "a: left out 1 picture beside results of this project, in " in capsys.readouterr().err


def test_a_folder_gets_the_same_names_as_on_one_machine(touch):
    touch("a/x.jpg", "a/x.png", "a/X.tif", "a/P1/x.gif", "a/p1/x.gif", "a/ß/y.png", "a/ss/y.png",
          "b/x.png", "b/c/d.png")
    places = ("a", "b", "b/c/d.png", "b/c")
    here = names_apart(find_photographs(places, "out"), {})
    there = names_apart({file: below for file, (_, below) in stores.find_stored(places, "out").items()}, {})
    assert len(here) == 9 and {str(path.absolute()): name for path, name in here.items()} == there


@pytest.mark.parametrize("place, sentence", [
    ("gone", "no such photograph"), ("empty", "no photograph in this folder"),
    ("nowhere://bucket/x", "cannot be opened")])
def test_a_place_without_photographs_is_named(touch, place, sentence):
    touch("empty/notes.txt")
    with pytest.raises(Problem, match=f"{place}.*{sentence}"):
        found(place)


def test_a_name_that_pyarrow_cannot_read_is_told(tmp_path):
    (tmp_path / os.fsdecode(b"odd\xff.png")).touch()
    with pytest.raises(Problem, match="not UTF-8.*Rename it"):
        found(str(tmp_path))


# ---- results ---------------------------------------------------------------------------------------------

def done(name, **more):
    return {"name": name, "file": f"/p/{name}.png", "width": 5, "vessel_density": float("nan"),
            "warnings": "", "status": "done", "error": "", **more}


def failed(name):
    return {"name": name, "file": f"/p/{name}.png", "status": "failed", "error": f"{name} is damaged"}


@pytest.fixture(params=["folder", "object store"])
def begun(request, tmp_path, monkeypatch):
    """A function that opens the results in a folder, and in something that has no renaming."""
    if request.param == "folder":
        return lambda settings=SETTINGS, **how: stores.StoredResults(str(tmp_path / "out"), settings, **how)
    (tmp_path / "out").mkdir()  # folders are nothing to an object store
    bucket = pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem())

    def opened(path):
        bucket.create_dir(str(Path(path).parent))
        return bucket.open_output_stream(path)

    system = SimpleNamespace(
        type_name="s3", filesystem=bucket, get_file_info=bucket.get_file_info, delete_dir=bucket.delete_dir,
        open_input_stream=bucket.open_input_stream, open_output_stream=opened, delete_file=bucket.delete_file)
    monkeypatch.setattr(stores, "store", lambda place: (system, "out", "s3://"))
    dataset = stores.pyarrow.dataset.dataset
    monkeypatch.setattr(stores.pyarrow.dataset, "dataset", lambda path, filesystem, format: dataset(
        path, filesystem=filesystem.filesystem, format=format))
    return lambda settings=SETTINGS, **how: stores.StoredResults("s3://key:secret@out", settings, **how)


def test_the_table_holds_done_and_failed_and_knows_them_again(begun, capsys):
    results = begun()
    results.begin({})
    results.add([done("a"), failed("b"), done("c", width=7)])
    assert begun().known == {"/p/a.png": "a", "/p/b.png": "b", "/p/c.png": "c"}
    table = results.rows(["name", "width", "error"]).to_pandas().set_index("name")
    assert table.loc["c", "width"] == 7 and np.isnan(table.loc["b", "width"])
    assert table.loc["b", "error"] == "b is damaged"
    assert results.tell(3) == 1
    told = capsys.readouterr()
    assert "2 photographs are done, 1 could not be" in told.out and "not done: b is damaged" in told.err


def test_masks_that_were_emptied_and_a_damaged_part_of_the_table_are_named(begun, tmp_path, capsys):
    results = begun()
    results.begin({})
    for name in "ac":
        results.folder.write(f"{name}_mask.png", b"x" if name == "a" else b"")
    results.add([done("a"), done("c")])
    assert results.tell(2) == 1
    assert "1 mask (c_mask.png) gone or empty. --overwrite" in capsys.readouterr().err
    results.folder.write("c_mask.png", b"x")
    assert results.tell(2) == 0
    results.folder.write("predictions.parquet/done-1.parquet", b"")
    with pytest.raises(Problem, match="predictions.parquet: a file of it is damaged .*Remove it"):
        begun()


@pytest.mark.parametrize("overwrite", [False, True])
def test_one_folder_does_not_hold_results_with_ray_and_without_it(begun, overwrite, tmp_path, everything):
    """Rows of an interrupted run came into the table of a later one that had another threshold."""
    for theirs, other in ((".rows/a.json", begun), ("predictions.parquet/done-1.parquet", lambda **how: (
            FolderResults(tmp_path / "out", SETTINGS, **how)))):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        write_bytes(tmp_path / "out" / theirs, b"x")
        mark(tmp_path / "out", SETTINGS, finished=False)
        before = everything(tmp_path)
        with pytest.raises(Problem, match=f"{theirs.partition('/')[0]}: is of a run .* Choose another --out"):
            other(overwrite=overwrite)
        assert everything(tmp_path) == before


def test_a_mask_that_is_from_no_job_is_not_replaced(begun):
    results = begun()
    results.begin({})
    results.folder.write("a_mask.png", b"x")
    again = begun()
    again.begin({"/p/a.png": "a"})  # its row may have been lost with the job that was stopped
    again.add([done("a")])
    again.finish()
    again.folder.write("b_mask.png", b"own")
    for how in ({}, {"overwrite": True}):
        anew = begun(**how)
        with pytest.raises(Problem, match="b_mask.png: would be lost"):
            anew.begin({"/p/a.png": "a", "/p/b.png": "b"})
        assert anew.folder.read("b_mask.png") == b"own" and anew.folder.has("a_mask.png")


def test_what_has_a_row_is_not_left_to_do(begun):
    results = begun()
    photographs = {"/p/a.png": "a.png", "/p/b.png": "b.png", "/p/c.png": "c.png"}
    assert results.left(results.names(photographs)) == {"/p/a.png": "a", "/p/b.png": "b", "/p/c.png": "c"}
    results.begin({})
    results.add([done("a"), failed("b")])
    again = begun()
    assert again.left(again.names(photographs)) == {"/p/c.png": "c"}
    anew = begun(overwrite=True)
    assert list(anew.left(anew.names(photographs)).values()) == ["a", "b", "c"]


def test_a_name_stays_with_its_photograph_and_no_other_gets_it(begun):
    results = begun()
    results.begin({})
    results.add([done("x", file="/a/x.jpg")])
    photographs = {"/a/x.gif": "x.gif", "/a/x.jpg": "x.jpg", "/a/y.png": "y.png"}
    assert begun().names(photographs) == {"/a/x.gif": "x.gif", "/a/x.jpg": "x", "/a/y.png": "y"}
    assert begun().names({"/b/x.jpg": "x.jpg"}) == {"/b/x.jpg": "x.jpg"}, "of another job"


def test_a_job_is_finished_only_when_it_says_so(begun, tmp_path):
    results = begun()
    assert results.state == "new"
    results.begin({})
    assert begun().state == "unfinished" and not read_json(tmp_path / "out/run.json")["finished"]
    results.add([done("a")])
    assert begun().state == "unfinished"
    results.finish()
    assert begun().state == "finished" and read_json(tmp_path / "out/run.json")["finished"]


def test_keys_in_a_uri_are_not_told(begun, capsys):
    results = begun()
    results.add([done("a"), failed("b")])
    results.tell(2)
    with pytest.raises(Problem) as told:
        begun()
    assert "secret" not in "".join(capsys.readouterr()) + str(told.value)


def test_rows_before_an_interruption_are_kept(begun):
    def rows():
        yield done("a")
        raise KeyboardInterrupt

    results = begun()
    results.begin({})
    with pytest.raises(KeyboardInterrupt):
        results.add(rows())
    assert set(begun().known.values()) == {"a"}


def test_a_part_is_written_a_minute_so_that_memory_holds_few_rows(begun, monkeypatch, tmp_path):
    monkeypatch.setattr(stores, "SECONDS", -1)
    results = begun()
    results.begin({})
    results.add(done(f"a{k}") for k in range(5))
    assert len(begun().known) == 5 and len(list((tmp_path / "out" / stores.TABLE).iterdir())) == 5


def test_when_nothing_could_be_done_that_is_an_error(begun):
    results = begun()
    results.add([failed("a"), failed("b")])
    with pytest.raises(Problem, match="None of the 2"):
        results.tell(2)


def test_a_table_whose_every_part_was_removed_has_no_rows(begun, tmp_path):
    """As docs/scale.md says to where all failed: the next job called the table damaged."""
    results = begun()
    results.begin({})
    results.add([failed("a")])
    for part in (tmp_path / "out" / stores.TABLE).iterdir():
        part.unlink()
    (tmp_path / "out" / stores.TABLE / ".unfinished-1").touch()
    again = begun()
    assert not again.known and again.masks() == []
    assert again.left(again.names({"/p/a.png": "a.png"})) == {"/p/a.png": "a"}


def test_another_run_or_other_files_are_refused(begun):
    results = begun()
    results.folder.write("mine_mask.png", b"mine")
    with pytest.raises(Problem, match="holds other files"):
        begun()
    begun(overwrite=True).begin({})
    assert begun().state == "unfinished"
    with pytest.raises(Problem, match="tta: not given before, given now"):
        begun(SETTINGS | {"tta": True})


def test_overwriting_removes_only_what_the_table_knows(begun, tmp_path):
    results = begun()
    results.begin({})
    for name in ("mine", "patient/a", "b"):
        results.folder.write(f"{name}_mask.png", b"")
    results.add([done("patient/a"), failed("b")])
    begun(overwrite=True).begin({})
    assert not begun().known
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")} == {
        "mine_mask.png", "b_mask.png", "run.json"}


def test_a_mask_that_is_from_no_run_is_not_replaced(begun, tmp_path):
    begun().folder.write("patient/a_mask.png", b"mine")
    with pytest.raises(Problem, match="patient/a_mask.png: would be lost"):
        begun(overwrite=True).begin({"/p/a.png": "patient/a"})
    assert not (tmp_path / "out/run.json").exists()


def test_an_out_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(Problem, match="out: is a file, not a folder"):
        stores.StoredResults(str(tmp_path / "out"), SETTINGS)
