"""How prediction is to be done, as it is chosen on validation photographs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import predictor_of

import metrics
from card import Card
from fitting import threshold
from fitting.threshold import evenly_spread, fit_calibration, native_dice, tune
from predict import SIDES
from prediction.pen import Pens
from sets.layouts import Photograph

# ---- calibration -------------------------------------------------------------------------------------------

def overconfident(temperature, bias, spread, centre):
    """The histogram of a network whose p are true only as sigmoid(logit(p) / temperature + bias)."""
    level = (np.arange(metrics.LEVELS) + 0.5) / metrics.LEVELS
    odds = np.log(level / (1 - level))
    pixels = np.exp(-0.5 * ((odds - centre) / spread) ** 2) / (level * (1 - level))
    pixels *= 1e6 / pixels.sum()
    true = 1 / (1 + np.exp(-odds / temperature - bias))
    return np.stack([pixels * (1 - true), pixels * true])


@pytest.mark.parametrize("temperature, bias, spread, centre", [
    (2, -0.5, 3, -2), (0.5, 0.3, 1, 0), (5, -1, 6, -4), (0.02, -15, 0.06, -0.3)])
def test_a_known_temperature_and_bias_are_found_again(temperature, bias, spread, centre):
    """The last one: a network of few steps, all of whose probabilities lie between 0.36 and 0.47."""
    found = fit_calibration(overconfident(temperature, bias, spread, centre))
    assert found == pytest.approx((temperature, bias), rel=0.03, abs=0.01)


def test_a_network_that_tells_no_vessel_from_the_rest_is_left_as_it_is():
    backwards = overconfident(2, -0.5, 3, -2)[:, ::-1]
    flat = np.stack([np.full(metrics.LEVELS, 9.0), np.full(metrics.LEVELS, 1.0)])
    assert fit_calibration(backwards) == fit_calibration(flat) == (1.0, 0.0)


# ---- side and threshold ------------------------------------------------------------------------------------

GREEN = predictor_of(lambda squares: squares[..., 1:2])


@pytest.fixture(scope="module")
def bright_eyes(draw, tmp_path_factory):
    """Two eyes whose vessels are bright in the green channel, which is what GREEN sees."""
    folder, photographs = tmp_path_factory.mktemp("eyes"), []
    for k in range(2):
        _, mask, fov = draw.eye(k, 330, 340)
        grey = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
        rgb = np.dstack([np.full(mask.shape, 0.6), 0.3 + 0.5 * grey, np.zeros(mask.shape)])
        draw.put(folder / f"{k}.png", (rgb * fov[..., None] * 255).astype(np.uint8))
        paths = [draw.put(folder / f"{k}_{kind}.png", array)
                 for kind, array in (("mask", mask), ("fov", fov))]
        photographs.append(Photograph("A", f"{k}", "validation", f"{k}", folder / f"{k}.png", *paths))
    return photographs


@pytest.fixture(scope="module")
def tuned(bright_eyes):
    return tune(GREEN, bright_eyes)


def test_the_card_learns_side_calibration_and_threshold_for_one_view_and_for_eight(tuned):
    for chosen in (tuned, tuned["tta"]):
        assert set(chosen["calibration"]) == {"temperature", "bias", "ece before"}
        assert 0 < chosen["threshold"] < 1 and "2 validation photographs" in chosen["threshold chosen"]
        assert chosen["validation"]["dice"] > 0.9
        assert chosen["validation"]["ece"] < 0.1
    assert tuned["side"] == tuned["tta"]["side"] and tuned["side"] in SIDES
    assert {str(side) for side in SIDES} <= set(tuned["validation Dice by side"])


def test_of_very_many_photographs_some_are_looked_at_from_first_to_last(bright_eyes, monkeypatch):
    monkeypatch.setattr(threshold, "MOST_PHOTOGRAPHS", 3)
    first, second = bright_eyes
    eight = [replace(first, name=str(k)) for k in range(8)]
    assert [photograph.name for photograph in evenly_spread(eight)] == ["0", "2", "5"]
    assert evenly_spread([first]) == [first]
    assert "3 validation photographs" in tune(GREEN, [first] * 4 + [second] * 4)["threshold chosen"]


def test_a_set_of_few_photographs_counts_as_much_as_one_of_many(bright_eyes, draw, tmp_path):
    first, second = bright_eyes
    wider = cv2.dilate(cv2.imread(str(second.mask), cv2.IMREAD_GRAYSCALE), np.ones((5, 5)))
    other = replace(second, set="B", mask=draw.put(tmp_path / "wider.png", wider))
    even, most = tune(GREEN, [first, other]), tune(GREEN, [first, *[other] * 5])
    assert most["calibration"] == pytest.approx(even["calibration"], abs=2e-3)
    assert most["threshold"] == pytest.approx(even["threshold"], abs=2e-3)


def test_two_models_are_told_apart_at_native_size(bright_eyes, tuned):
    sharp = native_dice(GREEN, bright_eyes)
    assert sharp == pytest.approx(tuned["tta"]["validation"]["dice"], abs=0.03)
    blurred = predictor_of(
        lambda squares: np.stack([cv2.blur(square, (9, 9)) for square in squares[..., 1]])[..., None])
    assert native_dice(blurred, bright_eyes) < sharp - 0.05


def test_each_photograph_is_drawn_with_its_own_observers_pen(bright_eyes):
    """The others are of a set whose observer draws what is half as wide."""
    def predictor(pen):
        return predictor_of(lambda squares: squares[..., 1:2], pens=Pens({"A": pen, "B": -0.02}))

    same, wider = (native_dice(predictor(pen), bright_eyes) for pen in (0.0, 0.02))
    others = [replace(photograph, set="B") for photograph in bright_eyes]
    assert same > wider + 0.05 and same > native_dice(predictor(0.0), others) + 0.05
    unknown = [replace(photograph, set="C") for photograph in bright_eyes]
    assert native_dice(GREEN, unknown) == pytest.approx(same)


def test_what_is_chosen_is_the_plan_of_the_card_for_one_view_and_for_eight(tuned):
    single, many = Card(tuned).plan(), Card(tuned).plan(tta=True)
    assert (single.tta, many.tta) == (False, True)
    assert single.threshold == tuned["threshold"] and many.threshold == tuned["tta"]["threshold"]
    assert many.side == tuned["tta"]["side"] and many.bias == tuned["tta"]["calibration"]["bias"]
    assert single.vessel_width == many.vessel_width == tuned["vessel width"]
