"""How far density and width move when the same photographs are half and a quarter as large.

    python benchmarks/shrunk.py --data datasets/HRF datasets/CHASE_DB1 --pens default none

The figures are means over the photographs, as shares of what the whole photograph has; the width in shares of
the FOV's diameter.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from machine import flags

from data import photographs_of
from photographs.fov import fov_of
from photographs.measures import measures
from photographs.reading import read_photograph
from running.command import run, say
from running.tensorflow_start import start_tensorflow

KEYS = {"vessel_density": "density", "width_mean_share": "width"}


def arguments():
    parser = flags(__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sets")
    parser.add_argument("--pens", nargs="+", default=["default", "none"], help="(default: %(default)s)")
    parser.add_argument("--photographs", type=int, default=3, help="of a set (default: %(default)s)")
    parser.add_argument("--times", type=int, nargs="+", default=[2, 4], help="smaller (default: %(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    start_tensorflow()
    import checkpoint
    from predict import Predictor

    network, card = checkpoint.load(checkpoint.SHIPPED)
    predictors = {pen: Predictor(network, card.plan(pen=pen)) for pen in options.pens}
    for folder in options.data:
        for pen, predictor in predictors.items():
            rows = [row(predictor, photograph, options.times)
                    for photograph in photographs_of([folder], "all")[:options.photographs]]
            moved = dict(zip(options.times, 100 * np.mean(rows, axis=0), strict=True))
            say(f"{folder.name}, pen {pen}: " + "; ".join(
                f"1/{times}: " + ", ".join(f"{name} {value:+.1f} %" for name, value
                                           in zip(KEYS.values(), values, strict=True))
                for times, values in moved.items()))
    return 0


def row(predictor, photograph, times):
    """Returns what moves when a photograph is so many times smaller, (times, KEYS), as shares."""
    rgb = read_photograph(photograph.path)
    fov = fov_of(photograph, rgb)
    found = np.array([measured(predictor, *smaller(rgb, fov, by)) for by in (1, *times)])
    return found[1:] / found[0] - 1


def smaller(rgb, fov, by):
    """Returns photograph and FOV, `by` times smaller."""
    size = fov.shape[1] // by, fov.shape[0] // by
    inside = cv2.resize(fov.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), inside


def measured(predictor, rgb, fov):
    found = measures(predictor.segment(rgb, fov).mask, fov)
    return [found[key] for key in KEYS]


if __name__ == "__main__":
    sys.exit(run(main))
