"""--init: what is chosen for a few photographs, what is kept of the first model, and what the card says."""

import shutil

import numpy as np
import pytest
from conftest import ROOT, SMALL, same_weights, weights_in
from networks import DEPTH, WIDTH, shaken
from test_card import DOCUMENTED

import data
import training
from card import Card, pens_in
from fitting import fine_tuning
from fitting.fine_tuning import (
    cameras_of,
    card_of,
    learned_from,
    mean_of,
    predicts_as_before,
    renamed_as,
    shared_sizes,
)
from fitting.threshold import smallest_within
from model import unet
from running.command import Problem
from running.files import read_json, write_json

# ---- what is chosen --------------------------------------------------------------------------------------

@pytest.fixture
def settings_with(train, tmp_path, tiny_training, monkeypatch):
    """Starts a training with these words, stops it before the fit; returns its settings and what it said."""
    def stop(*_):
        raise Problem("Stopped.")

    monkeypatch.setattr(training, "watchers", stop)

    def starting(*words):
        ended = train(tmp_path / "c", "--overwrite", *words)
        return read_json(tmp_path / "c/run.json")["settings"], ended.out

    return starting


def test_init_alone_chooses_rate_loss_and_about_a_thousand_steps_and_says_so(settings_with, tiny_training):
    init = "--init", tiny_training / "model.keras"
    settings, said = settings_with(*init)
    assert (settings["rate"], settings["loss"], settings["epochs"]) == (1e-3, "dice+bce", 15), "at most 15"
    assert "Chosen for fine-tuning: --epochs 15 --rate 0.001 --loss dice+bce" in said
    settings, said = settings_with(*init, "--rate", 0.1, "--epochs", 2, "--loss", "bce")
    assert (settings["rate"], settings["loss"], settings["epochs"]) == (0.1, "bce", 2)
    assert "Chosen" not in said
    settings, said = settings_with(*init, "--loss", "bce")
    assert (settings["rate"], settings["loss"]) == (1e-3, "bce") and "--loss" not in said


@pytest.mark.parametrize("steps, minutes, epochs", [
    (640, None, 2), (1200, None, 1), (9000, None, 1), (250, None, 4), (2, None, 15), (640, 20, 15)])
def test_the_epochs_of_fine_tuning_are_a_thousand_steps_unless_time_is_given(steps, minutes, epochs):
    class Options:
        pass

    Options.minutes, Options.epochs, Options.drawn = minutes, None, False
    assert training.length_of(Options, Options, steps) == (minutes or training.MINUTES)
    assert Options.epochs == epochs


def test_without_init_nothing_is_chosen_or_said(settings_with):
    settings, said = settings_with()
    assert (settings["rate"], settings["loss"], settings["epochs"]) == (2e-3, "dice", 15)
    assert not said


# ---- the mean of two networks ----------------------------------------------------------------------------

def test_the_mean_of_two_networks_has_the_mean_of_weights_and_statistics():
    first, last = shaken(unet(WIDTH, DEPTH), 1), shaken(unet(WIDTH, DEPTH), 2)
    for share in (0, 0.25, 1):
        for mean, before, after in zip(*(network.get_weights() for network in (
                mean_of(first, last, share), first, last)), strict=True):
            assert np.allclose(mean, before + share * (after - before), atol=1e-6)
            assert share == 0.25 or np.array_equal(mean, (before, after)[share]), "to the last bit"


def test_the_smallest_within_is_taken_that_is_about_as_good_as_any():
    found = {0: 0.7, 0.25: 0.749, 0.5: 0.7501, 0.75: 0.751, 1: 0.748}
    assert smallest_within(found, 0.002) == 0.25
    assert smallest_within(found, 0) == 0.75
    assert smallest_within(dict.fromkeys(found, 0.7), 0) == 0, "what gains nothing changes nothing"


# ---- what the card still knows ---------------------------------------------------------------------------

SEEN = {"fov sides": [1000, 1100], "picture sizes": {"mine": [[1200, 1100], [565, 584]]},
        "photographs": {"brightness": 40.0, "sharpness": 0.02, "side": 1000.0},
        "pens": {"mine": -0.001}, "habit": -0.0015}
FIRST = {"fov sides": [536, 3263], "picture sizes": {"DRIVE": [[565, 584]], "HRF": [[3504, 2336]]},
         "photographs": {"brightness": 56.0, "sharpness": 0.01, "side": 536.0},
         "pens": {"DRIVE": 0.0004, "HRF": -0.0004}, "habit": -0.0006}


