"""Draws README's pictures with the shipped model: scikit-image's CC0 retina and the drawn samples, no data set's photograph.

    python docs/pictures.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from files import start_tensorflow, write_bytes  # noqa: E402


def main():
    start_tensorflow()
    import cv2
    import numpy as np
    from skimage.data import retina

    import data
    import model as models
    from pictures import in_a_row, outlined, shrunk
    from predict import Predictor, plan_of, segment

    predictor = Predictor(models.SHIPPED)
    plan = plan_of(predictor.card, tta=True)
    photographs = {"retina": retina(), "drawn": data.read_photograph(ROOT / "samples/test/images/drawn_09.png")}
    for name, photograph in photographs.items():
        levels, mask, spread = segment(predictor, plan, photograph, data.find_fov(photograph))
        shown = [photograph, (levels >> 8).astype(np.uint8), outlined(photograph, mask, thickness=max(1, len(mask) // 700))]
        row = in_a_row([shrunk(picture, 480) for picture in shown], ["photograph", "probability", "prediction, outlined"])
        done, content = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        write_bytes(ROOT / "docs" / f"{name}.jpg", content.tobytes())


if __name__ == "__main__":
    main()
