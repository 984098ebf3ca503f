"""Which sets are found in folders, who is on which side of a split, and what the doctor says."""

import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data
from photographs.reading import read_photograph
from running.command import Problem
from sets.layouts import Photograph


def imagined(name, patient=None, place="A", path=None, split="training"):
    """A photograph of which there is no file."""
    return Photograph(place, f"{name}", split, f"{name if patient is None else patient}", path)


def names(photographs):
    return sorted(photograph.name for photograph in photographs)


def patients_of(photographs):
    return {(photograph.set, photograph.patient) for photograph in photographs}


# ---- which sets --------------------------------------------------------------------------------------------

def test_several_sets_in_one_folder_are_all_found(draw, tmp_path):
    draw.chase(tmp_path / "one")
    draw.plain(tmp_path / "two")
    assert [found.name for found in data.find_sets([tmp_path])] == ["CHASE_DB1", "two"]


@pytest.mark.parametrize("make, word", [(lambda folder: None, "no such folder"),
                                        (lambda folder: folder.mkdir(), "no data set is recognised"),
                                        (lambda folder: folder.write_text("x"), "no such folder")])
def test_a_folder_that_is_missing_empty_or_a_file_is_named(tmp_path, make, word):
    make(tmp_path / "x")
    with pytest.raises(Problem, match=f"x: .*{word}"):
        data.find_sets([tmp_path / "x"])


def test_sets_of_one_name_are_two_and_their_patients_too(command, draw, tmp_path):
    """Two sites whose folders are called alike: of each name the card has kept one photograph."""
    sites = [draw.plain(tmp_path / site / "data", train=3, test=None) for site in ("siteA", "siteB")]
    draw.put(sites[1] / "images/eye0.png", draw.eye(77)[0])
    sets = data.find_sets(sites)
    assert [found.name for found in sets] == ["siteA_data", "siteB_data"]
    photographs = data.photographs_of(sites, "training")
    assert len({(photograph.set, photograph.patient) for photograph in photographs}) == 6
    assert set(data.names_of(photographs).values()) == {
        f"site{site}_data_eye{k}" for site in "AB" for k in range(3)}
    training, validation = data.split_validation(photographs)
    assert (len(training), len(validation)) == (4, 2)


def test_a_folder_given_twice_or_within_another_counts_once(draw, tmp_path):
    draw.plain(tmp_path / "a/data", train=3, test=None)
    assert len(data.photographs_of([tmp_path / "a", tmp_path / "a/data", tmp_path / "a"], "all")) == 3
    assert data.find_sets([tmp_path / "a/data"] * 2)[0].name == "data"


@pytest.mark.parametrize("places, names", [
    (["x/DRIVE", "y/DRIVE"], ["x_DRIVE", "y_DRIVE"]), (["1/x/s", "2/x/s", "t"], ["1_x_s", "2_x_s", "t"]),
    (["x/s", "x/S"], ["s", "S"])])
def test_names_go_up_until_they_differ(places, names, draw, tmp_path):
    for place in places:
        draw.plain(tmp_path / place, train=1, test=None)
    found = [found.name for found in data.find_sets([tmp_path / place for place in places])]
    assert found == names


def test_what_does_not_pair_is_refused_unless_one_only_looks(draw, tmp_path):
    folder = draw.plain(tmp_path)
    for mask in ("eye1.png", "eye2.png"):
        (folder / "train/masks" / mask).unlink()
    with pytest.raises(Problem, match=r"eye1.png: has no mask.*and 1 more: python data.py .*  lists them"):
        data.find_sets([folder])
    (found,) = data.find_sets([folder], strict=False)
    assert len(found.problems) == 2


