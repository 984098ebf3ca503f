"""Scores and pictures of a split: right to the last digit, whole after a kill, honest about what has none."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import picture
from PIL import Image
from sklearn import metrics as judge

import data
import metrics
import testing
from photographs import reading
from photographs.fov import fov_of
from photographs.labelled import ELSEWHERE
from predict import Predictor
from report.scores_table import SCORES
from running.files import read_json, sha256, write_json


@pytest.fixture(scope="module")
def test(command, tiny_model):
    def calling(folder, out, *words):
        return command("testing", "--data", folder, "--out", out, "--model", tiny_model,
                       "--precision", "float32", *words)

    return calling


@pytest.fixture(scope="module")
def tested(test, tiny_set, tmp_path_factory):
    """The results of the tiny set's test split, three photographs. Read only."""
    out = tmp_path_factory.mktemp("tested") / "results"
    ended = test(tiny_set, out)
    assert ended.code == 0, ended.err
    return out


@pytest.fixture
def results(tested, tmp_path):
    """A copy of these results that a test may change."""
    return shutil.copytree(tested, tmp_path / "results")


def table_of(out):
    return pd.read_csv(out / "metrics.csv").set_index("photograph")


def perfect(monkeypatch, folder):
    """Makes every reference in `folder` its own prediction."""
    references = {reading.read_photograph(photograph.path).tobytes(): reading.read_mask(photograph.mask)
                  for photograph in data.photographs_of([folder], "all")}

    def segment(self, rgb, fov):
        return self.cut(rgb, fov, (references[rgb.tobytes()] & fov).astype(np.uint16) * np.uint16(65535))

    monkeypatch.setattr(Predictor, "segment", segment)


# ---- what is written ---------------------------------------------------------------------------------------

def test_pictures_table_summary_curves_and_report_are_there(tested):
    names = {"eye4.png", "eye5.png", "eye6.png"}
    for kind in ("probabilities", "masks", "comparisons"):
        assert {path.name for path in (tested / kind).iterdir()} == names
    for name in ("metrics.csv", "summary.json", "roc.png", "pr.png", "report.html"):
        assert (tested / name).stat().st_size > 500 or name == "metrics.csv"
    assert not list(tested.rglob(".unfinished*"))


def test_a_split_of_many_photographs_is_scored_in_bounded_memory(test, draw, tmp_path, monkeypatch):
    """A histogram of 16 bits is a megabyte, and each photograph has two or three."""
    for k in range(40):
        photograph, mask, _ = draw.eye(k, 100, 110)
        draw.put(tmp_path / "set/images" / f"{k}.png", photograph)
        draw.put(tmp_path / "set/masks" / f"{k}.png", mask)
    perfect(monkeypatch, tmp_path / "set")
    tracemalloc.start()
    ended = test(tmp_path / "set", tmp_path / "results", "--split", "all")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ended.code == 0 and table_of(tmp_path / "results").loc["pooled", "dice"] == 1
    assert peak < 40 * 2**20


def test_probabilities_are_16_bit_and_masks_are_cut_from_them_within_the_fov(tested, tiny_set, tiny_model):
    threshold = read_json(tiny_model.with_suffix(".json"))["threshold"]
    for path in (tested / "probabilities").iterdir():
        levels, mask = picture(path), picture(tested / "masks" / path.name)
        fov = reading.read_mask(tiny_set / "test/fovs" / path.name)
        assert levels.dtype == np.uint16 and mask.dtype == np.uint8
        assert levels.shape == mask.shape == fov.shape == (100, 110)
        assert not levels[~fov].any()
        assert np.array_equal(mask == 255, (levels >= threshold * 65535) & fov)
        assert mask.any() and set(np.unique(mask)) <= {0, 255}


def judged(levels, reference, fov, threshold):
    """scikit-learn's scores of what was written, in the FOV."""
    probability, truth = levels[fov] / 65535, reference[fov]
    cut = levels[fov] >= threshold * 65535
    return {
        "dice": judge.f1_score(truth, cut),
        "iou": judge.jaccard_score(truth, cut),
        "precision": judge.precision_score(truth, cut),
        "recall": judge.recall_score(truth, cut),
        "specificity": judge.recall_score(~truth, ~cut),
        "accuracy": judge.accuracy_score(truth, cut),
        "mcc": judge.matthews_corrcoef(truth, cut),
        "roc_auc": judge.roc_auc_score(truth, probability),
        "average_precision": judge.average_precision_score(truth, probability),
    }


