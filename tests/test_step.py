"""What a step of the fit sees: chosen for the machine where a run begins, and kept wherever it goes on."""

import shutil

import pytest
from conftest import SMALL

import training
from fitting import step
from running.command import Problem
from running.files import read_json, write_json

OTHER = {"batch": 3, "crop": 512}


@pytest.mark.parametrize("flags, gpu, chosen", [
    ((), False, step.STEP), (("avx2", "avx512_bf16"), False, step.STEP),
    (("avx512_bf16", "amx_bf16"), False, step.WITH_AMX), (("amx_bf16",), True, step.STEP)])
def test_the_choice_depends_on_nothing_but_the_machine(flags, gpu, chosen):
    assert step.step_for(set(flags), gpu) == chosen


def on(monkeypatch, suited):
    monkeypatch.setattr(step, "step_here", lambda: suited)


@pytest.fixture
def begin(command, tiny_pairs, tmp_path, monkeypatch):
    """Begins a training as on a machine that a step suits, and stops before the fit; (settings, said)."""
    def stop(*_):
        raise Problem("Stopped.")

    def beginning(suited, *words):
        monkeypatch.setattr(training, "watchers", stop)
        on(monkeypatch, suited)
        ended = command("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", *SMALL, *words)
        settings = read_json(tmp_path / "c/run.json")["settings"]
        return {key: settings[key] for key in step.STEP}, ended.out + ended.err

    return beginning


def test_what_was_chosen_is_said_and_what_flags_say_is_not(begin):
    settings, said = begin(OTHER)
    assert settings == OTHER
    assert "Chosen for the machine on which the run began: --batch 3 --crop 512\n" in said
    settings, said = begin(OTHER, "--overwrite", "--batch", 1)
    assert settings == {"batch": 1, "crop": 512} and "began: --crop 512\n" in said
    settings, said = begin(OTHER, "--overwrite", "--batch", 1, "--crop", 256)
    assert settings == {"batch": 1, "crop": 256} and "Chosen" not in said


def test_a_run_goes_on_with_what_it_began_with_on_a_machine_of_another_kind(begin):
    begin(OTHER)
    settings, said = begin(step.STEP)
    assert settings == OTHER and "Go on with --resume" in said
    settings, said = begin(step.STEP, "--resume")
    assert settings == OTHER and "Stopped." in said and "began: --batch 3 --crop 512\n" in said
    assert "Stopped." in begin(step.STEP, "--resume", "--batch", 3)[1]
    assert begin(step.STEP, "--overwrite")[0] == step.STEP


def test_a_run_of_an_earlier_version_goes_on_too(begin, tmp_path):
    begin(OTHER)
    run = read_json(tmp_path / "c/run.json")
    del run["chosen"]
    write_json(tmp_path / "c/run.json", run)
    assert "Stopped." in begin(step.STEP, "--resume")[1]


def test_what_flags_said_is_a_setting_like_the_others(begin):
    begin(step.STEP, "--batch", 5)
    settings, said = begin(step.STEP, "--resume")
    assert settings["batch"] == 5 and "batch: 5 before, 2 now" in said
    assert "crop: 256 before, 512 now" in begin(step.STEP, "--resume", "--batch", 5, "--crop", 512)[1]


def test_a_finished_run_is_finished_on_a_machine_of_another_kind(
        command, tiny_training, tiny_pairs, tmp_path, monkeypatch, everything):
    shutil.copytree(tiny_training, tmp_path / "c")
    before = everything(tmp_path / "c")
    on(monkeypatch, OTHER)
    ended = command("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", "--epochs", 2, "--batch", 2,
                    *SMALL)
    assert ended.code == 0 and "is finished" in ended.out and "Chosen" not in ended.out
    assert everything(tmp_path / "c") == before
    assert read_json(tmp_path / "c/model.json")["recipe"]["crop"] == read_json(
        tmp_path / "c/run.json")["chosen"]["crop"] == step.STEP["crop"]
