"""Scores of arrays against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import metrics
from photographs.fov import find_fov
from photographs.reading import read_mask, read_photograph
from running.command import Problem


def drawn(seed, levels=65536, shape=(60, 80)):
    """Probability in [0, 1] that knows a little, with ties where `levels` are few; reference; FOV."""
    random = np.random.default_rng(seed)
    reference = random.random(shape) < 0.2
    probability = np.clip(random.normal(0.35 + 0.3 * reference, 0.2), 0, 1)
    probability = (np.rint(probability * (levels - 1)) / (levels - 1)).astype(np.float32)
    return probability, reference, random.random(shape) < 0.8


@pytest.mark.parametrize("levels", [2, 16, 65536])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.71])
def test_scores_are_those_of_scikit_learn(levels, threshold):
    judge = pytest.importorskip("sklearn.metrics")
    probability, reference, fov = drawn(levels, levels)
    found = metrics.scores(metrics.histogram(probability, reference, fov), threshold)
    true, p = reference[fov], np.rint(probability[fov].astype(float) * 65535)
    mask = metrics.cut(probability, threshold)[fov]
    expected = {
        "dice": judge.f1_score(true, mask),
        "iou": judge.jaccard_score(true, mask),
        "precision": judge.precision_score(true, mask),
        "recall": judge.recall_score(true, mask),
        "specificity": judge.recall_score(~true, ~mask),
        "accuracy": judge.accuracy_score(true, mask),
        "mcc": judge.matthews_corrcoef(true, mask),
        "roc_auc": judge.roc_auc_score(true, p),
        "average_precision": judge.average_precision_score(true, p),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert set(found) == {*expected, "ece"}


def by_hand():
    """tp 3, fp 1, fn 2, tn 4 at 0.5; a vessel outside the FOV that must not count."""
    probability = np.array([[0.9, 0.8, 0.5, 0.7, 0.2, 0.1, 0.4, 0.3, 0.0, 0.0, 1.0]])
    reference = np.array([[1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0]], bool)
    fov = np.array([[1] * 10 + [0]], bool)
    return metrics.histogram(probability, reference, fov)


def test_scores_worked_by_hand():
    expected = {
        "dice": 6 / 9,
        "iou": 3 / 6,
        "precision": 3 / 4,
        "recall": 3 / 5,
        "specificity": 4 / 5,
        "accuracy": 7 / 10,
        "mcc": (3 * 4 - 1 * 2) / math.sqrt(4 * 5 * 5 * 6),
        # Pairs won by the vessel: 0.9, 0.8 win 5 each; 0.5 wins 4; 0.2 and 0.1 win against the two zeros.
        "roc_auc": (5 + 5 + 4 + 2 + 2) / 25,
        # Precision at each vessel, from the top: 1, 1, 3/4 after 0.7, 4/7 and 5/8 after 0.4, 0.3.
        # Recall rises by 1/5 at each.
        "average_precision": (1 + 1 + 3 / 4 + 4 / 7 + 5 / 8) / 5,
    }
    found = metrics.scores(by_hand(), 0.5)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_calibration_error_worked_by_hand():
    # Bins of 1/15: 13, 13, 1, 1 and the last, which holds 1.
    probability = np.array([[0.90, 0.92, 0.10, 0.12, 1.0]])
    reference = np.array([[True, False, False, False, True]])
    counts = metrics.histogram(probability, reference, np.ones((1, 5), bool))
    expected = (2 * abs(0.91 - 0.5) + 2 * abs(0.11 - 0) + 0) / 5
    assert metrics.scores(counts, 0.5)["ece"] == pytest.approx(expected, abs=1e-4)
    mean, share, pixels = metrics.reliability(counts)
    assert pixels.tolist() == [0, 2] + [0] * 11 + [2, 1]
    assert mean[[1, 13, 14]] == pytest.approx([0.11, 0.91, 1], abs=1e-4)
    assert share[[1, 13, 14]].tolist() == [0, 0.5, 1] and np.isnan(mean[0]) and np.isnan(share[0])


def test_pooled_scores_are_those_of_all_pixels_together():
    one, other = drawn(1), drawn(2)
    together = [np.concatenate(pair) for pair in zip(one, other, strict=True)]
    pooled = metrics.histogram(*one) + metrics.histogram(*other)
    assert (pooled == metrics.histogram(*together)).all()
    assert pooled.dtype == np.int64 and pooled.shape == (2, 65536)


def test_written_and_fresh_probabilities_give_one_histogram_and_one_mask():
    probability, reference, fov = drawn(3)
    written = np.rint(probability * 65535).astype(np.uint16)
    fresh = metrics.histogram(probability, reference, fov)
    assert (fresh == metrics.histogram(written, reference, fov)).all()
    assert (metrics.cut(probability, 0.37) == metrics.cut(written, 0.37)).all()
    assert np.abs(metrics.probability_of(written) - probability).max() <= 0.5 / 65535 + 1e-7


def test_the_cut_takes_the_threshold_itself_and_every_level_gives_itself_back():
    assert metrics.cut(np.array([0.4999, 0.5, 0.5001]), 0.5).tolist() == [False, True, True]
    for level in range(1, 65536):
        assert metrics.cut(np.uint16([level - 1, level]), level / 65535).tolist() == [False, True]
    assert metrics.cut(np.array([0.0, 1.0]), 0.0).all()
    assert metrics.cut(np.array([0.99, 1.0]), 1.0).tolist() == [False, True]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        metrics.cut(np.array([0.5]), threshold)


def test_another_observers_mask_is_scored_like_a_probability():
    probability, reference, fov = drawn(4)
    mask = probability > 0.5
    found = metrics.scores(metrics.histogram(mask, reference, fov), 0.5)
    assert found["recall"] == (mask & reference & fov).sum() / (reference & fov).sum()


def test_what_cannot_be_counted_is_refused():
    probability, reference, fov = drawn(5)
    for wrong in ((probability[1:], reference, fov), (probability, reference.astype(np.uint8) * 255, fov),
                  (probability * 255, reference, fov), (probability * np.nan, reference, fov)):
        with pytest.raises(ValueError, match="must be"):
            metrics.histogram(*wrong)


ABOUT_VESSELS = {"dice", "iou", "precision", "recall", "mcc", "roc_auc", "average_precision"}


def undefined(counts):
    return {name for name, value in metrics.scores(counts, 0.5).items() if math.isnan(value)}


def test_what_cannot_be_said_is_nan_with_its_reason():
    probability, reference, fov = drawn(6)
    no_vessel = metrics.histogram(probability, reference & False, fov)
    no_view = metrics.histogram(probability, reference, fov & False)
    all_vessel = metrics.histogram(probability, reference | True, fov)
    assert undefined(no_vessel) == ABOUT_VESSELS and "no vessel" in metrics.why_not(no_vessel)
    assert undefined(no_view) == ABOUT_VESSELS | {"specificity", "accuracy", "ece"}
    assert "field of view is empty" in metrics.why_not(no_view)
    assert undefined(all_vessel) == {"specificity", "mcc", "roc_auc"}
    assert "everywhere" in metrics.why_not(all_vessel)
    assert metrics.why_not(metrics.histogram(probability, reference, fov)) == ""


def test_an_empty_prediction_scores_nothing_but_has_no_precision():
    _, reference, fov = drawn(7)
    counts = metrics.histogram(np.zeros(reference.shape), reference, fov)
    found = metrics.scores(counts, 0.5)
    assert [found[name] for name in ("dice", "iou", "recall", "mcc", "specificity")] == [0, 0, 0, 0, 1]
    assert undefined(counts) == {"precision"} and found["roc_auc"] == 0.5


def test_the_roc_curve_is_exact_thin_and_reaches_both_corners():
    judge = pytest.importorskip("sklearn.metrics")
    probability, reference, fov = drawn(8, shape=(400, 400))
    x, y = metrics.roc_curve(metrics.histogram(probability, reference, fov))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1) and 900 < len(x) <= 1000
    fpr, tpr, _ = judge.roc_curve(reference[fov], np.rint(probability[fov] * 65535), drop_intermediate=False)
    points = set(zip(fpr.tolist(), tpr.tolist(), strict=True))
    assert set(zip(x.tolist(), y.tolist(), strict=True)) <= points
    assert np.trapezoid(y, x) == pytest.approx(judge.auc(fpr, tpr), abs=1e-5)


def test_the_precision_recall_curve_is_exact_and_thin():
    judge = pytest.importorskip("sklearn.metrics")
    probability, reference, fov = drawn(9, shape=(400, 400))
    x, y = metrics.pr_curve(metrics.histogram(probability, reference, fov))
    assert x[-1] == 1 and (np.diff(x) >= 0).all() and len(x) <= 1000
    precision, recall, _ = judge.precision_recall_curve(reference[fov], np.rint(probability[fov] * 65535))
    points = set(zip(recall.tolist(), precision.tolist(), strict=True))
    assert set(zip(x.tolist(), y.tolist(), strict=True)) <= points


def test_curves_without_a_vessel_are_empty():
    probability, reference, fov = drawn(10)
    counts = metrics.histogram(probability, reference & False, fov)
    assert [len(side) for side in metrics.roc_curve(counts) + metrics.pr_curve(counts)] == [0, 0, 0, 0]


def test_a_short_curve_is_left_whole():
    x, y = metrics.pr_curve(by_hand())
    assert x.tolist() == [0.2, 0.4, 0.4, 0.6, 0.6, 0.6, 0.8, 1, 1]
    assert y == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5, 1 / 2, 4 / 7, 5 / 8, 1 / 2])


def test_the_best_threshold_beats_every_other():
    counts = metrics.histogram(*drawn(11, levels=200))
    best = metrics.scores(counts, metrics.best_threshold(counts))["dice"]
    assert best == max(metrics.scores(counts, threshold)["dice"] for threshold in np.linspace(0, 1, 400))


def test_the_best_threshold_lies_in_the_middle_of_equally_good_ones():
    probability = np.array([[0.2, 0.6, 0.6]])
    counts = metrics.histogram(probability, probability > 0.5, probability > 0)
    assert metrics.best_threshold(counts) == pytest.approx(0.4, abs=1e-4)


def test_no_threshold_is_chosen_from_masks_without_a_vessel():
    with pytest.raises(Problem, match="no vessel"):
        metrics.best_threshold(np.zeros((2, 65536), np.int64))


def lines(*rows):
    """Lines of one pixel, which are their own skeletons, over columns 2 to 11 of a picture 20 x 20."""
    mask = np.zeros((20, 20), bool)
    mask[list(rows), 2:12] = True
    return mask


def test_cldice_worked_by_hand():
    fov = np.ones((20, 20), bool)
    assert metrics.cldice(lines(5, 10), lines(5, 10), fov) == 1
    # All that is drawn is true, half of the truth is drawn: 2 x 1 x 0.5 / 1.5.
    assert metrics.cldice(lines(5), lines(5, 10), fov) == pytest.approx(2 / 3)
    # A third of what is drawn is true, all of the truth is drawn.
    assert metrics.cldice(lines(5, 10, 15), lines(5), fov) == pytest.approx(2 * (1 / 3) / (4 / 3))


def test_cldice_hardly_minds_the_width_of_a_vessel():
    # The skeleton of three rows is 9 pixels long, the last in a corner: 2 x 8/9 / (17/9). Dice would be 1/2.
    assert metrics.cldice(lines(4, 5, 6), lines(5), np.ones((20, 20), bool)) == pytest.approx(16 / 17)


def test_cldice_looks_only_inside_the_fov():
    fov = np.ones((20, 20), bool)
    fov[8:] = False
    assert metrics.cldice(lines(5, 15), lines(5, 10), fov) == 1


def test_cldice_with_nothing_drawn_or_nothing_there():
    fov, empty = np.ones((20, 20), bool), np.zeros((20, 20), bool)
    assert metrics.cldice(empty, lines(5), fov) == 0
    assert math.isnan(metrics.cldice(lines(5), empty, fov))
    assert math.isnan(metrics.cldice(lines(5), lines(5), empty))


masks = arrays.arrays(bool, (6, 7))


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.uint16, (6, 7)), masks, masks, st.floats(0, 1))
def test_scores_stay_in_bounds_and_do_not_mind_flips(probability, reference, fov, threshold):
    found = metrics.scores(metrics.histogram(probability, reference, fov), threshold)
    for name, value in found.items():
        assert math.isnan(value) or -(name == "mcc") - 1e-9 <= value <= 1 + 1e-9
    flipped = metrics.histogram(probability[::-1, ::-1], reference[::-1, ::-1], fov[::-1, ::-1])
    assert metrics.scores(flipped, threshold) == pytest.approx(found, nan_ok=True)
    if not math.isnan(found["dice"]):
        assert found["dice"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))


@settings(deadline=None, max_examples=60)
@given(masks, masks, masks)
def test_dice_is_the_same_whoever_is_the_reference(one, other, fov):
    there = metrics.scores(metrics.histogram(one, other, fov), 0.5)
    back = metrics.scores(metrics.histogram(other, one, fov), 0.5)
    if (one & fov).any() and (other & fov).any():
        assert there["dice"] == back["dice"] and there["precision"] == back["recall"]


def test_the_second_observer_of_chase_scores_as_measured_elsewhere(shared):
    """Pooled Dice 0.7764, mean clDice 0.8349, with FOVs found by a threshold."""
    pooled, lengths = np.zeros((2, 65536), np.int64), []
    for path in sorted((shared / "CHASE_DB1").glob("Image_*.jpg")):
        fov = find_fov(read_photograph(path))
        first, second = (read_mask(path.with_name(f"{path.stem}_{name}HO.png")) for name in ("1st", "2nd"))
        pooled += metrics.histogram(second, first, fov)
        lengths.append(metrics.cldice(second, first, fov))
    scores = metrics.scores(pooled, 0.5)
    assert len(lengths) == 28 and np.mean(lengths) == pytest.approx(0.8349, abs=0.005)
    found = [scores["dice"], scores["recall"], scores["mcc"]]
    assert found == pytest.approx([0.7764, 0.7606, 0.7522], abs=0.002)
