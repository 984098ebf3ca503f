"""The field of view: the one that a set gives, else the one that is found."""

import cv2
import numpy as np
import pytest

import data
from photographs.fov import find_fov, fov_of
from photographs.reading import SMALLEST_SIDE, read_photograph, read_vessels
from photographs.square import Square
from running.command import Problem
from samples.draw import drawn
from sets.layouts import Photograph


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


# ---- found -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(5))
def test_the_fov_found_is_the_one_drawn(draw, seed):
    rgb, _, fov = draw.eye(seed, 400, 460)
    assert overlap(find_fov(rgb), fov) >= 0.98


def test_the_fov_is_found_to_its_dim_edge(draw):
    """Light that falls to a third from the middle to the edge, as in many cameras."""
    rgb, _, fov = draw.eye(2, 400, 460)
    y, x = np.mgrid[:400, :460]
    dimmed = rgb * (1 - 0.65 * ((x - 230) ** 2 + (y - 200) ** 2) / 176**2).clip(0)[..., None]
    assert overlap(find_fov(dimmed.astype(np.uint8)), fov) >= 0.98


def test_the_fov_of_the_samples_is_found():
    rgb, _, fov = drawn(3, 0)
    found = find_fov(rgb)
    assert overlap(found, fov) >= 0.99
    assert found.sum() < 1.01 * fov.sum(), "a dark rim within it is taken for a vessel"


def test_a_bright_surround_and_a_dark_spot_inside_change_little(draw):
    rgb, _, fov = draw.eye(1, 400, 460)
    spotted = rgb.copy()
    cv2.circle(spotted, (200, 180), 50, (4, 3, 2), -1)
    cv2.rectangle(spotted, (0, 0), (40, 14), (90, 90, 90), -1)  # a label in a corner
    assert overlap(find_fov(spotted), fov) >= 0.98
    assert overlap(find_fov(np.maximum(rgb, 12)), fov) >= 0.97


def test_a_cropped_fov_is_found_with_its_straight_edges(draw):
    rgb, _, fov = draw.eye(1, 400, 400)
    assert overlap(find_fov(rgb[60:340]), fov[60:340]) >= 0.98


def test_the_fov_of_a_large_photograph_is_found_at_its_own_size(draw):
    rgb, _, fov = draw.eye(1, 1300, 1400)
    assert overlap(find_fov(rgb), fov) >= 0.99


def test_a_photograph_that_is_lit_everywhere_is_all_fov(draw):
    assert find_fov(draw.eye(0, 300, 300)[0][90:210, 90:210]).all()


@pytest.mark.parametrize("turns", range(4))
def test_a_corner_of_retina_that_is_dim_is_fov(draw, turns):
    """Beside the only dim corner of a photograph without a surround, a quarter of it was lost."""
    y, x = np.mgrid[:260, :260]
    shadow = 1 - 0.85 * np.exp(-((x - 10) ** 2 + (y - 10) ** 2) / 70**2)
    rgb = draw.eye(0, 700, 700)[0][220:480, 220:480] * np.rot90(shadow, turns)[..., None]
    assert find_fov(rgb.astype(np.uint8)).all()


def test_where_nothing_is_dark_but_a_round_corner_the_rest_is_fov(draw):
    """The circle of what is dark was taken for that of the FOV, of which a hundredth was left."""
    rgb = draw.eye(0, 700, 700)[0][220:480, 220:480].copy()
    cv2.circle(rgb, (0, 0), 80, (0, 0, 0), -1)
    assert find_fov(rgb).mean() > 0.9


# ---- beside bars, frames and text --------------------------------------------------------------------------

def written(rgb, words, place, colour):
    return cv2.putText(rgb.copy(), words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)


@pytest.mark.parametrize("colour", [(255, 255, 255), (140, 140, 140), (30, 60, 200)])
@pytest.mark.parametrize("turns", range(4))
def test_a_bar_with_text_burnt_in_at_an_edge_is_not_fov(draw, colour, turns):
    rgb, _, fov = draw.eye(1, 400, 460)
    barred, seen = np.rot90(rgb, turns).copy(), np.rot90(fov, turns).copy()
    barred[-40:], seen[-40:] = colour, False
    barred = written(barred, "ID 000123  OD  45deg  2019", (8, len(barred) - 12), (0, 0, 0))
    assert overlap(find_fov(barred), seen) >= 0.98


