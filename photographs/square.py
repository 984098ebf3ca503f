"""The square around the FOV that the network sees, and the way back to the photograph's own pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 512
VIEWS = [(turn, flip) for flip in (False, True) for turn in range(4)]  # the eight flips and quarter turns


def seen_as(square, view):
    """Returns (S, S[, C]) turned and flipped as one of VIEWS says."""
    turn, flip = view
    turned = np.rot90(square, turn)
    return turned[:, ::-1] if flip else turned


def seen_back(square, view):
    """Undoes `seen_as`."""
    turn, flip = view
    return np.rot90(square[:, ::-1] if flip else square, -turn)


def box_of(fov):
    """Returns the box around a FOV or mask, (H, W) bool that is not empty, as slices of rows and columns."""
    rows, columns = (np.flatnonzero(fov.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True)
class Square:
    """The smallest square centred on the FOV's bounding box, in the photograph's pixels.

    It reaches beyond the photograph where the FOV is cut off, so `top` and `left` can be negative.
    """

    top: int
    left: int
    side: int

    @classmethod
    def around(cls, fov):
        """Returns the square of a FOV: (H, W) bool with at least one pixel set."""
        rows, columns = box_of(fov)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        side = max(height, width)
        return cls(rows.start - (side - height) // 2, columns.start - (side - width) // 2, side)

    def cut(self, values, fov, size=SIDE):
        """Returns the square of (H, W[, 3]) uint8 or bool as (size, size[, 3]) uint8, black outside the FOV.

        True becomes 255 and its edges become soft. Shrinking averages areas: a mask of DRIVE comes back with
        a Dice of 0.997 against 0.69 by nearest neighbours.
        """
        native, inner = self._overlap(fov.shape)
        square = np.zeros((self.side, self.side) + values.shape[2:], np.uint8)
        part = values[native] * np.uint8(255) if values.dtype == bool else values[native]
        cv2.bitwise_and(part, part, square[inner], mask=fov[native].view(np.uint8))
        if size == self.side:
            return square
        way = cv2.INTER_AREA if size < self.side else cv2.INTER_CUBIC
        return cv2.resize(square, (size, size), interpolation=way)

    def back(self, probability, fov):
        """Returns (size, size) float32 at native size: (H, W) float32 in [0, 1], zero outside the FOV."""
        size = len(probability)
        if size != self.side:
            way = cv2.INTER_CUBIC if size < self.side else cv2.INTER_AREA
            probability = cv2.resize(probability, (self.side, self.side), interpolation=way)
        native, inner = self._overlap(fov.shape)
        whole = np.zeros(fov.shape, np.float32)
        np.clip(probability[inner], 0, 1, out=whole[native])
        whole *= fov
        return whole

    def _overlap(self, shape):
        """Returns where the photograph and the square overlap: (rows, columns) of each."""
        rows = slice(max(self.top, 0), min(self.top + self.side, shape[0]))
        columns = slice(max(self.left, 0), min(self.left + self.side, shape[1]))
        inner = (slice(rows.start - self.top, rows.stop - self.top),
                 slice(columns.start - self.left, columns.stop - self.left))
        return (rows, columns), inner
