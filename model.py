"""The U-Net: one plain function of two loops, made of stock Keras layers.

    python model.py          prints the network, layer by layer

fitting/layers.py decides which layers it trains with on this machine, prediction/folded_network.py makes it
faster for prediction, checkpoint.py keeps it in a file.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
from running.command import Problem, run
from running.tensorflow_start import start_tensorflow

WIDTH, DEPTH = 16, 4
MOST_CHANNELS = 2048  # at the bottom: 120 million parameters
PROBABILITY = "probability"  # the name of the last layer


def unet(width=WIDTH, depth=DEPTH):
    """Returns the U-Net of Ronneberger et al. 2015 (arXiv 1505.04597), with padding and batch normalization.

    It maps (N, H, W, 3) in [0, 1] to (N, H, W, 1) float32 in [0, 1]; H and W are multiples of 2^depth.
    It has `width` channels at full resolution and twice as many at each level down.
    Raises Problem if it cannot be built.
    """
    import keras
    from keras import layers

    if not (width >= 1 and 1 <= depth <= 8 and width << depth <= MOST_CHANNELS):
        raise Problem(f"A U-Net of width {width} and depth {depth} cannot be built: choose a depth of 1 to 8 "
                      f"and a width of 1 to {MOST_CHANNELS} / 2^depth.")

    def convolve(x, channels, name):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
                          name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_normalization")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    x = inputs = keras.Input((None, None, 3), name="photograph")
    skips = []
    for level in range(depth):
        x = convolve(x, width << level, f"down{level}_1")
        x = convolve(x, width << level, f"down{level}_2")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"pool{level}")(x)

    x = convolve(x, width << depth, "bottom_1")
    x = convolve(x, width << depth, "bottom_2")

    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width << level, 2, strides=2, padding="same", use_bias=False,
                                   name=f"up{level}_grow")(x)
        x = layers.Concatenate(name=f"up{level}_skip")([skips[level], x])
        x = convolve(x, width << level, f"up{level}_1")
        x = convolve(x, width << level, f"up{level}_2")

    outputs = layers.Conv2D(1, 1, activation="sigmoid", name=PROBABILITY)(x)
    return keras.Model(inputs, outputs, name="unet")


def shape_of(network):
    """Returns (width, depth) of a U-Net that was made here."""
    names = [layer.name for layer in network.layers]
    return network.get_layer("down0_1").filters, sum(name.endswith("_grow") for name in names)


def copy_weights(source, target):
    """Copies the weights of a U-Net to another of the same width and depth, made of whatever layers."""
    for layer in source.layers:
        if layer.weights:
            target.get_layer(layer.name).set_weights(layer.get_weights())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    start_tensorflow()
    unet().summary(line_length=110)


if __name__ == "__main__":
    sys.exit(run(main))
