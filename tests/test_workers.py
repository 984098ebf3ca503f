"""Worker processes end with their command, and a worker that the system ends is told."""

import os
import signal
import subprocess
import sys
import time

import kills
import psutil
import pytest
from conftest import ROOT, linux_only


def dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@linux_only
def test_a_worker_that_the_system_ends(short_runs, refused, monkeypatch, tmp_path):
    monkeypatch.setattr("augment.make_pairs", dies)
    assert "--workers" in refused("augment", *short_runs["augment"], "--out", tmp_path / "out")


@linux_only
def test_workers_end_with_a_command_that_is_killed(tiny_set, tmp_path):
    """Only the command is killed: its workers, in its process group, must notice by themselves."""
    words = ("--data", tiny_set, "--out", tmp_path / "out", "--copies", 500, "--workers", 2)
    command = subprocess.Popen([sys.executable, ROOT / "augment.py", *map(str, words)],
                               start_new_session=True, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if len(list(tmp_path.glob("out/train/images/*.png"))) > 3:
            break
        time.sleep(0.1)
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert kills.nobody_left(command.pid)


@linux_only
@pytest.mark.parametrize("working", [False, True])
def test_an_interrupted_command_ends_at_once_with_one_sentence(working, tiny_set, tmp_path):
    """Workers that were just starting printed tracebacks; others did what they had been given, for 30 s."""
    words = ("--data", tiny_set, "--out", tmp_path / "out", "--copies", 500, "--workers", 2)
    command = subprocess.Popen([sys.executable, ROOT / "augment.py", *map(str, words)],
                               start_new_session=True, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # not ignored
    watched = psutil.Process(command.pid)
    for _ in range(6000):
        if list(tmp_path.glob("out/train/images/*.png")) if working else watched.children():
            break
        time.sleep(0.01)
    time.sleep(0.15)
    os.killpg(command.pid, signal.SIGINT)
    began = time.monotonic()
    said = command.communicate(timeout=60)[1].splitlines()
    assert command.returncode == 130 and len(said) == 1 and said[0].startswith("Interrupted."), said
    assert time.monotonic() - began < 3 and kills.nobody_left(command.pid)


@linux_only
def test_a_command_that_ignores_interrupts_as_beside_others_in_a_script_goes_on(tiny_set, tmp_path):
    """Its workers ended, and it said that there was not enough memory."""
    words = ("--data", tiny_set, "--out", tmp_path / "out", "--copies", 20, "--workers", 2)
    ignoring = "import signal, runpy, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); " \
        "sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = subprocess.Popen([sys.executable, "-c", ignoring, ROOT / "augment.py", *map(str, words)],
                               start_new_session=True, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/train/images/*.png")) and command.poll() is None:
        time.sleep(0.01)
    os.killpg(command.pid, signal.SIGINT)
    said = command.communicate(timeout=120)[1]
    assert command.returncode == 0, said
