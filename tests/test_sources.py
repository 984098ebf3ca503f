"""What results were made of: what was added, removed or changed since is named, done anew or refused."""

import json
import os
import shlex
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL

import augment
import testing
from fitting.pairs import Pairs
from predict import Predictor
from running import sources as room
from running.again import mark
from running.command import Problem
from running.files import read_json, write_json
from running.sources import Sources, differences, labelled, path_at, place_of

# ---- in words --------------------------------------------------------------------------------------------

@pytest.fixture
def made(tmp_path):
    """Makes Sources of the files in a folder, in the run that `out` holds or a new one."""
    def making(folder=tmp_path / "data", **how):
        items = {path.stem: {"photograph": path, "mask": path.with_suffix(".txt")}
                 for path in sorted(folder.glob("*.png"))}
        return Sources(tmp_path / "out", [folder], items, **how)

    for name in "abc":
        for ending in ("png", "txt"):
            path = tmp_path / "data" / f"{name}.{ending}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{name} {ending}")
    mark(tmp_path / "out", {}, finished=True, **making().for_run())
    return making


def test_nothing_has_changed_at_first_nor_in_another_place_nor_with_another_time(made, tmp_path):
    assert made().changes == "" and not made().unknown
    os.utime(tmp_path / "data/a.png", (1, 1))
    assert made().changes == "", "the content decides"
    (tmp_path / "data").rename(tmp_path / "moved")
    assert made(tmp_path / "moved").changes == ""


def test_what_was_added_removed_or_changed_is_counted_with_an_example(made, tmp_path):
    data = tmp_path / "data"
    for name in "de":
        (data / f"{name}.png").write_text(name)
        (data / f"{name}.txt").write_text(name)
    (data / "a.png").unlink()
    (data / "b.txt").write_text("another mask")
    changes = made().changes
    assert "2 photographs added (d.png for one)" in changes and "1 photograph removed (a.png)" in changes
    assert "1 mask changed (b.txt)" in changes and changes.count(",") == 2
    assert made().stale(("photograph",)) == ["a", "d", "e"]
    assert made().stale(("photograph", "mask")) == ["a", "b", "d", "e"]
    assert made(anew=True).changes == ""


def test_a_file_of_the_same_size_and_time_is_not_read_again(made, monkeypatch):
    monkeypatch.setattr(room, "sha256", lambda path: pytest.fail(f"{path} was read"))
    assert made().changes == ""


@pytest.mark.parametrize("time", [0, 315_532_800 - 14 * 3600, 315_532_800 + 12 * 3600])
def test_the_time_that_archives_write_for_want_of_one_is_not_trusted(made, tmp_path, time):
    """1980, wherever one is: a mask corrected once more, of as many bytes, counted as the same."""
    mask = tmp_path / "data/a.txt"
    for content in ("first", "later"):
        mask.write_text(content)
        os.utime(mask, (time, time))
        assert made().changes == "1 mask changed (a.txt)"
        mark(tmp_path / "out", {}, finished=True, **made().for_run())


def test_a_run_of_an_earlier_version_is_unknown(made, tmp_path):
    write_json(tmp_path / "out/run.json", {"settings": {}, "finished": True})
    assert made().unknown and made().changes == ""


def test_a_photograph_of_another_part_or_patient_is_another(tmp_path):
    before, now = ({"a": {"part": part, "patient": "1", "photograph": {"path": "a.png", "sha256": "x"}}}
                   for part in ("train", "test"))
    assert differences(before, now) == "1 photograph moved to another part or patient (a.png)"
    before, now = ({"a": {"patient": patient, "photograph": {"path": "a.png", "sha256": "x"}}}
                   for patient in ("Ann", "ANN"))
    assert differences(before, now) == "", "she is the same"


@pytest.mark.parametrize("names", [["data"], ["site1/data", "site2/data", "HRF"]])
def test_places_lead_to_the_same_files_where_the_data_lies_now(names, tmp_path):
    before, now = (labelled(tmp_path / where / name for name in names) for where in ("before", "now"))
    for name in names:
        place = place_of(tmp_path / "before" / name / "images/x y.png", before)
        assert "before" not in place
        assert path_at(place, now) == tmp_path / "now" / name / "images/x y.png"


