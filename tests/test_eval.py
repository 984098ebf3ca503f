"""One or many photographs without masks: what is written, its names, what goes wrong, running again."""

import contextlib
import gzip
import io
import os
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import picture
from PIL import Image

import cluster
import predict
from photographs.fov import find_fov
from photographs.reading import read_photograph
from prediction.results import FolderResults
from running.files import read_json, write_json


@pytest.fixture(scope="module")
def evaluate(command, tiny_model):
    def calling(out, *words):
        return command("eval", "--out", out, "--model", tiny_model, "--precision", "float32", *words)

    return calling


@pytest.fixture
def photographs(draw, tmp_path):
    """A folder of three photographs."""
    for k in range(3):
        draw.put(tmp_path / "photographs" / f"p{k}.png", draw.eye(50 + k)[0])
    return tmp_path / "photographs"


def table_of(out):
    return pd.read_csv(out / "predictions.csv").set_index("name")


# ---- what is written -------------------------------------------------------------------------------------

def test_one_photograph_gets_its_pictures_and_its_row(evaluate, photographs, tmp_path, tiny_model):
    out = tmp_path / "out"
    ended = evaluate(out, photographs / "p0.png")
    assert ended.code == 0, ended.err
    assert {path.name for path in out.iterdir()} == {
        "p0_probability.png", "p0_mask.png", "p0_overlay.png", "predictions.csv", "review.html", "run.json",
        ".rows"}
    rgb = read_photograph(photographs / "p0.png")
    levels, mask, overlay = (picture(out / f"p0_{kind}.png") for kind in ("probability", "mask", "overlay"))
    assert levels.dtype == np.uint16 and mask.dtype == overlay.dtype == np.uint8
    assert levels.shape == mask.shape == rgb.shape[:2] and overlay.shape == rgb.shape
    fov, threshold = find_fov(rgb), read_json(tiny_model.with_suffix(".json"))["threshold"]
    assert not levels[~fov].any()
    assert np.array_equal(mask == 255, (levels >= threshold * 65535) & fov)
    assert set(np.unique(mask)) == {0, 255}
    changed = (overlay[..., ::-1] != rgb).any(axis=2)
    near = cv2.dilate(mask, np.ones((5, 5))) > 0
    assert changed.any() and not (changed & ~near).any(), "an outline, and nothing else"


def test_the_row_says_where_the_fov_is_and_how_much_vessel_is_in_it(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs / "p0.png")
    row = table_of(tmp_path / "out").loc["p0"]
    fov = find_fov(read_photograph(photographs / "p0.png"))
    mask = picture(tmp_path / "out/p0_mask.png") == 255
    assert (row["width"], row["height"]) == (110, 100)
    assert row["file"].endswith("p0.png") and row["status"] == "done"
    assert row["fov_share"] == pytest.approx(fov.mean(), abs=1e-4)
    assert row["vessel_density"] == pytest.approx(mask[fov].mean(), rel=1e-3)
    assert 0 <= row["certainty"] <= 1


def test_eight_views_write_the_uncertainty_too(evaluate, photographs, tmp_path):
    ended = evaluate(tmp_path / "out", photographs / "p0.png", "--tta")
    assert ended.code == 0 and "(8 views of a square" in ended.out
    spread = picture(tmp_path / "out/p0_uncertainty.png")
    assert spread.dtype == np.uint16 and spread.any()


def test_a_threshold_given_is_the_one_used(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs / "p0.png", "--threshold", 0.3)
    levels, mask = (picture(tmp_path / "out" / f"p0_{kind}.png") for kind in ("probability", "mask"))
    assert np.array_equal(mask == 255, levels >= 0.3 * 65535)


def test_the_row_says_the_pen(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "known", photographs / "p0.png")
    evaluate(tmp_path / "asked", photographs / "p0.png", "--pen", "0.05")
    pens = [table_of(tmp_path / out).loc["p0", "pen"] for out in ("known", "asked")]
    assert pens == ["tiny", "0.05%"]


