"""A segmented photograph's row of predictions.csv."""

from dataclasses import replace

import numpy as np
import pytest

from prediction.segmented import Segmented, row_of


@pytest.fixture
def segmented(draw):
    rgb, mask, fov = draw.eye(1)
    return Segmented(rgb, fov, np.where(mask, 60000, 5000 * fov).astype(np.uint16), mask)


def test_a_row_says_where_the_fov_is_and_how_much_vessel_is_in_it(segmented):
    row = row_of("patient/x", "photographs/patient/x.png", segmented, {})
    rows, columns = np.nonzero(segmented.fov)
    assert (row["name"], row["file"], row["status"]) == ("patient/x", "photographs/patient/x.png", "done")
    assert (row["width"], row["height"]) == (110, 100)
    assert row["fov_share"] == pytest.approx(segmented.fov.mean(), abs=1e-4)
    assert (row["fov_top"], row["fov_left"]) == (rows.min(), columns.min())
    assert row["vessel_density"] == pytest.approx(segmented.mask[segmented.fov].mean(), rel=1e-3)


def test_certainty_is_the_dice_that_is_to_be_expected(segmented):
    """Of masks drawn at random from the probabilities, which are independent from pixel to pixel."""
    rng, p = np.random.default_rng(0), segmented.levels / 65535
    drawn = [rng.random(p.shape) < p for _ in range(50)]
    area = segmented.mask.sum()
    dice = np.mean([2 * (each & segmented.mask).sum() / (each.sum() + area) for each in drawn])
    assert row_of("x", "x.png", segmented, {})["certainty"] == pytest.approx(dice, abs=2e-3)


def test_where_vessels_were_missed_the_certainty_is_low(segmented):
    faint = replace(segmented, levels=segmented.levels // 2)
    nothing = replace(segmented, levels=segmented.levels // 4, mask=np.zeros_like(segmented.mask))
    blank = replace(nothing, levels=np.zeros_like(segmented.levels))
    found, less, missed, none = (row_of("x", "x.png", each, {})["certainty"]
                                 for each in (segmented, faint, nothing, blank))
    assert found > less > missed == none == 0


def test_a_row_holds_the_warnings_that_the_card_asks_for(segmented):
    assert row_of("x", "x.png", segmented, {})["warnings"] == ""
    card = {"photographs": {"brightness": 1000, "side": 1000}}
    warnings = row_of("x", "x.png", segmented, card)["warnings"]
    assert "too dark" in warnings and "; too small" in warnings
