"""Tiny sets in every layout, drawn with a few strokes, and a model that was trained on one of them.

    def test_something(draw, command, tmp_path):
        folder = draw.chase(tmp_path / "CHASE_DB1")
        assert command("augment", "--data", folder, "--out", tmp_path / "pairs").code == 0
"""

import contextlib
import gzip
import importlib
import io
import json
import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import numpy as np
import pytest
from chromium import chromium_with
from firefox import firefox_with
from PIL import Image

try:
    import resource
except ImportError:  # Windows
    resource = None

LINUX = sys.platform == "linux" and resource is not None
linux_only = pytest.mark.skipif(not LINUX, reason="tests what the system does, as Linux does it")
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


# ---- eyes ------------------------------------------------------------------------------------------------

def eye(seed, height=100, width=110):
    """A lit disc with dark curves on it: (H, W, 3) uint8, mask (H, W) bool, FOV (H, W) bool."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = 0.44 * min(height, width)
    centre = np.array([width / 2, height / 2]) + rng.uniform(-2, 2, 2)
    fov = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
    mask = np.zeros((height, width), np.uint8)
    along = np.linspace(0, 1, 24)
    for start, bend in zip(rng.uniform(0, 6.28, 7), rng.uniform(-1.2, 1.2, 7), strict=True):
        angle = start + bend * along
        points = centre + radius * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 1, 2)
    mask *= fov
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    dark = 1 - 0.45 * soft * np.float32([0.4, 1, 0.6])
    light = np.float32([190, 100, 50]) * (1 - 0.15 * x / width)[..., None] * dark
    light = light + rng.normal(0, 2, (height, width, 3))
    return (np.clip(light, 0, 255) * fov[..., None]).astype(np.uint8), mask.astype(bool), fov


def put(path, array, **how):
    """Writes (H, W) bool as 0/255 and (H, W[, 3]) uint8 as it is, in the name's format; .gz is packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array.astype(np.uint8) * 255 if array.dtype == bool else array)
    if path.suffix == ".gz":
        content = io.BytesIO()  # straight into a GzipFile Pillow writes past the packing
        picture.save(content, format="PPM")
        path.write_bytes(gzip.compress(content.getvalue()))
    else:
        picture.save(path, **how)
    return path


def colours(mask):
    """(H, W) bool -> (H, W, 3) uint8, as STARE and HRF keep what is black and white."""
    return np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255


class Draw:
    """Draws sets. Every photograph of a set has another seed, so no two files are equal."""

    eye, put = staticmethod(eye), staticmethod(put)

    def drive(self, folder, training=(21, 22, 23), test=(1, 2), labelled=False):
        """As it is handed out today: the test split without vessels, unless `labelled`, by two observers."""
        for split, numbers in (("training", training), ("test", test)):
            for number in numbers:
                photograph, mask, fov = eye(number)
                put(folder / split / "images" / f"{number:02d}_{split}.tif", photograph)
                put(folder / split / "mask" / f"{number:02d}_{split}_mask.gif", fov)
                if split == "training" or labelled:
                    put(folder / split / "1st_manual" / f"{number:02d}_manual1.gif", mask)
                if split == "test" and labelled:
                    second = np.roll(mask, 1, axis=1) & fov
                    put(folder / split / "2nd_manual" / f"{number:02d}_manual2.gif", second)
        return folder

    def chase(self, folder, children=(1, 2, 3, 11)):
        for child in children:
            for number, side in enumerate("LR"):
                photograph, mask, fov = eye(100 * child + number)
                put(folder / f"Image_{child:02d}{side}.jpg", photograph, quality=95)
                Image.fromarray(mask).save(folder / f"Image_{child:02d}{side}_1stHO.png")
                second = Image.fromarray(np.roll(mask, 1, axis=0) & fov)
                second.save(folder / f"Image_{child:02d}{side}_2ndHO.png")
        return folder

    def stare(self, folder, numbers=(1, 2, 77)):
        for number in numbers:
            photograph, mask, fov = eye(2000 + number)
            put(folder / "stare-images" / f"im{number:04d}.ppm.gz", photograph)
            put(folder / "labels-ah" / f"im{number:04d}.ah.ppm.gz", colours(mask))
            put(folder / "labels-vk" / f"im{number:04d}.vk.ppm.gz", colours(np.roll(mask, 1, axis=1) & fov))
        return folder

    def hrf(self, folder, names=("01_h.jpg", "01_dr.JPG", "01_g.jpg", "06_h.jpg", "06_dr.JPG")):
        for k, name in enumerate(names):
            photograph, mask, fov = eye(3000 + k)
            put(folder / "images" / name, photograph, quality=95)
            put(folder / "manual1" / f"{name[:-4]}.tif", mask)
            put(folder / "mask" / f"{name[:-4]}_mask.tif", colours(fov))
        return folder

    def fives(self, folder, training=("1_A", "2_D", "3_G"), test=("1_N", "2_A")):
        for split, names in (("train", training), ("test", test)):
            for name in names:
                photograph, mask, _ = eye(4000 + sum(map(ord, split + name)))
                put(folder / split / "Original" / f"{name}.png", photograph)
                put(folder / split / "Ground truth" / f"{name}.png", mask)
        return folder

    def plain(self, folder, train=4, test=2, fovs=False, suffix="", size=(100, 110)):
        """train/ and test/ with images, masks and, if asked for, fovs; `test` None: one without splits."""
        numbers = [("train", k) for k in range(train)] + [("test", train + k) for k in range(test or 0)]
        for split, number in numbers:
            place = folder if test is None else folder / split
            photograph, mask, fov = eye(5000 + number, *size)
            put(place / "images" / f"eye{number}.png", photograph)
            put(place / "masks" / f"eye{number}{suffix}.png", mask)
            if fovs:
                put(place / "fovs" / f"eye{number}.png", fov)
        return folder


