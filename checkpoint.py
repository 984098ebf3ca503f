"""A model file: written whole as stock Keras layers, found, and read without trusting it.

    network, card = load(find_model(options.model))
"""

import contextlib
import hashlib
import io
import json
import re
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from card import WEIGHTS, Card, shas_of
from model import copy_weights, shape_of, unet
from running.command import Problem
from running.files import sha256, whole
from samples import sums

CHECKPOINT, SHIPPED = Path("checkpoints/model.keras"), Path(__file__).parent / "weights" / "vessels.keras"
LEAST_DICE = 0.5  # on validation photographs; below it a training has failed
MOST_OVERHEAD = 1 << 22  # bytes of a configuration, or of what stands around the weights

# What decides a layer's arithmetic, besides its class and its inputs
SETTINGS = ("filters", "kernel_size", "strides", "padding", "pool_size", "dilation_rate", "groups",
            "use_bias", "activation", "axis", "epsilon", "center", "scale", "max_value", "negative_slope",
            "threshold", "data_format")


def save(network, path):
    """Writes a network in float32 as a file that stock Keras loads without this project."""
    portable = unet(*shape_of(network))
    copy_weights(network, portable)
    with whole(path) as beside:
        portable.save(beside)


def find_model(given=None):
    """Returns the path of the model to use: `given`, else the one trained last, else the shipped one.

    Raises Problem if it is a folder or not there.
    """
    path = Path(given or (CHECKPOINT if CHECKPOINT.exists() else SHIPPED))
    if path.is_dir():
        raise Problem(f"{path}: is a folder. Give a model file in it, such as model.keras.")
    _refuse_missing(path)
    return path


def _refuse_missing(path):
    if not path.is_file():
        raise Problem(f"{path}: there is no such model. Train one with training.py, or give another --model.")


def load(path):
    """Returns the network in a model file and the Card beside it.

    Raises Problem if either cannot be used, or if they are not of one training.
    """
    network, beside = load_network(path), Path(path).with_suffix(".json")
    card = Card.read(beside, *shape_of(network))
    if card.get(WEIGHTS, own := weights_sum(network)) != own:
        raise Problem(f"{beside}: this card is of another model (the checksum of the weights in {path} "
                      "differs from its own). Put the card and the model of the same training side by side.")
    return network, card


def weights_sum(network):
    """Returns the SHA-256 of a network's weights, whatever file holds them."""
    joined = hashlib.sha256()
    for weights in network.get_weights():
        joined.update(np.ascontiguousarray(weights, "<f4"))
    return joined.hexdigest()


def caution(card, photographs):
    """Returns a sentence if the model is not made for these photographs or has hardly learned, "" if not.

    photographs: paths; of what lies elsewhere nothing is known, and the model counts as not made for it.
    """
    learned = set().union(*map(shas_of, card.get("data", {}).values()))
    dice, init = (card.get("validation") or {}).get("dice"), (card.get("recipe") or {}).get("init")
    drawn = sums() if learned and not init else set()
    why = ""
    if learned and learned <= drawn and not all(_is_among(drawn, path) for path in photographs):
        why = "has learned from the drawn samples alone, not from photographs"
    elif dice is not None and dice < LEAST_DICE:
        why = "has hardly learned to find vessels"
    score = "" if dice is None else f" (validation Dice {dice:.3f})"
    return why and (f"This model {why}{score}. The one that comes with the project: --model "
                    f"{SHIPPED.relative_to(Path.cwd()) if SHIPPED.is_relative_to(Path.cwd()) else SHIPPED}")


def _is_among(sums, path):
    """Returns whether a file can be read and its SHA-256 is among these."""
    with contextlib.suppress(OSError):
        return Path(path).is_file() and sha256(path) in sums
    return False


def load_network(path):
    """Returns the network in a model file, whether or not a card lies beside it: stock layers in float32.

    Nothing in the file is run or built: all it can do is fill the weights of a U-Net that is made here.
    Raises Problem if it does not do that.
    """
    path = Path(path)
    network = _network_of(path)
    # Where loading fails, Keras may still have the file open, which then cannot be removed on Windows.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        alone = Path(folder) / "model.weights.h5"  # read twice as fast as from within the archive
        alone.write_bytes(_weights_of(path, network.count_params()))
        try:
            network.load_weights(alone)
        except Exception as error:  # whatever a damaged file makes h5py or Keras raise
            raise _unusable(path, "its weights cannot be read") from error
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        raise _unusable(path, "some of its weights are not numbers")
    return network


def _unusable(path, reason):
    return Problem(f"{path}: not a model of this project ({reason}). "
                   "Train one with training.py, or give another --model.")


def _outline(config):
    """Returns a network's configuration, as a .keras file holds it, as {layer: (class, settings, inputs)}."""
    outline = {}
    for layer in config["config"]["layers"]:
        settings = [layer["config"].get(key) for key in SETTINGS]
        inputs = re.findall(r'"keras_history": \["([^"]*)"', json.dumps(layer["inbound_nodes"]))
        outline[layer["config"]["name"]] = (layer["class_name"], settings, inputs)
    return outline


def _network_of(path):
    """Returns a U-Net made here with the configuration of the model file, but not yet with its weights."""
    _refuse_missing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MOST_OVERHEAD:
                raise ValueError("no configuration of ours is so large")
            outline = _outline(json.loads(archive.read("config.json")))
        width = outline["down0_1"][1][0]
        depth = sum(name.endswith("_grow") for name in outline)
    except Exception as error:  # whatever a damaged or hostile file makes zipfile and json raise
        raise _unusable(path, "it cannot be read as a Keras U-Net") from error
    try:
        network = unet(width, depth)
    except (Problem, TypeError) as error:
        raise _unusable(path, f"a U-Net of width {str(width)[:20]} and depth {depth}") from error
    if outline != _outline(json.loads(network.to_json())):
        raise _unusable(path, "other layers than those of model.py")
    return network


def _weights_of(path, count):
    """Returns the bytes of the weights in a model file: `count` numbers, and no link to another file."""
    sizes = []
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("model.weights.h5").file_size > 8 * count + MOST_OVERHEAD:
                raise ValueError("more bytes than the weights take")
            packed = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(packed)) as store:
            store.visititems(lambda name, entry: sizes.append(getattr(entry, "size", 0)))
    except Exception as error:  # whatever a damaged or hostile file makes zipfile and h5py raise
        raise _unusable(path, "its weights are damaged") from error
    if sum(sizes) != count:
        raise _unusable(path, f"{sum(sizes):,} weights where the network has {count:,}")
    return packed