def test_a_model_that_goes_on_still_knows_the_cameras_that_it_knew():
    known = cameras_of(FIRST, SEEN, 0.5)
    assert known["pens"] == {"DRIVE": 0.0004, "HRF": -0.0004, "mine": -0.001}
    assert known["habit"] == pytest.approx((FIRST["habit"] + SEEN["habit"]) / 2)
    assert known["fov sides"] == [536, 3263]
    assert known["photographs"] == {"brightness": 40.0, "sharpness": 0.01, "side": 536.0}
    pens = pens_in(known)
    assert pens.share(3200, (2336, 3504)) == -0.0004 and pens.share(1050, (1100, 1200)) == -0.001
    assert pens.share(540, (584, 565)) == -0.001, "pictures as large as another's are of the newer camera"


def test_a_size_that_two_new_cameras_share_no_longer_tells_a_known_one(draw, tmp_path):
    """Their photographs were drawn with its pen."""
    seen = {**SEEN, "picture sizes": {"mine": [], "yours": []}, "pens": {"mine": -0.001, "yours": 0.002}}
    known = pens_in(cameras_of(FIRST, seen, 1, [[565, 584]]))
    assert known.name((584, 565)) == "default" and known.name((2336, 3504)) == "HRF"
    sites = [draw.plain(tmp_path / site, train=1, test=None) for site in ("A", "B")]
    draw.plain(tmp_path / "B", train=2, test=None, size=(120, 110))
    draw.put(sites[1] / "images/eye0.png", draw.eye(1)[0])
    draw.put(sites[1] / "masks/eye0.png", draw.eye(1)[1])
    assert shared_sizes(data.photographs_of([tmp_path], "all")) == [[110, 100]]
    assert shared_sizes(data.photographs_of(sites[:1], "all")) == []


def test_a_set_that_was_known_is_known_anew():
    known = cameras_of(FIRST | {"pens": {"mine": 0.5, "HRF": 0.1}}, SEEN, 1)
    assert known["pens"] == {"HRF": 0.1, "mine": -0.001}
    sizes = cameras_of(FIRST | {"picture sizes": {"mine": [[7, 7]]}}, SEEN, 1)["picture sizes"]
    assert sizes == {"mine": [[7, 7], *SEEN["picture sizes"]["mine"]]}, "photographs of both are known again"


def test_an_unknown_camera_is_drawn_as_the_first_model_did_by_its_part_of_the_weights():
    first = FIRST | {"habit": 0.001}
    habits = [cameras_of(first, SEEN, share)["habit"] for share in (0, 0.5, 1)]
    assert habits == [0.001, pytest.approx((0.001 + SEEN["habit"]) / 2), SEEN["habit"]]


def test_another_set_of_a_known_name_is_told_and_what_was_learned_from_stays_known(capsys, tmp_path):
    data = {"mine": {"train": {"1": "a" * 64}, "validation": {"2": "b" * 64}}}
    card = Card(read_json(ROOT / "weights/vessels.json") | {"data": data, "pens": {"mine": 0.0}})
    card.write(tmp_path / "model.json")
    card_of(tmp_path / "model.keras", (16, 4), {"mine": {"train": {"1": "a" * 64}}})
    assert not capsys.readouterr().err
    other = {"mine": {"train": {"1": "c" * 64}, "validation": {}}}
    card_of(tmp_path / "model.keras", (16, 4), other)
    assert "has learned from other photographs of a set called mine" in capsys.readouterr().err
    Card({key: card[key] for key in card if key != "data"}).write(tmp_path / "without.json")
    assert card_of(tmp_path / "without.keras", (16, 4), other)["pens"] == {"mine": 0.0}
    assert Card(learned_from(card, other)).parts_met() == {"a" * 64: "train", "b" * 64: "validation",
                                                           "c" * 64: "train"}


def test_of_a_first_model_without_pens_a_mean_keeps_its_part_of_what_it_draws():
    first = {key: value for key, value in FIRST.items() if key not in ("pens", "habit")}
    whole, half, none = (pens_in(cameras_of(first, SEEN, share)) for share in (1, 0.5, 0))
    assert (whole.of_sets["mine"], half.of_sets["mine"], none.of_sets) == (-0.001, -0.0005, None)
    assert none.share(1050, (9, 9)) == 0, "as the first model draws"
    assert half.share(3200, (2336, 3504)) == 0, "of its own cameras"
    for pens in (whole, half):
        assert pens.share(1000, (9, 9)) == pytest.approx(pens.of_sets["mine"], abs=1e-6)


