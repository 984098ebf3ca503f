"""How much of a mask would have to be corrected: models are compared by it, whatever pen they draw with.

A corrected mask has the edges of the prediction that it was made from, and lacks short pieces that nobody
cared to add. By Dice, or by every pixel of centrelines, no other model is as good as the one that predicted
(docs/fine-tuning.md).
"""

import cv2
import numpy as np
from skimage.morphology import skeletonize

REACH, SEEN = 0.005, 0.02  # of the FOV's side: so far off a line is the same, so long a piece is corrected
FINEST = 1280  # px, side of the square on which masks are compared at most
TOUCHED = 0.375  # of a pixel's area: so much makes it vessel, or thin ones would vanish in a coarser square


def right_lines(mask, example):
    """Returns the share of centrelines that nobody would have to correct in a mask: (H, W) bool -> [0, 1].

    To be corrected are pieces that are SEEN: of lines of the mask farther than REACH from any line of the
    example, a Labelled, and the reverse (the buffer method of Wiedemann et al. 1998, "Empirical evaluation of
    automatically extracted road axes", for such pieces).
    """
    square, side = example.square, min(FINEST, example.square.side)
    both = (square.cut(each, example.fov, side) >= TOUCHED * 255 for each in (mask, example.mask))
    lines = [skeletonize(each) for each in both]
    wrong = [long_pieces(line & ~near(other, REACH * side), SEEN * side).sum()
             for line, other in zip(lines, lines[::-1], strict=True)]
    return 1 - sum(wrong) / max(1, sum(line.sum() for line in lines))


def near(pixels, reach):
    """Returns what lies within `reach` px of (H, W) bool."""
    away = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (away <= reach) & pixels.any()


def long_pieces(line, length):
    """Returns the connected pieces of a centreline, (H, W) bool, that have at least `length` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(line.astype(np.uint8), connectivity=8)
    long = stats[:, cv2.CC_STAT_AREA] >= length
    long[0] = False
    return long[labels]
