"""Squares, views, calibration and the way back: what happens between a photograph and its probability."""

import threading
import time

import cv2
import numpy as np
import pytest
from conftest import predictor_of
from hypothesis import given, settings
from hypothesis import strategies as st

from files import Problem
from predict import SIDES, VIEWS, Plan, Predictor, calibrated, edges_moved, in_step, plan_of, seen_as, seen_back, side_near

GREEN = predictor_of(lambda squares: squares[..., 1:2])


# ---- views ---------------------------------------------------------------------------------------------------------

def test_there_are_eight_views_and_each_is_undone():
    square = np.arange(25).reshape(5, 5)
    assert len({seen_as(square, view).tobytes() for view in VIEWS}) == 8
    for view in VIEWS:
        assert np.array_equal(seen_back(seen_as(square, view), view), square), view


def test_a_network_that_copies_gives_the_same_by_one_view_and_by_eight():
    square = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for views in (VIEWS[:1], VIEWS):
        mean, spread = GREEN.square(square, views)
        assert np.allclose(mean, square[..., 1] / 255, atol=1e-6) and np.allclose(spread, 0, atol=1e-6)


def test_the_network_sees_eight_different_squares_and_their_answers_are_averaged():
    seen = []

    def first_pixel(squares):
        seen.extend(square.tobytes() for square in squares)
        return np.repeat((np.indices((8, 8)).sum(0) == 0)[None, ..., None], len(squares), 0).astype(np.float32)

    corner = predictor_of(first_pixel)
    mean, spread = corner.square(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), VIEWS)
    assert len(set(seen)) == 8
    expected = np.zeros((8, 8))
    expected[[0, 0, -1, -1], [0, -1, 0, -1]] = 0.25
    assert np.allclose(mean, expected), "each corner is the first pixel of two views"
    assert spread[0, 0] == pytest.approx(np.std([1, 1, 0, 0, 0, 0, 0, 0]))


# ---- there and back ------------------------------------------------------------------------------------------------

def test_a_network_that_copies_gives_the_photograph_back_at_native_size(draw):
    photograph, _, fov = draw.eye(1, 500, 540)
    soft = cv2.GaussianBlur(photograph, (0, 0), 2)
    for side, views in ((512, VIEWS[:1]), (448, VIEWS)):
        probability, spread = GREEN(soft, fov, Plan(side, views, 1.0, 0.0, 0.5))
        assert probability.shape == spread.shape == fov.shape and probability.dtype == np.float32
        assert not probability[~fov].any() and probability.max() <= 1
        inside = cv2.erode(fov.astype(np.uint8), np.ones((9, 9))) > 0
        assert np.abs(probability - soft[..., 1] / 255)[inside].max() < 0.05
        assert np.nanmax(spread[inside]) < 0.05


def test_the_rim_of_the_fov_lies_inside_the_square(draw):
    """At the border of a square it looked like a vessel."""
    seen = []
    photograph, _, fov = draw.eye(1, 500, 540)
    predictor = predictor_of(lambda squares: seen.append(squares) or squares[..., 1:2])
    predictor(photograph, fov, Plan(512, VIEWS[:1], 1.0, 0.0, 0.5))
    (square,) = seen[-1].max(axis=-1)
    lit = square > 0.1
    assert square.shape == (528, 528) and lit[8:-8, 8:-8].sum() == lit.sum() > 10**5
    assert lit[8:12].any() and lit[:, 8:12].any(), "the FOV fills the rest"


@pytest.mark.parametrize("depth", [4, 7, 8])
def test_a_network_of_any_depth_divides_the_square_and_its_margin(depth):
    shapes, card = [], {"network": {"width": 1, "depth": depth}}
    predictor = predictor_of(lambda squares: shapes.append(squares.shape) or squares[..., 1:2], **card)
    fov = np.ones((64, 64), bool)
    for side in SIDES:
        mean, _ = predictor.raw(np.full((64, 64, 3), 102, np.uint8), fov, side, VIEWS[:1])
        assert mean == pytest.approx(np.full(fov.shape, 0.4), abs=1e-3), "and the margin is cut off again"
    assert len(shapes) == len(SIDES) and not any(side % 2**depth for shape in shapes for side in shape[1:3])
    assert all(shape[1] >= side + 16 for side, shape in zip(SIDES, shapes, strict=True))


