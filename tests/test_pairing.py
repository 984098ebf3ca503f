"""Sets as people have them: nothing of what was given is dropped in silence."""

import os
from pathlib import Path

import pytest

from sets.pairing import recognise, sets_in


def names(photographs):
    return sorted(photograph.name for photograph in photographs)


def pair(draw, folder, photograph, mask, number=1):
    rgb, drawn, _ = draw.eye(number)
    draw.put(folder / photograph, rgb)
    draw.put(folder / mask, drawn)


def whole(found):
    """Whether all pairs, nothing is wrong and nothing is left out."""
    return not found.problems and not found.left_out and all(p.mask for p in found.photographs)


def test_val_is_the_official_validation_part(draw, tmp_path):
    for k, split in enumerate(("train", "val", "test")):
        pair(draw, tmp_path, f"{split}/images/{k}.png", f"{split}/masks/{k}.png", k)
    found = recognise(tmp_path)
    assert whole(found) and [p.split for p in found.photographs] == ["test", "training", "validation"]
    assert names(found.of("training")) == ["0", "1"] and names(found.of("test")) == ["2"]


@pytest.mark.parametrize("photograph, mask, split", [
    ("train/image/a.png", "train/mask/a.png", "training"), ("image/a.png", "label/a.png", "all"),
    ("imgs/a.png", "masks/a.png", "all"), ("images/val/a.png", "labels/val/a.png", "validation"),
    ("training/images/a.png", "training/masks/a_mask.png", "training"),
    ("images/a_image.png", "masks/a_mask.png", "all"), ("images/a_label.png", "masks/a_label.png", "all"),
    ("images/21_training.png", "masks/21_manual1.png", "all"), ("images/a.jp2", "masks/a.png", "all"),
    ("imagesTr/a_0000.png", "labelsTr/a.png", "training"), ("imagesTs/a_0000.png", "labelsTs/a.png", "test")])
def test_layouts_that_many_people_have_are_recognised(draw, tmp_path, photograph, mask, split):
    pair(draw, tmp_path / "mine", photograph, mask)
    found = recognise(tmp_path / "mine")
    assert found.name == "mine" and whole(found) and [p.split for p in found.photographs] == [split]


@pytest.mark.parametrize("make, name", [("drive", "DRIVE"), ("chase", "CHASE_DB1"), ("stare", "STARE"),
                                        ("hrf", "HRF"), ("fives", "FIVES")])
