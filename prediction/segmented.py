"""A segmented photograph, and its row of predictions.csv."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics import HIGHEST
from photographs import measures
from photographs.quality import describe, warnings_of
from photographs.square import Square


@dataclass(frozen=True)
class Segmented:
    """A segmented photograph.

    rgb (H, W, 3) uint8; fov (H, W) bool; levels (H, W) uint16, the probability, 65535 = 1, and 0 outside the
    FOV; mask (H, W) bool; spread (H, W) float32, the standard deviation over the views, 0 with a single one;
    pen: the name of what the vessels were drawn with (prediction/pen.py), "" if they were drawn elsewhere.
    """

    rgb: np.ndarray
    fov: np.ndarray
    levels: np.ndarray
    mask: np.ndarray
    spread: np.ndarray | None = None
    pen: str = ""


def row_of(name, path, segmented, card):
    """Returns a photograph's row of predictions.csv as a dict."""
    fov, levels = segmented.fov, segmented.levels
    square = Square.around(fov)
    file = path.as_posix() if isinstance(path, Path) else path  # a URI
    row = {"name": name, "file": file, "width": fov.shape[1], "height": fov.shape[0],
           "fov_share": round(float(fov.mean()), 4), "fov_top": square.top, "fov_left": square.left,
           "certainty": round(certainty_of(levels, segmented.mask), 4),
           "pen": segmented.pen}
    row |= {key: float(f"{value:.5g}") for key, value in measures.measures(segmented.mask, fov).items()}
    description = describe(segmented.rgb, fov, square) | {"vessel_density": row["vessel_density"]}
    warnings = warnings_of(description, fov, card.get("photographs", {}))
    return row | {"warnings": "; ".join(warnings.values()), "status": "done"}


def certainty_of(levels, mask):
    """Returns the Dice that a mask, (H, W) bool, can expect if its probabilities, (H, W) uint16, are true.

    It is twice the probability within the mask over all probability and the area of the mask; 0 where nothing
    is found at all. The mean certainty of all pixels would be highest where most vessels were missed.
    """
    expected = int(levels.sum()) + HIGHEST * int(mask.sum())
    return 2 * int(levels[mask].sum()) / expected if expected else 0.0
