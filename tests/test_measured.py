"""eval.py --masks: masks that are there, measured and drawn in place of predicting."""

import contextlib
import os
import shutil
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from photographs.formats import SEVERAL_PAGES
from photographs.fov import find_fov
from photographs.labelled import OF_ANOTHER
from photographs.reading import FAINT
from prediction.mask_names import assigned, file_of
from prediction.measured import MeasuredResults


@pytest.fixture
def eyes(draw, tmp_path):
    """Three photographs, one of them in a folder of its patient; returns the folder and their masks."""
    masks = {}
    for k, name in enumerate(["a", "patient7/left", "c"]):
        rgb, masks[name], _ = draw.eye(80 + k)
        draw.put(tmp_path / f"eyes/{name}.png", rgb)
    return tmp_path / "eyes", masks


@pytest.fixture
def drawn(draw, eyes, tmp_path):
    """The masks of two of them, as the review saves them."""
    for name in ("a", "patient7/left"):
        draw.put(tmp_path / "drawn" / file_of(name), eyes[1][name])
    return tmp_path / "drawn"


@pytest.fixture
def measure(command, eyes, drawn, tmp_path):
    def measuring(*words, out="measured"):
        before = tmp_path / "predictions"
        words += ("--before", before) if before.exists() else ()
        return command("eval", eyes[0], "--masks", drawn, "--out", tmp_path / out, *words)

    return measuring


def table(folder):
    return pd.read_csv(folder / "predictions.csv").set_index("name")


