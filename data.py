"""What is in a data set, how it is read, where the field of view is, the square and the way back, the splits.

    python data.py [DIR ...]                    says what is there, what pairs and what is wrong
    python data.py DIR --picture found.png      draws it: every photograph with its vessels and its FOV outlined
    python data.py --download chase_db1         fetches a set into datasets/: chase_db1, hrf or stare
    python data.py --download drive             says how to get it; fives too
"""

import argparse
import gzip
import hashlib
import io
import itertools
import random
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files import Problem, complain, run, say
from sets.layouts import Photograph, recognise  # noqa: F401

SIDE = 512
EXTENSIONS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".webp"}
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP")  # no other of Pillow's readers: EPS would start Ghostscript
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's modes of more than 8 bits
SMALLEST = 32  # pixels a side of a photograph and of a field of view
MOST_PIXELS = 60_000_000  # 1 GB and two seconds while they are read; the largest fundus cameras write 50 million
MOST_BYTES = 8 * MOST_PIXELS  # of a file: uncompressed with 16 bits and alpha
HERE = Path(__file__).parent


# ---- what is there -------------------------------------------------------------------------------------------------

def default_folders():
    """`datasets/` if a set lies there, else `samples/`."""
    datasets = Path("datasets")
    if datasets.is_dir() and _sets_below(datasets):
        return [datasets]
    return [HERE / "samples"]


def find_sets(folders, strict=True):
    """The sets in `folders`, each a set's own folder or one that holds sets. With `strict` what does not pair is a Problem."""
    sets = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Problem(f"{folder}: there is no such folder. Give the folder of a data set.")
        below = _sets_below(folder)
        if not below:
            raise Problem(f"{folder}: no data set is recognised here. README lists the layouts; "
                          "the plain one is images/ and masks/ with the same file names.")
        sets += below
    problems = [problem for found in sets for problem in found.problems]
    if strict and problems:
        more = f" (and {len(problems) - 1} more: python data.py lists them)" if len(problems) > 1 else ""
        raise Problem(problems[0] + more)
    return sets


def _sets_below(folder):
    own = recognise(folder)
    if own:
        return [own]
    inner = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    return [found for found in map(recognise, inner) if found]


def unique_names(paths, sets=None):
    """A file name's stem for each path; where two are alike, the set's or the folder's name stands before it."""
    stems = [Path(path).stem for path in paths]
    before = sets or [Path(path).parent.name for path in paths]
    alike = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    names = [f"{folder}_{stem}" if stem in alike else stem for stem, folder in zip(stems, before, strict=True)]
    given, taken = set(names), set()
    for k, name in enumerate(names):
        free = (f"{name}_{count}" if count > 1 else name for count in itertools.count(1))
        names[k] = next(one for one in free if one not in taken and (one == name or one not in given))
        taken.add(names[k])
    return names


# ---- reading -------------------------------------------------------------------------------------------------------

