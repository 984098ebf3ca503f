"""What a model that knows other cameras learns of new ones: the pen of their observers, and nothing else."""

import cv2
import numpy as np
import pytest
from test_observed_pen import SIDE, drawn_lines

from card import Card, Plan
from fitting.best_pen import as_before, best_pens
from fitting.threshold import as_used
from photographs.labelled import Labelled
from photographs.square import Square
from predict import Predictor
from prediction.pen import Pens
from sets.layouts import Photograph

WIDTH = 6  # px, of the vessels that the network finds
CARD = {"threshold": 0.5, "side": SIDE, "calibration": {"temperature": 1.0, "bias": 0.0},
        "pens": {"known": 0.001}, "habit": -0.0006,
        "tta": {"threshold": 0.4, "side": SIDE, "calibration": {"temperature": 1.0, "bias": 0.0}}}


class Finds(Predictor):
    """Finds the same lines in every photograph, as sharp as a network draws them."""

    def __init__(self, plan):
        self.plan = plan

    def side(self, rgb, fov):
        return SIDE

    def seen(self, rgb, fov, side, views=()):
        return [cv2.GaussianBlur(drawn_lines(WIDTH), (0, 0), 1.2)] * 2


def photograph(name, of):
    return Photograph(of, name, f"{name}.png", "mask.png", None, "")


def drawn_by(wider):
    """A photograph whose observer draws vessels so much wider on either edge, px."""
    fov = np.ones((SIDE, SIDE), bool)
    return Labelled(np.zeros((SIDE, SIDE, 3), np.uint8), drawn_lines(WIDTH + 2 * wider) >= 0.5, fov,
                    Square.around(fov))


@pytest.mark.parametrize("wider", [-1, -0.5, 0, 0.5])
def test_the_best_pen_is_the_observers(wider):
    network = Finds(Plan(pens=Pens({})))
    mean, _ = network.seen(None, None, SIDE)
    pens = best_pens(network, [photograph("1", "mine")], [drawn_by(wider)], [mean])
    assert pens["mine"] * SIDE == pytest.approx(wider, abs=0.3)


def test_each_set_has_its_own_and_nothing_else_changes(monkeypatch):
    theirs = {"thin": -0.5, "thick": 0.5}
    monkeypatch.setattr(Labelled, "read", lambda photograph: drawn_by(theirs[photograph.set]))
    card = as_before(Finds, Card(CARD), [photograph(str(k), name) for k in range(2) for name in theirs])
    pens = card["pens"]
    assert pens.keys() == {"known", "thin", "thick"} and pens["known"] == 0.001
    assert pens["thin"] < -0.0005 and pens["thick"] > 0.0005
    assert card["validation"]["dice"] > 0.95 and card["tta"]["validation"]["dice"] > 0.9
    for new, old in ((card, CARD), (card["tta"], CARD["tta"])):
        assert all(new[key] == old[key] for key in ("threshold", "side", "calibration"))


@pytest.mark.parametrize("wider, at", [(-1.5, "thin"), (1.5, "wide"), (0.5, None)])
def test_a_pen_at_the_end_of_what_is_tried_is_told(wider, at, capsys):
    """Half a pixel of the FOV's 300 is .17 %; up to .3 % are tried."""
    network = Finds(Plan(pens=Pens({})))
    mean, _ = network.seen(None, None, SIDE)
    best_pens(network, [photograph("1", "mine")], [drawn_by(wider)], [mean])
    said = capsys.readouterr().err
    assert (f"mine: its masks are drawn so {at} that" in said) if at else not said


def test_photographs_are_judged_by_their_own_pen_even_where_their_size_is_not_known(monkeypatch):
    monkeypatch.setattr(Labelled, "read", lambda photograph: drawn_by(0.5))
    dice = [as_used(Finds(Plan(side=SIDE, pens=Pens({name: 0.5 / SIDE}))), [photograph("1", "mine")])[1]
            for name in ("mine", "another")]
    assert dice[0] > dice[1] + 0.01
