"""The augmentation: what cameras, hands and files do to a photograph (docs/recipe.md has its worth)."""

import random

import cv2
import numpy as np

from photographs.square import SIDE

DEFAULTS = {"copies": 40, "validation": 0.2, "whole": [], "seed": 0}  # of augment.py's flags, by their names
TRIES, LEAST_SHOWN = 8, 0.05  # draws of a pair at most; share of its FOV that must not be pure black or white


def augmented(compose, image, mask, fov, seed):
    """Returns what `compose`, a recipe(), makes of a square: (512, 512, 3) and soft (512, 512) uint8.

    image (S, S, 3), mask and fov (S, S) uint8; what is outside the FOV is black. It is a pure function of its
    arguments. A photograph that two changes of brightness have made white throughout is drawn again: its
    vessels could be learned from nothing.
    """
    for attempt in range(TRIES):
        drawn = seed + (attempt << 64)
        compose.set_random_state(np.random.default_rng(drawn), random.Random(drawn))
        pair = compose(image=image, masks=[mask, fov])
        soft, inside = pair["masks"]
        inside = inside >= 128
        shown = pair["image"] * inside[..., None].astype(np.uint8)
        values = shown[inside]
        if not len(values) or ((values > 0) & (values < 255)).any(axis=-1).mean() >= LEAST_SHOWN:
            break
    return shown, soft


def recipe():
    """Returns the augmentation: a square in, 512 x 512 out.

    About every second pair has met something that photographs meet in other hands: compression, blur, a small
    size, noise, a wrong exposure, a channel alone. The rest is kept as sound as it was.
    """
    import albumentations as A  # here: it would make --help take a second

    # The default for masks, the nearest pixel, moves them half a pixel or more against their photograph.
    bend = {"interpolation": cv2.INTER_CUBIC, "mask_interpolation": cv2.INTER_LINEAR,
            "border_mode": cv2.BORDER_CONSTANT}
    smaller = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_CUBIC}
    return A.Compose([
        A.Affine(rotate=(-180, 180), shear=(-6, 6), scale={"x": (0.92, 1.08), "y": (0.92, 1.08)}, p=1.0,
                 **bend),
        A.PadIfNeeded(SIDE, SIDE, border_mode=cv2.BORDER_CONSTANT, p=1.0),
        A.RandomCrop(SIDE, SIDE, p=1.0),
        A.D4(p=1.0),
        A.ElasticTransform(alpha=60, sigma=8, p=0.3, **bend),
        # Light and colour.
        # Brightness in shares of the photograph's mean: of 255 it made a sixth of a dark one's pairs black.
        A.RandomBrightnessContrast((-0.5, 1.0), 0.25, brightness_by_max=False, p=0.7),
        A.OneOf([A.RandomGamma((65, 150), p=1), A.RandomGamma((35, 65), p=0.25),
                 A.RandomGamma((150, 220), p=0.4)], p=0.55),
        A.RandomBrightnessContrast((-0.5, 1.8), (-0.4, 0.2), brightness_by_max=False, p=0.1),
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=35, val_shift_limit=0, p=0.5),
        A.OneOf([A.RGBShift(20, 20, 20, p=1),
                 A.MultiplicativeNoise((0.65, 1.35), per_channel=True, elementwise=False, p=0.5)], p=0.3),
        A.OneOf([A.ToGray(method="average", p=0.5), A.Lambda(image=green_alone, p=1)], p=0.08),
        A.Illumination(mode="linear", intensity_range=(0.02, 0.2), effect_type="both", p=0.25),
        A.Illumination(mode="gaussian", intensity_range=(0.1, 0.2), effect_type="both", p=0.1),
        # Lens, sensor and file.
        A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.3), blur_limit=0, p=1),
                 A.GaussianBlur(sigma_limit=(1.3, 3.0), blur_limit=0, p=0.25),
                 A.Downscale(scale_range=(0.25, 0.7), interpolation_pair=smaller, p=0.35)], p=0.4),
        A.OneOf([A.GaussNoise(std_range=(0.005, 0.03), p=1),
                 A.GaussNoise(std_range=(0.03, 0.08), p=0.4)], p=0.3),
        A.OneOf([A.ImageCompression(quality_range=(50, 95), p=1),
                 A.ImageCompression(quality_range=(12, 50), p=0.8)], p=0.3),
    ], strict=True)


def green_alone(image, **_):
    """Returns a picture with its green channel in place of all three, as some viewers show it."""
    return image[..., [1, 1, 1]]
