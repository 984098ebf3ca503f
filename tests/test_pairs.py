"""What training.py takes from a folder of pairs, and what it refuses."""

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, linux_only

from fitting.observed_pen import pens_in_table
from fitting.pairs import Pairs, lit_crop
from running.command import Problem
from running.files import read_json, sha256, write_json
from samples import FOLDER as SAMPLES


@pytest.fixture
def folder(tmp_path, tiny_pairs):
    """A copy of the pairs that a test may damage."""
    return shutil.copytree(tiny_pairs, tmp_path / "augmented")


@pytest.fixture(scope="module")
def pairs(tiny_pairs):
    return Pairs(tiny_pairs)


def edit(folder, change):
    table = pd.read_csv(folder / "manifest.csv", keep_default_na=False, dtype=str)
    changed = change(table)
    table = table if changed is None else changed
    table.to_csv(folder / "manifest.csv", index=False)


# ---- what is refused -------------------------------------------------------------------------------------

@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_photograph_among_the_training_pairs_and_in_another_split_is_refused(folder, part):
    def leak(table):
        sha = table.loc[table["split"] == "train", "source sha256"].iloc[0]
        table.loc[table.index[table["split"] == part][0], "source sha256"] = sha

    edit(folder, leak)
    other = {"validation": "train/images/eye3", "test": "test/images/eye4"}[part]
    with pytest.raises(Problem, match=f"/train/images/eye0.png and .*/{other}.png are the same photograph"):
        Pairs(folder)


@pytest.mark.parametrize("name", ["007", "1e3"])
def test_a_set_whose_name_is_a_number_keeps_it(name, command, draw, tmp_path):
    """pandas made a number of it: a training of an hour ended without a card."""
    folder = draw.plain(tmp_path / name, train=3, test=1)
    words = "--data", folder, "--out", tmp_path / "p", "--copies", 1, "--workers", 1
    assert command("augment", *words).code == 0
    pairs = Pairs(tmp_path / "p")
    assert pairs.licence() == f"{name}: as its owner says" and list(pairs.sources()) == [name]
    assert list(pens_in_table(pairs.parts["train"])["pens"]) == [name]


def test_a_copy_of_a_test_photograph_under_another_name_is_found(refused, draw, tmp_path):
    """The file's content decides, not its name. training.py alone refused it, hours later."""
    folder = draw.plain(tmp_path / "s", train=3, test=1)
    shutil.copy(folder / "train/images/eye0.png", folder / "test/images/eye3.png")
    words = ("--data", folder, "--out", tmp_path / "p", "--copies", 1, "--workers", 1)
    assert (f"{folder / 'train/images/eye0.png'} and {folder / 'test/images/eye3.png'} are the same "
            "photograph. Remove all but one.") in refused("augment", *words)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("gone", [
    "train/images/eye0_0001.png", "train/masks/eye1_0000.png", "validation/masks/eye3_0002.png"])
def test_a_pair_removed_or_emptied_after_augmentation_is_named(folder, gone):
    (folder / gone).write_bytes(b"")
    with pytest.raises(Problem, match=f"{gone}: is missing or empty"):
        Pairs(folder)
    (folder / gone).unlink()
    with pytest.raises(Problem, match=f"{gone}: is missing or empty"):
        Pairs(folder)


