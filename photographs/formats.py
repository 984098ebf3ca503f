"""Which file formats can be read, and how a file of any of them becomes an array.

    content = content_of(path)               the bytes of a file, unpacked
    picture = picture_of(content, path)      its values, upright; Problems and remarks name `path`
"""

import contextlib
import errno
import gzip
import io
import os
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION

from photographs import dicom
from running.command import Problem

EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp",
              ".avif", ".ppm", ".pgm", ".pnm", ".jp2", ".j2k", ".jpf", ".jpx", ".dcm", ".dicom",
              ".heic", ".heif"}  # the last two only to say what can be done with them
PACKED = (".ppm.gz", ".pgm.gz", ".pnm.gz")  # STARE's
# Pillow's names, MPO being a JPEG at first; its EPS would start Ghostscript
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP", "JPEG2000", "AVIF")
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's names for more than 8 bits a channel
LARGEST_PICTURE = 60_000_000  # px: 1 GB and two seconds to read; the largest fundus cameras write 50 million
LARGEST_FILE = 8 * LARGEST_PICTURE  # bytes: uncompressed, 16 bits, with alpha
MOST_PAGES = 100  # of a file are looked at
Image.MAX_IMAGE_PIXELS = None  # _check_header limits it, with a sentence of ours

HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")  # brands of such a file
NO_RIGHT = "Give yourself the right to read it, or leave it out."
# Of one photograph among many, which may be left out; running/command.py has those that end a command.
REMEDIES = {errno.EACCES: NO_RIGHT, errno.EPERM: NO_RIGHT,
            errno.ENOENT: "Give a photograph that is there, or a folder of them.",
            errno.EIO: "The disk or the network is failing: try again, and have it checked."}
SEVERAL_PAGES = "has several pages, of which the largest is read"
SEVERAL_FRAMES = "has several frames, of which the first is read"


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    values (H, W) or (H, W, 3), uint8 or float32 from 0 to 65535 as in the file; alpha (H, W) uint8 or None;
    is_float: the file holds floats, of which 1 may be the largest; is_scaled: 65535 is white, since the file
    says how many bits are used; remarks: what should be said of the file.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    is_float: bool = False
    is_scaled: bool = False
    remarks: tuple[str, ...] = field(default=())


def is_picture(name):
    """Returns whether a file's name is one of a picture that can be read, whatever its case."""
    name = str(name).lower()
    return Path(name).suffix in EXTENSIONS or name.endswith(PACKED)


def content_of(path):
    """Returns the bytes of a file, unpacked. Devices, pipes and too large files are not read at all."""
    path = Path(path)
    try:
        if path.is_dir():
            os.scandir(path).close()  # of a folder that could not be looked into: raises why
        if path.exists() and not path.is_file():
            raise Problem(f"{path}: cannot be read (it is not a file). Give a picture.")
        large = path.stat().st_size > LARGEST_FILE
        content = b"" if large else path.read_bytes()
        if not large and path.suffix.lower() == ".gz":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST_FILE + 1)
            large = len(content) > LARGEST_FILE
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}). "
                      f"{_remedy(path, error)}") from error
    if large:
        raise Problem(f"{path}: has more than {LARGEST_FILE >> 20} MB. Shrink it first.")
    return content


def _remedy(path, error):
    """Returns what to do about a file or folder that cannot be read."""
    if os.path.islink(path) and not os.path.exists(path):
        return f"It is a link to {os.readlink(path)}, which is not there. Put that back, or remove the link."
    return REMEDIES.get(getattr(error, "errno", None), "Copy it again from where it came.")


