"""The skeleton of drawn shapes: its length, its branches and ends, without spurs and short pieces."""

import math

import numpy as np
import pytest
from shapes import COLUMNS, ROWS, SIDE, bar, rays

from photographs.skeleton import Skeleton


def branches_and_ends(skeleton):
    branches = np.unique(skeleton.junctions()[skeleton.degrees > 2])
    return len(branches), (skeleton.degrees == 1).sum()


@pytest.mark.parametrize("degrees, factor",
                         [(0, 1), (90, 1), (45, 1), (135, 1), (22.5, 1.082), (-67.5, 1.082)])
def test_the_length_is_that_of_straight_and_diagonal_steps(degrees, factor):
    assert Skeleton(bar(3, degrees)).lengths.sum() == pytest.approx(200 * factor, rel=0.03)


def test_a_corner_is_not_cut_and_counted_too():
    mask = np.zeros((60, 60), bool)
    mask[10, 10:50] = mask[10:50, 49] = True
    skeleton = Skeleton(mask)
    assert skeleton.lengths.sum() in (78, pytest.approx(76 + math.sqrt(2)))
    assert branches_and_ends(skeleton) == (0, 2)


@pytest.mark.parametrize("centre", [(149.5, 149.5), (150, 149.5), (149.7, 150.2), (149.96, 149.24),
                                    (150.3, 150.3)])
def test_diagonal_bars_of_even_width_do_not_vanish(centre):
    """Zhang's thinning, scikit-image's default, leaves one pixel of some of these."""
    for width in (2, 3, 6, 10, 15):
        assert Skeleton(bar(width, 45, centre=centre)).lengths.sum() > 170


@pytest.mark.parametrize("mask, branches, ends", [
    (bar(5, 0), 0, 2), (bar(9, 30), 0, 2),
    (rays(90, -30, 210), 1, 3), (rays(90, -30, 210, width=9), 1, 3),
    (rays(0, 90, 180, 270), 1, 4), (rays(20, 110, 200, 290, width=8), 1, 4),
    (rays(0, 80, 180, 260, width=9), 1, 4),
    (rays(0, 180) | bar(5, 90, 80, (150, 100), 0) | bar(5, 90, 80, (150, 200), 0), 2, 4),
], ids=["bar", "slanting bar", "Y", "wide Y", "cross", "turned cross", "sloping cross", "two branches"])
def test_branches_and_ends_are_counted_once(mask, branches, ends):
    assert branches_and_ends(Skeleton(mask, shortest=6)) == (branches, ends)


def test_each_segment_is_there_once():
    assert [len(Skeleton(mask).segments) for mask in (bar(3, 0), rays(0, 180, 270, width=3))] == [1, 3]


def test_a_rough_vessel_has_no_branches_and_keeps_its_ends():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[140:155, 40:260] = True
    for bump in range(48, 250, 12):
        mask[135:160, bump:bump + 2] = True
    skeleton = Skeleton(mask, shortest=6)
    assert branches_and_ends(skeleton) == (0, 2)
    assert skeleton.lengths.sum() == pytest.approx(210, abs=15)


def test_pieces_of_at_most_the_shortest_length_are_left_out():
    mask = bar(3, 0)
    mask[20, 20:31] = mask[40, 20:32] = True  # of 10 and 11 px, beside one of 200
    assert branches_and_ends(Skeleton(mask, shortest=10)) == (0, 4)
    assert branches_and_ends(Skeleton(mask, shortest=11)) == (0, 2)
    assert len(Skeleton(mask, shortest=500).points) == 0


def test_widths_are_those_drawn_along_the_whole_centreline():
    skeleton = Skeleton(bar(5, 0))
    middle = np.abs(skeleton.points[:, 1] - skeleton.points[:, 1].mean()) < 80
    assert middle.sum() >= 159 and skeleton.widths[middle] == pytest.approx(5)


def test_a_loop_of_the_vessel_has_links_but_no_segment():
    radius = np.hypot(ROWS - SIDE / 2, COLUMNS - SIDE / 2)
    skeleton = Skeleton((radius < 60) & (radius > 57))
    assert len(skeleton.links) > 300 and skeleton.segments == [] and branches_and_ends(skeleton) == (0, 0)
