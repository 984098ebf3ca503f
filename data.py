"""What is in a data set, where the field of view is, the square and the way back, the splits. sets/reading.py reads the files.

    python data.py [DIR ...]                    says what is there, what pairs and what is wrong
    python data.py DIR --picture found.png      draws it: every photograph with its vessels and its FOV outlined
    python data.py --download chase_db1         fetches a set into datasets/: chase_db1, hrf or stare
    python data.py --download drive             says how to get it; fives too
"""

import argparse
import itertools
import random
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files import Problem, complain, run, say
from sets.layouts import Photograph, recognise  # noqa: F401
from sets.reading import (  # noqa: F401
    EXTENSIONS,
    MOST_BYTES,
    SMALLEST,
    brightest,
    decode,
    photograph_of,
    read_levels,
    read_mask,
    read_photograph,
    read_png,
    read_vessels,
    sha256,
)

SIDE = 512
HERE = Path(__file__).parent
SAMPLES = HERE / "samples"


# ---- what is there -------------------------------------------------------------------------------------------------

def default_folders():
    """`datasets/` if a set lies there, else `samples/`."""
    datasets = Path("datasets")
    if datasets.is_dir() and _sets_below(datasets):
        return [datasets]
    return [SAMPLES]


def find_sets(folders, strict=True):
    """The sets in `folders`, each a set's own folder or one that holds sets. With `strict` what does not pair is a Problem."""
    sets = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Problem(f"{folder}: there is no such folder. Give the folder of a data set.")
        below = _sets_below(folder)
        if not below:
            raise Problem(f"{folder}: no data set is recognised here. README lists the layouts; "
                          "the plain one is images/ and masks/ with the same file names.")
        sets += below
    problems = [problem for found in sets for problem in found.problems]
    if strict and problems:
        more = f" (and {len(problems) - 1} more: python data.py lists them)" if len(problems) > 1 else ""
        raise Problem(problems[0] + more)
    return sets


def _sets_below(folder):
    own = recognise(folder)
    if own:
        return [own]
    inner = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    return [found for found in map(recognise, inner) if found]


def unique_names(paths, sets=None):
    """A file name's stem for each path; where two are alike, the set's or the folder's name stands before it."""
    stems = [Path(path).stem for path in paths]
    before = sets or [Path(path).parent.name for path in paths]
    alike = {stem for stem, count in Counter(stems).items() if count > 1}
    names = [f"{folder}_{stem}" if stem in alike else stem for stem, folder in zip(stems, before, strict=True)]
    given, taken, counts = set(names), set(), defaultdict(lambda: itertools.count(1))
    for k, name in enumerate(names):
        free = (f"{name}_{count}" if count > 1 else name for count in counts[name])
        names[k] = next(one for one in free if one not in taken and (one == name or one not in given))
        taken.add(names[k])
    return names


# ---- the field of view ---------------------------------------------------------------------------------------------

