"""How wide vessels are drawn: the edges of a probability moved in or out."""

import math

import cv2
import numpy as np

# A drawing has every pixel that a vessel touches: half a pixel of the photograph too much on each side.
HALF_PIXEL = 0.5


def pen_shift(native, side, fov_sides=None):
    """Returns how far the edges of vessels are to be moved out (in if negative), in px of a square.

    native: px across the photograph's FOV. side: of the square, px. fov_sides: least and largest FOV of the
    training photographs, px. Within that range a network has learned which share of the FOV HALF_PIXEL is,
    so there nothing is moved.
    """
    least, most = fov_sides or (native, native)
    return HALF_PIXEL * side * (1 / native - 1 / min(max(native, least), most))


def edges_moved(probability, out):
    """Returns (S, S) in [0, 1] with the edges of vessels moved out by `out` px (in if negative).

    Ridges stay as they were. This is level-set motion, p + out |grad p| (Osher & Sethian 1988), in small
    steps of a form that does not leave [0, 1].
    """
    steps = math.ceil(abs(out) / 0.25)
    shrinking = 1 - probability if out > 0 else probability
    for _ in range(steps):
        slopes = (cv2.Sobel(shrinking, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((0, 1), (1, 0)))
        relative = cv2.magnitude(*slopes) / np.maximum(shrinking, 1e-6)
        shrinking = shrinking * np.exp(relative * np.float32(-abs(out) / steps))
    return 1 - shrinking if out > 0 else shrinking
