"""What watches a training: keeps the best and the last model, anneals the rate, keeps everything that resuming needs, warns."""

import io
import json
import math
import time
from pathlib import Path

import keras
import numpy as np

import model as models
from files import Problem, complain, say, write_bytes, write_table


class _Portable:
    """What ModelCheckpoint saves: the portable file of the contract, whole or not at all."""

    def __init__(self, network):
        self.network = network

    def save(self, path, overwrite=True):
        models.save(self.network, path)


class Keep(keras.callbacks.ModelCheckpoint):
    """ModelCheckpoint that writes stock layers in float32, atomically."""

    def set_model(self, network):
        super().set_model(_Portable(network))


class Anneal(keras.callbacks.Callback):
    """Warm-up, then half a cosine, in factors on the present rate, so that a cut by ReduceLROnPlateau stays.

    With a budget of `minutes` the fit stops when the time is over. If the pace so far, judged at every step, is too slow for
    all of them, that is said, and from there the share of the time that has passed counts in place of the share of the steps,
    so that the rate has come down by then. A machine that is fast enough trains to the last digit as without a budget.
    """

    WARM_UP, LAST = 0.03, 0.01
    STEPS, SHARE = 80, 0.02  # the pace is judged after so many steps or such a share of the time

    def __init__(self, steps, minutes=None):
        super().__init__()
        self.steps, self.budget = steps, 60 * (minutes or math.inf)
        self.done, self.seconds, self.compiled, self.slow = 0, 0.0, 0.0, False

    def factor(self, progress):
        if progress < self.WARM_UP:
            return 0.05 + 0.95 * progress / self.WARM_UP
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - self.WARM_UP) / (1 - self.WARM_UP)))
        return self.LAST + (1 - self.LAST) * cosine

    def on_train_begin(self, logs=None):
        self.began, self.last = time.monotonic() - self.seconds, None

    def _share_of_time(self):
        """Of the budget, without the first step, which compiles."""
        self.seconds = time.monotonic() - self.began
        return 1.0 if self.seconds >= self.budget else (self.seconds - self.compiled) / (self.budget - self.compiled)

    def on_train_batch_begin(self, batch, logs=None):
        share = self._share_of_time() if self.slow else 0.0
        factor = self.factor(max(self.done / self.steps, share))
        rate = self.model.optimizer.learning_rate
        rate.assign(float(keras.ops.convert_to_numpy(rate)) * factor / (self.last or 1.0))
        self.last = factor
        self.done += 1

    def on_train_batch_end(self, batch, logs=None):
        share = self._share_of_time()
        if share >= 1:
            self.model.stop_training = True
        if self.done == 1:
            self.compiled = self.seconds
        elif not self.slow and (self.done > self.STEPS or share >= self.SHARE) and share > (self.done - 1) / (self.steps - 1):
            self.slow = True
            needed = self.budget / 60 * share * (self.steps - 1) / (self.done - 1)
            say(f"\nAll epochs would take some {needed:.0f} minutes at this speed: the fit ends after {self.budget / 60:.0f}, "
                "the rate annealed to fit. --minutes 0 lifts the limit.")


class Watch(keras.callbacks.Callback):
    """Stops at a loss that is no number, naming the batch; says aloud when the network predicts nothing or everything."""

    def __init__(self, names_of):
        super().__init__()
        self.names_of, self.odd = names_of, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            names = ", ".join(self.names_of(self.epoch, batch))
            raise Problem(f"The loss became {logs['loss']} in epoch {self.epoch + 1} at the pairs {names}. The best model so far "
                          "is kept. Look at these pairs; if they are sound, train with a smaller --rate, anew or from that "
                          "model (--init, another --out).")

    def on_epoch_end(self, epoch, logs=None):
        nothing = logs["val_recall"] < 0.01
        everything = logs["val_recall"] > 0.99 and logs["val_precision"] < 0.3
        self.odd = self.odd + 1 if nothing or everything else 0
        if self.odd == 3:
            complain(f"For three epochs the network has predicted {'nothing' if nothing else 'vessels everywhere'}. "
                     + ("Likely the masks are empty or do not lie on their photographs" if nothing else
                        "Likely the masks are inverted or mostly white") + ": look at them with  python augment.py --preview")


class Table(keras.callbacks.Callback):
    """history.csv, a row an epoch, written whole each time; rows of an earlier part of the run come first."""

    def __init__(self, path, after=lambda table: None):
        super().__init__()
        self.path, self.after, self.rows = path, after, []

    def on_epoch_end(self, epoch, logs=None):
        import pandas as pd

        self.rows.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()},
                          "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))})
        table = pd.DataFrame(self.rows)
        write_table(self.path, table)
        self.after(table)


class Glimpse(keras.callbacks.TensorBoard):
    """TensorBoard's scalars, and the prediction of one validation square as an image each epoch."""

    def __init__(self, folder, squares):
        super().__init__(str(folder), write_graph=False)
        self.squares, self.folder = squares, Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        import tensorflow as tf

        super().on_epoch_end(epoch, logs)
        photograph, mask = (part[:1] for part in next(iter(self.squares)))
        prediction = self.model(photograph, training=False)
        seen = tf.concat([photograph, *(tf.repeat(grey, 3, axis=3) for grey in (mask, prediction))], axis=2)
        with tf.summary.create_file_writer(str(self.folder / "validation")).as_default():
            tf.summary.image("photograph, mask, prediction", seen, step=epoch)


REMEMBERED = {"EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
              "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"), "Keep": ("best",),
              "Anneal": ("done", "seconds", "last", "compiled", "slow"), "Watch": ("odd",), "Table": ("rows",)}


class KeepState(keras.callbacks.Callback):
    """Writes all that a training knows at the start of each epoch, and puts it back: the last of the callbacks.

    One file, replaced whole: every variable of network and optimizer, and what the other callbacks remember, which
    keras.callbacks.BackupAndRestore forgets. Putting back happens after their `on_train_begin`, which resets them.
    """

    def __init__(self, path, others):
        super().__init__()
        self.path, self.others = Path(path), others

    def epoch(self):
        """The epoch to go on with; 0 where there is nothing yet."""
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
        memory = [{name: getattr(other, name) for name in REMEMBERED.get(type(other).__name__, ())} for other in self.others]
        arrays = {f"variable{k:04d}": keras.ops.convert_to_numpy(v) for k, v in enumerate(self._variables())}
        content = io.BytesIO()
        np.savez(content, epoch=epoch, memory=json.dumps(memory), **arrays)
        write_bytes(self.path, content.getvalue())

    def on_train_begin(self, logs=None):
        if not self.path.exists():
            return
        state = self._read()
        memories = json.loads(str(state["memory"]))
        if len(memories) != len(self.others):
            raise Problem(f"{self.path}: another version of training.py left it; start anew with --overwrite.")
        for k, variable in enumerate(self._variables()):
            variable.assign(state[f"variable{k:04d}"])
        for other, memory in zip(self.others, memories, strict=True):
            for name, value in memory.items():
                setattr(other, name, value)
        for other in self.others:
            if isinstance(other, Anneal):
                other.began = time.monotonic() - other.seconds