def test_the_table_is_what_scikit_learn_says_of_the_written_pictures(tested, tiny_set):
    threshold = read_json(tested / "summary.json")["threshold"]
    table, everything = table_of(tested), []
    for name in ("eye4", "eye5", "eye6"):
        seen = (picture(tested / "probabilities" / f"{name}.png"),
                *(reading.read_mask(tiny_set / "test" / kind / f"{name}.png") for kind in ("masks", "fovs")))
        everything.append(seen)
        for key, value in judged(*seen, threshold).items():
            assert table.loc[name, key] == pytest.approx(value, abs=1e-6), (name, key)
    together = [np.concatenate(parts) for parts in zip(*everything, strict=True)]
    for key, value in judged(*together, threshold).items():
        assert table.loc["pooled", key] == pytest.approx(value, abs=1e-6), key
    rows = table.loc[["eye4", "eye5", "eye6"], SCORES]
    assert np.allclose(table.loc["mean", SCORES].astype(float), rows.mean())
    assert np.allclose(table.loc["standard deviation", SCORES].astype(float), rows.std())
    assert list(table.index) == ["eye4", "eye5", "eye6", "mean", "standard deviation", "pooled"]


def test_the_summary_names_the_protocol_and_repeats_the_scores_for_other_papers(tested, tiny_set, tiny_model):
    summary, table = read_json(tested / "summary.json"), table_of(tested)
    for word in ("native size", "inside the FOV", "first observer", "threshold"):
        assert word in summary["protocol"]
    assert summary["model"] == str(tiny_model) and summary["model sha256"] == sha256(tiny_model)
    assert summary["scored"] == summary["photographs"] == 3 and not summary["failed"]
    assert summary["pooled"]["dice"] == pytest.approx(table.loc["pooled", "dice"], abs=1e-5)
    whole, levels, reference = summary["pooled over the whole image"], [], []
    for name in ("eye4", "eye5", "eye6"):
        levels.append(picture(tested / "probabilities" / f"{name}.png"))
        reference.append(reading.read_mask(tiny_set / "test/masks" / f"{name}.png"))
    everywhere = np.ones(np.shape(reference), bool)
    expected = judged(np.array(levels), np.array(reference), everywhere, summary["threshold"])
    assert {key: whole[key] for key in expected} == pytest.approx(expected, abs=2e-5)
    assert whole["accuracy"] > summary["pooled"]["accuracy"], "the black surround is easy"
    assert "pooled at 0.5" in summary and "pooled over the whole image at 0.5" in summary


def test_a_network_that_finds_nothing_leaves_a_summary_that_every_reader_of_json_reads(
    test, draw, tmp_path, monkeypatch
):
    monkeypatch.setattr(Predictor, "segment",
                        lambda self, rgb, fov: self.cut(rgb, fov, np.zeros(fov.shape, np.uint16)))
    assert test(draw.plain(tmp_path / "s", train=0, test=1), tmp_path / "r").code == 0
    assert "NaN" not in (tmp_path / "r/summary.json").read_text(encoding="utf-8")
    summary = read_json(tmp_path / "r/summary.json")
    assert summary["pooled at 0.5"]["precision"] is None and summary["pooled"]["precision"] is None
    assert summary["pooled"]["dice"] == 0


def test_a_comparison_shows_photograph_reference_probability_prediction_and_where_they_differ(tested):
    shown = picture(tested / "comparisons/eye4.png")
    assert shown.shape[1] > 5 * 110 and shown.shape[0] > 100


def test_the_last_line_says_what_came_out_and_what_to_do_next(test, tiny_set, tmp_path):
    shutil.copytree(tiny_set / "train", tmp_path / "flat")  # the same files without a split
    ended = test(tmp_path / "flat", tmp_path / "r")
    last = ended.out.strip().splitlines()[-1]
    assert last.startswith("Pooled Dice 0.") and "report.html" in last and "python eval.py" in last
    assert "3 of them trained on" in last
    notes = table_of(tmp_path / "r")["note"]
    assert (notes == "trained on").sum() == 3 and notes["eye3"] == "validation: threshold chosen on it"


