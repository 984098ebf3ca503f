"""What happens between a photograph and its probability: squares, views, calibration and the way back."""

import cv2
import numpy as np
import pytest
from conftest import predictor_of
from hypothesis import given, settings
from hypothesis import strategies as st

import checkpoint
from card import Plan
from model import unet
from photographs.square import VIEWS
from predict import SIDES, Predictor, calibrated, side_near
from prediction.pen import Pens

GREEN = predictor_of(lambda squares: squares[..., 1:2])


# ---- views -------------------------------------------------------------------------------------------------

def test_a_network_that_copies_gives_the_same_by_one_view_and_by_eight():
    square = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for views in (VIEWS[:1], VIEWS):
        mean, spread = GREEN.look(square, views)
        assert np.allclose(mean, square[..., 1] / 255, atol=1e-6) and np.allclose(spread, 0, atol=1e-6)


def test_the_network_sees_eight_different_squares_and_their_answers_are_averaged():
    seen = []

    def first_pixel(squares):
        seen.extend(square.tobytes() for square in squares)
        first = (np.indices((8, 8)).sum(0) == 0).astype(np.float32)
        return np.repeat(first[None, ..., None], len(squares), 0)

    square = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    mean, spread = predictor_of(first_pixel).look(square, VIEWS)
    assert len(set(seen)) == 8
    expected = np.zeros((8, 8))
    expected[[0, 0, -1, -1], [0, -1, 0, -1]] = 0.25
    assert np.allclose(mean, expected), "each corner is the first pixel of two views"
    assert spread[0, 0] == pytest.approx(np.std([1, 1, 0, 0, 0, 0, 0, 0]))


def test_the_plan_decides_on_one_view_or_eight(draw):
    rgb, _, fov = draw.eye(1)
    seen = []
    for tta, count in ((False, 1), (True, 8)):
        seen.clear()
        predictor_of(lambda squares: seen.extend(squares) or squares[..., 1:2], tta=tta)(rgb, fov)
        assert len(seen) == count


def test_the_spread_is_that_of_the_views():
    answers = iter(np.float32([0.2, 0.6, 0.6, 1.0]))
    rising = predictor_of(lambda squares: np.stack(
        [np.full((*square.shape[:2], 1), next(answers)) for square in squares]))
    fov = np.ones((64, 64), bool)
    mean, spread = rising.uncalibrated(np.zeros((64, 64, 3), np.uint8), fov, 32, VIEWS[:4])
    assert mean == pytest.approx(np.full(fov.shape, 0.6), abs=1e-5)
    assert spread == pytest.approx(np.full(fov.shape, np.std([0.2, 0.6, 0.6, 1.0])), abs=1e-5)


# ---- there and back ----------------------------------------------------------------------------------------

def test_a_network_that_copies_gives_the_photograph_back_at_native_size(draw):
    rgb, _, fov = draw.eye(1, 500, 540)
    soft = cv2.GaussianBlur(rgb, (0, 0), 2)
    for side, tta in ((512, False), (448, True)):
        probability, spread = predictor_of(lambda squares: squares[..., 1:2], side=side, tta=tta)(soft, fov)
        assert probability.shape == spread.shape == fov.shape and probability.dtype == np.float32
        assert not probability[~fov].any() and probability.max() <= 1
        inside = cv2.erode(fov.astype(np.uint8), np.ones((9, 9))) > 0
        assert np.abs(probability - soft[..., 1] / 255)[inside].max() < 0.05
        assert np.nanmax(spread[inside]) < 0.05


def test_the_rim_of_the_fov_lies_inside_the_square(draw):
    """At the border of a square it looked like a vessel."""
    seen = []
    rgb, _, fov = draw.eye(1, 500, 540)
    predictor_of(lambda squares: seen.append(squares) or squares[..., 1:2], side=512)(rgb, fov)
    (square,) = seen[-1].max(axis=-1)
    lit = square > 0.1
    assert square.shape == (528, 528) and lit[8:-8, 8:-8].sum() == lit.sum() > 10**5
    assert lit[8:12].any() and lit[:, 8:12].any(), "the FOV fills the rest"


@pytest.mark.parametrize("depth", [4, 7, 8])
def test_a_network_of_any_depth_divides_the_square_and_its_margin(depth):
    shapes = []
    predictor = predictor_of(lambda squares: shapes.append(squares.shape) or squares[..., 1:2], depth=depth)
    fov = np.ones((64, 64), bool)
    for side in SIDES:
        mean, _ = predictor.uncalibrated(np.full((64, 64, 3), 102, np.uint8), fov, side, VIEWS[:1])
        assert mean == pytest.approx(np.full(fov.shape, 0.4), abs=1e-3), "and the margin is cut off again"
    assert len(shapes) == len(SIDES) and not any(side % 2**depth for shape in shapes for side in shape[1:3])
    assert all(shape[1] >= side + 16 for side, shape in zip(SIDES, shapes, strict=True))


