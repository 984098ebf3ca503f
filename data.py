"""Which data sets lie in folders, who is in which split, and a doctor who examines them before training does.

    python data.py [DIR ...]                    says what is there, what pairs and what is wrong
    python data.py DIR --picture found.png      draws it: every photograph, its vessels and its FOV outlined
    python data.py --download chase_db1         fetches a set into datasets/, or says how to get it

sets/layouts.py knows how a set lies in its folder, photographs/ how its files are read.
"""

import argparse
import itertools
import random
import sys
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
from photographs.fov import fov_of
from photographs.reading import read_photograph, read_vessels
from pictures import ORANGE, contact_sheet, outlined, shrunk
from running.again import identity
from running.command import Problem, complain, counted, run, say, typed
from running.files import write_png
from running.names import first_free, folded
from samples import FOLDER as SAMPLES
from sets.archives import download_archive
from sets.beside import told_apart
from sets.download import download
from sets.examining import duplicates, examine
from sets.layouts import by_set
from sets.licences import SOURCES, how_to_get
from sets.originals import about_originals
from sets.pairing import sets_in

DATASETS = Path("datasets")
MOST_DRAWN = 120  # photographs: the picture of 800 would have 140 million pixels


def default_folders():
    """Returns [datasets/] if a set lies there, else [samples/], and says what there is instead of a set."""
    sets, left_out = sets_in(DATASETS) if DATASETS.is_dir() else ([], [])
    for sentence in [] if sets else left_out:
        _complain_once(sentence)
    return [DATASETS] if sets else [SAMPLES]


def find_sets(folders, strict=True):
    """Returns the sets in `folders`, each of which is a set's own folder or holds the folders of sets.

    Says what of the folders is left out. Raises Problem if a folder holds none or, unless `strict` is false,
    if something in a set does not pair.
    """
    sets = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Problem(f"{folder}: there is no such folder. Give the folder of a data set.")
        inside, left_out = sets_in(folder)
        if not inside:
            raise Problem(" ".join([f"{folder}: no data set is recognised here. README lists the layouts; "
                                    "the plain one is images/ and masks/ with the same file names.",
                                    *left_out]))
        for sentence in [*(each for found in inside for each in found.left_out), *left_out]:
            _complain_once(sentence)
        sets += inside
    sets = told_apart(sets)
    problems = [problem for found in sets for problem in found.problems]
    if strict:
        refuse(problems, folders)
    return sets


def refuse(problems, folders):
    """Raises Problem if there are problems: it tells the first sentence and how to see the others."""
    if problems:
        more = f" (and {len(problems) - 1} more: {typed('python', 'data.py', *folders)}  lists them)"
        raise Problem(problems[0] + more * (len(problems) > 1))


_complain_once = lru_cache(complain)  # a command looks into its folders several times


def photographs_of(folders, split, whole_sets=()):
    """Returns the photographs of `split` ('training', 'test' or 'all') in `folders`.

    whole_sets: names of sets without an official training split, such as STARE, whose photographs are all for
    training when 'training' is asked for. Raises Problem if there is no photograph, or no such set.
    """
    sets, chosen = find_sets(folders), []
    for name in whole_sets:
        if name not in [found.name for found in sets]:
            raise Problem(f"--whole {name}: is none of the sets here: {', '.join(own.name for own in sets)}.")
    for found in sets:
        is_whole = split == "training" and found.name in whole_sets
        splits = {own.split for own in found.photographs}
        if is_whole and ("training" in splits or {"validation", "test"} <= splits):
            raise Problem(f"{found.folder}: {found.name} has an official split; "
                          "its test photographs are not for training.")
        chosen += found.photographs if is_whole or split == "all" else found.of(split)
    if not chosen:
        raise Problem(f"{', '.join(map(str, folders))}: there is no photograph of the {split} split. "
                      f"{typed('python', 'data.py', *folders)}  shows what there is.")
    return chosen


