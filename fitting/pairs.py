"""The pairs that augment.py wrote, as tf.data pipelines: cached when they fit in memory, streamed when they do not."""

import functools
import os
from pathlib import Path

import numpy as np

from data import SAMPLES, SIDE, Photograph, read_png, sha256
from files import Problem, from_cell, read_json
from predict import VIEWS, seen_as

BYTES = SIDE * SIDE * 4  # a photograph and its mask, uint8
SHARE_OF_MEMORY = 0.35
NEAR = 64  # the crops of a pair come within an epoch's so many pairs: one that is streamed is decoded once for all of them
TRIES, LIT = 4, 0.6  # a crop of which less is lit is drawn again, so many times at most
NAMES = ("file", "source name", "path", "mask path", "fov path")  # the columns of the manifest that hold names of files


def free_memory():
    """Bytes that this process may still take: the system's free memory or what a limit on the process leaves."""
    import resource

    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return free
    has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return min(free, limit - has)


class Pairs:
    """A folder of pairs with its manifest. Problem if it is unfinished, was edited, or would leak into validation.

    Training sees squares of `crop` pixels, a divisor of SIDE, cut from the pairs anew each time: an epoch has as many pixels as
    the pairs, in (SIDE / crop)^2 as many squares. Validation is always whole.
    """

    def __init__(self, folder, crop=SIDE):
        import pandas as pd

        self.folder, self.crop, self.crops = Path(folder), crop, (SIDE // crop) ** 2
        card = self._card()
        self.recipe = card["settings"]
        manifest = self.folder / "manifest.csv"
        try:
            self.table = pd.read_csv(manifest, dtype={"patient": str, **dict.fromkeys(NAMES, str)}, keep_default_na=False)
            for column in NAMES:
                self.table[column] = [from_cell(cell) for cell in self.table[column]]
            self.parts = {part: self.table[self.table["split"] == part] for part in ("train", "validation", "test")}
            self.fingerprint = sha256(manifest)
            self._check()
            if self.fingerprint != card.get("manifest"):
                raise ValueError("it was edited")
        except (OSError, ValueError, KeyError) as error:
            raise Problem(f"{manifest}: cannot be read ({error}). Run  python augment.py --overwrite  again.") from error
        self._cache = self.problem = None  # the Problem met while TensorFlow read the pairs
        self._recent = functools.lru_cache(2 * NEAR if self.crops > 1 else 0)(self._decode)

    @property
    def drawn(self):
        """Whether they are of the drawn samples alone."""
        return self.recipe.get("data") == [str(SAMPLES.resolve())]

    def _card(self):
        card = self.folder / "run.json"
        told = read_json(card) if card.exists() else {}
        if not isinstance(told, dict) or not told.get("finished") or not isinstance(told.get("settings"), dict):
            raise Problem(f"{card}: holds no finished pairs. Run  python augment.py  first"
                          + ("." if self.folder == Path("augmented") else f" (with --out {self.folder})."))
        return told

    def _check(self):
        shas = {part: set(rows["source sha256"]) for part, rows in self.parts.items()}
        for part in ("validation", "test"):
            leaked = shas["train"] & shas[part]
            if leaked:
                name = self.table[self.table["source sha256"].isin(leaked)]["source name"].iloc[0]
                raise Problem(f"{self.folder}: {name} is among the training pairs and in the {part} split. "
                              "Remove one of the two from the data and run  python augment.py --overwrite")
        for part in ("train", "validation"):
            if not len(self.parts[part]):
                raise Problem(f"{self.folder}: there is no {part} pair. Run  python augment.py --overwrite  again.")
            for kind in ("images", "masks"):
                there = {entry.name for entry in os.scandir(self.folder / part / kind)}
                gone = [file for file in self.parts[part]["file"] if file not in there]
                if gone:
                    raise Problem(f"{self.folder / part / kind / gone[0]}: is missing. "
                                  "Run  python augment.py --overwrite  again.")
        for part in ("train", "validation"):  # threshold and squares are chosen on them at the end, hours later
            for photograph in self.photographs(part):
                for place in filter(None, (photograph.path, photograph.mask, photograph.fov)):
                    if not place.is_file():
                        raise Problem(f"{place}: is gone, and training needs it. "
                                      "Put it back, or run  python augment.py --overwrite")

    # ---- tf.data ---------------------------------------------------------------------------------------------------

    def steps(self, batch):
        return max(1, self._squares() // batch)

    def _squares(self):
        return self.crops * len(self.parts["train"])

    def _order(self, seed, epoch):
        """Which pair, turned how, and the crop's seed, at each place of an epoch: a pure function of seed and epoch.

        -> (N, 3) int64
        """
        rng = np.random.default_rng([seed, epoch])
        count = self._squares()
        pairs = rng.permutation(count // self.crops).repeat(self.crops)
        pairs = pairs[np.argsort(np.arange(count) // self.crops + NEAR * rng.random(count))]
        return np.stack([pairs, rng.integers(0, len(VIEWS), count), rng.integers(0, 2**31, count)], axis=1)

    def names_of(self, seed, epoch, step, batch):
        files = self.parts["train"]["file"].to_numpy()
        return [str(files[k]) for k, *_ in self._order(seed, epoch)[step * batch:(step + 1) * batch]]

    def _decode(self, part, k):
        """-> (512, 512, 4) uint8: red, green, blue, mask."""
        import cv2

        file = self.parts[part]["file"].iloc[k]
        image = read_png(self.folder / part / "images" / file, cv2.IMREAD_COLOR)
        mask = read_png(self.folder / part / "masks" / file, cv2.IMREAD_GRAYSCALE)
        for kind, read in (("images", image), ("masks", mask)):
            if read is None or read.shape[:2] != (SIDE, SIDE):
                raise Problem(f"{self.folder / part / kind / file}: is no {SIDE} x {SIDE} picture. "
                              "Run  python augment.py --overwrite  again.")
        return np.dstack([image[..., ::-1], mask])

    def _told(self, read, *which):
        """read(*which), within TensorFlow, which would make something else of a Problem."""
        try:
            return read(*which)
        except Problem as problem:
            self.problem = problem
            raise

    def _train_square(self, place):
        k, view, seed = map(int, place)
        square = self._cropped(self._told(self._kept, k), seed)
        return np.ascontiguousarray(seen_as(square, VIEWS[view]))

    def _cropped(self, pair, seed):
        """(512, 512, 4) -> (crop, crop, 4): a crop that is mostly inside the FOV, or the last tried."""
        rng = np.random.default_rng(seed)
        for _ in range(TRIES):
            top, left = rng.integers(0, SIDE - self.crop + 1, 2)
            square = pair[top:top + self.crop, left:left + self.crop]
            if square[::8, ::8, 1].astype(bool).mean() > LIT:
                break
        return square

    def _kept(self, k):
        if self._cache is None:
            return self._recent("train", k)
        if not self._decoded[k]:
            self._cache[k] = self._decode("train", k)
            self._decoded[k] = True
        return self._cache[k]

    def training(self, seed, first, epochs, batch, workers):
        """Batches (N, crop, crop, 3) and (N, crop, crop, 1) float32 in [0, 1] of the epochs from `first` on.

        Crops, flips and quarter turns cost nothing here; they and the order are a function of seed and epoch alone.
        """
        import tensorflow as tf

        count, squares, used = len(self.parts["train"]), self._squares(), self.steps(batch) * batch
        if self._cache is None and count * BYTES < SHARE_OF_MEMORY * free_memory():
            self._cache = np.empty((count, SIDE, SIDE, 4), np.uint8)
            self._decoded = np.zeros(count, bool)
        places = (self._order(seed, epoch)[np.arange(max(used, batch)) % squares] for epoch in range(first, epochs))
        order = np.concatenate([*places, np.zeros((0, 3), np.int64)])

        pairs = tf.data.Dataset.from_tensor_slices(order)
        pairs = pairs.map(_reading(self._train_square, self.crop), num_parallel_calls=workers, deterministic=True)
        return untuned(pairs.batch(batch, drop_remainder=True).map(_as_floats).prefetch(2))

    def validation(self, batch):
        import tensorflow as tf

        count = len(self.parts["validation"])
        if 6 * count * BYTES > SHARE_OF_MEMORY * free_memory():  # two copies of the bytes and one of floats would not fit
            pairs = tf.data.Dataset.range(count).map(_reading(lambda k: self._told(self._decode, "validation", int(k)), SIDE))
            return untuned(pairs.batch(batch).map(_as_floats).prefetch(2))
        squares = np.stack([self._decode("validation", k) for k in range(count)])
        return untuned(tf.data.Dataset.from_tensor_slices(squares).batch(batch).map(_as_floats).cache())

    # ---- sources ---------------------------------------------------------------------------------------------------

    def _sources(self, part):
        return self.parts[part].drop_duplicates("source sha256")

    def photographs(self, part):
        """The photographs of 'train' or 'validation' themselves, to choose threshold and squares on at native size."""
        return [Photograph(row["set"], row["source name"], part, row["patient"], Path(row["path"]), Path(row["mask path"]),
                           Path(row["fov path"]) if row["fov path"] else None) for _, row in self._sources(part).iterrows()]

    def sources(self):
        """For the card: {set: {part: {name: sha256}}} of training and validation."""
        found = {}
        for part in ("train", "validation"):
            for _, row in self._sources(part).iterrows():
                found.setdefault(row["set"], {}).setdefault(part, {})[row["source name"]] = row["source sha256"]
        return found

    def licence(self):
        told = {"DRIVE": "DRIVE: for research and education, no redistribution of the photographs",
                "CHASE_DB1": "CHASE_DB1: CC BY 4.0", "HRF": "HRF: CC BY 4.0", "FIVES": "FIVES: CC BY 4.0",
                "STARE": "STARE: offered for research, no explicit licence", "samples": "samples: made by this project, CC0"}
        return "; ".join(told.get(name, f"{name}: as its owner says") for name in sorted(set(self.table["set"])))


def _reading(square_at, side):
    """`square_at` (place -> (side, side, 4) uint8) as a function of tensors."""
    import tensorflow as tf

    def read(place):
        return tf.ensure_shape(tf.numpy_function(square_at, [place], tf.uint8, stateful=False), (side, side, 4))

    return read


def untuned(batches):
    """Without the thread in which TensorFlow looks for better settings, of which there are none here.

    It sleeps twice as long each time, up to a minute, and every second iterator that ends waits until it wakes.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _as_floats(pairs):
    import tensorflow as tf

    values = tf.cast(pairs, tf.float32) / 255.0
    return values[..., :3], values[..., 3:]
