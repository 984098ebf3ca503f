"""Running again: what --out may be, which run it holds, and what overwriting may touch."""

import os
import shutil

import pytest
from conftest import linux_only

from running import files
from running.again import RUN, make_way, mark, same_as_before
from running.command import Problem
from running.files import read_json, write_bytes

COMMANDS = ("augment", "training", "testing", "eval")


# ---- run.json --------------------------------------------------------------------------------------------

def test_a_run_is_new_then_unfinished_then_finished(tmp_path):
    out, settings = tmp_path / "out", {"tta": True, "threshold": None}
    assert same_as_before(out, settings, False) == "new" and not out.exists()
    mark(out, settings, finished=False)
    (out / ".unfinished-0123").touch()
    assert same_as_before(out, settings, False) == "unfinished"
    assert not (out / ".unfinished-0123").exists(), "what a killed run left half written goes"
    mark(out, settings, finished=True, manifest="abc")
    assert same_as_before(out, settings, False) == "finished"
    assert same_as_before(out, settings, True) == "new"
    assert read_json(out / "run.json") == {"settings": settings, "finished": True, "manifest": "abc"}


@pytest.mark.parametrize("finished", [False, True])
def test_what_a_killed_run_left_half_written_goes_when_it_is_overwritten_and_when_it_is_finished(
        finished, tmp_path):
    for overwrite in (True, False):
        mark(tmp_path, {}, finished=finished)
        (tmp_path / ".unfinished-0123").touch()
        same_as_before(tmp_path, {}, overwrite)
        assert os.listdir(tmp_path) == [RUN]


def test_a_result_that_is_open_elsewhere_is_named_when_it_is_to_go(tmp_path, monkeypatch):
    def refusing(path, **how):
        raise PermissionError(13, "used by another process", os.fspath(path))

    write_bytes(tmp_path / "masks/a.png", b"x")
    mark(tmp_path, {"split": "test"}, finished=True, sources={"a": {}})
    monkeypatch.setattr(files, "PAUSES", ())
    monkeypatch.setattr(os, "unlink", refusing)
    with pytest.raises(files.Held, match="a.png: is open in another program"):
        make_way(tmp_path, ["masks/*.png"], overwrite=True)


def test_what_another_run_is_just_writing_in_a_folder_below_stays(tmp_path):
    """And a folder that a killed export.py had left ended the command, whose rest could not be made then."""
    for folder in (tmp_path, tmp_path / "other"):
        mark(folder, {}, finished=False)
    for name in (".unfinished-1", "deep/.unfinished-2", ".unfinished-3/x/y.pb", "other/deep/.unfinished-4"):
        write_bytes(tmp_path / name, b"x")
    assert same_as_before(tmp_path, {}, False) == "unfinished"
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {RUN, f"other/{RUN}", "other/deep/.unfinished-4", ".unfinished-3/x/y.pb"}


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_finished_run_that_has_lost_a_file_is_unfinished_and_says_so(spoil, tmp_path, capsys):
    for name in ("a.png", "b/c.csv"):
        write_bytes(tmp_path / name, b"x")
    mark(tmp_path, {}, finished=True, files=["a.png", "b/c.csv"])
    assert same_as_before(tmp_path, {}, False) == "finished" and not capsys.readouterr().err
    spoil(tmp_path / "b/c.csv")
    assert same_as_before(tmp_path, {}, False) == "unfinished"
    assert "1 file (b/c.csv) gone or empty" in capsys.readouterr().err


@pytest.mark.parametrize("before, now, sentence", [
    ({"tta": False}, {"tta": True}, "tta: not given before, given now"),
    ({"a": 1}, {}, "a: 1 before, not given now"),
    ({}, {"b": "x"}, "b: not given before, x now"), ({"n": 0}, {"n": 5}, "n: 0 before, 5 now"),
    ({"tta": False, "a": 1}, {"whole": [], "a": 2}, r"settings \(a: 1 before, 2 now\)"),
    ({"whole": []}, {"whole": ["STARE", "B"]}, "whole: not given before, STARE, B now"),
    ({"model sha256": "1" * 64, "pairs": "2" * 64}, {"model sha256": "3" * 64, "pairs": "4" * 64},
     r"settings \(the model is another; the pairs are others\)\. Give the earlier model by --model, say "),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}, "a: 1 .*; b: 2 before, 1 now")])
