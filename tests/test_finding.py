"""Which files in the folders that a user gives are photographs, and where each lies below its folder."""

import time
from pathlib import Path

import pytest

from photographs.finding import find_photographs, photographs_among
from running.command import Problem


def found(*places, out="out"):
    return {path.as_posix(): below for path, below in find_photographs(places, out).items()}


def test_pictures_in_a_folder_and_below_are_found_in_order_and_others_left_out(touch):
    touch("a/b/c.JPG", "a/b/a.png", "a/z.tif", "a/notes.txt", "a/.hidden.png", "a/folder.png/inside.gif")
    assert list(found("a").items()) == [
        ("a/z.tif", "z.tif"), ("a/b/a.png", "b/a.png"), ("a/b/c.JPG", "b/c.JPG"),
        ("a/folder.png/inside.gif", "folder.png/inside.gif")]


def test_a_file_lies_below_nothing_whatever_its_extension(touch):
    touch("a/b/x.png", "a/im0001.ppm.gz")
    assert found("a/b/x.png", "a/im0001.ppm.gz") == {"a/b/x.png": "x.png", "a/im0001.ppm.gz": "im0001.ppm.gz"}


def test_the_folder_that_one_is_in_can_be_given(touch):
    touch("a/x.png", "y.png")
    assert found(".") == {"y.png": "y.png", "a/x.png": "a/x.png"}


def test_what_is_given_twice_is_found_once_as_it_was_given_first(touch):
    touch("a/b/x.png", "a/y.png")
    assert found("a/b", "a", "a/y.png") == {"a/b/x.png": "x.png", "a/y.png": "y.png"}
    assert found("a/y.png", Path("a").absolute() / "y.png", "a/b/../y.png") == {"a/y.png": "y.png"}


def test_results_are_not_photographs(touch):
    touch("a/x.png", "a/predictions/x_mask.png", "a/predictions/deep/y_mask.png")
    assert found("a", out="a/predictions") == {"a/x.png": "x.png"}
    assert found("a", out=Path("a/predictions").resolve()) == {"a/x.png": "x.png"}
    assert found("a/predictions/deep", out=".") == {"a/predictions/deep/y_mask.png": "y_mask.png"}


def test_a_photograph_to_which_a_link_leads_again_is_found_once(touch):
    """It stood twice in the table, and when it was replaced only one of its rows followed."""
    touch("a/x.png")
    Path("b").symlink_to("a")
    assert found("a", "b") == {"a/x.png": "x.png"} and found("b", "a/x.png") == {"b/x.png": "x.png"}


def test_what_is_gone_comes_last_or_is_told_if_it_is_all(touch):
    touch("a/x.png")
    assert list(found("gone.png", "a")) == ["a/x.png", "gone.png"]
    with pytest.raises(Problem, match="gone.png: cannot be read .No such file"):
        found("gone.png", "gone too.png")


def test_a_folder_without_photographs_is_named(touch):
    touch("empty/notes.txt", "a/x.png")
    with pytest.raises(Problem, match="empty: there is no photograph in this folder"):
        found("a", "empty")


# ---- what is left out, and said ----------------------------------------------------------------------------

@pytest.mark.parametrize("hidden", [
    ".ipynb_checkpoints/a-checkpoint.png", ".thumbnails/a.png", "@eaDir/a.png", "__MACOSX/._a.jpg",
    "Thumbnails/a.png", "deep/.cache/a.png"])
def test_hidden_folders_and_thumbnails_are_passed_over(touch, hidden, capsys):
    touch("a/x.png", f"a/{hidden}")
    assert found("a") == {"a/x.png": "x.png"} and capsys.readouterr().err == ""


def test_earlier_results_in_whatever_folder_are_not_photographs(touch):
    touch("a/x.png", "a/old/x_mask.png", "a/old/deep/y_mask.png", "a/model/curves.png", "a/model/model.keras",
          "a/other/run.json", "a/other/z.png")
    Path("a/old/run.json").write_text('{"settings": {"tta": false}, "finished": true}')
    Path("a/other/run.json").write_text('{"a program of their own": 1}')
    assert found("a") == {"a/x.png": "x.png", "a/other/z.png": "other/z.png"}


def run_of(folder, settings='{"tta": false}'):
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "run.json").write_text(f'{{"settings": {settings}, "finished": true}}')


