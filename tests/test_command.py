"""How commands speak and end: exit codes, one sentence, no memory, readers that go away, --help."""

import argparse
import importlib
import os
import shlex
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf
from conftest import ROOT, limited, linux_only
from PIL import Image

from running.command import ONE_VALUE, Problem, complain, counted, run, say, typed, with_example

# ---- exit codes ------------------------------------------------------------------------------------------


def raising(error):
    def main():
        raise error

    return main


@linux_only
def test_a_command_whose_folder_is_gone_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(lambda: 0) == 2
    assert "The folder in which this was started is gone" in capsys.readouterr().err


def test_an_empty_argument_is_not_the_folder_that_one_is_in(refused):
    """As of a variable that was not set: eval.py "$FILE" segmented all that lay around."""
    for script in ("eval", "data", "augment"):
        assert "An argument of this command is empty" in refused(script, "")


@pytest.mark.parametrize("main, code, sentence", [
    (lambda: None, 0, ""), (lambda: 1, 1, ""),
    (raising(Problem("x.png: is damaged.")), 2, "x.png: is damaged.\n"),
    (raising(KeyboardInterrupt()), 130, "Interrupted. Run the same command again to go on.\n"),
    (raising(FileNotFoundError(2, "", "x.png")), 2, "x.png: No such file or directory.\n"),
    (raising(OSError(28, "")), 2, "output: the disk is full: make room.\n")])
def test_the_end_of_a_command_is_an_exit_code_and_a_sentence(main, code, sentence, capsys):
    assert run(main) == code
    assert capsys.readouterr().err == sentence


def test_counts_agree_with_their_nouns():
    assert [counted(count, "mask") for count in range(3)] == ["0 masks", "1 mask", "2 masks"]
    assert with_example(["a.png"], "mask", "changed") == "1 mask changed (a.png)"
    assert with_example(["a.png", "b.png"], "mask") == "2 masks (a.png for one)"


def test_a_command_is_told_as_one_types_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "python", "augment.py", "--data", tmp_path / "my eyes", "--copies", 3
    assert shlex.split(typed(*words)) == ["python", "augment.py", "--data", "my eyes", "--copies", "3"]
    assert str(tmp_path.parent / "x") in typed("python", tmp_path.parent / "x")


def test_an_interruption_says_how_to_go_on(capsys):
    assert run(raising(KeyboardInterrupt()), "Go on with --resume") == 130
    assert capsys.readouterr().err == "Interrupted. Go on with --resume\n"


def test_a_termination_is_an_interruption():
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run(lambda: signal.raise_signal(signal.SIGTERM)) == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_error_of_the_programs_own_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_a_missing_folder_ends_a_process_with_one_sentence_and_code_2(tmp_path):
    for script, *words in (("data.py", "gone"), ("augment.py", "--data", "gone"), ("eval.py", "gone.png")):
        ended = subprocess.run([sys.executable, str(ROOT / script), *words], capture_output=True, text=True,
                               cwd=tmp_path, check=False)
        assert ended.returncode == 2 and "gone" in ended.stderr, ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert not list(tmp_path.iterdir())


# ---- the command line ------------------------------------------------------------------------------------

@pytest.mark.parametrize("script", ["data", "augment", "training", "testing", "eval", "export"])
def test_help_comes_at_once_and_shows_the_defaults(script, tmp_path):
    """Half a second of the processor's time, whatever else the machine does.

    On a processor that takes more than an eighth of a second to import numpy, which every command needs, four
    times as long as that.
    """
    code = (
        "import os, subprocess, sys; "
        "ended = subprocess.run(sys.argv[1:], capture_output=True, text=True); "
        "used = os.times(); "  # on Windows of this process alone
        "print(used.children_user + used.children_system, ended.returncode, ended.stdout)"
    )

    def run_of(*words):
        shown = subprocess.run([sys.executable, "-c", code, sys.executable, *words], capture_output=True,
                               text=True, cwd=tmp_path, check=True).stdout
        seconds, returned, text = shown.split(" ", 2)
        assert returned == "0"
        return float(seconds), text

    before, _ = run_of("-c", "import numpy")
    seconds, text = run_of(str(ROOT / f"{script}.py"), "--help")
    after, _ = run_of("-c", "import numpy")
    assert text.startswith("usage:") and "default" in text
    assert seconds < max(0.5, 4 * before, 4 * after)
    assert not list(tmp_path.iterdir()), "and leaves nothing behind"


@pytest.mark.parametrize("words", [
    ("eval",), ("eval", "x.png", "--threshold", "2"), ("training", "--epochs", "0"),
    ("augment", "--copies", "0"), ("augment", "--validation", "1"),
    ("testing", "--split", "some"), ("testing", "--threshold", "0")])
def test_a_flag_that_cannot_be_used_is_a_usage_error(command, words):
    ended = command(*words)
    assert ended.code == 2 and ended.err.startswith("usage:")