def test_a_finer_photograph_has_thinner_vessels(draw):
    rgb, _, fov = draw.eye(1, 500, 540)
    density = {}
    for side in (250, 500):
        bright = predictor_of(
            lambda squares: (squares[..., 1:2] > 0.4).astype(np.float32), pens=Pens(fov_sides=(side, side)))
        density[side] = bright.uncalibrated(rgb, fov, 512, VIEWS[:1])[0].mean()
    assert density[250] < 0.95 * density[500]


def test_the_segmented_photograph_is_cut_at_the_plans_threshold_inside_the_fov(draw):
    rgb, _, fov = draw.eye(1)
    predictor = predictor_of(lambda squares: squares[..., 1:2], threshold=0.3, tta=True)
    segmented = predictor.segment(rgb, fov)
    assert segmented.levels.dtype == np.uint16 and segmented.mask.dtype == bool
    assert np.array_equal(segmented.mask, (segmented.levels >= 0.3 * 65535) & fov)
    assert segmented.rgb is rgb and segmented.fov is fov and segmented.spread.shape == fov.shape
    known = predictor.cut(rgb, fov, np.full(fov.shape, 65535, np.uint16))
    assert np.array_equal(known.mask, fov) and known.spread is None


# ---- the side of the square --------------------------------------------------------------------------------

def test_squares_are_never_much_larger_than_the_photographs_own_pixels():
    assert side_near(1280, 600) == 896 and side_near(1280, 10**6) == 1280
    assert side_near(530, 10**6) == 512 and side_near(20, 10**6) == 448
    assert side_near(512, 40) == 448, "but something must be seen"


def test_the_side_brings_vessels_to_the_plans_width():
    """Stripes that are 8 px wide in a square of 512 px."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    for k in range(40, 480, 40):
        stripes[20:-20, k:k + 8] = 255
    fov = np.ones((512, 512), bool)
    for width, side in ((8, 512), (10, 640), (12, 768)):
        predictor = predictor_of(lambda squares: squares[..., 1:2], vessel_width=width)
        assert predictor.vessel_width(stripes, fov) == pytest.approx(8, rel=0.05)
        assert predictor.side(stripes, fov) == side
    without = predictor_of(lambda squares: squares[..., 1:2], vessel_width=8, side=576)
    assert without.side(np.zeros_like(stripes), fov) == 576, "without a vessel the plan's own"


# ---- calibration -------------------------------------------------------------------------------------------

@settings(max_examples=60, deadline=None)
@given(st.floats(0.02, 20), st.floats(-30, 30))
def test_calibration_keeps_the_order_the_ends_and_the_bounds(temperature, bias):
    levels = np.linspace(0, 1, 2000, dtype=np.float32)
    moved = calibrated(levels, temperature, bias)
    assert moved.dtype == np.float32 and moved[0] == 0 and moved[-1] == 1
    assert (np.diff(moved) >= 0).all() and np.isfinite(moved).all()


def test_calibration_is_the_formula_of_platt():
    probability = np.float32([0.1, 0.5, 0.9])
    odds = np.log(probability / (1 - probability)) / 2 + 0.3
    assert calibrated(probability, 2, 0.3) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
    assert calibrated(probability, 1, 0) is probability


def test_the_plans_calibration_is_used(draw):
    rgb, _, fov = draw.eye(1)
    plain = GREEN(rgb, fov)[0]
    moved = predictor_of(lambda squares: squares[..., 1:2], temperature=2, bias=0.3)(rgb, fov)[0]
    assert moved == pytest.approx(calibrated(plain, 2, 0.3) * fov, abs=1e-6)


# ---- a real model ------------------------------------------------------------------------------------------

def test_a_real_model_predicts_the_same_twice_and_within_bounds(tiny_model, draw):
    rgb, _, fov = draw.eye(3)
    network, card = checkpoint.load(tiny_model)
    single, many = (Predictor(network, card.plan(tta), "float32") for tta in (False, True))
    first, _ = single(rgb, fov)
    averaged, spread = many(rgb, fov)
    assert np.array_equal(first, single(rgb, fov)[0])
    for probability in (first, averaged):
        assert probability.shape == fov.shape and not probability[~fov].any()
        assert probability.min() >= 0 and probability.max() <= 1
    assert spread.max() > 0


def test_a_predictor_gives_the_networks_probabilities():
    network = unet(2, 2)
    squares = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    found = Predictor(network, Plan(), "float32").probabilities(squares)
    assert found == pytest.approx(np.asarray(network(squares / np.float32(255)))[..., 0], abs=1e-5)