def test_a_folder_gets_a_contact_sheet_and_a_last_line_that_says_where_it_is(evaluate, photographs, tmp_path):
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 0 and sorted(table_of(tmp_path / "out").index) == ["p0", "p1", "p2"]
    assert "3 photographs are done" in ended.out.strip().splitlines()[-1] and "contact_sheet.png" in ended.out
    assert picture(tmp_path / "out/contact_sheet.png").shape[1] > 3 * 320


def test_warnings_stand_in_the_table_and_on_stderr(evaluate, draw, tmp_path):
    draw.put(tmp_path / "dark.png", (draw.eye(5)[0] * 0.2).astype(np.uint8))
    ended = evaluate(tmp_path / "out", tmp_path / "dark.png")
    assert ended.code == 0 and "too dark" in ended.err
    assert "too dark" in table_of(tmp_path / "out").loc["dark", "warnings"]


def test_without_a_display_show_is_left_out_with_a_sentence(evaluate, photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib

    matplotlib.use("agg")
    ended = evaluate(tmp_path / "out", photographs / "p0.png", "--show")
    assert ended.code == 0 and "no display" in ended.err


def test_a_damaged_picture_is_named_and_the_others_are_shown(evaluate, photographs, tmp_path, monkeypatch):
    import matplotlib
    import matplotlib.pyplot as plt

    out, shown = tmp_path / "out", []
    evaluate(out, photographs)
    (out / "p1_overlay.png").write_bytes(bytes(1000))
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "a window's")
    monkeypatch.setattr(plt, "show", lambda: shown.extend(
        axis.images[0].get_array() for number in plt.get_fignums() for axis in plt.figure(number).axes
        if axis.images))
    ended = evaluate(out, photographs, "--show")
    plt.close("all")
    assert ended.code == 0 and len(ended.err.splitlines()) == 1 and "p1_overlay.png: is damaged" in ended.err
    assert len(shown) == 5
    assert np.array_equal(shown[0], picture(out / "p0_overlay.png")[..., ::-1])
    assert np.array_equal(shown[1], picture(out / "p0_probability.png"))


# ---- names -----------------------------------------------------------------------------------------------

def test_every_format_is_read_and_photographs_in_folders_below_keep_their_place(evaluate, draw, tmp_path):
    rgb = draw.eye(60)[0]
    for name in ("a.JPG", "patient/2020/OD.tif", "patient/OD.gif", "d.webp", "e.ppm", "f.bmp"):
        draw.put(tmp_path / "in" / name, rgb)
    (tmp_path / "in/notes.txt").write_text("not a photograph")
    (tmp_path / "in/.hidden.png").write_text("not a photograph")
    out = tmp_path / "out"
    assert evaluate(out, tmp_path / "in").code == 0
    assert sorted(table_of(out).index) == ["a", "d", "e", "f", "patient/2020/OD", "patient/OD"]
    assert (out / "patient/2020/OD_mask.png").exists() and (out / "patient/OD_overlay.png").exists()
    kept = (out / "patient/2020/OD_mask.png").stat().st_mtime_ns
    draw.put(tmp_path / "in/OD.png", rgb)
    assert evaluate(out, tmp_path / "in").code == 0
    assert (out / "patient/2020/OD_mask.png").stat().st_mtime_ns == kept and (out / "OD_mask.png").exists()


def test_two_photographs_of_one_name_are_both_kept(evaluate, draw, tmp_path):
    for k, name in enumerate(("one/a.jpg", "one/a.png", "two/a.png")):
        draw.put(tmp_path / name, draw.eye(70 + k)[0])
    assert evaluate(tmp_path / "out", tmp_path / "one", tmp_path / "two").code == 0
    table = table_of(tmp_path / "out")
    assert len(table) == 3 and len(list((tmp_path / "out").glob("*_mask.png"))) == 3
    for name, row in table.iterrows():
        seen = read_photograph(row["file"])
        probability = picture(tmp_path / "out" / f"{name}_probability.png")
        assert not probability[~find_fov(seen)].any()
    assert table["file"].nunique() == 3
    assert "done already" in evaluate(tmp_path / "out", tmp_path / "two").out