# ---- augment.py ------------------------------------------------------------------------------------------

@pytest.fixture
def project(command, draw, tmp_path):
    """A folder with data, its pairs, and a function that calls augment.py on them."""
    draw.plain(tmp_path / "project/data", train=3, test=1)

    def augmenting(*words, at=tmp_path / "project"):
        return command("augment", "--data", at / "data", "--out", at / "augmented", "--copies", 1,
                       "--workers", 1, *words)

    assert augmenting().code == 0
    return tmp_path / "project", augmenting


def redrawn(path):
    """Changes a mask: as somebody does who corrects it."""
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    mask[40:60, 40:60] = 255
    cv2.imwrite(str(path), mask)


def test_pairs_older_than_a_mask_or_without_a_photograph_are_refused_and_nothing_is_mixed(
        project, draw, everything, refused, tmp_path):
    folder, augmenting = project
    before = everything(folder / "augmented")
    redrawn(folder / "data/train/masks/eye0.png")
    ended = augmenting()
    assert ended.code == 2 and "--overwrite" in ended.err
    assert "1 mask changed (train/masks/eye0.png) since" in ended.err
    sentence = refused("training", "--pairs", folder / "augmented", "--out", tmp_path / "c", *SMALL)
    assert "1 mask changed (train/masks/eye0.png)" in sentence and "augment.py --overwrite" in sentence
    photograph, mask, _ = draw.eye(77)
    draw.put(folder / "data/train/images/eye00.png", photograph)
    draw.put(folder / "data/train/masks/eye00.png", mask)
    assert "1 photograph added (train/images/eye00.png)" in augmenting().err
    assert everything(folder / "augmented") == before
    assert augmenting("--overwrite").code == 0 and augmenting().code == 0


def test_an_interrupted_run_never_goes_on_with_other_masks(project, monkeypatch):
    folder, augmenting = project

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fitting.manifest.manifest_rows", interrupted)
    assert augmenting("--overwrite").code == 130
    monkeypatch.undo()
    redrawn(folder / "data/train/masks/eye0.png")
    assert "1 mask changed" in augmenting().err and augmenting().code == 2


def test_a_mask_corrected_while_the_pairs_are_made_is_noticed(project, monkeypatch):
    folder, augmenting = project
    write_all = augment.write_all

    def meanwhile(*given):
        redrawn(folder / "data/train/masks/eye0.png")
        return write_all(*given)

    monkeypatch.setattr(augment, "write_all", meanwhile)
    ended = augmenting("--overwrite")
    assert ended.code == 2 and "1 mask changed" in ended.err and "meanwhile" in ended.err
    monkeypatch.undo()
    assert augmenting().code == 2, "and it is not forgotten"


def test_a_project_that_was_moved_or_copied_goes_on(project, everything):
    folder, augmenting = project
    shutil.copytree(folder, folder.parent / "copy", copy_function=shutil.copyfile)
    folder.rename(folder.parent / "moved")
    for name in ("moved", "copy"):
        place = folder.parent / name
        before = everything(place)
        ended = augmenting(at=place)
        assert ended.code == 0 and "there already" in ended.out and everything(place) == before
        (photograph,) = Pairs(place / "augmented").photographs("validation")
        assert photograph.path.is_file() and str(place) in str(photograph.path)


def test_data_says_where_the_photographs_lie_now(project, refused, tmp_path):
    folder, _ = project
    (folder / "data").rename(tmp_path / "elsewhere")
    words = "training", "--pairs", folder / "augmented", "--out", tmp_path / "c", *SMALL
    assert f"run  python augment.py --data PLACES --copies 1 --out {folder / 'augmented'} " in refused(*words)
    assert Pairs(folder / "augmented", data=[tmp_path / "elsewhere"]).photographs("train")
    assert "got 1 of them" in refused(*words, "--data", tmp_path, tmp_path)


