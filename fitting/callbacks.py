"""What watches a training: it keeps models and history.csv whole, warns, and stops at a loss that is NaN."""

import importlib
import math
from pathlib import Path
from types import SimpleNamespace

import keras
import pandas as pd
import tensorflow as tf

import checkpoint
from running.command import Problem, complain
from running.files import write_table, written


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keras's own, but it writes files that stock Keras loads, whole or not at all: checkpoint.py's."""

    def set_model(self, network):
        super().set_model(SimpleNamespace(save=lambda path, overwrite: checkpoint.save(network, path)))


class Watch(keras.callbacks.Callback):
    """Stops at a loss that is not a number, and warns if the network predicts nothing or everything."""

    remembered = ("odd_epochs",)

    def __init__(self, names_of):
        """names_of: a function (epoch, step) -> names of the pairs in that batch."""
        super().__init__()
        self.names_of, self.odd_epochs = names_of, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            names = ", ".join(self.names_of(self.epoch, batch))
            raise Problem(f"The loss became {logs['loss']} in epoch {self.epoch + 1} at the pairs {names}. "
                          "The best model so far is kept. Look at these pairs; if they are sound, train with "
                          "a smaller --rate, anew or from that model (--init, another --out).")

    def on_epoch_end(self, epoch, logs=None):
        nothing = logs["val_recall"] < 0.01
        everything = logs["val_recall"] > 0.99 and logs["val_precision"] < 0.3
        self.odd_epochs = self.odd_epochs + 1 if nothing or everything else 0
        if self.odd_epochs == 3:
            what, why = (("nothing", "empty or do not lie on their photographs") if nothing else
                         ("vessels everywhere", "inverted or mostly white"))
            complain(f"For three epochs the network has predicted {what}. Probably the masks are {why}: "
                     "look at them with the --preview of augment.py")


class History(keras.callbacks.Callback):
    """Writes history.csv, a row for each epoch; rows of an earlier part of the run come first."""

    remembered = ("rows",)

    def __init__(self, path, after=lambda table: None):
        """after: what is called with the table, a pandas.DataFrame, when it is written."""
        super().__init__()
        self.path, self.after, self.rows = path, after, []

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()},
                          "learning_rate": rate})
        self.write()

    def write(self):
        """Writes the table and returns it; a file that another program has open stays as it is."""
        table = pd.DataFrame(self.rows)
        written(write_table, self.path, table)
        written(self.after, table)
        return table


class Glimpse(keras.callbacks.TensorBoard):
    """Writes TensorBoard's scalars, and the prediction of one validation square as an image each epoch."""

    def __init__(self, folder, squares):
        super().__init__(str(folder), write_graph=False)
        self.squares, self.folder = squares, Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        square, mask = (part[:1] for part in next(iter(self.squares)))
        prediction = self.model(square, training=False)
        shown = tf.concat([square, *(tf.repeat(grey, 3, axis=3) for grey in (mask, prediction))], axis=2)
        with tf.summary.create_file_writer(str(self.folder / "validation")).as_default():
            tf.summary.image("photograph, mask, prediction", shown, step=epoch)


def tensorboard(folder, pairs):
    """Returns the callbacks that write for TensorBoard to `folder`: none where it cannot be imported."""
    try:
        importlib.import_module("tensorboard.summary.v2")  # what Keras wants at the end of an epoch
    except ImportError:
        return []
    return [Glimpse(folder, pairs.validation(1))]
