"""A model file: stock Keras loads it without this project, and nothing in it is trusted."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from networks import DEPTH, WIDTH, shaken, squares

import checkpoint
from fitting.layers import starting_network, trainable
from model import copy_weights, shape_of, unet
from running.command import Problem

CARD = {"network": {"width": WIDTH, "depth": DEPTH}, "threshold": 0.5}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """(path, network): a model file with its card, and the network that was saved."""
    path = tmp_path_factory.mktemp("kept") / "model.keras"
    network = shaken(trainable(unet(WIDTH, DEPTH)))
    checkpoint.save(network, path)
    path.with_suffix(".json").write_text(json.dumps(CARD))
    return path, network


# ---- there and back ----------------------------------------------------------------------------------------

STRANGER = """
import keras, numpy, sys
model = keras.models.load_model(sys.argv[1], compile=False)
assert model.dtype_policy.name == "float32"
assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
numpy.save(sys.argv[3], model(numpy.load(sys.argv[2])))
"""


def test_stock_keras_loads_the_file_in_a_process_without_this_project(tmp_path):
    plain = unet(WIDTH, DEPTH)
    network = shaken(trainable(plain, "bfloat16"))
    checkpoint.save(network, tmp_path / "model.keras")
    np.save(tmp_path / "in.npy", squares())
    command = [sys.executable, "-I", "-c", STRANGER, "model.keras", "in.npy", "out.npy"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    copy_weights(network, plain)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), plain(squares()), atol=1e-6)


def test_what_is_loaded_is_what_was_saved(kept):
    path, network = kept
    loaded, card = checkpoint.load(path)
    assert card == CARD
    assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}
    np.testing.assert_allclose(loaded(squares()), network(squares()), atol=1e-5)


def test_without_its_card_the_network_alone_can_be_loaded(kept, tmp_path):
    shutil.copy(kept[0], tmp_path)
    loaded = checkpoint.load_network(tmp_path / "model.keras")
    assert shape_of(loaded) == (WIDTH, DEPTH)
    with pytest.raises(Problem, match=r"model\.json: .*missing"):
        checkpoint.load(tmp_path / "model.keras")


def test_the_card_of_another_training_is_refused(kept, tmp_path):
    path, network = kept
    model, card = tmp_path / "model.keras", tmp_path / "model.json"
    shutil.copy(path, model)
    other = shaken(unet(WIDTH, DEPTH), seed=1)
    card.write_text(json.dumps(CARD | {"weights sha256": checkpoint.weights_sum(network)}))
    assert checkpoint.load(model)[1]["threshold"] == 0.5
    checkpoint.save(other, model)
    for takes in (checkpoint.load, lambda init: starting_network(WIDTH, DEPTH, "float32", 0, init)):
        with pytest.raises(Problem, match=r"model\.json: this card is of another model"):
            takes(model)
    card.write_text(json.dumps(CARD | {"weights sha256": checkpoint.weights_sum(other)}))
    assert checkpoint.load(model)[1]["threshold"] == 0.5


def test_a_training_notes_whose_card_it_writes(tiny_training):
    network, card = checkpoint.load(tiny_training / "model.keras")
    assert card["weights sha256"] == checkpoint.weights_sum(network)


def test_a_save_that_fails_leaves_the_model_that_was_there(kept, monkeypatch):
    path, network = kept
    before = path.read_bytes()

    def torn(self, where):
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", torn)
    with pytest.raises(OSError):
        checkpoint.save(network, path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


# ---- files that are not to be trusted ----------------------------------------------------------------------

def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path, change=None, leave_out=(), **replaced):
    """Writes the .keras file again with its configuration changed, or whole members left out or replaced."""
    content = members(path)
    if change:
        config = json.loads(content["config.json"])
        change(config)
        content["config.json"] = json.dumps(config).encode()
    content |= {name.replace("_", "."): data for name, data in replaced.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in content.keys() - set(leave_out):
            archive.writestr(name, content[name])


def layer_of(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == name)


def changed(name, **settings):
    """A harm: other settings of the layer called `name`."""
    return lambda path: rewritten(path, lambda config: layer_of(config, name)["config"].update(settings))


def lambda_layer(path):
    entry = {"class_name": "Lambda", "module": "keras.layers"}
    rewritten(path, lambda config: layer_of(config, "down0_1_relu").update(entry))


def other_inputs(path):
    text = members(path)["config.json"].decode()
    other = text.replace('"keras_history": ["down0_2_relu"', '"keras_history": ["down0_1_relu"')
    assert other != text
    rewritten(path, config_json=other.encode())


def dense(path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)


def swollen_weights(path):
    store = io.BytesIO(members(path)["model.weights.h5"])
    with h5py.File(store, "a") as weights:
        weights.create_dataset("more", (1 << 33,), "float32", chunks=True, compression="gzip")
    rewritten(path, **{"model_weights_h5": store.getvalue()})


def linked_weights(path):
    """A dataset that stands in another file."""
    secret = path.with_name("secret.h5")
    store = io.BytesIO(members(path)["model.weights.h5"])
    with h5py.File(store, "a") as weights, h5py.File(secret, "w") as other:
        name = next(name for name in weights["layers"] if weights["layers"][name].get("vars/0") is not None)
        other["vars"] = weights["layers"][name]["vars/0"][()]
        del weights["layers"][name]["vars/0"]
        weights["layers"][name]["vars"]["0"] = h5py.ExternalLink(str(secret), "vars")
    rewritten(path, **{"model_weights_h5": store.getvalue()})


def weights_of_another_width(path):
    other = path.with_name("other.keras")
    checkpoint.save(unet(WIDTH + 1, DEPTH), other)
    rewritten(path, **{"model_weights_h5": members(other)["model.weights.h5"]})


def not_numbers(path):
    network = unet(WIDTH, DEPTH)
    layer = network.get_layer("bottom_1")
    layer.set_weights([np.full_like(weights, np.nan) for weights in layer.get_weights()])
    network.save(path)


def overwrite(path, start, content):
    data = path.read_bytes()
    path.write_bytes(data[:start] + content + data[start + len(content):])


def folder(path):
    path.unlink()
    path.mkdir()


HOSTILE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("a model"),
    "folder": folder,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3000]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "bytes turned": lambda path: overwrite(path, 20_000, bytes(5_000)),
    "a zip of something": lambda path: zipfile.ZipFile(path, "w").writestr("readme.txt", "hello"),
    "lambda": lambda_layer,
    "gigantic": changed("down0_1", filters=10**12),
    "gigantic later": changed("up0_2", filters=10**9),
    "two channels": changed("probability", filters=2),
    "activation": changed("down0_2_relu", negative_slope=0.1),
    "inputs": other_inputs,
    "dense": dense,
    "config a list": lambda path: rewritten(path, config_json=b"[]"),
    "endless json": lambda path: rewritten(path, config_json=b"[" * 100_000),
    "large json": lambda path: rewritten(path, config_json=b" " * (1 << 23)),
    "swollen weights": swollen_weights,
    "linked weights": linked_weights,
    "weights of another": weights_of_another_width,
    "no weights": lambda path: rewritten(path, leave_out=["model.weights.h5"]),
    "not numbers": not_numbers,
}


@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_damaged_or_hostile_model_is_one_sentence(kept, tmp_path, harm):
    for file in kept[0].parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "model.keras"
    harm(path)
    with pytest.raises(Problem, match=r"model\.keras: .*--model") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 + len(str(path))


def test_a_model_that_is_not_there_is_told_from_a_file_that_is_not_a_model(tmp_path):
    (tmp_path / "m.keras").write_text("text")
    with pytest.raises(Problem, match="m.keras: not a model"):
        checkpoint.load(tmp_path / "m.keras")
    with pytest.raises(Problem, match="gone.keras: there is no such model"):
        checkpoint.load(tmp_path / "gone.keras")


# ---- which model -------------------------------------------------------------------------------------------

def test_the_model_trained_last_goes_before_the_one_that_is_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint.find_model() == checkpoint.SHIPPED
    checkpoint.CHECKPOINT.parent.mkdir()
    checkpoint.CHECKPOINT.touch()
    assert checkpoint.find_model() == checkpoint.CHECKPOINT
    with pytest.raises(Problem, match="mine.keras: there is no such model"):
        checkpoint.find_model("mine.keras")
    Path("mine.keras").touch()
    assert checkpoint.find_model("mine.keras") == Path("mine.keras")


@pytest.mark.parametrize("script, words", [
    ("eval", ("photograph.png",)), ("testing", ()), ("export", ("--format", "onnx"))])
@pytest.mark.parametrize("place", [".", "..", "folder"])
def test_a_folder_in_place_of_a_model_is_one_sentence(script, words, place, refused, tmp_path, monkeypatch):
    """Most ended in a traceback: a name is wanted beside which the card lies."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    (tmp_path / "folder/photograph.png").write_bytes(b"x")
    sentence = refused(script, *words, "--model", tmp_path / place if place == "folder" else place)
    assert f"{place}: is a folder" in sentence and "model.keras" in sentence


