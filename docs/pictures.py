"""Draws README's pictures with the shipped model: scikit-image's CC0 retina, and one of the drawn samples.

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
        content = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        write_bytes(ROOT / "docs" / f"{name}.jpg", content.tobytes())


if __name__ == "__main__":
    main()
