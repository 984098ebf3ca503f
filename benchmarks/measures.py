"""How far the measures move when another observer, or the prediction, stands in for the first observer.

    python benchmarks/measures.py                                     the two observers of datasets/CHASE_DB1
    python benchmarks/measures.py --masks results/masks --split test  and the masks that testing.py wrote

For each measure m and photograph the movement is |m(other) - m(first)| / |m(first)|; the table gives its
median over the photographs, and in brackets the median of the same with its sign. The column "between eyes"
is there to judge it by: the median of |m - median| / |median| over the photographs, all by the first
observer.
"""

import sys
from pathlib import Path

import numpy as np
from machine import flags, in_markdown
from tqdm import tqdm

from data import photographs_of
from photographs.fov import fov_of
from photographs.measures import measures
from photographs.reading import read_photograph, read_vessels
from running.command import Problem, run


def arguments():
    parser = flags(__doc__)
    parser.add_argument("--data", type=Path, default=Path("datasets/CHASE_DB1"),
                        help="folder of a set with two observers (default: %(default)s)")
    parser.add_argument("--masks", type=Path, help="folder of predicted masks, NAME.png of a photograph NAME")
    parser.add_argument("--split", choices=("all", "test"), default="all",
                        help="for a prediction, test: what its model has not seen (default: %(default)s)")
    return parser.parse_args()


def measured(photograph, masks):
    """Returns {'first', 'second' or 'prediction': measures} of a photograph, for the masks that there are."""
    rgb = read_photograph(photograph.path)
    paths = {"first": photograph.mask, "second": photograph.second}
    if masks and (masks / f"{photograph.name}.png").exists():
        paths["prediction"] = masks / f"{photograph.name}.png"
    fov = fov_of(photograph, rgb)
    return {who: measures(read_vessels(path, rgb.shape), fov) for who, path in paths.items() if path}


def movement(rows, who, key):
    """Returns the medians over photographs of the relative difference to the first observer, |d| and d."""
    pairs = np.array([(row["first"][key], row[who][key]) for row in rows if who in row])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (pairs[:, 1] - pairs[:, 0]) / np.abs(pairs[:, 0])
    moved = moved[np.isfinite(moved)]
    return (np.median(np.abs(moved)), np.median(moved)) if len(moved) else (np.nan, np.nan)


def others_in(rows):
    """Returns who is compared with the first observer, {'second' or 'prediction': number of photographs}."""
    counts = {who: sum(who in row for row in rows) for who in ("second", "prediction")}
    return {who: count for who, count in counts.items() if count}


def lines_of(rows):
    """Yields a line of the table for each measure but for shares, which move as their pixels do."""
    for key in rows[0]["first"]:
        if key == "fov_diameter_px" or key.endswith("_share"):
            continue
        values = np.array([row["first"][key] for row in rows])
        middle = np.nanmedian(values)
        between_eyes = np.nanmedian(np.abs(values - middle)) / middle
        moved = ["{:.1%} ({:+.1%})".format(*movement(rows, who, key)) for who in others_in(rows)]
        yield key, f"{middle:.5g}", f"{between_eyes:.1%}", *moved


def main():
    options = arguments()
    photographs = [photograph for photograph in photographs_of([options.data], options.split)
                   if photograph.mask]
    rows = [measured(photograph, options.masks)
            for photograph in tqdm(photographs, disable=None, unit="photograph")]
    if options.masks and not any("prediction" in row for row in rows):
        raise Problem(f"{options.masks}: holds no mask of these photographs (NAME.png). "
                      "Give the folder that testing.py wrote.")
    if not others_in(rows):
        raise Problem(f"{options.data}: there is no second observer to compare with. Give --masks.")
    heads = [f"{who} ({count} photographs)" for who, count in others_in(rows).items()]
    in_markdown(["measure", "first observer", "between eyes", *heads], lines_of(rows))


if __name__ == "__main__":
    sys.exit(run(main))
