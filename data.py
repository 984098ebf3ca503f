"""Which data sets lie in folders, who is in which split, and a doctor who examines them before training does.

    python data.py [DIR ...]                    says what is there, what pairs and what is wrong
    python data.py DIR --picture found.png      draws it: every photograph, its vessels and its FOV outlined
    python data.py --download chase_db1         fetches a set into datasets/: chase_db1, hrf or stare
    python data.py --download drive             says how to get it; fives too

sets/layouts.py knows how a set lies in its folder, photographs/ how its files are read.
"""

import argparse
import itertools
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from photographs.fov import fov_of
from photographs.reading import read_photograph, read_vessels
from pictures import ORANGE, contact_sheet, outlined, shrunk
from running.command import Problem, complain, run, say
from running.files import write_png
from running.names import first_free, folded
from samples import FOLDER as SAMPLES
from sets.download import download
from sets.layouts import recognise
from sets.licences import how_to_get
from sets.originals import about_originals

DATASETS = Path("datasets")
BY_HAND = ("drive", "fives")  # sets that a program may not fetch, or cannot unpack


def default_folders():
    """Returns [datasets/] if a set lies there, else [samples/]."""
    return [DATASETS] if DATASETS.is_dir() and _sets_in(DATASETS) else [SAMPLES]


def find_sets(folders, strict=True):
    """Returns the sets in `folders`, each of which is a set's own folder or holds the folders of sets.

    Raises Problem if a folder holds none or, unless `strict` is false, if something in a set does not pair.
    """
    sets = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Problem(f"{folder}: there is no such folder. Give the folder of a data set.")
        inside = _sets_in(folder)
        if not inside:
            raise Problem(f"{folder}: no data set is recognised here. README lists the layouts; "
                          "the plain one is images/ and masks/ with the same file names.")
        sets += inside
    problems = [problem for found in sets for problem in found.problems]
    if strict and problems:
        more = f" (and {len(problems) - 1} more: python data.py lists them)" if len(problems) > 1 else ""
        raise Problem(problems[0] + more)
    return sets


def _sets_in(folder):
    own = recognise(folder)
    if own:
        return [own]
    inner = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    return [found for found in map(recognise, inner) if found]


def photographs_of(folders, split, whole_sets=()):
    """Returns the photographs of `split` ('training', 'test' or 'all') in `folders`.

    whole_sets: names of sets without an official training split, such as STARE, whose photographs are all for
    training when 'training' is asked for. Raises Problem if there is no photograph.
    """
    chosen = []
    for found in find_sets(folders):
        if split == "training" and found.name in whole_sets:
            if any(photograph.split == "training" for photograph in found.photographs):
                raise Problem(f"{found.folder}: {found.name} has an official split; "
                              "its test photographs are not for training.")
            chosen += found.photographs
        else:
            chosen += found.photographs if split == "all" else found.of(split)
    if not chosen:
        raise Problem(f"{', '.join(map(str, folders))}: there is no photograph of the {split} split. "
                      "`python data.py` shows what there is.")
    return chosen


def split_validation(photographs, share=0.2, seed=0):
    """Returns (training, validation), patient by patient within each set, whatever the order given.

    Each set gives about `share` of its patients, at least one and never all. Seed 0 takes the last ones, as
    published recipes do (DRIVE 37-40, HRF 05 of each group); any other seed draws them. Raises Problem if a
    set has but one.
    """
    training, validation = [], []
    for name in sorted({photograph.set for photograph in photographs}):
        own = sorted((p for p in photographs if p.set == name), key=lambda p: (p.split, p.name))
        patients = sorted({photograph.patient for photograph in own})
        if len(patients) < 2:
            raise Problem(f"{own[0].path.parent}: all photographs are of one patient; "
                          "two or more are needed for a validation part.")
        count = min(max(1, round(share * len(patients))), len(patients) - 1)
        chosen = set(random.Random(f"{seed} {name}").sample(patients, count) if seed else patients[-count:])
        validation += [photograph for photograph in own if photograph.patient in chosen]
        training += [photograph for photograph in own if photograph.patient not in chosen]
    return training, validation


def names_of(photographs):
    """Returns {photograph: name} for results: its file's stem, after its set's name where two are alike."""
    stems = [photograph.path.stem for photograph in photographs]
    alike = {stem for stem, count in Counter(map(folded, stems)).items() if count > 1}
    wanted = [f"{photograph.set}_{stem}" if folded(stem) in alike else stem
              for photograph, stem in zip(photographs, stems, strict=True)]
    reserved, taken, names = set(map(folded, wanted)), set(), {}
    counts = defaultdict(lambda: itertools.count(1))
    for photograph, name in zip(photographs, wanted, strict=True):
        numbered = (f"{name}_{count}" if count > 1 else name for count in counts[folded(name)])
        free = (each for each in numbered if each == name or folded(each) not in reserved)
        names[photograph] = first_free(free, taken)
    return names


