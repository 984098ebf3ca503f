"""Every layout is recognised, and who belongs to what is told by names alone."""

import numpy as np
import pytest

from photographs.reading import read_mask
from sets.pairing import recognise


def by_name(found):
    return {photograph.name: photograph for photograph in found.photographs}


def names(photographs):
    return sorted(photograph.name for photograph in photographs)


# ---- which layout ------------------------------------------------------------------------------------------

def test_drive_as_handed_out_has_a_test_split_without_vessels(draw, tmp_path):
    found = recognise(draw.drive(tmp_path / "anything"))
    assert found.name == "DRIVE" and not found.problems
    assert names(found.of("training")) == ["21_training", "22_training", "23_training"]
    for photograph in found.of("test"):
        assert photograph.mask is None and photograph.fov.name == photograph.name + "_mask.gif"
    assert any("test" in remark and "no masks" in remark for remark in found.remarks)


def test_drive_with_its_second_observer(draw, tmp_path):
    found = recognise(draw.drive(tmp_path, labelled=True))
    for photograph in found.of("test"):
        assert photograph.mask.name == f"{photograph.patient}_manual1.gif"
        assert photograph.second.name == f"{photograph.patient}_manual2.gif"


def test_chase_has_two_observers_and_left_and_right_are_one_child(draw, tmp_path):
    found = recognise(draw.chase(tmp_path, children=(1, 10, 11, 14)))
    assert names(found.of("training")) == ["Image_01L", "Image_01R", "Image_10L", "Image_10R"]
    assert names(found.of("test")) == ["Image_11L", "Image_11R", "Image_14L", "Image_14R"]
    for photograph in found.photographs:
        assert photograph.mask.name == f"{photograph.name}_1stHO.png"
        assert photograph.second.name == f"{photograph.name}_2ndHO.png"
        assert photograph.patient == photograph.name[6:8]


def test_stare_is_all_test_and_its_files_are_packed(draw, tmp_path):
    found = recognise(draw.stare(tmp_path / "STARE"))
    assert names(found.of("test")) == ["im0001", "im0002", "im0077"] and found.of("training") == []
    photograph = found.photographs[0]
    assert (photograph.mask.name, photograph.second.name) == ("im0001.ah.ppm.gz", "im0001.vk.ppm.gz")


def test_hrf_is_split_by_number_in_each_group_and_capital_extensions_count(draw, tmp_path):
    found = recognise(draw.hrf(tmp_path))
    assert found.name == "HRF" and not found.problems
    assert names(found.of("training")) == ["01_dr", "01_g", "01_h"]
    assert names(found.of("test")) == ["06_dr", "06_h"]
    assert len({photograph.patient for photograph in found.photographs}) == 5, "01_h and 01_dr are two people"
    assert all(photograph.mask and photograph.fov for photograph in found.photographs)


def test_fives_says_aloud_that_it_knows_no_patients(draw, tmp_path):
    found = recognise(draw.fives(tmp_path))
    assert found.name == "FIVES" and (len(found.of("training")), len(found.of("test"))) == (3, 2)
    assert any("patient" in remark for remark in found.remarks)
    assert len({photograph.patient for photograph in found.photographs}) == 5


def test_a_plain_set_with_splits_and_one_without(draw, tmp_path):
    split = recognise(draw.plain(tmp_path / "a", fovs=True))
    flat = recognise(draw.plain(tmp_path / "b", test=None))
    assert (len(split.of("training")), len(split.of("test"))) == (4, 2)
    assert all(photograph.fov.stem == photograph.name for photograph in split.photographs)
    assert len(flat.of("training")) == len(flat.of("test")) == len(flat.photographs) == 4
    assert (split.name, flat.name) == ("a", "b"), "a plain set is called after its folder"


def test_photographs_of_a_known_set_in_the_plain_layout_are_plain_and_none_is_lost(draw, tmp_path):
    """Its name alone made it DRIVE, whose masks lie elsewhere: they and the other photographs were lost."""
    folder = draw.plain(tmp_path / "mine", train=2, test=2)
    for part in ("images", "masks"):
        (folder / "test" / part / "eye2.png").rename(folder / "test" / part / "21_training.png")
    (folder / "test/images/21_training.png").rename(folder / "test/images/21_training.tif")
    found = recognise(folder)
    assert found.name == "mine" and len(found.photographs) == 4
    assert all(photograph.mask for photograph in found.photographs)