def test_the_spread_is_that_of_the_views():
    answers = iter(np.float32([0.2, 0.6, 0.6, 1.0]))
    rising = predictor_of(lambda squares: np.stack([np.full((*one.shape[:2], 1), next(answers)) for one in squares]))
    fov = np.ones((64, 64), bool)
    mean, spread = rising.raw(np.zeros((64, 64, 3), np.uint8), fov, 32, VIEWS[:4])
    assert mean == pytest.approx(np.full(fov.shape, 0.6), abs=1e-5)
    assert spread == pytest.approx(np.full(fov.shape, np.std([0.2, 0.6, 0.6, 1.0])), abs=1e-5)


# ---- how wide vessels are drawn --------------------------------------------------------------------------------------

def soft_disc(radius, size=128):
    """A disc whose edge, at 0.5, lies `radius` pixels from the middle and falls off over some three pixels."""
    away = np.hypot(*(np.indices((size, size)) - (size - 1) / 2))
    return (1 / (1 + np.exp(1.5 * (away - radius)))).astype(np.float32)


@pytest.mark.parametrize("out", [-1.0, -0.4, 0.3, 0.8])
def test_edges_move_by_the_pixels_asked_for_and_the_middle_stays(out):
    moved = edges_moved(soft_disc(30), out)
    assert np.sqrt((moved >= 0.5).sum() / np.pi) == pytest.approx(30 + out, abs=0.25)
    assert moved[64, 64] == pytest.approx(1, abs=1e-4) and moved[0, 0] == pytest.approx(0, abs=1e-4)
    assert moved.dtype == np.float32 and moved.min() >= 0 and moved.max() <= 1


def test_a_thin_vessel_becomes_thinner_but_does_not_vanish():
    across = np.exp(-(((np.arange(64) - 32) / 1.5) ** 2)).astype(np.float32)
    moved = edges_moved(np.tile(across, (64, 1)), -0.6)
    assert moved[32, 32] == across[32] and moved[32].sum() < 0.85 * across.sum()


def test_vessels_are_drawn_half_a_pixel_of_the_photograph_wide_on_either_side_whatever_the_model_saw():
    """A drawing's half pixel is 1/1000 of an FOV of 500 pixels and 1/2000 of one of 1000."""
    predictor = predictor_of(lambda squares: squares[..., 1:2], **{"fov sides": [500, 600]})
    assert predictor.growth(1000, 512) == pytest.approx(512 * (1 / 2000 - 1 / 1200))
    assert predictor.growth(250, 512) == pytest.approx(512 * (1 / 500 - 1 / 1000))
    assert predictor.growth(500, 512) == predictor.growth(555, 768) == predictor.growth(600, 512) == 0
    assert GREEN.growth(1000, 512) == 0, "a card that says nothing of it"


def test_a_finer_photograph_has_thinner_vessels(draw):
    photograph, _, fov = draw.eye(1, 500, 540)
    density = {}
    for side in (250, 500):
        predictor = predictor_of(lambda squares: (squares[..., 1:2] > 0.4).astype(np.float32), **{"fov sides": [side, side]})
        density[side] = predictor.raw(photograph, fov, 512, VIEWS[:1])[0].mean()
    assert density[250] < 0.95 * density[500]


def test_squares_are_never_much_larger_than_the_photographs_own_pixels():
    assert side_near(1280, 600) == 896 and side_near(1280, 10**6) == 1280
    assert side_near(530, 10**6) == 512 and side_near(20, 10**6) == 448
    assert side_near(512, 40) == 448, "but something must be seen"


# ---- calibration ---------------------------------------------------------------------------------------------------

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


# ---- one after another ---------------------------------------------------------------------------------------------