def test_without_datasets_the_samples_are_taken(draw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [folder.name for folder in data.default_folders()] == ["samples"]
    (tmp_path / "datasets").mkdir()
    assert [folder.name for folder in data.default_folders()] == ["samples"]
    draw.chase(tmp_path / "datasets" / "CHASE_DB1")
    assert [folder.name for folder in data.default_folders()] == ["datasets"]


def test_what_lies_in_datasets_in_place_of_a_set_is_not_passed_over_in_silence(
        draw, touch, tmp_path, command, capsys):
    """The samples were taken."""
    touch("datasets/DRIVE.zip", "datasets/mine/a.png")
    assert [folder.name for folder in data.default_folders()] == ["samples"]
    said = capsys.readouterr().err
    assert f"{Path('datasets/DRIVE.zip')}: is an archive, which is not looked into. Unpack it there." in said
    assert f"{Path('datasets/mine')}: holds 1 picture, but no layout" in said
    assert "Unpack it there." in command("data", "datasets").err


def test_a_link_that_leads_nowhere_is_named(draw, tmp_path, refused):
    draw.plain(tmp_path / "P")
    for kind in ("images", "masks"):
        for folder in tmp_path.glob(f"P/**/{kind}"):
            folder.rename(folder.with_name(f"away {kind}"))
            folder.symlink_to(tmp_path / "gone")
    assert "is a link that leads nowhere" in refused("data", tmp_path / "P")


# ---- splits ------------------------------------------------------------------------------------------------

def test_stare_is_all_test_unless_asked_for_as_training(draw, tmp_path):
    folder = draw.stare(tmp_path / "STARE")
    assert names(data.photographs_of([folder], "test")) == ["im0001", "im0002", "im0077"]
    assert len(data.photographs_of([folder], "training", ["STARE"])) == 3
    with pytest.raises(Problem, match="no photograph of the training split"):
        data.photographs_of([folder], "training")


def test_all_photographs_are_those_of_every_split(draw, tmp_path):
    folder = draw.drive(tmp_path / "DRIVE")
    assert len(data.photographs_of([folder], "all")) == 5


def test_a_set_with_an_official_split_is_never_taken_whole(draw, tmp_path):
    folder = draw.chase(tmp_path / "CHASE_DB1")
    with pytest.raises(Problem, match="official split"):
        data.photographs_of([folder], "training", ["CHASE_DB1"])


def test_a_set_whose_validation_and_test_parts_are_official_is_never_taken_whole(draw, tmp_path):
    """Its test part was trained on."""
    folder = draw.plain(tmp_path / "s", train=2, test=2)
    (folder / "train").rename(folder / "val")
    with pytest.raises(Problem, match="official split"):
        data.photographs_of([folder], "training", ["s"])


def test_a_set_to_be_taken_whole_that_is_not_there_is_named(draw, tmp_path):
    """Misspelt, it was left out of training in silence, and the card said that it was in."""
    folders = [draw.stare(tmp_path / "STARE"), draw.plain(tmp_path / "mine")]
    assert len(data.photographs_of(folders, "training", ["STARE"])) == 4 + 3
    for wrong in ("stare", "STAR"):
        with pytest.raises(Problem, match=f"--whole {wrong}: is none of the sets here: STARE, mine"):
            data.photographs_of(folders, "training", ["STARE", wrong])


def test_a_child_is_never_on_both_sides(draw, tmp_path):
    folder = draw.chase(tmp_path, children=(1, 2, 3, 4, 5, 11))
    training, validation = data.split_validation(data.photographs_of([folder], "training"), 0.4, 0)
    assert len(validation) == 4 and len(training) == 6
    assert not patients_of(training) & patients_of(validation)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 9)), min_size=1, max_size=40),
       st.floats(0.01, 0.99), st.integers(0, 5))
