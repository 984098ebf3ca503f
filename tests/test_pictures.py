"""What the pictures show: agreement in its colours, outlines that hide nothing, sheets and curves."""

import cv2
import numpy as np
import pandas as pd
import pytest

import pictures
from pictures import ORANGE, SKY


@pytest.fixture
def scene():
    rgb = np.full((60, 80, 3), (200, 100, 50), np.uint8)
    mask, reference, fov = np.zeros((3, 60, 80), bool)
    mask[20:24, 10:40], reference[20:24, 20:60], fov[:, 5:75] = True, True, True
    return rgb, mask, reference, fov


def test_agreement_is_white_what_is_only_predicted_orange_and_what_is_only_in_the_reference_blue(scene):
    rgb, mask, reference, fov = scene
    shown = pictures.agreement(rgb, mask, reference, fov)
    assert shown.shape == rgb.shape and shown.dtype == np.uint8
    assert (shown[21, 30] == 255).all() and tuple(shown[21, 15]) == ORANGE and tuple(shown[21, 50]) == SKY
    assert len(set(shown[40, 40])) == 1, "the rest is grey"


def test_outside_the_fov_nothing_is_coloured(scene):
    rgb, mask, reference, fov = scene
    mask[:, :3] = True
    assert len(set(pictures.agreement(rgb, mask, reference, fov)[30, 1])) == 1


def test_an_outline_leaves_what_lies_inside_and_the_photograph_itself_as_they_are(scene):
    rgb, mask, _, _ = scene
    mask[30:50, 20:60] = True
    before = rgb.copy()
    shown = pictures.outlined(rgb, mask)
    assert np.array_equal(rgb, before)
    assert np.array_equal(shown[34:46, 24:56], rgb[34:46, 24:56])
    assert np.array_equal(shown[:15], rgb[:15])
    assert np.abs(shown[30, 40].astype(int) - SKY).max() < 40, "drawn smoothly"


def test_an_empty_mask_draws_nothing(scene):
    rgb, mask, _, _ = scene
    assert np.array_equal(pictures.outlined(rgb, mask & False), rgb)


def test_pictures_in_a_row_stand_in_order_under_their_titles(scene):
    rgb, mask, _, _ = scene
    row = pictures.in_a_row([rgb, mask.astype(np.uint8) * 255], ["one", "two"])
    assert row.shape == (60 + 28, 80 + 8 + 80, 3)
    assert np.array_equal(row[28:, :80], rgb)
    assert np.array_equal(row[28:, 88:], np.repeat(mask[..., None], 3, axis=2) * np.uint8(255))
    assert (row[:28, :80] < 255).any() and (row[:28, 88:] < 255).any() and (row[:, 80:88] == 255).all()


def test_a_long_or_foreign_title_stays_within_its_picture(scene):
    shown = pictures.titled(scene[0], "a very long name of a photograph, Gefäß 網膜 " * 4)
    assert shown.shape == (60 + 28, 80, 3) and np.array_equal(shown[28:], scene[0])


def test_shrinking_keeps_the_aspect_and_never_enlarges(scene):
    assert pictures.shrunk(scene[0], 40).shape == (30, 40, 3)
    assert pictures.shrunk(scene[0], 400) is scene[0]


@pytest.mark.parametrize("count, columns, rows", [(1, 1, 1), (3, 3, 1), (7, 3, 3), (6, 3, 2)])
def test_a_contact_sheet_has_a_place_for_every_picture(scene, count, columns, rows):
    labels = [f"p{k}" for k in range(count)]
    sheet = pictures.contact_sheet([scene[0]] * count, labels, columns=columns, size=64)
    assert sheet.shape == (rows * (64 + 24 + 4), columns * (64 + 4), 3)
    reddish = (sheet.astype(int)[..., 0] - sheet[..., 2] > 100).sum()
    assert reddish == count * 64 * 48


HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.4], "val_loss": [0.6, 0.5],
                        "dice_coefficient": [0.5, 0.6], "val_dice_coefficient": [0.4, 0.5],
                        "learning_rate": [1e-3, 5e-4]})


def test_learning_curves_and_a_line_are_pictures_that_can_be_read(tmp_path):
    pictures.draw_curves(tmp_path / "curves.png", HISTORY)
    x = np.linspace(0, 1, 9)
    pictures.draw_line(tmp_path / "roc.png", x, x ** 0.5, "x", "y", "title", diagonal=True)
    for name in ("curves.png", "roc.png"):
        shown = cv2.imread(str(tmp_path / name))
        assert min(shown.shape[:2]) > 300 and len(np.unique(shown)) > 50
    assert not list(tmp_path.glob(".unfinished*"))


def test_one_epoch_is_enough_for_curves(tmp_path):
    pictures.draw_curves(tmp_path / "curves.png", HISTORY[:1])
    assert (tmp_path / "curves.png").exists()
