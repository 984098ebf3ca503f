"""The samples are what their README says, and draw.py draws them."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from running.command import Problem
from samples.draw import contents, draw, drawn, main

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
SHIPPED = sorted(SAMPLES.glob("t*/images/*"))


def drawing(seed, height=300, width=340):
    return draw(np.random.default_rng(seed), height, width)


def read(path, flag=cv2.IMREAD_GRAYSCALE):
    return cv2.imread(str(path), flag)


def test_a_drawing_has_the_shapes_and_types_it_promises():
    rgb, mask, fov = drawing(1)
    assert rgb.shape == (300, 340, 3) and rgb.dtype == np.uint8
    assert mask.shape == fov.shape == (300, 340)
    assert mask.dtype == fov.dtype == bool


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    assert contents(3, "train", 0, 200) == contents(3, "train", 0, 200)
    assert not np.array_equal(drawn(3, 0, 200)[1], drawn(3, 1, 200)[1])
    assert not np.array_equal(drawn(3, 0, 200)[1], drawn(4, 0, 200)[1])


@pytest.mark.parametrize("seed", range(4))
def test_vessels_lie_in_the_fov_and_are_a_tenth_of_it(seed):
    rgb, mask, fov = drawing(seed, 512, 512)
    assert not (mask & ~fov).any()
    assert 0.085 < mask[fov].mean() < 0.155
    assert 0.55 < fov.mean() < 0.85


@pytest.mark.parametrize("seed", range(4))
def test_vessels_are_darker_than_what_is_beside_them(seed):
    rgb, mask, fov = drawing(seed, 512, 512)
    beside = cv2.dilate(np.uint8(mask), np.ones((11, 11))) > 0
    beside &= ~cv2.dilate(np.uint8(mask), np.ones((5, 5))).astype(bool) & fov
    red, green, blue = (rgb[mask].mean(0) / rgb[beside].mean(0)).tolist()
    assert green < 0.92
    assert green < red < 1.0


@pytest.mark.parametrize("seed", range(4))
def test_thin_vessels_of_the_mask_show_in_the_photograph(seed):
    rgb, mask, fov = drawing(seed, 512, 512)
    thin = mask & ~cv2.morphologyEx(np.uint8(mask), cv2.MORPH_OPEN, np.ones((3, 3))).astype(bool)
    green = rgb[..., 1].astype(np.float32)
    around = cv2.medianBlur(rgb[..., 1], 15)
    assert np.median((around - green)[thin]) >= 2


def test_the_surround_is_black_and_the_fov_is_lit():
    rgb, _, fov = drawing(2)
    assert rgb[~cv2.dilate(np.uint8(fov), np.ones((5, 5))).astype(bool)].max() < 30
    assert rgb[..., 0][fov].mean() > 80


def test_the_frame_s_size_does_not_change_how_wide_vessels_are_to_the_eye():
    small, large = (drawn(2, 0, size)[1] for size in (300, 600))
    assert large.sum() / small.sum() == pytest.approx(4, rel=0.25)


def test_eight_train_and_four_test_photographs_with_mask_and_fov_are_shipped_under_2_mb():
    assert [path.parts[-3] for path in SHIPPED] == ["test"] * 4 + ["train"] * 8
    files = [path for path in SAMPLES.glob("t*/*/*") if path.is_file()]
    assert len(files) == 3 * 12
    ours = [path for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in ours) < 2_000_000


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_photograph_its_mask_and_its_fov_are_of_one_size(path):
    rgb = read(path, cv2.IMREAD_COLOR)
    for kind in ("masks", "fovs"):
        values = read(path.parent.parent / kind / f"{path.stem}.png")
        assert values.shape == rgb.shape[:2]
        assert set(np.unique(values)) == {0, 255}


def test_the_shipped_pictures_are_what_the_script_draws():
    for path in (SHIPPED[0], SHIPPED[-1]):
        rgb, mask, fov = drawn(int(path.stem.split("_")[1]), 0)
        there = read(path, cv2.IMREAD_COLOR)[..., ::-1]
        # Another processor may round otherwise, and JPEG is not exact; other code draws another eye.
        assert np.abs(there.astype(int) - rgb).mean() < (0.5 if path.suffix == ".png" else 2)
        assert (mask != (read(path.parent.parent / "masks" / f"{path.stem}.png") > 0)).mean() < 0.001
        assert (fov != (read(path.parent.parent / "fovs" / f"{path.stem}.png") > 0)).mean() < 0.001


def test_drawing_again_changes_nothing_and_another_seed_is_refused(tmp_path, capsys):
    command = ["--out", str(tmp_path), "--train", "1", "--test", "1", "--size", "128"]
    assert main(command) == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert len(before) == 6
    assert main(command) == 0
    assert "nothing changed" in capsys.readouterr().out
    with pytest.raises(Problem, match="differs"):
        main([*command, "--seed", "1"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    main([*command, "--seed", "1", "--overwrite"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} != before


def test_the_script_runs_from_anywhere(tmp_path):
    words = "--out", "set", "--train", "1", "--test", "0", "--size", "128"
    command = [sys.executable, SAMPLES / "draw.py", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "set/train/images/drawn_01.jpg").exists()
