"""How wide vessels are drawn."""

import numpy as np
import pytest

from prediction.pen import edges_moved, pen_shift


def soft_disc(radius, size=128):
    """A disc whose edge, at 0.5, lies `radius` pixels from the middle and falls off over some three."""
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
    assert pen_shift(1000, 512, (500, 600)) == pytest.approx(512 * (1 / 2000 - 1 / 1200))
    assert pen_shift(250, 512, (500, 600)) == pytest.approx(512 * (1 / 500 - 1 / 1000))
    for native in (500, 555, 600):
        assert pen_shift(native, 768, (500, 600)) == 0
    assert pen_shift(1000, 512, None) == 0, "a card that says nothing of it"
