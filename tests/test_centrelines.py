"""How much of a mask would have to be corrected."""

import cv2
import numpy as np
import pytest

from fitting.centrelines import right_lines
from photographs.labelled import Labelled
from photographs.square import Square

SIZE = 500


def lines(*pieces, width=5):
    """A mask, (500, 500) bool, with horizontal lines: (row, first column, last column)."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for row, first, last in pieces:
        cv2.line(mask, (first, row), (last, row), 1, width)
    return mask.astype(bool)


def example_of(mask):
    fov = np.ones_like(mask)
    return Labelled(np.zeros((*mask.shape, 3), np.uint8), mask, fov, Square.around(fov))


TWO = (100, 50, 450), (300, 50, 450)
DRAWN = example_of(lines(*TWO))


@pytest.mark.parametrize("width, shift", [(5, 0), (3, 0), (9, 0), (5, 2)])
def test_how_wide_and_exactly_where_a_line_is_drawn_makes_no_difference(width, shift):
    moved = [(row + shift, first, last) for row, first, last in TWO]
    assert right_lines(lines(*moved, width=width), DRAWN) == 1


def test_a_missing_vessel_and_a_false_one_have_to_be_corrected():
    missing = right_lines(lines(TWO[0]), DRAWN)
    false = right_lines(lines(*TWO, (400, 50, 450)), DRAWN)
    assert missing == pytest.approx(1 - 1 / 3, abs=0.01) and false == pytest.approx(1 - 1 / 5, abs=0.01)


def test_a_piece_that_nobody_would_care_for_does_not():
    assert right_lines(lines(*TWO, (400, 50, 56)), DRAWN) == 1, "shorter than 2 % of the FOV's side"
    assert right_lines(lines(*TWO, (400, 50, 80)), DRAWN) < 1


def test_nothing_at_all_is_right_only_where_nothing_is():
    assert right_lines(lines(), DRAWN) == 0
    assert right_lines(lines(), example_of(lines())) == 1


def test_who_draws_everything_draws_nothing_right():
    everything = np.zeros((SIZE, SIZE), bool)
    everything[20:-20, 20:-20] = True
    assert right_lines(everything, DRAWN) < 0.3


def test_thin_vessels_of_a_large_photograph_count():
    mask = np.zeros((4000, 4000), np.uint8)
    cv2.line(mask, (300, 1000), (3700, 1000), 1, 3)
    assert right_lines(np.zeros_like(mask, bool), example_of(mask.astype(bool))) == 0
