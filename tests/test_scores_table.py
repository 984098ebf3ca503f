"""The rows of metrics.csv, those that sum them up, and what summary.json repeats of them."""

import numpy as np
import pandas as pd
import pytest

from prediction.segmented import Segmented
from report.scores_table import COLUMNS, SCORES, Comparison, Scores, scores_of
from running.command import Problem


def comparison(seed, second=False, labelled=True):
    """A probability that knows a little of the reference, and a second observer who is a column off."""
    random = np.random.default_rng(seed)
    reference, fov = random.random((40, 50)) < 0.2, np.ones((40, 50), bool)
    fov[:, :5] = False
    levels = (np.clip(random.normal(0.3 + 0.4 * reference, 0.2), 0, 1) * 65535).astype(np.uint16) * fov
    segmented = Segmented(np.zeros((40, 50, 3), np.uint8), fov, levels, levels >= 32768)
    drawn = np.roll(reference, 1, axis=1) if second else None
    return Comparison(segmented, reference if labelled else None, drawn)


@pytest.fixture
def scores():
    """Of photographs with a second observer, with a reference, without one, and of one that was not read."""
    scores = Scores(0.5)
    photographs = {"a": comparison(1, second=True), "b": comparison(2), "c": comparison(3, labelled=False)}
    for name, photograph in photographs.items():
        scores.add(name, *scores_of(name, photograph, 0.5, note="trained on"))
    scores.failed["d"] = Problem("d.png: is damaged.")
    return scores


def test_photographs_come_first_then_what_sums_them_up_then_the_second_observer(scores):
    rows, summaries = scores.photographs(), scores.summaries()
    assert [row["photograph"] for row in rows] == ["a", "b", "c", "d"] and scores.scored() == 2
    assert [row["photograph"] for row in summaries] == [
        "mean", "standard deviation", "pooled",
        "second observer, mean", "second observer, standard deviation", "second observer, pooled"]
    assert all(list(row) == COLUMNS for row in rows + summaries)
    assert summaries[5]["dice"] == summaries[3]["dice"], "of a single second observer"


def test_mean_and_standard_deviation_are_those_of_pandas(scores):
    judge = pd.DataFrame(scores.photographs())[SCORES]
    mean, deviation = scores.summaries()[:2]
    assert [mean[key] for key in SCORES] == pytest.approx(list(judge.mean()), rel=1e-14)
    assert [deviation[key] for key in SCORES] == pytest.approx(list(judge.std()), rel=1e-14)
    assert all(np.isnan(scores.summaries()[4][key]) for key in SCORES), "of a single second observer"


def test_notes_say_what_was_not_scored_and_why(scores):
    notes = {row["photograph"]: row["note"] for row in scores.photographs()}
    assert notes["a"] == notes["b"] == "trained on"
    assert "no reference mask" in notes["c"] and notes["d"] == "d.png: is damaged."
    empty = comparison(4)
    empty.reference[:] = False
    rows, _ = scores_of("e", empty, 0.5, note="trained on")
    assert "no vessel" in rows["first"]["note"] and np.isnan(rows["first"]["dice"])


def test_pooled_scores_are_those_of_all_pixels_together(scores):
    alone, both = Scores(0.5), [comparison(1), comparison(2)]
    together = Comparison(Segmented(*(np.concatenate([getattr(each.segmented, key) for each in both])
                                  for key in ("rgb", "fov", "levels", "mask"))),
                      np.concatenate([each.reference for each in both]), None)
    alone.add("both", *scores_of("both", together, 0.5))
    pooled, whole = scores.for_json(), alone.for_json()
    for name in ("pooled", "pooled at 0.5", "pooled over the whole image"):
        assert {key: pooled[name][key] for key in ("dice", "mcc", "ece")} == \
            {key: whole[name][key] for key in ("dice", "mcc", "ece")}


def test_the_second_observer_has_no_ranking(scores):
    found = scores.for_json()["second observer, pooled"]
    assert [key for key, value in found.items() if value is None] == ["roc_auc", "average_precision", "ece"]


def test_without_a_reference_nothing_is_summed_up():
    scores = Scores(0.5)
    scores.add("a", *scores_of("a", comparison(1, labelled=False), 0.5))
    assert len(scores.photographs()) == 1 and scores.summaries() == [] and scores.for_json() == {}
    assert scores.scored() == 0
