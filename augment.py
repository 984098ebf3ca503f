"""Augmented pairs: 512 x 512 photographs and masks for training.py, cut from those of the training split.

    python augment.py                                      every set under datasets/, else the samples
    python augment.py --data datasets/DRIVE --copies 60    this set, 60 copies of a photograph on average
    python augment.py --preview                            draws some pairs too: what the network will see
"""

import argparse
import hashlib
import os
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import cv2
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
import data
from fitting.augmentation import DEFAULTS, augmented, recipe
from fitting.observed_pen import pens_of_sets, without_pen
from photographs.labelled import Labelled
from photographs.reading import summed_up
from photographs.square import SIDE
from pictures import contact_sheet, outlined
from running.again import lacks, make_way, mark, run_in, same_as_before
from running.command import Problem, counted, run, say, seed_number, typed
from running.files import as_csv, is_there, read_png, sha256, write_png, write_text
from running.machine import processors
from running.sources import Sources
from running.workers import process_pool
from samples import FOLDER as SAMPLES
from sets.beside import under_former_sets
from sets.leaks import copies_in_parts, in_several_parts

OUT, KINDS = Path("augmented"), ("images", "masks")
WRITTEN = "train/*/*.png", "validation/*/*.png", "manifest.csv", "preview.png"
COARSEST, FINEST, FINEST_OF_LARGE = 448, 960, 1280  # px: sides of the squares that pairs are cut from
VALIDATION_SIDE = 768  # px: side of the square from whose corners validation is cut, besides the whole at 512
VALIDATION_COPIES = 5
COPIES_AT_ONCE = 8  # few enough to keep all cores busy at the end, enough to read a photograph rarely


def augmented_pair(compose, labelled, seed):
    """Returns an augmented pair, (512, 512, 3) and soft (512, 512) uint8: a pure function of its arguments.

    The square's side is drawn too, so that the network meets vessels as wide as wherever it will predict.
    """
    finest = FINEST_OF_LARGE if labelled.square.side >= 2 * FINEST else FINEST
    side = round(COARSEST * (finest / COARSEST) ** random.Random(seed).random())
    fov = labelled.square.cut(labelled.fov, labelled.fov, side)
    return augmented(compose, *labelled.cut(side), fov, seed)


def validation_pair(labelled, copy):
    """Returns a pair without augmentation: of copy 0 the whole square, in which thin vessels are lost.

    Copies 1 to 4 are the corners of the square at VALIDATION_SIDE, in which they are not.
    """
    if copy == 0:
        return labelled.cut(SIDE)
    low, high = slice(0, SIDE), slice(VALIDATION_SIDE - SIDE, VALIDATION_SIDE)
    corner = low if copy < 3 else high, low if copy % 2 else high
    image, mask = labelled.cut(VALIDATION_SIDE)
    return image[corner], mask[corner]


def seed_of(*parts):
    text = "/".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def make_pairs(photograph, files, folder, seed, pen):
    """Writes the pairs that are not there yet: a task of a worker. Returns how many there are.

    files: [(copy, file)]. seed: of the augmentation; None makes the plain pairs of validation. pen: is taken
    out of the mask, so that what is learned is as wide as it looks, whoever drew it.
    """
    cv2.setNumThreads(1)
    kinds = [folder / kind for kind in KINDS]
    missing = [(copy, file) for copy, file in files if not all(is_there(kind / file) for kind in kinds)]
    if not missing:
        return len(files)
    labelled, compose = Labelled.read(photograph), None if seed is None else recipe()
    labelled = replace(labelled, mask=without_pen(labelled.mask, pen, labelled.square.side))
    written = []
    with ThreadPoolExecutor(1) as writer:  # waits for the disk while the next pair is drawn
        for copy, file in missing:
            pair = validation_pair(labelled, copy) if seed is None else \
                augmented_pair(compose, labelled, seed_of(seed, photograph.set, photograph.name, copy))
            written += [writer.submit(write_png, kind / file, picture)
                        for kind, picture in zip(kinds, pair, strict=True)]
    for future in written:
        future.result()  # raises what went wrong
    return len(files)


