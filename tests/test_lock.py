"""Two commands never write to one folder at once."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from running import lock
from running.again import same_as_before
from running.command import Problem, at_the_end, run

HOLDING = """
import sys
from running.lock import hold
hold(sys.argv[1])
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(lock.tempfile, "tempdir", str(tmp_path))
    yield tmp_path / "out"
    at_the_end.close()


@pytest.fixture
def other(out):
    """A process that holds `out`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING, out], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True)
    assert process.stdout.readline() == "holds\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_process_is_refused_until_the_first_has_ended(out, other):
    with pytest.raises(Problem, match=f"process {other.pid}.* writes to it"):
        same_as_before(out, {}, False)
    with pytest.raises(Problem, match="writes to it"):
        same_as_before(out, {}, True)
    same_as_before(out.parent / "another", {}, False)
    other.communicate("")
    assert same_as_before(out, {}, False) == "new"


def test_the_lock_of_a_killed_process_does_not_count(out, other):
    other.kill()
    other.wait()
    assert lock.lock_of(out).exists()
    assert same_as_before(out, {}, False) == "new"


@pytest.mark.parametrize("left", ["", "[]", "{}", '{"pid": 1, "began": 1}',
                                  json.dumps({"pid": os.getpid(), "began": 1})])
def test_the_lock_of_a_process_whose_number_another_one_has_does_not_count(out, left):
    lock.lock_of(out).write_text(left)
    assert same_as_before(out, {}, False) == "new"


def test_a_command_leaves_no_lock_and_may_ask_twice(out):
    def command():
        same_as_before(out, {}, False)
        same_as_before(out, {}, False)
        assert lock.lock_of(out).exists()

    assert run(command) == 0 and not lock.lock_of(out).exists() and not out.exists()


@pytest.mark.parametrize("found", ["", '{"pid": 1, "began": 1}'])
def test_a_lock_that_another_process_is_just_writing_is_its_own(found, out, other, monkeypatch):
    """It is empty for a moment, or a dead one that is replaced: of many at once two held the folder."""
    place = lock.lock_of(out)
    whole = place.read_text()
    place.write_text(found)
    monkeypatch.setattr(lock.time, "sleep", lambda _: place.write_text(whole))
    with pytest.raises(Problem, match=f"process {other.pid}.* writes to it"):
        lock.hold(out)
    assert place.read_text() == whole
    other.communicate("")
    assert not place.exists()
    lock.hold(out)


def test_a_dead_lock_of_another_user_that_cannot_be_removed_does_not_count(out, monkeypatch):
    def refusing(*_, **__):
        raise PermissionError(13, "Operation not permitted")

    lock.lock_of(out).write_text('{"pid": 1, "began": 1}')
    for change in ("unlink", "write_text"):
        monkeypatch.setattr(lock.Path, change, refusing)
    assert same_as_before(out, {}, False) == "new"
