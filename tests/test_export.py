"""The model in other forms, read back by their own runtimes."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from networks import shaken

import checkpoint
import export
from model import PROBABILITY, unet
from prediction import folded_network
from running.command import Problem

SIDE = 16


@pytest.fixture
def kept(tmp_path):
    """A model file of width 2 and depth 2 with its card."""
    checkpoint.save(shaken(unet(2, 2)), tmp_path / "model.keras")
    card = {"network": {"width": 2, "depth": 2}, "threshold": 0.5}
    (tmp_path / "model.json").write_text(json.dumps(card))
    return tmp_path / "model.keras"


def left(kept):
    return sorted(path.name for path in kept.parent.iterdir())


def forms():
    for form in export.FORMATS:
        missing = [name for name in export.NEEDED.get(form, ()) if not importlib.util.find_spec(name)]
        reason = f"{', '.join(missing)} not installed"
        yield pytest.param(form, marks=pytest.mark.skipif(bool(missing), reason=reason))


# ---- what is written ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", list(forms()))
def test_an_exported_model_gives_the_same_probabilities(kept, form):
    out, difference = export.export(kept, form, side=SIDE)
    assert out.exists() and out.parent == kept.parent and out.suffix == export.FORMATS[form]
    assert difference <= 1e-4
    squares = np.random.default_rng(5).random((3, SIDE, SIDE, 3), dtype=np.float32)
    if form != "litert":  # any number of squares at once; LiteRT would need to be told
        expected = checkpoint.load(kept)[0](squares)
        np.testing.assert_allclose(export.exported(form, out)(squares), expected, atol=1e-4)
    assert left(kept) == sorted(["model.json", "model.keras", out.name])


def test_an_export_that_differs_is_not_kept(kept, monkeypatch):
    folded = folded_network.folded

    def wrong(network):
        twin = folded(network)
        kernel, bias = twin.get_layer(PROBABILITY).get_weights()
        twin.get_layer(PROBABILITY).set_weights([kernel, bias + 0.01])
        return twin

    monkeypatch.setattr(folded_network, "folded", wrong)
    for form in ("savedmodel", "litert"):
        with pytest.raises(Problem, match="differ"):
            export.export(kept, form, side=SIDE)
    assert left(kept) == ["model.json", "model.keras"]


# ---- what is refused ---------------------------------------------------------------------------------------

def test_what_is_missing_for_onnx_is_said_with_how_to_get_it(kept, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="tf2onnx, onnx, onnxruntime: pip install -r requirements-export.txt"):
        export.export(kept, "onnx", side=SIDE)


@pytest.mark.parametrize("form, out, side, sentence", [
    ("litert", None, 18, "multiple of 4"), ("litert", None, 0, "multiple of 4"),
    ("litert", "a.onnx", SIDE, r"\.tflite"), ("savedmodel", "a.pb", SIDE, "folder"),
    ("savedmodel", "taken", SIDE, "exists already")])
def test_an_export_that_cannot_be_is_one_sentence(kept, form, out, side, sentence):
    (kept.parent / "taken").mkdir()
    with pytest.raises(Problem, match=sentence):
        export.export(kept, form, out and kept.parent / out, side)


@pytest.mark.parametrize("form", export.FORMATS)
@pytest.mark.parametrize("make", [
    lambda path: path.write_text("years"), lambda path: path.mkdir(), lambda path: path.symlink_to("gone")])
def test_what_is_there_already_is_not_replaced_whatever_it_is(kept, form, make, monkeypatch, everything):
    """LiteRT and ONNX replaced it in silence, a SavedModel did not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    out = kept.parent / f"thesis{export.FORMATS[form]}"
    make(out)
    before, names = everything(kept.parent), left(kept)
    with pytest.raises(Problem, match=f"{out.name}: exists already"):
        export.export(kept, form, out, side=SIDE)
    assert everything(kept.parent) == before and left(kept) == names


# ---- the command -------------------------------------------------------------------------------------------

def test_the_command_says_what_came_out(command, kept):
    ended = command("export", "--format", "savedmodel", "--model", kept, "--side", 16)
    assert ended.code == 0, ended.err
    assert f"{kept} -> {kept.with_name('model_savedmodel')}: " in ended.out and "(N, 16, 16, 3)" in ended.out
    again = command("export", "--format", "savedmodel", "--model", kept, "--side", 16)
    assert again.code == 2 and "exists already" in again.err


@pytest.mark.parametrize("form", list(forms()))
def test_the_command_over_its_own_result_refuses_in_every_form(command, kept, form, everything):
    words = "--format", form, "--model", kept, "--side", 16
    assert command("export", *words).code == 0
    before = everything(kept.parent)
    again = command("export", *words)
    assert again.code == 2 and "exists already" in again.err and everything(kept.parent) == before


def test_without_a_format_the_choices_are_named(command):
    ended = command("export")
    assert ended.code == 2 and all(form in ended.err for form in ("savedmodel", "onnx", "litert"))


def test_help_does_not_wait_for_tensorflow():
    command = [sys.executable, "-X", "importtime", export.__file__, "--help"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0 and "--format" in ended.stdout
    assert "tensorflow" not in ended.stderr.replace("tensorflow_start", "")