def test_other_settings_are_refused_and_named(before, now, sentence, tmp_path):
    mark(tmp_path, before, finished=True)
    with pytest.raises(Problem, match=sentence):
        same_as_before(tmp_path, now, False)


def test_hidden_files_do_not_make_a_folder_somebody_elses(tmp_path):
    (tmp_path / ".DS_Store").touch()
    assert same_as_before(tmp_path, {}, False) == "new"
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(Problem, match="holds other files"):
        same_as_before(tmp_path, {}, False)


def test_what_is_from_no_run_is_not_cleared(tmp_path):
    for name in ("masks/a.png", "masks/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(Problem, match="a.png: would be lost"):
        make_way(tmp_path, ["masks/*.png"], overwrite=True)
    mark(tmp_path, {"a": 1}, finished=True)
    make_way(tmp_path, ["masks/*.png"], overwrite=True)
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b.txt"]
    assert read_json(tmp_path / "run.json") == {"settings": {}, "finished": False}, "no run goes on from here"


def test_of_a_run_only_the_files_of_its_photographs_are_cleared(tmp_path):
    """Whatever else lay under the patterns went with them, and the masks of a data set were such."""
    for name in ("masks/a.png", "masks/mine.png", "t/x/a_0001.png", "t/x/mine_0001.png", "table.csv"):
        write_bytes(tmp_path / name, b"x")
    mark(tmp_path, {"split": "test"}, finished=True, sources={"a": {}})
    make_way(tmp_path, ["masks/*.png", "table.csv"], overwrite=True)
    make_way(tmp_path, ["t/*/*.png"], overwrite=True, numbered=True)
    left = {path.name for path in tmp_path.rglob("*.*")}
    assert left == {"mine.png", "mine_0001.png", RUN}
    assert read_json(tmp_path / RUN)["sources"] == {"a": {}}, "killed in between, it can still be cleared"


def test_nothing_is_cleared_where_a_file_would_be_lost(tmp_path):
    for name in ("masks/a.png", "masks/b.png"):
        write_bytes(tmp_path / name, b"x")
    (tmp_path / "linked").symlink_to("masks")
    mark(tmp_path, {"split": "test"}, finished=True, sources={"a": {}})
    for new, data, sentence in (
            (["masks/b.png"], [], "b.png: would be lost"),
            ([], [tmp_path / "linked/a.png"], "a.png: is a file of the data and would be lost"),
            (["masks/b.png"], [tmp_path / "linked/b.png"], "b.png: is a file of the data"),
            (["masks/b.png"], [tmp_path / "gone.png"], "b.png: would be lost")):
        with pytest.raises(Problem, match=sentence):
            make_way(tmp_path, ["masks/*.png"], new, data, overwrite=True)
        assert (tmp_path / "masks/a.png").exists() and read_json(tmp_path / RUN)["finished"]
    make_way(tmp_path, ["masks/*.png"], ["masks/a.png"], [tmp_path / "masks/b.png"], overwrite=True)
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b.png"]


@pytest.fixture
def without_numbers(monkeypatch):
    """As on a drive whose files bear no number: st_ino is 0 for all."""
    stat = os.stat

    def numberless(path, **how):
        state = stat(path, **how)
        return os.stat_result((state[0], 0, *state[2:10]))

    monkeypatch.setattr(os, "stat", numberless)


@pytest.mark.usefixtures("without_numbers")
def test_on_a_drive_without_file_numbers_only_the_data_is_the_data(tmp_path):
    """All its files were one, so each result that was there was a file of the data and would be lost."""
    for name in ("data/a.png", "out/masks/a.png"):
        write_bytes(tmp_path / name, b"x")
    (tmp_path / "linked").symlink_to("out")
    mark(tmp_path / "out", {"split": "test"}, finished=False, sources={"a": {}})
    make_way(tmp_path / "out", ["masks/*.png"], ["masks/a.png"], [tmp_path / "data/a.png"])
    with pytest.raises(Problem, match="a.png: is a file of the data"):
        make_way(tmp_path / "out", ["masks/*.png"], ["masks/a.png"], [tmp_path / "linked/masks/a.png"])
    make_way(tmp_path / "out", ["masks/*.png"], ["masks/a.png"], [tmp_path / "data/a.png"], overwrite=True)
    assert not (tmp_path / "out/masks/a.png").exists()


@linux_only
def test_a_result_whose_name_now_has_another_case_is_still_the_runs(tmp_path):
    """Where a disk knows no case the file is there under both names, as it is here by a hard link."""
    write_bytes(tmp_path / "masks/left.png", b"x")
    mark(tmp_path, {"split": "test"}, finished=True, sources={"left": {}})
    for name in ("Left.png", "right.png"):
        os.link(tmp_path / "masks/left.png", tmp_path / "masks" / name)
    write_bytes(tmp_path / "masks/LEFT.png", b"somebody's own, where a disk does know case")
    for name in ("right.png", "LEFT.png"):
        with pytest.raises(Problem, match=f"{name}: would be lost"):
            make_way(tmp_path, ["masks/*.png"], [f"masks/{name}"], overwrite=True)
    make_way(tmp_path, ["masks/*.png"], ["masks/Left.png"])
    make_way(tmp_path, ["masks/*.png"], ["masks/Left.png"], overwrite=True)
    assert not (tmp_path / "masks/left.png").exists()


@pytest.mark.parametrize("there, sentence", [
    ({"copies": 60}, "augment.py"), ({"epochs": 15}, "training.py"), ({"tta": False}, "eval.py"),
    ({"masks": "corrected"}, "eval.py"), ({"split": "test", "tta": False}, "")])
def test_a_run_of_another_command_is_not_overwritten(there, sentence, tmp_path):
    """testing.py --overwrite took masks beside the results of eval.py for its own."""
    mark(tmp_path, there, finished=True)
    before = all_of(tmp_path)
    for overwrite in (True, False) if sentence else ():
        with pytest.raises(Problem, match=f"run.json: is of a run of {sentence} and would be lost"):
            same_as_before(tmp_path, {"split": "test", "tta": False}, overwrite)
    assert sentence or same_as_before(tmp_path, {"split": "test", "tta": False}, False) == "finished"
    assert all_of(tmp_path) == before


def test_another_programs_run_json_is_not_overwritten(tmp_path):
    (tmp_path / RUN).write_text('{"a program of their own": 1}')
    for overwrite in (True, False):
        with pytest.raises(Problem, match="run.json: would be lost, and is not from an earlier run"):
            same_as_before(tmp_path, {"tta": False}, overwrite)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"settings": 3}', "\0" * 100])