def test_a_set_whose_folder_was_renamed_is_no_second_camera():
    """It lost its pictures' size, and its threshold stayed."""
    known = {"mine": {"train": {"1": "a"}, "validation": {"2": "b"}}, "HRF": {"train": {"1": "c"}}}
    first = Card({"data": known, "pens": {"mine": 1, "HRF": 2}, "habit": 3,
                  "picture sizes": {"mine": [[7, 7]], "HRF": []}})
    new = {"clinic": {"train": {"2": "b", "3": "d"}, "validation": {"1": "a"}}}
    knew = renamed_as(first, new)
    assert knew == {"data": {"clinic": known["mine"], "HRF": known["HRF"]}, "pens": {"clinic": 1, "HRF": 2},
                    "picture sizes": {"clinic": [[7, 7]], "HRF": []}, "habit": 3}
    assert Card(learned_from(knew, new)).parts_met() == {"a": "both", "b": "both", "c": "train", "d": "train"}
    for others in ({"clinic": {"train": {"1": "a"}}}, {"HRF": {"train": {"1": "a", "2": "b"}}},
                   {**new, "mine": {"train": {"4": "e"}}}, {}):
        assert renamed_as(first, others) == first, "some are others, or a name is known"
    one = {"both": {"train": {"1": "a", "2": "b", "3": "c"}}}
    assert len(renamed_as(first, one)["data"]) == 2, "nothing is lost"
    assert renamed_as(Card(), new) == {}


def test_without_a_first_card_the_new_cameras_are_all_that_is_known():
    assert cameras_of({}, SEEN, 1) == {**SEEN}


def test_the_card_names_what_the_first_model_learned_from_and_its_licences():
    known = {"DRIVE": {"train": {"21": "a"}, "validation": {"37": "b"}}}
    new = {"mine": {"train": {"x": "c"}, "validation": {"y": "d"}}}
    learned = learned_from({"data": known}, new)
    assert learned["data"] == known | new
    assert "DRIVE: for research" in learned["licence"] and "mine: as its owner says" in learned["licence"]


def test_a_threshold_stays_only_where_other_cameras_and_all_pens_are_known():
    """Pairs of an earlier version have no pens."""
    first = FIRST | {"tta": {}}
    pairs_without, without_pens = ({key: each[key] for key in each if key not in ("pens", "habit")}
                                   for each in (SEEN, first))

    def stays(first, seen, forgets):
        return predicts_as_before(first, cameras_of(first, seen, 1), forgets)

    assert stays(first, SEEN, {"HRF"}) and not stays(first, SEEN, set())
    assert not stays(first, pairs_without, {"HRF"}) and not stays(without_pens, SEEN, {"HRF"})
    assert not stays({}, SEEN, set())


# ---- from end to end -------------------------------------------------------------------------------------

@pytest.fixture
def tuned(command, tiny_pairs, tiny_training, tmp_path, monkeypatch):
    """Fine-tunes the tiny model; Given is what is right: by each share, as used after and before."""
    def tuning(by_share, after, before, *words, dice_before=0.8):
        found, used = iter(by_share), iter(((after, 0.8), (before, dice_before)))
        monkeypatch.setattr(fine_tuning, "right_at_best", lambda *_: next(found))
        monkeypatch.setattr(fine_tuning, "as_used", lambda *_: next(used))
        known = read_json(tiny_training / "model.json")
        chosen = [*known][[*known].index("vessel width"):]
        monkeypatch.setattr(fine_tuning, "tune", lambda *_: {key: known[key] for key in chosen})
        ended = command("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", "--batch", 2, *SMALL,
                        "--init", tiny_training / "model.keras", "--epochs", 1, *words)
        assert ended.code == 0, ended.err
        return ended.out, Card(read_json(tmp_path / "c/model.json")), tmp_path / "c/model.keras"

    return tuning


def test_half_of_the_way_is_kept_where_that_is_best(tuned, tiny_training):
    said, card, model = tuned((0.5, 0.6, 0.7, 0.6, 0.5), 0.7, 0.5)
    first, last = weights_in(tiny_training / "model.keras"), weights_in(model.parent / training.LAST)
    for name, weights in weights_in(model).items():
        assert np.allclose(weights, (first[name] + last[name]) / 2, atol=1e-6)
    assert card["fine-tuning"]["share"] == 0.5 and set(card) == DOCUMENTED
    assert card["epochs"] == 1
    assert card["fine-tuning"]["right by share"]["0.25"] == 0.6
    assert "50% of the way" in said and "70.00% of the centrelines are right" in said and "50.00%" in said


def test_a_model_that_would_be_worse_is_not_kept(tuned, tiny_training):
    said, card, model = tuned((0.5, 0.6, 0.7, 0.6, 0.5), 0.6, 0.65)
    assert same_weights(model, tiny_training / "model.keras")
    before = read_json(tiny_training / "model.json")
    assert {key: value for key, value in card.items() if key != "fine-tuning"} == before
    assert card["fine-tuning"]["share"] == 0 and card["fine-tuning"]["kept"] in said
    assert "65.00% of the centrelines" in said and "60.00% fine-tuned" in said and "Best epoch" not in said