def test_a_photograph_that_cannot_be_read_counts_as_not_drawn(monkeypatch, tmp_path):
    """It ended the command, where others could have been segmented."""
    drawn = set(checkpoint.sums())
    card = {"data": {"samples": {"train": {"a": min(drawn)}}}}
    read = checkpoint.sha256

    def closed(path):
        if Path(path).name == "closed.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(checkpoint, "sha256", closed)
    for name in ("closed.png", "other.png"):
        (tmp_path / name).write_bytes(b"x")
        assert "from the drawn samples alone" in checkpoint.caution(card, [tmp_path / name])
    samples = checkpoint.SHIPPED.parents[1] / "samples/test/images"
    assert not checkpoint.caution(card, sorted(samples.iterdir()))


@pytest.mark.parametrize(
    "path", sorted(checkpoint.SHIPPED.parent.glob("*.keras")), ids=lambda path: path.stem)
def test_what_is_shipped_loads_with_its_card_and_is_small(path):
    network, card = checkpoint.load(path)
    assert shape_of(network) == (card["network"]["width"], card["network"]["depth"])
    assert card["tta"]["validation"]["dice"] > 0.79 and "licence" in card
    assert path.stat().st_size < 8 * 2**20
    assert "/" not in "".join(card["recipe"]["augmentation"]["data"]).replace("datasets/", ""), \
        "no path of a machine"
