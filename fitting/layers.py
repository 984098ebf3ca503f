"""Which layers the U-Net trains with on this machine, and why.

    on a processor        the layers of fitting/fused.py: the same numbers in fewer passes over memory
    on one GPU            Keras's stock layers, which cuDNN and XLA make fast
    on several GPUs       stock layers whose batch normalization takes its statistics from all of them
"""

import keras
import tensorflow as tf

from checkpoint import find_model, load, load_network
from model import PROBABILITY, copy_weights, unet
from running.command import Problem, say
from running.machine import gpu_capabilities, hardware_precision


def starting_network(width, depth, precision, seed, init=None):
    """Returns the network with which a training starts, of the layers that train fastest here.

    precision: 'auto', 'float32' or 'bfloat16'. With `init`, the path of a model, its weights, width and depth
    count.
    """
    if init:
        has_card = find_model(init).with_suffix(".json").is_file()  # a run that broke off has none
        plain = load(init)[0] if has_card else load_network(init)
    else:
        plain = unet(width, depth)
    keras.utils.set_random_seed(seed)
    network = trainable(plain, hardware_precision(precision))
    if init:
        copy_weights(plain, network)
    return network


def trainable(plain, precision="float32"):
    """Returns a network like `plain`, one of model.unet, of the layers that train fastest here; new weights.

    precision: 'float32' or 'bfloat16', which leaves the last layer in float32.
    """
    substitutes = {}
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        substitutes = {"BatchNormalization": _synchronized}
    elif not gpu_capabilities():
        from fitting import fused  # on a GPU it is never imported

        substitutes = {name: getattr(fused, name) for name in fused.__all__}
    return rebuilt(plain, substitutes, precision)


def rebuilt(plain, substitutes=None, precision="float32"):
    """Returns a network like `plain`, made of other layers; its weights are new.

    substitutes: {class name in keras.layers: what makes a layer in its place from the same settings}.
    """
    made = {id(plain.input): keras.Input(plain.input.shape[1:], name=plain.layers[0].name)}
    for layer in plain.layers[1:]:
        make = (substitutes or {}).get(type(layer).__name__, type(layer))
        # bfloat16 has 8 bits of mantissa: of the last layer, it would make thresholds and ROC curves stairs.
        narrow = precision == "bfloat16" and layer.name != PROBABILITY
        settings = layer.get_config() | {"dtype": "mixed_bfloat16" if narrow else "float32"}
        inputs = keras.tree.map_structure(lambda tensor: made[id(tensor)], layer.input)
        made[id(layer.output)] = make(**settings)(inputs)
    return keras.Model(made[id(plain.input)], made[id(plain.output)], name=plain.name)


def _synchronized(**settings):
    return keras.layers.BatchNormalization(**settings | {"synchronized": True})


def devices_for(count, batch):
    """Returns the strategy that trains on `count` GPUs, by default on as many as share a batch evenly."""
    chosen = chosen_devices(count, batch, tf.config.list_logical_devices("GPU"))
    if len(chosen) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in chosen])
    return tf.distribute.get_strategy()


def chosen_devices(count, batch, gpus):
    """Returns those of `gpus` to train on: `count`, or, if that is None, as many as share a batch evenly.

    Raises Problem if there are not so many, or if they cannot share a batch evenly.
    """
    if count is None:
        count = max((n for n in range(1, len(gpus) + 1) if batch % n == 0), default=0)
        if count < len(gpus):
            enough = -(-batch // len(gpus)) * len(gpus)
            say(f"{count} of {len(gpus)} GPUs share a batch of {batch} evenly; --batch {enough} takes all.")
        return gpus[:count]
    if count > max(1, len(gpus)):
        raise Problem(f"--devices {count}: TensorFlow finds {len(gpus)} GPUs here. "
                      "Choose fewer, or install tensorflow[and-cuda].")
    if batch % count:
        raise Problem(f"--devices {count}: cannot share a batch of {batch} evenly. "
                      f"Choose a --batch that is a multiple of {count}.")
    return gpus[:count]
