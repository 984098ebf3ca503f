"""Augmented pairs: photographs of the training split -> 512 x 512 photograph/mask PNGs that training.py learns from.

    python augment.py                                  every set under datasets/, else the samples
    python augment.py --data DRIVE HRF --copies 60     these sets, 60 copies of each photograph
    python augment.py --preview                        draws some pairs with their masks outlined: what the network will see
"""

import argparse
import hashlib
import multiprocessing.connection
import os
import random
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

import data
from data import SIDE, Square
from files import Problem, as_cell, clear, mark, run, same_as_before, say, write_png, write_table

CHUNK = 8  # copies a task: few enough to keep all cores busy at the end, enough to read a photograph rarely
COARSEST, FINEST, FINEST_OF_LARGE = 448, 960, 1280  # sides of the squares that pairs are cut from
FINE = 768  # the side from whose corners validation is cut besides the whole square


def transforms():
    """The recipe, in the order applied: whole square in, 512 x 512 out. benchmarks/recipe.md says what each was worth."""
    import albumentations as A
    import cv2

    # INTER_NEAREST, albumentations' default for masks, moves them half a pixel or more against their photograph
    bend = {"interpolation": cv2.INTER_CUBIC, "mask_interpolation": cv2.INTER_LINEAR, "border_mode": cv2.BORDER_CONSTANT}
    return [
        A.Affine(rotate=(-180, 180), shear=(-6, 6), scale={"x": (0.92, 1.08), "y": (0.92, 1.08)}, p=1.0, **bend),
        A.PadIfNeeded(SIDE, SIDE, border_mode=cv2.BORDER_CONSTANT, p=1.0),
        A.RandomCrop(SIDE, SIDE, p=1.0),
        A.D4(p=1.0),
        A.ElasticTransform(alpha=60, sigma=8, p=0.3, **bend),
        A.RandomBrightnessContrast(0.25, 0.25, p=0.8),
        A.RandomGamma((65, 150), p=0.5),
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=35, val_shift_limit=0, p=0.6),
        A.RGBShift(20, 20, 20, p=0.3),
        A.Illumination(mode="linear", intensity_range=(0.02, 0.2), effect_type="both", p=0.3),
        A.GaussianBlur(sigma_limit=(0.3, 1.3), blur_limit=0, p=0.3),
        A.GaussNoise(std_range=(0.005, 0.03), p=0.3),
        A.ImageCompression(quality_range=(50, 95), p=0.2),
    ]


def draw_pair(compose, photograph, mask, fov, square, seed):
    """One augmented pair, a pure function of its arguments -> (512, 512, 3) uint8, (512, 512) uint8 soft.

    The square's side is drawn too, so that the network meets vessels as wide as on any square it will predict on.
    """
    import numpy as np

    finest = FINEST_OF_LARGE if square.side >= 2 * FINEST else FINEST
    side = round(COARSEST * (finest / COARSEST) ** random.Random(seed).random())
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    pair = compose(image=square.cut(photograph, fov, side), masks=[square.cut(mask, fov, side), square.cut(fov, fov, side)])
    mask, inside = pair["masks"]
    return pair["image"] * (inside >= 128)[..., None].astype(np.uint8), mask


def plain_pair(photograph, mask, fov, square, copy):
    """Validation, unaugmented: the whole square at 512, then the four corners of a finer one, which show thin vessels."""
    if copy == 0:
        return square.cut(photograph, fov), square.cut(mask, fov)
    rows = slice(0, SIDE) if copy < 3 else slice(FINE - SIDE, FINE)
    columns = slice(0, SIDE) if copy % 2 else slice(FINE - SIDE, FINE)
    return square.cut(photograph, fov, FINE)[rows, columns], square.cut(mask, fov, FINE)[rows, columns]


VALIDATION_COPIES = 5


def seed_of(*parts):
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode("utf-8", "surrogateescape")).digest()[:6], "big")


def file_name(name, copy):
    return f"{name}_{copy:04d}.png"


def read_source(photograph):
    """-> photograph (H, W, 3) uint8, mask (H, W) bool, fov (H, W) bool, its square."""
    if photograph.mask is None:
        raise Problem(f"{photograph.path}: has no mask, so nothing can be learned from it. "
                      "Add masks to this set or leave it out.")
    rgb = data.read_photograph(photograph.path)
    fov = data.fov_of(photograph, rgb)
    return rgb, data.read_vessels(photograph.mask, rgb.shape), fov, Square.around(fov)


def make_pairs(photograph, name, copies, folder, seed):
    """A worker's task: writes the pairs of `copies` that are not there yet; `seed` None: unaugmented, for validation."""
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)
    images, masks = Path(folder) / "images", Path(folder) / "masks"
    missing = [k for k in copies if not ((masks / file_name(name, k)).exists() and (images / file_name(name, k)).exists())]
    if not missing:
        return len(copies)
    rgb, mask, fov, square = read_source(photograph)
    compose = A.Compose(transforms(), strict=True) if seed is not None else None
    written = []
    with ThreadPoolExecutor(1) as writer:  # waits for the disk while the next pair is drawn
        for copy in missing:
            if seed is None:
                pair = plain_pair(rgb, mask, fov, square, copy)
            else:
                pair = draw_pair(compose, rgb, mask, fov, square, seed_of(seed, photograph.set, photograph.name, copy))
            written += [writer.submit(write_png, folder / file_name(name, copy), part)
                        for folder, part in zip((images, masks), pair, strict=True)]
    for one in written:
        one.result()  # raises what went wrong
    return len(copies)


