"""TensorFlow's start: its switches, among them oneDNN's, and its import in half the time and in silence."""

import gc
import os
import platform
import sys
import tempfile
from pathlib import Path


def set_switches():
    """Sets the environment variables that TensorFlow reads when it is imported; what the user set stays."""
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
    sys.stderr.flush()
    kept, held = os.dup(2), tempfile.TemporaryFile()
    os.dup2(held.fileno(), 2)
    gc.disable()
    sys.modules.update(dict.fromkeys(unused))  # None: as if it were not installed
    try:
        import tensorflow  # noqa: F401
    except BaseException:
        held.seek(0)
        os.write(kept, held.read())
        raise
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
        os.dup2(kept, 2)
        os.close(kept)
        held.close()