def test_every_reference_against_itself_scores_one(test, draw, tmp_path, monkeypatch):
    folder = draw.hrf(tmp_path / "HRF")
    perfect(monkeypatch, folder)
    assert test(folder, tmp_path / "r", "--split", "all").code == 0
    table = table_of(tmp_path / "r").drop("standard deviation")
    for key in SCORES:
        assert (table[key] == (0 if key == "ece" else 1)).all(), key


def test_a_threshold_given_is_the_one_used(test, tiny_set, tmp_path):
    assert test(tiny_set, tmp_path / "r", "--threshold", 0.35).code == 0
    levels, mask = picture(tmp_path / "r/probabilities/eye4.png"), picture(tmp_path / "r/masks/eye4.png")
    assert np.array_equal(mask == 255, levels >= 0.35 * 65535)
    assert read_json(tmp_path / "r/summary.json")["threshold"] == 0.35


def test_a_threshold_and_a_pen_that_were_given_are_named_as_such(test, tested, tiny_set, tmp_path):
    """The report said of any threshold that it was the card's, and nothing of the pen."""
    assert test(tiny_set, tmp_path / "r", "--threshold", 0.1, "--pen", "none").code == 0
    chosen, given = (read_json(out / "summary.json") for out in (tested, tmp_path / "r"))
    assert "the card's threshold, which was chosen on validation" in chosen["protocol"]
    assert chosen["pen"] is None and given["pen"] == "none"
    assert "at a threshold of 0.1, given with --threshold" in given["protocol"]
    report = (tmp_path / "r/report.html").read_text(encoding="utf-8")
    assert "card's threshold" not in report.replace("Back to the card's threshold", "")
    assert "at a threshold of 0.1, given with --threshold" in report and '"pen": "none"' in report


def test_eight_views_are_averaged_with_tta(test, tiny_set, tested, tmp_path):
    assert test(tiny_set, tmp_path / "r", "--tta").code == 0
    summary = read_json(tmp_path / "r/summary.json")
    assert summary["views"] == 8 and summary["tta"] is True
    levels = [picture(out / "probabilities/eye4.png") for out in (tested, tmp_path / "r")]
    assert not np.array_equal(*levels)


def test_validation_is_what_the_card_names(test, tiny_set, tmp_path):
    assert test(tiny_set, tmp_path / "r", "--split", "validation").code == 0
    assert [path.name for path in (tmp_path / "r/masks").iterdir()] == ["eye3.png"]


def test_validation_photographs_that_are_gone_or_changed_are_counted(
        command, draw, tiny_set, own_model, tmp_path):
    """The Dice of two of four was given as if it were that of the card."""
    card = read_json(tmp_path / "model.json")
    ((name, parts),) = card["data"].items()
    parts["validation"] |= {each: parts["train"].pop(each) for each in ("eye0", "eye1")}
    card["data"]["other"] = {"train": {}, "validation": {"a": "0"}}  # of this set nothing is here
    write_json(tmp_path / "model.json", card)
    folder = shutil.copytree(tiny_set, tmp_path / "s")
    words = "testing", "--data", folder, "--model", own_model, "--split", "validation", "--out"
    ended = command(*words, tmp_path / "all")
    assert ended.code == 0 and ended.err == "" and "of 3 photographs" in ended.out
    for kind in ("images", "masks", "fovs"):
        (folder / f"train/{kind}/eye0.png").unlink()
    draw.put(folder / "train/images/eye1.png", draw.eye(99)[0])
    ended = command(*words, tmp_path / "r")
    assert ended.code == 0 and "of 1 photograph" in ended.out
    assert ended.err == ("2 validation photographs of 3 left out: gone or changed since the training "
                         f"({name}/eye0 for one)\n")


def test_what_the_first_model_had_learned_from_is_left_out_of_validation_and_told(
        command, refused, tiny_set, own_model, tmp_path):
    card = read_json(tmp_path / "model.json")
    (parts,) = card["data"].values()
    parts["train"] |= parts["validation"]
    write_json(tmp_path / "model.json", card)
    words = "--data", tiny_set, "--model", own_model, "--out", tmp_path / "r"
    sentence = refused("testing", *words, "--split", "validation")
    assert "(1 validation photograph left out" in sentence and "none of the model's" in sentence
    assert "4 of them trained on" in command("testing", *words, "--split", "all").out