def start_worker():
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks a package index at every import
    if multiprocessing.parent_process():
        threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    """A worker whose command was killed would wait for tasks for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def manifest(training, validation, held_out, names, copies, seed):
    """One row a pair, and one without a file for each photograph of a test split, which training.py keeps out."""
    import pandas as pd

    rows = []
    parts = ("train", training, copies), ("validation", validation, VALIDATION_COPIES), ("test", held_out, 1)
    for part, photographs, count in parts:
        for photograph in photographs:
            source = {"set": photograph.set, "split": part, "patient": photograph.patient,
                      "source name": as_cell(photograph.name), "source sha256": data.sha256(photograph.path)}
            places = {"path": photograph.path, "mask path": photograph.mask, "fov path": photograph.fov}
            places = {key: as_cell(place.resolve()) if place else "" for key, place in places.items()}
            for copy in range(count):
                file = "" if part == "test" else as_cell(file_name(names[photograph], copy))
                rows.append({"file": file, **source, "copy": copy, "seed": seed if part == "train" else "", **places})
    return pd.DataFrame(rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", nargs="+", type=Path, metavar="DIR", help="folders of data sets (default: datasets/, else samples/)")
    add("--out", type=Path, default=Path("augmented"), help="(default: %(default)s)")
    add("--copies", type=int, default=40, help="augmented pairs of each training photograph (default: %(default)s)")
    add("--validation", type=float, default=0.2, help="share of the patients kept for validation (default: %(default)s)")
    add("--whole", nargs="+", default=[], metavar="SET", help="sets without an official split to train on whole, STARE say")
    add("--seed", type=int, default=0, help="(default: %(default)s)")
    add("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores, %(default)s here)")
    add("--preview", action="store_true", help="draw preview.png as well: some of the pairs, masks outlined")
    add("--overwrite", action="store_true", help="throw away what an earlier run left in --out")
    options = parser.parse_args()
    if options.copies < 1 or options.workers < 1 or not 0 < options.validation < 1:
        parser.error("--copies and --workers are 1 or more, --validation lies between 0 and 1")
    return options


def settings_of(options, folders):
    return {"data": [str(folder.resolve()) for folder in folders], "copies": options.copies, "seed": options.seed,
            "validation": options.validation, "whole": options.whole, "side": SIDE}


def main():
    options = arguments()
    start_worker()
    folders = options.data or data.default_folders()
    if not options.data:
        drawn = " (the drawn samples; put data sets under datasets/)" if folders == [data.SAMPLES] else ""
        say(f"Data: {', '.join(map(str, folders))}{drawn}")
    settings = settings_of(options, folders)
    state = same_as_before(options.out, settings, options.overwrite)
    if state == "finished" and not options.preview:
        say(f"{options.out}: these pairs are there already. Next: python training.py")
        return 0
    training, validation = data.split_validation(
        data.photographs_of(folders, "training", options.whole), options.validation, options.seed)
    everyone = data.photographs_of(folders, "all")
    held_out = [p for p in everyone if p not in set(training) | set(validation)]
    for photograph in training + validation:
        read_source(photograph)  # what is wrong is said before anything is written
    if options.overwrite:
        clear(options.out, "train/*/*.png", "validation/*/*.png", "manifest.csv", "preview.png")
    names = dict(zip(everyone, data.unique_names([p.path for p in everyone], [p.set for p in everyone]), strict=True))
    if state != "finished":
        mark(options.out, settings, finished=False)
        write_all(options, training, validation, names)
        write_table(options.out / "manifest.csv", manifest(training, validation, held_out, names, options.copies, options.seed))
        mark(options.out, settings, finished=True, manifest=data.sha256(options.out / "manifest.csv"))
    if options.preview:
        draw_preview(options.out, training, names, options.copies)
    say(f"{len(training) * options.copies} pairs of {len(training)} photographs and {len(validation)} of validation are in "
        f"{options.out}. Next: python training.py" + ("" if options.out == Path("augmented") else f" --pairs {options.out}"))
    return 0


def write_all(options, training, validation, names):
    from tqdm import tqdm

    for part in ("train", "validation"):
        for kind in ("images", "masks"):
            (options.out / part / kind).mkdir(parents=True, exist_ok=True)
    tasks = [(p, names[p], range(start, min(start + CHUNK, options.copies)), options.out / "train", options.seed)
             for start in range(0, options.copies, CHUNK) for p in training]
    tasks += [(p, names[p], range(VALIDATION_COPIES), options.out / "validation", None) for p in validation]
    # spawn: forking after OpenCV was used can hang
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn"), start_worker) as pool, \
            tqdm(total=sum(len(task[2]) for task in tasks), unit="pair", disable=not sys.stderr.isatty()) as bar:
        try:
            for done in as_completed([pool.submit(make_pairs, *task) for task in tasks]):
                bar.update(done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def draw_preview(folder, training, names, copies, count=24):
    """A contact sheet of pairs spread over the photographs, the mask's outline drawn."""
    import cv2

    from pictures import contact_sheet, outlined

    shown, labels = [], []
    for k in range(min(count, len(training) * copies)):
        photograph = training[k % len(training)]
        file = file_name(names[photograph], k // len(training))
        picture = data.read_png(folder / "train/images" / file, cv2.IMREAD_COLOR)[..., ::-1]
        mask = data.read_png(folder / "train/masks" / file, cv2.IMREAD_GRAYSCALE)
        shown.append(outlined(picture, mask >= 128))
        labels.append(file)
    write_png(folder / "preview.png", contact_sheet(shown, labels, columns=6))


if __name__ == "__main__":
    sys.exit(run(main))
