"""Files that appear whole or not at all, on a full or closed disk too: old results stay as they were."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import hostile
import kills
import numpy as np
import pytest
from conftest import LINUX, ROOT, limited, linux_only

from running import files
from running.again import sweep
from running.command import Problem

COMMANDS = ("augment", "training", "testing", "eval")


# ---- the writer ------------------------------------------------------------------------------------------

def test_after_an_error_the_old_file_is_as_it_was_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "a.csv"
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), files.whole(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


@linux_only
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_file_gets_the_rights_of_any_new_file_whichever_thread_writes_it(mask, tmp_path):
    before = os.umask(mask)
    try:
        threads = [threading.Thread(target=files.write_text, args=(tmp_path / f"{k}.csv", "x"))
                   for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {0o100666 & ~mask}


def test_importing_the_writer_changes_nothing_in_the_process():
    code = ("import cv2, os; before = dict(os.environ); os.umask(0o027); "
            "import running.files, running.again, running.tensorflow_start; "
            "assert dict(os.environ) == before and os.umask(0) == 0o027")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_what_a_killed_run_leaves_does_not_look_like_a_picture_and_is_swept_away(tmp_path):
    picture = tmp_path / "deep" / "a.png"
    with pytest.raises(ZeroDivisionError), files.whole(picture, suffix="") as beside:
        shutil.copy(sys.executable, tmp_path / "deep" / f"{beside.name}0")
        assert beside.name.startswith(".") and beside.suffix == ""
        raise ZeroDivisionError
    assert len(list((tmp_path / "deep").iterdir())) == 1
    sweep(tmp_path)
    assert not list((tmp_path / "deep").iterdir())


@pytest.mark.parametrize("name", ["plain.png", "two\nlines", 'quoted "', "back\\slash", "Zürich 眼",
                                  os.fsdecode(b"\xff\xe9"), "tab\t", "\\udce9"])
def test_a_name_comes_back_from_a_cell_and_from_json(name, tmp_path):
    cell = files.as_cell(name)
    assert files.from_cell(cell) == name and "\n" not in cell
    cell.encode("utf-8")
    files.write_json(tmp_path / "a.json", {"name": name})
    (tmp_path / "a.json").read_text(encoding="utf-8")
    assert files.read_json(tmp_path / "a.json") == {"name": name}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_json_that_cannot_be_read_is_named(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    for name in ("a.json", "gone.json"):
        with pytest.raises(Problem, match=f"{name}: cannot be read as JSON"):
            files.read_json(tmp_path / name)


@pytest.mark.parametrize("shape, kind", [((20, 30), np.uint8), ((20, 30), np.uint16),
                                         ((20, 30, 3), np.uint8)])
def test_a_picture_comes_back_as_it_was(shape, kind, tmp_path):
    picture = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape).astype(kind)
    files.write_png(tmp_path / "Zürich 眼.png", picture)
    flags = cv2.IMREAD_COLOR_RGB if picture.ndim == 3 else cv2.IMREAD_UNCHANGED
    assert np.array_equal(files.read_png(tmp_path / "Zürich 眼.png", flags), picture)


def test_a_picture_that_is_damaged_or_gone_is_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert files.read_png(tmp_path / "a.png", cv2.IMREAD_UNCHANGED) is None
    assert files.read_png(tmp_path / "gone.png", cv2.IMREAD_UNCHANGED) is None


def test_probabilities_are_read_with_all_their_bits(tmp_path):
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "p.png"), levels)
    assert np.array_equal(files.read_levels(tmp_path / "p.png"), levels)
    cv2.imwrite(str(tmp_path / "p8.png"), (levels >> 8).astype(np.uint8))
    with pytest.raises(Problem, match="p8.png: is not a 16-bit"):
        files.read_levels(tmp_path / "p8.png")


def test_a_folder_knows_its_files_by_their_paths(tmp_path):
    folder = files.Folder(tmp_path / "out")
    assert folder.entries() == [] and folder.read("deep/a.txt") is None and not (tmp_path / "out").exists()
    folder.write("deep/a.txt", b"x")
    assert folder.entries() == ["deep"] and folder.read("deep/a.txt") == b"x"
    assert folder.first_there(["b.txt", "deep/a.txt", "deep"]) == "deep/a.txt"
    folder.remove("deep/a.txt")
    folder.remove("deep/a.txt")
    assert folder.first_there(["deep/a.txt"]) is None
    with pytest.raises(Problem, match="is a file, not a folder"):
        files.Folder(__file__).entries()


def test_a_name_that_is_too_long_costs_only_itself(command, tiny_model, tmp_path):
    for name in ("a" * 251, "b"):
        hostile.saved(f"{name}.png", hostile.RGB)(tmp_path)
    ended = command("eval", tmp_path, "--out", tmp_path / "out", "--model", tiny_model)
    assert ended.code == 1 and "too long" in ended.err and (tmp_path / "out/b_mask.png").exists()


@pytest.fixture
def kept(monkeypatch):
    """Makes the system refuse to remove files of these names, as Windows does while they are open."""
    names, unlink = set(), os.unlink

    def refusing(path, **how):
        if os.path.basename(path) in names or names == {"*"}:
            raise PermissionError(13, "used by another process", os.fspath(path))
        unlink(path, **how)

    monkeypatch.setattr(os, "unlink", refusing)
    monkeypatch.setattr(files, "PAUSES", (0,))
    return names


def test_a_file_that_is_open_elsewhere_is_not_removed_and_is_named(kept, tmp_path):
    (tmp_path / "a.png").touch()
    kept.add("a.png")
    with pytest.raises(files.Held, match="a.png: is open in another program"):
        files.Folder(tmp_path).remove("a.png")
    kept.clear()
    for _ in range(2):
        files.Folder(tmp_path).remove("a.png")
    assert not list(tmp_path.iterdir())


def test_a_new_file_that_a_scanner_holds_is_told_and_goes_later(kept, tmp_path, monkeypatch):
    """It cannot be renamed then, nor removed: the second error took the place of the sentence."""
    def refusing(source, target):
        raise PermissionError(13, "used by another process", os.fspath(source))

    kept.add("*")
    with monkeypatch.context() as patch, pytest.raises(files.Held, match="a.png: is open in another program"):
        patch.setattr(os, "replace", refusing)
        files.write_bytes(tmp_path / "a.png", b"x")
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    kept.clear()
    sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sheet_that_is_open_elsewhere_does_not_keep_the_rest_from_being_written(
        kept, command, short_runs, tmp_path):
    out = tmp_path / "out"
    assert command("eval", *short_runs["eval"], "--out", out).code == 0
    hostile.saved("new.png", hostile.RGB)(tmp_path)
    one = ("eval", tmp_path / "new.png", *short_runs["eval"][-2:], "--out", out)
    kept.add("contact_sheet.png")
    ended = command(*one)
    assert ended.code == 1 and "contact_sheet.png: is open in another program" in ended.err, ended.err
    assert "new_overlay.png" in ended.out and "\nnew," in (out / "predictions.csv").read_text("utf-8")
    kept.clear()
    assert command(*one).code == 0 and not (out / "contact_sheet.png").exists()


def test_an_overlay_of_a_replaced_photograph_that_is_open_elsewhere_costs_nothing_else(
        kept, command, draw, tiny_model, tmp_path):
    words = ("eval", tmp_path / "eyes", "--model", tiny_model, "--out", tmp_path / "out")
    for name, seed in (("a", 1), ("b", 2)):
        draw.put(tmp_path / f"eyes/{name}.png", draw.eye(seed)[0])
    assert command(*words).code == 0
    for name, seed in (("a", 3), ("c", 4)):
        draw.put(tmp_path / f"eyes/{name}.png", draw.eye(seed)[0])
    kept.add("a_overlay.png")
    ended = command(*words)
    assert ended.code == 1 and "a_overlay.png: is open in another program" in ended.err, ended.err
    assert "3 photographs are done" in ended.out and (tmp_path / "out/c_overlay.png").exists()
    kept.clear()
    assert command(*words).code == 0


def test_an_overlay_that_is_open_elsewhere_is_named_when_it_is_to_be_overwritten(
        kept, command, refused, short_runs, tmp_path):
    words = ("eval", *short_runs["eval"], "--out", tmp_path / "out", "--overwrite")
    assert command(*words).code == 0
    name = next((tmp_path / "out").glob("*_overlay.png")).name
    kept.add(name)
    assert f"{name}: is open in another program" in refused(*words)
    kept.clear()
    assert command(*words).code == 0


@linux_only
def test_a_path_that_is_too_long_costs_only_itself(command, tiny_model, tmp_path):
    """The command ended there, each time, and never came to the table or the photographs after it."""
    eyes, out = tmp_path / "eyes", tmp_path / "predictions"
    parts = "/".join(["d" * 100] * 40)[:4080 - len(f"{eyes}//a.png")]
    for folder, name in ((eyes / parts, "a.png"), (eyes, "b.png")):
        folder.mkdir(parents=True, exist_ok=True)
        hostile.saved(name, hostile.RGB)(folder)
    ended = command("eval", eyes, "--out", out, "--model", tiny_model)
    assert ended.code == 1 and "too long to be written. Give" in ended.err, ended.err
    assert (out / "b_mask.png").exists() and (out / "predictions.csv").exists()


def test_windows_says_of_a_path_that_is_too_long_that_a_folder_is_missing(tmp_path, monkeypatch):
    def missing(*given, **how):
        raise error

    error = FileNotFoundError(errno.ENOENT, "cannot find the path", str(tmp_path / ".unfinished-01"))
    for module, function in ((Path, "touch"), (os, "replace")):
        with monkeypatch.context() as patch, pytest.raises(Problem, match="a.png: .* too long"):
            patch.setattr(module, function, missing)
            files.write_bytes(tmp_path / "a.png", b"x")
    error = FileNotFoundError(errno.ENOENT, "file name too long", str(tmp_path))
    for number in (3, 206):  # a drive is gone; a folder's name is too long
        error.winerror = number
        with monkeypatch.context() as patch, pytest.raises((FileNotFoundError, Problem)) as raised:
            patch.setattr(Path, "mkdir", missing)
            files.write_bytes(tmp_path / "a.png", b"x")
        assert isinstance(raised.value, Problem) == (number == 206)
    assert not list(tmp_path.iterdir())


# ---- the disk --------------------------------------------------------------------------------------------

def all_sound(folder):
    broken = [path for path in kills.visible(folder) if kills.broken(path)]
    return not broken and not list(folder.rglob(".unfinished-*"))


def again(name):
    return ["--resume"] if name == "training" else []


@linux_only
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("most", [pytest.param(0, marks=pytest.mark.slow), 1500,
                                  pytest.param(40_000, marks=pytest.mark.slow)])
def test_files_that_may_not_grow(name, most, short_runs, refused, command, tmp_path):
    """RLIMIT_FSIZE stands for a disk that is full after so many bytes of a file."""
    out = tmp_path / "out"
    with limited("RLIMIT_FSIZE", most):
        sentence = refused(name, *short_runs[name], "--out", out)
    assert "raise the limit" in sentence
    assert not out.exists() or all_sound(out)
    ended = command(name, *short_runs[name], "--out", out, *again(name))
    assert ended.code == 0 and all_sound(out), ended.err


mounts = pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="mounts a file system on Linux")


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


@mounts
@pytest.mark.parametrize("name, kilobytes", [
    ("augment", 700), pytest.param("training", 40, marks=pytest.mark.slow), ("testing", 60), ("eval", 60)])
def test_a_full_disk(name, kilobytes, short_runs, refused, command, small_disk):
    disk = small_disk(kilobytes)
    assert "the disk is full" in refused(name, *short_runs[name], "--out", disk / "out")
    assert all_sound(disk)
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    ended = command(name, *short_runs[name], "--out", disk / "out", *again(name))
    assert ended.code == 0 and all_sound(disk), ended.err


@mounts
@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_disk(name, short_runs, refused, small_disk):
    disk = small_disk(100)
    (disk / "old.txt").write_text("results of before")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert "read-only" in refused(name, *short_runs[name], "--out", disk / "out")


@linux_only
def test_results_of_before_survive_a_full_disk(command, refused, tiny_set, tiny_model, tmp_path, everything):
    photographs = sorted((tiny_set / "test/images").iterdir())
    out = ("--out", tmp_path / "out", "--model", tiny_model)
    assert command("eval", *photographs[:2], *out).code == 0
    before = everything(tmp_path / "out")
    with limited("RLIMIT_FSIZE", 1500):
        refused("eval", *photographs, *out)
    after = everything(tmp_path / "out")
    assert {name for name in before if after[name] != before[name]} <= {"run.json"}
    assert command("eval", *photographs, *out).code == 0


# ---- rights ----------------------------------------------------------------------------------------------

@pytest.fixture
def humbly():
    """Starts a script as somebody for whom rights of files count: not root, or root without its powers."""
    before = []
    if not LINUX:
        pytest.skip("folders have other rights here")
    if os.geteuid() == 0:
        before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        if not shutil.which("setpriv") \
                or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root may do everything here")

    def calling(*words):
        return subprocess.run([*before, sys.executable, *map(str, words)], cwd=ROOT, capture_output=True,
                              text=True, check=False)

    return calling


def one_sentence(ended):
    assert ended.returncode == 2 and "Traceback" not in ended.stderr, ended
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@contextlib.contextmanager
def closed(folder):
    folder.chmod(0)
    try:
        yield
    finally:
        folder.chmod(0o755)


def test_a_folder_that_must_not_be_written(humbly, tiny_set, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    words = ("--data", tiny_set, "--out", tmp_path / "locked/out", "--copies", 1, "--workers", 1)
    sentence = one_sentence(humbly("augment.py", *words))
    assert "access is not allowed" in sentence and str(tmp_path / "locked") in sentence


def test_a_place_that_cannot_be_written_is_named_as_the_user_knows_it(humbly, tmp_path):
    """It was called .unfinished-..., with the advice to give an --out, which data.py does not have."""
    (tmp_path / "locked").mkdir(mode=0o555)
    sentence = one_sentence(humbly("data.py", "samples", "--picture", tmp_path / "locked/found.png"))
    assert sentence.startswith(f"{tmp_path / 'locked/found.png'}: access is not allowed")
    assert "--out" not in sentence


def test_an_error_of_the_system_names_the_file_that_was_to_be_written(tmp_path):
    for name in (None, str(tmp_path / ".unfinished-01.png")):
        with pytest.raises(OSError) as error, files.told_as(tmp_path / "a.png"):
            raise OSError(errno.ENOSPC, "full", name)
        assert error.value.filename == str(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError) as error, files.whole(tmp_path / "a.png"):
        (tmp_path / "gone").read_bytes()
    assert error.value.filename == tmp_path / "gone" or error.value.filename == str(tmp_path / "gone")


def test_a_file_that_must_not_be_read(humbly, draw, tmp_path):
    folder = draw.plain(tmp_path / "set")
    (folder / "train/images/eye1.png").chmod(0)
    ended = humbly("data.py", folder)
    assert ended.returncode == 1 and "eye1.png: cannot be read (Permission denied). Give yourself the " \
        "right to read it, or leave it out." in ended.stderr
    sentence = one_sentence(humbly("augment.py", "--data", folder, "--out", tmp_path / "p"))
    assert "eye1.png: cannot be read" in sentence


def test_a_folder_that_must_not_be_read(humbly, draw, tiny_model, tmp_path):
    folder = draw.plain(tmp_path / "set", train=1, test=1)
    out = ("--out", tmp_path / "out", "--model", tiny_model)
    with closed(folder / "train/images"):
        ended = humbly("eval.py", folder / "test/images", folder / "train", folder / "train/images/eye0.png",
                       *out)
        assert "train" in one_sentence(humbly("data.py", folder))
        alone = one_sentence(humbly("eval.py", folder / "train/images", *out))
        assert "train" in one_sentence(humbly("eval.py", folder / "test/images", "--masks", folder / "train",
                                              "--out", tmp_path / "m"))
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    for sentence in (alone, *filter(lambda line: "train/images" in line, ended.stderr.splitlines())):
        assert "cannot be read (Permission denied). Give yourself the right" in sentence
    for place in ("train/images", "train/images/eye0.png"):
        assert f"not done: {folder / place}: cannot" in ended.stderr
    assert (tmp_path / "out/eye1_mask.png").exists()


def test_rows_have_every_key_and_empty_cells_for_what_is_not_a_number():
    rows = [{"a": 1, "b": float("nan")}, {"a": "x, y", "c": 0.5}]
    assert files.as_csv(rows) == 'a,b,c\n1,,\n"x, y",,0.5\n'