def test_validation_is_refused_without_the_models_validation_photographs(refused, draw, tiny_model, tmp_path):
    sentence = refused("testing", "--data", draw.chase(tmp_path / "C"), "--model", tiny_model,
                       "--out", tmp_path / "r", "--split", "validation")
    assert "none of the model's validation photographs" in sentence


# ---- the second observer -----------------------------------------------------------------------------------

def dice_of_second_observers(folder, split):
    """The Dice of all pixels in the FOVs of a set, of its second observer against its first."""
    counts = 0
    for photograph in data.photographs_of([folder], split):
        fov = fov_of(photograph, reading.read_photograph(photograph.path))
        second, first = reading.read_mask(photograph.second), reading.read_mask(photograph.mask)
        counts = counts + metrics.histogram(second, first, fov)
    return metrics.scores(counts, 0.5)["dice"]


def test_the_second_observer_is_a_row_of_its_own(test, draw, tmp_path):
    folder = draw.chase(tmp_path / "CHASE_DB1", children=(11, 12))
    assert test(folder, tmp_path / "r").code == 0
    table = table_of(tmp_path / "r")
    human = table.loc["second observer, pooled"]
    assert human["dice"] == pytest.approx(dice_of_second_observers(folder, "test"), abs=1e-9)
    assert 0.3 < human["dice"] < 1
    assert human[["roc_auc", "average_precision", "ece"]].isna().all(), "a drawing ranks nothing"
    assert {"second observer, mean", "second observer, standard deviation"} <= set(table.index)
    summary = read_json(tmp_path / "r/summary.json")
    assert summary["second observer, pooled"]["dice"] == pytest.approx(human["dice"], abs=1e-5)


def test_the_second_observer_of_chase_agrees_as_published(shared):
    assert dice_of_second_observers(shared / "CHASE_DB1", "all") == pytest.approx(0.776, abs=0.001)


# ---- what cannot be scored ---------------------------------------------------------------------------------

def test_a_split_without_masks_is_predicted_and_pictured_and_that_is_said(test, draw, tmp_path):
    ended = test(draw.drive(tmp_path / "DRIVE"), tmp_path / "r")
    assert ended.code == 0 and "cannot be scored" in ended.out.strip().splitlines()[-1]
    for kind in ("probabilities", "masks", "comparisons"):
        assert len(list((tmp_path / "r" / kind).iterdir())) == 2
    table = table_of(tmp_path / "r")
    assert list(table.index) == ["01_test", "02_test"] and table[SCORES].isna().all(axis=None)
    assert table["note"].str.contains("no reference").all()
    summary = read_json(tmp_path / "r/summary.json")
    assert "nothing can be scored" in summary["protocol"]
    assert summary["scored"] == 0 and "pooled" not in summary
    assert (tmp_path / "r/report.html").exists() and not (tmp_path / "r/roc.png").exists()


def test_how_many_photographs_of_a_split_have_no_masks_is_said(test, draw, tmp_path):
    (tmp_path / "data").mkdir()
    draw.drive(tmp_path / "data/DRIVE"), draw.plain(tmp_path / "data/mine", train=2, test=1)
    ended = test(tmp_path / "data", tmp_path / "out")
    assert ", without 2 that have no mask and are segmented only. Open" in ended.out


def test_an_empty_reference_leaves_its_cells_empty_with_the_reason_beside(test, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=3)
    draw.put(folder / "test/masks/eye1.png", np.zeros((100, 110), bool))
    assert test(folder, tmp_path / "r").code == 0
    table = table_of(tmp_path / "r")
    of_vessels = ["dice", "iou", "precision", "recall", "roc_auc", "average_precision", "cldice"]
    assert table.loc["eye1", of_vessels].isna().all()
    assert "no vessel" in table.loc["eye1", "note"]
    assert table.loc["mean", "dice"] == pytest.approx(table.loc[["eye0", "eye2"], "dice"].mean())


def test_references_that_are_all_empty_leave_the_scores_undefined(test, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=1)
    draw.put(folder / "test/masks/eye0.png", np.zeros((100, 110), bool))
    ended = test(folder, tmp_path / "r")
    assert ended.code == 0 and "Pooled Dice undefined, ROC AUC undefined" in ended.out
    assert read_json(tmp_path / "r/summary.json")["pooled"]["dice"] is None
    assert (tmp_path / "r/report.html").exists() and (tmp_path / "r/roc.png").exists()


