"""The square around the FOV, and the way back from it to the photograph's own pixels."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data
from photographs.fov import fov_of
from photographs.reading import read_photograph, read_vessels
from photographs.square import VIEWS, Square, box_of, seen_as, seen_back
from samples.draw import draw as draw_sample


def span_of(length):
    """Where a FOV may begin and end in so many pixels."""
    return st.tuples(st.integers(0, length - 24), st.integers(24, length)).map(
        lambda drawn: (drawn[0], min(length, sum(drawn))))


SIZES = st.tuples(st.integers(32, 5000), st.integers(32, 4000))
BOXES = SIZES.flatmap(lambda size: st.tuples(st.just(size), *map(span_of, size)))


def boxed(example):
    (height, width), (top, bottom), (left, right) = example
    fov = np.zeros((height, width), bool)
    fov[top:bottom, left:right] = True
    return fov, top, bottom, left, right


@settings(max_examples=40, deadline=None)
@given(BOXES)
def test_the_square_is_the_smallest_centred_one_around_the_box(example):
    fov, top, bottom, left, right = boxed(example)
    assert box_of(fov) == (slice(top, bottom), slice(left, right))
    square = Square.around(fov)
    assert square.side == max(bottom - top, right - left)
    for start, low, high in ((square.top, top, bottom), (square.left, left, right)):
        assert start <= low and high <= start + square.side
        assert abs((low + high) / 2 - (start + square.side / 2)) <= 0.5, "centred on the box"


@settings(max_examples=15, deadline=None)
@given(BOXES, st.tuples(st.floats(0, 1), st.floats(0, 1)), st.sampled_from([512, 512, 448, 96]))
def test_a_drawn_point_comes_back_within_half_a_squares_pixel(example, where, size):
    fov, top, bottom, left, right = boxed(example)
    square = Square.around(fov)
    # a dot that two pixels of the square hold
    across = min(max(1, -(-2 * square.side // size)), bottom - top, right - left)
    y, x = (round(low + share * (high - low - across))
            for share, low, high in zip(where, (top, left), (bottom, right), strict=True))
    dot = np.zeros(fov.shape, bool)
    dot[y:y + across, x:x + across] = True
    cut = square.cut(dot, fov, size)
    assert cut.shape == (size, size) and cut.dtype == np.uint8
    found = square.back(cut.astype(np.float32) / 255, fov)
    assert found.shape == fov.shape and found.dtype == np.float32
    rows, columns = found.sum(axis=1, dtype=np.float64), found.sum(axis=0, dtype=np.float64)
    middle = rows @ np.arange(len(rows)) / rows.sum(), columns @ np.arange(len(columns)) / columns.sum()
    off = np.subtract(middle, (y + (across - 1) / 2, x + (across - 1) / 2))
    assert np.abs(off).max() <= 0.5 * max(square.side / size, 1)


@settings(max_examples=15, deadline=None)
@given(BOXES)
def test_nothing_comes_back_outside_the_fov_and_everything_inside(example):
    fov, *_ = boxed(example)
    back = Square.around(fov).back(np.full((128, 128), 1.3, np.float32), fov)
    assert np.array_equal(back, fov.astype(np.float32))


def test_the_square_is_black_outside_the_fov_and_soft_at_a_masks_edge(draw):
    rgb, mask, fov = draw.eye(0, 700, 800)
    square = Square.around(fov)
    cut = square.cut(np.maximum(rgb, 9), fov)
    assert cut.shape == (512, 512, 3) and not cut[0, 0].any() and not cut[-1, -1].any()
    assert len(np.unique(square.cut(mask, fov))) > 50


def test_the_aspect_is_kept():
    fov = np.zeros((300, 400), bool)
    cv2.circle(fov.view(np.uint8), (200, 150), 180, 1, -1)  # cut off above and below
    inside = Square.around(fov).cut(fov, fov) > 127
    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    assert columns == 512 and abs(rows / columns - 300 / 361) < 0.01


def test_the_eight_views_differ_and_are_undone(draw):
    square = draw.eye(0, 64, 64)[0]
    views = [seen_as(square, view) for view in VIEWS]
    assert len({view.tobytes() for view in views}) == 8
    for view, seen in zip(VIEWS, views, strict=True):
        assert np.array_equal(seen_back(seen, view), square)


# ---- a mask there and back ---------------------------------------------------------------------------------

def round_trip(mask, fov):
    """The Dice of a mask with what comes back of it."""
    square = Square.around(fov)
    back = square.back(square.cut(mask, fov).astype(np.float32) / 255, fov) >= 0.5
    mask = mask & fov
    return 2 * (back & mask).sum() / (back.sum() + mask.sum())


@pytest.mark.parametrize("size", [(584, 565), (960, 999), (1168, 1752), (200, 300)])
def test_a_mask_comes_back_from_the_square_nearly_as_it_went(size):
    _, mask, fov = draw_sample(np.random.default_rng(1), *size)
    assert round_trip(mask, fov) >= 0.985


@pytest.mark.parametrize("name, split, count, worst", [("DRIVE", "training", 20, 0.985),
                                                       ("CHASE_DB1", "all", 28, 0.98)])
def test_masks_of_real_photographs_come_back(shared, name, split, count, worst):
    trips = []
    for photograph in data.photographs_of([shared / name], split):
        rgb = read_photograph(photograph.path)
        trips.append(round_trip(read_vessels(photograph.mask, rgb.shape), fov_of(photograph, rgb)))
    assert len(trips) == count and np.mean(trips) >= 0.985 and min(trips) >= worst
