"""A photograph with the mask of its vessels, read: what can be learned from or measured on."""

from dataclasses import dataclass

import numpy as np

from photographs.fov import fov_of
from photographs.reading import read_photograph, read_vessels
from photographs.square import Square
from running.command import Problem


@dataclass(frozen=True)
class Labelled:
    """rgb (H, W, 3) uint8, mask and fov (H, W) bool, and the square around the FOV."""

    rgb: np.ndarray
    mask: np.ndarray
    fov: np.ndarray
    square: Square

    @classmethod
    def read(cls, photograph):
        """Returns a photograph, read; raises Problem if it has no mask or one of its files is not sound."""
        if photograph.mask is None:
            raise Problem(f"{photograph.path}: has no mask, so nothing can be learned from it. "
                          "Add masks to this set or leave it out.")
        rgb = read_photograph(photograph.path)
        fov = fov_of(photograph, rgb)
        return cls(rgb, read_vessels(photograph.mask, rgb.shape), fov, Square.around(fov))

    def cut(self, side):
        """Returns its square at `side` px as `Square.cut` does: photograph (S, S, 3) and soft mask (S, S)."""
        return self.square.cut(self.rgb, self.fov, side), self.square.cut(self.mask, self.fov, side)
