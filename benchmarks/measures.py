"""How far the measures move when another observer, or the prediction, stands in for the first observer.

    python benchmarks/measures.py                                     the two observers of datasets/CHASE_DB1
    python benchmarks/measures.py --masks results/masks --split test  and the masks that testing.py wrote

For each measure m and photograph the movement is |m(other) - m(first)| / |m(first)|; the table gives its median over
the photographs, and in brackets the median of the same with its sign. The column "between eyes" is there to judge it
by: the median of |m - median| / |median| over the photographs, all by the first observer.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a measures.py too

from files import Problem, run, say  # noqa: E402


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("datasets/CHASE_DB1"),
                        help="folder of a set with two observers")
    parser.add_argument("--masks", type=Path, help="folder of predicted masks, each named as its photograph, NAME.png")
    parser.add_argument("--split", choices=("all", "test"), default="all",
                        help="which photographs; for a prediction those that its model has not seen: test")
    return parser.parse_args()


def measured(photograph, masks):
    """{'first' | 'second' | 'prediction': measures} of one photograph, for the masks that there are."""
    from data import fov_of, read_mask, read_photograph
    from measures import measures

    rgb = read_photograph(photograph.path)
    paths = {"first": photograph.mask, "second": photograph.second}
    if masks and (masks / f"{photograph.name}.png").exists():
        paths["prediction"] = masks / f"{photograph.name}.png"
    fov = fov_of(photograph, rgb)
    return {who: measures(read_mask(path, rgb.shape), fov) for who, path in paths.items() if path}


def movement(rows, who, key):
    """(size, signed): medians over the photographs of the relative difference to the first observer."""
    pairs = np.array([(row["first"][key], row[who][key]) for row in rows if who in row])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (pairs[:, 1] - pairs[:, 0]) / np.abs(pairs[:, 0])
    moved = moved[np.isfinite(moved)]
    return (np.median(np.abs(moved)), np.median(moved)) if len(moved) else (np.nan, np.nan)


def table(rows):
    """Markdown: a line a measure. Shares are left out, they move as their pixels do."""
    others = [who for who in ("second", "prediction") if any(who in row for row in rows)]
    counts = [sum(who in row for row in rows) for who in others]
    heads = [f"{who} ({count} photographs)" for who, count in zip(others, counts, strict=True)]
    heads = ["measure", "first observer", "between eyes", *heads]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for key in rows[0]["first"]:
        if key == "fov_diameter_px" or key.endswith("_share"):
            continue
        values = np.array([row["first"][key] for row in rows])
        middle = np.nanmedian(values)
        cells = [f"{size:.1%} ({signed:+.1%})" for size, signed in (movement(rows, who, key) for who in others)]
        lines.append("| " + " | ".join([key, f"{middle:.5g}", f"{np.nanmedian(np.abs(values - middle)) / middle:.1%}",
                                        *cells]) + " |")
    return "\n".join(lines)


def main():
    arguments = parsed()
    from tqdm import tqdm

    from data import photographs_of

    photographs = [photograph for photograph in photographs_of([arguments.data], arguments.split) if photograph.mask]
    rows = [measured(photograph, arguments.masks) for photograph in tqdm(photographs, disable=None, unit="photograph")]
    if arguments.masks and not any("prediction" in row for row in rows):
        raise Problem(f"{arguments.masks}: holds no mask of these photographs (NAME.png). "
                      "Give the folder that testing.py wrote.")
    if not any(len(row) > 1 for row in rows):
        raise Problem(f"{arguments.data}: nothing to compare with: no second observer, no --masks. Give either.")
    say(table(rows))


if __name__ == "__main__":
    sys.exit(run(main))
