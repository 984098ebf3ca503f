"""A photograph with the mask of its vessels, read: what can be learned from or measured on."""

from dataclasses import dataclass

import cv2
import numpy as np

from photographs.formats import orientation_of, turned
from photographs.fov import fov_of
from photographs.quality import looked_at
from photographs.reading import read_photograph, read_vessels
from photographs.square import Square
from running.command import Problem

LEAST_CONTRAST = 0.5  # standard deviations; 188 masks of six sets: .92 or more, mirrored: .19 at most
OF_ANOTHER = ("has its vessels where the photograph is neither darker nor lighter, as if it were the mask of "
              "another one")
ELSEWHERE = f"{OF_ANOTHER}. Look at it: python data.py DIR --picture found.png"


@dataclass(frozen=True)
class Labelled:
    """rgb (H, W, 3) uint8, mask and fov (H, W) bool, and the square around the FOV."""

    rgb: np.ndarray
    mask: np.ndarray
    fov: np.ndarray
    square: Square

    @classmethod
    def read(cls, photograph, remarks=None):
        """Returns a photograph, read; raises Problem if it has no mask or one of its files is not sound.

        remarks: see photographs.reading.
        """
        if photograph.mask is None:
            raise Problem(f"{photograph.path}: has no mask, so nothing can be learned from it. "
                          "Add masks to this set or leave it out.")
        rgb = read_photograph(photograph.path, remarks)
        fov = fov_of(photograph, rgb)
        mask = vessels_of(photograph.mask, photograph.path, rgb, fov, remarks)
        if not (mask & fov).any():
            raise Problem(f"{photograph.mask}: has no vessel inside the field of view of {photograph.path}. "
                          "Give the right mask or remove this photograph.")
        return cls(rgb, mask, fov, Square.around(fov))

    def cut(self, side):
        """Returns its square at `side` px as `Square.cut` does: photograph (S, S, 3) and soft mask (S, S)."""
        return self.square.cut(self.rgb, self.fov, side), self.square.cut(self.mask, self.fov, side)


def vessels_of(file, photograph, rgb, fov, remarks=None, empty_is_fine=False, elsewhere=ELSEWHERE):
    """Returns the mask in a file, (H, W) bool, read and compared with the photograph of this path.

    remarks: see photographs.reading; elsewhere: what is remarked of a mask that seems to be another's. Raises
    Problem as read_vessels does, and if the mask fits only when it is turned.
    """
    mask = read_vessels(file, rgb.shape, empty_is_fine, remarks)
    check_turn(file, mask, photograph, rgb)
    if remarks is not None and lies_elsewhere(rgb, fov, mask):
        remarks.append((file, elsewhere))
    return mask


def check_turn(file, mask, photograph, rgb):
    """Raises Problem if a mask fits its photograph only when it is turned too, as the EXIF turns that one.

    It was then drawn in a program that does not heed EXIF. file, photograph: paths of `mask` and `rgb`.
    """
    orientation = orientation_of(photograph)
    too = turned(mask, orientation)
    if orientation == 1 or too.shape != mask.shape or not mask.any():
        return
    green = rgb[..., 1].astype(np.float32)
    detail = green - cv2.GaussianBlur(green, (0, 0), max(rgb.shape) / 60)  # vessels are dark in it
    as_it_is, if_turned = float(detail[mask].mean()), float(detail[too].mean())
    if if_turned < min(2 * as_it_is, as_it_is - 1):
        raise Problem(f"{file}: fits its photograph only if it is turned as EXIF turns that one. "
                      "Turn the mask too, or take the orientation out of the photograph's EXIF.")


def lies_elsewhere(rgb, fov, mask):
    """Returns whether the vessels drawn are as dark as what is beside them, away from the FOV's edge."""
    square = Square.around(fov)
    small, _, core = looked_at(rgb, fov, square)
    size, green, core = len(small), small[..., 1].astype(np.float32), core > 0
    detail = green - cv2.GaussianBlur(green, (0, 0), size / 64)
    vessels = core & (square.cut(mask, fov, size) >= 128)
    return bool(vessels.any()) and abs(detail[vessels].mean()) < LEAST_CONTRAST * detail[core].std()
