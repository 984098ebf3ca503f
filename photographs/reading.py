"""How pictures of data sets and users are read, whatever the format; what is not a sound one is a Problem."""

import gzip
import io
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from running.command import Problem

EXTENSIONS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".webp"}
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP")  # Pillow's EPS would start Ghostscript
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's names for more than 8 bits a channel
SMALLEST_SIDE = 32  # px, of a photograph and of its FOV
LARGEST_PICTURE = 60_000_000  # px: 1 GB and two seconds to read; the largest fundus cameras write 50 million
LARGEST_FILE = 8 * LARGEST_PICTURE  # bytes: uncompressed, 16 bits, with alpha


def read_photograph(path):
    """Returns (H, W, 3) uint8 RGB, turned as its EXIF says.

    Raises Problem if the file is not a sound picture or is smaller than 32 x 32 pixels.
    """
    return rgb_from(_content(path), path)


def rgb_from(content, path):
    """Returns the bytes of a file as `read_photograph` does. Problems name `path`.

    16 bits keep their upper eight; floats are taken as 0 to 1 if none is above 1, else as 0 to 255 or 65535.
    """
    picture = _decoded(content, path)
    if min(picture.size) < SMALLEST_SIDE:
        raise Problem(f"{path}: has {picture.width} x {picture.height} pixels; "
                      f"a photograph needs {SMALLEST_SIDE} x {SMALLEST_SIDE} or more.")
    values = _values(picture, path)
    if values.dtype != np.uint8:
        largest = values.max()
        values *= 255 if largest <= 1 and picture.mode == "F" else 1 if largest <= 255 else 255 / 65535
        values = values.astype(np.uint8)
    return np.ascontiguousarray(values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2))


def read_mask(path, shape=None):
    """Returns a mask as (H, W) bool, cut at half of the file's own maximum.

    So it may hold 1 bit, 0 and 1, 0 and 255, a palette, greys or one colour on black. Raises Problem if its
    size is not `shape`, that of its photograph.
    """
    values = _values(_decoded(_content(path), path), path)
    if values.ndim == 3:
        values = brightest(values)
    if shape is not None and values.shape != tuple(shape[:2]):
        raise Problem(f"{path}: is {values.shape[1]} x {values.shape[0]}, its photograph "
                      f"{shape[1]} x {shape[0]}. Give the mask that was drawn on this photograph.")
    return values > values.max(initial=0) / 2


def read_vessels(path, shape, empty_is_fine=False):
    """Returns a mask of vessels as `read_mask` does.

    Raises Problem also if it is mostly white (inverted, or not of vessels) or empty, unless that is fine.
    """
    mask = read_mask(path, shape)
    if mask.mean() > 0.5:
        raise Problem(f"{path}: more than half of it is white. Vessels are white on black: "
                      "invert it, or give the right file.")
    if not empty_is_fine and not mask.any():
        raise Problem(f"{path}: is black everywhere, so no vessel is drawn. "
                      "Give the right mask or remove this photograph.")
    return mask


def brightest(rgb):
    """Returns the largest of the channels, (H, W, 3) -> (H, W), in a ninth of the time of max(axis=2)."""
    return np.maximum(rgb[..., 0], np.maximum(rgb[..., 1], rgb[..., 2]))


def _content(path):
    """Returns the bytes of a file, unpacked. Devices, pipes and too large files are not read at all."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise Problem(f"{path}: cannot be read (it is not a file). Give a picture.")
        large = path.stat().st_size > LARGEST_FILE
        content = b"" if large else path.read_bytes()
        if not large and path.suffix.lower() == ".gz":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST_FILE + 1)
            large = len(content) > LARGEST_FILE
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if large:
        raise Problem(f"{path}: has more than {LARGEST_FILE >> 20} MB. Shrink it first.")
    return content


def _decoded(content, path):
    """Returns a file's bytes as a Pillow image, turned as EXIF says, in mode L, RGB or one of DEEP_MODES."""
    Image.MAX_IMAGE_PIXELS = None  # _check_size limits it, with a sentence of ours
    if not content:
        raise Problem(f"{path}: is empty (0 bytes). Copy it again from where it came.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_size(picture, content, path)
            picture.load()
            turned = _upright(picture)
            return turned if turned.mode in ("L", "RGB", *DEEP_MODES) else turned.convert("RGB")
    except (Problem, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to
        unknown = isinstance(error, UnidentifiedImageError)
        why = "" if unknown else f" ({type(error).__name__}: {str(error)[:100]})"
        raise Problem(f"{path}: is damaged, or is not a picture that can be read{why}. "
                      "Copy it again, or convert it to PNG.") from error


def _check_size(picture, content, path):
    """Raises Problem if the header, before anything is decoded, asks for hours or for all of the memory."""
    width, height = picture.size
    if width * height > LARGEST_PICTURE:
        raise Problem(f"{path}: has {width} x {height} pixels, more than {LARGEST_PICTURE:,}. "
                      "Shrink it first.")
    # A PPM in words takes a second a million pixels; a sound progressive JPEG has about ten scans.
    in_words = picture.format == "PPM" and picture.tile[0][0] != "raw"
    scans = content.count(b"\xff\xda") if picture.format == "JPEG" else 1
    if width * height * (1000 if in_words else scans) > 25 * LARGEST_PICTURE:
        raise Problem(f"{path}: would take very long to read. Convert it to PNG.")


def _upright(picture):
    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:  # EXIF that cannot be read says nothing about the pixels
        return picture
    way = Image.Transpose
    turns = {2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM,
             5: way.TRANSPOSE, 6: way.ROTATE_270, 7: way.TRANSVERSE, 8: way.ROTATE_90}
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _values(picture, path):
    """Returns (H, W) or (H, W, 3) uint8, or of a deep picture (H, W) float32 as in the file, 0 to 65535."""
    if picture.mode not in DEEP_MODES:
        return np.asarray(picture)
    values = np.asarray(picture).astype(np.float32)
    if not np.isfinite(values).all():
        raise Problem(f"{path}: holds values that are not numbers (NaN or infinite). "
                      "Write it again as 8-bit PNG.")
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise Problem(f"{path}: holds values that are negative or above 65535. Write it again as 8-bit PNG.")
    return values
