"""An observer's pen, measured on drawn vessels of known width and taken out of their masks."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from fitting.observed_pen import SPARED, pen_of, pens_of_sets, widths, without_pen
from photographs.labelled import Labelled
from photographs.square import Square
from running.command import Problem
from sets.layouts import Photograph

SIDE, FINE = 300, 8  # px of a picture, and how much finer it is drawn


def drawn_lines(width):
    """Six winding lines that are `width` px wide, (SIDE, SIDE) float32 in [0, 1]."""
    picture, down = np.zeros((SIDE * FINE, SIDE * FINE), np.uint8), np.linspace(0, SIDE, 60)
    for k in range(6):
        across = 40 + k * (SIDE - 80) / 5 + 6 * np.sin(down / 35 + k)
        line = np.rint(np.stack([across, down], 1) * FINE).astype(int)
        cv2.polylines(picture, [line], False, 255, round(width * FINE))
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def vessels(width, wider, blur=0.8):
    """A photograph of vessels so wide, with noise and a lens that blurs, and a mask that has them `wider`."""
    noise = np.random.default_rng(0).normal(0, 4, (SIDE, SIDE))
    green = np.clip(140 - 45 * cv2.GaussianBlur(drawn_lines(width), (0, 0), blur) + noise, 0, 255)
    rgb, fov = np.repeat(green[..., None], 3, 2).astype(np.uint8), np.ones((SIDE, SIDE), bool)
    return Labelled(rgb, drawn_lines(width + wider) >= 0.5, fov, Square.around(fov))


def measured(example):
    return widths(example.rgb, example.mask, example.fov)


# ---- measuring ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("width, blur", [(3, 0.6), (5, 0.8), (7, 1), (12, 1.5)])
@pytest.mark.parametrize("share", [-1 / 3, 0, 1 / 3])
def test_what_is_drawn_and_what_is_seen_are_measured_on_vessels_of_known_width(width, blur, share):
    drawn, seen = measured(vessels(width, width * share, blur))
    assert len(drawn) == len(seen) > 500
    assert np.median(seen) == pytest.approx(width, rel=0.07)
    assert np.median(drawn - seen) == pytest.approx(width * share, abs=0.06 * width + 0.1)


def test_the_pen_of_a_set_is_that_of_its_middle_photograph_and_half_a_pixel():
    pen = pen_of([vessels(6, wider) for wider in (1, 2, 9)])
    assert pen + SPARED == pytest.approx(1.5 / SIDE, abs=0.1 / SIDE)


def test_where_no_vessel_is_drawn_or_seen_there_is_no_pen():
    example = vessels(5, 0)
    nothing = np.zeros_like(example.mask)
    for rgb, mask in ((example.rgb, nothing), (np.full_like(example.rgb, 120), example.mask)):
        assert pen_of([Labelled(rgb, mask, example.fov, example.square)]) == 0


def test_masks_that_are_wider_than_any_vessel_are_refused_before_anything_is_learned(monkeypatch):
    monkeypatch.setattr(Labelled, "read", lambda photograph: vessels(6, 8))
    fat = Photograph("mine", "1", "training", "1", "1.png", "fat.png")
    with pytest.raises(Problem, match="^fat.png: this and the other masks of mine are drawn .* wider than"):
        pens_of_sets(ThreadPoolExecutor(1), [fat])


# ---- taking it out -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("pen", [-1.5, -0.4, 0.4, 1.5])
def test_a_mask_without_its_pen_is_as_wide_as_vessels_look(pen):
    seen = vessels(9, 0).mask
    without = without_pen(vessels(9, 2 * pen).mask, pen / SIDE, SIDE)
    assert without.dtype == np.uint8 and without.sum() / 255 == pytest.approx(seen.sum(), rel=0.03)
    assert (without[seen] >= 64).mean() > 0.95


def test_a_mask_that_is_as_wide_as_vessels_look_stays_as_it_is():
    mask = vessels(9, 0).mask
    assert np.array_equal(without_pen(mask, 0.0, SIDE), mask.astype(np.uint8) * 255)


def test_a_vessel_of_one_pixel_does_not_vanish():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, 150] = True
    assert without_pen(mask, 0.4 / SIDE, SIDE)[:, 150].min() > 128
