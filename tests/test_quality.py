"""What a photograph is like, and what is told of it: damaged drawings are, sound ones are not."""

import cv2
import numpy as np
import pytest

from photographs.fov import find_fov
from photographs.quality import describe, looked_over, seen_in, warnings_of
from photographs.square import Square
from samples.draw import drawn
from sets.layouts import Photograph


def described(rgb, fov):
    return describe(rgb, fov, Square.around(fov))


def told(rgb, least=None):
    """Returns the kinds of the warnings of a photograph, whose FOV is found."""
    fov = find_fov(rgb)
    return set(warnings_of(described(rgb, fov), fov, least or {}))


@pytest.fixture(scope="module", params=[1, 2, 5])
def sound(request):
    """A drawn photograph of 600 px, written as JPEG of a high quality."""
    return drawn(request.param, 0)[0]


# ---- what is told ------------------------------------------------------------------------------------------

def test_a_sound_photograph_is_warned_of_nothing(sound):
    fov = find_fov(sound)
    own = described(sound, fov)
    assert not warnings_of(own, fov, own)


def compressed(rgb, quality):
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def noisy(rgb, sigma):
    return np.clip(rgb + np.random.default_rng(0).normal(0, sigma, rgb.shape), 0, 255).astype(np.uint8)


DAMAGES = {
    "bright": lambda rgb: np.clip(rgb * 2.6, 0, 255).astype(np.uint8),
    "blurred": lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 0.006 * max(rgb.shape)),
    "noisy": lambda rgb: noisy(rgb, 15),
    "compressed": lambda rgb: compressed(rgb, 15),
    "inverted": lambda rgb: np.where(find_fov(rgb)[..., None], ~rgb, np.uint8(0)),
    "swapped": lambda rgb: np.ascontiguousarray(rgb[..., ::-1]),
    "grey": lambda rgb: np.repeat(rgb[..., 1:2], 3, axis=2),
    "eyes": lambda rgb: np.concatenate([rgb, rgb[:, ::-1]], axis=1),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_damage_is_told(sound, kind):
    assert kind in told(DAMAGES[kind](sound))


def test_a_fluorescein_angiogram_is_told_to_be_grey_and_to_have_bright_vessels(sound):
    angiogram = DAMAGES["grey"](DAMAGES["inverted"](sound))
    assert {"grey", "inverted"} <= told(angiogram)