def picture_of(content, path):
    """Returns the Picture in a file's bytes, turned as its EXIF says; raises Problem if there is none."""
    if not content:
        raise Problem(f"{path}: is empty (0 bytes). Copy it again from where it came.")
    if content[4:8] == b"ftyp" and content[8:12] in HEIC and b"avif" not in content[8:64]:
        raise Problem(f"{path}: is a HEIC picture, as iPhones write them, which is not read here. "
                      "Save it as JPEG or PNG; on the phone: Settings, Camera, Formats, Most Compatible.")
    if dicom.is_dicom(content):
        values, frames = dicom.values_of(content, path, LARGEST_PICTURE)
        return Picture(values, is_scaled=True, remarks=(SEVERAL_FRAMES,) * (frames > 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(content, path)
    except (Problem, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to
        unknown = isinstance(error, UnidentifiedImageError)
        why = "" if unknown else f" ({type(error).__name__}: {str(error)[:100]})"
        raise Problem(f"{path}: is damaged, or is not a picture that can be read{why}. "
                      "Copy it again, or convert it to PNG.") from error


def orientation_of(path):
    """Returns the EXIF orientation of a file, 1 to 8; 1 where there is none or the file cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return _orientation(picture)
    except Exception:  # reading the file says what is wrong with it
        return 1


def pixels_of(path):
    """Returns the pixels of a file by its header; where only decoding would tell, the most that are read."""
    if not os.path.isfile(path):  # a pipe, say, which would be waited for: reading will refuse it
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                return picture.width * picture.height
    except Exception:  # packed, a DICOM file, or one that reading will refuse
        return LARGEST_PICTURE


def turned(values, orientation):
    """Returns (H, W[, C]) turned as an EXIF orientation says, a view."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return values[rows, columns]


# ---- Pillow ----------------------------------------------------------------------------------------------

def _decoded(content, path):
    picture = Image.open(io.BytesIO(content), formats=FORMATS)
    page, remarks = _go_to_largest_page(picture)
    _check_header(picture, content, path)
    deep_colours = picture.format == "JPEG2000" or bool(picture.tile) and ";16" in str(picture.tile[0])
    picture.load()
    orientation = _orientation(picture)
    values, alpha = _values_and_alpha(picture, path)
    # Pillow keeps the upper eight of 16 bits a colour: of 10 or 12 bits, it keeps two or four.
    if deep_colours and values.dtype == np.uint8 and values.max() < 64:
        _refuse_planes(picture, path)  # OpenCV misreads them
        values = _in_full_depth(content, page, values)
    return Picture(turned(values, orientation), None if alpha is None else turned(alpha, orientation),
                   is_float=picture.mode == "F", remarks=remarks)


def _go_to_largest_page(picture):
    """Goes to the largest page of a TIFF or MPO, the first of equals; returns it, and what to say of that.

    The smaller pictures of an MPO are previews, which every telephone adds: no word on them.
    """
    if picture.format not in ("TIFF", "MPO"):
        with contextlib.suppress(Exception):  # the first picture of a damaged GIF is read all the same
            return 0, (SEVERAL_FRAMES,) * getattr(picture, "is_animated", False)
        return 0, ()
    areas = []
    try:
        while len(areas) < MOST_PAGES:
            picture.seek(len(areas))
            areas.append(picture.width * picture.height)
    except Exception:  # the end, or a damaged page
        pass
    page = int(np.argmax(areas))
    picture.seek(page)
    several = len(areas) > 1 if picture.format == "TIFF" else areas.count(areas[page]) > 1
    return page, (SEVERAL_PAGES,) * several


def _check_header(picture, content, path):
    """Raises Problem, before anything is decoded, of what would take hours or all memory, or be misread."""
    width, height = picture.size
    if width * height > LARGEST_PICTURE:
        raise Problem(f"{path}: has {width} x {height} pixels, more than {LARGEST_PICTURE:,}. "
                      "Shrink it first.")
    # A PPM in words takes a second a million pixels; a sound progressive JPEG has about ten scans.
    in_words = picture.format == "PPM" and picture.tile[0][0] != "raw"
    scans = content.count(b"\xff\xda") if picture.format in ("JPEG", "MPO") else 1
    if width * height * (1000 if in_words else scans) > 25 * LARGEST_PICTURE:
        raise Problem(f"{path}: would take very long to read. Convert it to PNG.")
    if picture.info.get("compression") == "raw":  # Pillow reads compressed planes alone
        _refuse_planes(picture, path)


def _refuse_planes(picture, path):
    tags, several = getattr(picture, "tag_v2", {}), len(picture.getbands()) > 1
    if several and tags.get(PLANAR_CONFIGURATION) == 2 and max(tags.get(BITSPERSAMPLE, (1,))) > 8:
        raise Problem(f"{path}: is a TIFF of more than 8 bits with its colours in planes, which is not read "
                      "here. Convert it to PNG, or write each pixel's colours together.")


def _orientation(picture):
    orientation = 1
    with contextlib.suppress(Exception):  # EXIF that cannot be read says nothing about the pixels
        orientation = picture.getexif().get(0x0112)
    return orientation if orientation in range(1, 9) else 1


def _values_and_alpha(picture, path):
    """Returns (H, W[, 3]) uint8, or of a deep picture (H, W) float32, 0 to 65535; and its alpha or None."""
    if picture.mode in DEEP_MODES:
        return _deep_values(picture, path), None
    if picture.mode in ("L", "RGB"):
        return np.asarray(picture), None
    if picture.has_transparency_data:
        layers = np.asarray(picture.convert("RGBA"))
        return np.ascontiguousarray(layers[..., :3]), np.ascontiguousarray(layers[..., 3])
    return np.asarray(picture.convert("RGB")), None


def _deep_values(picture, path):
    values = np.asarray(picture).astype(np.float32)
    if picture.mode == "I;16" and getattr(picture, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == 0:
        values = 65535 - values  # white is zero, which Pillow heeds in 8 bits alone
    if not np.isfinite(values).all():
        raise Problem(f"{path}: holds values that are not numbers (NaN or infinite). "
                      "Write it again as 8-bit PNG.")
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise Problem(f"{path}: holds values that are negative or above 65535. Write it again as 8-bit PNG.")
    return values


def _in_full_depth(content, page, values):
    """Returns all bits of a page's colours, (H, W, 3) float32, where OpenCV reads them, else `values`."""
    _, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED,
                                 range=(page, page + 1))
    deep = pages[0] if pages else values
    is_deep = deep.dtype == np.uint16 and deep.ndim == 3 and deep.shape[:2] == values.shape[:2]
    return deep[..., 2::-1].astype(np.float32) if is_deep else values