def test_words_that_no_shell_has_expanded_mean_the_files_that_fit_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.jpg", "c.png", "x[1].jpg"):
        Path(name).touch()
    words = []
    for given in (["*.jpg", "--out", "r"], ["x[1].jpg"], ["gone*.jpg"], ["s3://bucket/*.jpg"]):
        monkeypatch.setattr(sys, "argv", ["eval.py", *given])
        run(lambda: words.append(sys.argv[1:]))
    assert words == [["a.jpg", "b.jpg", "x[1].jpg", "--out", "r"], ["x[1].jpg"], ["gone*.jpg"],
                     ["s3://bucket/*.jpg"]]


def test_what_follows_a_flag_of_one_path_is_taken_as_it_is_typed(monkeypatch, tmp_path):
    """--out 'res*' wrote into whatever folder the pattern fitted."""
    monkeypatch.chdir(tmp_path)
    for name in ("res1", "res2", "scan1.png"):
        Path(name).touch()
    for given in (["--out", "res*"], ["--ou", "res[1]"], ["--out=res*"], ["--model", "res?"], ["scan[1].png"],
                  ["--data", "res[1]"]):
        monkeypatch.setattr(sys, "argv", ["eval.py", *given])
        assert run(lambda given=given: sys.argv[1:] != given) == 0, given
    monkeypatch.setattr(sys, "argv", ["eval.py", "--tta", "res*", "--data", "s*.png"])
    assert run(lambda: sys.argv[1:] != ["--tta", "res1", "res2", "--data", "scan1.png"]) == 0


@pytest.mark.parametrize("script", ["data", "augment", "training", "testing", "eval", "export"])
def test_the_flags_of_one_path_are_known(script, monkeypatch):
    """Else their values were expanded, of a flag that is new."""
    seen = []

    def parse_args(parser, *_):
        seen.append(parser)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(SystemExit):
        importlib.import_module(script).arguments()
    flags = {flag for action in seen[0]._actions for flag in action.option_strings
             if action.nargs is None and action.type in (None, Path) and not action.choices}
    assert flags and flags <= set(ONE_VALUE)


# ---- memory ----------------------------------------------------------------------------------------------

def no_memory(*_, **__):
    raise MemoryError


def exhausted(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,512,512,16]")


def torn(*_, **__):
    raise BrokenProcessPool("A process in the process pool was terminated abruptly")


def by_opencv(*_, **__):
    import cv2

    error = cv2.error("(-4:Insufficient memory) Failed to allocate 400000000000 bytes")
    error.code = -4
    raise error


@pytest.mark.parametrize("name, where, fault", [
    ("eval", "predict.Predictor.__call__", exhausted), ("eval", "predict.Predictor.__call__", by_opencv),
    ("testing", "predict.Predictor.__call__", no_memory), ("augment", "augment.write_all", torn),
    pytest.param("training", "keras.Model.fit", exhausted, marks=pytest.mark.slow)])
def test_no_memory(name, where, fault, short_runs, refused, command, monkeypatch, tmp_path):
    monkeypatch.setattr(where, fault)
    assert "not enough memory" in refused(name, *short_runs[name], "--out", tmp_path / "out")
    monkeypatch.undo()
    resumed = ["--resume"] if name == "training" else []
    again = command(name, *short_runs[name], "--out", tmp_path / "out", *resumed)
    assert again.code == 0, again.err


@linux_only
@pytest.mark.parametrize("name", ["data", "eval"])
def test_a_photograph_larger_than_the_memory(name, refused, tiny_model, tmp_path):
    (tmp_path / "set/images").mkdir(parents=True)
    large = Image.fromarray(np.zeros((7000, 7000, 3), np.uint8))
    large.save(tmp_path / "set/images/large.png", compress_level=1)
    words = {"data": (tmp_path / "set",),
             "eval": (tmp_path / "set/images", "--model", tiny_model, "--out", tmp_path / "out")}[name]
    used = psutil.Process().memory_info().vms
    with limited("RLIMIT_AS", used + 250_000_000):
        assert "not enough memory" in refused(name, *words)


# ---- readers that go away --------------------------------------------------------------------------------

def piped(tail, tiny_set):
    line = f'"{sys.executable}" data.py "{tiny_set}" "{tiny_set}" {tail}'
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True,
                          check=False)


@pytest.mark.skipif(os.name == "nt", reason="pipes of bash")
@pytest.mark.parametrize("tail", ["| head -1", "| true", "2>&1 | true"])
def test_a_broken_pipe_is_no_traceback_and_does_not_end_the_work(tail, tiny_set):
    ended = piped(tail, tiny_set)
    assert ended.returncode == 0 and ended.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_report_that_cannot_be_printed(tiny_set):
    ended = piped("> /dev/full", tiny_set)
    assert ended.returncode == 2 and "the disk is full" in ended.stderr and "Traceback" not in ended.stderr


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys):
    say("a\x1b[31mred\x07.png")
    complain("b\x1b]0;title\x07\nc")
    told = capsys.readouterr()
    assert told.out == "a\\x1b[31mred\\x07.png\n" and told.err == "b\\x1b]0;title\\x07 c\n"