def test_a_known_set_saved_in_another_format_is_that_set(draw, tmp_path, make, name):
    """DRIVE saved as PNG was a set without masks."""
    getattr(draw, make)(tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.rename(path.with_name(path.name.removesuffix(".gz").rsplit(".", 1)[0] + ".bmp"))
    found = recognise(tmp_path)
    assert found.name == name and not found.left_out and any(p.mask for p in found.photographs)


def test_pictures_deeper_than_the_layout_pair_by_their_folders_which_are_patients(draw, tmp_path):
    for k, place in enumerate(("p1/2020/OD", "p1/2020/OS", "p2/OD", "flat")):
        pair(draw, tmp_path, f"train/images/{place}.png", f"train/masks/{place}.png", k)
    found = recognise(tmp_path)
    assert whole(found) and names(found.photographs) == ["flat", "p1_2020_OD", "p1_2020_OS", "p2_OD"]
    assert [p.patient for p in found.photographs] == ["flat", "p1", "p1", "p2"]
    assert any("folders, of which each counts as one patient" in remark for remark in found.remarks)


def test_one_folder_for_all_is_no_patient(draw, tmp_path):
    for k in range(2):
        pair(draw, tmp_path, f"images/2020/{k}.png", f"masks/2020/{k}.png", k)
    assert len({photograph.patient for photograph in recognise(tmp_path).photographs}) == 2


def test_folders_may_be_links_even_in_a_circle(draw, tmp_path):
    pair(draw, tmp_path / "real", "images/a.png", "masks/a.png")
    (tmp_path / "linked").mkdir()
    for part in ("images", "masks"):
        os.symlink(tmp_path / "real" / part, tmp_path / "linked" / part)
    os.symlink(tmp_path / "linked", tmp_path / "linked/again")
    found = recognise(tmp_path / "linked")
    assert whole(found) and len(found.photographs) == 1


def test_what_the_layout_does_not_know_is_counted_and_named_wherever_it_lies(draw, tmp_path):
    pair(draw, tmp_path, "train/images/a.png", "train/masks/a.png")
    draw.put(tmp_path / "elsewhere/deep/b.png", draw.eye(2)[0])
    for name in ("train/images/c.nii", "train/images/notes.txt", "train/images/.hidden.png",
                 ".ipynb_checkpoints/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (sentence,) = recognise(tmp_path).left_out
    assert "2 pictures with another name, place or format" in sentence and "elsewhere/deep/b.png" in sentence


@pytest.mark.parametrize("ending", [".mat", ".npy"])
def test_masks_that_are_all_of_a_format_that_is_not_read_are_told(draw, tmp_path, ending):
    """The set counted as one without masks, and nothing was wrong."""
    draw.put(tmp_path / "images/a.png", draw.eye(1)[0])
    (tmp_path / "masks").mkdir()
    (tmp_path / f"masks/a{ending}").write_text("x")
    (sentence,) = recognise(tmp_path).left_out
    assert f"masks/a{ending}" in sentence


def test_results_of_this_project_inside_a_set_are_passed_over(draw, tmp_path):
    pair(draw, tmp_path, "images/a.png", "masks/a.png")
    draw.put(tmp_path / "predictions/a_mask.png", draw.eye(1)[1])
    (tmp_path / "predictions/run.json").write_text('{"settings": {"tta": false}}')
    assert whole(recognise(tmp_path))


def test_data_beside_which_results_were_written_is_counted_and_named(draw, tmp_path):
    """A set, or a part of one, was left out in silence."""
    for name in ("a", "b"):
        draw.plain(tmp_path / name, train=2, test=1)
    for folder, sets, words in (
            ("a", ["b"], f"{tmp_path / 'a'}: 6 pictures beside results of this project"),
            ("b/test", [], f"{tmp_path / 'b'}: 2 pictures beside results of this project")):
        (tmp_path / folder / "run.json").write_text('{"settings": {"tta": false}}')
        draw.put(tmp_path / folder / "eye2_mask.png", draw.eye(1)[1])
        inside, strange = sets_in(tmp_path)
        told = [sentence for found in inside for sentence in found.left_out] + strange
        assert [found.name for found in inside] == ["b"] and any(words in sentence for sentence in told), told
        assert all("Move the results" in sentence for sentence in told)
        assert not sets or whole(inside[0])
    assert [own.split for own in inside[0].photographs] == ["training"] * 2


def test_sets_are_found_some_folders_down_and_folders_that_are_none_are_named(draw, tmp_path):
    draw.drive(tmp_path / "a/b/DRIVE")
    draw.plain(tmp_path / "mine")
    draw.put(tmp_path / "loose/x.png", draw.eye(1)[0])
    (tmp_path / "more.zip").touch()
    sets, strange = sets_in(tmp_path)
    assert [found.name for found in sets] == ["DRIVE", "mine"]
    assert len(strange) == 1 and "loose: holds 1 picture, but no layout" in strange[0]


def test_fundus_avseg_is_split_by_its_lists(draw, tmp_path):
    for k, name in enumerate(("001_G", "002_N", "003_D")):
        pair(draw, tmp_path, f"images/{name}.png", f"annotation/{name}.png", k)
    (tmp_path / "training.txt").write_text("001_G.png\n002_N.png\n")
    (tmp_path / "testing.txt").write_text("003_D.png")
    found = recognise(tmp_path)
    assert found.name == "Fundus-AVSeg" and whole(found)
    assert names(found.of("training")) == ["001_G", "002_N"] and names(found.of("test")) == ["003_D"]
    (tmp_path / "testing.txt").write_text("")
    assert "003_D.png: is in none of the lists" in recognise(tmp_path).problems[0]


def test_a_second_observer_may_be_in_a_plain_set(draw, tmp_path):
    pair(draw, tmp_path, "images/a.png", "masks/a_manual1.png")
    draw.put(tmp_path / "masks/a_manual2.png", draw.eye(1)[1])
    found = recognise(tmp_path)
    assert whole(found) and found.photographs[0].second.name == "a_manual2.png"


def test_both_eyes_of_a_child_of_chase_are_one_patient_in_the_plain_layout_too(draw, tmp_path):
    for k, name in enumerate(("Image_01L", "Image_01R", "Image_02L")):
        pair(draw, tmp_path, f"images/{name}.jpg", f"masks/{name}_1stHO.png", k)
    assert [photograph.patient for photograph in recognise(tmp_path).photographs] == ["01", "01", "02"]


def test_a_folder_of_fovs_that_is_called_mask_is_told_of(draw, tmp_path):
    pair(draw, tmp_path, "images/a.png", "manual/a.png")
    draw.put(tmp_path / "mask/a.png", draw.eye(1)[2])
    (problem,) = recognise(tmp_path).problems
    assert "manual/a.png and mask/a.png claim the same place" in problem and "of FOVs fovs" in problem


def test_photographs_in_no_part_are_not_tested_on_where_there_is_a_test_part(draw, tmp_path):
    """They were trained on and tested on."""
    for number, part in enumerate(("", "", "test/")):
        pair(draw, tmp_path, f"{part}images/{number}.png", f"{part}masks/{number}.png", number)
    found = recognise(tmp_path)
    assert [own.name for own in found.of("training")] == ["0", "1"]
    assert [own.name for own in found.of("test")] == ["2"]
    assert "2 photographs outside of its parts" in found.remarks[0] and not found.problems


def test_dicom_files_without_extension_pair_by_their_names(touch):
    """They were left out in silence, as files of no format; archives call them so, or by numbers and dots."""
    touch("P/images/IM0001", "P/masks/IM0001_mask.png", "P/images/1.2.840.7", "P/masks/1.2.840.7.png",
          "P/images/1.2.840.8", "P/masks/1.2.840.8.png", "P/images/README")
    for name in ("IM0001", "1.2.840.7", "1.2.840.8"):
        Path("P/images", name).write_bytes(bytes(128) + b"DICM" + bytes(9))
    found = recognise(Path("P"))
    assert {own.name: own.mask.name for own in found.photographs} == {
        "IM0001": "IM0001_mask.png", "1.2.840.7": "1.2.840.7.png", "1.2.840.8": "1.2.840.8.png"}
    assert not found.problems and "1 picture " in found.left_out[0] and "README" in found.left_out[0]