def test_no_patient_is_ever_on_both_sides_and_nobody_is_lost(people, share, seed):
    everyone = [imagined(k, patient, place) for k, (place, patient) in enumerate(people)]
    sizes = {place: len({patient for other, patient in people if other == place}) for place, _ in people}
    everyone = [photograph for photograph in everyone if sizes[photograph.set] > 1]
    training, validation = data.split_validation(everyone, share, seed)
    assert not patients_of(training) & patients_of(validation)
    assert sorted(training + validation, key=lambda photograph: int(photograph.name)) == everyone
    for place in {photograph.set for photograph in everyone}:
        assert place in {photograph.set for photograph in validation}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_split_is_a_function_of_the_seed_and_not_of_the_order(seed, shuffler):
    everyone = [imagined(k, k // 2) for k in range(20)]
    shuffled = shuffler.sample(everyone, len(everyone))
    assert data.split_validation(everyone, 0.3, seed) == data.split_validation(shuffled, 0.3, seed)


def test_an_official_validation_part_is_the_validation_whatever_the_share_and_seed():
    everyone = [imagined(k, split="validation" if k < 2 else "training") for k in range(9)]
    for share, seed in ((0.2, 0), (0.9, 3)):
        assert names(data.split_validation(everyone, share, seed)[1]) == ["0", "1"]


def test_validation_alone_is_not_enough():
    """It was a division by zero."""
    with pytest.raises(Problem, match="a.png: is of validation, as all others are"):
        data.split_validation([imagined("a", split="validation", path=Path("a.png"))])


def test_another_seed_gives_another_split():
    everyone = [imagined(k) for k in range(20)]
    assert len({tuple(names(data.split_validation(everyone, 0.3, seed)[1])) for seed in range(5)}) == 5


def test_seed_0_keeps_the_last_ones_as_published_recipes_do(draw, tmp_path):
    folder = draw.drive(tmp_path, training=range(21, 41), test=())
    training, validation = data.split_validation(data.photographs_of([folder], "training"))
    assert names(validation) == ["37_training", "38_training", "39_training", "40_training"]
    assert len(training) == 16


def test_training_keeps_at_least_one_patient_whatever_the_share():
    training, validation = data.split_validation([imagined(k) for k in range(2)], 0.9, 0)
    assert len(training) == len(validation) == 1


def test_a_single_patient_cannot_be_split(draw, tmp_path):
    folder = draw.chase(tmp_path, children=(1, 11))
    with pytest.raises(Problem, match="one patient"):
        data.split_validation(data.photographs_of([folder], "training"))


@pytest.mark.parametrize("parts, words", [
    ("train test", "the training and the test part"), ("train val", "the training and the validation part"),
    ("train val test", "the training and the validation and the test part")])
def test_a_patient_in_several_parts_is_named_by_the_doctor_and_refused_by_augment(
        parts, words, command, refused, draw, tmp_path):
    """The doctor said "0 wrong", and one eye was learned from, the other tested on."""
    for number, part in enumerate(parts.split() * 2 + ["train"]):
        rgb, mask, _ = draw.eye(number)
        draw.put(tmp_path / f"s/{part}/images/eye{number}.png", rgb)
        draw.put(tmp_path / f"s/{part}/masks/eye{number}.png", mask)
    count = len(parts.split())
    (tmp_path / "s/patients.csv").write_text("name,patient\n" + "".join(
        f"eye{number},{'Ann Bo'.split()[number // count]}\n" for number in range(2 * count)))
    ended = command("data", tmp_path / "s")
    assert ended.code == 1 and "1 wrong" in ended.out
    assert f"wrong: s: 2 patients are in {words}, Ann for one (" in ended.err and "Move all" in ended.err
    assert f"2 patients are in {words}" in refused("augment", "--data", tmp_path / "s", "--out",
                                                   tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("places, words", [
    (["images/anna/OD", "images/ben/OD", "val/images/anna/OS"], "the training and the validation part"),
    (["train/images/Anna/OD", "train/images/ben/OD", "test/images/anna/OD"],
     "the training and the test part"),
    (["train/images/7/OD", "train/images/8/OD", "val/images/07/OD"], "the training and the validation part"),
    (["train/images/M\u00fcller/OD", "train/images/8/OD", "test/images/Mu\u0308ller/OD"],
     "the training and the test part")])
def test_a_folder_of_a_patient_in_two_parts_is_refused_however_it_is_spelled(
        places, words, command, refused, draw, tmp_path):
    """Also where the photographs for training lie in no part."""
    for number, place in enumerate(places):
        rgb, mask, _ = draw.eye(number)
        draw.put(tmp_path / f"s/{place}.png", rgb)
        draw.put(tmp_path / f"s/{place.replace('images', 'masks')}.png", mask)
    ended = command("data", tmp_path / "s")
    assert ended.code == 1 and f"1 patient is in {words}" in ended.err
    assert f"1 patient is in {words}" in refused("augment", "--data", tmp_path / "s", "--out", tmp_path / "o")


def test_a_patient_spelled_in_two_ways_is_on_one_side(draw, tmp_path):
    for number, place in enumerate(("Ann/1", "ann/2", "Bo/1", "Cy/1")):
        draw.put(tmp_path / f"s/images/{place}.png", draw.eye(number)[0])
    (tmp_path / "s/patients.csv").write_text("name,patient\nBo/1,ANN\n")
    found = data.photographs_of([tmp_path / "s"], "all")
    assert {own.name: own.patient for own in found} == {"Ann_1": "Ann", "ann_2": "Ann", "Bo_1": "Ann",
                                                         "Cy_1": "Cy"}


def test_names_that_begin_anew_in_each_split_are_not_one_patient(command, draw, tmp_path):
    """train/images/1.png and val/images/1.png were refused as of one patient, 1."""
    places = ("train", 1), ("train", 2), ("val", 1), ("test", 1), ("test", 3)
    for seed, (part, number) in enumerate(places):
        rgb, mask, _ = draw.eye(seed)
        draw.put(tmp_path / f"s/{part}/images/{number}.png", rgb)
        draw.put(tmp_path / f"s/{part}/masks/{number}.png", mask)
    assert command("data", tmp_path / "s").code == 0
    training, validation = data.split_validation(data.photographs_of([tmp_path / "s"], "training"))
    assert len(training) == 2 and len(validation) == 1


def test_a_photograph_that_the_table_leaves_out_is_nobody_of_the_table(draw, tmp_path):
    """Its name may be another patient's number: 3.png was a second photograph of patient 3."""
    folder = draw.plain(tmp_path / "s", train=3, test=None)
    (folder / "patients.csv").write_text("name,patient\neye0,eye2\neye1,Ann\n")
    patients = [photograph.patient for photograph in data.photographs_of([folder], "all")]
    assert patients == ["eye2", "Ann", "all/eye2"]


# ---- names of results --------------------------------------------------------------------------------------

def named(*files):
    """The names of photographs at SET/NAME."""
    photographs = [imagined(Path(file).stem, k, place=Path(file).parts[0], path=Path(file))
                   for k, file in enumerate(files)]
    given_names = data.names_of(photographs)
    return [given_names[photograph] for photograph in photographs]


def test_a_result_is_called_after_its_photograph_and_where_two_are_alike_after_its_set_too():
    assert named("a/x.png", "b/x.png", "b/test/x.jpg", "b/y.png") == ["a_x", "b_x", "b_x_2", "y"]


def test_names_that_some_disks_take_for_one_are_two():
    """As those of macOS and Windows do, which know neither case nor Unicode's forms apart."""
    assert named("a/X.png", "b/x.png", "b/y.png") == ["a_X", "b_x", "y"]
    assert named("a/X.png", "a/y/x.jpg") == ["a_X", "a_x_2"]
    assert named("a/Z\u00fcrich.png", "a/y/Zu\u0308rich.png") == ["a_Z\u00fcrich", "a_Zu\u0308rich_2"]


def test_a_name_with_a_number_takes_no_other_photographs_name():
    assert named("a/x.png", "a/y/x.png", "b/a_x_2.png") == ["a_x", "a_x_3", "a_x_2"]


@pytest.mark.parametrize("place", ["{}/left.png", "{}/eye/left.png", "eye/{}.png", "eye/{}/left.png"])
def test_twenty_thousand_photographs_are_named_at_once(place):
    files = [place.format(k) for k in range(20000)] + ["y/left.png", "y/7.png"]
    began = time.process_time()
    assert len(set(named(*files))) == len(files)
    assert time.process_time() - began < 5


# ---- the command -------------------------------------------------------------------------------------------

def test_the_doctor_says_what_is_there_and_what_is_wrong(command, draw, tmp_path):
    fine, ill = draw.chase(tmp_path / "fine"), draw.plain(tmp_path / "ill")
    ended = command("data", fine)
    assert ended.code == 0 and "CHASE_DB1" in ended.out and "100" in ended.out
    assert ended.out.strip().endswith(f"8 photographs, 0 wrong. Next: python augment.py --data {fine}")
    (ill / "train/images/eye0.png").write_text("not a picture")
    (ill / "test/masks/eye5.png").unlink()
    ended = command("data", ill)
    assert ended.code == 1, ended
    assert "wrong: " in ended.err and "eye0.png" in ended.err and "eye5.png" in ended.err
    assert "6 photographs, 2 wrong" in ended.out


def test_the_doctor_says_which_photographs_are_not_what_they_seem(command, draw, tmp_path):
    folder = draw.plain(tmp_path / "P", size=(400, 420))
    for path in sorted((folder / "train/images").iterdir())[:2]:
        draw.put(path, np.ascontiguousarray(read_photograph(path)[..., ::-1]))
    ended = command("data", folder)
    assert ended.code == 0 and "0 wrong" in ended.out
    swapped = folder / "train/images/eye0.png"
    assert f"2 files, {swapped} for one: each is warned of: more blue than red" in ended.out


def test_the_doctor_counts_what_is_labelled(command, draw, tmp_path):
    ended = command("data", draw.drive(tmp_path / "D"))
    assert ended.code == 0 and "no masks" in ended.out


def test_the_doctor_looks_at_the_second_observer_too(command, draw, tmp_path):
    folder = draw.chase(tmp_path / "C")
    (folder / "Image_02L_2ndHO.png").write_text("not a picture")
    ended = command("data", folder)
    assert ended.code == 1 and "Image_02L_2ndHO.png" in ended.err and "1 wrong" in ended.out


def test_the_doctor_draws_what_pairs_and_leaves_out_what_cannot_be_read(command, draw, tmp_path):
    folder = draw.plain(tmp_path / "P", train=6, test=1)
    (folder / "train/images/eye0.png").write_text("not a picture")
    ended = command("data", folder, "--picture", tmp_path / "found.png")
    assert ended.code == 1 and "found.png" in ended.out
    height, width, _ = cv2.imread(str(tmp_path / "found.png")).shape
    assert width > 5 * 400 and 2 * 400 < height < 3 * 400, "six photographs, five of them in the first row"


def test_a_picture_of_many_says_how_many_it_shows_and_of_none_that_there_is_none(
        command, draw, tmp_path, monkeypatch):
    """The others were left out in silence; where no photograph could be read, it ended in a traceback."""
    folder, picture = draw.plain(tmp_path / "P", train=3, test=1), tmp_path / "found.png"
    monkeypatch.setattr(data, "MOST_DRAWN", 2)
    ended = command("data", folder, "--picture", picture)
    assert ended.code == 0 and f"The picture of the first 2 of 4 photographs is {picture}." in ended.out
    picture.unlink()
    for path in folder.rglob("images/*"):
        path.write_text("not a picture")
    ended = command("data", folder, "--picture", picture)
    assert ended.code == 1 and f"{picture}: is not drawn, since no photograph can be read." in ended.out
    assert not picture.exists() and "4 wrong" in ended.out


def test_no_photograph_is_lost_to_the_picture(refused, command, draw, tmp_path, everything):
    folder = draw.plain(tmp_path / "P", train=2, test=1)
    before = everything(folder)
    assert "eye0.png: is a file of the data and would be lost" in refused(
        "data", folder, "--picture", folder / "train/images/eye0.png")
    for name in (tmp_path, tmp_path / "found.jpg"):
        ended = command("data", folder, "--picture", name)
        assert ended.code == 2 and "the name of a PNG file" in ended.err
    assert everything(folder) == before


def test_a_picture_can_be_drawn_anew_on_a_drive_without_file_numbers(command, draw, tmp_path, monkeypatch):
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *given, **how: os.stat_result(
        (value if place != 1 else 0 for place, value in enumerate(stat(*given, **how)[:10]))))
    folder = draw.plain(tmp_path / "P", train=2, test=1)
    for _ in range(2):
        assert command("data", folder, "--picture", tmp_path / "found.png").code == 0


def test_one_photograph_under_two_names_is_named_with_both(command, draw, tmp_path):
    """training.py alone refused it, hours later, with one of the names."""
    folder = draw.plain(tmp_path / "P")
    rgb, mask, _ = draw.eye(5001)
    draw.put(folder / "test/images/copy.bmp", rgb)
    draw.put(folder / "test/masks/copy.png", mask)
    ended = command("data", folder)
    assert ended.code == 1 and "1 wrong" in ended.out
    assert "train/images/eye1.png and " in ended.err and "test/images/copy.bmp are the same" in ended.err


def test_masks_of_classes_are_told_of_once_a_set(command, draw, tmp_path):
    folder = draw.plain(tmp_path / "P")
    for path in folder.rglob("masks/*.png"):
        classes = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 255
        classes[:, 50:] *= 2
        cv2.imwrite(str(path), classes)
    ended = command("data", folder)
    assert ended.code == 0 and ended.out.count("all but the background count as vessel") == 1
    assert "6 files, " in ended.out
    ended = command("augment", "--data", folder, "--out", tmp_path / "out", "--copies", 1, "--workers", 1)
    assert ended.code == 0 and ended.out.count("4 files, ") == 1


def test_what_is_left_out_is_said_by_every_command_once(command, draw, tmp_path):
    folder = draw.plain(tmp_path / "P")
    draw.put(folder / "elsewhere/x.png", draw.eye(1)[0])
    for words in (("data", folder), ("augment", "--data", folder, "--out", tmp_path / "out", "--copies", 1,
                                     "--workers", 1)):
        data._complain_once.cache_clear()
        assert command(*words).err.count("elsewhere/x.png for one: left out") == 1


def test_pictures_that_lie_loose_beside_sets_are_left_out_aloud(
        command, draw, tmp_path, monkeypatch, capsys):
    draw.plain(tmp_path / "datasets/mine")
    for name in ("loose.png", "loose_mask.png", "deep/x.png", "deep/below/x.png"):
        draw.put(tmp_path / "datasets" / name, draw.eye(1)[0])
    draw.chase(tmp_path / "datasets/deep/other")
    monkeypatch.chdir(tmp_path)
    said = command("data").err.splitlines()
    assert said == [f"{Path(place)}: holds {what}: left out." for place, what in (
        ("datasets/deep/below", "1 picture, but no layout of a set is recognised for x.png"),
        ("datasets/deep", "1 picture, but no layout of a set is recognised for x.png"),
        ("datasets", "2 pictures, but no layout of a set is recognised for loose.png"))]
    for name in ("mine", "deep/other"):
        shutil.rmtree(tmp_path / "datasets" / name)
    data._complain_once.cache_clear()
    assert data.default_folders() == [data.SAMPLES] and capsys.readouterr().err.splitlines() == said


def test_the_doctor_refuses_a_missing_folder(refused, tmp_path):
    assert "no such folder" in refused("data", tmp_path / "gone")


def test_how_to_get_what_a_program_may_not_fetch_is_said(command):
    ended = command("data", "--download", "drive")
    assert ended.code == 0 and "make an account there" in ended.out


def test_a_set_is_downloaded_into_datasets(command, monkeypatch):
    monkeypatch.setattr(data, "download", lambda name, into: into / name.upper())
    ended = command("data", "--download", "stare")
    assert ended.code == 0 and ended.out.startswith("datasets/STARE: is complete. Next: python augment.py")
    monkeypatch.setattr(data, "download_archive", lambda source, into: into / source.folder)
    assert command("data", "--download", "fives").out.startswith("datasets/FIVES: is complete.")
