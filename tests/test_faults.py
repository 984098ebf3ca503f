"""Full disks, folders that cannot be written, no memory, readers that go away: a sentence, exit code 2, old results untouched."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import hostile
import kills
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL
from PIL import Image

import files

TRAINING = ("--epochs", 1, "--batch", 2, *SMALL)


@pytest.fixture
def words(tiny_set, tiny_pairs, tiny_model):
    """{command: the words of a short run of it without --out}."""
    photographs = sorted((tiny_set / "test/images").iterdir())
    return {"augment": ("--data", tiny_set, "--copies", 2, "--workers", 1, "--preview"),
            "training": ("--pairs", tiny_pairs, *TRAINING),
            "testing": ("--data", tiny_set, "--model", tiny_model), "eval": (*photographs, "--model", tiny_model)}


COMMANDS = ("augment", "training", "testing", "eval")
TRAINING_LATER = ("augment", pytest.param("training", marks=pytest.mark.slow), "testing", "eval")


# ---- the disk ------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def limited(kind, most):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def all_sound(folder):
    return not [path for path in kills.visible(folder) if kills.broken(path)] and not list(folder.rglob(".unfinished-*"))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("most", [pytest.param(0, marks=pytest.mark.slow), 1500, pytest.param(40_000, marks=pytest.mark.slow)])
def test_files_that_may_not_grow(name, most, words, refused, command, tmp_path):
    """RLIMIT_FSIZE stands for a disk that is full after so many bytes of a file."""
    out = tmp_path / "out"
    with limited(resource.RLIMIT_FSIZE, most):
        sentence = refused(name, *words[name], "--out", out)
    assert "raise the limit" in sentence
    assert not out.exists() or all_sound(out)
    again = command(name, *words[name], "--out", out, *["--resume"] * (name == "training"))
    assert again.code == 0 and all_sound(out), again.err


@pytest.fixture
def small_disk(tmp_path):
    """A function (kilobytes) -> folder on a file system of that size of its own."""
    mounted = []

    def mount(kilobytes):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place],
                              capture_output=True, check=False)
        if done.returncode:
            pytest.skip("a file system can be mounted by root only")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize("name, kilobytes", [
    ("augment", 700), pytest.param("training", 40, marks=pytest.mark.slow), ("testing", 60), ("eval", 60)])
def test_a_full_disk(name, kilobytes, words, refused, command, small_disk):
    disk = small_disk(kilobytes)
    assert "the disk is full" in refused(name, *words[name], "--out", disk / "out")
    assert all_sound(disk)
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    again = command(name, *words[name], "--out", disk / "out", *["--resume"] * (name == "training"))
    assert again.code == 0 and all_sound(disk), again.err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_disk(name, words, refused, small_disk, everything):
    disk = small_disk(100)
    (disk / "old.txt").write_text("results of before")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert "read-only" in refused(name, *words[name], "--out", disk / "out")


def test_results_of_before_survive_a_full_disk(command, refused, tiny_set, tiny_model, tmp_path, everything):
    photographs = sorted((tiny_set / "test/images").iterdir())
    out = ("--out", tmp_path / "out", "--model", tiny_model)
    assert command("eval", *photographs[:2], *out).code == 0
    before = everything(tmp_path / "out")
    with limited(resource.RLIMIT_FSIZE, 1500):
        refused("eval", *photographs, *out)
    after = everything(tmp_path / "out")
    assert {name for name in before if after[name] != before[name]} <= {"run.json"}
    assert command("eval", *photographs, *out).code == 0


# ---- rights --------------------------------------------------------------------------------------------------------

@pytest.fixture
def humbly():
    """Starts a script as somebody for whom the rights of files count: not as root, or as root without its powers."""
    before = []
    if os.geteuid() == 0:
        before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        if not shutil.which("setpriv") or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root may do everything here")

    def calling(*words):
        return subprocess.run([*before, sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False)

    return calling


def one_sentence(ended):
    assert ended.returncode == 2 and "Traceback" not in ended.stderr, ended
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_a_folder_that_must_not_be_written(humbly, tiny_set, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    words = ("--data", tiny_set, "--out", tmp_path / "locked/out", "--copies", 1, "--workers", 1)
    sentence = one_sentence(humbly("augment.py", *words))
    assert "access is not allowed" in sentence and "--out" in sentence


def test_a_file_that_must_not_be_read(humbly, draw, tmp_path):
    folder = draw.plain(tmp_path / "set")
    (folder / "train/images/eye1.png").chmod(0)
    ended = humbly("data.py", folder)
    assert ended.returncode == 1 and "eye1.png: cannot be read (Permission denied)" in ended.stderr
    assert "eye1.png: cannot be read" in one_sentence(humbly("augment.py", "--data", folder, "--out", tmp_path / "p"))


def test_a_folder_that_must_not_be_read(humbly, draw, tiny_model, tmp_path):
    folder = draw.plain(tmp_path / "set", train=1, test=1)
    (folder / "train/images").chmod(0)
    try:
        ended = humbly("eval.py", folder / "test/images", folder / "train", "--out", tmp_path / "out", "--model", tiny_model)
        assert "train" in one_sentence(humbly("data.py", folder))
    finally:
        (folder / "train/images").chmod(0o755)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert f"not done: {folder / 'train/images'}" in ended.stderr and (tmp_path / "out/eye1_mask.png").exists()


# ---- the output folder ---------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("make", [a_file, below_a_file, a_loop, to_nothing, other_things])
def test_an_out_that_is_something_else(name, make, words, refused, tmp_path):
    (tmp_path / "place").mkdir()
    make(tmp_path / "place" / "out")
    before = sorted((path, path.is_symlink(), path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    sentence = refused(name, *words[name], "--out", tmp_path / "place" / "out")
    assert str(tmp_path / "place") in sentence
    assert before == sorted((path, path.is_symlink(), path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", TRAINING_LATER)
def test_overwrite_touches_nobody_elses_files(name, words, command, tmp_path):
    other_things(tmp_path / "out")
    ended = command(name, *words[name], "--out", tmp_path / "out", "--overwrite")
    assert ended.code in (0, 2) and (tmp_path / "out/thesis.txt").read_text() == "years"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"settings": 3}', "\0" * 100])
def test_a_damaged_note_on_the_run(damage, words, refused, command, tmp_path):
    out = tmp_path / "out"
    assert command("eval", *words["eval"], "--out", out).code == 0
    (out / "run.json").write_text(damage)
    assert "run.json" in refused("eval", *words["eval"], "--out", out)
    assert command("eval", *words["eval"], "--out", out, "--overwrite").code == 0


def test_overwrite_with_a_senseless_flag_or_model_removes_nothing(words, command, refused, tiny_training, tmp_path, everything):
    out = tmp_path / "out"
    assert command("eval", *words["eval"], "--out", out).code == 0
    shutil.copytree(tiny_training, tmp_path / "checkpoints")
    before = everything(tmp_path)
    (tmp_path / "bad.keras").write_text("no model")
    before = everything(tmp_path)
    refused("eval", *words["eval"], "--out", out, "--overwrite", "--model", tmp_path / "bad.keras")
    refused("training", *words["training"], "--out", tmp_path / "checkpoints", "--overwrite", "--loss", "nonsense")
    refused("training", *words["training"], "--out", tmp_path / "checkpoints", "--overwrite", "--width", 9999)
    assert everything(tmp_path) == before


def test_a_name_that_is_too_long_costs_only_itself(command, tiny_model, tmp_path):
    for name in ("a" * 251, "b"):
        hostile.saved(f"{name}.png", hostile.RGB)(tmp_path)
    ended = command("eval", tmp_path, "--out", tmp_path / "out", "--model", tiny_model)
    assert ended.code == 1 and "too long" in ended.err and (tmp_path / "out/b_mask.png").exists()


# ---- memory --------------------------------------------------------------------------------------------------------

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
def test_no_memory(name, where, fault, words, refused, command, monkeypatch, tmp_path):
    monkeypatch.setattr(where, fault)
    assert "not enough memory" in refused(name, *words[name], "--out", tmp_path / "out")
    monkeypatch.undo()
    again = command(name, *words[name], "--out", tmp_path / "out", *["--resume"] * (name == "training"))
    assert again.code == 0, again.err


def dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_end_with_a_command_that_is_killed(tiny_set, tmp_path):
    """Only the command is killed: its workers, in its process group, must notice by themselves."""
    words = ("--data", tiny_set, "--out", tmp_path / "out", "--copies", 500, "--workers", 2)
    command = subprocess.Popen([sys.executable, ROOT / "augment.py", *map(str, words)], start_new_session=True,
                               stderr=subprocess.DEVNULL)
    for _ in range(600):
        if len(list(tmp_path.glob("out/train/images/*.png"))) > 3:
            break
        time.sleep(0.1)
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert kills.nobody_left(command.pid)


def test_a_worker_that_the_system_ends(words, refused, monkeypatch, tmp_path):
    monkeypatch.setattr("augment.make_pairs", dies)
    assert "--workers" in refused("augment", *words["augment"], "--out", tmp_path / "out")


@pytest.mark.parametrize("name", ["data", "eval"])
def test_a_photograph_larger_than_the_memory(name, refused, tiny_model, tmp_path):
    (tmp_path / "set/images").mkdir(parents=True)
    Image.fromarray(np.zeros((7000, 7000, 3), np.uint8)).save(tmp_path / "set/images/large.png", compress_level=1)
    words = {"data": (tmp_path / "set",),
             "eval": (tmp_path / "set/images", "--model", tiny_model, "--out", tmp_path / "out")}[name]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, used + 250_000_000):
        assert "not enough memory" in refused(name, *words)


# ---- readers that go away ------------------------------------------------------------------------------------------

def piped(tail, tiny_set):
    line = f'"{sys.executable}" data.py "{tiny_set}" "{tiny_set}" {tail}'
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("tail", ["| head -1", "| true", "2>&1 | true"])
def test_a_broken_pipe_is_no_traceback_and_does_not_end_the_work(tail, tiny_set):
    ended = piped(tail, tiny_set)
    assert ended.returncode == 0 and ended.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_report_that_cannot_be_printed(tiny_set):
    ended = piped("> /dev/full", tiny_set)
    assert ended.returncode == 2 and "the disk is full" in ended.stderr and "Traceback" not in ended.stderr


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys):
    files.say("a\x1b[31mred\x07.png")
    files.complain("b\x1b]0;title\x07\nc")
    told = capsys.readouterr()
    assert told.out == "a\\x1b[31mred\\x07.png\n" and told.err == "b\\x1b]0;title\\x07 c\n"


# ---- the writer ----------------------------------------------------------------------------------------------------

def test_after_an_error_the_old_file_is_as_it_was_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "a.csv"
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), files.whole(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_gets_the_rights_of_any_new_file(tmp_path):
    files.write_text(tmp_path / "a.csv", "x")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("name", ["plain.png", "two\nlines", 'quoted "', "back\\slash", "Zürich 眼",
                                  os.fsdecode(b"\xff\xe9"), "tab\t", "\\udce9"])
def test_a_name_comes_back_from_a_cell_and_from_json(name, tmp_path):
    cell = files.as_cell(name)
    assert files.from_cell(cell) == name and "\n" not in cell
    cell.encode("utf-8")
    files.write_json(tmp_path / "a.json", {"name": name})
    (tmp_path / "a.json").read_text(encoding="utf-8")
    assert files.read_json(tmp_path / "a.json") == {"name": name}


def test_an_error_of_our_own_keeps_its_traceback():
    def wrong():
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        files.run(wrong)