@pytest.fixture(scope="session")
def draw():
    return Draw()


@pytest.fixture
def touch(tmp_path, monkeypatch):
    """Makes files of these names, below the folder where one is; each holds its name, so no two are equal."""
    monkeypatch.chdir(tmp_path)

    def touching(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(name.encode())

    return touching


@pytest.fixture(scope="session")
def shared():
    """Real data beside the project, for those who have it."""
    if not (SHARED / "DRIVE").is_dir():
        pytest.skip(f"there is no real data at {SHARED}")
    return SHARED


# ---- commands --------------------------------------------------------------------------------------------

@dataclass
class Ended:
    """How a command ended: exit code, what it said on standard output and on standard error."""

    code: int
    out: str
    err: str


def call(script, *words):
    """`python SCRIPT.py WORDS` within this process, which spares it the import of TensorFlow."""
    from running.command import run

    module = importlib.import_module(script)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
            mock.patch.object(sys, "argv", [f"{script}.py", *map(str, words)]):
        try:
            code = run(module.main)
        except SystemExit as end:
            code = end.code
    return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def command():
    return call


@pytest.fixture
def refused(command):
    """Calls a command that must end with exit code 2 and one sentence; returns the sentence."""
    def calling(script, *words):
        ended = command(script, *words)
        assert ended.code == 2, ended
        lines = [line for line in ended.err.splitlines() if line.strip()]
        assert len(lines) == 1, ended.err
        assert "Traceback" not in ended.err
        return lines[0]

    return calling


def picture(path):
    """A picture as it lies on disk, of 8 or 16 bits; colours in the order of OpenCV."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def contents(folder):
    """{path: (bytes, time of the last change)} of all files in a folder, to see that nothing was done."""
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def everything():
    return contents


# ---- a network without weights ---------------------------------------------------------------------------

def predictor_of(function, depth=1, **plan):
    """A predictor with this Plan whose network is `function`, (N, S, S, 3) float32 -> (N, S, S, 1)."""
    from card import Plan
    from model import unet
    from predict import Predictor

    class Imagined(Predictor):
        def probabilities(self, squares):
            return np.asarray(function(squares / np.float32(255)))[..., 0]

    return Imagined(unet(1, depth), Plan(**plan), "float32")


# ---- what takes long is made once ------------------------------------------------------------------------

SMALL = ("--width", 2, "--depth", 2, "--precision", "float32", "--workers", 1)


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory):
    return Draw().plain(tmp_path_factory.mktemp("sets") / "tiny", train=4, test=3, fovs=True)


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory, tiny_set):
    """3 training photographs twice, one of validation: augment.py's folder. Read only."""
    out = tmp_path_factory.mktemp("pairs") / "augmented"
    words = ("--data", tiny_set, "--out", out, "--copies", 2, "--workers", 1, "--validation", 0.25)
    ended = call("augment", *words)
    assert ended.code == 0, ended.err
    return out


@pytest.fixture(scope="session")
def tiny_training(tmp_path_factory, tiny_pairs):
    """What training.py writes in two epochs of a network of width 2 and depth 2. Read only."""
    out = tmp_path_factory.mktemp("training") / "checkpoints"
    ended = call("training", "--pairs", tiny_pairs, "--out", out, "--epochs", 2, "--batch", 2, *SMALL)
    assert ended.code == 0, ended.err
    return out


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, tiny_training):
    """The same with a card that looks at each photograph once, which spares tests its vessels' width."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    path.write_bytes((tiny_training / "model.keras").read_bytes())
    card = json.loads((tiny_training / "model.json").read_text(encoding="utf-8"))
    path.with_suffix(".json").write_text(json.dumps(card | {"vessel width": None}))
    return path


@pytest.fixture
def own_model(tiny_model, tmp_path):
    """A copy of it, its card beside it, that a test may change."""
    shutil.copy(tiny_model.with_suffix(".json"), tmp_path / "model.json")
    return Path(shutil.copy(tiny_model, tmp_path / "model.keras"))


@pytest.fixture
def own_pairs(tiny_pairs, tmp_path):
    """A copy of the pairs that a test may damage."""
    return shutil.copytree(tiny_pairs, tmp_path / "augmented")


@pytest.fixture
def short_runs(tiny_set, tiny_pairs, tiny_model):
    """{command: the words of a short run of it, without --out}."""
    photographs = sorted((tiny_set / "test/images").iterdir())
    return {"augment": ("--data", tiny_set, "--copies", 2, "--workers", 1, "--preview"),
            "training": ("--pairs", tiny_pairs, "--epochs", 1, "--batch", 2, *SMALL),
            "testing": ("--data", tiny_set, "--model", tiny_model),
            "eval": (*photographs, "--model", tiny_model)}


@pytest.fixture
def held(monkeypatch):
    """Makes the system refuse to replace files of these names, as Windows does while Excel has them open."""
    from running import files

    names, replace = set(), os.replace

    def refusing(source, target):
        if os.path.basename(target) in names:
            raise PermissionError(13, "The process cannot access the file", os.fspath(target))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refusing)
    monkeypatch.setattr(files, "PAUSES", (0,))
    return names


@contextlib.contextmanager
def limited(kind, most):
    """Limits a resource of this process, "RLIMIT_FSIZE" say, for a while; for tests that are linux_only."""
    kind = getattr(resource, kind)
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


# ---- browsers --------------------------------------------------------------------------------------------

BROWSERS = {"chromium": chromium_with, "firefox": firefox_with}


@pytest.fixture(scope="module", params=BROWSERS)
def browser_with(request):
    """What opens a browser that keeps what it knows in a folder; each test of pages runs in each browser."""
    return BROWSERS[request.param]


@pytest.fixture(scope="module")
def driver(browser_with, tmp_path_factory):
    with browser_with(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def rows(draw, tmp_path_factory):
    """The rows of three predicted photographs, see tests/reviewed.py."""
    import reviewed

    return reviewed.drawn(draw, tmp_path_factory.mktemp("review"))


@pytest.fixture
def browser(driver, rows):
    """A browser that shows their review."""
    import reviewed

    with reviewed.afresh(driver, rows):
        yield driver


# ---- training --------------------------------------------------------------------------------------------

@pytest.fixture
def quick(monkeypatch):
    """The best epoch is kept and nothing is chosen on validation photographs: both have their own tests."""
    from fitting import finishing

    validation = {"dice": 0.1, "roc_auc": 0.5}
    chosen = {"threshold": 0.5, "validation": validation, "tta": {"threshold": 0.5, "validation": validation}}
    monkeypatch.setattr(finishing, "tune", lambda *_: chosen)
    monkeypatch.setattr(finishing, "kept_epoch", lambda best, last, table, _: (
        best, table.loc[table["val_dice_coefficient"].idxmax()]))


@pytest.fixture
def train(command, tiny_pairs, quick):
    """Calls training.py on the tiny pairs."""
    def training(out, *words):
        return command("training", "--pairs", tiny_pairs, "--out", out, "--batch", 2, *SMALL, *words)

    return training


def weights_in(model_file):
    """{name: array} of a .keras file, whose own bytes hold the time of writing."""
    import h5py

    found = {}

    def keep(name, entry):
        if isinstance(entry, h5py.Dataset):
            found[name] = entry[()]

    with zipfile.ZipFile(model_file) as archive, \
            h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as store:
        store.visititems(keep)
    return found


def same_weights(some, others):
    some, others = weights_in(some), weights_in(others)
    return some.keys() == others.keys() and all(np.array_equal(some[name], others[name]) for name in some)
