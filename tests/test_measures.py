"""Measures of drawn shapes whose answers are known on paper."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.integrate import quad
from scipy.spatial import cKDTree
from shapes import COLUMNS, ROWS, SIDE, bar, rays

from photographs.measures import ABOUT, fractal_dimension, measures
from running.files import write_png

TWICE = tuple((np.mgrid[:2 * SIDE, :2 * SIDE] - 0.5) / 2)  # the pixels of a camera of twice the resolution


def measured(mask, fov=None):
    return measures(mask, np.ones_like(mask) if fov is None else fov)


def carpet(times):
    full = np.ones((1, 1), bool)
    for _ in range(times):
        full = np.block([[full, full, full], [full, np.zeros_like(full), full], [full, full, full]])
    return full


def curve(height, period, width=5):
    """A sine from column 50 to 750 of (300, 800), and its arc over chord by numerical integration."""
    across = np.arange(50, 750, 0.1)
    line = np.stack([150 + height * np.sin(2 * np.pi * (across - 50) / period), across], axis=1)
    distance, _ = cKDTree(line).query(np.argwhere(np.ones((300, 800))), distance_upper_bound=width)
    slope = 2 * np.pi * height / period
    arc, _ = quad(lambda x: math.hypot(1, slope * math.cos(2 * np.pi * x / period)), 0, 700, limit=500)
    chord = math.hypot(700, height * math.sin(2 * np.pi * 700 / period))
    return (distance < width / 2).reshape(300, 800), arc / chord


def test_every_measure_is_explained_in_order():
    assert list(measured(bar(5, 0))) == list(ABOUT)
    assert all(text.endswith(".") and len(text) > 20 for text in ABOUT.values())


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 15, 20])
@pytest.mark.parametrize("upright", [False, True])
def test_an_upright_bar_is_as_wide_as_drawn_odd_or_even(width, upright):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:100 + width, 50:250] = True
    found = measured(mask.T if upright else mask)
    for key in ("mean", "q1", "median", "q3"):
        assert found[f"width_{key}_px"] == pytest.approx(width, abs=1e-9)
    assert found["vessel_density"] == pytest.approx(width * 200 / SIDE ** 2)
    assert 200 - width - 1 <= found["skeleton_length_px"] <= 200


@pytest.mark.parametrize("width", [2, 3, 4, 6, 10, 15, 20])
def test_a_slanting_bar_is_as_wide_as_drawn(width):
    angles = [5, 10, 22.5, 30, 40, 45, 63, 112, 135]
    errors = [measured(bar(width, angle))["width_mean_px"] - width for angle in angles]
    assert np.abs(errors).max() < 0.65
    assert abs(np.mean(errors)) < 0.35


def test_a_wide_bar_is_not_narrowed_by_its_corners():
    found = measured(bar(20, 22.5, length=100))
    assert found["width_q1_px"] == pytest.approx(20, abs=0.7)
    assert found["width_mean_px"] == pytest.approx(20, abs=0.7)


@pytest.mark.parametrize("height, period", [(20, 160), (40, 200), (10, 100)])
def test_a_sine_is_as_tortuous_as_its_integral(height, period):
    mask, expected = curve(height, period)
    assert measured(mask)["tortuosity"] == pytest.approx(expected, abs=0.008)


@pytest.mark.parametrize("degrees", [0, 6, 14, 22.5, 33, 45, 80, 117])
def test_a_straight_vessel_is_not_tortuous_at_any_angle(degrees):
    assert measured(bar(4, degrees))["tortuosity"] == pytest.approx(1, abs=0.005)


def test_tortuosity_is_the_mean_over_segments_and_skips_the_short():
    wave, expected = curve(40, 200)
    wave[20:25, 50:750] = True
    assert measured(wave)["tortuosity"] == pytest.approx((expected + 1) / 2, abs=0.008)
    for dash in range(50, 650, 60):  # ten of 30 px count in a FOV of 800, not in one of 1900
        wave[270:273, dash:dash + 30] = True
    wide = np.pad(wave, ((0, 0), (0, 1100)))
    assert measured(wave)["tortuosity"] == pytest.approx((expected + 11) / 12, abs=0.008)
    assert measured(wide)["tortuosity"] == pytest.approx((expected + 1) / 2, abs=0.02)


def test_a_loop_has_no_chord():
    radius = np.hypot(ROWS - 150, COLUMNS - 80)
    for width in (2, 4, 7):
        lollipop = (radius < 50) & (radius > 50 - width) | bar(width + 0.5, 0, 160, (150, 210))
        assert measured(lollipop)["branch_points"] == 1
        assert measured(lollipop)["tortuosity"] == pytest.approx(1, abs=0.01)


def test_quartiles_are_those_of_the_length():
    mask = np.zeros((200, 300), bool)
    for top, width, length in ((10, 3, 50), (50, 5, 150), (100, 9, 56)):
        mask[top:top + width, 20:20 + length] = True
    found = measured(mask)
    assert [found[f"width_{key}_px"] for key in ("q1", "median", "q3")] == [5, 5, 5]
    mask[10:13, 20:170] = True
    assert [measured(mask)[f"width_{key}_px"] for key in ("q1", "median", "q3")] == [3, 5, 5]


@pytest.mark.parametrize("times", [5, 6])
def test_a_sierpinski_carpet_has_its_dimension(times):
    found = fractal_dimension(carpet(times), (0, 0), 3 ** times)
    assert found == pytest.approx(math.log(8) / math.log(3), abs=0.025)


def test_a_line_has_dimension_one_and_a_square_two():
    line = np.zeros((1024, 1024), bool)
    line[500] = True
    assert measured(line)["fractal_dimension"] == pytest.approx(1, abs=1e-9)
    assert measured(np.ones((500, 500), bool))["fractal_dimension"] == pytest.approx(2, abs=1e-9)


def test_boxes_start_at_the_fov_and_need_pixels_enough():
    mask, fov = (np.zeros((700, 900), bool) for _ in range(2))
    mask[37:37 + 512, 211:211 + 512] = fov[37:37 + 512, 211:211 + 512] = True
    assert measured(mask, fov)["fractal_dimension"] == pytest.approx(2, abs=1e-9)
    assert fractal_dimension(np.ones((32, 32), bool), (0, 0), 32) == pytest.approx(2)
    assert math.isnan(fractal_dimension(np.ones((31, 31), bool), (0, 0), 31))


def test_a_ring_has_length_and_width_but_no_end_and_no_chord():
    radius = np.hypot(ROWS - 150, COLUMNS - 150)
    found = measured((radius < 60) & (radius > 54))
    assert found["skeleton_length_px"] == pytest.approx(2 * math.pi * 57, rel=0.09)
    assert found["width_median_px"] == pytest.approx(6, abs=0.4)
    assert (found["branch_points"], found["end_points"]) == (0, 0)
    assert math.isnan(found["tortuosity"])


def test_specks_have_no_length_and_no_ends():
    mask = bar(5, 0)
    alone = measured(mask)
    large, small = (ROWS % 40 < 5) & (COLUMNS % 40 < 6), (ROWS % 9 == 0) & (COLUMNS % 9 == 0)
    found = measured(mask | large & (ROWS > 200) | small & (ROWS < 90))
    for key in ("skeleton_length_px", "end_points", "branch_points", "width_mean_px", "width_q3_px",
                "tortuosity"):
        assert found[key] == alone[key]
    assert found["vessel_density"] > alone["vessel_density"]


@pytest.mark.parametrize("turned", [0, 1])
def test_a_separate_piece_counts_from_a_fiftieth_of_the_fov_on(turned):
    mask = np.zeros((1000, 1000), bool)
    mask[500:505, 100:900] = True
    alone = measured(mask)
    mask[300:302, 200:216] = mask[700:702, 200:218] = True  # a branch of a vessel of this length does count
    mask[505:525, 300:302] = True
    found = measured(np.rot90(mask, turned))
    for key in ("branch_points", "end_points"):
        assert found[key] == alone[key] + 1
    mask[300:302, 200:232] = True
    found = measured(np.rot90(mask, turned))
    assert found["end_points"] == alone["end_points"] + 3
    assert found["skeleton_length_px"] == pytest.approx(alone["skeleton_length_px"] + 20 + 31, abs=4)


def test_short_pieces_alone_have_no_width():
    mask = np.zeros((1000, 1000), bool)
    mask[300:302, 200:216] = True
    found = measured(mask)
    assert found["skeleton_length_px"] == found["end_points"] == 0 < found["vessel_density"]
    assert math.isnan(found["width_mean_px"]) and math.isnan(found["tortuosity"])


def tree(pixels):
    fov = np.hypot(pixels[0] - 150, pixels[1] - 150) < 140
    branches = bar(4, 60, 90, (100, 60), pixels=pixels)
    return measures(rays(12, 130, 250, width=8, pixels=pixels) | branches, fov)


def test_shares_do_not_depend_on_the_camera():
    small, large = tree((ROWS, COLUMNS)), tree(TWICE)
    for key in ABOUT:
        if key.endswith("_px"):
            assert large[key] == pytest.approx(2 * small[key], rel=0.05), key
        else:
            assert large[key] == pytest.approx(small[key], rel=0.05), key
    assert small["branch_points"] == 1 and small["end_points"] == 5


def test_enlarging_a_mask_changes_neither_density_nor_dimension():
    mask = rays(12, 130, 250)
    small, large = measured(mask), measured(np.kron(mask, np.ones((2, 2), bool)))
    for key in ("vessel_density", "fractal_dimension"):
        assert large[key] == pytest.approx(small[key], abs=1e-12)


def test_shares_are_of_the_fovs_diameter_also_where_it_is_cut_off():
    fov = (np.hypot(ROWS - 150, COLUMNS - 150) <= 120) & (abs(ROWS - 150) < 80)
    found = measured(bar(6, 0), fov)
    assert found["fov_diameter_px"] == 241
    assert found["skeleton_length_share"] == pytest.approx(found["skeleton_length_px"] / 241)
    assert found["width_median_share"] == pytest.approx(6 / 241)


def test_vessels_outside_the_fov_do_not_count():
    fov = np.hypot(ROWS - 150, COLUMNS - 150) < 90
    mask, outside = bar(5, 0, length=290), bar(5, 90, centre=(150, 20))
    assert measured(mask | outside, fov) == measured(mask & fov, fov)
    assert measured(mask, fov)["skeleton_length_px"] == pytest.approx(180, abs=8)
    assert measured(mask, fov)["vessel_density"] == pytest.approx(5 * 180 / (math.pi * 90 ** 2), rel=0.02)


def test_vessels_may_touch_the_pictures_edge():
    mask = np.zeros((100, 200), bool)
    mask[:6] = True
    assert measured(mask)["width_median_px"] == pytest.approx(6)


def test_no_vessel_has_no_width_and_no_shape():
    found = measured(np.zeros((64, 64), bool))
    undefined = {key for key, value in found.items() if math.isnan(value)}
    widths = {key for key in ABOUT if key.startswith("width")}
    assert undefined == widths | {"fractal_dimension", "tortuosity"}
    assert found["vessel_density"] == found["skeleton_length_share"] == found["end_points"] == 0


@pytest.mark.parametrize("mask", [np.zeros((64, 64), bool), np.ones((64, 64), bool)])
def test_an_empty_fov_has_no_measures(mask):
    assert all(math.isnan(value) for value in measured(mask, np.zeros((64, 64), bool)).values())


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 3), (2, 40)])
def test_the_smallest_masks_do_not_fail(size):
    assert measured(np.ones(size, bool))["vessel_density"] == 1


def test_mask_and_fov_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        measures(np.zeros((1, 8), bool), np.ones((8, 8), bool))


def movements(folder, *flags):
    """What benchmarks/measures.py prints: {measure: its cells}, or the sentence with which it refuses."""
    script = Path(__file__).parents[1] / "benchmarks" / "measures.py"
    command = [sys.executable, script, "--data", folder, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.returncode, done.stderr
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("| ").split("|")]
                                        for line in done.stdout.splitlines())}


@pytest.fixture
def two_observers(tmp_path):
    """Three photographs as in CHASE_DB1: bars of 4 px, by the second observer shorter and of 5 px."""
    for name, length in (("01L", 160), ("01R", 200), ("11L", 240)):
        Image.new("RGB", (SIDE, SIDE), (180, 90, 40)).save(tmp_path / f"Image_{name}.jpg")
        for observer, width, end in (("1stHO", 4, 20 + length), ("2ndHO", 5, 20 + length // 2)):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[100:100 + width, 20:end] = 255
            write_png(tmp_path / f"Image_{name}_{observer}.png", mask)
    return tmp_path


def test_the_benchmark_says_how_far_each_measure_moves(two_observers, tmp_path):
    found = movements(two_observers)
    assert found["width_median_px"] == ["4", "0.0%", "25.0% (+25.0%)"]
    assert found["vessel_density"][1:] == ["20.0%", "37.5% (-37.5%)"]
    masks = tmp_path / "masks"
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[100:103, 20:260] = 255
    write_png(masks / "Image_11L.png", mask)
    found = movements(two_observers, "--masks", str(masks), "--split", "test")
    assert found["measure"][2:] == ["second (1 photographs)", "prediction (1 photographs)"]
    assert found["width_mean_px"][2:] == ["25.0% (+25.0%)", "25.0% (-25.0%)"]


def test_the_benchmark_refuses_a_folder_without_these_masks(two_observers, tmp_path):
    code, sentence = movements(two_observers, "--masks", str(tmp_path / "nowhere"))
    assert code == 2 and "nowhere" in sentence and "Traceback" not in sentence