def split_validation(photographs, share=0.2, seed=0):
    """Returns (training, validation), patient by patient within each set, whatever the order given.

    A set with an official validation part gives that. Any other gives about `share` of its patients, at
    least one and never all: seed 0 takes the last ones, as published recipes do (DRIVE 37-40, HRF 05 of each
    group), any other seed draws them. Raises Problem if a set has but one, or nothing to train on.
    """
    training, validation = [], []
    for of_set in by_set(photographs).values():
        own = sorted(of_set, key=lambda photograph: (photograph.split, photograph.name))
        kept = {each for each in own if each.split == "validation"} or _drawn_validation(own, share, seed)
        validation += [photograph for photograph in own if photograph in kept]
        training += [photograph for photograph in own if photograph not in kept]
    if photographs and not training:
        raise Problem(f"{photographs[0].path}: is of validation, as all others are. Add a training part.")
    return training, validation


def _drawn_validation(photographs, share, seed):
    """Returns photographs of a share of the patients, whatever their set is called: seed 0 takes the last."""
    patients = sorted({photograph.patient for photograph in photographs})
    if len(patients) < 2:
        raise Problem(f"{photographs[0].path.parent}: all photographs are of one patient; "
                      "two or more are needed for a validation part.")
    count = min(max(1, round(share * len(patients))), len(patients) - 1)
    drawn = set(random.Random(seed).sample(patients, count) if seed else patients[-count:])
    return {photograph for photograph in photographs if photograph.patient in drawn}


def names_of(photographs):
    """Returns {photograph: name} for results: its own, after its set's name where two are alike."""
    stems = [photograph.name for photograph in photographs]
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


def as_text(rows):
    """Returns rows, [{column: value}], as lines of text, their columns aligned to the right."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
                     for line in lines)


def draw_found(sets, path):
    """Writes a contact sheet on which a wrong pairing is seen at a glance: vessels and FOVs outlined.

    Says what cannot be read. Returns a sentence on the sheet.
    """
    pictures, labels = [], []
    photographs = [photograph for found in sets for photograph in found.photographs]
    for photograph in photographs[:MOST_DRAWN]:
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
    if not pictures:
        return f"{path}: is not drawn, since no photograph can be read."
    write_png(path, contact_sheet(pictures, labels, columns=5, size=400))
    few = f" of the first {MOST_DRAWN} of {len(photographs)} photographs" * (len(photographs) > MOST_DRAWN)
    return f"The picture{few} is {path}."


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="DIR",
        help="folders of data sets (default: datasets/, else samples/)")
    add("--picture", type=Path, metavar="FILE.png",
        help="draw every photograph with vessels (blue) and FOV (orange)")
    add("--download", choices=list(SOURCES), help="fetch a set into datasets/, or say how to get it")
    options = parser.parse_args()
    if options.picture and options.picture.suffix.lower() != ".png":
        parser.error("--picture is the name of a PNG file, such as found.png")
    return options


def main():
    options = arguments()
    name = options.download
    if not name:
        return doctor(options.folders, options.picture)
    source = SOURCES[name]
    if source.archive or source.ways:
        folder = download_archive(source, DATASETS) if source.archive else download(name, DATASETS)
        say(f"{folder}: is complete. Next: python augment.py")
    else:
        say(how_to_get(name))
    return 0


def doctor(folders, picture):
    """Says what is in the folders and what is wrong, and draws it to `picture`, a path or None.

    Returns the exit code: 1 if something is wrong.
    """
    sets = find_sets(folders or default_folders(), strict=False)
    read = (file for found in sets for file in found.files())
    if picture and picture.exists() and identity(picture) in map(identity, read):
        raise Problem(f"{picture}: is a file of the data and would be lost. Give --picture another name.")
    rows, wrong, pixels = [], [], defaultdict(list)
    for found in sets:
        own_rows, own_wrong, own_remarks = examine(found, pixels)
        rows, wrong = rows + own_rows, wrong + own_wrong
        remarks = (remark.rstrip(".") for remark in [*found.remarks, *own_remarks])
        say(". ".join([f"{found.folder}: {found.name}", *remarks, about_originals(found.folder)]).rstrip())
    wrong += duplicates(pixels)
    say(as_text(rows))
    if picture:
        say(draw_found(sets, picture))
    for sentence in wrong:
        complain(f"wrong: {sentence}")
    following = typed("python", "augment.py", *(["--data", *folders] if folders else []))
    say(f"{counted(sum(row['photographs'] for row in rows), 'photograph')}, {len(wrong)} wrong. "
        + ("Put this right first." if wrong else f"Next: {following}"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