def test_a_photograph_may_be_called_mean(test, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=2)
    for kind in ("images", "masks"):
        (folder / "test" / kind / "eye0.png").rename(folder / "test" / kind / "mean.png")
        (folder / "test" / kind / "eye1.png").rename(folder / "test" / kind / "pooled.png")
    ended = test(folder, tmp_path / "r")
    assert ended.code == 0, ended.err
    rows, summary = pd.read_csv(tmp_path / "r/metrics.csv"), read_json(tmp_path / "r/summary.json")
    assert summary["mean"]["dice"] == pytest.approx(rows["dice"][:2].mean(), abs=1e-5)


# ---- one bad among many ------------------------------------------------------------------------------------

@pytest.fixture
def damaged(draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=3)
    photograph = folder / "test/images/eye1.png"
    whole = photograph.read_bytes()
    photograph.write_bytes(whole[:2000])
    return folder, photograph, whole


def test_a_damaged_photograph_costs_only_itself_and_is_done_when_mended(test, damaged, tmp_path):
    folder, photograph, whole = damaged
    ended = test(folder, tmp_path / "r")
    assert ended.code == 1 and "not done: eye1:" in ended.err and "eye1.png: is damaged" in ended.err
    assert {path.stem for path in (tmp_path / "r/masks").iterdir()} == {"eye0", "eye2"}
    table = table_of(tmp_path / "r")
    assert table.loc[["eye0", "eye2", "mean", "pooled"], "dice"].notna().all()
    assert np.isnan(table.loc["eye1", "dice"]) and "damaged" in table.loc["eye1", "note"]
    assert "eye1" in read_json(tmp_path / "r/summary.json")["failed"]
    photograph.write_bytes(whole)
    ended = test(folder, tmp_path / "r")
    assert ended.code == 0 and not ended.err.strip()
    assert table_of(tmp_path / "r")[["dice"]].drop("standard deviation").notna().all(axis=None)


def test_what_is_wrong_with_a_photograph_or_its_mask_is_told_at_the_end(test, draw, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=4)
    draw.put(folder / "test/masks/eye1.png", np.zeros((50, 50), bool))
    draw.put(folder / "test/masks/eye2.png", np.ones((100, 110), bool))
    draw.put(folder / "test/images/eye3.png", np.zeros((100, 110, 3), np.uint8))
    ended = test(folder, tmp_path / "r")
    assert ended.code == 1
    for name, word in (("eye1", "is 50 x 50"), ("eye2", "white on black"), ("eye3", "dark everywhere")):
        (line,) = (line for line in ended.err.splitlines() if line.startswith(f"not done: {name}:"))
        assert word in line
    assert table_of(tmp_path / "r").loc["eye0", "dice"] >= 0


def test_what_data_py_says_of_masks_is_said_of_those_that_are_scored(test, draw, tmp_path):
    """It was silent, and the Dice that of other vessels."""
    folder = draw.plain(tmp_path / "s", train=0, test=5, size=(300, 320))
    masks = folder / "test/masks"
    drawn = {k: reading.read_mask(masks / f"eye{k}.png") for k in range(5)}
    (masks / "eye0.png").unlink()
    faint = drawn[0] * np.where(np.arange(320) < 160, 85, 255)
    draw.put(masks / "eye0.jpg", faint.astype(np.uint8))
    for k in (1, 2):
        draw.put(masks / f"eye{k}.png", np.ascontiguousarray(drawn[k][:, ::-1]))
    exif = Image.Exif()
    exif[0x0112] = 3
    rgb = reading.read_photograph(folder / "test/images/eye3.png")
    (folder / "test/images/eye3.png").unlink()
    draw.put(folder / "test/images/eye3.jpg", rgb, quality=95, exif=exif)
    ended = test(folder, tmp_path / "r")
    assert ended.code == 1 and len(read_json(tmp_path / "r/summary.json")["failed"]) == 1
    assert "eye3.png: fits its photograph only if it is turned as EXIF turns that one" in ended.err
    said = [line for line in ended.err.splitlines() if not line.startswith("not done")]
    assert said == [f"{masks / 'eye0.jpg'}: {reading.FAINT}",
                    f"2 files, {masks / 'eye1.png'} for one: each {ELSEWHERE}"]


