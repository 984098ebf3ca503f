"""Drawn shapes whose measures are known on paper: bars, rays from one point, a picture of this side.

    mask = bar(5, 30) | rays(90, -30, 210)        (SIDE, SIDE) bool
"""

import math

import numpy as np

SIDE = 300
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def bar(width, degrees, length=200, centre=(149.7, 150.2), start=None, pixels=(ROWS, COLUMNS)):
    """A straight bar around `centre`, or from `start` px behind it on; `pixels`: their rows and columns."""
    turn, start = math.radians(degrees), -length / 2 if start is None else start
    down, right = pixels[0] - centre[0], pixels[1] - centre[1]
    along = right * math.cos(turn) + down * math.sin(turn)
    across = down * math.cos(turn) - right * math.sin(turn)
    return (along >= start) & (along < start + length) & (abs(across) < width / 2)


def rays(*degrees, width=5, pixels=(ROWS, COLUMNS)):
    """Bars of 120 px from the middle of the picture outwards."""
    return np.logical_or.reduce([bar(width, angle, 120, (150, 150), 0, pixels) for angle in degrees])


def near(shape, *points, radius):
    """Which pixels' centres lie within `radius` of the line through the points, (H, W) bool."""
    y, x = np.mgrid[:shape[0], :shape[1]] + 0.5
    found = np.zeros(shape, bool)
    for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
        along = np.clip(along, 0, 1)
        found |= np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) <= radius
    return found
