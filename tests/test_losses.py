"""Losses and metrics of the fit against Keras's own Dice and fractions worked by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import losses
from running.command import Problem


def squares(seed, *shape, share=0.2):
    random = np.random.default_rng(seed)
    return (random.random(shape) < share).astype("float32"), random.random(shape).astype("float32")


def gradient(function, y_true, y_pred):
    """Of the mean loss by the prediction, worked out by TensorFlow."""
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = tf.reduce_mean(function(tf.constant(y_true), y_pred))
    return tape.gradient(value, y_pred).numpy()


def test_dice_loss_is_that_of_keras_on_masks_of_0_and_1():
    y, p = squares(0, 3, 32, 48, 1)
    keras_dice = keras.losses.Dice(axis=(1, 2, 3), reduction=None)
    np.testing.assert_allclose(losses.dice_loss(y, p), keras_dice(y, p), atol=1e-6)


def test_dice_loss_has_the_gradient_of_keras_on_masks_of_0_and_1():
    y, p = squares(1, 2, 16, 16, 1)
    keras_dice = keras.losses.Dice(axis=(1, 2, 3), reduction=None)
    ours, stock = gradient(losses.dice_loss, y, p), gradient(keras_dice, y, p)
    np.testing.assert_allclose(ours, stock, rtol=1e-3, atol=1e-7)


def test_soft_metrics_worked_by_hand():
    y = np.array([1, 1, 1, 0, 0, 0], "float32").reshape(1, 2, 3, 1)
    p = np.array([1, 1, 0, 1, 0, 0], "float32").reshape(1, 2, 3, 1)
    assert float(losses.dice_coefficient(y, p)[0]) == pytest.approx(4 / 6)
    assert float(losses.iou(y, p)[0]) == pytest.approx(2 / 4)
    assert float(losses.precision(y, p[:, :, :])[0]) == pytest.approx(2 / 3)
    assert float(losses.recall(y, np.maximum(p, y))[0]) == pytest.approx(1)
    # Soft: |y| = 1, |p| = 0.75, |y - p| = 0.25 + 0.5 = 0.75, so the intersection is 0.5.
    y = np.array([0.5, 0.5], "float32").reshape(1, 1, 2, 1)
    p = np.array([0.75, 0.0], "float32").reshape(1, 1, 2, 1)
    assert float(losses.dice_coefficient(y, p)[0]) == pytest.approx(1 / 1.75)
    assert float(losses.iou(y, p)[0]) == pytest.approx(0.5 / 1.25)
    assert float(losses.precision(y, p)[0]) == pytest.approx(0.5 / 0.75)
    assert float(losses.recall(y, p)[0]) == pytest.approx(0.5)


@pytest.mark.parametrize("metric", losses.METRICS, ids=lambda metric: metric.__name__)
def test_the_best_prediction_of_a_soft_mask_is_the_mask_itself(metric):
    _, soft = squares(2, 2, 16, 16, 1)
    np.testing.assert_allclose(metric(soft, soft), 1, atol=1e-6)


def test_sharpening_a_soft_mask_does_not_please_the_dice_loss():
    _, soft = squares(2, 1, 16, 16, 1)
    assert float(losses.dice_loss(soft, np.rint(soft))[0]) > 0.1


@pytest.mark.parametrize("metric", losses.METRICS, ids=lambda metric: metric.__name__)
def test_nothing_predicted_where_nothing_is_counts_as_right(metric):
    empty = np.zeros((2, 8, 8, 1), "float32")
    np.testing.assert_allclose(metric(empty, empty), 1)


def test_each_square_has_its_own_dice():
    y, p = squares(3, 2, 8, 8, 1)
    y[1] = p[1] = 0
    both = np.array(losses.dice_coefficient(y, p))
    assert both[1] == 1 and both[0] == pytest.approx(float(losses.dice_coefficient(y[:1], p[:1])[0]))


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_losses_and_gradients_are_finite_at_empty_masks(name, level):
    y = np.zeros((2, 16, 16, 1), "float32")
    p = np.full_like(y, level)
    assert np.isfinite(np.array(losses.loss(name)(y, p))).all()
    assert np.isfinite(gradient(losses.loss(name), y, p)).all()


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_is_one_float32_a_square_and_least_for_the_mask_itself(name):
    y, p = squares(4, 3, 32, 32, 1)
    value = losses.loss(name)(y, p)
    assert tuple(value.shape) == (3,) and keras.backend.standardize_dtype(value.dtype) == "float32"
    assert (np.array(losses.loss(name)(y, y)) < 0.01).all() and (np.array(value) > 0.1).all()


def test_bfloat16_is_summed_in_float32():
    y, p = squares(5, 1, 128, 128, 1)
    half = keras.ops.cast(p, "bfloat16")
    expected = float(losses.dice_loss(y, keras.ops.cast(half, "float32"))[0])
    assert float(losses.dice_loss(y, half)[0]) == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_worked_by_hand_for_a_soft_mask():
    y = np.array([0.25, 1.0], "float32").reshape(1, 1, 2, 1)
    p = np.array([0.5, 0.8], "float32").reshape(1, 1, 2, 1)
    expected = (math.log(2) - math.log(0.8)) / 2
    assert float(losses.bce_loss(y, p)[0]) == pytest.approx(expected, rel=1e-5)
    mixed = 0.5 * expected + 0.5 * float(losses.dice_loss(y, p)[0])
    assert float(losses.loss("dice+bce")(y, p)[0]) == pytest.approx(mixed, rel=1e-5)


def bar(*rows):
    """A square of 16 x 24 with a bar over these rows and columns 4 to 19."""
    square = np.zeros((1, 16, 24, 1), "float32")
    square[:, slice(*rows), 4:20] = 1
    return square


def test_soft_skeleton_of_a_bar_is_its_middle_line():
    skeleton = np.array(losses.soft_skeleton(bar(6, 9)))[0, :, :, 0]
    assert (skeleton[7, 5:19] == 1).all()
    assert skeleton[:7, 6:18].sum() == 0 and skeleton[8:, 6:18].sum() == 0


def test_a_cut_vessel_costs_more_centreline_than_a_thin_one():
    thick, thin, broken = bar(5, 10), bar(6, 9), bar(5, 10)
    broken[:, :, 10:14] = 0
    assert float(losses.cldice_loss(thick, thin)[0]) < 0.1
    assert float(losses.cldice_loss(thick, broken)[0]) > float(losses.cldice_loss(thick, thin)[0]) + 0.05
    assert float(losses.dice_loss(thick, broken)[0]) < float(losses.dice_loss(thick, thin)[0])


def test_shapes_that_do_not_match_are_told():
    y, p = np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 9, 1))
    with pytest.raises(ValueError, match=r"\(2, 8, 8, 1\) and \(2, 8, 9, 1\)"):
        losses.dice_loss(y, p)
    for wrong in ((2, 8, 8), (2, 8, 8, 2)):
        with pytest.raises(ValueError, match="N, H, W, 1"):
            losses.dice_loss(np.zeros(wrong), np.zeros(wrong))


def test_an_unknown_loss_is_answered_with_the_known_ones():
    with pytest.raises(Problem, match=r"'focal'.*dice, dice\+bce, bce, dice\+bce\+cldice"):
        losses.loss("focal")


def test_fit_reports_every_metric_and_learns():
    y = bar(5, 10).repeat(8, axis=0)
    network = keras.Sequential([keras.Input((16, 24, 1)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    network.compile(keras.optimizers.Adam(0.3), loss=losses.loss("dice+bce"), metrics=losses.METRICS)
    history = network.fit(y, y, epochs=8, verbose=0, validation_data=(y, y)).history
    assert {"val_dice_coefficient", "val_iou", "val_precision", "val_recall"} <= set(history)
    assert history["loss"][-1] < history["loss"][0]
    p = network.predict(y, verbose=0)
    dice = float(losses.dice_coefficient(y, p)[0])
    assert history["val_dice_coefficient"][-1] == pytest.approx(dice, abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(arrays.arrays(np.float32, (2, 4, 5, 1), elements=st.floats(0, 1, width=32)),
       arrays.arrays(np.float32, (2, 4, 5, 1), elements=st.floats(0, 1, width=32)))
@example(np.ones((2, 4, 5, 1), np.float32), np.full((2, 4, 5, 1), 1e-5, np.float32))  # areas far apart
def test_soft_metrics_stay_in_bounds_for_any_soft_mask(y, p):
    dice, overlap = np.array(losses.dice_coefficient(y, p)), np.array(losses.iou(y, p))
    for metric in losses.METRICS:
        value = np.array(metric(y, p))
        assert (value >= -1e-5).all() and (value <= 1 + 1e-5).all()
    np.testing.assert_allclose(dice, losses.dice_coefficient(p, y), atol=1e-5)
    np.testing.assert_allclose(dice, losses.dice_coefficient(y[:, ::-1], p[:, ::-1]), atol=1e-5)
    assert (overlap <= dice + 1e-5).all()