def balanced(training, copies):
    """Returns {photograph: copies}, `copies` on average, so that sets have about as many pairs each."""
    photographs = Counter(photograph.set for photograph in training)
    pairs_of_set = copies * len(training) / len(photographs)
    return {photograph: max(1, round(pairs_of_set / photographs[photograph.set])) for photograph in training}


def files_of(parts, names, copies):
    """Returns {photograph: files of its pairs}: none of one that is kept out of training.

    copies: pairs of a training photograph on average.
    """
    counts = balanced(parts["train"], copies) | dict.fromkeys(parts["validation"], VALIDATION_COPIES)
    return {own: [f"{names[own]}_{copy:04d}.png" for copy in range(counts.get(own, 0))]
            for photographs in parts.values() for own in photographs}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", nargs="+", type=Path, metavar="DIR",
        help="folders of data sets (default: datasets/, else samples/)")
    add("--out", type=Path, default=OUT, help="(default: %(default)s)")
    add("--copies", type=int, default=DEFAULTS["copies"],
        help="pairs of a training photograph on average, as many of each set (default: %(default)s)")
    add("--validation", type=float, default=DEFAULTS["validation"],
        help="share of the patients kept for validation (default: %(default)s)")
    add("--whole", nargs="+", default=DEFAULTS["whole"], metavar="SET",
        help="sets without an official split to train on whole, such as STARE")
    add("--seed", type=seed_number, default=DEFAULTS["seed"], help="(default: %(default)s)")
    add("--workers", type=int, default=processors(), help="processes (default: all cores, %(default)s here)")
    add("--preview", action="store_true",
        help="draw preview.png as well: some of the pairs, masks outlined")
    add("--overwrite", action="store_true", help="throw away what an earlier run left in --out")
    options = parser.parse_args()
    if options.copies < 1 or options.workers < 1 or not 0 < options.validation < 1:
        parser.error("--copies and --workers are 1 or more, --validation lies between 0 and 1")
    return options


def main():
    options = arguments()
    following = "Next: " + typed("python", "training.py", *["--pairs", options.out] * (options.out != OUT))
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else each worker asks a package index for news
    folders = options.data or data.default_folders()
    if not options.data:
        samples = " (the drawn samples; put data sets under datasets/)" if folders == [SAMPLES] else ""
        say(f"Data: {', '.join(map(str, folders))}{samples}")
    settings = {**{flag: getattr(options, flag) for flag in DEFAULTS}, "side": SIDE}
    state = same_as_before(options.out, settings, options.overwrite,
                           earlier={"data": [folder.resolve().as_posix() for folder in folders]})
    parts, names, sources = parts_of(folders, options)
    files, remarks = files_of(parts, names, options.copies), []
    paths = [f"{part}/{kind}/{file}" for part, photographs in parts.items() for own in photographs
             for file in files[own] for kind in KINDS]
    if state == "finished" and not sources.changes and lacks(options.out, ["manifest.csv", *paths]):
        state = "unfinished"
    sources.refuse_others("pairs", state == "unfinished")
    if state == "finished":
        moved = "; where their data lies now is noted" * sources.note_places()
        if not options.preview:
            say(f"{options.out}: these pairs are there already{moved}. {following}")
            return 0
    else:
        for photograph in parts["train"] + parts["validation"]:
            Labelled.read(photograph, remarks)  # what is wrong is said before anything is written
        for sentence in summed_up(remarks):
            say(sentence)
        read = [file for photographs in parts.values() for own in photographs for file in own.files()]
        make_way(options.out, WRITTEN, [*paths, *WRITTEN[2:]], read, options.overwrite, numbered=True)
        from fitting.manifest import manifest_rows  # and with it pandas

        known = {"sets": {name: own.set for own, name in names.items()}, **sources.for_run()}
        mark(options.out, settings, finished=False, **known)
        pens = write_all(options, parts, files)
        if changes := sources.changed_meanwhile():
            raise sources.mixed("pairs", f"{changes} meanwhile")
        rows = manifest_rows(parts, files, names, sources, pens, options.seed)
        write_text(options.out / "manifest.csv", as_csv(rows))
        mark(options.out, settings, finished=True, manifest=sha256(options.out / "manifest.csv"), **known)
    of_train = [files[own] for own in parts["train"]]
    if options.preview:
        draw_preview(options.out, of_train)
    train, pairs = counted(len(of_train), "photograph"), counted(sum(map(len, of_train)), "pair")
    say(f"{pairs} of {train} and {len(parts['validation'])} of validation are in {options.out}. {following}")