def test_a_photograph_named_twice_is_done_once(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs / "p0.png", photographs / "p0.png")
    assert list(table_of(tmp_path / "out").index) == ["p0"]


def test_names_with_spaces_quotes_newlines_and_unicode(evaluate, draw, tmp_path):
    names = ["with space.png", 'quo"te.png', "new\nline.png", "Gefäß 網膜.png", "comma, and = sign.png"]
    for k, name in enumerate(names):
        draw.put(tmp_path / "in" / name, draw.eye(80 + k)[0])
    assert evaluate(tmp_path / "out", tmp_path / "in").code == 0
    assert sorted(table_of(tmp_path / "out").index) == sorted(name[:-4] for name in names)


def test_a_folder_called_like_a_picture_is_a_folder(evaluate, draw, tmp_path):
    draw.put(tmp_path / "x.png" / "inside.png", draw.eye(90)[0])
    assert evaluate(tmp_path / "out", tmp_path / "x.png").code == 0
    assert list(table_of(tmp_path / "out").index) == ["inside"]


def test_a_packed_photograph_given_by_name_is_read(evaluate, draw, tmp_path):
    content = io.BytesIO()
    Image.fromarray(draw.eye(61)[0]).save(content, format="PPM")
    (tmp_path / "im0001.ppm.gz").write_bytes(gzip.compress(content.getvalue()))
    assert evaluate(tmp_path / "out", tmp_path / "im0001.ppm.gz").code == 0
    assert list(table_of(tmp_path / "out").index) == ["im0001.ppm"]


# ---- what is wrong ---------------------------------------------------------------------------------------

def test_one_bad_photograph_among_three_costs_only_itself(evaluate, photographs, tmp_path):
    whole = (photographs / "p1.png").read_bytes()
    (photographs / "p1.png").write_bytes(whole[:2000])
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 1 and "not done:" in ended.err and "p1.png: is damaged" in ended.err
    assert sorted(table_of(tmp_path / "out").index) == ["p0", "p2"]
    kept = (tmp_path / "out/p0_mask.png").stat().st_mtime_ns
    (photographs / "p1.png").write_bytes(whole)
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 0 and sorted(table_of(tmp_path / "out").index) == ["p0", "p1", "p2"]
    assert (tmp_path / "out/p0_mask.png").stat().st_mtime_ns == kept, "what is done is not done again"


@pytest.mark.parametrize("make, word", [
    (lambda path: None, "No such file"), (lambda path: path.mkdir(), "no photograph in this folder"),
    (lambda path: path.write_text("text"), "is damaged"), (lambda path: path.write_bytes(b""), "0 bytes"),
    (lambda path: Image.new("RGB", (100, 100)).save(path), "dark everywhere"),
    (lambda path: Image.new("RGB", (20, 20), "red").save(path), "20 x 20"),
])
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(refused, tiny_model, tmp_path, make, word):
    make(tmp_path / "x.png")
    how = ("--out", tmp_path / "out", "--model", tiny_model, "--precision", "float32")
    sentence = refused("eval", tmp_path / "x.png", *how)
    assert word in sentence and "x.png" in sentence


def test_if_all_of_many_fail_each_is_named(evaluate, photographs, tmp_path):
    for path in photographs.iterdir():
        path.write_text("text")
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 2 and "None of the 3" in ended.err
    assert all(f"p{k}.png: is damaged" in ended.err for k in range(3))


def test_a_pen_that_the_model_does_not_know_is_refused_at_once(refused, photographs, tiny_model, tmp_path):
    out = tmp_path / "out"
    sentence = refused("eval", photographs, "--out", out, "--model", tiny_model, "--pen", "STARE")
    assert "--pen STARE" in sentence and "tiny, default, none" in sentence and not out.exists()