def find_fov(photograph):
    """(H, W, 3) uint8 -> (H, W) bool: the lit part, convex; everything where no corner is dark; nothing if all is dark.

    Vessels, lesions and shadows inside belong to it, so the convex hull of the largest lit piece is taken.
    """
    import cv2

    height, width = photograph.shape[:2]
    scale = min(1.0, 1024 / max(height, width))
    small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photograph
    light = cv2.GaussianBlur(brightest(small), (0, 0), 1.0).astype(np.float32)
    bright = np.percentile(light, 95)
    if bright < 16:
        return np.zeros((height, width), bool)
    rows, columns = small.shape[0] // 32 + 1, small.shape[1] // 32 + 1
    corners = [np.median(light[a, b]) for a in (slice(rows), slice(-rows, None)) for b in (slice(columns), slice(-columns, None))]
    dark = min(corners)
    if dark > 0.3 * bright:
        return np.ones((height, width), bool)
    beside = cv2.dilate(light, np.ones((7, 7), np.uint8))
    # its edge is where the light has fallen by half: wider, the dark rim inside looks like a vessel to a network
    lit = ((light > dark + 0.12 * (bright - dark)) & (light - dark > 0.5 * (beside - dark))).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    if len(sizes) < 2:
        return np.zeros((height, width), bool)
    largest = (pieces == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    outline = max(cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    hull = np.zeros((height, width), np.uint8)
    native = (cv2.convexHull(outline).astype(np.float64) + 0.5) / (scale, scale) - 0.5
    cv2.fillConvexPoly(hull, np.rint(native * 16).astype(np.int32), 1, shift=4)
    found = hull > 0
    return found if Square.around(found).side >= SMALLEST else np.zeros((height, width), bool)


def _inverted(fov):
    height, width = fov.shape
    middle = fov[height // 3:-(height // 3), width // 3:-(width // 3)]
    return middle.mean() < 0.5 and fov[[0, 0, -1, -1], [0, -1, 0, -1]].all()


def fov_of(photograph, rgb):
    """-> (H, W) bool: the set's own FOV mask, else the one found in `rgb`. An empty or inverted one is a Problem."""
    if photograph.fov is not None:
        fov = read_mask(photograph.fov, rgb.shape)
        if not fov.any() or Square.around(fov).side < SMALLEST:
            raise Problem(f"{photograph.fov}: this FOV mask is empty or nearly so. "
                          "Give the right one, or remove it to have the FOV found.")
        if _inverted(fov):
            raise Problem(f"{photograph.fov}: this FOV mask is black in the middle and white around. "
                          "Invert it, or remove it to have the FOV found.")
        return fov
    return found_fov(photograph.path, rgb)


def found_fov(path, rgb):
    """-> (H, W) bool: the FOV found in `rgb`; Problem where there is none."""
    fov = find_fov(rgb)
    if not fov.any():
        raise Problem(f"{path}: is dark everywhere, no field of view is found. Take the photograph again.")
    return fov


# ---- the square and the way back -----------------------------------------------------------------------------------

@dataclass(frozen=True)
class Square:
    """The smallest centred square around an FOV's box, in the photograph's pixels; it may reach beyond the photograph."""

    top: int
    left: int
    side: int

    @classmethod
    def around(cls, fov):
        rows, columns = np.flatnonzero(fov.any(axis=1)), np.flatnonzero(fov.any(axis=0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        side = max(height, width)
        return cls(int(rows[0] - (side - height) // 2), int(columns[0] - (side - width) // 2), int(side))

    def _overlap(self, shape):
        rows = slice(max(self.top, 0), min(self.top + self.side, shape[0]))
        columns = slice(max(self.left, 0), min(self.left + self.side, shape[1]))
        inner = (slice(rows.start - self.top, rows.stop - self.top), slice(columns.start - self.left, columns.stop - self.left))
        return (rows, columns), inner

    def cut(self, values, fov, size=SIDE):
        """(H, W[, 3]) uint8 or bool -> (size, size[, 3]) uint8, black outside the FOV; bool becomes soft, 0..255.

        Area-averaging when it shrinks: a DRIVE mask comes back with Dice 0.997, nearest neighbours give 0.69.
        """
        import cv2

        native, inner = self._overlap(fov.shape)
        square = np.zeros((self.side, self.side) + values.shape[2:], np.uint8)
        part = values[native] * np.uint8(255) if values.dtype == bool else values[native]
        square[inner] = cv2.bitwise_and(part, part, mask=fov[native].view(np.uint8))
        if size == self.side:
            return square
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC)

    def back(self, probability, fov):
        """(size, size) float32 -> (H, W) float32 in [0, 1], cubic, zero outside the FOV."""
        import cv2

        size = len(probability)
        if size != self.side:
            way = cv2.INTER_CUBIC if size < self.side else cv2.INTER_AREA
            probability = cv2.resize(probability, (self.side, self.side), interpolation=way)
        native, inner = self._overlap(fov.shape)
        whole = np.zeros(fov.shape, np.float32)
        np.clip(probability[inner], 0, 1, out=whole[native])
        whole *= fov
        return whole


def describe(photograph, fov):
    """What a photograph is like, to be compared with those that the model was trained on: dict of floats."""
    import cv2

    square = Square.around(fov)
    small, inside = square.cut(photograph, fov, 512), square.cut(fov, fov, 512) > 250
    green = small[..., 1]
    detail = cv2.Laplacian(cv2.GaussianBlur(green, (0, 0), 1.0), cv2.CV_32F)
    core = cv2.erode(inside.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    core = core if core.any() else inside
    if not core.any():
        return {"brightness": 0.0, "sharpness": 0.0, "side": float(square.side)}
    light = float(brightest(small)[core].mean())
    sharpness = float(detail[core].std() / max(float(green[core].mean()), 1.0))
    return {"brightness": light, "sharpness": sharpness, "side": float(square.side)}


# ---- splits --------------------------------------------------------------------------------------------------------

def split_validation(photographs, share=0.2, seed=0):
    """-> (training, validation), patient by patient within each set, the same for the same seed whatever the order given.

    Each set gives about `share` of its patients, at least one and never all; a set with a single patient is a Problem. Seed 0
    takes the last ones, as published recipes do (DRIVE 37-40, HRF 05 of each group); any other seed draws them.
    """
    training, validation = [], []
    for name in sorted({photograph.set for photograph in photographs}):
        own = sorted((p for p in photographs if p.set == name), key=lambda p: (p.split, p.name))
        patients = sorted({p.patient for p in own})
        if len(patients) < 2:
            raise Problem(f"{own[0].path.parent}: all photographs are of one patient; "
                          "two or more are needed for a validation part.")
        count = min(max(1, round(share * len(patients))), len(patients) - 1)
        chosen = set(random.Random(f"{seed} {name}").sample(patients, count) if seed else patients[-count:])
        validation += [p for p in own if p.patient in chosen]
        training += [p for p in own if p.patient not in chosen]
    return training, validation


def photographs_of(folders, split, whole_sets=()):
    """The photographs of `split` ('training', 'test', 'all') in `folders`. `whole_sets`: sets without an official training
    split, STARE say, that are taken whole for training when one asks for it."""
    chosen = []
    for found in find_sets(folders):
        if split == "training" and found.name in whole_sets:
            if any(p.split == "training" for p in found.photographs):
                raise Problem(f"{found.folder}: {found.name} has an official split; its test photographs are not for training.")
            chosen += found.photographs
        else:
            chosen += found.photographs if split == "all" else found.of(split)
    if not chosen:
        raise Problem(f"{', '.join(map(str, folders))}: there is no photograph of the {split} split. "
                      "`python data.py` shows what there is.")
    return chosen


# ---- the doctor ----------------------------------------------------------------------------------------------------

def examine(found):
    """Reads all of a set -> a line of its table a split, and a sentence for everything that is wrong."""
    wrong = list(found.problems)
    rows = []
    for split in ("training", "test", "all"):
        photographs = [p for p in found.photographs if p.split == split]
        sizes = {}
        for photograph in photographs:
            try:
                rgb = read_photograph(photograph.path)
                sizes[rgb.shape[1], rgb.shape[0]] = sizes.get((rgb.shape[1], rgb.shape[0]), 0) + 1
                fov_of(photograph, rgb)
                for mask in filter(None, (photograph.mask, photograph.second)):
                    read_vessels(mask, rgb.shape)
            except Problem as problem:
                wrong.append(str(problem))
        if photographs:
            shown = ", ".join(f"{w} x {h}" for w, h in sorted(sizes)[:3]) + (", ..." if len(sizes) > 3 else "")
            rows.append({"set": found.name, "split": split if split != "all" else "(none)", "photographs": len(photographs),
                         "patients": len({p.patient for p in photographs}), "masks": sum(p.mask is not None for p in photographs),
                         "second observer": sum(p.second is not None for p in photographs),
                         "FOVs": sum(p.fov is not None for p in photographs) or "found", "width x height": shown})
    return rows, wrong


def draw_found(sets, path, most=120):
    """A contact sheet of the photographs with their vessels and FOVs outlined, to see a wrong pairing at a glance."""
    from files import write_png
    from pictures import ORANGE, contact_sheet, outlined, shrunk

    shown, labels = [], []
    for photograph in [p for found in sets for p in found.photographs][:most]:
        try:
            rgb = read_photograph(photograph.path)
            small = shrunk(rgb, 512)
            scaled = [shrunk(m.astype(np.uint8) * 255, 512) >= 128 for m in
                      [fov_of(photograph, rgb)] + ([read_mask(photograph.mask, rgb.shape)] if photograph.mask else [])]
        except Problem as problem:
            say(problem)
            continue
        drawn = outlined(small, scaled[0], ORANGE, 2)
        shown.append(outlined(drawn, scaled[1]) if photograph.mask else drawn)
        labels.append(f"{photograph.set} {photograph.name}")
    write_png(path, contact_sheet(shown, labels, columns=5, size=400))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="DIR", help="folders of data sets (default: datasets/, else samples/)")
    add("--picture", type=Path, metavar="FILE.png", help="draw every photograph with vessels (blue) and FOV (orange)")
    add("--download", choices=["chase_db1", "hrf", "stare", "drive", "fives"],
        help="fetch a set into datasets/, or say how to get it")
    return parser.parse_args()


def main():
    options = arguments()
    if options.download:
        from sets.download import download, how_to_get

        if options.download in ("drive", "fives"):
            say(how_to_get(options.download))
        else:
            say(f"{download(options.download, Path('datasets'))}: is complete. Next: python augment.py")
        return 0
    import pandas as pd

    from sets.download import about_originals

    sets = find_sets(options.folders or default_folders(), strict=False)
    rows, wrong = [], []
    for found in sets:
        own_rows, own_wrong = examine(found)
        rows, wrong = rows + own_rows, wrong + own_wrong
        remarks = [*(remark.rstrip(".") for remark in found.remarks), about_originals(found.folder)]
        say(". ".join([f"{found.folder}: {found.name}", *remarks]).rstrip())
    say(pd.DataFrame(rows).to_string(index=False))
    if options.picture:
        draw_found(sets, options.picture)
        say(f"The picture is {options.picture}.")
    for sentence in wrong:
        complain(f"wrong: {sentence}")
    given = f" --data {' '.join(map(str, options.folders))}" if options.folders else ""
    say(f"{sum(row['photographs'] for row in rows)} photographs, {len(wrong)} wrong. "
        + ("Mend these first." if wrong else f"Next: python augment.py{given}"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
