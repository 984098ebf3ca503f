"""Running again: what --out may be, which run it holds, and what overwriting may touch."""

import shutil

import pytest

from running.again import clear, mark, same_as_before
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
     r"settings \(the model is another; the pairs are others\)"),
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
        clear(tmp_path, "masks/*.png")
    mark(tmp_path, {"a": 1}, finished=True)
    clear(tmp_path, "masks/*.png")
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b.txt"]
    assert read_json(tmp_path / "run.json") == {"settings": {}, "finished": False}, "no run goes on from here"


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
