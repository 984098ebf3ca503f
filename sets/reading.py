"""How the pictures of data sets and of users are read: one reader for every format, and what is no sound picture is a Problem."""

import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np

from files import Problem

EXTENSIONS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".webp"}
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP")  # no other of Pillow's readers: EPS would start Ghostscript
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's modes of more than 8 bits
SMALLEST = 32  # pixels a side of a photograph and of a field of view
MOST_PIXELS = 60_000_000  # 1 GB and two seconds while they are read; the largest fundus cameras write 50 million
MOST_BYTES = 8 * MOST_PIXELS  # of a file: uncompressed with 16 bits and alpha


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


def brightest(values):
    """(H, W, 3) -> (H, W): the largest of the three channels; max(axis=2) takes 9 times longer."""
    return np.maximum(values[..., 0], np.maximum(values[..., 1], values[..., 2]))


def read_mask(path, shape=None):
    """-> (H, W) bool: 1-bit, 0/1, 0/255, palette, grey or one colour on black, cut at half of the file's own maximum.

    `shape` is the photograph's (H, W); another size is a Problem.
    """
    values = _values(_open(path), path)
    if values.ndim == 3:
        values = brightest(values)
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