def _open(path):
    """The file as a Pillow image, see `decode`. Devices, pipes and files too large for a picture are not read at all."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise Problem(f"{path}: cannot be read (it is no file). Give a picture.")
        large = path.stat().st_size > MOST_BYTES
        content = b"" if large else path.read_bytes()
        if not large and path.suffix.lower() == ".gz":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
            large = len(content) > MOST_BYTES
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if large:
        raise Problem(f"{path}: has more than {MOST_BYTES >> 20} MB. Shrink it first.")
    return decode(content, path)


def decode(content, path):
    """Bytes of a picture file -> Pillow image in mode L, RGB or one of DEEP, turned as its EXIF says.

    Problem for whatever is no sound picture of a sane size. `path` is for the sentence that says what is wrong.
    """
    import warnings

    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the size is checked below, before anything is decoded
    if not content:
        raise Problem(f"{path}: is empty (0 bytes). Copy it again from where it came.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_size(picture, content, path)
            picture.load()
            turned = _upright(picture)
            return turned if turned.mode in ("L", "RGB", *DEEP) else turned.convert("RGB")
    except (Problem, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({type(error).__name__}: {str(error)[:100]})"
        raise Problem(f"{path}: is damaged or no picture that can be read{why}. Copy it again, or convert it to PNG.") from error


def _check_size(picture, content, path):
    """From the header, before anything is decoded: a small file can ask for hours and for all of the memory."""
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise Problem(f"{path}: has {width} x {height} pixels, more than {MOST_PIXELS:,}. Shrink it first.")
    in_words = picture.format == "PPM" and picture.tile[0][0] != "raw"  # decoded in Python, a second a million pixels
    scans = content.count(b"\xff\xda") if picture.format == "JPEG" else 1  # a sound progressive JPEG has about ten
    if width * height * (1000 if in_words else scans) > 25 * MOST_PIXELS:
        raise Problem(f"{path}: would take very long to read. Convert it to PNG.")


def _upright(picture):
    from PIL import Image

    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:  # EXIF that cannot be read says nothing about the pixels
        return picture
    way = Image.Transpose
    turns = {2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM,
             5: way.TRANSPOSE, 6: way.ROTATE_270, 7: way.TRANSVERSE, 8: way.ROTATE_90}
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _values(picture, path):
    """Pillow image -> (H, W) or (H, W, 3) uint8, or (H, W) float32 with the file's own values, 0 to 65535, if it is deep."""
    if picture.mode not in DEEP:
        return np.asarray(picture)
    values = np.asarray(picture).astype(np.float32)
    if not np.isfinite(values).all():
        raise Problem(f"{path}: holds values that are no numbers (NaN or infinite). Write it again as 8-bit PNG.")
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise Problem(f"{path}: holds values that are negative or above 65535. Write it again as 8-bit PNG.")
    return values


def read_photograph(path):
    """-> (H, W, 3) uint8 RGB, turned as its EXIF says. Problem if it is no sound picture or smaller than 32 x 32."""
    return photograph_of(_open(path), path)


def photograph_of(picture, path):
    """What `decode` gives -> (H, W, 3) uint8. 16 bits keep their upper eight; floats are taken as 0..1 or 0..255."""
    if min(picture.size) < SMALLEST:
        raise Problem(f"{path}: has {picture.width} x {picture.height} pixels; "
                      f"a photograph needs {SMALLEST} x {SMALLEST} or more.")
    values = _values(picture, path)
    if values.dtype != np.uint8:
        top = values.max()
        values *= 255 if top <= 1 and picture.mode == "F" else 1 if top <= 255 else 255 / 65535
        values = values.astype(np.uint8)
    return np.ascontiguousarray(values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2))


def read_mask(path, shape=None):
    """-> (H, W) bool: 1-bit, 0/1, 0/255, palette, grey or one colour on black, cut at half of the file's own maximum.

    `shape` is the photograph's (H, W); another size is a Problem.
    """
    values = _values(_open(path), path)
    if values.ndim == 3:
        values = np.maximum(values[..., 0], np.maximum(values[..., 1], values[..., 2]))  # max(axis=2) takes 9 times longer
    if shape is not None and values.shape != tuple(shape[:2]):
        raise Problem(f"{path}: is {values.shape[1]} x {values.shape[0]}, its photograph {shape[1]} x {shape[0]}. "
                      "Give the mask that was drawn on this photograph.")
    return values > values.max(initial=0) / 2


def read_png(path, flags):
    """A PNG of this project's own -> what cv2.imdecode gives, None if it is damaged or gone. cv2.imread reads fewer names."""
    import cv2

    try:
        return cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except (OSError, cv2.error):
        return None