def test_a_model_that_draws_vessels_as_wide_as_corrected_is_kept_for_a_few_lines_less(tuned):
    said, card, _ = tuned((0.5, 0.6, 0.7, 0.6, 0.5), 0.6, 0.65, dice_before=0.75)
    assert card["fine-tuning"]["share"] == 0.5 and card["fine-tuning"]["dice before"] == 0.75
    assert "60.00% of the centrelines are right" in said and "Dice 0.8000" in said and "0.7500" in said


def test_a_model_of_other_cameras_predicts_as_it_did_with_pens_for_the_new_ones(
        command, tiny_pairs, tiny_training, tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tuning, "as_used", lambda *_: (0.5, 0.5))
    model = shutil.copy(tiny_training / "model.keras", tmp_path)
    first = read_json(tiny_training / "model.json")
    (name, parts), = first["data"].items()
    parts = {part: {each: sha[::-1] for each, sha in own.items()} for part, own in parts.items()}
    first |= {"data": {"other": parts}, "pens": {"other": 0.0005}, "picture sizes": {"other": [[9, 9]]},
              "threshold": 0.123}
    write_json(tmp_path / "model.json", first)
    ended = command("training", "--pairs", tiny_pairs, "--out", tmp_path / "c", "--batch", 2, *SMALL,
                    "--init", model, "--epochs", 1)
    assert ended.code == 0, ended.err
    card = read_json(tmp_path / "c/model.json")
    assert all(card[key] == first[key] for key in ("threshold", "calibration", "side", "vessel width"))
    assert card["pens"].keys() == {"other", name} and card["pens"]["other"] == 0.0005
    assert card["validation"] != first["validation"] and set(card) == DOCUMENTED


def test_without_gain_the_first_weights_stay(tuned, tiny_training):
    said, card, model = tuned((0.5,) * 5, 0.6, 0.6)
    assert same_weights(model, tiny_training / "model.keras")
    assert card["fine-tuning"]["share"] == 0 and "not better" in said


def test_a_fit_that_ruins_the_network_ends_with_the_first_one(command, tiny_pairs, tiny_training, tmp_path):
    """Nothing of what is chosen is replaced here."""
    words = ("--pairs", tiny_pairs, "--out", tmp_path / "c", "--batch", 2, *SMALL, "--rate", 30)
    ended = command("training", *words, "--epochs", 1, "--init", tiny_training / "model.keras")
    assert ended.code == 0, ended.err
    card = read_json(tmp_path / "c/model.json")["fine-tuning"]
    assert same_weights(tmp_path / "c/model.keras", tiny_training / "model.keras") and card["share"] == 0


def test_a_model_without_its_card_can_be_gone_on_with(tuned, tiny_training, monkeypatch):
    monkeypatch.setattr(fine_tuning, "card_of", lambda *_: Card())
    said, card, _ = tuned((0.5, 0.6, 0.7, 0.6, 0.5), 0.7, None)
    assert card["fine-tuning"]["right before"] is None and "are right." in said
    assert set(card["data"]) == {"tiny"}


def test_what_is_kept_aside_but_was_learned_from_is_told(command, tiny_pairs, tiny_training, tmp_path):
    """As after another --seed of augment.py, or photographs that were added."""
    model = shutil.copy(tiny_training / "model.keras", tmp_path)
    known = read_json(tiny_training / "model.json")
    (name, parts), = known["data"].items()
    write_json(tmp_path / "model.json", known | {"data": {name: {"train": parts["validation"]}}})
    words = "--pairs", tiny_pairs, "--batch", 2, *SMALL, "--epochs", 1
    for first, count in ((model, len(parts["validation"])), (tiny_training / "model.keras", 0)):
        out = tmp_path / f"c{count}"
        ended = command("training", *words, "--out", out, "--init", first)
        assert ended.code == 0 and (f"{first} has learned from {count} photo" in ended.err) == (count > 0)
        assert ("these draw others, so put those of then into val/" in ended.err) == (count > 0)
        assert read_json(out / "model.json")["fine-tuning"]["learned before"] == count


def test_a_card_that_cannot_be_used_is_refused_before_the_fit(train, tiny_training, tmp_path):
    model = shutil.copy(tiny_training / "model.keras", tmp_path / "first.keras")
    write_json(tmp_path / "first.json", read_json(tiny_training / "model.json") | {"threshold": 5})
    ended = train(tmp_path / "c", "--init", model)
    assert ended.code == 2 and "first.json: its threshold" in ended.err and not (tmp_path / "c").exists()


def test_a_set_that_was_renamed_keeps_its_licence():
    known, new = {"HRF": {"train": {"1": "a"}}}, {"eyes": {"train": {"1": "a"}}}
    learned = learned_from(Card({"data": known}), new)
    assert list(learned["data"]) == ["eyes"] and "HRF: CC BY 4.0" in learned["licence"]