def test_a_damaged_note_on_the_run(damage, short_runs, refused, command, tmp_path):
    out = tmp_path / "out"
    assert command("eval", *short_runs["eval"], "--out", out).code == 0
    (out / "run.json").write_text(damage)
    assert "run.json" in refused("eval", *short_runs["eval"], "--out", out)
    assert command("eval", *short_runs["eval"], "--out", out, "--overwrite").code == 0


# ---- an --out that is something else ---------------------------------------------------------------------

def a_file(path):
    path.write_text("thesis")


def below_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("thesis")


def a_loop(path):
    path.symlink_to(path.name)


def to_nothing(path):
    path.symlink_to("gone")


def other_things(path):
    path.mkdir()
    (path / "thesis.txt").write_text("years")


def all_of(folder):
    return sorted((path, path.is_symlink(), path.is_file() and path.read_bytes())
                  for path in folder.rglob("*"))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("make", [a_file, below_a_file, a_loop, to_nothing, other_things])
def test_an_out_that_is_something_else(name, make, short_runs, refused, tmp_path):
    (tmp_path / "place").mkdir()
    make(tmp_path / "place" / "out")
    before = all_of(tmp_path)
    sentence = refused(name, *short_runs[name], "--out", tmp_path / "place" / "out")
    assert str(tmp_path / "place") in sentence
    assert before == all_of(tmp_path)


