"""Which GPUs share a training, and the network that several of them train together."""

from functools import partial
from types import SimpleNamespace

import keras
import tensorflow as tf

import model as models
from files import Problem, say


def chosen_devices(devices, batch, gpus):
    """Those of `gpus` to train on: as many as `devices` says, else as many as share a batch evenly. Problem if they cannot."""
    if devices is None:
        count = max((n for n in range(1, len(gpus) + 1) if batch % n == 0), default=0)
        if count < len(gpus):
            enough = -(-batch // len(gpus)) * len(gpus)
            say(f"{count} of {len(gpus)} GPUs, which share a batch of {batch} evenly; --batch {enough} takes all.")
        return gpus[:count]
    if devices > max(1, len(gpus)):
        raise Problem(f"--devices {devices}: TensorFlow finds {len(gpus)} GPUs here. "
                      "Choose fewer, or install tensorflow[and-cuda].")
    if batch % devices:
        raise Problem(f"--devices {devices}: cannot share a batch of {batch} evenly. "
                      f"Choose a --batch that is a multiple of {devices}.")
    return gpus[:devices]


def shared_by(devices):
    """The strategy that trains on these logical devices: MirroredStrategy for several, the usual one else."""
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def mirrored(width, depth, precision):
    """The network for several devices: stock layers, whose batch normalization takes its statistics from all of them."""
    whole = partial(keras.layers.BatchNormalization, synchronized=True)
    return models.unet(width, depth, precision, SimpleNamespace(**vars(keras.layers) | {"BatchNormalization": whole}))
