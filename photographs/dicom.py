"""DICOM files: their picture, and nothing of their header, which holds names and dates of birth."""

import io
import warnings

import numpy as np

from running.command import Problem


def is_dicom(content):
    """Returns whether a file's bytes, of which the first 132 are enough, are those of a DICOM file."""
    return content[128:132] == b"DICM"


def values_of(content, path, largest):
    """Returns the first frame of a DICOM file and how many there are.

    The frame is (H, W) or (H, W, 3), uint8, or float32 scaled to 0 to 65535 where more bits are stored.
    Raises Problem if it holds no picture, one of more than `largest` pixels, or one that cannot be decoded.
    """
    try:
        import pydicom  # here: few have such files
    except ImportError as error:
        raise Problem(f"{path}: is a DICOM file, for which pydicom is needed: pip install pydicom") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = pydicom.dcmread(io.BytesIO(content))
            if "PixelData" not in file:
                raise Problem(f"{path}: is a DICOM file without a picture. Give the file of the photograph.")
            if int(file.Rows) * int(file.Columns) > largest:
                raise Problem(f"{path}: has {file.Columns} x {file.Rows} pixels, more than {largest:,}. "
                              "Shrink it first.")
            return _frame(file, path), int(file.get("NumberOfFrames") or 1)
    except (Problem, MemoryError):
        raise
    except Exception as error:  # no word of pydicom's, which may quote the header
        raise Problem(f"{path}: is damaged, or is not a picture that can be read (DICOM, "
                      f"{type(error).__name__}). Export it from the camera's program as PNG.") from error


def _frame(file, path):
    from pydicom.pixels import apply_color_lut, pixel_array

    try:
        values = pixel_array(file, index=0)
    except RuntimeError as error:  # no decoder for this compression is installed
        kind = file.file_meta.TransferSyntaxUID.name
        raise Problem(f"{path}: its picture cannot be unpacked ({kind}). Export it from the camera's program "
                      "as PNG, or pip install -r requirements-dicom.txt") from error
    if file.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, file)
        largest = np.iinfo(values.dtype).max
    else:
        largest = 2 ** int(file.BitsStored) - 1
    if file.PhotometricInterpretation == "MONOCHROME1":
        values = largest - values
    if values.dtype == np.uint8 and largest == 255:
        return values
    return np.clip(values.astype(np.float32) * np.float32(65535 / largest), 0, 65535)
