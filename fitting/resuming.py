"""Everything that an interrupted training needs to go on as if it had never stopped."""

import io
import json
from pathlib import Path

import keras
import numpy as np

from running.command import Problem
from running.files import write_bytes

KERAS_REMEMBERED = {  # what Keras's own callbacks would forget
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def remembered(callback):
    """Returns the names of the attributes in which a callback keeps what it has learned so far."""
    of_keras = (names for kind, names in KERAS_REMEMBERED.items() if isinstance(callback, kind))
    return getattr(callback, "remembered", next(of_keras, ()))


class KeepState(keras.callbacks.Callback):
    """Writes all that a training knows when an epoch begins, and puts it back: the last of the callbacks.

    It is one file, replaced as a whole: every variable of network and optimizer, and what the other
    callbacks, {name: callback}, remember, which keras.callbacks.BackupAndRestore forgets. They get it back
    after their `on_train_begin`, which resets them.
    """

    def __init__(self, path, others):
        super().__init__()
        self.path, self.others = Path(path), others

    def epoch(self):
        """Returns the epoch to go on with, 0 where there is no file; raises Problem if it is damaged."""
        return int(self._read()["epoch"]) if self.path.exists() else 0

    def _read(self):
        try:
            with np.load(self.path, allow_pickle=False) as state:
                return dict(state)
        except Exception as error:  # whatever a damaged file makes numpy raise
            raise Problem(f"{self.path}: cannot be read; start anew with --overwrite.") from error

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def on_epoch_begin(self, epoch, logs=None):
        memory = {key: {name: getattr(other, name) for name in remembered(other)}
                  for key, other in self.others.items()}
        arrays = {f"variable{k:04d}": keras.ops.convert_to_numpy(v) for k, v in enumerate(self._variables())}
        content = io.BytesIO()
        np.savez(content, epoch=epoch, memory=json.dumps(memory), **arrays)
        write_bytes(self.path, content.getvalue())

    def on_train_begin(self, logs=None):
        if not self.path.exists():
            return
        state = self._read()
        memory = json.loads(str(state["memory"]))
        if not isinstance(memory, dict) or memory.keys() != self.others.keys():
            raise Problem(f"{self.path}: another version of training.py wrote it; "
                          "start anew with --overwrite.")
        for k, variable in enumerate(self._variables()):
            variable.assign(state[f"variable{k:04d}"])
        for key, known in memory.items():
            for name, value in known.items():
                setattr(self.others[key], name, value)
