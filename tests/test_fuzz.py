"""A tenth of the fuzz run (fuzz.py), and that it sees what it is there to see."""

import os
import signal

import fuzz
import pytest
from conftest import linux_only


@linux_only
def test_two_thousand_mutated_files_are_read_or_refused():
    seen, bad = fuzz.fuzz(2000, workers=2)
    assert not bad, "\n".join(f"--only {number}: {outcome}" for number, outcome in sorted(bad.items()))
    assert seen["read"] + seen["refused"] == 2000 and seen["read"] > 200, seen


@linux_only
def test_real_files_are_mutated_too(shared):
    seen, bad = fuzz.fuzz(60, seed=7, folder=str(shared), workers=2)
    assert not bad and sum(seen.values()) == 60


def test_a_mutation_is_a_function_of_seed_and_number():
    first = [fuzz.mutated(0, number, None) for number in range(30)]
    assert first == [fuzz.mutated(0, number, None) for number in range(30)]
    assert len({content for _, _, content in first}) == 30
    assert first != [fuzz.mutated(1, number, None) for number in range(30)]


@pytest.mark.parametrize("reader, word", [(lambda path: 1 / 0, "ZeroDivisionError"),
                                          (lambda path: bytearray(1 << 60), "MemoryError")])
def test_an_undocumented_error_is_seen(monkeypatch, tmp_path, reader, word):
    monkeypatch.setattr(fuzz, "read_photograph", reader)
    assert word in fuzz.judged("photograph", tmp_path / "a.png")


def test_a_file_that_takes_long_is_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz, "read_photograph", lambda path: sum(range(10**6)))
    monkeypatch.setattr(fuzz, "SECONDS", 1e-4)
    assert fuzz.judged("photograph", tmp_path / "a.png").startswith("took")


@linux_only
def test_a_worker_that_dies_costs_its_file_only(monkeypatch):
    """Workers are other processes, so a death is made by a limit that they cannot live under."""
    monkeypatch.setattr(fuzz, "work", dying)
    seen = []
    fuzz.watched(range(0, 12, 3), 0, None, lambda number, outcome: seen.append((number, outcome)))
    assert [number for number, _ in seen] == [0, 3, 6, 9]
    assert [outcome for _, outcome in seen] == ["read", "read", "crashed with exit code -11", "read"]


def dying(numbers, seed, folder, connection):
    for number in numbers:
        connection.send((number, None))
        if number == 6:
            os.kill(os.getpid(), signal.SIGSEGV)
        connection.send((number, "read"))