def read_levels(path):
    """A probability PNG -> (H, W) uint16, 65535 = 1."""
    import cv2

    levels = read_png(path, cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 2:
        raise Problem(f"{path}: is no 16-bit probability picture. Say --overwrite to make it again.")
    return levels


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_vessels(path, shape, empty_is_fine=False):
    """`read_mask` of vessels: one that is mostly white is inverted or another thing's, and one without any is of no use."""
    mask = read_mask(path, shape)
    if mask.mean() > 0.5:
        raise Problem(f"{path}: more than half of it is white. Vessels are white on black: invert it, or give the right file.")
    if not empty_is_fine and not mask.any():
        raise Problem(f"{path}: is black everywhere, no vessel is drawn. Give the right mask or remove this photograph.")
    return mask


# ---- the field of view ---------------------------------------------------------------------------------------------

def find_fov(photograph):
    """(H, W, 3) uint8 -> (H, W) bool: the lit part, convex; everything where no corner is dark; nothing if all is dark.

    Vessels, lesions and shadows inside belong to it, so the convex hull of the largest lit piece is taken.
    """
    import cv2

    height, width = photograph.shape[:2]
    scale = min(1.0, 1024 / max(height, width))
    small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photograph
    light = cv2.GaussianBlur(small.max(axis=2), (0, 0), 1.0).astype(np.float32)
    bright = np.percentile(light, 95)
    if bright < 16:
        return np.zeros((height, width), bool)
    rows, columns = small.shape[0] // 32 + 1, small.shape[1] // 32 + 1
    corners = [np.median(light[a, b]) for a in (slice(rows), slice(-rows, None)) for b in (slice(columns), slice(-columns, None))]
    dark = min(corners)
    if dark > 0.3 * bright:
        return np.ones((height, width), bool)
    beside = cv2.dilate(light, np.ones((7, 7), np.uint8))
    # its edge is where the light has fallen by half: wider, the dark rim inside looks like a vessel to a network
    lit = ((light > dark + 0.12 * (bright - dark)) & (light - dark > 0.5 * (beside - dark))).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    if len(sizes) < 2:
        return np.zeros((height, width), bool)
    largest = (pieces == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    outline = max(cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    hull = np.zeros((height, width), np.uint8)
    native = (cv2.convexHull(outline).astype(np.float64) + 0.5) / (scale, scale) - 0.5
    cv2.fillConvexPoly(hull, np.rint(native * 16).astype(np.int32), 1, shift=4)
    found = hull > 0
    return found if Square.around(found).side >= SMALLEST else np.zeros((height, width), bool)


def _inverted(fov):
    height, width = fov.shape
    middle = fov[height // 3:-(height // 3), width // 3:-(width // 3)]
    return middle.mean() < 0.5 and fov[[0, 0, -1, -1], [0, -1, 0, -1]].all()


def fov_of(photograph, rgb):
    """-> (H, W) bool: the set's own FOV mask, else the one found in `rgb`. An empty or inverted one is a Problem."""
    if photograph.fov is not None:
        fov = read_mask(photograph.fov, rgb.shape)
        if not fov.any() or Square.around(fov).side < SMALLEST:
            raise Problem(f"{photograph.fov}: this FOV mask is empty or nearly so. "
                          "Give the right one, or remove it to have the FOV found.")
        if _inverted(fov):
            raise Problem(f"{photograph.fov}: this FOV mask is black in the middle and white around. "
                          "Invert it, or remove it to have the FOV found.")
        return fov
    return found_fov(photograph.path, rgb)


def found_fov(path, rgb):
    """-> (H, W) bool: the FOV found in `rgb`; Problem where there is none."""
    fov = find_fov(rgb)
    if not fov.any():
        raise Problem(f"{path}: is dark everywhere, no field of view is found. Take the photograph again.")
    return fov


# ---- the square and the way back -----------------------------------------------------------------------------------

@dataclass(frozen=True)
class Square:
    """The smallest centred square around an FOV's box, in the photograph's pixels; it may reach beyond the photograph."""

    top: int
    left: int
    side: int

    @classmethod
    def around(cls, fov):
        rows, columns = np.flatnonzero(fov.any(axis=1)), np.flatnonzero(fov.any(axis=0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        side = max(height, width)
        return cls(int(rows[0] - (side - height) // 2), int(columns[0] - (side - width) // 2), int(side))

    def _overlap(self, shape):
        rows = slice(max(self.top, 0), min(self.top + self.side, shape[0]))
        columns = slice(max(self.left, 0), min(self.left + self.side, shape[1]))
        inner = (slice(rows.start - self.top, rows.stop - self.top), slice(columns.start - self.left, columns.stop - self.left))
        return (rows, columns), inner

    def cut(self, values, fov, size=SIDE):
        """(H, W[, 3]) uint8 or bool -> (size, size[, 3]) uint8, black outside the FOV; bool becomes soft, 0..255.

        Area-averaging when it shrinks: a DRIVE mask comes back with Dice 0.997, nearest neighbours give 0.69.
        """
        import cv2

        native, inner = self._overlap(fov.shape)
        square = np.zeros((self.side, self.side) + values.shape[2:], np.uint8)
        part = values[native] * np.uint8(255) if values.dtype == bool else values[native]
        square[inner] = part * fov[native].reshape(fov[native].shape + (1,) * (values.ndim - 2))
        if size == self.side:
            return square
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC)

    def back(self, probability, fov):
        """(size, size) float32 -> (H, W) float32 in [0, 1], cubic, zero outside the FOV."""
        import cv2

        size = len(probability)
        if size != self.side:
            way = cv2.INTER_CUBIC if size < self.side else cv2.INTER_AREA
            probability = cv2.resize(probability, (self.side, self.side), interpolation=way)
        native, inner = self._overlap(fov.shape)
        whole = np.zeros(fov.shape, np.float32)
        whole[native] = np.clip(probability[inner], 0, 1)
        return whole * fov


def describe(photograph, fov):
    """What a photograph is like, to be compared with those that the model was trained on: dict of floats."""
    import cv2

    square = Square.around(fov)
    small, inside = square.cut(photograph, fov, 512), square.cut(fov, fov, 512) > 250
    green = small[..., 1]
    detail = cv2.Laplacian(cv2.GaussianBlur(green, (0, 0), 1.0), cv2.CV_32F)
    core = cv2.erode(inside.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    core = core if core.any() else inside
    if not core.any():
        return {"brightness": 0.0, "sharpness": 0.0, "side": float(square.side)}
    light = float(small.max(axis=2)[core].mean())
    sharpness = float(detail[core].std() / max(float(green[core].mean()), 1.0))
    return {"brightness": light, "sharpness": sharpness, "side": float(square.side)}


# ---- splits --------------------------------------------------------------------------------------------------------

def split_validation(photographs, share=0.2, seed=0):
    """-> (training, validation), patient by patient within each set, the same for the same seed whatever the order given.

    Each set gives about `share` of its patients, at least one and never all; a set with a single patient is a Problem. Seed 0
    takes the last ones, as published recipes do (DRIVE 37-40, HRF 05 of each group); any other seed draws them.
    """
    training, validation = [], []
    for name in sorted({photograph.set for photograph in photographs}):
        own = sorted((p for p in photographs if p.set == name), key=lambda p: (p.split, p.name))
        patients = sorted({p.patient for p in own})
        if len(patients) < 2:
            raise Problem(f"{own[0].path.parent}: all photographs are of one patient; "
                          "two or more are needed for a validation part.")
        count = min(max(1, round(share * len(patients))), len(patients) - 1)
        chosen = set(random.Random(f"{seed} {name}").sample(patients, count) if seed else patients[-count:])
        validation += [p for p in own if p.patient in chosen]
        training += [p for p in own if p.patient not in chosen]
    return training, validation


def photographs_of(folders, split, whole_sets=()):
    """The photographs of `split` ('training', 'test', 'all') in `folders`. `whole_sets`: sets without an official training
    split, STARE say, that are taken whole for training when one asks for it."""
    chosen = []
    for found in find_sets(folders):
        if split == "training" and found.name in whole_sets:
            if any(p.split == "training" for p in found.photographs):
                raise Problem(f"{found.folder}: {found.name} has an official split; its test photographs are not for training.")
            chosen += found.photographs
        else:
            chosen += found.photographs if split == "all" else found.of(split)
    if not chosen:
        raise Problem(f"{', '.join(map(str, folders))}: there is no photograph of the {split} split. "
                      "`python data.py` shows what there is.")
    return chosen


# ---- the doctor ----------------------------------------------------------------------------------------------------

def examine(found):
    """Reads all of a set -> a line of its table a split, and a sentence for everything that is wrong."""
    wrong = list(found.problems)
    rows = []
    for split in ("training", "test", "all"):
        photographs = [p for p in found.photographs if p.split == split]
        sizes = {}
        for photograph in photographs:
            try:
                rgb = read_photograph(photograph.path)
                sizes[rgb.shape[1], rgb.shape[0]] = sizes.get((rgb.shape[1], rgb.shape[0]), 0) + 1
                fov_of(photograph, rgb)
                for mask in filter(None, (photograph.mask, photograph.second)):
                    read_vessels(mask, rgb.shape)
            except Problem as problem:
                wrong.append(str(problem))
        if photographs:
            shown = ", ".join(f"{w} x {h}" for w, h in sorted(sizes)[:3]) + (", ..." if len(sizes) > 3 else "")
            rows.append({"set": found.name, "split": split if split != "all" else "(none)", "photographs": len(photographs),
                         "patients": len({p.patient for p in photographs}), "masks": sum(p.mask is not None for p in photographs),
                         "second observer": sum(p.second is not None for p in photographs),
                         "FOVs": sum(p.fov is not None for p in photographs) or "found", "width x height": shown})
    return rows, wrong


def draw_found(sets, path, most=120):
    """A contact sheet of the photographs with their vessels and FOVs outlined, to see a wrong pairing at a glance."""
    from files import write_png
    from pictures import ORANGE, contact_sheet, outlined, shrunk

    shown, labels = [], []
    for photograph in [p for found in sets for p in found.photographs][:most]:
        try:
            rgb = read_photograph(photograph.path)
            small = shrunk(rgb, 512)
            scaled = [shrunk(m.astype(np.uint8) * 255, 512) >= 128 for m in
                      [fov_of(photograph, rgb)] + ([read_mask(photograph.mask, rgb.shape)] if photograph.mask else [])]
        except Problem as problem:
            say(problem)
            continue
        drawn = outlined(small, scaled[0], ORANGE, 2)
        shown.append(outlined(drawn, scaled[1]) if photograph.mask else drawn)
        labels.append(f"{photograph.set} {photograph.name}")
    write_png(path, contact_sheet(shown, labels, columns=5, size=400))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="DIR", help="folders of data sets (default: datasets/, else samples/)")
    add("--picture", type=Path, metavar="FILE.png", help="draw every photograph with vessels (blue) and FOV (orange)")
    add("--download", choices=["chase_db1", "hrf", "stare", "drive", "fives"],
        help="fetch a set into datasets/, or say how to get it")
    return parser.parse_args()


def main():
    options = arguments()
    if options.download:
        from sets.download import download, how_to_get

        if options.download in ("drive", "fives"):
            say(how_to_get(options.download))
        else:
            say(f"{download(options.download, Path('datasets'))}: is complete. Next: python augment.py")
        return 0
    import pandas as pd

    from sets.download import about_originals

    sets = find_sets(options.folders or default_folders(), strict=False)
    rows, wrong = [], []
    for found in sets:
        own_rows, own_wrong = examine(found)
        rows, wrong = rows + own_rows, wrong + own_wrong
        remarks = [*(remark.rstrip(".") for remark in found.remarks), about_originals(found.folder)]
        say(". ".join([f"{found.folder}: {found.name}", *remarks]).rstrip())
    say(pd.DataFrame(rows).to_string(index=False))
    if options.picture:
        draw_found(sets, options.picture)
        say(f"The picture is {options.picture}.")
    for sentence in wrong:
        complain(f"wrong: {sentence}")
    given = f" --data {' '.join(map(str, options.folders))}" if options.folders else ""
    say(f"{sum(row['photographs'] for row in rows)} photographs, {len(wrong)} wrong. "
        + ("Mend these first." if wrong else f"Next: python augment.py{given}"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
