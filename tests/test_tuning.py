"""How prediction is to be done, as it is chosen on validation photographs."""

import cv2
import numpy as np
import pytest
from conftest import predictor_of

import data
import metrics
from data import Photograph
from fitting import tuning
from fitting.tuning import fit_calibration
from predict import SIDES, VIEWS, plan_of

# ---- calibration ---------------------------------------------------------------------------------------------------

def overconfident(temperature, bias, spread, centre):
    """The histogram of a network whose probabilities p are true only as sigmoid(logit(p) / temperature + bias)."""
    level = (np.arange(metrics.LEVELS) + 0.5) / metrics.LEVELS
    odds = np.log(level / (1 - level))
    pixels = np.exp(-0.5 * ((odds - centre) / spread) ** 2) / (level * (1 - level))
    pixels *= 1e6 / pixels.sum()
    true = 1 / (1 + np.exp(-odds / temperature - bias))
    return np.stack([pixels * (1 - true), pixels * true])


@pytest.mark.parametrize(
    "temperature, bias, spread, centre", [(2, -0.5, 3, -2), (0.5, 0.3, 1, 0), (5, -1, 6, -4), (0.02, -15, 0.06, -0.3)]
)
def test_a_known_temperature_and_bias_are_found_again(temperature, bias, spread, centre):
    """The last one: a network of few steps, all of whose probabilities lie between 0.36 and 0.47."""
    found = fit_calibration(overconfident(temperature, bias, spread, centre))
    assert found == pytest.approx((temperature, bias), rel=0.03, abs=0.01)


def test_a_network_without_any_sense_of_vessels_is_left_as_it_is():
    backwards = overconfident(2, -0.5, 3, -2)[:, ::-1]
    assert fit_calibration(backwards) == (1.0, 0.0)
    assert fit_calibration(np.stack([np.full(metrics.LEVELS, 9.0), np.full(metrics.LEVELS, 1.0)])) == (1.0, 0.0)


# ---- sides and threshold -------------------------------------------------------------------------------------------

@pytest.fixture
def bright_eyes(draw, tmp_path, monkeypatch):
    """Two eyes whose vessels are bright in the green channel; every model file is a network that sees that channel."""
    photographs = []
    for k in range(2):
        _, mask, fov = draw.eye(k, 330, 340)
        grey = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
        rgb = np.dstack([np.full(mask.shape, 0.6), 0.3 + 0.5 * grey, np.zeros(mask.shape)]) * fov[..., None] * 255
        draw.put(tmp_path / f"{k}.png", rgb.astype(np.uint8))
        places = [draw.put(tmp_path / f"{k}_{kind}.png", array) for kind, array in (("mask", mask), ("fov", fov))]
        photographs.append(Photograph("A", f"{k}", "validation", f"{k}", tmp_path / f"{k}.png", *places))
    green = predictor_of(lambda squares: squares[..., 1:2])
    monkeypatch.setattr(tuning, "Predictor", lambda *_: green)
    return photographs


@pytest.fixture
def tuned(bright_eyes):
    return tuning.tune("m.keras", {}, bright_eyes)


def test_the_card_learns_sides_calibration_and_threshold_for_one_look_and_for_many(tuned):
    for chosen in (tuned, tuned["tta"]):
        assert set(chosen["calibration"]) == {"temperature", "bias", "ece before"}
        assert 0 < chosen["threshold"] < 1 and "2 validation photographs" in chosen["threshold chosen"]
        assert chosen["validation"]["dice"] > 0.9
        assert chosen["validation"]["ece"] < 0.1
    assert tuned["sides"] == tuned["tta"]["sides"] and len(tuned["sides"]) == 1 and tuned["sides"][0] in SIDES
    assert {str(side) for side in SIDES} <= set(tuned["validation Dice by side"])


def test_of_very_many_photographs_some_are_looked_at_from_first_to_last(bright_eyes, monkeypatch):
    monkeypatch.setattr(tuning, "MOST", 3)
    names, read = [], data.read_photograph
    monkeypatch.setattr(data, "read_photograph", lambda path: names.append(path.stem) or read(path))
    first, second = bright_eyes
    assert "3 validation photographs" in tuning.tune("m.keras", {}, [first] * 4 + [second] * 4)["threshold chosen"]
    assert names == ["0", "0", "1"]


def test_two_models_are_told_apart_at_native_size(bright_eyes, tuned, monkeypatch):
    sharp = tuning.native_dice("m.keras", {}, bright_eyes)
    assert sharp == pytest.approx(tuned["tta"]["validation"]["dice"], abs=0.03)
    blurred = predictor_of(lambda squares: np.stack([cv2.blur(one, (9, 9)) for one in squares[..., 1]])[..., None])
    monkeypatch.setattr(tuning, "Predictor", lambda *_: blurred)
    assert tuning.native_dice("m.keras", {}, bright_eyes) < sharp - 0.05


def test_the_plan_of_a_card_for_one_look_and_for_many(tuned):
    single, many = plan_of(tuned), plan_of(tuned, tta=True)
    assert (single.views, many.views) == (tuple(VIEWS[:1]), tuple(VIEWS))
    assert single.threshold == tuned["threshold"] and many.threshold == tuned["tta"]["threshold"]
    assert [many.side] == tuned["tta"]["sides"] and many.bias == tuned["tta"]["calibration"]["bias"]
