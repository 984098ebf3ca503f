"""TensorFlow's start: the fast convolutions, and nothing imported that is not used."""

import os
import platform
import subprocess
import sys

import pytest
from conftest import ROOT

CONVOLUTION = """
from running.tensorflow_start import start_tensorflow
start_tensorflow()
import tensorflow as tf
tf.nn.conv2d(tf.ones((1, 64, 64, 16)), tf.ones((3, 3, 16, 16)), 1, "SAME")
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="oneDNN is for x86")
@pytest.mark.parametrize("wish, used", [({}, True), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, False)])
def test_the_fast_convolutions_are_used_on_every_processor_unless_the_user_turns_them_off(wish, used):
    others = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    ended = subprocess.run([sys.executable, "-c", CONVOLUTION], cwd=ROOT, capture_output=True, text=True,
                           env={**others, "ONEDNN_VERBOSE": "1", **wish}, check=True)
    assert (",cpu,convolution," in ended.stdout) == used


STARTED = """
import gc, sys
from running.tensorflow_start import start_tensorflow
start_tensorflow()
print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)
print(not {"pandas", "sklearn", "matplotlib"} & set(sys.modules))
import matplotlib.pyplot, pandas, sklearn.metrics
"""


def test_importing_tensorflow_leaves_the_garbage_collector_on_and_brings_nothing_that_is_not_used():
    command = [sys.executable, "-c", STARTED]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True"] * 4


BROKEN = """
import sys
sys.path.insert(0, sys.argv[1])
from running.tensorflow_start import start_tensorflow
start_tensorflow()
"""


def test_what_was_held_back_is_shown_if_the_import_fails(tmp_path):
    lines = "import os", "os.write(2, b'a library is missing')", "raise ImportError"
    (tmp_path / "tensorflow.py").write_text("\n".join(lines))
    ended = subprocess.run([sys.executable, "-c", BROKEN, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode != 0 and "a library is missing" in ended.stderr


QUIET = "from running.tensorflow_start import start_tensorflow; start_tensorflow()"


def test_without_a_fault_nothing_is_said():
    plain = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    ended = subprocess.run([sys.executable, "-c", QUIET], cwd=ROOT, env=plain, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
