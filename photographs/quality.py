"""What a photograph is like, and when the user is warned that it is unlike those of the training."""

from collections import Counter, defaultdict

import cv2
import numpy as np

from photographs.fov import fov_of
from photographs.reading import brightest, read_photograph
from photographs.square import Square

# Quantity, the share of its least in training below which one is warned, and the words of the warning.
LIMITS = (("brightness", 0.5, "too dark", "darker than"), ("sharpness", 0.4, "blurred", "less sharp than"),
          ("side", 0.6, "too small", "fewer pixels across the FOV than"))


def describe(rgb, fov, square):
    """Returns what a photograph is like, {quantity: float}, to be compared with those of the training.

    brightness: mean of the brightest channel, 0 to 255; sharpness: contrast of fine detail as a share of the
    green channel's mean; side: of the square, px. The first two are measured at 512 x 512, away from the
    FOV's edge.
    """
    small, inside = square.cut(rgb, fov, 512), square.cut(fov, fov, 512) > 250
    core = cv2.erode(inside.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    core = core if core.any() else inside
    if not core.any():
        return {"brightness": 0.0, "sharpness": 0.0, "side": float(square.side)}
    green = small[..., 1]
    detail = cv2.Laplacian(cv2.GaussianBlur(green, (0, 0), 1.0), cv2.CV_32F)
    return {"brightness": float(brightest(small)[core].mean()),
            "sharpness": float(detail[core].std() / max(float(green[core].mean()), 1.0)),
            "side": float(square.side)}


def warnings_of(description, fov, least):
    """Returns sentences on how a photograph is unlike those of the training.

    description: from `describe`; least: {quantity: its least in the training}, as the card holds it.
    """
    sentences = ["no dark surround, so all of it counts as FOV"] if fov.all() else []
    for quantity, share, word, how in LIMITS:
        if quantity in least and description[quantity] < share * least[quantity]:
            sentences.append(f"{word} ({how} the training photographs: {description[quantity]:.3g}, "
                             f"theirs {least[quantity]:.3g} or more)")
    return sentences


def seen_in(photographs):
    """Returns what a network has met in the photographs of its training, for the card.

    `fov sides`: least and largest side of their FOVs, px. `picture sizes`: {set: widths and heights, px, of
    its pictures that no other set has}. Both decide how wide vessels are drawn.
    `photographs`: the least of each quantity of `describe`, of which `warnings_of` takes a share as its
    limit.
    """
    found, sizes = [], defaultdict(set)
    for photograph in photographs:
        rgb = read_photograph(photograph.path)
        fov = fov_of(photograph, rgb)
        found.append(describe(rgb, fov, Square.around(fov)))
        sizes[photograph.set].add((rgb.shape[1], rgb.shape[0]))
    everyone = Counter(size for own in sizes.values() for size in own)
    sizes = {name: [list(size) for size in sorted(own) if everyone[size] == 1]
             for name, own in sorted(sizes.items())}
    fovs = [round(description["side"]) for description in found]
    least = {key: float(f"{min(description[key] for description in found):.4g}") for key in found[0]}
    return {"fov sides": [min(fovs), max(fovs)], "picture sizes": sizes, "photographs": least}