def test_augment_notes_where_the_data_lies_now_for_training(command, draw, tmp_path):
    """Folders moved, or renamed among others: augment.py said "there already", and training "is gone"."""
    for name, suffix in (("A", "a"), ("B", "b")):
        folder = draw.plain(tmp_path / f"data/{name}", train=3, test=1)
        for path in [*folder.rglob("images/*"), *folder.rglob("masks/*")]:
            path.rename(path.with_stem(path.stem + suffix))
    words = "--out", tmp_path / "out", "--copies", 1, "--workers", 1

    def paths():
        return [photograph.path for photograph in Pairs(tmp_path / "out").photographs("train")]

    assert command("augment", "--data", tmp_path / "data/A", tmp_path / "data/B", *words).code == 0
    before = Pairs(tmp_path / "out").fingerprint
    (tmp_path / "data/B").rename(tmp_path / "moved")
    ended = command("augment", "--data", tmp_path / "moved", tmp_path / "data/A", *words)
    assert ended.code == 0 and "there already; where their data lies now is noted." in ended.out
    assert {path.parents[2].name for path in paths()} == {"A", "moved"}
    assert Pairs(tmp_path / "out").fingerprint == before, "so that an interrupted training goes on"
    (tmp_path / "moved").rename(tmp_path / "data/C")
    assert "is noted" in command("augment", "--data", tmp_path / "data", *words).out
    assert {path.parents[2].name for path in paths()} == {"A", "C"}
    assert all(path.is_file() for path in paths())
    assert "is noted" not in command("augment", "--data", tmp_path / "data", *words).out


def test_a_set_that_was_renamed_keeps_its_validation_part_whatever_the_seed(command, draw, tmp_path):
    """With another seed than 0 it was drawn by the set's name."""
    draw.plain(tmp_path / "data/A", train=9, test=1)
    words = "--data", tmp_path / "data", "--out", tmp_path / "out", "--copies", 1, "--workers", 1, "--seed", 3
    assert command("augment", *words).code == 0
    (tmp_path / "data/A").rename(tmp_path / "data/another")
    assert "is noted" in command("augment", *words).out


def test_a_renamed_set_whose_names_another_has_too_keeps_its_pairs(command, draw, tmp_path):
    """Its photographs were called after it, B_eye0: all of them were "removed" and "added"."""
    for name, seed in (("A", 0), ("B", 100)):
        for number in range(3):
            rgb, mask, _ = draw.eye(seed + number)
            draw.put(tmp_path / f"data/{name}/train/images/eye{number}.png", rgb)
            draw.put(tmp_path / f"data/{name}/train/masks/eye{number}.png", mask)
    words = "--data", tmp_path / "data", "--out", tmp_path / "out", "--copies", 1, "--workers", 1
    assert command("augment", *words).code == 0
    (tmp_path / "data/B").rename(tmp_path / "data/C")
    assert "is noted" in command("augment", *words).out
    photographs = Pairs(tmp_path / "out").photographs("train")
    assert {photograph.path.parents[2].name for photograph in photographs} == {"A", "C"}
    assert command("augment", *words, "--preview").code == 0
    redrawn(tmp_path / "data/C/train/masks/eye0.png")
    assert "now: 1 mask changed (C/train/masks/eye0.png) since" in command("augment", *words).err


def test_a_pair_that_is_lost_after_its_set_was_renamed_is_made_as_it_was(command, draw, tmp_path):
    """It had another content, and the manifest another sum: no training could be resumed."""
    draw.plain(tmp_path / "A", train=2, test=1)
    words = "--out", tmp_path / "out", "--copies", 1, "--workers", 1
    assert command("augment", "--data", tmp_path / "A", *words).code == 0
    before = {path.name: path.read_bytes() for path in [*(tmp_path / "out").rglob("train/*/*.png"),
                                                        tmp_path / "out/manifest.csv"]}
    (tmp_path / "A").rename(tmp_path / "B")
    words = "--data", tmp_path / "B", *words
    assert "is noted" in command("augment", *words).out
    for path in (tmp_path / "out/train").glob("*/*.png"):
        path.unlink()
    assert command("augment", *words).code == 0
    assert before == {path.name: path.read_bytes() for path in [*(tmp_path / "out").rglob("train/*/*.png"),
                                                                tmp_path / "out/manifest.csv"]}


# ---- what training.py notices ----------------------------------------------------------------------------

