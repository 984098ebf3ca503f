"""The U-Net as it stands in model.py, and the command that prints it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from networks import DEPTH, WIDTH, shaken, squares

import model
from model import copy_weights, shape_of, unet
from running.command import Problem


def test_the_default_network_has_the_size_that_the_documentation_says():
    network = unet()
    assert (network.count_params(), shape_of(network)) == (1_945_281, (16, 4))
    assert network.output_shape == (None, None, None, 1)


@pytest.mark.parametrize("height, width", [(4, 4), (12, 20), (36, 8)])
def test_any_side_that_two_to_the_depth_divides(height, width):
    output = np.asarray(unet(WIDTH, DEPTH)(squares(1, height, width)))
    assert output.shape == (1, height, width, 1) and output.min() >= 0 and output.max() <= 1


@pytest.mark.parametrize("width, depth", [(0, 4), (16, 0), (16, 9), (1024, 4), (-2, 2)])
def test_a_network_that_cannot_be_is_refused(width, depth):
    with pytest.raises(Problem, match=f"width {width} and depth {depth}"):
        unet(width, depth)


def test_all_weights_are_copied():
    source, target = shaken(unet(WIDTH, DEPTH)), unet(WIDTH, DEPTH)
    copy_weights(source, target)
    assert all(map(np.array_equal, source.get_weights(), target.get_weights()))


def test_help_does_not_wait_for_tensorflow():
    command = [sys.executable, "-X", "importtime", model.__file__, "--help"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0 and "python model.py" in ended.stdout
    assert "tensorflow" not in ended.stderr.replace("tensorflow_start", "")


def test_the_summary_comes_without_tensorflows_notes():
    without = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, model.__file__]
    ended = subprocess.run(command, env=without, capture_output=True, text=True, check=True)
    assert "up0_skip" in ended.stdout and "Total params" in ended.stdout and ended.stderr == ""