def test_a_pair_that_was_replaced_by_another_picture_is_named(folder):
    place = folder / "train/images/eye1_0000.png"
    cv2.imwrite(str(place), np.zeros((100, 100, 3), np.uint8))
    damaged = Pairs(folder)
    k = list(damaged.parts["train"]["file"]).index(place.name)
    with pytest.raises(Problem, match="images/eye1_0000.png: is not a 512 x 512 picture"):
        damaged.pair("train", k)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_pair_that_tensorflow_cannot_read_is_named_all_the_same(folder, monkeypatch, part):
    monkeypatch.setattr("fitting.pairs.free_memory", lambda: 0)
    for path in (folder / part / "masks").iterdir():
        path.write_bytes(b"damaged")
    pairs = Pairs(folder)
    batches = pairs.training(0, 0, 1, 2, 1) if part == "train" else pairs.validation(2)
    with pytest.raises(Problem, match=rf"{part}/masks/eye\d_000\d.png: is not a"), pairs.problems_raised():
        list(batches)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda folder: (folder / "manifest.csv").unlink(), "manifest.csv: cannot be read"),
        (lambda folder: (folder / "manifest.csv").write_text(""), "manifest.csv: cannot be read"),
        (lambda folder: (folder / "manifest.csv").write_text("a,b\n1,2\n"), "manifest.csv: cannot be read"),
        (lambda folder: (folder / "manifest.csv").write_bytes(b"\x00\xff\xfe" * 99),
         "manifest.csv: cannot be read"),
        (lambda folder: edit(folder, lambda table: table[table["split"] != "validation"]),
         "no validation pair"),
        (lambda folder: edit(folder, lambda table: table[table["split"] != "train"]), "no train pair"),
        (lambda folder: (folder / "run.json").unlink(), "holds no finished pairs"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json: cannot be read"),
        (lambda folder: write_json(folder / "run.json", read_json(folder / "run.json") | {"finished": False}),
         "holds no finished pairs"),
        (shutil.rmtree, "holds no finished pairs"),
    ],
)
def test_a_folder_that_is_not_what_augment_wrote_is_refused(folder, spoil, words):
    spoil(folder)
    with pytest.raises(Problem, match=words):
        Pairs(folder)


# ---- order -----------------------------------------------------------------------------------------------

def test_order_and_turns_are_a_function_of_seed_and_epoch(pairs):
    assert np.array_equal(pairs.order(3, 7), pairs.order(3, 7))
    assert not np.array_equal(pairs.order(3, 7), pairs.order(3, 8))
    assert not np.array_equal(pairs.order(3, 7), pairs.order(4, 7))
    places, views, _ = pairs.order(0, 0).T
    assert sorted(places) == list(range(6))
    assert {view for epoch in range(20) for view in pairs.order(0, epoch)[:, 1]} == set(range(8))


def batches(dataset):
    return [(squares.numpy(), masks.numpy()) for squares, masks in dataset]


def equal(some, others):
    return len(some) == len(others) and all(
        np.array_equal(a, b) for batch, other in zip(some, others, strict=True)
        for a, b in zip(batch, other, strict=True))


def test_an_epoch_shows_every_pair_once_turned_with_its_mask(pairs, tiny_pairs):
    (squares, masks), = batches(pairs.training(0, 0, 1, batch=6, workers=2))
    assert squares.shape == (6, 512, 512, 3) and masks.shape == (6, 512, 512, 1)
    assert squares.dtype == masks.dtype == np.float32 and squares.max() <= 1 and masks.max() <= 1
    names = pairs.names_of(0, 0, 0, 6)
    for (k, view, _), name, square, mask in zip(pairs.order(0, 0), names, squares, masks, strict=True):
        file = pairs.parts["train"]["file"].iloc[k]
        assert name == file
        for kind, seen in (("images", square), ("masks", mask)):
            kept = cv2.imread(str(tiny_pairs / "train" / kind / file), cv2.IMREAD_UNCHANGED)
            kept = kept[..., ::-1] if kind == "images" else kept[..., None]
            kept = np.rot90(kept, view % 4)
            kept = kept[:, ::-1] if view >= 4 else kept
            assert np.array_equal(np.rint(seen * 255), kept), (file, kind)


def test_crops_are_parts_of_their_pairs_turned_with_their_masks(tiny_pairs):
    pairs = Pairs(tiny_pairs, crop=256)
    assert pairs.steps(4) == 6, "an epoch has as many pixels as the pairs"
    corners = set()
    found = batches(pairs.training(0, 0, 1, batch=4, workers=2))
    crops = [np.concatenate([batch[kind] for batch in found]) for kind in range(2)]
    for (k, view, _), rgb, mask in zip(pairs.order(0, 0), *crops, strict=True):
        square = np.rint(np.dstack([rgb, mask]) * 255).astype(np.uint8)
        square = np.ascontiguousarray(np.rot90(square[:, ::-1] if view >= 4 else square, -view % 4))
        whole = pairs.pair("train", k)
        places = cv2.matchTemplate(whole[..., :3], square[..., :3], cv2.TM_SQDIFF)
        left, top = cv2.minMaxLoc(places)[2]
        assert np.array_equal(whole[top:top + 256, left:left + 256], square)
        corners.add((top, left))
    assert len(corners) > 20, "all over the pairs"