def test_photographs_beside_which_results_were_written_are_counted_and_named(touch, capsys):
    """A whole year was left out in silence, since its results had once been written beside it."""
    touch("a/y1/x.png", "a/y2/x.png", "a/y2/deep/IM.dcm", "a/y2/x_mask.png", "a/y2/contact_sheet.png",
          "a/y3/model.keras", "a/y3/z.jpg", "a/y3/curves.png", "a/y3/notes.txt", "a/y3/.hidden.png")
    run_of("a/y2")
    assert found("a") == {"a/y1/x.png": "y1/x.png"}
    said, = capsys.readouterr().err.splitlines()
    assert "a: left out 3 pictures beside results of this project, in a/y2 for one. Give the folder" in said
    with pytest.raises(Problem, match="no photograph in this folder, but for 3 pictures .* in a/y2 for one"):
        Path("a/y1/x.png").unlink()
        found("a")
    assert found("a/y2") == {"a/y2/x.png": "x.png", "a/y2/deep/IM.dcm": "deep/IM.dcm"}


def test_masks_that_were_saved_beside_the_photographs_are_not_photographs(touch, capsys):
    """The page saves them into `corrected` in the folder of the results, which may be the photographs'."""
    touch("a/x.png", "a/p7/y.png", "a/p7/corrected/z.png", "a/x_mask.png", "a/p7/y_mask.png",
          "a/corrected/x.png", "a/corrected/p7/y.png")
    run_of("a")
    assert found("a", out="a") == {"a/x.png": "x.png", "a/p7/y.png": "p7/y.png",
                                   "a/p7/corrected/z.png": "p7/corrected/z.png"}
    assert capsys.readouterr().err == ""


def test_photographs_in_the_folder_of_this_commands_results_are_counted_too(touch, capsys):
    touch("a/x.png", "a/y2/y.png", "a/y2/y_mask.png")
    for known in (False, True):
        if known:
            run_of("a/y2")
        assert found("a", out="a/y2") == {"a/x.png": "x.png"}
        assert "left out 1 picture beside results of this project, in a/y2 for one" in capsys.readouterr().err


@pytest.mark.parametrize("settings, of_the_run, not_of_it", [
    ('{"copies": 2}', ("train/images/e_0001.png", "validation/masks/e_0000.png", "preview.png"),
     ("train/images/e.jpg", "test/images/f_0001.png")),
    ('{"split": "test"}', ("masks/e.png", "comparisons/e.png", "probabilities/e.png", "roc.png"),
     ("images/e.png", "masks/deep/e.png"))])
def test_photographs_below_pairs_or_a_test_are_counted(touch, capsys, settings, of_the_run, not_of_it):
    touch("a/x.png", *(f"a/run/{name}" for name in of_the_run))
    run_of("a/run", settings)
    assert found("a") == {"a/x.png": "x.png"} and capsys.readouterr().err == ""
    touch(*(f"a/run/{name}" for name in not_of_it), "a/run/own.png")
    assert found("a") == {"a/x.png": "x.png"} and "left out 3 pictures beside" in capsys.readouterr().err
    assert found("a/run").keys() >= {"a/run/own.png"}
    assert "a/run: left out 2 pictures beside results" in capsys.readouterr().err


def test_results_in_the_photographs_folder_are_passed_over_quietly(touch, capsys):
    touch("a/x.png", "a/predictions/x_mask.png", "a/predictions/deep/y_overlay.png",
          "a/predictions/review.html", "a/predictions/corrected/x.png", "a/predictions/test/masks/x.png",
          "a/measured/x_mask.png", "a/results/masks/x.png", "a/checkpoints/model.keras",
          "a/checkpoints/curves.png")
    for folder, settings in (("predictions", '{"tta": false}'), ("measured", '{"masks": "m"}'),
                             ("results", '{"split": "test"}'), ("predictions/test", '{"split": "test"}')):
        run_of(f"a/{folder}", settings)
    for out in ("out", "a/predictions"):
        assert found("a", out=out) == {"a/x.png": "x.png"} and capsys.readouterr().err == ""


def test_a_link_that_leads_back_to_results_counts_nothing(touch, capsys):
    touch("a/x.png", "a/b/y.png")
    run_of("a")
    Path("a/b/back").symlink_to(Path("a").resolve())
    assert set(found("a")) == {"a/x.png", "a/b/y.png"} and capsys.readouterr().err == ""


@pytest.mark.parametrize("settings", ['{"tta": false}', None])
def test_a_picture_beside_results_counts_once_whatever_links_lead_to_it(touch, capsys, settings):
    touch("a/x.png", "a/out/own.png", "a/out/x_mask.png")
    Path("a/newest").symlink_to("out")
    if settings:
        run_of("a/out", settings)
    assert found("a", out="a/out") == {"a/x.png": "x.png"}
    assert "left out 1 picture beside results" in capsys.readouterr().err