def test_a_picture_beside_the_photographs_that_is_not_of_the_layout_is_told_of(draw, tmp_path):
    folder = draw.drive(tmp_path / "DRIVE")
    draw.put(folder / "training/images/99_other.png", draw.eye(99)[0])
    found = recognise(folder)
    assert found.name == "DRIVE" and len(found.photographs) == 5
    assert any("99_other.png" in sentence and "1 picture " in sentence for sentence in found.left_out)


@pytest.mark.parametrize("suffix", ["_mask", "-mask", "_manual1", "_vessels", "_label", "_1stHO", ""])
def test_masks_of_a_plain_set_may_carry_a_suffix(draw, tmp_path, suffix):
    found = recognise(draw.plain(tmp_path, suffix=suffix))
    assert not found.problems
    assert all(photograph.mask.stem == photograph.name + suffix for photograph in found.photographs)


def test_a_mask_whose_name_has_another_unicode_form_belongs_to_its_photograph(draw, tmp_path):
    """As on a disk of macOS, or after unpacking there."""
    photograph, mask, _ = draw.eye(1)
    draw.put(tmp_path / "images" / "Z\u00fcrich.png", photograph)
    draw.put(tmp_path / "masks" / "Zu\u0308rich.png", mask)
    found = recognise(tmp_path)
    assert not found.problems and found.photographs[0].mask


def test_a_folder_without_a_set_is_nothing(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    assert recognise(tmp_path) is None


# ---- pairing -----------------------------------------------------------------------------------------------

def test_pairing_is_by_name_whatever_the_order_of_the_masks_and_the_case_of_names(draw, tmp_path):
    folder = draw.plain(tmp_path, train=0, test=None)
    for number, (name, mask_name) in {9: ("b", "b_mask"), 10: ("a", "a")}.items():
        rgb, mask, _ = draw.eye(number)
        draw.put(folder / "images" / f"{name}.png", rgb)
        draw.put(folder / "masks" / f"{mask_name}.png", mask)
    draw.put(folder / "images" / "A0.JPG", draw.eye(3)[0])
    draw.put(folder / "masks" / "a0.gif", draw.eye(3)[1])
    found = by_name(recognise(folder))
    assert {name: photograph.mask.name for name, photograph in found.items()} == {
        "a": "a.png", "A0": "a0.gif", "b": "b_mask.png"}
    assert np.array_equal(read_mask(found["b"].mask), draw.eye(9)[1])


def test_a_photograph_without_its_mask_is_named(draw, tmp_path):
    folder = draw.plain(tmp_path)
    (folder / "train/masks/eye1.png").unlink()
    (problem,) = recognise(folder).problems
    assert "eye1.png: has no mask" in problem


def test_a_mask_without_its_photograph_is_named_and_so_is_a_second_observers(draw, tmp_path):
    folder = draw.chase(tmp_path)
    (folder / "Image_02L.jpg").unlink()
    mask, second = recognise(folder).problems
    assert "Image_02L_1stHO.png: there is no photograph" in mask
    assert "Image_02L_2ndHO.png: there is no photograph" in second


@pytest.mark.parametrize("doubled", [
    "train/masks/eye1_mask.png", "train/images/eye1.jpg", "train/fovs/eye1.gif"])
def test_two_files_that_claim_one_place_are_named(draw, tmp_path, doubled):
    folder = draw.plain(tmp_path, fovs=True)
    draw.put(folder / doubled, draw.eye(1)[1])
    (problem,) = recognise(folder).problems
    assert "eye1.png" in problem and doubled in problem and "claim the same place" in problem


def test_a_photograph_packed_and_unpacked_claims_one_place(draw, tmp_path):
    folder = draw.stare(tmp_path)
    draw.put(folder / "stare-images/im0001.ppm", draw.eye(1)[0])
    (problem,) = recognise(folder).problems
    assert "im0001.ppm " in problem and "im0001.ppm.gz" in problem


def test_patients_csv_says_who_is_who(draw, tmp_path):
    folder = draw.plain(tmp_path, train=4)
    table = "name,patient\neye0.png,Ann\neye1,Ann\neye2,Bo\n"
    (folder / "patients.csv").write_text(table, encoding="utf-8-sig")
    found = by_name(recognise(folder))
    assert [found[f"eye{k}"].patient for k in range(4)] == ["Ann", "Ann", "Bo", "eye3"]
