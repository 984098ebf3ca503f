"""How wide vessels are drawn: the pens that a card knows, and the edges of a probability moved in or out.

A pen is how much wider a drawing is than the vessel looks to the network, on either edge, as a share of the
FOV's side.
"""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from running.command import Problem

# A drawing has every pixel that a vessel touches: half a pixel of the photograph too much on each side.
HALF_PIXEL = 0.5
COARSEST = 536  # px across the FOV, of the coarsest camera known (DRIVE's): less has mostly been shrunk
HABIT = -0.0006  # of the FOV's side: the best for cameras that were left out (docs/cameras.md, "One pen")
SLOPE = 1.2  # log-odds a px: how a network's probability rises across an edge (docs/cameras.md, "One pen")
BY_ODDS = 0.5  # of an inward pen (docs/cameras.md)
DEFAULT, NONE = "default", "none"  # pens that every model knows
MOST_PERCENT = 1  # of the FOV's side: the widest vessels are .7 % wide


@dataclass(frozen=True)
class Pens:
    """What a card knows of pens, and the one that was asked for.

    of_sets: {set: its observer's pen}, which was taken out of its masks before training; None if the network
    has learned its observers' own. habit: what the default pen differs from half a pixel of the photograph, a
    share of the FOV's side. sizes: {set: [[width, height], ...]}, px, of pictures that no other set has.
    fov_sides: least and largest side of the training photographs' FOVs, px. chosen: a set's name, DEFAULT,
    NONE or a share in percent; None goes by the picture's size.
    """

    of_sets: dict | None = None
    habit: float = 0.0
    sizes: dict = field(default_factory=dict)
    fov_sides: tuple | None = None
    chosen: str | None = None

    def __post_init__(self):
        """Raises Problem if the pen that was asked for is not known."""
        if self.chosen is not None:
            self.share(1000, (0, 0), self.chosen)

    def share(self, native, shape, chosen=None):
        """Returns the pen for a photograph whose FOV is `native` px across and whose array has this `shape`.

        chosen: replaces the one that was asked for.
        """
        name = self.name(shape) if chosen is None else chosen
        if name == DEFAULT:
            return self._default(native)
        if name in (self.of_sets or {}):
            return self.of_sets[name]
        try:
            percent = 0.0 if name == NONE else float(name.removesuffix("%"))
        except ValueError:
            percent = math.nan
        if not abs(percent) <= MOST_PERCENT:
            known = ", ".join([*(self.of_sets or {}), DEFAULT, NONE])
            raise Problem(f"--pen {name}: is not a pen of this model. Give one of {known}, or a share of the "
                          f"FOV's side in percent, -{MOST_PERCENT} to {MOST_PERCENT}, such as 0.05.")
        return percent / 100

    @property
    def by_odds(self):
        """The share of an inward pen drawn by lower odds, 0 if the network has learned its observers' own."""
        return 0.0 if self.of_sets is None else BY_ODDS

    def name(self, shape):
        """Returns the name of the pen that a photograph is drawn with whose array has this shape.

        It is a set's, DEFAULT, NONE, or a share in percent of the FOV's side with its sign, such as 0.05%.
        """
        name = self._by_size(shape) if self.chosen is None else self.chosen
        return name if name in (DEFAULT, NONE, *(self.of_sets or {})) else f"{name.removesuffix('%')}%"

    def _by_size(self, shape):
        """Returns the set whose pictures alone have just this size, or DEFAULT."""
        size = [shape[1], shape[0]]
        return next((name for name in self.of_sets or {} if size in self.sizes.get(name, ())), DEFAULT)

    def _default(self, native):
        """Returns the pen for a camera that nobody drew.

        A photograph that was shrunk gets no wider pen for it. Without pens a network has learned which share
        of the FOV HALF_PIXEL is within `fov_sides`, so there nothing is moved.
        """
        if self.of_sets is not None:
            return HALF_PIXEL / max(native, COARSEST) + self.habit
        least, most = self.fov_sides or (native, native)
        return HALF_PIXEL / native - HALF_PIXEL / min(max(native, least), most)


def edges_moved(probability, out, by_odds=0.0):
    """Returns (S, S) in [0, 1] with the edges of vessels moved out by `out` px (in if negative).

    This is level-set motion, p + out |grad p| (Osher & Sethian 1988), in small steps of a form that does not
    leave [0, 1] and keeps ridges as they were. Inwards it makes the thinnest vessels vanish; the share
    `by_odds` of that way is gone by lower odds, which move an edge as far and leave the pixels' ranking as it
    was.
    """
    odds = math.exp(SLOPE * by_odds * min(0, out))
    out = max(out, out * (1 - by_odds))
    steps = math.ceil(abs(out) / 0.25)
    shrinking = 1 - probability if out > 0 else probability
    for _ in range(steps):
        down, right = (cv2.Sobel(shrinking, cv2.CV_32F, *way, ksize=3, scale=1 / 8)
                       for way in ((0, 1), (1, 0)))
        slope = np.sqrt(down * down + right * right)  # cv2.magnitude rounds otherwise in other processes
        relative = slope / np.maximum(shrinking, 1e-6)
        shrinking = shrinking * np.exp(relative * np.float32(-abs(out) / steps))
    return 1 - shrinking if out > 0 else odds * shrinking / (1 + (odds - 1) * shrinking)