def test_a_dark_and_a_small_photograph_are_told_by_what_the_training_had(sound):
    own = described(sound, find_fov(sound))
    dark = (sound * 0.3).astype(np.uint8)
    small = cv2.resize(sound, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert "dark" in told(dark, own) and "small" in told(small, own)
    assert not {"dark", "small"} & (told(dark) | told(small)), "a card without limits warns of nothing"


def test_a_photograph_without_dark_surround_is_told(sound):
    middle = [slice(side // 3, -(side // 3)) for side in sound.shape[:2]]
    assert "surround" in told(sound[tuple(middle)])


@pytest.mark.parametrize("density, wrong", [(0.001, True), (0.03, False), (0.17, False), (0.6, True)])
def test_a_density_that_nobody_would_draw_is_told(sound, density, wrong):
    fov = find_fov(sound)
    sentences = warnings_of(described(sound, fov) | {"vessel_density": density}, fov, {})
    assert ("density" in sentences) == wrong
    assert not wrong or f"{density:.3f}" in sentences["density"]


def test_sentences_hold_the_number_and_the_limit(sound):
    noise = DAMAGES["noisy"](sound)
    fov = find_fov(noise)
    sentence = warnings_of(described(noise, fov), fov, {})["noisy"]
    assert sentence.startswith("noisy (grain of ") and "in sound ones under 1.7" in sentence


def test_without_a_model_warnings_are_told_without_numbers_so_that_files_can_be_counted(sound):
    noise = DAMAGES["noisy"](sound)
    fov = find_fov(noise)
    assert looked_over(noise, fov) == ["noisy"]
    assert looked_over(sound, fov) == []
    assert looked_over(sound, fov, np.zeros_like(fov)) == ["implausible vessel density"]


# ---- more than one eye -------------------------------------------------------------------------------------

@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("gap", [0, 80])
def test_a_second_eye_is_told_wherever_it_lies(draw, turns, gap):
    one, other = draw.eye(1, 300, 300)[0], draw.eye(2, 300, 300)[0]
    both = np.concatenate([one, np.zeros((300, gap, 3), np.uint8), other], axis=1)
    assert "eyes" in told(np.rot90(both, turns).copy())


def test_wide_surrounds_bars_and_text_are_not_taken_for_an_eye(draw):
    eye = draw.eye(1, 300, 300)[0]
    wide = cv2.copyMakeBorder(eye, 0, 0, 300, 300, cv2.BORDER_CONSTANT)
    assert "eyes" not in told(wide)
    cv2.putText(wide, "OD 2019", (20, 150), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 3)
    wide[-30:] = 255
    assert "eyes" not in told(wide)
    assert "eyes" not in told(cv2.copyMakeBorder(eye, 0, 0, 300, 300, cv2.BORDER_CONSTANT,
                                                 value=(255, 255, 255)))


# ---- what is described -------------------------------------------------------------------------------------

def test_noise_is_measured_in_grey_levels(draw):
    _, _, fov = draw.eye(1, 512, 512)
    even = noisy(np.full((512, 512, 3), 120, np.uint8), 8) * fov[..., None].astype(np.uint8)
    side = Square.around(fov).side  # under 512, so nothing is averaged
    assert side < 512 and described(even, fov)["noise"] == pytest.approx(8, rel=0.05)


def test_blocks_are_found_at_any_phase_and_only_there(sound):
    fov = find_fov(sound)
    packed = compressed(sound, 15)
    shifted, seen = packed[3:, 5:].copy(), fov[3:, 5:].copy()
    whole, moved = described(packed, fov)["blocks"], described(shifted, seen)["blocks"]
    assert whole > 1.5 and moved == pytest.approx(whole, rel=0.3)
    resized = cv2.resize(packed, None, fx=0.77, fy=0.77, interpolation=cv2.INTER_AREA)
    assert described(resized, find_fov(resized))["blocks"] < 0.5


def test_a_field_of_view_too_thin_to_be_seen_is_dark_and_without_detail():
    rgb = np.full((2048, 2048, 3), 90, np.uint8)
    assert described(rgb, np.eye(2048, dtype=bool)) == {"brightness": 0, "sharpness": 0, "side": 2048}


def test_a_field_of_view_with_nothing_away_from_its_edge_is_described_whole():
    rgb, fov = np.full((100, 100, 3), 90, np.uint8), np.zeros((100, 100), bool)
    fov[:, 50:52] = True
    assert described(rgb, fov)["brightness"] == pytest.approx(90, abs=1)


@pytest.mark.parametrize("side", [32, 40, 64])
def test_the_smallest_photographs_are_described_in_numbers(draw, side):
    rgb = draw.eye(1, side, side)[0]
    assert all(np.isfinite(list(described(rgb, np.ones((side, side), bool)).values())))


def test_the_least_of_each_quantity_and_both_ends_of_the_sides_are_kept_of_the_training(draw, tmp_path):
    photographs, seen = [], []
    for k, (height, width, light) in enumerate(((300, 320, 1), (200, 210, 1), (400, 420, 0.6))):
        rgb, _, fov = draw.eye(k, height, width)
        rgb = (rgb * light).astype(np.uint8)
        place = draw.put(tmp_path / f"{k}.png", rgb), draw.put(tmp_path / f"{k}_fov.png", fov)
        photographs.append(Photograph("A", f"{k}", "training", f"{k}", place[0], fov=place[1]))
        seen.append(described(rgb, fov))
    met = seen_in(photographs)
    assert met["fov sides"] == [seen[1]["side"], seen[2]["side"]]
    assert met["photographs"] == {key: pytest.approx(min(description[key] for description in seen), rel=1e-3)
                                  for key in ("brightness", "sharpness", "side")}
    assert met["photographs"]["brightness"] == pytest.approx(seen[2]["brightness"], rel=1e-3)


def test_sizes_that_one_set_alone_has_are_kept_to_know_its_camera_again(draw, tmp_path):
    photographs = []
    for k, (name, width) in enumerate((("A", 110), ("A", 120), ("B", 120), ("B", 130), ("B", 130))):
        rgb, _, fov = draw.eye(k, 100, width)
        place = draw.put(tmp_path / f"{k}.png", rgb), draw.put(tmp_path / f"{k}_fov.png", fov)
        photographs.append(Photograph(name, f"{k}", "training", f"{k}", place[0], fov=place[1]))
    assert seen_in(photographs)["picture sizes"] == {"A": [[110, 100]], "B": [[130, 100]]}
    assert seen_in(photographs[1:4], photographs[:1]) | {"picture sizes": None} == \
        seen_in(photographs[1:4]) | {"picture sizes": None}
    assert seen_in(photographs[1:4], photographs[:1])["picture sizes"]["A"] == [[110, 100]], "kept aside"