def test_training_refuses_pairs_on_whose_two_sides_one_patient_is_now(project, refused, tmp_path, capsys):
    """patients.csv said so only after augment.py had split."""
    folder, augmenting = project
    (folder / "data/patients.csv").write_text("name,patient\neye0,Ann\neye2,Ann\n")
    words = "training", "--pairs", folder / "augmented", "--out", tmp_path / "c", *SMALL
    sentence = refused(*words)
    assert "2 photographs moved to another part or patient (train/images/eye0.png for one)" in sentence
    assert "photographs moved to another part or patient" in augmenting().err
    assert not (tmp_path / "c").exists()
    (folder / "data/patients.csv").write_text("name,patient\neye0,eye0\neye9,Bo\n")
    assert Pairs(folder / "augmented"), "nobody has moved"
    assert "names eye9, which is none of the photographs" in capsys.readouterr().err


def added_to_test(draw, folder, seed=77):
    rgb, mask, _ = draw.eye(seed)
    draw.put(folder / "data/test/images/new.png", rgb)
    draw.put(folder / "data/test/masks/new.png", mask)
    return folder / "data/test/images/new.png"


def test_a_patient_of_whom_a_photograph_was_added_to_the_test_part_is_not_trained_on(project, draw):
    """What was added to the test part was not looked at."""
    folder, augmenting = project
    (folder / "data/patients.csv").write_text("name,patient\neye0,Ann\neye1,Bo\neye2,Cy\neye3,Di\n")
    assert augmenting("--overwrite").code == 0 and Pairs(folder / "augmented")
    added_to_test(draw, folder)
    assert Pairs(folder / "augmented"), "of somebody else"
    with open(folder / "data/patients.csv", "a") as table:
        table.write("new,Ann\n")
    with pytest.raises(Problem, match=r"1 patient is in the training and the test part, Ann for one \("):
        Pairs(folder / "augmented")


def test_a_copy_that_was_added_to_the_test_part_or_replaced_one_there_is_not_trained_on(project, draw):
    folder, _ = project
    new = added_to_test(draw, folder)
    for path in (new, folder / "data/test/images/eye3.png"):
        before = path.read_bytes()
        shutil.copy(folder / "data/train/images/eye0.png", path)
        with pytest.raises(Problem, match=rf"train/images/eye0.png and .*/{path.name} are the same photo"):
            Pairs(folder / "augmented")
        path.write_bytes(before)
    assert Pairs(folder / "augmented")


def test_training_says_which_photographs_it_does_without(project, draw, capsys):
    folder, _ = project
    rgb, mask, fov = draw.eye(77)
    draw.put(folder / "data/train/fovs/eye0.png", fov)
    with pytest.raises(Problem, match=r"1 FOV added \(train/fovs/eye0.png\)"):
        Pairs(folder / "augmented")
    (folder / "data/train/fovs/eye0.png").unlink()
    for part in ("train", "test"):
        draw.put(folder / f"data/{part}/images/eye77.png", rgb)
        draw.put(folder / f"data/{part}/masks/eye77.png", mask)
    assert Pairs(folder / "augmented")
    said = capsys.readouterr().err
    assert "1 photograph added (" in said and f"train{os.sep}images{os.sep}eye77.png) since" in said


def with_lists(draw, folder):
    """Four photographs, the last for testing; returns the lists that say so."""
    for number in range(1, 5):
        rgb, mask, _ = draw.eye(number)
        draw.put(folder / f"image/00{number}_N.png", rgb)
        draw.put(folder / f"annotation/00{number}_N.png", mask)
    lists = folder / "training.txt", folder / "testing.txt"
    lists[0].write_text("001_N.png\n002_N.png\n003_N.png\n")
    lists[1].write_text("004_N.png\n")
    return lists


def test_a_photograph_that_a_list_has_made_one_of_the_test_part_is_not_trained_on(command, draw, tmp_path):
    lists = with_lists(draw, tmp_path / "AV")
    words = "--data", tmp_path / "AV", "--out", tmp_path / "out", "--copies", 1, "--workers", 1
    assert command("augment", *words).code == 0 and Pairs(tmp_path / "out")
    lists[0].write_text("002_N.png\n003_N.png\n")
    lists[1].write_text("001_N.png\n004_N.png\n")
    with pytest.raises(Problem, match=r"1 photograph moved to another part or patient \(image/001_N.png\)"):
        Pairs(tmp_path / "out")