def examine(found):
    """Reads all files of a Set. Returns a row of the table for each split, and what is wrong as sentences."""
    rows, wrong = [], list(found.problems)
    for split in ("training", "test", "all"):
        photographs = [photograph for photograph in found.photographs if photograph.split == split]
        if photographs:
            sizes = _sizes(photographs, wrong)
            shown = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
            rows.append({"set": found.name, "split": split if split != "all" else "(none)",
                         "photographs": len(photographs),
                         "patients": len({photograph.patient for photograph in photographs}),
                         "masks": sum(photograph.mask is not None for photograph in photographs),
                         "second observer": sum(photograph.second is not None for photograph in photographs),
                         "FOVs": sum(photograph.fov is not None for photograph in photographs) or "found",
                         "width x height": shown + ", ..." * (len(sizes) > 3)})
    return rows, wrong


def _sizes(photographs, wrong):
    """Reads the photographs and their masks. Returns the sizes, [(width, height)]; adds what is wrong."""
    sizes = set()
    for photograph in photographs:
        try:
            rgb = read_photograph(photograph.path)
            sizes.add((rgb.shape[1], rgb.shape[0]))
            fov_of(photograph, rgb)
            for mask in filter(None, (photograph.mask, photograph.second)):
                read_vessels(mask, rgb.shape)
        except Problem as problem:
            wrong.append(str(problem))
    return sorted(sizes)


def as_text(rows):
    """Returns rows, [{column: value}], as lines of text, their columns aligned to the right."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
                     for line in lines)


def draw_found(sets, path, most=120):
    """Writes a contact sheet on which a wrong pairing is seen at a glance: vessels and FOVs outlined."""
    pictures, labels = [], []
    for photograph in [photograph for found in sets for photograph in found.photographs][:most]:
        try:
            rgb = read_photograph(photograph.path)
            masks = [(fov_of(photograph, rgb), {"colour": ORANGE, "thickness": 2})]
            if photograph.mask:
                masks.append((read_vessels(photograph.mask, rgb.shape, empty_is_fine=True), {}))
        except Problem as problem:
            say(problem)
            continue
        picture = shrunk(rgb, 512)
        for mask, style in masks:
            picture = outlined(picture, shrunk(mask.astype(np.uint8) * 255, 512) >= 128, **style)
        pictures.append(picture)
        labels.append(f"{photograph.set} {photograph.name}")
    write_png(path, contact_sheet(pictures, labels, columns=5, size=400))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="DIR",
        help="folders of data sets (default: datasets/, else samples/)")
    add("--picture", type=Path, metavar="FILE.png",
        help="draw every photograph with vessels (blue) and FOV (orange)")
    add("--download", choices=["chase_db1", "hrf", "stare", *BY_HAND],
        help="fetch a set into datasets/, or say how to get it")
    return parser.parse_args()


def main():
    options = arguments()
    if options.download in BY_HAND:
        say(how_to_get(options.download))
    elif options.download:
        say(f"{download(options.download, DATASETS)}: is complete. Next: python augment.py")
    else:
        return doctor(options.folders, options.picture)
    return 0


def doctor(folders, picture):
    """Says what is in the folders and what is wrong, and draws it to `picture`, a path or None.

    Returns the exit code: 1 if something is wrong.
    """
    sets = find_sets(folders or default_folders(), strict=False)
    rows, wrong = [], []
    for found in sets:
        own_rows, own_wrong = examine(found)
        rows, wrong = rows + own_rows, wrong + own_wrong
        remarks = [*(remark.rstrip(".") for remark in found.remarks), about_originals(found.folder)]
        say(". ".join([f"{found.folder}: {found.name}", *remarks]).rstrip())
    say(as_text(rows))
    if picture:
        draw_found(sets, picture)
        say(f"The picture is {picture}.")
    for sentence in wrong:
        complain(f"wrong: {sentence}")
    given = f" --data {' '.join(map(str, folders))}" if folders else ""
    say(f"{sum(row['photographs'] for row in rows)} photographs, {len(wrong)} wrong. "
        + ("Put this right first." if wrong else f"Next: python augment.py{given}"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
