"""TensorFlow's start: its switches, among them oneDNN's, and its import in half the time and in silence."""

import contextlib
import gc
import os
import platform
import sys
import tempfile
from pathlib import Path

from running.command import complain


def set_switches():
    """Sets the environment variables that TensorFlow and Keras read when they are imported.

    What the user set stays, except for another backend of Keras, which is said.
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        complain(f"KERAS_BACKEND={os.environ['KERAS_BACKEND']} is left aside: this project needs TensorFlow.")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # said here, it also counts before that in keras.json
    # TensorFlow's notes on its own build stay off; where there is no GPU also its complaint about that.
    gpu = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if gpu else "3")
    if platform.machine().lower() in ("x86_64", "amd64"):
        # TensorFlow leaves oneDNN off on processors without AVX512_VNNI or AVX_VNNI;
        # with AVX2 alone it trains 1.8 times faster.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def start_tensorflow():
    """Imports TensorFlow and holds back what it writes to stderr, which none of its settings silences.

    It is shown after all if the import fails. Two things more than halve the time. The garbage collector is
    off, since it would look through all that TensorFlow brings again and again, and once more when the
    command ends. And Keras does without modules that it imports but that are of no use here; whoever needs
    them imports them later.
    """
    set_switches()
    unused = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    gc.disable()
    sys.modules.update(dict.fromkeys(unused))  # None: as if it were not installed
    try:
        with _stderr_held_back():
            import keras
            import tensorflow  # noqa: F401
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
    # Whatever keras.json in the user's folder says: the networks here are written for these two.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


@contextlib.contextmanager
def _stderr_held_back():
    """Keeps back what is written to the file behind stderr; after an exception it is written after all."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except OSError:  # it was closed before the command began
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
