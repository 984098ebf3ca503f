"""The model in other forms, read back by their own runtimes."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import model as models
from files import Problem

SIDE = 16


@pytest.fixture
def kept(tmp_path):
    """A model file of width 2 and depth 2 with its card."""
    network = models.unet(2, 2)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights([w + 0.3 * (w.ndim == 1) * rng.random(w.shape, np.float32) for w in layer.get_weights()])
    models.save(network, tmp_path / "model.keras")
    (tmp_path / "model.json").write_text(json.dumps({"network": {"width": 2, "depth": 2}, "threshold": 0.5}))
    return tmp_path / "model.keras"


def forms():
    for kind in models.FORMATS:
        missing = [name for name in models.NEEDED.get(kind, ()) if not importlib.util.find_spec(name)]
        yield pytest.param(kind, marks=pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed"))


@pytest.mark.parametrize("kind", list(forms()))
def test_an_exported_model_gives_the_same_probabilities(kept, kind):
    out, difference = models.export(kept, kind, side=SIDE)
    assert out.exists() and out.parent == kept.parent and out.suffix == models.FORMATS[kind]
    assert difference <= 1e-4
    photographs = np.random.default_rng(5).random((3, SIDE, SIDE, 3), dtype=np.float32)
    if kind == "savedmodel":  # any number of photographs at once; LiteRT would need to be told
        expected = models.load(kept)[0](photographs)
        np.testing.assert_allclose(models._reader(kind, out)(photographs), expected, atol=1e-4)
    assert sorted(path.name for path in kept.parent.iterdir()) == sorted(["model.json", "model.keras", out.name])


def test_an_export_that_differs_is_not_kept(kept, monkeypatch):
    true = models.fold

    def wrong(model):
        folded = true(model)
        kernel, bias = folded.get_layer(models.PROBABILITY).get_weights()
        folded.get_layer(models.PROBABILITY).set_weights([kernel, bias + 0.01])
        return folded

    monkeypatch.setattr(models, "fold", wrong)
    for kind in ("savedmodel", "litert"):
        with pytest.raises(Problem, match="differ"):
            models.export(kept, kind, side=SIDE)
    assert sorted(path.name for path in kept.parent.iterdir()) == ["model.json", "model.keras"]


def test_what_is_missing_for_onnx_is_said_with_how_to_get_it(kept, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="tf2onnx, onnx, onnxruntime: pip install -r requirements-export.txt"):
        models.export(kept, "onnx", side=SIDE)


@pytest.mark.parametrize("kind, out, side, said", [
    ("litert", None, 18, "multiple of 4"), ("litert", None, 0, "multiple of 4"), ("litert", "a.onnx", SIDE, r"\.tflite"),
    ("savedmodel", "a.pb", SIDE, "folder"), ("savedmodel", "taken", SIDE, "there already")])
def test_an_export_that_cannot_be_is_one_sentence(kept, kind, out, side, said):
    (kept.parent / "taken").mkdir()
    with pytest.raises(Problem, match=said):
        models.export(kept, kind, out and kept.parent / out, side)


def test_the_command_says_what_came_out_and_prints_the_summary(kept, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["model.py", "--export", "savedmodel", "--model", str(kept), "--side", "16"])
    models.main()
    assert f"{kept} -> {kept.with_name('model_savedmodel')}: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["model.py", "--model", str(kept)])
    models.main()
    printed = capsys.readouterr().out
    assert "up0_skip" in printed and "Total params" in printed


def test_help_does_not_wait_for_tensorflow():
    command = [sys.executable, "-X", "importtime", models.__file__, "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "--export" in done.stdout
    assert "tensorflow" not in done.stderr and "numpy" not in done.stderr


def test_the_summary_comes_without_tensorflows_notes():
    plain = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # conftest.py sets it
    done = subprocess.run([sys.executable, models.__file__], env=plain, capture_output=True, text=True, check=True)
    assert "Total params" in done.stdout and done.stderr == ""