# ---- overwriting -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["augment", pytest.param("training", marks=pytest.mark.slow),
                                  "testing", "eval"])
def test_overwrite_touches_nobody_elses_files(name, short_runs, command, tmp_path):
    other_things(tmp_path / "out")
    ended = command(name, *short_runs[name], "--out", tmp_path / "out", "--overwrite")
    assert ended.code in (0, 2) and (tmp_path / "out/thesis.txt").read_text(encoding="utf-8") == "years"


@pytest.mark.parametrize("own_run", [False, True])
@pytest.mark.parametrize("name", ["testing", "augment"])
def test_masks_are_not_overwritten_whatever_run_lies_beside_them(
        name, own_run, short_runs, command, draw, tmp_path, everything):
    """--overwrite removed all reference masks of a folder into which eval.py had once written."""
    folder = draw.plain(tmp_path / "mine", train=4, test=0 if name == "augment" else None)
    if own_run:  # also where the run.json is of the same command, whatever version
        mark(folder, {"copies": 2} if name == "augment" else {"split": "test"}, finished=True)
    else:
        photographs = next(folder.rglob("images"))
        ended = command("eval", photographs, *short_runs["eval"][-2:], "--out", folder, "--overwrite")
        assert ended.code == 0, ended.err
    before = everything(folder)
    ended = command(name, "--data", folder, *short_runs[name][2:], "--out", folder, "--overwrite")
    expected = "is a file of the data" if own_run else "is of a run of eval.py"
    sentence = ended.err.splitlines()[-1]
    assert ended.code == 2 and f"{expected} and would be lost. Choose another --out" in sentence
    assert str(folder) in sentence and everything(folder) == before


def test_a_model_that_is_from_no_run_is_not_overwritten(
        short_runs, refused, tiny_model, tmp_path, everything):
    """training.py --overwrite removed a model that somebody had put there."""
    for name in ("model.keras", "model.json"):
        (tmp_path / "c").mkdir(exist_ok=True)
        shutil.copy(tiny_model.with_name(name), tmp_path / "c" / name)
    before = everything(tmp_path)
    sentence = refused("training", *short_runs["training"], "--out", tmp_path / "c", "--overwrite")
    assert "model.keras: would be lost, and is not from an earlier run" in sentence
    assert everything(tmp_path) == before


def test_the_network_that_one_starts_from_is_not_overwritten(short_runs, command, tiny_training, tmp_path):
    out = tmp_path / "c"
    shutil.copytree(tiny_training, out)
    for name in ("model.keras", "state/last.keras"):
        words = *short_runs["training"], "--out", out, "--overwrite", "--init", out / name
        ended = command("training", *words)
        assert ended.code == 2 and "lies where the new model is written" in ended.err


def test_overwrite_with_a_flag_or_model_that_cannot_be_used_removes_nothing(
        short_runs, command, refused, tiny_training, tmp_path, everything):
    out = tmp_path / "out"
    assert command("eval", *short_runs["eval"], "--out", out).code == 0
    shutil.copytree(tiny_training, tmp_path / "checkpoints")
    (tmp_path / "bad.keras").write_text("not a model")
    before = everything(tmp_path)
    refused("eval", *short_runs["eval"], "--out", out, "--overwrite", "--model", tmp_path / "bad.keras")
    anew = (*short_runs["training"], "--out", tmp_path / "checkpoints", "--overwrite")
    refused("training", *anew, "--loss", "nonsense")
    refused("training", *anew, "--width", 9999)
    assert everything(tmp_path) == before