def test_crops_are_mostly_inside_the_fov():
    pair = np.zeros((512, 512, 4), np.uint8)
    pair[:, 200:] = 9
    lit = [lit_crop(pair, 256, seed)[..., 1].astype(bool).mean() for seed in range(200)]
    assert np.mean(np.array(lit) < 0.6) < 0.05, "of single draws four in ten"


@pytest.mark.parametrize("crop", [256, 512])
def test_epochs_from_the_second_on_are_those_of_an_unbroken_run(tiny_pairs, crop):
    pairs = Pairs(tiny_pairs, crop)
    unbroken = batches(pairs.training(5, 0, 3, batch=2, workers=2))
    assert len(unbroken) == 3 * pairs.steps(2) and pairs.steps(2) == {256: 12, 512: 3}[crop]
    assert equal(batches(pairs.training(5, 1, 3, batch=2, workers=1)), unbroken[pairs.steps(2):])


@pytest.fixture
def decoded(monkeypatch):
    """Filled with the number of each pair that is decoded."""
    numbers, decode = [], Pairs.pair
    monkeypatch.setattr(Pairs, "pair", lambda pairs, part, k: numbers.append(k) or decode(pairs, part, k))
    return numbers


def test_streamed_and_cached_pairs_are_the_same(tiny_pairs, monkeypatch, decoded):
    # One worker: where an epoch ends, two may decode the same pair at the same moment, to the same bytes.
    cached = batches(Pairs(tiny_pairs).training(1, 0, 2, batch=2, workers=1))
    assert sorted(decoded) == list(range(6)), "once for both epochs"
    decoded.clear()
    monkeypatch.setattr("fitting.pairs.free_memory", lambda: 0)
    assert equal(batches(Pairs(tiny_pairs).training(1, 0, 2, batch=2, workers=2)), cached)
    assert sorted(decoded) == sorted([*range(6)] * 2)


def test_a_streamed_pair_is_decoded_once_for_all_its_crops_of_an_epoch(tiny_pairs, monkeypatch):
    monkeypatch.setattr("fitting.pairs.free_memory", lambda: 0)
    decoded, lit = [], np.full((512, 512, 4), 9, np.uint8)
    monkeypatch.setattr(Pairs, "pair", lambda pairs, part, k: decoded.append(k) or lit)
    pairs = Pairs(tiny_pairs, crop=256)
    pairs.parts["train"] = pd.concat([pairs.parts["train"]] * 40, ignore_index=True)
    assert len(batches(pairs.training(0, 0, 1, batch=4, workers=1))) == 240
    assert sorted(decoded) == list(range(240))
    assert decoded != sorted(decoded)


def test_a_batch_larger_than_all_pairs_is_filled_from_the_start(pairs):
    (squares, _), = batches(pairs.training(0, 0, 1, batch=8, workers=1))
    assert len(squares) == 8 and pairs.steps(8) == 1


@pytest.mark.parametrize("memory", [0, 1 << 40])
def test_no_iterator_waits_at_its_end_for_the_search_for_better_settings(tiny_pairs, monkeypatch, memory):
    """TensorFlow's search kept every second one, for up to a minute."""
    monkeypatch.setattr("fitting.pairs.free_memory", lambda: memory)
    pairs = Pairs(tiny_pairs)
    for dataset in (pairs.training(0, 0, 1, 2, 2), pairs.validation(2)):
        assert dataset.options().autotune.enabled is False


def test_validation_is_shown_whole_and_unturned(pairs, tiny_pairs):
    found = batches(pairs.validation(2))
    assert sum(len(squares) for squares, _ in found) == 5
    first = tiny_pairs / "validation/images" / pairs.parts["validation"]["file"].iloc[0]
    assert np.array_equal(np.rint(found[0][0][0] * 255), cv2.imread(str(first))[..., ::-1])


