"""What a photograph is like, and which ones are warned of."""

import cv2
import numpy as np
import pytest

from photographs.fov import find_fov
from photographs.quality import describe, seen_in, warnings_of
from photographs.square import Square
from sets.layouts import Photograph


def described(rgb, fov):
    return describe(rgb, fov, Square.around(fov))


def test_a_dark_a_blurred_and_a_small_photograph_are_warned_of(draw):
    rgb, _, fov = draw.eye(5, 400, 420)
    own = described(rgb, fov)
    assert not warnings_of(own, fov, own), "those of the training themselves are fine"
    dark, blurred = (rgb * 0.3).astype(np.uint8), cv2.GaussianBlur(rgb, (0, 0), 9)
    for seen, word in ((dark, "too dark"), (blurred, "blurred")):
        sentences = warnings_of(described(seen, fov), fov, own)
        assert len(sentences) == 1 and sentences[0].startswith(word), sentences
    small, _, small_fov = draw.eye(5, 180, 190)
    sentences = warnings_of(described(small, small_fov), small_fov, own)
    assert any(sentence.startswith("too small") for sentence in sentences)


def test_a_photograph_without_dark_surround_is_warned_of(draw):
    rgb = draw.eye(0, 300, 300)[0][90:210, 90:210]
    fov = find_fov(rgb)
    assert any("no dark surround" in sentence for sentence in warnings_of(described(rgb, fov), fov, {}))


def test_a_card_without_limits_warns_of_nothing(draw):
    rgb, _, fov = draw.eye(5, 180, 190)
    assert warnings_of(described((rgb * 0.3).astype(np.uint8), fov), fov, {}) == []


def test_a_field_of_view_too_thin_to_be_seen_is_dark_and_without_detail():
    rgb = np.full((2048, 2048, 3), 90, np.uint8)
    assert described(rgb, np.eye(2048, dtype=bool)) == {"brightness": 0, "sharpness": 0, "side": 2048}


def test_a_field_of_view_with_nothing_away_from_its_edge_is_described_whole():
    rgb, fov = np.full((100, 100, 3), 90, np.uint8), np.zeros((100, 100), bool)
    fov[:, 50:52] = True
    assert described(rgb, fov)["brightness"] == pytest.approx(90, abs=15)  # enlarged by bicubic


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
    assert met["photographs"] == {
        key: pytest.approx(min(description[key] for description in seen), rel=1e-3) for key in seen[0]}
    assert met["photographs"]["brightness"] == pytest.approx(seen[2]["brightness"], rel=1e-3)


def test_sizes_that_one_set_alone_has_are_kept_to_know_its_camera_again(draw, tmp_path):
    photographs = []
    for k, (name, width) in enumerate((("A", 110), ("A", 120), ("B", 120), ("B", 130), ("B", 130))):
        rgb, _, fov = draw.eye(k, 100, width)
        place = draw.put(tmp_path / f"{k}.png", rgb), draw.put(tmp_path / f"{k}_fov.png", fov)
        photographs.append(Photograph(name, f"{k}", "training", f"{k}", place[0], fov=place[1]))
    assert seen_in(photographs)["picture sizes"] == {"A": [[110, 100]], "B": [[130, 100]]}
