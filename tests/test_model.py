"""The network against Keras's own layers, and its file against a process that knows nothing of this project."""

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import model as models
from files import Problem
from fitting import fused

WIDTH, DEPTH = 4, 2
CARD = {"network": {"width": WIDTH, "depth": DEPTH}, "threshold": 0.5}


def shaken(network, seed=0):
    """The network with every weight and statistic away from its initial value, so that none can be forgotten."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        layer.set_weights([w + 0.3 * (w.ndim == 1) * rng.random(w.shape, np.float32) for w in layer.get_weights()])
    return network


def pictures(count=2, height=32, width=48, seed=1):
    return np.random.default_rng(seed).random((count, height, width, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """(path, network): a model file with its card, and the network that was saved."""
    path = tmp_path_factory.mktemp("kept") / "model.keras"
    network = shaken(models.network(WIDTH, DEPTH))
    models.save(network, path)
    path.with_suffix(".json").write_text(json.dumps(CARD))
    return path, network


def test_the_default_network_has_the_size_that_the_documentation_says():
    network = models.unet()
    assert (network.count_params(), models.shape_of(network)) == (1_945_281, (16, 4))
    assert network.output_shape == (None, None, None, 1)


@pytest.mark.parametrize("height, width", [(4, 4), (12, 20), (36, 8)])
def test_any_side_that_two_to_the_depth_divides(height, width):
    output = np.asarray(models.unet(WIDTH, DEPTH)(pictures(1, height, width)))
    assert output.shape == (1, height, width, 1) and output.min() >= 0 and output.max() <= 1


@pytest.mark.parametrize("width, depth", [(0, 4), (16, 0), (16, 9), (1024, 4), (-2, 2)])
def test_a_network_that_cannot_be_is_refused(width, depth):
    with pytest.raises(Problem, match=f"width {width} and depth {depth}"):
        models.unet(width, depth)


def test_probabilities_are_float32_and_finer_than_bfloat16():
    output = models.network(WIDTH, DEPTH, "bfloat16")(pictures(1))
    assert output.dtype == tf.float32
    assert not np.array_equal(output, tf.cast(tf.cast(output, tf.bfloat16), tf.float32))


def trained(network, steps=3):
    network.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    reference = (pictures(4, seed=3)[..., :1] > 0.6).astype("float32")
    for _ in range(steps):
        network.train_on_batch(pictures(4, seed=2), reference)
    return network


@pytest.fixture(params=["whole", "by products", "in strips"])
def way(request, monkeypatch):
    """How gradients of kernels are computed."""
    monkeypatch.setattr(fused, "AVX2_ALONE", request.param == "by products")
    if request.param == "in strips":
        monkeypatch.setattr(fused, "_strips", lambda inputs: 4 if inputs.shape[1] % 8 == 0 else 1)
    return request.param


def test_training_the_fused_network_is_training_the_stock_one(way):
    keras.utils.set_random_seed(0)
    stock, ours = shaken(models.unet(WIDTH, DEPTH)), models.network(WIDTH, DEPTH)
    models.copy_weights(stock, ours)
    trained(stock), trained(ours)
    for one, other in zip(stock.weights, ours.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=one.path)
    np.testing.assert_allclose(stock(pictures()), ours(pictures()), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_fused_normalization_is_keras_normalization(training):
    inputs = tf.constant(np.random.default_rng(0).normal(2, 3, (3, 7, 5, 6)).astype("float32"))
    weight = np.random.default_rng(1).random((3, 7, 5, 6)).astype("float32")
    results = []
    for kind in (keras.layers.BatchNormalization, fused.BatchNormalization):
        layer = kind(momentum=0.8)
        layer.build(inputs.shape)
        layer.set_weights([np.random.default_rng(2).random(6) + 0.5 for _ in range(4)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients, *layer.get_weights()])
    for stock, ours in zip(*results, strict=True):
        np.testing.assert_allclose(stock, ours, rtol=1e-5, atol=1e-5)


def gradients(layer, inputs, weight):
    """(outputs, gradient by the inputs, gradients by the layer's weights) of sum(outputs * weight)."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * weight)
    return outputs, *tape.gradient(loss, [inputs, *[variable.value for variable in layer.trainable_variables]])


def test_the_gradient_of_relu_is_keras_gradient():
    inputs = tf.cast(np.random.default_rng(0).normal(size=(2, 8, 8, 4)), "bfloat16")
    inputs = tf.where(tf.abs(inputs) < 0.2, tf.zeros_like(inputs), inputs)
    weight = np.random.default_rng(1).normal(size=(2, 8, 8, 4)).astype("float32")
    for run in (gradients, tf.function(gradients)):
        for one, other in zip(run(fused.ReLU(dtype="bfloat16"), inputs, weight),
                              run(keras.layers.ReLU(dtype="bfloat16"), inputs, weight), strict=True):
            assert one.dtype == other.dtype == tf.bfloat16 and np.array_equal(one, other)


def test_the_last_layer_gives_keras_values_and_gradients_to_the_precision_of_bfloat16():
    inputs = tf.cast(np.random.default_rng(0).normal(size=(2, 8, 8, 4)), "bfloat16")
    weight = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype("float32")
    results = []
    for kind in (fused.Conv2D, keras.layers.Conv2D):
        layer = kind(1, 1, activation="sigmoid", dtype="float32")
        layer.build(inputs.shape)
        layer.set_weights([np.full((1, 1, 4, 1), 0.3), np.full(1, 0.1)])
        results.append(gradients(layer, inputs, weight))
    (ours, *our_gradients), (stock, *stock_gradients) = results
    assert ours.dtype == tf.float32 and np.array_equal(ours, stock)
    for one, other in zip(our_gradients, stock_gradients, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(tf.cast(one, "float32"), tf.cast(other, "float32"), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("rows", [7, 8])
def test_a_kernels_gradient_is_keras_gradient(way, rows):
    inputs = tf.constant(np.random.default_rng(0).normal(size=(2, rows, 10, 16)).astype("float32"))
    weight = np.random.default_rng(1).normal(size=(2, rows, 10, 32)).astype("float32")
    results = []
    for kind in (fused.Conv2D, keras.layers.Conv2D):
        layer = kind(32, 3, padding="same", use_bias=False)
        layer.build(inputs.shape)
        layer.set_weights([np.random.default_rng(2).normal(size=(3, 3, 16, 32))])
        results.append(tf.function(gradients)(layer, inputs, weight))
        assert fused._by_products(layer.kernel) == (way == "by products")
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_only_large_photographs_in_bfloat16_are_cut_in_strips():
    for shape, precision, strips in [((1, 512, 512, 16), "bfloat16", 4), ((4, 512, 512, 16), "bfloat16", 4),
                                     ((1, 256, 256, 16), "bfloat16", 1), ((1, 510, 512, 16), "bfloat16", 1),
                                     ((1, 512, 512, 16), "float32", 1), ((None, None, None, 16), "bfloat16", 1)]:
        assert fused._strips(keras.KerasTensor(shape, precision)) == strips


def test_bfloat16_stays_close_to_float32():
    network = shaken(models.unet(WIDTH, DEPTH))
    half = models.network(WIDTH, DEPTH, "bfloat16")
    models.copy_weights(network, half)
    difference = np.abs(np.asarray(network(pictures())) - np.asarray(half(pictures())))
    assert 0 < difference.max() < 0.05


def test_folding_keeps_the_probabilities():
    network = shaken(models.unet(WIDTH, DEPTH))
    folded = models.fold(network)
    assert not any("Normalization" in type(layer).__name__ for layer in folded.layers)
    assert np.asarray(network(pictures())).std() > 0.01
    np.testing.assert_allclose(network(pictures()), folded(pictures()), atol=1e-5)
    np.testing.assert_allclose(network(pictures()), models.fold(network, "bfloat16")(pictures()), atol=0.05)


def cpu(monkeypatch, text):
    monkeypatch.setattr(models, "_gpu_capabilities", lambda: [])
    monkeypatch.setattr(Path, "read_text", lambda self, *rest: text)


@pytest.mark.parametrize("flags, precision", [
    ("fpu avx512f avx512_bf16 amx_tile", "bfloat16"), ("fpu amx_bf16", "bfloat16"), ("fpu avx2 avx512f", "float32")])
def test_bfloat16_only_where_the_processor_computes_in_it(monkeypatch, flags, precision):
    cpu(monkeypatch, f"processor\t: 0\nmodel name\t: made up\nflags\t\t: {flags}\nbogomips\t: 1\n")
    assert models.hardware_precision("auto") == precision
    assert models.hardware_precision("float32") == "float32"
    assert models.hardware_precision("bfloat16") == "bfloat16"


def test_an_unknown_processor_computes_in_float32(monkeypatch):
    cpu(monkeypatch, "Features : fp asimd\n")
    assert models.hardware_precision() == "float32"


@pytest.mark.parametrize("capability, precision", [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_bfloat16_only_where_the_gpu_computes_in_it(monkeypatch, capability, precision):
    monkeypatch.setattr(models, "_gpu_capabilities", lambda: [(9, 0), capability])
    assert models.hardware_precision() == precision


CONVOLUTION = "import files, tensorflow as tf; tf.nn.conv2d(tf.ones((1, 64, 64, 16)), tf.ones((3, 3, 16, 16)), 1, 'SAME')"


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="oneDNN is for these processors")
@pytest.mark.parametrize("wish, used", [({}, True), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, False)])
def test_the_fast_convolutions_are_used_on_every_processor_unless_the_user_turns_them_off(wish, used):
    others = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    ended = subprocess.run([sys.executable, "-c", CONVOLUTION], cwd=models.SHIPPED.parent.parent, capture_output=True, text=True,
                           env={**others, "ONEDNN_VERBOSE": "1", **wish}, check=True)
    assert (",cpu,convolution," in ended.stdout) == used


STARTED = """
import gc, sys, files
files.start_tensorflow()
print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)
print(not {"pandas", "sklearn", "matplotlib"} & set(sys.modules))
import matplotlib.pyplot, pandas, sklearn.metrics
"""


def test_importing_tensorflow_leaves_the_garbage_collector_on_and_brings_nothing_that_is_not_used():
    command = [sys.executable, "-c", STARTED]
    ended = subprocess.run(command, cwd=models.SHIPPED.parent.parent, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True"] * 4


STRANGER = """
import keras, numpy, sys
model = keras.models.load_model(sys.argv[1], compile=False)
assert model.dtype_policy.name == "float32"
assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
numpy.save(sys.argv[3], model(numpy.load(sys.argv[2])))
"""


def test_stock_keras_loads_the_file_in_a_process_without_this_project(tmp_path):
    network = shaken(models.network(WIDTH, DEPTH, "bfloat16"))
    models.save(network, tmp_path / "model.keras")
    np.save(tmp_path / "in.npy", pictures())
    command = [sys.executable, "-I", "-c", STRANGER, "model.keras", "in.npy", "out.npy"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    same = models.unet(WIDTH, DEPTH)
    models.copy_weights(network, same)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), same(pictures()), atol=1e-6)


def test_what_is_loaded_is_what_was_saved(kept):
    path, network = kept
    loaded, card = models.load(path)
    assert card == CARD
    assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}
    np.testing.assert_allclose(loaded(pictures()), network(pictures()), atol=1e-5)


def test_a_save_that_fails_leaves_the_model_that_was_there(kept, monkeypatch):
    path, network = kept
    before = path.read_bytes()

    def torn(self, where):
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", torn)
    with pytest.raises(OSError):
        models.save(network, path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


def rewritten(path, change=None, **members):
    """The .keras file with its configuration changed, or whole members replaced."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if change:
        config = json.loads(content["config.json"])
        change(config)
        content["config.json"] = json.dumps(config).encode()
    content |= {name.replace("_", "."): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def layer(config, name):
    return next(entry for entry in config["config"]["layers"] if entry["config"]["name"] == name)


def lambda_layer(path):
    def change(config):
        layer(config, "down0_1_relu").update(class_name="Lambda", module="keras.layers")
    rewritten(path, change)


def gigantic(path):
    rewritten(path, lambda config: layer(config, "down0_1")["config"].update(filters=10**12))


def gigantic_but_plausible(path):
    rewritten(path, lambda config: layer(config, "up0_2")["config"].update(filters=10**9))


def two_channels(path):
    rewritten(path, lambda config: layer(config, "probability")["config"].update(filters=2))


def other_activation(path):
    rewritten(path, lambda config: layer(config, "down0_2_relu")["config"].update(negative_slope=0.1))


def other_inputs(path):
    text = zipfile.ZipFile(path).read("config.json").decode()
    other = text.replace('"keras_history": ["down0_2_relu"', '"keras_history": ["down0_1_relu"')
    assert other != text
    rewritten(path, config_json=other.encode())


def dense(path):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.save(path)


def endless_json(path):
    rewritten(path, config_json=b"[" * 100_000)


def large_json(path):
    rewritten(path, config_json=b" " * (1 << 23))


def swollen_weights(path):
    import h5py

    with zipfile.ZipFile(path) as archive:
        store = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(store, "a") as weights:
        weights.create_dataset("more", (1 << 33,), "float32", chunks=True, compression="gzip")
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", store.getvalue())


def weights_of_another_width(path):
    other = path.with_name("other.keras")
    models.save(models.unet(WIDTH + 1, DEPTH), other)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(other) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)


def no_weights(path):
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)


def not_numbers(path):
    network = models.unet(WIDTH, DEPTH)
    layer = network.get_layer("bottom_1")
    layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
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
    "gigantic": gigantic,
    "gigantic later": gigantic_but_plausible,
    "two channels": two_channels,
    "activation": other_activation,
    "inputs": other_inputs,
    "dense": dense,
    "config a list": lambda path: rewritten(path, config_json=b"[]"),
    "endless json": endless_json,
    "large json": large_json,
    "swollen weights": swollen_weights,
    "weights of another": weights_of_another_width,
    "no weights": no_weights,
    "not numbers": not_numbers,
}


@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_damaged_or_hostile_model_is_one_sentence(kept, tmp_path, harm):
    for file in kept[0].parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "model.keras"
    harm(path)
    with pytest.raises(Problem, match=r"model\.keras: .*--model") as caught:
        models.load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 + len(str(path))


@pytest.mark.parametrize("card, said", [
    ({**CARD, "network": {"width": 5, "depth": DEPTH}}, "another model"), ({**CARD, "network": None}, "another model"),
    ([], "another model"), ({**CARD, "threshold": 1.5}, "threshold"), ({**CARD, "threshold": "high"}, "threshold"),
    ({**CARD, "threshold": float("nan")}, "threshold"), ({"network": CARD["network"]}, "threshold"), (None, "missing")])
def test_a_card_that_contradicts_its_model_is_refused(kept, tmp_path, card, said):
    shutil.copy(kept[0], tmp_path)
    if card is not None:
        (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(Problem, match=rf"model\.json: .*{said}"):
        models.load(tmp_path / "model.keras")


def test_the_model_trained_last_goes_before_the_one_that_comes_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert models.find_model() == models.SHIPPED
    models.CHECKPOINT.parent.mkdir()
    models.CHECKPOINT.touch()
    assert models.find_model() == models.CHECKPOINT
    assert models.find_model("mine.keras") == Path("mine.keras")


@pytest.mark.parametrize("path", sorted(models.SHIPPED.parent.glob("*.keras")), ids=lambda path: path.stem)
def test_what_is_shipped_loads_with_its_card_and_is_small(path):
    network, card = models.load(path)
    assert models.shape_of(network) == (card["network"]["width"], card["network"]["depth"])
    assert card["tta"]["validation"]["dice"] > 0.8 and "licence" in card
    assert path.stat().st_size < 8 * 2**20
    assert "/" not in "".join(card["recipe"]["augmentation"]["data"]).replace("datasets/", ""), "no path of a machine"