def test_masks_are_measured_and_drawn_and_what_has_none_is_named(measure, eyes, drawn, tmp_path):
    ended = measure()
    assert ended.code == 0 and "1 photograph (" in ended.err and "c.png) of 3 left out" in ended.err
    found = table(tmp_path / "measured")
    assert sorted(found.index) == ["a", "patient7/left"] and "certainty" not in found
    for name, row in found.iterrows():
        fov = find_fov(cv2.imread(str(eyes[0] / f"{name}.png"))[..., ::-1])
        assert row["mask"] == (drawn / f"{name}.png").as_posix()
        assert row["vessel_density"] == pytest.approx(eyes[1][name][fov].mean(), rel=1e-3)
        written = cv2.imread(str(tmp_path / f"measured/{name}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(written == 255, eyes[1][name] & fov)
        assert (tmp_path / f"measured/{name}_overlay.png").exists()


def test_what_a_correction_changed_stands_beside_it(measure, command, eyes, tiny_model, tmp_path):
    ended = command("eval", eyes[0], "--model", tiny_model, "--precision", "float32",
                    "--out", tmp_path / "predictions")
    assert ended.code == 0, ended.err
    assert (tmp_path / "predictions/review.html").exists()
    assert measure().code == 0
    found, predicted = table(tmp_path / "measured"), table(tmp_path / "predictions")
    for name, row in found.iterrows():
        mask, before = (cv2.imread(str(tmp_path / f"{folder}/{name}_mask.png"), 0) > 0
                        for folder in ("measured", "predictions"))
        assert row["added_px"] == (mask & ~before).sum() and row["erased_px"] == (before & ~mask).sum()
        assert row["dice_with_prediction"] == pytest.approx(
            2 * (mask & before).sum() / (mask.sum() + before.sum()), abs=1e-5)
        assert row["predicted_density"] == predicted.loc[name, "vessel_density"]


def test_predictions_whose_hidden_folder_did_not_come_along_are_named(
        measure, command, eyes, tiny_model, tmp_path):
    before = tmp_path / "predictions"
    command("eval", eyes[0], "--model", tiny_model, "--precision", "float32", "--out", before)
    (before / ".rows/a.json").unlink()
    assert "predictions.csv: holds 1 row (a) that .rows beside it lacks: masks are not" in measure().err
    shutil.rmtree(before / ".rows")
    ended = measure()
    assert ended.code == 2 and "holds 3 rows (a for one) that .rows beside it lacks: masks" in ended.err


def test_running_again_measures_only_what_changed(measure, draw, eyes, drawn, everything, tmp_path):
    measure()
    before = everything(tmp_path / "measured")
    assert "done already" in measure().out and everything(tmp_path / "measured") == before
    draw.put(drawn / "a.png", eyes[1]["c"])
    assert measure().code == 0
    changed = {name for name, kept in everything(tmp_path / "measured").items() if kept != before[name]}
    assert {"a_mask.png", "predictions.csv"} <= changed and "patient7/left_mask.png" not in changed


def test_a_mask_of_another_size_is_named_and_the_others_are_measured(measure, draw, drawn, tmp_path):
    draw.put(drawn / "a.png", draw.eye(3, 90, 90)[1])
    ended = measure()
    assert ended.code == 1 and "a.png: is 90 x 90, its photograph 110 x 100" in ended.err
    assert list(table(tmp_path / "measured").index) == ["patient7/left"]


def test_an_observers_masks_are_found_by_the_names_that_data_sets_give(command, draw, tmp_path):
    drive, chase = draw.drive(tmp_path / "DRIVE", labelled=True), draw.chase(tmp_path / "CHASE_DB1")
    test = drive / "test"
    stare = draw.stare(tmp_path / "STARE")
    rgb, mask, _ = draw.eye(3)
    draw.put(tmp_path / "imagesTr/x_0000.png", rgb)
    draw.put(tmp_path / "labelsTr/x.png", mask)
    cases = ((test / "images", test / "1st_manual", "01_manual1.gif"),
             (test / "images", test / "2nd_manual", "01_manual2.gif"), (chase, chase, "Image_01L_1stHO.png"),
             (stare / "stare-images", stare / "labels-ah", "im0001.ah.ppm.gz"),
             (stare / "stare-images", stare / "labels-vk", "im0001.vk.ppm.gz"),
             (tmp_path / "imagesTr", tmp_path / "labelsTr", "x.png"))
    for photographs, masks, name in cases:
        ended = command("eval", photographs, "--masks", masks, "--out", tmp_path / name)
        assert ended.code == 0, ended.err
        assert table(tmp_path / name)["mask"].iloc[0].endswith(name)


def test_masks_that_fit_nothing_are_a_sentence(refused, draw, eyes, tmp_path):
    draw.put(tmp_path / "others/x.png", eyes[1]["a"])
    assert "x.png" in refused("eval", eyes[0], "--masks", tmp_path / "others", "--out", tmp_path / "o")
    (tmp_path / "empty").mkdir()
    assert "no mask" in refused("eval", eyes[0], "--masks", tmp_path / "empty", "--out", tmp_path / "o")
    assert "not a folder" in refused("eval", eyes[0], "--masks", tmp_path / "gone", "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_masks_that_were_unpacked_into_a_folder_of_their_own_are_found_there(measure, drawn, tmp_path):
    drawn.rename(tmp_path / "masks")
    (tmp_path / "drawn/outer").mkdir(parents=True)
    (tmp_path / "masks").rename(tmp_path / "drawn/outer/masks")
    ended = measure()
    assert ended.code == 0 and f"taken from {tmp_path / 'drawn/outer/masks'}." in ended.err
    assert sorted(table(tmp_path / "measured").index) == ["a", "patient7/left"]
    assert "done already" in measure().out


def test_masks_behind_a_link_to_a_folder_are_found_as_photographs_are(measure, drawn, tmp_path):
    (drawn / "patient7").rename(tmp_path / "elsewhere")
    (drawn / "patient7").symlink_to(tmp_path / "elsewhere")
    (drawn / "back").symlink_to(drawn)
    ended = measure()
    assert ended.code == 0 and sorted(table(tmp_path / "measured").index) == ["a", "patient7/left"]
    assert "done already" in measure().out


def test_a_link_to_masks_that_are_there_anyway_does_not_rename_them(measure, drawn, tmp_path):
    """Where it came first in the alphabet, they bore its name alone, and their photographs had no mask."""
    (drawn / "newest").symlink_to("patient7")
    ended = measure()
    assert ended.code == 0 and "newest" not in ended.err
    assert sorted(table(tmp_path / "measured").index) == ["a", "patient7/left"]


def test_the_mask_of_one_patient_is_not_taken_for_anothers(refused, draw, tmp_path):
    """Without their folders both are called left."""
    rgb, mask, _ = draw.eye(1)
    draw.put(tmp_path / "eyes/patient8/left.png", rgb)
    draw.put(tmp_path / "drawn/patient7/left.png", mask)
    sentence = refused("eval", tmp_path / "eyes", "--masks", tmp_path / "drawn", "--out", tmp_path / "o")
    assert "no photograph has the name of this mask" in sentence


def test_masks_that_lie_among_the_photographs_are_not_photographs(command, draw, eyes, tmp_path):
    draw.put(eyes[0] / "masks/a.png", eyes[1]["a"])
    draw.put(eyes[0] / "masks/x.png", eyes[1]["a"])
    ended = command("eval", eyes[0], "--masks", eyes[0] / "masks", "--out", tmp_path / "o")
    assert ended.code == 0, ended.err
    assert list(table(tmp_path / "o").index) == ["a"]
    assert "2 photographs (" in ended.err and " for one) of 3 left out" in ended.err
    assert "1 mask (" in ended.err and "x.png) left out: no photograph here has such a name" in ended.err


def test_masks_whose_names_differ_in_case_or_unicode_form_are_found(command, draw, tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Gefäß") for form in ("NFC", "NFD"))
    masks = {}
    for k, name in enumerate(("OD", composed)):
        rgb, masks[name], _ = draw.eye(97 + k)
        draw.put(tmp_path / f"cased/{name}.png", rgb)
    draw.put(tmp_path / "drawn/od.PNG", masks["OD"])
    draw.put(tmp_path / f"drawn/{decomposed}.png", masks[composed])
    ended = command("eval", tmp_path / "cased", "--masks", tmp_path / "drawn", "--out", tmp_path / "o")
    assert ended.code == 0 and ended.err == "" and sorted(table(tmp_path / "o").index) == sorted(masks)


def test_a_mask_that_is_replaced_while_it_is_measured_is_measured_anew(
        measure, draw, eyes, drawn, tmp_path, monkeypatch):
    add = MeasuredResults.add

    def replaced(self, name, *given):
        if name == "a":
            draw.put(drawn / "a.png", eyes[1]["c"])
        return add(self, name, *given)

    with monkeypatch.context() as patch:
        patch.setattr(MeasuredResults, "add", replaced)
        measure()
    before = (tmp_path / "measured/a_mask.png").read_bytes()
    assert "Measured: 2 masks" in measure().out
    assert (tmp_path / "measured/a_mask.png").read_bytes() != before and "done already" in measure().out


def test_masks_of_two_folders_typed_alike_do_not_push_each_other_out(command, draw, eyes, tmp_path):
    for patient, name in (("ann", "a"), ("bo", "c")):
        draw.put(tmp_path / patient / f"photos/{name}.png", draw.eye(80)[0])
        draw.put(tmp_path / patient / f"masks/{name}.png", eyes[1]["a"])
        with contextlib.chdir(tmp_path / patient):
            ended = command("eval", "photos", "--masks", "masks", "--out", tmp_path / "o")
        assert ended.code == 0 and ended.err == ""
    assert list(table(tmp_path / "o").index) == ["a", "c"]


def test_files_that_are_gone_are_named_and_made_again(measure, tmp_path):
    measure()
    (tmp_path / "measured/a_overlay.png").unlink()
    ended = measure()
    assert ended.code == 0 and "1 file (a_overlay.png) gone or empty" in ended.err
    assert (tmp_path / "measured/a_overlay.png").exists() and "gone or" not in measure().err


# ---- nothing in silence ----------------------------------------------------------------------------------

@pytest.fixture
def doubtful(draw, tmp_path):
    """Two folders, of photographs and masks that data.py warns of: faint, mirrored twice, of two pages."""
    masks = {"good": lambda mask: mask, "paged": lambda mask: mask,
             "faint": lambda mask: (mask * np.where(np.arange(320) < 160, 85, 255)).astype(np.uint8),
             **dict.fromkeys(("other1", "other2"), lambda mask: np.ascontiguousarray(mask[:, ::-1]))}
    for k, (name, change) in enumerate(masks.items()):
        rgb, mask, _ = draw.eye(30 + k, 300, 320)
        more = {"save_all": True, "append_images": [Image.new("RGB", (40, 40))]} if name == "paged" else {}
        draw.put(tmp_path / f"eyes/{name}{'.tif' if more else '.png'}", rgb, **more)
        draw.put(tmp_path / f"drawn/{name}.{'jpg' if name == 'faint' else 'png'}", change(mask))
    return tmp_path / "eyes", tmp_path / "drawn"


def test_what_data_py_says_of_masks_is_said_of_those_that_are_measured(command, doubtful, tmp_path):
    """They were measured in silence: a third of the vessels, or those of another photograph."""
    photographs, masks = doubtful
    ended = command("eval", photographs, "--masks", masks, "--out", tmp_path / "o")
    assert ended.code == 0 and len(table(tmp_path / "o")) == 5
    assert sorted(ended.err.splitlines()) == sorted([
        f"{masks / 'faint.jpg'}: {FAINT}", f"{photographs / 'paged.tif'}: {SEVERAL_PAGES}",
        f"2 files, {masks / 'other1.png'} for one: each {OF_ANOTHER}. Look at its overlay"])


def test_a_mask_that_fits_only_when_it_is_turned_is_not_measured(command, draw, tmp_path):
    rgb, mask, _ = draw.eye(3, 300, 320)
    exif = Image.Exif()
    exif[0x0112] = 3
    for name, drawn in (("unturned", mask), ("right", mask[::-1, ::-1])):
        draw.put(tmp_path / f"eyes/{name}.jpg", rgb, quality=95, exif=exif)
        draw.put(tmp_path / f"drawn/{name}.png", np.ascontiguousarray(drawn))
    ended = command("eval", tmp_path / "eyes", "--masks", tmp_path / "drawn", "--out", tmp_path / "o")
    assert ended.code == 1 and list(table(tmp_path / "o").index) == ["right"]
    assert "unturned.png: fits its photograph only if it is turned as EXIF turns that one" in ended.err


def test_masks_without_a_photograph_and_second_masks_are_named(measure, draw, drawn, eyes, tmp_path):
    for name in ("x.png", "deep/y.png", "a.tif", "a_manual2.png", ".hidden.png", "__MACOSX/a.png"):
        draw.put(drawn / name, eyes[1]["a"])
    (drawn / "masks.zip").touch()
    for _ in range(2):  # also when there is nothing left to do
        ended = measure()
        assert ended.code == 0
        assert "2 masks (" in ended.err and "y.png for one) left out: no photograph here has" in ended.err
        assert "2 masks (" in ended.err and "a.tif for one) left out, beside another of the same" in ended.err
        assert "masks.zip) left out: in no format of pictures" in ended.err
        assert "1 photograph (" in ended.err and "c.png) of 3 left out" in ended.err
    assert "done already" in ended.out
    assert table(tmp_path / "measured").loc["a", "mask"] == (drawn / "a.png").as_posix()


@pytest.mark.parametrize("gone", ["mask", "photograph"])
def test_what_has_lost_its_mask_or_its_photograph_leaves_the_table(measure, eyes, drawn, tmp_path, gone):
    measure()
    ((drawn if gone == "mask" else eyes[0]) / "a.png").unlink()
    for word in ("Measured: 1 mask.", "done already"):
        ended = measure()
        assert ended.code == 0 and "a.png" in ended.err and word in ended.out
        assert list(table(tmp_path / "measured").index) == ["patient7/left"]


def test_no_mask_is_measured_for_two_photographs(command, draw, tmp_path):
    """Of a.jpg and a.png the page calls one a and the other a.png."""
    masks = {}
    for k, name in enumerate(("a.jpg", "a.png")):
        rgb, masks[name], _ = draw.eye(90 + k)
        draw.put(tmp_path / "two" / name, rgb)
    draw.put(tmp_path / "drawn/a.png", masks["a.jpg"])
    ended = command("eval", tmp_path / "two", "--masks", tmp_path / "drawn", "--out", tmp_path / "o")
    assert ended.code == 0 and "a.png) of 2 left out" in ended.err
    draw.put(tmp_path / "drawn/a.png.png", masks["a.png"])
    assert command("eval", tmp_path / "two", "--masks", tmp_path / "drawn", "--out", tmp_path / "o").code == 0
    found = table(tmp_path / "o")
    assert found.loc["a", "mask"].endswith("drawn/a.png") and found.loc["a", "file"].endswith("a.jpg")
    assert found.loc["a.png", "mask"].endswith("drawn/a.png.png")


@pytest.mark.parametrize("moved", [
    {"bo": "cy"}, {"ann": "cy", "bo": "an"}, {"ann": "x", "bo": "ann", "x": "bo"}])
def test_a_photograph_that_was_moved_since_it_was_predicted_keeps_its_mask(
        command, draw, tiny_model, tmp_path, moved):
    """Of two called left, which one it is was told by its folder alone: it got the other's mask."""
    for k, patient in enumerate(("ann", "bo")):
        draw.put(tmp_path / patient / "left.png", draw.eye(60 + k)[0])
    with contextlib.chdir(tmp_path):
        ended = command("eval", "ann", "bo", "--model", tiny_model, "--precision", "float32")
        assert ended.code == 0, ended.err
        for name in ("left", "left.png"):
            mask = cv2.imread(f"predictions/{name}_mask.png", cv2.IMREAD_UNCHANGED)
            draw.put(tmp_path / "predictions/corrected" / file_of(name), mask)
        for former, now in moved.items():
            os.rename(former, now)
        one, two = filter(os.path.isdir, ("an", "ann", "bo", "cy"))
        for number, given in enumerate(([one], [two], [one, two], [two, one])):
            ended = command("eval", *given, "--masks", "predictions/corrected", "--out", str(number))
            assert ended.code == 0, ended.err
            found = table(tmp_path / str(number))
            assert len(found) == len(given) and not found[["added_px", "erased_px"]].to_numpy().any(), found


def test_a_photograph_that_has_a_name_of_its_own_gets_the_mask_of_that_name(
        command, draw, tiny_model, tmp_path):
    """By its content it would be the one that was predicted, and get the mask of another of that name."""
    for k, name in enumerate("yz"):
        draw.put(tmp_path / f"masks/{name}.png", draw.eye(60 + k)[1])
    draw.put(tmp_path / "eyes/y.png", draw.eye(61)[0])
    with contextlib.chdir(tmp_path):
        assert command("eval", "eyes", "--model", tiny_model, "--precision", "float32").code == 0
        os.rename("eyes/y.png", "eyes/z.png")
        assert command("eval", "eyes", "--masks", "masks", "--out", "renamed").code == 0
        assert table(tmp_path / "renamed")["mask"].to_dict() == {"z": "masks/z.png"}
        shutil.copy("eyes/z.png", "eyes/y.png")
        for given in (["eyes"], ["eyes/z.png"]):
            assert command("eval", *given, "--masks", "masks", "--out", "copied").code == 0
            assert table(tmp_path / "copied")["mask"].to_dict() == {"y": "masks/y.png", "z": "masks/z.png"}


def test_before_without_predictions_is_refused_and_without_that_of_a_photograph_is_said(
        command, refused, measure, eyes, drawn, tiny_model, tmp_path):
    (tmp_path / "empty").mkdir()
    for nowhere in ("nowhere", "empty"):
        sentence = refused("eval", eyes[0], "--masks", drawn, "--out", tmp_path / "o",
                           "--before", tmp_path / nowhere)
        assert f"--before {tmp_path / nowhere}: holds no predictions" in sentence
    assert command("eval", eyes[0] / "a.png", "--model", tiny_model, "--precision", "float32",
                   "--out", tmp_path / "predictions").code == 0
    for _ in range(2):
        ended = measure()
        assert ended.code == 0 and "1 mask (" in ended.err and "left.png) not compared" in ended.err


def test_the_predictions_that_masks_are_compared_with_are_not_overwritten(
        measure, command, eyes, tiny_model, everything, tmp_path):
    """Each mask was compared with itself, and the predictions were gone."""
    out = tmp_path / "predictions"
    command("eval", eyes[0], "--model", tiny_model, "--precision", "float32", "--out", out)
    before = everything(out)
    ended = measure("--overwrite", out="predictions")
    assert ended.code == 2 and "predictions that the masks are compared with" in ended.err
    assert everything(out) == before


def test_measured_masks_are_no_predictions_to_compare_with(command, refused, measure, eyes, drawn, tmp_path):
    """They were compared with themselves, as if these had been predicted."""
    assert measure().code == 0
    sentence = refused("eval", eyes[0], "--masks", drawn, "--before", tmp_path / "measured",
                       "--out", tmp_path / "o")
    assert "measured: holds no predictions" in sentence


@pytest.mark.parametrize("flags", [
    ["--tta"], ["--threshold", "0.4"], ["--pen", "none"], ["--model", "weights/vessels.keras"],
    ["--precision", "float32"], ["--review", "3"]])
def test_flags_of_a_prediction_are_refused_beside_masks(measure, tmp_path, flags):
    """They were taken in silence, though masks that are there have no views, threshold or pen."""
    ended = measure(*flags)
    assert ended.code == 2 and f"leave out {flags[0]}" in ended.err and not (tmp_path / "measured").exists()


@pytest.mark.parametrize("flags, unused", [
    (["--before", "predictions"], "--before"), (["--ray", "local", "--show"], "--show"),
    (["--ray", "local", "--masks", "drawn"], "--masks"), (["--ray", "local", "--review", "3"], "--review")])
def test_flags_that_would_not_count_are_refused(command, eyes, tmp_path, flags, unused):
    ended = command("eval", eyes[0], *flags, "--out", tmp_path / "o")
    assert ended.code == 2 and f"leave out {unused}" in ended.err and not (tmp_path / "o").exists()


def test_a_masks_safe_name_belongs_to_one_photograph():
    names = ["a?b", "a*b", "a_b", "x/a?b", "x?/ab", "nul", "nul_", "dot.", "dot", "a ", "con.x", "Gefäß", "a"]
    files = [file_of(name) for name in names]
    assert len(set(files)) == len(names)
    assert [file_of(name) for name in ("a_b", "p7/left", "a.jpg")] == ["a_b.png", "p7/left.png", "a.jpg.png"]
    assert all(not set(file) & set('?*:<>"|') for file in files) and file_of("nul").startswith("nul_-")


def test_a_masks_name_is_one_that_no_browser_changes_as_it_downloads_it():
    names = ["a b  c", "100%41", " lead", "~t", ".x", "no\xa0break", "zero\u200bwidth", "\u202eleft",
             "b\udcff"]
    files = [file_of(name) for name in names]
    assert [file[:-len("-0123ab.png")] for file in files] == [
        "a b_c", "100_41", "_lead", "_t", "_x", "no_break", "zero_width", "_left", "b_"]
    assert len(set(files)) == len(names) and all(file.encode() for file in files)
    kept = ["a b", "Gefäß", "a~1", "im.2020.1", "網膜", "p7/x (2)"]
    assert [file_of(name) for name in kept] == [f"{name}.png" for name in kept]


@pytest.mark.parametrize("name, saved", [
    ("100%41", "100%41"), ("100%41", "100_41"), ("a?b%", "a_b%"), ("a?b%", "a_b_"), ("b\udcff", "b\udcff")])
def test_masks_that_earlier_versions_saved_or_browsers_renamed_are_found(name, saved):
    place, photograph = Path("drawn"), Path("eyes", f"{name}.jpg")
    mask = place / f"{saved}.png"
    assert assigned(place, [mask], {photograph: photograph.name}, {photograph: name}) == {photograph: mask}


def test_masks_of_names_that_no_system_takes_are_found_under_safe_ones(command, draw, tmp_path):
    names = ("a?b", "a*b") if os.name != "nt" else ("a;b", "a=b")
    masks = {}
    for k, name in enumerate(names):
        rgb, masks[name], _ = draw.eye(95 + k)
        draw.put(tmp_path / f"odd/{name}.png", rgb)
        draw.put(tmp_path / "drawn" / file_of(name), masks[name])
    ended = command("eval", tmp_path / "odd", "--masks", tmp_path / "drawn", "--out", tmp_path / "o")
    assert ended.code == 0 and ended.err == ""
    found = table(tmp_path / "o")
    assert {name: found.loc[name, "mask"] for name in names} == {
        name: (tmp_path / "drawn" / file_of(name)).as_posix() for name in names}