def test_a_second_observers_mask_is_looked_at_as_well(test, draw, tmp_path):
    folder = draw.chase(tmp_path / "CHASE_DB1", children=(11,))
    second = folder / "Image_11L_2ndHO.png"
    mirrored = np.ascontiguousarray(reading.read_mask(second)[:, ::-1])
    draw.put(second, mirrored)
    ended = test(folder, tmp_path / "r")
    assert ended.code == 0 and ended.err.strip() == f"{second}: {ELSEWHERE}"


def test_if_none_can_be_read_nothing_is_done(refused, draw, tiny_model, tmp_path):
    folder = draw.plain(tmp_path / "s", train=0, test=2)
    for path in (folder / "test/images").iterdir():
        path.write_text("text")
    sentence = refused("testing", "--data", folder, "--out", tmp_path / "r", "--model", tiny_model)
    assert "None of the photographs (2) could be read" in sentence and "eye0.png" in sentence


# ---- running again -----------------------------------------------------------------------------------------

def test_a_finished_test_is_left_as_it_is(test, tiny_set, results, everything):
    before = everything(results)
    ended = test(tiny_set, results)
    assert ended.code == 0 and "is finished" in ended.out and everything(results) == before


def test_other_flags_or_another_card_are_refused_and_named(test, tiny_set, tiny_model, results, everything):
    before = everything(results)
    ended = test(tiny_set, results, "--split", "all", "--tta")
    assert ended.code == 2 and "split: test before, all now" in ended.err
    assert "tta: not given before, given now" in ended.err
    card = tiny_model.with_suffix(".json")
    whole = card.read_text(encoding="utf-8")
    try:
        card.write_text(whole + "\n")
        ended = test(tiny_set, results)
    finally:
        card.write_text(whole)
    assert ended.code == 2 and "the card beside the model is another" in ended.err
    assert everything(results) == before


def test_what_a_finished_test_has_lost_is_made_again(test, tiny_set, results, monkeypatch):
    """It was finished all the same, and its report a file of no bytes."""
    names = "report.html", "metrics.csv", "roc.png", "masks/eye4.png", "probabilities/eye5.png"
    before = {name: (results / name).read_bytes() for name in names}
    for name in names[1:]:
        (results / name).write_bytes(b"")
    (results / "report.html").unlink()
    seen, predict = [], Predictor.__call__
    monkeypatch.setattr(Predictor, "__call__", lambda self, *given: seen.append(1) or predict(self, *given))
    ended = test(tiny_set, results)
    assert ended.code == 0 and "5 files (" in ended.err and len(seen) == 1
    assert {name: (results / name).read_bytes() for name in names[1:]} == dict(list(before.items())[1:])
    assert (results / "report.html").stat().st_size == len(before["report.html"])


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "roc.png", "pr.png", "report.html"])
def test_a_file_that_is_open_elsewhere_keeps_no_other_from_being_written(
        test, tiny_set, tested, tmp_path, held, name):
    held.add(name)
    ended = test(tiny_set, tmp_path / "r")
    assert ended.code == 1 and f"{name}: is open in another program" in ended.err
    there, here = ({path.relative_to(out) for path in out.rglob("*.*")} for out in (tested, tmp_path / "r"))
    assert there - here == {Path(name)}
    assert "Pooled Dice" in ended.out and not read_json(tmp_path / "r/run.json")["finished"]
    held.clear()
    assert test(tiny_set, tmp_path / "r").code == 0 and (tmp_path / "r" / name).exists()


@pytest.mark.parametrize("moment", ["write_pictures", "write_text", "draw_roc_and_pr"])
def test_a_killed_test_is_finished_by_the_same_command_without_predicting_twice(
    test, tiny_set, tested, tmp_path, monkeypatch, moment
):
    """Killed after the second photograph, between prediction and table, or between table and report."""
    predicted, predict = [], Predictor.__call__

    def counted(self, rgb, fov):
        predicted.append(1)
        return predict(self, rgb, fov)

    monkeypatch.setattr(Predictor, "__call__", counted)
    with monkeypatch.context() as patch:
        write_pictures = testing.write_pictures

        def interrupted(out, name, *given):
            if moment != "write_pictures" or name == "eye6":
                raise KeyboardInterrupt
            write_pictures(out, name, *given)

        patch.setattr(testing, moment, interrupted)
        assert test(tiny_set, tmp_path / "r").code == 130
    assert read_json(tmp_path / "r/run.json")["finished"] is False
    before = len(predicted)
    assert test(tiny_set, tmp_path / "r").code == 0
    assert len(predicted) - before == (1 if moment == "write_pictures" else 0)
    for path in tested.rglob("*.*"):
        if path.suffix in (".csv", ".png"):
            assert (tmp_path / "r" / path.relative_to(tested)).read_bytes() == path.read_bytes(), path


