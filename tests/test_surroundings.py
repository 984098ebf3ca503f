"""What surrounds a command elsewhere: Jupyter's settings, Keras's, closed streams, held files."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from fitting.callbacks import History
from running import files
from running.command import run, say
from running.files import Held, write_bytes, written

NETWORK = """
import sys
sys.path.insert(0, sys.argv[1])
from running.tensorflow_start import start_tensorflow
start_tensorflow()
import keras
from model import unet
print(keras.backend.backend(), unet(1, 1).output.shape)
"""


@pytest.mark.parametrize("settings, said", [
    ({"KERAS_BACKEND": "torch"}, "KERAS_BACKEND=torch is left aside"), ({}, "")])
def test_keras_computes_with_tensorflow_and_channels_last_whatever_is_set(settings, said, tmp_path):
    file = {"backend": "jax", "image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-7}
    (tmp_path / "keras.json").write_text(json.dumps(file), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    ended = subprocess.run([sys.executable, "-c", NETWORK, ROOT], capture_output=True, text=True,
                           env={**environment, "KERAS_HOME": str(tmp_path), **settings})
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split(maxsplit=1) == ["tensorflow", "(None, None, None, 1)\n"]
    assert said in ended.stderr


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_curves_are_drawn_whatever_backend_the_surroundings_ask_for(backend, tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import pictures; " \
           "pictures.draw_line(sys.argv[2], [0, 1], [0, 1], 'x', 'y', 'a line')"
    ended = subprocess.run([sys.executable, "-c", code, ROOT, tmp_path / "line.png"], capture_output=True,
                           text=True, env={**os.environ, "MPLBACKEND": backend})
    assert ended.returncode == 0, ended.stderr
    assert files.read_png(tmp_path / "line.png", -1).shape[0] > 100


@pytest.mark.skipif(os.name == "nt", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_its_work(closed, tmp_path):
    out = tmp_path / "pairs"
    line = f'"{sys.executable}" "{ROOT / "augment.py"}" --copies 1 --workers 1 --out "{out}" {closed}'
    assert subprocess.run(line, shell=True, cwd=tmp_path).returncode == 0
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["finished"]


def test_a_command_may_run_in_a_thread(capsys):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(run(lambda: say("done"))))
    thread.start()
    thread.join()
    assert codes == [0] and capsys.readouterr().out == "done\n"


@pytest.mark.parametrize("script", ["data", "augment", "model", "training", "testing", "eval", "export"])
def test_a_script_finds_its_rooms_where_python_leaves_its_folder_out(script, tmp_path):
    ended = subprocess.run([sys.executable, "-P", ROOT / f"{script}.py", "--help"], cwd=tmp_path,
                           env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout.startswith("usage:"), ended.stderr


@pytest.mark.parametrize("script", ["augment", "training"])
def test_a_negative_seed_is_refused(script, command):
    ended = command(script, "--seed", -1)
    assert ended.code == 2 and "--seed: must be 0 or more" in ended.err


# ---- a file that another program holds open --------------------------------------------------------------

def test_a_held_file_is_a_sentence_and_keeps_its_content(held, tmp_path, capsys):
    write_bytes(tmp_path / "a.csv", b"before")
    held.add("a.csv")
    with pytest.raises(Held, match="a.csv: is open in another program"):
        write_bytes(tmp_path / "a.csv", b"after")
    assert not written(write_bytes, tmp_path / "a.csv", b"after")
    assert "is open in another program" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_a_training_goes_on_while_its_history_is_open_in_another_program(held, tmp_path, capsys):
    seen = []
    history = History(tmp_path / "history.csv", seen.append)
    history.set_model(type("Model", (), {"optimizer": type("Adam", (), {"learning_rate": np.float32(1)})}))
    held.add("history.csv")
    history.on_epoch_end(0, {"loss": 0.5})
    held.clear()
    history.on_epoch_end(1, {"loss": 0.4})
    assert pd.read_csv(tmp_path / "history.csv")["loss"].tolist() == [0.5, 0.4] and len(seen) == 2
    assert "history.csv: is open in another program" in capsys.readouterr().err