def test_a_missing_model_and_one_that_is_none_are_named(refused, photographs, tmp_path):
    (tmp_path / "text.keras").write_text("text")
    for name, word in (("gone.keras", "no such model"), ("text.keras", "not a model of this project")):
        sentence = refused("eval", photographs, "--out", tmp_path / "out", "--model", tmp_path / name)
        assert word in sentence and name in sentence
    assert not (tmp_path / "out").exists()


# ---- running again ---------------------------------------------------------------------------------------

def test_done_again_nothing_changes_and_that_is_said(evaluate, photographs, tmp_path, everything):
    evaluate(tmp_path / "out", photographs)
    before = everything(tmp_path / "out")
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 0 and "done already" in ended.out
    assert everything(tmp_path / "out") == before


def test_a_killed_run_goes_on_where_it_was(evaluate, photographs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        add = FolderResults.add

        def interrupted(self, name, *given):
            if name == "p2":
                raise KeyboardInterrupt
            return add(self, name, *given)

        patch.setattr(FolderResults, "add", interrupted)
        assert evaluate(tmp_path / "out", photographs).code == 130
    assert not read_json(tmp_path / "out/run.json")["finished"]
    kept = (tmp_path / "out/p0_mask.png").stat().st_mtime_ns
    assert evaluate(tmp_path / "out", photographs).code == 0
    assert sorted(table_of(tmp_path / "out").index) == ["p0", "p1", "p2"]
    assert (tmp_path / "out/p0_mask.png").stat().st_mtime_ns == kept
    assert read_json(tmp_path / "out/run.json")["finished"]


def test_more_photographs_join_the_ones_that_are_there(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs / "p0.png")
    assert evaluate(tmp_path / "out", photographs / "p1.png").code == 0
    assert sorted(table_of(tmp_path / "out").index) == ["p0", "p1"]


def test_a_picture_that_was_removed_is_made_again(evaluate, photographs, tmp_path):
    out = tmp_path / "out"
    evaluate(out, photographs)
    kept = (out / "p0_overlay.png").stat().st_mtime_ns
    (out / "p1_mask.png").unlink()
    (out / "p2_overlay.png").unlink()
    ended = evaluate(out, photographs)
    assert ended.code == 0, ended.err
    assert len(list(out.glob("p?_*.png"))) == 9 and (out / "p0_overlay.png").stat().st_mtime_ns == kept


def test_files_that_are_gone_are_named_and_made_again(evaluate, photographs, tmp_path, everything):
    out = tmp_path / "out"
    evaluate(out, photographs)
    before = everything(out)
    for name in ("predictions.csv", "p1_mask.png"):
        (out / name).unlink()
    ended = evaluate(out, photographs)
    assert ended.code == 0 and "2 files (predictions.csv for one) gone or empty" in ended.err
    assert {name: kept[0] for name, kept in everything(out).items()} == {
        name: kept[0] for name, kept in before.items()} | {
        name: (out / name).read_bytes() for name in ("run.json", "review.html")}
    assert evaluate(out, photographs).err == ""
    (out / ".rows/p1.json").unlink()
    ended = evaluate(out, photographs)
    assert ended.code == 0 and "holds 1 row (p1) that .rows beside it lacks. These" in ended.err


def test_a_photograph_that_is_replaced_while_it_is_segmented_is_done_anew(
        evaluate, draw, photographs, tmp_path, monkeypatch):
    out, add = tmp_path / "out", FolderResults.add

    def replaced(self, name, path, *given):
        if name == "p1":
            draw.put(path, draw.eye(59)[0])
        return add(self, name, path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(FolderResults, "add", replaced)
        assert evaluate(out, photographs).code == 0
    before = {name: (out / f"{name}_overlay.png").read_bytes() for name in ("p0", "p1")}
    ended = evaluate(out, photographs)
    assert ended.code == 0 and "p1.png: is another photograph than it was; it is done anew" in ended.err
    same = [(out / f"{name}_overlay.png").read_bytes() == kept for name, kept in before.items()]
    assert same == [True, False]
    assert "done already" in evaluate(out, photographs).out


def test_a_path_typed_alike_in_another_folder_is_of_another_photograph(evaluate, draw, tmp_path, everything):
    out = tmp_path / "out"
    for k, patient in enumerate(("ann", "bo")):
        draw.put(tmp_path / patient / "photos/left.png", draw.eye(110 + k)[0])
    with contextlib.chdir(tmp_path / "ann"):
        assert evaluate(out, "photos").code == 0
    before = everything(out)
    with contextlib.chdir(tmp_path / "bo"):
        ended = evaluate(out, "photos")
        assert ended.code == 2 and "results of another photograph of this name" in ended.err
        assert everything(out) == before
        draw.put(tmp_path / "bo/photos/right.png", draw.eye(112)[0])
        for said in ("right: vessel density", "All else is done already"):
            ended = evaluate(out, "photos")
            assert ended.code == 1 and said in ended.out
            assert "not done: photos/left.png" in ended.err and len(ended.err.splitlines()) == 1
    assert everything(out)["left_mask.png"] == before["left_mask.png"]
    assert sorted(table_of(out).index) == ["left", "right"]
    with contextlib.chdir(tmp_path / "bo"):
        (tmp_path / "bo/photos/left.png").unlink()
        ended = evaluate(out, "photos")
    assert ended.code == 0 and ended.err == "", "what lies elsewhere is not missed here"


def test_results_that_were_moved_with_their_photographs_go_on(evaluate, draw, tmp_path):
    draw.put(tmp_path / "here/photos/left.png", draw.eye(110)[0])
    with contextlib.chdir(tmp_path / "here"):
        assert evaluate("out", "photos").code == 0
    (tmp_path / "here").rename(tmp_path / "there")
    with contextlib.chdir(tmp_path / "there"):
        ended = evaluate("out", "photos")
        assert ended.code == 0 and ended.err == "" and "done already" in ended.out
        draw.put(tmp_path / "there/photos/left.png", draw.eye(111)[0])
        ended = evaluate("out", "photos")
    assert ended.code == 0 and "another photograph than it was; it is done anew" in ended.err


def test_a_photograph_that_was_converted_takes_the_place_of_the_former(evaluate, draw, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs)
    draw.put(photographs / "p1.tif", read_photograph(photographs / "p1.png"))
    (photographs / "p1.png").unlink()
    draw.put(photographs / "p3.png", draw.eye(53)[0])
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 0 and "p1.tif: takes the place of " in ended.err
    assert "p1.png, which is gone; it is done anew" in ended.err
    table = table_of(tmp_path / "out")
    assert sorted(table.index) == ["p0", "p1", "p2", "p3"] and table.loc["p1", "file"].endswith("p1.tif")
    ended = evaluate(tmp_path / "out", photographs)
    assert "done already" in ended.out and ended.err == ""


def test_an_edited_card_is_another_model(command, photographs, own_model, tmp_path):
    card = read_json(tmp_path / "model.json")
    for threshold, code in ((0.4, 0), (0.4, 0), (0.3, 2)):
        write_json(tmp_path / "model.json", {**card, "threshold": threshold})
        ended = command("eval", "--out", tmp_path / "out", "--model", own_model, photographs / "p0.png")
        assert ended.code == code, ended.err
    assert "the card beside the model is another" in ended.err


def test_another_photograph_of_a_taken_name_and_other_flags_are_refused(
        evaluate, draw, photographs, tmp_path, everything):
    evaluate(tmp_path / "out", photographs / "p0.png")
    before = everything(tmp_path / "out")
    other = draw.put(tmp_path / "other" / "p0.png", draw.eye(99)[0])
    ended = evaluate(tmp_path / "out", other)
    assert ended.code == 2 and "another photograph of this name" in ended.err
    ended = evaluate(tmp_path / "out", photographs / "p0.png", "--threshold", 0.2)
    assert ended.code == 2 and "threshold: not given before, 0.2 now" in ended.err
    assert everything(tmp_path / "out") == before


def test_overwrite_does_all_again_and_leaves_the_photographs_alone(
        evaluate, draw, photographs, tmp_path, everything):
    evaluate(tmp_path / "out", photographs)
    assert evaluate(tmp_path / "out", photographs / "p0.png", "--threshold", 0.2, "--overwrite").code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*_mask.png")) == ["p0_mask.png"]
    draw.put(photographs / "p0_mask.png", draw.eye(1)[1])
    before = everything(photographs)
    ended = evaluate(photographs, photographs / "p0.png", "--overwrite")
    assert ended.code == 2 and "would be lost" in ended.err and everything(photographs) == before
    assert evaluate(photographs, photographs / "p1.png", "--overwrite").code == 0
    assert before.items() <= everything(photographs).items(), "results lie among them"


def test_masks_that_were_corrected_among_the_results_are_not_overwritten(
        evaluate, command, photographs, tmp_path, everything):
    """All of them were removed, and then could not be read."""
    evaluate(tmp_path / "out", photographs)
    words = ("eval", photographs, "--masks", tmp_path / "out", "--out")
    assert command(*words, tmp_path / "measured").code == 0
    for place, masks in (("out", "out"), ("measured", "measured"), ("measured", "linked")):
        if masks == "linked":
            (tmp_path / masks).symlink_to("measured")
        before = everything(tmp_path / place)
        ended = command("eval", photographs, "--masks", tmp_path / masks, "--out", tmp_path / place,
                        "--overwrite")
        assert ended.code == 2 and "_mask.png: is a file of the data and would be lost" in ended.err
        assert everything(tmp_path / place) == before


def all_but(before, names):
    return {name: kept for name, kept in before.items() if name not in names}


def test_what_shows_the_results_is_written_again_without_predicting(
        evaluate, photographs, tmp_path, everything, monkeypatch):
    out, shows = tmp_path / "out", ("review.html", "contact_sheet.png", "run.json")
    evaluate(out, photographs, "--review", 0)
    before = everything(out)
    monkeypatch.setattr(predict.Predictor, "segment", None)  # it would fail
    assert not (out / "review.html").exists()
    for words, on_page in (((), 3), (("--review", 1), 1), (("--review", 2), 2)):
        ended = evaluate(out, photographs, *words)
        assert ended.code == 0 and "only what shows it" in ended.out
        assert (out / "review.html").read_text(encoding="utf-8").count('class="photograph"') == on_page
    for gone in ("review.html", "contact_sheet.png", "predictions.csv"):
        (out / gone).unlink()
        assert evaluate(out, photographs, "--review", 2).code == 0 and (out / gone).exists()
    shows = {*shows, "predictions.csv"}
    assert all_but(everything(out), shows) == all_but(before, shows)
    assert (out / "predictions.csv").read_bytes() == before["predictions.csv"][0]


def test_a_photograph_that_is_gone_leaves_sheet_and_page_and_its_row_is_named(
        evaluate, photographs, tmp_path, everything):
    out = tmp_path / "out"
    evaluate(out, photographs)
    sheet = (out / "contact_sheet.png").read_bytes()
    (photographs / "p1.png").unlink()
    for _ in range(2):
        ended = evaluate(out, photographs)
        assert ended.code == 0 and "keeps 1 photograph" in ended.err and "p1.png" in ended.err
    assert "p1.png" not in (out / "review.html").read_text(encoding="utf-8")
    assert (out / "contact_sheet.png").read_bytes() != sheet
    assert sorted(table_of(out).index) == ["p0", "p1", "p2"]
    ended = evaluate(out, photographs / "p0.png")
    assert ended.err == "" and sorted(table_of(out).index) == ["p0", "p1", "p2"], "as of any other command"


def test_a_photograph_that_is_replaced_by_a_damaged_one_leaves_the_table(evaluate, photographs, tmp_path):
    evaluate(tmp_path / "out", photographs)
    (photographs / "p1.png").write_text("damaged")
    ended = evaluate(tmp_path / "out", photographs)
    assert ended.code == 1 and "another photograph than it was" in ended.err
    assert sorted(table_of(tmp_path / "out").index) == ["p0", "p2"]
    assert not list((tmp_path / "out").glob("p1_*"))
    (photographs / "p0.png").write_text("damaged")
    assert evaluate(tmp_path / "out", photographs / "p0.png").code == 2
    assert list(table_of(tmp_path / "out").index) == ["p2"]
    (photographs / "p2.png").write_text("damaged")
    assert evaluate(tmp_path / "out", photographs / "p2.png").code == 2
    assert not (tmp_path / "out/predictions.csv").exists()


def test_photographs_that_were_moved_are_known_at_their_new_place(
        evaluate, photographs, tmp_path, everything):
    out = tmp_path / "out"
    evaluate(out, photographs)
    photographs.rename(tmp_path / "moved")
    assert evaluate(out, tmp_path / "moved").code == 0
    assert table_of(out)["file"].str.contains("moved").all()
    before = everything(out)
    assert "done already; the results" in evaluate(out, tmp_path / "moved").out and everything(out) == before


def test_one_photograph_does_not_stand_in_the_table_twice_though_its_path_is_typed_otherwise(
        evaluate, draw, photographs, tmp_path):
    out, deep = tmp_path / "out", photographs / "deep"
    for k, name in enumerate(("left.png", "right.png")):
        draw.put(deep / name, draw.eye(120 + k)[0])
    with contextlib.chdir(tmp_path):
        assert evaluate(out, "photographs").code == 0
    ended = evaluate(out, deep)
    assert ended.code == 0 and ended.err == "" and "done already" in ended.out
    assert sorted(table_of(out).index) == ["deep/left", "deep/right", "p0", "p1", "p2"]
    (deep / "left.png").unlink()
    ended = evaluate(out, deep)
    assert ended.code == 0 and "keeps 1 photograph" in ended.err and "left.png) not found" in ended.err


# ---- the command line ------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [
    (), ("x.png", "--threshold", "2"), ("x.png", "--threshold", "half"), ("x.png", "--review", "-1"),
    ("x.png", "--ray", "local", "--show")])