def parts_of(folders, options):
    """Returns {train, validation, test: photographs}, the last kept out, all names and the Sources."""
    everyone = data.photographs_of(folders, "all")
    data.refuse(in_several_parts(everyone), folders)
    training, validation = data.split_validation(
        data.photographs_of(folders, "training", options.whole), options.validation, options.seed)
    used = {*training, *validation}
    parts = {"train": training, "validation": validation,
             "test": [photograph for photograph in everyone if photograph not in used]}
    names = data.names_of(everyone)
    items = {names[own]: {"part": part, "patient": own.patient, "photograph": own.path,
                          **({"mask": own.mask, "FOV": own.fov} if part != "test" else {})}
             for part, photographs in parts.items() for own in photographs}
    sources = Sources(options.out, folders, items, options.overwrite)
    sums = {name: item["photograph"]["sha256"] for name, item in sources.now.items()}
    files = {own.path: (part, sums[names[own]]) for part, photographs in parts.items() for own in photographs}
    data.refuse(copies_in_parts(files), folders)
    former = {} if options.overwrite else run_in(options.out).get("sets", {})
    return *under_former_sets(parts, sources.called_as_before(names), former), sources


def write_all(options, parts, files):
    """Writes the pairs that are not there yet; returns {set: its pen}, measured before."""
    seeds = {"train": options.seed, "validation": None}
    for folder in [options.out / part / kind for part in seeds for kind in KINDS]:
        folder.mkdir(parents=True, exist_ok=True)
    with process_pool(options.workers) as pool:
        pens = pens_of_sets(pool, parts["train"], parts["validation"])
        jobs = [(own, list(enumerate(files[own]))[start:start + COPIES_AT_ONCE], options.out / part, seed)
                for part, seed in seeds.items()
                for start in range(0, max(map(len, files.values())), COPIES_AT_ONCE)
                for own in parts[part] if start < len(files[own])]
        with tqdm(total=sum(map(len, files.values())), unit="pair", disable=not sys.stderr.isatty()) as bar:
            for future in as_completed([pool.submit(make_pairs, *job, pens[job[0].set]) for job in jobs]):
                bar.update(future.result())
    return pens


def draw_preview(folder, files, count=24):
    """Writes a contact sheet of pairs, spread over the photographs, with the mask's outline drawn.

    files: [files of the pairs of each photograph].
    """
    spread = [file for copies in zip_longest(*files) for file in copies if file][:max(count, len(files))]
    spread, shown = spread[::-(-len(spread) // count)], []
    for file in spread:
        paths = [folder / "train" / kind / file for kind in KINDS]
        picture, mask = map(read_png, paths, (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_GRAYSCALE))
        if picture is None or mask is None:
            raise Problem(f"{paths[picture is not None]}: is damaged. "
                          "Remove it, and the same command makes it again.")
        shown.append(outlined(picture, mask >= 128))
    write_png(folder / "preview.png", contact_sheet(shown, spread, columns=6))


if __name__ == "__main__":
    sys.exit(run(main))
