"""How wide vessels are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from prediction.pen import COARSEST, HALF_PIXEL, Pens, edges_moved
from running.command import Problem


def soft_disc(radius, size=128):
    """A disc whose edge, at 0.5, lies `radius` pixels from the middle and falls off over some three."""
    away = np.hypot(*(np.indices((size, size)) - (size - 1) / 2))
    return (1 / (1 + np.exp(1.5 * (away - radius)))).astype(np.float32)


@pytest.mark.parametrize("out", [-1.0, -0.4, 0.3, 0.8])
def test_edges_move_by_the_pixels_asked_for_and_the_middle_stays(out):
    assert np.array_equal(edges_moved(soft_disc(30), abs(out), 0.5), edges_moved(soft_disc(30), abs(out)))
    moved, by_odds = (edges_moved(soft_disc(30), out, share) for share in (0, 0.5))
    for found in (moved, by_odds):
        assert np.sqrt((found >= 0.5).sum() / np.pi) == pytest.approx(30 + out, abs=0.25)
    assert moved[64, 64] == pytest.approx(1, abs=1e-4) and moved[0, 0] == pytest.approx(0, abs=1e-4)
    assert moved.dtype == np.float32 and moved.min() >= 0 and moved.max() <= 1


def test_a_thin_vessel_becomes_thinner_but_does_not_vanish():
    across = np.exp(-(((np.arange(64) - 32) / 1.5) ** 2)).astype(np.float32)
    moved = edges_moved(np.tile(across, (64, 1)), -0.6)
    assert moved[32, 32] == across[32] and moved[32].sum() < 0.85 * across.sum()


def test_what_is_drawn_thinner_still_ranks_a_faint_thin_vessel_above_what_lies_around_it():
    """By motion alone it sinks from .31 to .18, below the doubtful patch of .20 beside it."""
    faint = 0.4 * np.exp(-(((np.arange(96) - 30.5) / 1.0) ** 2))
    square = np.tile((faint + 0.2 / (1 + np.exp(-2 * (np.arange(96) - 60)))).astype(np.float32), (96, 1))
    moved, by_odds = (edges_moved(square, -1.2, share) for share in (0, 0.5))
    assert square[48, 30] > square[48, 90] > moved[48, 30] and by_odds[48, 30] > by_odds[48, 90]


# ---- which pen a photograph is drawn with ------------------------------------------------------------------

PENS = Pens({"A": 0.001, "B": -0.002}, habit=-0.0009, sizes={"A": [[600, 500]], "B": []})


def test_a_known_camera_is_drawn_as_its_observer_draws_and_any_other_with_the_default():
    assert PENS.share(400, (500, 600)) == PENS.share(400, (500, 600, 3)) == 0.001
    for shape in ((600, 500), (500, 601)):
        assert PENS.share(800, shape) == pytest.approx(HALF_PIXEL / 800 - 0.0009)


def test_a_photograph_that_was_shrunk_gets_no_wider_pen_for_it():
    assert PENS.share(100, (9, 9)) == PENS.share(COARSEST, (9, 9)) > PENS.share(700, (9, 9))


def test_a_coarse_camera_gets_a_wide_pen_from_a_model_of_fine_ones_too():
    pens = replace(PENS, fov_sides=(900, 3300))
    assert pens.share(540, (9, 9)) == pytest.approx(HALF_PIXEL / 540 - 0.0009)


def test_a_pen_is_asked_for_by_name_or_by_share():
    default = HALF_PIXEL / 800 - 0.0009
    for asked, pen in (("B", -0.002), ("-0.05", -0.0005), ("none", 0), ("default", default)):
        assert PENS.share(800, (500, 600), asked) == pytest.approx(pen)
        assert replace(PENS, chosen=asked).share(800, (500, 600)) == pytest.approx(pen)


def test_a_pen_that_the_card_does_not_know_is_refused_at_once():
    with pytest.raises(Problem, match="C: is not a pen of this model.*A, B, default, none"):
        replace(PENS, chosen="C")
    with pytest.raises(Problem, match="Give one of default, none"):
        Pens(chosen="A")


@pytest.mark.parametrize("asked", ["", "nan", "inf", "-inf", "1e9", "1.5", "-1.5%", "50%", "%"])
def test_a_share_that_no_vessel_has_is_refused(asked):
    with pytest.raises(Problem, match="in percent, -1 to 1"):
        replace(PENS, chosen=asked)


def test_a_share_may_bear_its_sign_of_percent():
    assert replace(PENS, chosen="-0.05%").share(400, (500, 600)) == pytest.approx(-0.0005)


def test_the_pen_of_a_photograph_has_a_name():
    assert PENS.name((500, 600)) == "A" and PENS.name((9, 9)) == Pens().name((9, 9)) == "default"
    for asked, name in (("B", "B"), ("none", "none"), ("-0.05", "-0.05%"), ("0.1%", "0.1%")):
        assert replace(PENS, chosen=asked).name((500, 600)) == name


def test_without_pens_half_a_pixel_is_drawn_on_either_side_whatever_the_model_saw():
    """A drawing's half pixel is 1/1000 of an FOV of 500 pixels and 1/2000 of one of 1000."""
    pens = Pens(fov_sides=(500, 600))
    assert pens.share(1000, (9, 9)) == pytest.approx(1 / 2000 - 1 / 1200)
    assert pens.share(250, (9, 9)) == pytest.approx(1 / 500 - 1 / 1000)
    assert [pens.share(native, (9, 9)) for native in (500, 555, 600)] == [0, 0, 0]
    assert Pens().share(1000, (9, 9)) == 0, "a card that says nothing of it"
    assert Pens(sizes={"A": [[9, 9]]}).share(1000, (9, 9)) == 0, "of pairs that an earlier version made"
