"""The pairs that augment.py wrote, as tf.data pipelines: cached if they fit into memory, else streamed."""

import contextlib
import functools

import cv2
import numpy as np
import tensorflow as tf

from fitting.manifest import Manifest
from photographs.square import SIDE, VIEWS, seen_as
from running.command import Problem
from running.files import read_png
from running.machine import free_memory

BYTES = SIDE * SIDE * 4  # of a pair: a photograph and its mask, uint8
SHARE_OF_MEMORY = 0.35
SPREAD = 64  # the crops of a pair come within so many pairs: streamed, it is decoded once for all of them
TRIES, LIT = 4, 0.6  # a crop of which less is lit is drawn again, so many times at most


class Pairs(Manifest):
    """A folder of pairs with its manifest.

    Training sees squares of `crop` px, a divisor of SIDE, cut from the pairs anew each time: an epoch has as
    many pixels as the pairs, in (SIDE / crop)^2 as many squares. Validation is always whole.
    """

    def __init__(self, folder, crop=SIDE, data=None):
        super().__init__(folder, data)
        self.crop, self.crops = crop, (SIDE // crop) ** 2
        self._problem = None

    def steps(self, batch):
        """Returns the number of steps of an epoch."""
        return max(1, self._squares() // batch)

    def _squares(self):
        return self.crops * len(self.parts["train"])

    def order(self, seed, epoch):
        """Returns which pair, turned how and cropped by which seed, stands where in an epoch: (N, 3) int64.

        It is a function of seed and epoch alone.
        """
        rng = np.random.default_rng([seed, epoch])
        count = self._squares()
        pairs = rng.permutation(count // self.crops).repeat(self.crops)
        pairs = pairs[np.argsort(np.arange(count) // self.crops + SPREAD * rng.random(count))]
        return np.stack([pairs, rng.integers(0, len(VIEWS), count), rng.integers(0, 2**31, count)], axis=1)

    def names_of(self, seed, epoch, step, batch):
        """Returns the names of the pairs that a step sees."""
        files = self.parts["train"]["file"].to_numpy()
        return [str(files[k]) for k, *_ in self.order(seed, epoch)[step * batch:(step + 1) * batch]]

    def pair(self, part, k):
        """Returns a pair, (512, 512, 4) uint8: red, green, blue, mask; raises Problem if it is damaged."""
        file = self.parts[part]["file"].iloc[k]
        image = read_png(self.folder / part / "images" / file, cv2.IMREAD_COLOR)
        mask = read_png(self.folder / part / "masks" / file, cv2.IMREAD_GRAYSCALE)
        for kind, read in (("images", image), ("masks", mask)):
            if read is None or read.shape[:2] != (SIDE, SIDE):
                path = self.folder / part / kind / file
                raise Problem(f"{path}: is not a {SIDE} x {SIDE} picture. {self.again}")
        return np.dstack([image[..., ::-1], mask])

    def _within_tensorflow(self, read, *which):
        """Returns read(*which); a Problem is kept, since TensorFlow makes an error of its own of it."""
        try:
            return read(*which)
        except Problem as problem:
            self._problem = problem
            raise

    @contextlib.contextmanager
    def problems_raised(self):
        """Raises the Problem met in reading a pair in place of the error that TensorFlow makes of it."""
        try:
            yield
        except Exception as error:
            raise self._problem or error from None

    def training(self, seed, first, epochs, batch, workers):
        """Returns the batches of the epochs from `first` on, (N, crop, crop, 3 and 1) float32 in [0, 1].

        Crops, flips and quarter turns cost nothing here; they and the order are a function of seed and epoch.
        """
        squares, used = self._squares(), self.steps(batch) * batch
        fits = len(self.parts["train"]) * BYTES < SHARE_OF_MEMORY * free_memory()
        pair = functools.lru_cache(None if fits else 2 * SPREAD if self.crops > 1 else 0)(self.pair)

        def square_at(place):
            k, view, seed = map(int, place)
            square = lit_crop(self._within_tensorflow(pair, "train", k), self.crop, seed)
            return np.ascontiguousarray(seen_as(square, VIEWS[view]))

        shown = np.arange(max(used, batch)) % squares
        order = [self.order(seed, epoch)[shown] for epoch in range(first, epochs)]
        pairs = tf.data.Dataset.from_tensor_slices(np.concatenate([*order, np.zeros((0, 3), np.int64)]))
        pairs = pairs.map(_reading(square_at, self.crop), num_parallel_calls=workers, deterministic=True)
        return untuned(pairs.batch(batch, drop_remainder=True).map(_as_floats).prefetch(2))

    def validation(self, batch, devices=1):
        """Returns the same kind of batches, of whole squares, once.

        For several devices each square comes as often as there are devices: the means stay the same, and in
        the last batch no device is left without a square.
        """
        count = len(self.parts["validation"])
        if 6 * count * BYTES < SHARE_OF_MEMORY * free_memory():  # two copies as bytes and one as floats
            squares = np.stack([self.pair("validation", k) for k in range(count)])
            once = tf.data.Dataset.from_tensor_slices(squares).batch(batch).map(_as_floats).cache()
        else:
            read = _reading(lambda k: self._within_tensorflow(self.pair, "validation", int(k)), SIDE)
            once = tf.data.Dataset.range(count).map(read).batch(batch).map(_as_floats).prefetch(2)
        return untuned(once.unbatch().repeat(devices).batch(batch) if devices > 1 else once)


def lit_crop(pair, side, seed):
    """Returns a crop, (side, side, 4), that is mostly inside the FOV, or the last one that was tried."""
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        top, left = rng.integers(0, SIDE - side + 1, 2)
        crop = pair[top:top + side, left:left + side]
        if crop[::8, ::8, 1].astype(bool).mean() > LIT:
            break
    return crop


def _reading(square_at, side):
    """Returns `square_at`, place -> (side, side, 4) uint8, as a function of tensors."""
    def read(place):
        square = tf.numpy_function(square_at, [place], tf.uint8, stateful=False)
        return tf.ensure_shape(square, (side, side, 4))

    return read


def untuned(batches):
    """Returns batches without the thread in which TensorFlow looks for better settings; here there are none.

    It sleeps twice as long each time, up to a minute, and every second iterator that ends waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _as_floats(pairs):
    values = tf.cast(pairs, tf.float32) / 255.0
    return values[..., :3], values[..., 3:]
