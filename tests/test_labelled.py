"""A photograph with its mask: read together, or refused."""

import numpy as np
import pytest
from PIL import Image

from photographs.formats import turned
from photographs.labelled import ELSEWHERE, Labelled
from photographs.square import Square
from running.command import Problem
from sets.layouts import Photograph


@pytest.fixture
def eye(draw, tmp_path):
    """A photograph's record, and its arrays."""
    rgb, mask, fov = draw.eye(3, 300, 320)
    paths = [draw.put(tmp_path / f"{name}.png", array)
             for name, array in (("rgb", rgb), ("mask", mask), ("fov", fov))]
    return Photograph("A", "eye", "training", "1", *paths), rgb, mask, fov


def test_photograph_mask_fov_and_square_are_read_together(eye):
    photograph, rgb, mask, fov = eye
    labelled = Labelled.read(photograph)
    for read, expected in ((labelled.rgb, rgb), (labelled.mask, mask), (labelled.fov, fov)):
        assert np.array_equal(read, expected)
    assert labelled.square == Square.around(fov)


def test_photograph_and_mask_are_cut_alike(eye):
    image, mask = Labelled.read(eye[0]).cut(128)
    assert image.shape == (128, 128, 3) and mask.shape == (128, 128)
    assert image[..., 1][mask > 200].mean() < image[..., 1][(mask == 0) & image.any(axis=2)].mean() - 10


@pytest.mark.parametrize("path", ["path", "mask", "fov"])
def test_what_is_damaged_is_named(eye, path):
    getattr(eye[0], path).write_text("not a picture")
    with pytest.raises(Problem, match=f"^{getattr(eye[0], path)}: is damaged"):
        Labelled.read(eye[0])


def test_a_photograph_without_mask_is_refused(tmp_path):
    with pytest.raises(Problem, match="a.png: has no mask, so nothing can be learned"):
        Labelled.read(Photograph("A", "a", "training", "1", tmp_path / "a.png"))


def test_a_mask_without_vessels_inside_the_fov_is_refused(eye, draw):
    photograph, _, mask, fov = eye
    draw.put(photograph.mask, ~fov)
    with pytest.raises(Problem, match="mask.png: has no vessel inside the field of view of .*rgb.png"):
        Labelled.read(photograph)


def test_the_mask_of_another_photograph_is_told(eye, draw):
    """It paired by its name, and nothing was wrong: the network learned from it."""
    photograph, _, mask, _ = eye
    remarks = []
    Labelled.read(photograph, remarks)
    assert not remarks
    for other in (mask[:, ::-1], draw.eye(4, 300, 320)[1]):
        draw.put(photograph.mask, other)
        Labelled.read(photograph, remarks)
    assert remarks == [(photograph.mask, ELSEWHERE)] * 2


# ---- turned as EXIF says -----------------------------------------------------------------------------------

def turned_photograph(draw, tmp_path, orientation, drawn_on_raw_pixels, size=(300, 320)):
    """A photograph that EXIF turns, and a mask drawn on the pixels as they are in the file, or as seen."""
    rgb, mask, _ = draw.eye(3, *size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph = draw.put(tmp_path / "rgb.jpg", rgb, quality=95, exif=exif)
    seen = mask if drawn_on_raw_pixels else np.ascontiguousarray(turned(mask, orientation))
    return Photograph("A", "eye", "training", "1", photograph, draw.put(tmp_path / "mask.png", seen))


@pytest.mark.parametrize("orientation, size", [
    (2, (300, 320)), (3, (300, 320)), (4, (300, 320)), (6, (300, 300)), (8, (300, 300))])
def test_a_mask_drawn_before_its_photograph_was_turned_is_named_with_the_remedy(
        draw, tmp_path, orientation, size):
    """Upside down it had the right size, so all was learned from wrong pairs."""
    with pytest.raises(Problem, match="mask.png: fits its photograph only if it is turned"):
        Labelled.read(turned_photograph(draw, tmp_path, orientation, True, size))
    Labelled.read(turned_photograph(draw, tmp_path, orientation, False, size))


def test_a_mask_of_another_shape_because_of_exif_is_named_with_the_remedy(draw, tmp_path):
    with pytest.raises(Problem, match="is 320 x 300, its photograph 300 x 320. Turn it as EXIF turns"):
        Labelled.read(turned_photograph(draw, tmp_path, 6, True))