def test_that_one_set_is_learned_from_whole_lets_no_test_photograph_of_another_in(command, draw, tmp_path):
    draw.stare(tmp_path / "data/STARE")
    lists = with_lists(draw, tmp_path / "data/AV")
    words = "--data", tmp_path / "data", "--out", tmp_path / "out", "--copies", 1, "--workers", 1
    assert command("augment", *words, "--whole", "STARE").code == 0 and Pairs(tmp_path / "out")
    lists[0].write_text("002_N.png\n003_N.png\n")
    lists[1].write_text("001_N.png\n004_N.png\n")
    with pytest.raises(Problem, match="1 photograph moved to another part or patient .AV/image/001_N.png."):
        Pairs(tmp_path / "out")


def test_a_folder_of_which_only_test_photographs_were_used_may_be_gone(command, draw, tmp_path, capsys):
    """Training ended with "No such file or directory", though it needs nothing of it."""
    draw.plain(tmp_path / "mine", train=3, test=None)
    draw.plain(tmp_path / "ext", train=0, test=2, size=(120, 130))
    words = "--data", tmp_path / "mine", tmp_path / "ext", "--out", tmp_path / "out", "--copies", 1
    assert command("augment", *words, "--workers", 1).code == 0
    shutil.rmtree(tmp_path / "ext")
    assert len(Pairs(tmp_path / "out").photographs("train")) == 2
    assert f"{tmp_path / 'ext'}: is gone, so " in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--validation", "0.4", "--seed", "3"]])
