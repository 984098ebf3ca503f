"""The pictures that testing.py writes of each photograph; those of an interrupted test are used again."""

import numpy as np

import pictures
from running.again import make_way
from running.files import remove, write_png

KINDS = "probabilities", "masks", "comparisons"  # of pictures, each in a folder of --out
CURVES = "roc.png", "pr.png"
TOGETHER = "metrics.csv", "summary.json", "report.html", *CURVES  # of all photographs


def probability_file(out, name):
    return out / "probabilities" / f"{name}.png"


def files_of(scores):
    """Returns the files of a test that is finished."""
    together = [file for file in TOGETHER if file not in CURVES or scores.scored()]
    return [*together, *pictures_of(scores.rows)]


def pictures_of(names):
    return [f"{kind}/{name}.png" for kind in KINDS for name in names]


def begin(out, named, sources, overwrite):
    """Removes what an earlier test left in `out` that is not to be used for {name: Photograph}.

    Pictures stay whose photograph and FOV are as they were: a probability that is there is used. Raises
    Problem if a file would be lost that no test wrote.
    """
    data = [file for photograph in named.values() for file in photograph.files()]
    make_way(out, [*(f"{kind}/*.png" for kind in KINDS), *TOGETHER], [*pictures_of(named), *TOGETHER], data,
             overwrite)
    for file in pictures_of(sources.stale(("photograph", "FOV"))):
        remove(out / file)


def write_pictures(out, name, title, comparison, threshold):
    """Writes comparison, mask and probability; where the last is there, so are the others."""
    segmented, reference = comparison.segmented, comparison.reference
    mask = segmented.mask.astype(np.uint8) * 255
    panels = [(title, segmented.rgb), ("probability", (segmented.levels >> 8).astype(np.uint8)),
              (f"prediction, cut at {threshold:.3f}", mask)]
    if reference is not None:
        panels.insert(1, ("reference", reference.astype(np.uint8) * 255))
        panels.append(("white: both, orange: only predicted, blue: only reference",
                       pictures.agreement(segmented.rgb, segmented.mask, reference, segmented.fov)))
    small = [pictures.shrunk(picture, 900) for _, picture in panels]
    row = pictures.in_a_row(small, [title for title, _ in panels])
    for kind, picture in (("comparisons", row), ("masks", mask), ("probabilities", segmented.levels)):
        write_png(out / kind / f"{name}.png", picture)