def test_results_that_were_copied_without_their_run_are_known(touch):
    touch("a/x.png", *(f"a/old/{name}.png" for name in (
        "x_mask", "x_overlay", "x_probability", "contact_sheet", "y_overlay")))
    assert list(found("a")) == ["a/x.png", "a/old/y_overlay.png"]


def test_the_folder_of_the_photographs_may_be_that_of_the_results(touch):
    """It was called empty, where the commands have a sentence on --overwrite."""
    touch("a/x.png")
    assert found("a", out="a") == {"a/x.png": "x.png"}


def test_results_among_the_photographs_are_known_by_their_names(touch):
    touch("a/x.png", "a/x_mask.png", "a/x_overlay.png", "a/contact_sheet.png")
    Path("a/run.json").write_text('{"settings": {"tta": false}, "finished": true}')
    assert found("a") == {"a/x.png": "x.png"}


@pytest.mark.parametrize("settings", ["copies", "split"])
def test_pairs_and_results_of_a_test_are_not_photographs_even_if_they_are_given(touch, settings):
    touch("a/train/images/x_0001.png", "a/masks/x.png")
    Path("a/run.json").write_text(f'{{"settings": {{"{settings}": 1}}}}')
    with pytest.raises(Problem, match="no photograph in this folder"):
        found("a")


def test_the_masks_of_known_sets_beside_their_photographs_are_not_photographs(draw, tmp_path, capsys):
    for make, expected in (("chase", 8), ("drive", 5), ("stare", 3), ("hrf", 5), ("fives", 5)):
        getattr(draw, make)(tmp_path / make)
        below = find_photographs([tmp_path / make], "out").values()
        assert len(below) == expected and not any("HO" in name or "man" in name for name in below)
        assert "masks or FOVs of photographs beside them" in capsys.readouterr().err
    assert len(find_photographs([tmp_path], "out")) == 26
    assert len(find_photographs([tmp_path / "drive/test"], "out")) == 2
    assert len(find_photographs([tmp_path / "chase/Image_01L_1stHO.png"], "out")) == 1, "given by name"


def test_a_mask_beside_its_photograph_in_one_folder_is_none(touch):
    touch("a/x.png", "a/x_mask.png", "a/y.jpg", "a/y_manual1.gif", "a/z_mask.png", "a/b/x_mask.png")
    assert list(found("a")) == ["a/x.png", "a/y.jpg", "a/z_mask.png", "a/b/x_mask.png"]


def test_a_mask_without_its_photograph_is_taken_for_one(touch):
    touch("masks/a.png", "images/b.png")
    assert found(".") == {"images/b.png": "images/b.png", "masks/a.png": "masks/a.png"}


def test_files_of_other_formats_are_counted_and_one_is_named(touch, capsys):
    touch("a/x.png", "a/b.raw", "a/deep/c.psd", "a/Thumbs.db")
    assert found("a") == {"a/x.png": "x.png"}
    said = capsys.readouterr().err
    assert "a: left out 2 files of other formats, a/b.raw for one." in said and "Thumbs" not in said


def test_all_formats_that_are_read_are_found_even_dicom_without_extension(touch):
    touch("a/x.jfif", "a/y.jp2", "a/z.PPM.GZ", "a/v.dcm", "a/IM0001", "a/README")
    Path("a/IM0001").write_bytes(bytes(128) + b"DICM" + bytes(9))
    assert set(found("a").values()) == {"x.jfif", "y.jp2", "z.PPM.GZ", "v.dcm", "IM0001"}


def test_the_mask_of_a_dicom_file_without_extension_is_not_a_photograph(touch):
    touch("a/masks/IM0001.png", "a/images/IM0001", "a/images/1.2.840.7")
    for path in Path("a/images").iterdir():
        path.write_bytes(bytes(128) + b"DICM" + bytes(9))
    assert set(found("a").values()) == {"images/IM0001", "images/1.2.840.7"}


def test_folders_that_are_links_are_gone_into_but_never_in_circles(touch):
    touch("real/x.png", "a/y.png")
    Path("a/link").symlink_to(Path("real").resolve())
    Path("real/back").symlink_to(Path("a").resolve())
    assert found("a") == {"a/y.png": "y.png", "a/link/x.png": "link/x.png"}


def test_a_hundred_thousand_files_are_looked_through_in_seconds():
    files = {k: f"/data/eyes/{k % 1000}/images/left_{k}.jpg" for k in range(100_000)}
    began = time.process_time()
    assert len(photographs_among(files, "eyes")) == len(files)
    assert time.process_time() - began < 10