def test_the_command_that_training_gives_makes_these_pairs_anew(flags, command, draw, tmp_path, monkeypatch):
    """It was python augment.py --overwrite, of other data, into another folder."""
    draw.plain(tmp_path / "my eyes", train=3, test=1)
    words = "--data", tmp_path / "my eyes", "--out", tmp_path / "my pairs", "--copies", "1", *flags
    assert command("augment", *words, "--workers", 1).code == 0
    redrawn(tmp_path / "my eyes/train/masks/eye0.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem) as refusal:
        Pairs(tmp_path / "my pairs")
    given = str(refusal.value).split("Run  ")[1].removesuffix("  again.")
    assert shlex.split(given) == ["python", "augment.py", "--overwrite", "--data", "my eyes", "--copies", "1",
                                  *flags, "--out", "my pairs"]
    assert command("augment", *shlex.split(given)[2:], "--workers", 1).code == 0
    assert Pairs(tmp_path / "my pairs")


def as_earlier_versions_wrote(folder):
    """Takes out of a run.json what this version knows of the files, and makes paths absolute again."""
    run = read_json(folder / "run.json")
    del run["sources"], run["data"]
    if (folder / "manifest.csv").exists():
        run["settings"]["data"] = [(folder.parent / "data").resolve().as_posix()]
    write_json(folder / "run.json", run)


def test_pairs_of_an_earlier_version_are_known_and_cannot_be_checked(project):
    folder, augmenting = project
    table = pd.read_csv(folder / "augmented/manifest.csv", dtype=str, keep_default_na=False)
    for column in ("path", "mask path", "fov path"):
        table[column] = [place and (folder / "data" / place).as_posix() for place in table[column]]
    table.to_csv(folder / "augmented/manifest.csv", index=False)
    as_earlier_versions_wrote(folder / "augmented")
    run = read_json(folder / "augmented/run.json")
    run["manifest"] = room.sha256(folder / "augmented/manifest.csv")
    write_json(folder / "augmented/run.json", run)
    ended = augmenting()
    assert ended.code == 0 and "there already" in ended.out and "cannot be checked" in ended.err
    assert len(Pairs(folder / "augmented").photographs("train")) == 2
    write_json(folder / "augmented/run.json", {**run, "finished": False})
    ended = augmenting()
    assert ended.code == 2 and "cannot be checked" in ended.err and "--overwrite" in ended.err


# ---- testing.py ------------------------------------------------------------------------------------------

@pytest.fixture
def tested(command, draw, tiny_model, tmp_path, monkeypatch):
    """A tested set, a function that tests it again, and the list of what the network has seen."""
    draw.plain(tmp_path / "data", train=0, test=3, fovs=True)
    seen, predict = [], Predictor.__call__

    def counted(self, rgb, fov):
        seen.append(1)
        return predict(self, rgb, fov)

    monkeypatch.setattr(Predictor, "__call__", counted)

    def again(*words, data=tmp_path / "data"):
        seen.clear()
        return command("testing", "--data", data, "--out", tmp_path / "results", "--model", tiny_model,
                       "--precision", "float32", *words)

    assert again().code == 0
    return tmp_path / "data/test", again, seen


def scores(tmp_path):
    return pd.read_csv(tmp_path / "results/metrics.csv").set_index("photograph")


def test_what_changed_since_is_scored_anew_and_the_network_sees_no_more_than_it_must(tested, draw, tmp_path):
    folder, again, seen = tested
    before = scores(tmp_path)
    redrawn(folder / "masks/eye0.png")
    ended = again()
    assert ended.code == 0 and "1 mask changed (test/masks/eye0.png)" in ended.out and not seen
    after = scores(tmp_path)
    assert after.loc["eye0", "dice"] != before.loc["eye0", "dice"]
    assert after.loc["eye1", "dice"] == before.loc["eye1", "dice"]
    for kind, array in zip(("images", "masks", "fovs"), draw.eye(9), strict=True):
        draw.put(folder / kind / "eye1.png", array)  # another photograph of this name
        draw.put(folder / kind / "eye7.png", draw.eye(10)[("images", "masks", "fovs").index(kind)])
        (folder / kind / "eye2.png").unlink()
    ended = again()
    assert ended.code == 0 and len(seen) == 2
    for words in ("photograph added", "photograph removed (test/images/eye2.png)", "photograph changed"):
        assert words in ended.out
    assert list(scores(tmp_path).index)[:3] == ["eye0", "eye1", "eye7"]
    assert {path.stem for path in (tmp_path / "results/masks").iterdir()} == {"eye0", "eye1", "eye7"}
    assert "is finished" in again().out and not seen


def test_an_interrupted_test_scores_no_kept_probability_of_a_photograph_that_was_replaced(
        tested, draw, tmp_path, monkeypatch):
    folder, again, seen = tested

    def interrupted(*_):
        raise KeyboardInterrupt

    redrawn(folder / "masks/eye0.png")
    monkeypatch.setattr(testing, "write_text", interrupted)
    assert again().code == 130
    monkeypatch.undo()
    for kind, array in zip(("images", "masks", "fovs"), draw.eye(9), strict=True):
        draw.put(folder / kind / "eye1.png", array)
    before = cv2.imread(str(tmp_path / "results/probabilities/eye1.png"), cv2.IMREAD_UNCHANGED)
    assert again().code == 0
    after = cv2.imread(str(tmp_path / "results/probabilities/eye1.png"), cv2.IMREAD_UNCHANGED)
    assert not np.array_equal(before, after)


def test_a_test_goes_on_where_the_data_was_moved(tested, tmp_path):
    folder, again, seen = tested
    folder.parent.rename(tmp_path / "moved")
    ended = again(data=tmp_path / "moved")
    assert ended.code == 0 and "is finished" in ended.out and not seen


def test_of_an_earlier_versions_test_no_probability_is_kept_unless_it_is_finished(tested, tmp_path):
    _, again, seen = tested
    as_earlier_versions_wrote(tmp_path / "results")
    ended = again()
    assert ended.code == 0 and "is finished" in ended.out and "cannot be checked" in ended.err and not seen
    run = json.loads((tmp_path / "results/run.json").read_text())
    write_json(tmp_path / "results/run.json", {**run, "finished": False})
    assert again().code == 0 and len(seen) == 3


# ---- eval.py ---------------------------------------------------------------------------------------------

def test_a_photograph_replaced_under_the_same_name_is_segmented_anew(command, draw, tiny_model, tmp_path):
    paths = [draw.put(tmp_path / f"photographs/{name}.png", draw.eye(k)[0]) for k, name in enumerate("ab")]
    words = "eval", tmp_path / "photographs", "--model", tiny_model, "--out", tmp_path / "out"
    assert command(*words).code == 0
    kept, before = ((tmp_path / f"out/{name}_mask.png").stat().st_mtime_ns for name in "ab")
    draw.put(paths[1], draw.eye(5)[0])
    ended = command(*words)
    assert ended.code == 0 and "b.png: is another photograph than it was" in ended.err
    assert (tmp_path / "out/a_mask.png").stat().st_mtime_ns == kept
    assert (tmp_path / "out/b_mask.png").stat().st_mtime_ns > before
    assert "done already" in command(*words).out


# ---- the toy ---------------------------------------------------------------------------------------------

def test_a_model_of_the_drawn_samples_says_so_at_photographs_and_names_the_shipped_one(
        command, draw, own_model, tmp_path):
    import samples

    card = read_json(tmp_path / "model.json")
    drawn = {path.stem: room.sha256(path) for path in (samples.FOLDER / "train/images").iterdir()}
    card |= {"data": {"samples": {"train": drawn}}, "validation": {"dice": 0.91}}
    write_json(tmp_path / "model.json", card)
    photograph = draw.put(tmp_path / "eye.png", draw.eye(3)[0])
    ended = command("eval", photograph, "--model", own_model, "--out", tmp_path / "e")
    for words in ("drawn samples alone", "validation Dice 0.910", "vessels.keras"):
        assert words in ended.out
    folder = draw.plain(tmp_path / "s", train=0, test=1)
    ended = command("testing", "--data", folder, "--model", own_model, "--out", tmp_path / "t")
    assert "drawn samples alone" in ended.out
    sample = ROOT / "samples/test/images/drawn_09.png"
    ended = command("eval", sample, "--model", own_model, "--out", tmp_path / "d")
    assert ended.code == 0 and "drawn samples alone" not in ended.out


@pytest.mark.parametrize("dice, said", [(0.21, True), (0.5, False), (None, False)])
def test_a_training_that_failed_is_told_from_one_that_did_not(dice, said):
    from checkpoint import caution

    card = {"data": {"mine": {"train": {"a": "1"}}}, "validation": {"dice": dice}}
    assert bool(caution(card, ["x.png"])) == said


def test_no_model_that_comes_with_the_project_is_warned_of():
    from checkpoint import caution

    for path in (ROOT / "weights").glob("*.json"):
        assert caution(read_json(path), ["x.png"]) == ""


def test_more_folders_than_before_are_refused(tmp_path):
    with pytest.raises(Problem, match="got 1 of them for .*, here are 2"):
        room.folders_of({"data": {"": "x"}}, tmp_path, [tmp_path, tmp_path])


def test_the_finished_test_of_other_photographs_is_not_lost(
        command, refused, tiny_set, tiny_model, draw, everything, tmp_path):
    """All of it was removed without --overwrite when another set was tested into the same folder."""
    for name, eye in (("images", draw.eye(77)[0]), ("masks", draw.eye(77)[1])):
        draw.put(tmp_path / f"other/{name}/eye4.png", eye)  # a name that the first has, too
    words = "--model", tiny_model, "--precision", "float32", "--out", tmp_path / "o", "--data"
    assert command("testing", *words, tiny_set).code == 0
    before = everything(tmp_path / "o")
    sentence = refused("testing", *words, tmp_path / "other")
    assert "holds the test of other photographs" in sentence and everything(tmp_path / "o") == before
    assert command("testing", *words, tmp_path / "other", "--overwrite").code == 0


def test_a_file_that_changes_while_it_is_tested_is_no_success(
        command, tiny_set, tiny_model, tmp_path, monkeypatch):
    """A script would go on with scores of two versions of a photograph."""
    monkeypatch.setattr(Sources, "changed_meanwhile", lambda self: "1 photograph changed")
    ended = command("testing", "--data", tiny_set, "--out", tmp_path / "o", "--model", tiny_model)
    assert ended.code == 1 and "1 photograph changed meanwhile: run the same command again" in ended.err
