"""A tenth of the kills of kills.py, and that it sees what it is there to see."""

import subprocess
import sys

import kills
import pytest
from conftest import ROOT, linux_only


@linux_only
@pytest.mark.slow
def test_ten_kills_break_nothing_and_every_second_try_finishes():
    """A process of its own: one that has used TensorFlow cannot be forked."""
    ended = subprocess.run([sys.executable, ROOT / "tests/kills.py", "--count", "10", "--seed", "1"],
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["a.png", "a.json", "a.csv", "a.keras", "a.npz", "a.html"])
def test_half_a_file_is_seen(name, tmp_path, tiny_pairs, tiny_training):
    from report import page

    sound = {"a.png": next(tiny_pairs.glob("train/images/*.png")), "a.json": tiny_training / "model.json",
             "a.csv": tiny_pairs / "manifest.csv", "a.keras": tiny_training / "model.keras",
             "a.npz": tiny_training / "state/training.npz"}
    path = tmp_path / name
    path.write_bytes(sound[name].read_bytes() if name in sound else page.template().encode())
    assert not kills.broken(path)
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 2 // 3])
    assert kills.broken(path)


def test_other_results_are_seen(tiny_training, tmp_path):
    first = kills.results(tiny_training)
    assert kills.difference(first, dict(first)) is None
    assert "history.csv" in kills.difference({**first, "history.csv": b"other"}, first)
    other = {**first["model.json"], "threshold": 0.9}
    assert "model.json" in kills.difference({**first, "model.json": other}, first)
    fewer = {name: part for name, part in first.items() if name != "model.keras"}
    assert "other files" in kills.difference(fewer, first)
