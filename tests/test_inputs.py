"""The table of damaged, odd and hostile inputs (hostile.py), through the readers and through the commands."""

import contextlib
import json
import os
import re
import shutil
import time
import warnings

import cv2
import hostile
import numpy as np
import pandas as pd
import pytest
from conftest import LINUX, ROOT, SMALL
from test_checkpoint import HOSTILE

from photographs.fov import fov_of
from photographs.reading import read_photograph, read_vessels
from running.command import Problem
from running.files import read_png
from sets.layouts import Photograph


def judge(read, path, outcome):
    """The outcome of the table happens: a sentence that names the file, or an array that is right."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            result = read(path)
    except Problem as problem:
        sentence = str(problem)
        assert sentence.startswith(f"{path}: "), sentence
        assert any(isinstance(word, str) and word in sentence for word in outcomes(outcome)), sentence
        assert "object at 0x" not in sentence and len(sentence) < len(str(path)) + 300
    else:
        assert any(callable(check) and check(result) for check in outcomes(outcome)), result.shape


def outcomes(outcome):
    return outcome if isinstance(outcome, tuple) else (outcome,)


def an_rgb(path):
    rgb = read_photograph(path)
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    return rgb


@pytest.mark.parametrize("case", hostile.PHOTOGRAPHS)
def test_photographs(case, tmp_path):
    maker, outcome = hostile.PHOTOGRAPHS[case]
    path = maker(tmp_path)
    began = time.process_time()
    judge(an_rgb, path, outcome)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("case", hostile.MASKS)
def test_masks(case, tmp_path):
    maker, outcome = hostile.MASKS[case]
    judge(lambda path: read_vessels(path, hostile.RGB.shape), maker(tmp_path), outcome)


@pytest.mark.parametrize("case", hostile.FOVS)
def test_fovs(case, tmp_path):
    maker, outcome = hostile.FOVS[case]

    def read(path):
        return fov_of(Photograph("set", "a", "test", "1", tmp_path / "a.png", fov=path), hostile.RGB)

    judge(read, maker(tmp_path), outcome)


def test_the_table_is_as_long_as_promised():
    assert len(hostile.PHOTOGRAPHS) + len(hostile.MASKS) + len(hostile.FOVS) >= 60


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF"])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"compression": "tiff_lzw"}])
def test_a_file_cut_anywhere_is_named_or_whole(kind, how, tmp_path):
    """Only what lies behind the picture, such as a trailer, may be missing: never a part of the picture."""
    content = hostile.encoded(kind, **how)
    path = tmp_path / "cut"
    path.write_bytes(content)
    sound = read_photograph(path)
    for length in [*range(1, len(content), len(content) // 40), *range(len(content) - 12, len(content))]:
        path.write_bytes(content[:length])
        judge(read_photograph, path, (hostile.DAMAGED, hostile.near(sound)))


# ---- through eval.py ---------------------------------------------------------------------------------------

def to_eval(case):
    """Not those that are seconds of work or hundreds of megabytes: the readers have had them."""
    return "gigabyte" not in case and "terabyte" not in case


def is_sound(outcome):
    return all(map(callable, outcomes(outcome)))


def is_bad(outcome):
    return all(isinstance(word, str) for word in outcomes(outcome))


@pytest.fixture(scope="module")
def among_many(tmp_path_factory, command, tiny_model):
    """eval.py over all the photographs of the table, each under its own name and in its own folder."""
    folder, out = tmp_path_factory.mktemp("many"), tmp_path_factory.mktemp("out") / "predictions"
    paths = {}
    for k, (case, (maker, _)) in enumerate(hostile.PHOTOGRAPHS.items()):
        if to_eval(case):
            (folder / f"{k:03d}").mkdir()
            paths[case] = maker(folder / f"{k:03d}")
    paths = {case: path for case, path in paths.items() if path.is_file() or path.is_symlink()}
    given = [path.relative_to(folder) for path in paths.values()]
    with contextlib.chdir(folder):
        ended = command("eval", "--out", out, "--model", tiny_model, "--", *given)
    return ended, out, paths


def test_each_bad_photograph_costs_only_itself(among_many):
    ended, out, paths = among_many
    assert ended.code == 1 and "Traceback" not in ended.err
    said = [line for line in ended.err.splitlines() if line.startswith("not done: ")]
    bad = [case for case in paths if is_bad(hostile.PHOTOGRAPHS[case][1])]
    for case in bad:
        name = f"{paths[case].parent.name}/"
        assert sum(name in line for line in said) == 1, f"{case} is not named once with what is wrong"
    sound = [case for case in paths if is_sound(hostile.PHOTOGRAPHS[case][1])]
    table = pd.read_csv(out / "predictions.csv")
    done = {file.split("/")[0] for file in table["file"]}
    for case in sound:
        assert paths[case].parent.name in done, f"{case} was not done"
    assert len(done) + len(said) == len(paths) and len(sound) > 35 and len(bad) > 60


def test_what_was_done_among_bad_ones_is_whole(among_many):
    _, out, _ = among_many
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in (out / ".rows").iterdir()]
    for row in rows:
        for kind in ("probability", "mask", "overlay"):
            picture = read_png(out / f"{row['name']}_{kind}.png", cv2.IMREAD_UNCHANGED)
            assert picture.shape[:2] == (row["height"], row["width"])
    assert (out / "contact_sheet.png").exists() and not list(out.rglob(".unfinished*"))


def test_predictions_csv_is_utf_8_with_a_row_a_photograph(among_many):
    _, out, _ = among_many
    text = (out / "predictions.csv").read_bytes().decode("utf-8")
    table = pd.read_csv(out / "predictions.csv")
    assert len(table) == len(list((out / ".rows").iterdir())) and table["name"].is_unique
    of_linux = (""" a 'b' "c" """, "two\nlines", "retine_\\udce9\\udcff", "<script>alert(1)<&")
    for name in ("眼底 œil 👁", "--out", *of_linux * LINUX):
        assert name in set(table["name"]), name
    assert text.count("two\nlines") >= LINUX


def test_doing_it_again_tries_only_the_bad_ones(among_many, command, tiny_model, everything):
    _, out, paths = among_many
    folder = next(iter(paths.values())).parent.parent
    before = everything(out)
    given = [path.relative_to(folder) for path in paths.values()]
    with contextlib.chdir(folder):
        ended = command("eval", "--out", out, "--model", tiny_model, "--", *given)
    assert ended.code == 1
    after = everything(out)
    changed = {name for name in {**before, **after}
               if before.get(name, (b"", 0))[0] != after.get(name, (b"", 0))[0]}
    touched = {name for name in after if after[name][1] != before[name][1]}
    assert changed <= {"run.json"}
    assert touched <= {"run.json", "predictions.csv", "contact_sheet.png", "review.html"}


@pytest.mark.parametrize("case", ["zero bytes", "text", "1 x 1", "30000 x 30000 PNG", "float TIFF with a NaN",
                                  "link to itself", "missing", "pipe", "JPEG cut at 50%",
                                  "JPEG with 400 scans", "EPS, which would start a program"])
def test_a_bad_photograph_alone_is_one_sentence(case, refused, tiny_model, tmp_path):
    if case not in hostile.PHOTOGRAPHS:
        pytest.skip("there are no such files on this system")
    path = hostile.PHOTOGRAPHS[case][0](tmp_path)
    assert path.name in refused("eval", path, "--out", tmp_path / "out", "--model", tiny_model)
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_folder_called_x_png_is_a_folder(command, refused, tiny_model, tmp_path):
    (tmp_path / "x.png").mkdir()
    words = "--out", tmp_path / "out", "--model", tiny_model
    assert "no photograph in this folder" in refused("eval", tmp_path / "x.png", *words)
    hostile.saved("real.png", hostile.RGB)(tmp_path / "x.png")
    assert command("eval", tmp_path, *words).code == 0
    assert len(list((tmp_path / "out").rglob("real_mask.png"))) == 1


def test_a_missing_file_among_others_costs_only_itself(command, tiny_model, tmp_path):
    sound = hostile.saved("real.png", hostile.RGB)(tmp_path)
    ended = command("eval", tmp_path / "gone.png", sound, "--out", tmp_path / "out", "--model", tiny_model)
    assert ended.code == 1 and "gone.png" in ended.err
    assert (tmp_path / "out" / "real_mask.png").exists()


def test_all_black_and_all_white_photographs(command, refused, tiny_model, tmp_path):
    black = hostile.saved("black.png", hostile.RGB * 0)(tmp_path)
    white = hostile.saved("white.png", hostile.RGB * 0 + 255)(tmp_path)
    assert "dark everywhere" in refused("eval", black, "--out", tmp_path / "b", "--model", tiny_model)
    ended = command("eval", white, "--out", tmp_path / "w", "--model", tiny_model)
    assert ended.code == 0 and "all of it counts as FOV" in ended.err


def test_the_predictions_in_a_folder_are_not_photographs_of_it(command, tiny_model, tmp_path, everything):
    """`eval.py .` writes into the folder that it reads: what it wrote is not segmented the second time."""
    hostile.saved("real.png", hostile.RGB)(tmp_path)
    words = (tmp_path, "--out", tmp_path / "predictions", "--model", tiny_model)
    assert command("eval", *words).code == 0
    before = everything(tmp_path)
    ended = command("eval", *words)
    assert ended.code == 0 and "done already" in ended.out
    assert everything(tmp_path) == before


# ---- through data.py, augment.py and testing.py ------------------------------------------------------------

@pytest.fixture
def own_set(tiny_set, tmp_path):
    """A copy of the tiny set that a test may spoil."""
    return shutil.copytree(tiny_set, tmp_path / "tiny")


SOME_PHOTOGRAPHS = ["zero bytes", "PNG cut at 50%", "30000 x 30000 PNG", "float TIFF with a NaN", "1 x 1",
                    "EPS, which would start a program"]
SOME_MASKS = ["inverted", "all white", "30000 x 30000", "cut", "text", "float with a NaN"]
SOME_FOVS = ["empty", "inverted", "one pixel", "text"]
SPOILT = [(kind, case, table[case][0]) for kind, table, cases in (
    ("images", hostile.PHOTOGRAPHS, SOME_PHOTOGRAPHS), ("masks", hostile.MASKS, SOME_MASKS),
    ("fovs", hostile.FOVS, SOME_FOVS)) for case in cases]


@pytest.mark.parametrize("kind, make", [(kind, make) for kind, _, make in SPOILT],
                         ids=[f"{kind}: {case}" for kind, case, _ in SPOILT])
def test_a_spoilt_file_of_a_set_is_named_by_every_command(
        kind, make, own_set, command, refused, tiny_model, tmp_path):
    for split, name in (("train", "eye1"), ("test", "eye4")):
        (tmp_path / split).mkdir()
        made = make(tmp_path / split)
        (own_set / split / kind / f"{name}.png").unlink()
        shutil.copy(made, own_set / split / kind / f"{name}.png")
    ended = command("data", own_set)
    assert ended.code == 1 and "eye1.png" in ended.err and "eye4.png" in ended.err and "2 wrong" in ended.out
    assert "eye1.png" in refused("augment", "--data", own_set, "--out", tmp_path / "pairs", "--workers", 1)
    assert not (tmp_path / "pairs").exists()
    ended = command("testing", "--data", own_set, "--model", tiny_model, "--out", tmp_path / "results")
    assert ended.code == 1 and "not done: eye4" in ended.err and "Traceback" not in ended.err
    table = pd.read_csv(tmp_path / "results/metrics.csv").set_index("photograph")
    assert table.loc["eye5", "dice"] >= 0 and np.isnan(table.loc["eye4", "dice"])
    assert "eye4.png" in table.loc["eye4", "note"]


def test_odd_names_go_through_every_command(draw, command, tiny_model, tmp_path):
    names = (b""" 'a' "b" .png""", b"two\nlines.png", "眼底 👁.png".encode(), b"retine_\xe9\xff.png",
             b"<b>&amp;.png", b"a,b;c.png")
    for split, first in (("train", 0), ("test", 10)):
        for k, name in enumerate(names):
            rgb, mask, _ = draw.eye(first + k)
            draw.put(tmp_path / "set" / split / "images" / os.fsdecode(name), rgb)
            draw.put(tmp_path / "set" / split / "masks" / os.fsdecode(name), mask)
    ended = command("data", tmp_path / "set", "--picture", tmp_path / "found.png")
    assert ended.code == 0 and "12 photographs, 0 wrong" in ended.out, ended
    words = ("--copies", 1, "--workers", 1, "--preview")
    ended = command("augment", "--data", tmp_path / "set", "--out", tmp_path / "pairs", *words)
    assert ended.code == 0, ended.err
    assert len(list((tmp_path / "pairs/train/images").iterdir())) == 5
    words = "--pairs", tmp_path / "pairs", "--out", tmp_path / "checkpoints"
    ended = command("training", *words, "--epochs", 1, "--batch", 2, *SMALL)
    assert ended.code == 0, ended.err
    card = json.loads((tmp_path / "checkpoints/model.json").read_text(encoding="utf-8"))
    assert sum(len(part) for part in card["data"]["set"].values()) == 6
    words = "--data", tmp_path / "set", "--model", tiny_model, "--out", tmp_path / "results"
    ended = command("testing", *words)
    assert ended.code == 0, ended.err
    table = pd.read_csv(tmp_path / "results/metrics.csv")
    assert {"two\nlines", "retine_\\udce9\\udcff", "<b>&amp;"} <= set(table["photograph"])
    page = (tmp_path / "results/report.html").read_bytes().decode("utf-8")
    assert "<b>&amp;" not in page


# ---- models ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("harm", ["empty", "text", "cut", "lambda", "gigantic", "gigantic later", "dense",
                                  "swollen weights", "weights of another"])
def test_a_damaged_or_hostile_model_is_refused_by_every_command(
        harm, refused, own_model, tiny_pairs, tiny_set, tmp_path, everything):
    HOSTILE[harm](own_model)
    photograph = hostile.saved("a.png", hostile.RGB)(tmp_path)
    before = everything(tmp_path)
    for words in (("eval", photograph, "--model", own_model, "--out", tmp_path / "p"),
                  ("testing", "--data", tiny_set, "--model", own_model, "--out", tmp_path / "r"),
                  ("training", "--pairs", tiny_pairs, "--init", own_model, "--out", tmp_path / "c", *SMALL)):
        assert "model.keras" in refused(*words)
        assert everything(tmp_path) == before, f"{words[0]} left something behind"


@pytest.mark.parametrize("change", [
    {"network": {"width": 16, "depth": 4}}, {"threshold": "high"}, {"side": 0}, {"side": 10**9},
    {"side": "512"}, {"sides": "512"}, {"calibration": {"temperature": 0, "bias": 0}},
    {"calibration": {"temperature": "hot"}}, {"calibration": [1]}, {"data": []},
    {"photographs": {"side": "x"}}, {"fov sides": [500]}, {"fov sides": [0, 500]}], ids=str)
def test_a_card_that_cannot_be_used_is_refused(change, refused, own_model, tiny_set, tmp_path):
    card = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps(card | change))
    photograph = hostile.saved("a.png", hostile.RGB)(tmp_path)
    assert "model.json" in refused("eval", photograph, "--model", own_model, "--out", tmp_path / "p")
    words = "--model", own_model, "--out", tmp_path / "r"
    assert "model.json" in refused("testing", "--data", tiny_set, *words)


# ---- pairs -------------------------------------------------------------------------------------------------

def edited(change):
    def harm(pairs):
        table = pd.read_csv(pairs / "manifest.csv", keep_default_na=False, dtype=str)
        change(table).to_csv(pairs / "manifest.csv", index=False)
    return harm


def without_a_pair(pairs):
    (pairs / "train/masks/eye1_0001.png").unlink()


def cut_pair(name):
    def harm(pairs):
        path = pairs / name
        path.write_bytes(path.read_bytes()[:300])
    return harm


def written(name, content):
    return lambda pairs: (pairs / name).write_bytes(content)


PAIRS = {
    "a pair removed": (without_a_pair, "eye1_0001.png"),
    "a training pair cut": (cut_pair("train/images/eye1_0001.png"), "eye1_0001.png"),
    "a validation pair cut": (cut_pair("validation/masks/eye3_0002.png"), "eye3_0002.png"),
    "a folder removed": (lambda pairs: shutil.rmtree(pairs / "validation/masks"), "augment.py"),
    "a row removed": (edited(lambda table: table.drop(index=0)), "manifest.csv"),
    "a file that leads out": (edited(lambda table: table.replace("eye0_0000.png", "../../../secret.png")),
                              "secret.png"),
    "a validation patient moved to training": (edited(lambda table: table.assign(split="train")),
                                               "eye3_0000.png"),
    "a column removed": (edited(lambda table: table.drop(columns="patient")), "manifest.csv"),
    "a patient changed": (edited(lambda table: table.assign(patient="Ann")), "manifest.csv"),
    "emptied": (written("manifest.csv", b""), "manifest.csv"),
    "made binary": (written("manifest.csv", os.urandom(2000)), "manifest.csv"),
    "removed": (lambda pairs: (pairs / "manifest.csv").unlink(), "manifest.csv"),
    "run.json cut": (written("run.json", b"{"), "run.json"),
    "run.json of another kind": (written("run.json", b"[1]"), "run.json"),
    "run.json without settings": (written("run.json", b'{"finished": true}'), "run.json"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_that_were_changed_are_refused_by_training(case, refused, own_pairs, tmp_path):
    harm, word = PAIRS[case]
    harm(own_pairs)
    words = "--pairs", own_pairs, "--out", tmp_path / "c"
    sentence = refused("training", *words, "--epochs", 1, "--batch", 2, *SMALL)
    assert word in sentence and ("augment.py" in sentence or word == "run.json")


def test_the_photographs_of_validation_must_be_there_when_training_begins(refused, command, draw, tmp_path):
    """Threshold and squares are chosen on them at the end: hours later is too late to say so."""
    folder, pairs = draw.plain(tmp_path / "set", train=3), tmp_path / "pairs"
    assert command("augment", "--data", folder, "--out", pairs, "--copies", 1, "--workers", 1).code == 0
    folder.rename(tmp_path / "moved")
    sentence = refused("training", "--pairs", pairs, "--out", tmp_path / "c", "--width", 2, "--depth", 2)
    assert "is gone" in sentence and not (tmp_path / "c").exists()


def test_nothing_is_imported_that_could_send_anything():
    """No module opens a connection but the download and the stores of photographs that the user names."""
    senders = r"^\s*(import|from) (urllib\.request|http|socket|requests|ftplib|smtplib)\b"
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    found = {name for name, text in texts.items() if re.search(senders, text, re.MULTILINE)}
    assert "sets/web.py" in found
    assert {name for name in found if not name.startswith(("tests/", "benchmarks/"))} <= {
        "sets/web.py", "cluster/driver.py"}
