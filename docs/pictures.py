"""Draws the pages' pictures with the shipped model: scikit-image's CC0 retina, and one of the drawn samples.

    python docs/pictures.py
"""

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from photographs.fov import find_fov  # noqa: E402
from photographs.reading import read_photograph  # noqa: E402
from pictures import in_a_row, outlined, shrunk  # noqa: E402
from running.files import write_bytes  # noqa: E402
from running.tensorflow_start import start_tensorflow  # noqa: E402

PART = slice(380, 680), slice(600, 900)  # px of the retina: the disc's edge, thick vessels and thin ones


def main():
    start_tensorflow()
    from skimage.data import retina

    import checkpoint
    from predict import Predictor

    network, card = checkpoint.load(checkpoint.SHIPPED)
    predictor = Predictor(network, card.plan(tta=True))
    drawn = read_photograph(ROOT / "samples/test/images/drawn_09.png")
    for name, rgb in (("retina", retina()), ("drawn", drawn)):
        segmented = predictor.segment(rgb, find_fov(rgb))
        outline = outlined(rgb, segmented.mask, thickness=max(1, len(rgb) // 700))
        shown = [rgb, (segmented.levels >> 8).astype(np.uint8), outline]
        row = in_a_row([shrunk(picture, 480) for picture in shown],
                       ["photograph", "probability", "prediction, outlined"])
        write_jpeg(name, row)
    write_jpeg("altered", altered(predictor, retina()))


def altered(predictor, rgb):
    """Returns the vessels that are found in a part of a photograph as it is and after it was altered."""
    small = cv2.resize(rgb, None, fx=1 / 4, fy=1 / 4, interpolation=cv2.INTER_AREA)
    compressed = cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], cv2.IMREAD_COLOR)
    pictures = {"as published": rgb, "a quarter of its size": small, "JPEG quality 10": compressed,
                "blurred, sigma 6": cv2.GaussianBlur(rgb, (0, 0), 6), "an eighth of the light": rgb // 8}
    shown = []
    for picture in pictures.values():
        mask = predictor.segment(picture, find_fov(picture)).mask
        large, mask = (cv2.resize(each, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                       for each in (picture, mask.view(np.uint8)))
        shown.append(outlined(large, mask.view(bool))[PART])
    return in_a_row(shown, pictures)


def write_jpeg(name, picture):
    content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    write_bytes(ROOT / "docs" / f"{name}.jpg", content.tobytes())


if __name__ == "__main__":
    main()