def test_results_come_in_order_whatever_each_takes():
    def slow(item, *given):
        time.sleep(0.01 * (item % 3))
        return item

    found = list(in_step(range(12), slow, slow, lambda item, computed: item * computed))
    assert found == [(k, k * k) for k in range(12)]


@pytest.mark.parametrize("stage", ["read", "compute", "finish"])
def test_a_problem_becomes_the_result_of_its_own_item_and_of_no_other(stage):
    def step(name):
        def doing(item, *given):
            if name == stage and item in (0, 2, 5):
                raise Problem(f"{name} {item}")
            return item
        return doing

    found = list(in_step(range(6), step("read"), step("compute"), step("finish")))
    assert [str(result) for _, result in found] == [f"{stage} {k}" if k in (0, 2, 5) else str(k) for k in range(6)]
    assert [item for item, _ in found] == list(range(6))


@pytest.mark.parametrize("stage", range(3))
def test_an_error_of_the_programs_own_is_not_swallowed(stage):
    def wrong(item, *given):
        raise ZeroDivisionError

    steps = [lambda item, *given: item] * 3
    steps[stage] = wrong
    with pytest.raises(ZeroDivisionError):
        list(in_step(range(4), *steps))


def test_few_items_are_held_at_any_time_however_many_there_are():
    held, most, lock = set(), [0], threading.Lock()

    def read(item):
        with lock:
            held.add(item)
            most[0] = max(most[0], len(held))
        return item

    def finish(item, computed):
        time.sleep(0.002)
        with lock:
            held.discard(item)

    for finishers, bound in ((1, 6), (4, 8)):
        for _ in in_step(range(60), read, lambda item, given: given, finish, finishers=finishers):
            pass
        assert most[0] <= bound


def test_what_takes_longest_is_done_for_several_at_once():
    began = time.monotonic()
    assert len(list(in_step(range(12), int, lambda item, given: given, lambda *given: time.sleep(0.1), finishers=4))) == 12
    assert time.monotonic() - began < 0.8 * 12 * 0.1


def test_reading_and_writing_go_on_while_the_network_computes():
    def slow(item, *given):
        time.sleep(0.02)
        return item

    began = time.monotonic()
    assert len(list(in_step(range(20), slow, slow, slow))) == 20
    assert time.monotonic() - began < 0.75 * 20 * 3 * 0.02


def test_nothing_to_do_is_nothing():
    assert list(in_step([], None, None, None)) == []


# ---- a model and its card ------------------------------------------------------------------------------------------

def test_a_card_that_tells_nothing_but_a_threshold_is_one_plain_look():
    bare = plan_of({"threshold": 0.4})
    assert (bare.side, bare.temperature, bare.bias, bare.threshold) == (512, 1.0, 0.0, 0.4)


def test_a_card_of_several_squares_is_read_as_the_middle_one():
    """Earlier versions averaged three of them with test-time augmentation."""
    card = {"threshold": 0.4, "sides": [768], "tta": {"threshold": 0.5, "sides": [640, 704, 768]}}
    assert plan_of(card).side == 768 and plan_of(card, tta=True).side == 704


def test_a_real_model_predicts_the_same_twice_and_within_bounds(tiny_model, draw):
    photograph, _, fov = draw.eye(3)
    predictor = Predictor(tiny_model, "float32")
    first, _ = predictor(photograph, fov, plan_of(predictor.card))
    again, spread = predictor(photograph, fov, plan_of(predictor.card, tta=True))
    assert np.array_equal(first, predictor(photograph, fov, plan_of(predictor.card))[0])
    for probability in (first, again):
        assert (
            probability.shape == fov.shape
            and probability.min() >= 0
            and probability.max() <= 1
            and not probability[~fov].any()
        )
    assert spread.max() > 0


def test_a_model_file_that_is_none_is_named(tmp_path):
    (tmp_path / "m.keras").write_text("text")
    with pytest.raises(Problem, match="m.keras: not a model"):
        Predictor(tmp_path / "m.keras")
    with pytest.raises(Problem, match="gone.keras: there is no such model"):
        Predictor(tmp_path / "gone.keras")