def test_overwrite_leaves_nothing_of_the_run_before(test, draw, results, tmp_path):
    assert test(draw.plain(tmp_path / "s", train=0, test=1), results, "--overwrite").code == 0
    assert [path.name for path in (results / "masks").iterdir()] == ["eye0.png"]


def test_overwrite_never_removes_what_is_not_its_own(refused, draw, tiny_model, tmp_path, everything):
    folder = draw.plain(tmp_path / "s", train=3, test=None)
    before = everything(folder)
    for script, words in (("testing", ("--model", tiny_model)), ("augment", ())):
        place = folder if script == "testing" else draw.plain(tmp_path / "t", train=3)
        untouched = everything(place)
        sentence = refused(script, "--data", folder, "--out", place, "--overwrite", *words)
        assert "would be lost" in sentence and everything(place) == untouched
    assert everything(folder) == before


# ---- bad input ---------------------------------------------------------------------------------------------

def test_a_model_that_is_missing_no_model_or_without_card_is_named(refused, tiny_set, tiny_model, tmp_path):
    for name, word in (
        ("gone.keras", "no such model"),
        ("text.keras", "not a model of this project"),
        ("alone.keras", "card is missing"),
    ):
        if name == "text.keras":
            (tmp_path / name).write_text("text")
        if name == "alone.keras":
            shutil.copy(tiny_model, tmp_path / name)
        sentence = refused("testing", "--data", tiny_set, "--out", tmp_path / "r", "--model", tmp_path / name)
        assert word in sentence and name.split(".")[0] in sentence
    assert not (tmp_path / "r").exists()


def test_a_missing_folder_and_a_folder_of_other_things_are_named(
    refused, tiny_set, tiny_model, tmp_path, everything
):
    def sentence(folder, out):
        return refused("testing", "--data", folder, "--out", out, "--model", tiny_model)

    assert "no such folder" in sentence(tmp_path / "gone", tmp_path / "r")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    before = everything(tmp_path)
    assert "holds other files" in sentence(tiny_set, tmp_path / "mine")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("value", ["0", "1", "1.5", "x"])
def test_a_threshold_outside_of_0_and_1_is_a_usage_error(command, value):
    ended = command("testing", "--threshold", value)
    assert ended.code == 2 and "threshold" in ended.err


def test_the_other_eye_of_a_patient_whom_the_model_has_met_is_refused(
        test, refused, tiny_set, tiny_model, draw, tmp_path):
    """Its score would be too high; that of a model that has not met the patient is true."""
    folder = shutil.copytree(tiny_set, tmp_path / "s")
    (folder / "patients.csv").write_text("name,patient\neye0,Ann\neye4,Ann\n")
    sentence = refused("testing", "--data", folder, "--out", tmp_path / "o", "--model", tiny_model)
    for words in ("eye4.png: is of patient Ann", "eye0.png", "1 photograph of 3", "another --model"):
        assert words in sentence
    assert not (tmp_path / "o").exists()
    draw.put(folder / "train/images/eye0.png", draw.eye(99)[0])
    assert test(folder, tmp_path / "o").code == 0


def test_another_photograph_of_a_patient_whom_the_model_has_met_is_noted(test, tiny_set, tmp_path):
    """It looked untouched in the table of all, where no part is kept out."""
    folder = shutil.copytree(tiny_set, tmp_path / "s")
    (folder / "patients.csv").write_text("name,patient\neye0,Ann\neye4,Ann\n")
    assert test(folder, tmp_path / "o", "--split", "all").code == 0
    notes = table_of(tmp_path / "o")["note"]
    assert notes["eye0"] == "trained on" and notes["eye4"] == "of a patient whom the model has met"
    assert notes.drop(["eye0", "eye4"]).isin(["trained on", "validation: threshold chosen on it"]).sum() >= 1
    assert notes["eye5"] != notes["eye5"], "nothing is noted of others"
