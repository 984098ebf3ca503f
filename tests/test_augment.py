"""Pairs: the same bytes for the same seed, photograph and mask moving together, and nothing done twice."""

import random
import shutil
from dataclasses import replace

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest

import augment
from fitting import augmentation
from fitting.observed_pen import without_pen
from photographs.labelled import Labelled
from photographs.square import SIDE, Square
from running.files import sha256
from sets.layouts import Photograph


def pictures(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*/*.png"))}


def grey(path):
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


@pytest.fixture
def pairs(tmp_path, tiny_pairs):
    """A copy of the pairs that a test may damage."""
    return shutil.copytree(tiny_pairs, tmp_path / "augmented")


def again(command, tiny_set, pairs, *words, workers=1):
    return command("augment", "--data", tiny_set, "--out", pairs, "--copies", 2, "--workers", workers,
                   "--validation", 0.25, *words)


# ---- what is written ---------------------------------------------------------------------------------------

def test_every_training_photograph_has_its_copies_and_validation_lies_apart(tiny_pairs):
    train = {path.name for path in (tiny_pairs / "train/images").iterdir()}
    validation = {path.name for path in (tiny_pairs / "validation/images").iterdir()}
    assert len(train) == 6 and len(validation) == augment.VALIDATION_COPIES
    assert not {name[:4] for name in train} & {name[:4] for name in validation}
    for part in ("train", "validation"):
        assert {path.name for path in (tiny_pairs / part / "masks").iterdir()} == {
            path.name for path in (tiny_pairs / part / "images").iterdir()
        }


def test_pairs_are_pictures_of_512_and_masks_stay_soft(tiny_pairs):
    for path in tiny_pairs.glob("*/images/*.png"):
        rgb = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(path.parent.parent / "masks" / path.name), cv2.IMREAD_UNCHANGED)
        assert rgb.shape == (SIDE, SIDE, 3) and mask.shape == (SIDE, SIDE)
        assert rgb.dtype == mask.dtype == np.uint8
        assert len(np.unique(mask)) > 20 and mask.max() > 200


def test_validation_pairs_are_the_plain_square_and_the_corners_of_a_finer_one(tiny_set, tiny_pairs):
    paths = sorted((tiny_pairs / "validation/images").iterdir())
    name = paths[0].stem[:-5]
    image, mask, fov = (tiny_set / f"train/{kind}/{name}.png" for kind in ("images", "masks", "fovs"))
    source = Labelled.read(Photograph("tiny", name, "training", name, image, mask, fov))
    pen = pd.read_csv(tiny_pairs / "manifest.csv")["pen"][0]
    source = replace(source, mask=without_pen(source.mask, pen, source.square.side))
    side, low = augment.VALIDATION_SIDE, slice(0, SIDE)
    high = slice(side - SIDE, side)
    parts = [(SIDE, (low, low)), *((side, (row, column)) for row in (low, high) for column in (low, high))]
    seen = [(cv2.imread(str(path))[..., ::-1].tobytes(),
             grey(path.parent.parent / "masks" / path.name).tobytes()) for path in paths]
    assert seen == [tuple(picture[part].tobytes() for picture in source.cut(size)) for size, part in parts]


def test_copies_of_one_photograph_differ(tiny_pairs):
    pairs = pictures(tiny_pairs)
    assert len(set(pairs.values())) == len(pairs)


def test_each_set_has_as_many_pairs_however_many_photographs():
    photographs = [Photograph(name, str(k), "training", str(k), None) for name, count in (("A", 3), ("B", 9))
                   for k in range(count)]
    copies = augment.balanced(photographs, 10)
    assert {photograph.set: count for photograph, count in copies.items()} == {"A": 20, "B": 7}


def test_the_manifest_has_a_row_a_pair_and_one_for_each_photograph_held_out(tiny_set, tiny_pairs):
    table = pd.read_csv(tiny_pairs / "manifest.csv", keep_default_na=False)
    assert {"file", "set", "split", "patient", "source name", "source sha256", "copy",
            "seed"} <= set(table.columns)
    rows = {"train": 6, "validation": augment.VALIDATION_COPIES, "test": 3}
    assert dict(table["split"].value_counts()) == rows
    for _, row in table.iterrows():
        part = "test" if row["split"] == "test" else "train"
        assert row["source sha256"] == sha256(tiny_set / part / "images" / f"{row['source name']}.png")
        assert row["set"] == "tiny" and row["patient"] == row["source name"]
        if part == "train":
            assert row["file"] == f"{row['source name']}_{row['copy']:04d}.png"
            assert (tiny_pairs / row["split"] / "images" / row["file"]).exists()
        else:
            assert row["file"] == ""


def test_a_set_of_which_all_is_for_validation_has_its_pairs_too(command, draw, tmp_path):
    """KeyError: its pen was not measured."""
    draw.plain(tmp_path / "sets/one", train=3, test=None)
    draw.plain(tmp_path / "sets/two", train=2, test=None, size=(120, 130))
    (tmp_path / "sets/two/val").mkdir()
    for kind in ("images", "masks"):
        (tmp_path / "sets/two" / kind).rename(tmp_path / "sets/two/val" / kind)
    words = "--data", tmp_path / "sets", "--out", tmp_path / "p", "--copies", 1, "--workers", 1
    ended = command("augment", *words)
    assert ended.code == 0 and "two " in ended.out
    table = pd.read_csv(tmp_path / "p/manifest.csv").query("set == 'two'").drop_duplicates("source name")
    assert list(table["split"]) == ["validation"] * 2 and table["pen"].notna().all()


def test_the_last_line_says_what_to_type_next(command, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=2)
    ended = command("augment", "--data", folder, "--out", tmp_path / "p", "--copies", 1, "--workers", 1)
    assert ended.code == 0 and "1 pair of 1 photograph and 1 of" in ended.out
    assert ended.out.strip().splitlines()[-1].endswith(f"Next: python training.py --pairs {tmp_path / 'p'}")


# ---- the same again ----------------------------------------------------------------------------------------

def test_the_same_bytes_for_any_number_of_workers(command, tiny_set, tiny_pairs, tmp_path):
    ended = again(command, tiny_set, tmp_path / "two", workers=2)
    assert ended.code == 0, ended.err
    assert pictures(tmp_path / "two") == pictures(tiny_pairs)
    assert (tmp_path / "two/manifest.csv").read_bytes() == (tiny_pairs / "manifest.csv").read_bytes()


def labelled(rgb, mask, fov):
    return Labelled(rgb, mask, fov, Square.around(fov))


def one_pair(draw, seed, copy=0):
    eye = labelled(*draw.eye(1, 300, 310))
    return augment.augmented_pair(augment.recipe(), eye, augment.seed_of(seed, "set", "name", copy))


def test_another_seed_or_copy_gives_another_pair_and_the_same_the_same(draw):
    first = one_pair(draw, 0)
    assert all(map(np.array_equal, first, one_pair(draw, 0)))
    assert not np.array_equal(first[0], one_pair(draw, 1)[0])
    assert not np.array_equal(first[0], one_pair(draw, 0, copy=1)[0])


def test_transforms_are_drawn_independently_of_each_other(draw):
    """albumentations' own seed gives every transform the same stream: two coins that always fall alike."""
    compose = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
    square = np.arange(SIDE * SIDE, dtype=np.uint32).astype(np.uint8).reshape(SIDE, SIDE)
    square[:, :100] = 0
    square[:50] = 9
    seen = set()
    for copy in range(24):
        seed = augment.seed_of(0, copy)
        compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        seen.add(compose(image=square)["image"].tobytes())
    assert len(seen) == 4


def test_photographs_of_two_sets_with_one_name_both_get_their_pairs(command, draw, tmp_path):
    draw.plain(tmp_path / "sets/a", train=3, test=None)
    draw.plain(tmp_path / "sets/b", train=3, test=None, size=(104, 104))
    words = "--data", tmp_path / "sets", "--out", tmp_path / "p", "--copies", 1, "--workers", 1
    ended = command("augment", *words)
    assert ended.code == 0, ended.err
    names = {path.name for path in (tmp_path / "p").glob("*/images/*_0000.png")}
    assert names == {f"{place}_eye{k}_0000.png" for place in "ab" for k in range(3)}


# ---- photograph and mask move together ---------------------------------------------------------------------

def alike(rgb, mask):
    """Overlap of a mask with the photograph that was drawn from it."""
    seen, drawn = rgb[..., 1] > 127, mask > 127
    return (seen & drawn).sum() / (seen | drawn).sum()


@pytest.fixture(scope="module")
def twins():
    """A photograph that shows nothing but its own mask, as wide lines: what moves one must move the other."""
    mask = np.zeros((600, 640), np.uint8)
    for k in range(6):
        cv2.ellipse(mask, (320, 300), (90 + 30 * k, 250 - 35 * k), 25 * k, 0, 250, 255, 9)
    fov = np.zeros(mask.shape, np.uint8)
    cv2.circle(fov, (320, 300), 280, 1, -1)
    return np.repeat((mask * fov)[..., None], 3, axis=2), (mask * fov) > 0, fov > 0


NAMES = ("Affine", "PadIfNeeded", "RandomCrop", "D4", "ElasticTransform", "RandomBrightnessContrast",
         "one of RandomGamma", "RandomBrightnessContrast", "HueSaturationValue", "one of RGBShift",
         "one of ToGray", "Illumination", "Illumination", "one of GaussianBlur", "one of GaussNoise",
         "one of ImageCompression")


def test_the_recipe_is_the_one_tested_here():
    def name(transform):
        inner = getattr(transform, "transforms", None)
        return f"one of {name(inner[0])}" if inner else type(transform).__name__

    transforms = augment.recipe().transforms
    assert tuple(map(name, transforms)) == NAMES
    assert all(transform.p > 0 for transform in transforms)


@pytest.mark.parametrize("place, name", enumerate(NAMES))
def test_photograph_and_mask_move_together_under(place, name, twins):
    transform = augment.recipe().transforms[place]
    transform.p = 1.0
    image, mask = labelled(*twins).cut({"PadIfNeeded": 448, "RandomCrop": 700}.get(name, SIDE))
    compose = A.Compose([transform], strict=True)
    for seed in range(3):
        compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        after = compose(image=image, masks=[mask])
        # what is painted into the photograph may be darker or noisier, but lies where it lay
        assert alike(after["image"], after["masks"][0]) > (0.97 if place < 5 else 0.85), f"seed {seed}"
        if name in ("Affine", "ElasticTransform"):
            assert not np.array_equal(after["image"], image)
    if name in ("Affine", "RandomCrop", "ElasticTransform"):
        assert not np.array_equal(after["masks"][0], mask)


def test_the_whole_recipe_keeps_photograph_and_mask_together(twins):
    compose = augment.recipe()
    for seed in range(8):
        image, mask = augment.augmented_pair(compose, labelled(*twins), seed)
        assert image.shape == (SIDE, SIDE, 3) and mask.shape == (SIDE, SIDE)
        assert np.corrcoef(image[..., 1].astype(float).ravel(), mask.ravel())[0, 1] > 0.9


def test_pairs_are_black_outside_the_fov_and_nowhere_else(draw):
    compose, fov = augment.recipe(), draw.eye(1, 300, 310)[2]
    lit, outside = labelled(np.full((300, 310, 3), 200, np.uint8), fov, fov), 0
    for seed in range(8):
        image, inside = augment.augmented_pair(compose, lit, seed)
        assert not image[inside < 100].any() and image[inside > 156].max(axis=1).min(initial=255) > 40
        outside += (inside < 100).sum()
    assert outside > SIDE * SIDE // 4


def test_a_dark_photograph_is_not_lost_in_the_dark():
    compose, black = augment.recipe(), 0
    dark, mask = np.full((SIDE, SIDE, 3), 30, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for seed in range(60):
        compose.set_random_seed(seed)
        black += np.percentile(compose(image=dark, mask=mask)["image"], 99) < 5
    assert black <= 4


def test_a_bright_photograph_is_not_lost_in_the_light():
    compose, bright = augment.recipe(), np.full((SIDE, SIDE, 3), 190, np.uint8)
    bright[::4] -= 40
    mask, white = np.zeros((SIDE, SIDE), np.uint8), 0
    for seed in range(60):
        image, _ = augmentation.augmented(compose, bright, mask, np.full_like(mask, 255), seed)
        white += ((image > 0) & (image < 255)).mean() < 0.03
    assert not white


# ---- running again -----------------------------------------------------------------------------------------

def test_running_again_changes_nothing_and_says_so(command, tiny_set, pairs, everything):
    before = everything(pairs)
    ended = again(command, tiny_set, pairs)
    assert ended.code == 0 and "there already" in ended.out and " --pairs " in ended.out
    assert everything(pairs) == before


def test_an_unfinished_run_is_finished_to_the_same_bytes(command, tiny_set, tiny_pairs, pairs):
    """As after a kill: no manifest, not marked as finished, some pairs missing and one of them by half."""
    (pairs / "manifest.csv").unlink()
    (pairs / "run.json").write_text((pairs / "run.json").read_text().replace("true", "false"))
    for gone in ("train/images/eye0_0000.png", "train/masks/eye1_0001.png",
                 "validation/images/eye3_0000.png"):
        (pairs / gone).unlink()
    kept = pairs / "train/images/eye0_0001.png"
    before = kept.stat().st_mtime_ns
    assert again(command, tiny_set, pairs).code == 0
    assert kept.stat().st_mtime_ns == before, "what is there is not made again"
    assert pictures(pairs) == pictures(tiny_pairs)
    assert (pairs / "manifest.csv").read_bytes() == (tiny_pairs / "manifest.csv").read_bytes()
    assert "true" in (pairs / "run.json").read_text(encoding="utf-8")


def test_pairs_that_a_finished_run_has_lost_are_made_again(command, tiny_set, tiny_pairs, pairs):
    """They were "there already", and training.py ended at the first of them."""
    (pairs / "train/images/eye0_0000.png").write_bytes(b"")
    (pairs / "validation/masks/eye3_0000.png").unlink()
    ended = again(command, tiny_set, pairs)
    assert ended.code == 0 and "2 files (train/images/eye0_0000.png for one) gone or empty" in ended.err
    assert pictures(pairs) == pictures(tiny_pairs)
    (pairs / "manifest.csv").write_bytes(b"")
    assert "1 file (manifest.csv) gone or empty" in again(command, tiny_set, pairs).err
    assert (pairs / "manifest.csv").read_bytes() == (tiny_pairs / "manifest.csv").read_bytes()


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_damaged_pair_is_named_by_the_preview_and_made_again_when_removed(
        kind, command, tiny_set, pairs, tiny_pairs):
    damaged = pairs / "train" / kind / "eye0_0001.png"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    ended = again(command, tiny_set, pairs, "--preview")
    assert ended.code == 2 and f"{damaged}: is damaged. Remove it" in ended.err
    damaged.unlink()
    assert again(command, tiny_set, pairs, "--preview").code == 0 and (pairs / "preview.png").exists()
    assert damaged.read_bytes() == (tiny_pairs / "train" / kind / damaged.name).read_bytes()


def test_other_flags_are_refused_and_named(refused, tiny_set, pairs, everything):
    before = everything(pairs)
    sentence = refused("augment", "--data", tiny_set, "--out", pairs, "--copies", 3, "--seed", 5,
                       "--validation", 0.25, "--workers", 1)
    for word in ("copies: 2 before, 3 now", "seed: 0 before, 5 now", "--overwrite"):
        assert word in sentence
    assert "workers" not in sentence
    assert everything(pairs) == before


def test_overwrite_leaves_no_pair_of_the_earlier_run(command, tiny_set, pairs):
    ended = command("augment", "--data", tiny_set, "--out", pairs, "--copies", 1, "--workers", 1,
                    "--validation", 0.25, "--overwrite", "--preview")
    assert ended.code == 0, ended.err
    assert len(list(pairs.glob("train/*/*.png"))) == 6
    assert len(pd.read_csv(pairs / "manifest.csv")) == 3 + augment.VALIDATION_COPIES + 3
    assert cv2.imread(str(pairs / "preview.png")).shape[1] > 1000


def test_a_folder_with_other_files_is_left_alone(refused, tiny_set, tmp_path, everything):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    before = everything(tmp_path)
    assert "holds other files" in refused("augment", "--data", tiny_set, "--out", tmp_path / "mine")
    assert everything(tmp_path) == before


def test_an_out_that_is_a_file_is_refused(refused, tiny_set, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is a file" in refused("augment", "--data", tiny_set, "--out", tmp_path / "file")


def test_an_interrupted_run_ends_with_130_and_says_how_to_go_on(command, tiny_set, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(augment, "write_all", interrupted)
    ended = again(command, tiny_set, tmp_path / "p")
    assert ended.code == 130 and "same command again" in ended.err
    monkeypatch.undo()
    assert again(command, tiny_set, tmp_path / "p").code == 0


# ---- bad input ---------------------------------------------------------------------------------------------

@pytest.fixture
def spoilt(draw, tmp_path):
    return draw.plain(tmp_path / "spoilt", train=3, test=0)


def test_an_all_black_mask_is_named_before_anything_is_written(refused, draw, spoilt, tmp_path):
    draw.put(spoilt / "train/masks/eye1.png", np.zeros((100, 110), bool))
    assert "eye1.png: is black everywhere" in refused("augment", "--data", spoilt, "--out", tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_mask_of_another_size_is_named(refused, draw, spoilt, tmp_path):
    draw.put(spoilt / "train/masks/eye1.png", draw.eye(1, 90, 110)[1])
    sentence = refused("augment", "--data", spoilt, "--out", tmp_path / "p")
    assert "eye1.png: is 110 x 90, its photograph 110 x 100" in sentence


def test_a_missing_mask_a_cut_photograph_and_a_text_are_named(refused, spoilt, tmp_path):
    path, words = spoilt / "train/images/eye1.png", ("augment", "--data", spoilt, "--out", tmp_path / "p")
    path.write_bytes(path.read_bytes()[:3000])
    assert "eye1.png: is damaged, or is not a picture" in refused(*words)
    path.write_text("text")
    assert "eye1.png: is damaged, or is not a picture" in refused(*words)
    (spoilt / "train/masks/eye1.png").unlink()
    assert "eye1.png: has no mask" in refused(*words)


def test_a_split_without_masks_cannot_be_trained_on(refused, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=3)
    shutil.rmtree(folder / "train/masks")
    sentence = refused("augment", "--data", folder, "--out", tmp_path / "p")
    assert "mask" in sentence and "eye" in sentence


@pytest.mark.parametrize("make, word", [(False, "no such folder"), (True, "no data set is recognised")])
def test_a_missing_or_empty_folder_is_named(refused, tmp_path, make, word):
    if make:
        (tmp_path / "x").mkdir()
    assert word in refused("augment", "--data", tmp_path / "x", "--out", tmp_path / "p")


def test_what_goes_wrong_in_a_worker_is_a_sentence_too(refused, spoilt, tmp_path, monkeypatch):
    """A photograph that is damaged between the first look and a worker's."""
    seen = []

    def damaging(photograph, *_):
        seen.append(photograph)
        photograph.path.write_text("damaged now")

    monkeypatch.setattr(Labelled, "read", damaging)
    sentence = refused("augment", "--data", spoilt, "--out", tmp_path / "p", "--workers", 1)
    assert "damaged, or is not a picture" in sentence and seen
