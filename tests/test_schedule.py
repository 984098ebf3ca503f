"""The learning rate: warm-up, half a cosine, and an end within the minutes that are given."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from fitting import schedule


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock.now)
    return clock


def annealed(steps, cut_at=None, minutes=None, clock=None, slow_steps=()):
    """The rate at each step. `cut_at` halves it, as ReduceLROnPlateau does.

    A step takes a second of `clock`, and those of `slow_steps`, {step: seconds}, so much more.
    """
    watcher = schedule.Anneal(steps, minutes)
    network = SimpleNamespace(optimizer=keras.optimizers.Adam(1.0), stop_training=False)
    watcher.set_model(network)
    watcher.on_train_begin()
    rates = []
    for step in range(steps):
        if step == cut_at:
            network.optimizer.learning_rate = 0.5 * float(network.optimizer.learning_rate)
        watcher.on_train_batch_begin(step)
        rates.append(float(network.optimizer.learning_rate))
        if clock:
            clock.now += 1 + dict(slow_steps).get(step, 0)
        watcher.on_train_batch_end(step)
        if network.stop_training:
            break
    return np.array(rates)


def test_the_rate_warms_up_reaches_its_height_once_and_comes_down():
    rates = annealed(200)
    top = rates.argmax()
    assert rates[0] < 0.1 and 4 <= top <= 8 and rates[top] == pytest.approx(1, abs=0.02)
    assert (np.diff(rates[:top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all() and rates[-1] < 0.02


def test_a_cut_by_the_plateau_stays_under_the_annealing():
    whole, cut = annealed(100), annealed(100, cut_at=40)
    assert np.allclose(cut[:40], whole[:40]) and np.allclose(cut[40:], 0.5 * whole[40:], rtol=1e-4)


def test_within_a_budget_the_rate_has_come_down_when_the_time_is_over(clock):
    rates = annealed(10000, minutes=1, clock=clock)
    assert len(rates) == 60, "a second a step: the fit stops after one minute"
    assert rates.max() > 0.9 and rates[-1] < 0.02


def test_a_machine_too_slow_for_the_limit_is_told_early(clock, capsys):
    annealed(600, minutes=5, clock=clock)
    said = capsys.readouterr().out
    assert "some 10 minutes" in said and "ends after 5" in said and "--minutes 0" in said
    for minutes in (15, 0):
        annealed(600, minutes=minutes, clock=clock)
        assert capsys.readouterr().out == ""


def test_a_machine_that_is_fast_enough_trains_as_without_a_limit(clock):
    """However long the first step takes, which compiles."""
    limited = annealed(600, minutes=12, clock=clock, slow_steps={0: 60, 1: 2})
    assert np.array_equal(limited, annealed(600))