def test_for_several_devices_each_validation_square_comes_as_often_as_there_are_devices(pairs):
    once, thrice = (np.concatenate([squares for squares, _ in batches(pairs.validation(2, devices))])
                    for devices in (1, 3))
    assert np.array_equal(thrice, np.concatenate([once] * 3))


# ---- more pairs than memory ------------------------------------------------------------------------------

def repeated(pairs, out, count):
    """A folder of `count` training pairs, all of which are links to the first one of `pairs`."""
    table = pd.read_csv(pairs / "manifest.csv", keep_default_na=False, dtype=str)
    first = table[table["split"] == "train"].iloc[0]
    files = [f"pair{k:06d}.png" for k in range(count)]
    (out / "validation").mkdir(parents=True)
    for kind in ("images", "masks"):
        (out / "validation" / kind).symlink_to(pairs / "validation" / kind)
        (out / "train" / kind).mkdir(parents=True)
        for file in files:
            (out / "train" / kind / file).symlink_to(pairs / "train" / kind / first["file"])
    rows = pd.DataFrame([first] * count).assign(file=files)
    pd.concat([rows, table[table["split"] == "validation"]]).to_csv(out / "manifest.csv", index=False)
    write_json(out / "run.json", read_json(pairs / "run.json") | {"manifest": sha256(out / "manifest.csv")})
    return out


STREAM = """
import resource, sys
from pathlib import Path
import tensorflow as tf
from fitting.pairs import BYTES, Pairs
used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
limit = used + (2 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
pairs = Pairs(sys.argv[1])
assert len(pairs.parts["train"]) * BYTES > limit - used, "the pairs must not fit"
batches = pairs.training(seed=0, first=0, epochs=2, batch=4, workers=2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = sum(len(squares) for squares, masks in batches.take(100))
print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""


@linux_only
def test_pairs_that_do_not_fit_into_memory_are_streamed(tiny_pairs, tmp_path):
    """The process may take 2 GB of addresses more than TensorFlow maps; the pairs would take 4."""
    folder = repeated(tiny_pairs, tmp_path / "many", 4000)
    command, environment = [sys.executable, "-c", STREAM, folder], {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    seen, megabytes = map(int, ended.stdout.split()[-2:])
    assert seen == 400 and megabytes < 300, "400 MB were read"


def test_validation_pairs_that_do_not_fit_are_streamed_and_are_the_same(tiny_pairs, monkeypatch, decoded):
    kept = Pairs(tiny_pairs).validation(2)
    assert equal(batches(kept), batches(kept)) and sorted(decoded) == list(range(5)), "once for all epochs"
    decoded.clear()
    monkeypatch.setattr("fitting.pairs.free_memory", lambda: 0)
    streamed = Pairs(tiny_pairs).validation(2)
    assert not decoded, "only when they are asked for"
    assert equal(batches(streamed), batches(kept)) and sorted(decoded) == list(range(5))


# ---- sources ---------------------------------------------------------------------------------------------

def test_sources_are_named_with_their_sums_and_test_photographs_are_not(pairs, tiny_set):
    found = pairs.sources()
    assert {part: set(names) for part, names in found["tiny"].items()} == {
        "train": {"eye0", "eye1", "eye2"}, "validation": {"eye3"}} and set(found) == {"tiny"}
    assert found["tiny"]["train"]["eye0"] == sha256(tiny_set / "train/images/eye0.png")


def test_validation_photographs_come_with_mask_and_fov(pairs, tiny_set):
    (photograph,) = pairs.photographs("validation")
    assert photograph.path == (tiny_set / "train/images/eye3.png").resolve()
    assert photograph.mask.name == photograph.fov.name == "eye3.png"


def test_the_licence_of_the_data_goes_with_it(pairs):
    assert pairs.licence() == "tiny: as its owner says"


def test_pairs_of_the_drawn_samples_are_known_as_such(command, pairs, tmp_path):
    assert not pairs.drawn
    assert command("augment", "--data", SAMPLES, "--out", tmp_path / "p", "--copies", 1).code == 0
    assert Pairs(tmp_path / "p").drawn