def test_a_flag_that_cannot_be_used_is_a_usage_error(command, words):
    ended = command("eval", *words)
    assert ended.code == 2 and ended.err.startswith("usage:")


def test_without_ray_a_sentence_says_what_to_install(refused, monkeypatch, tmp_path):
    monkeypatch.delattr(cluster, "driver", raising=False)
    monkeypatch.delitem(sys.modules, "cluster.driver", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    sentence = refused("eval", tmp_path, "--ray", "local", "--out", tmp_path / "o")
    assert "pip install -r requirements.txt -r requirements-ray.txt" in sentence
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("damage", ["probability", "photograph"])
def test_an_earlier_photograph_that_cannot_be_read_is_left_out_of_the_review_and_named(
        evaluate, photographs, draw, tmp_path, damage):
    """Each later command ended there, whatever was added."""
    out = tmp_path / "out"
    assert evaluate(out, photographs).code == 0
    draw.put(photographs / "p3.png", draw.eye(60)[0])
    damaged = {"probability": out / "p0_probability.png", "photograph": photographs / "p0.png"}[damage]
    kept = damaged.stat()
    damaged.write_bytes(bytes(kept.st_size))
    os.utime(damaged, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    ended = evaluate(out, photographs)
    assert ended.code == 1 and f"{damaged}" in ended.err and "Traceback" not in ended.err
    assert sorted(table_of(out).index) == ["p0", "p1", "p2", "p3"]
    page = (out / "review.html").read_text()
    assert '"p3"' in page and '"p1"' in page and '"p0"' not in page