def test_a_bar_that_touches_the_fov_from_below_is_not_fov(draw):
    rgb, _, fov = draw.eye(1, 400, 460)
    below = np.flatnonzero(fov.any(axis=1))[-1] + 1
    barred = np.concatenate([rgb[:below], np.full((40, 460, 3), 255, np.uint8)])
    assert overlap(find_fov(barred)[:below], fov[:below]) >= 0.98


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 128, 128)])
def test_a_surround_and_a_frame_of_one_light_colour_are_not_fov(draw, colour):
    rgb, _, fov = draw.eye(1, 400, 460)
    wide = cv2.dilate(fov.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert overlap(find_fov(np.where(wide[..., None], rgb, np.uint8(colour))), fov) >= 0.98
    framed = cv2.copyMakeBorder(rgb, 10, 10, 10, 10, cv2.BORDER_CONSTANT, value=colour)
    assert overlap(find_fov(framed)[10:-10, 10:-10], fov) >= 0.98


def test_a_date_and_a_label_that_touch_the_fov_are_cut_off_at_its_circle(draw):
    rgb, _, fov = draw.eye(1, 400, 460)
    dated = cv2.rectangle(written(rgb, "2019/04/02", (330, 330), (255, 160, 0)), (0, 0), (150, 80),
                          (250, 250, 250), -1)
    assert overlap(find_fov(dated), fov) >= 0.98


def test_an_fov_that_is_not_round_keeps_its_corners(draw):
    rgb, inner = np.zeros((400, 460, 3), np.uint8), np.zeros((400, 460), bool)
    inner[60:340, 80:380] = True
    rgb[inner] = draw.eye(1, 1000, 1000)[0][300:580, 300:600].reshape(-1, 3)
    assert overlap(find_fov(rgb), inner) >= 0.98


def test_a_round_photograph_that_was_stretched_keeps_its_fov(draw):
    rgb, _, fov = draw.eye(1, 400, 400)
    stretched = cv2.resize(rgb, (420, 400))
    assert overlap(find_fov(stretched), cv2.resize(fov.astype(np.uint8), (420, 400)) > 0) >= 0.98


@pytest.mark.parametrize("value, whole", [(0, False), (6, False), (255, True), (128, True)])
def test_an_even_photograph_has_no_fov_or_is_all_fov(value, whole):
    fov = find_fov(np.full((96, 120, 3), value, np.uint8))
    assert fov.all() if whole else not fov.any()


def test_a_speck_of_light_is_not_a_field_of_view():
    dark = np.zeros((600, 800, 3), np.uint8)
    dark[300:306, 400:406] = 255
    assert not find_fov(dark).any()


@pytest.mark.parametrize("seed, brightest", list(enumerate((20, 60, 140, 256))))
def test_noise_has_some_fov_or_none(seed, brightest):
    fov = find_fov(np.random.default_rng(seed).integers(0, brightest, (90, 130, 3), dtype=np.uint8))
    assert fov.shape == (90, 130) and (not fov.any() or Square.around(fov).side >= SMALLEST_SIDE)


@pytest.mark.parametrize("value", [0, 3, 10])
def test_a_dark_photograph_has_no_fov_and_is_named(tmp_path, value):
    dark = np.full((60, 70, 3), value, np.uint8)
    assert not find_fov(dark).any()
    with pytest.raises(Problem, match="a.png: is dark everywhere"):
        fov_of(Photograph("A", "a", "test", "a", tmp_path / "a.png"), dark)


# ---- given by the set --------------------------------------------------------------------------------------

@pytest.fixture
def given(draw, tmp_path):
    """Gives a photograph this FOV mask, and returns what counts as its FOV."""
    def giving(fov):
        path = draw.put(tmp_path / "fov.png", fov)
        return fov_of(Photograph("A", "a", "test", "a", tmp_path / "a.png", fov=path), draw.eye(1)[0])

    return giving


def test_the_sets_own_fov_goes_before_what_could_be_found(draw, given):
    own = draw.eye(1)[2]
    own &= np.arange(own.shape[1]) < 60
    assert np.array_equal(given(own), own)


def test_an_empty_fov_a_tiny_one_an_inverted_one_and_one_of_vessels_are_named(draw, given):
    _, vessels, own = draw.eye(1)
    tiny = np.zeros_like(own)
    tiny[40:71, 40:71] = True
    for wrong, word in ((own & False, "empty or nearly so"), (tiny, "empty or nearly so"),
                        (~own, "black in the middle"), (vessels, "has lines or specks")):
        with pytest.raises(Problem, match=f"fov.png: this FOV mask .*{word}"):
            given(wrong)


# ---- real data ---------------------------------------------------------------------------------------------

def with_fovs(folder):
    for photograph in data.photographs_of([folder], "training"):
        rgb = read_photograph(photograph.path)
        yield photograph, rgb, fov_of(photograph, rgb)


def test_the_fovs_of_drive_are_found_and_hold_as_many_pixels_and_vessels_as_published(shared):
    pixels, vessels, found = 0, 0, []
    for photograph, rgb, fov in with_fovs(shared / "DRIVE"):
        pixels += fov.sum()
        vessels += (read_vessels(photograph.mask, rgb.shape) & fov).sum()
        found.append(overlap(find_fov(rgb), fov))
    assert (pixels, vessels) == (4_541_006, 569_415)
    assert np.mean(found) >= 0.99 and min(found) > 0.98


@pytest.mark.slow
def test_the_fovs_of_hrf_are_found(shared):
    found = [overlap(find_fov(rgb), fov) for _, rgb, fov in with_fovs(shared / "HRF")]
    assert len(found) == 15 and np.mean(found) >= 0.98
