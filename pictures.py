"""The pictures: outlines, overlays, comparisons, contact sheets, curves. Arrays are (H, W, 3) uint8 RGB."""

import os

import cv2
import numpy as np

from running.files import whole

# Okabe and Ito's palette (2008), told apart by the colour-blind
BLUE, ORANGE, GREEN, SKY = (0, 114, 178), (230, 159, 0), (0, 158, 115), (86, 180, 233)
WHITE, GREY = (255, 255, 255), (153, 153, 153)


def outlined(picture, mask, colour=SKY, thickness=1):
    """Returns the picture with a mask's outline, so that what is under it can be seen; mask: (H, W) bool."""
    drawn = np.ascontiguousarray(picture).copy()
    outlines = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(drawn, outlines, -1, colour, thickness, cv2.LINE_AA)


def agreement(picture, mask, reference, fov):
    """Returns the picture in dark grey with vessels inside the FOV: in both white, in one orange or sky blue.

    mask (alone orange), reference (alone sky blue), fov: (H, W) bool.
    """
    grey = (picture.mean(axis=2) * 0.35).astype(np.uint8)
    drawn = np.repeat(grey[..., None], 3, axis=2)
    for where, colour in ((mask & reference, WHITE), (mask & ~reference, ORANGE), (~mask & reference, SKY)):
        drawn[where & fov] = colour
    return drawn


def titled(picture, title, height=28):
    """Returns the picture under a white band of `height` px with its title, small enough to fit."""
    band = np.full((height, picture.shape[1], 3), 255, np.uint8)
    plain, font = title.encode("ascii", "replace").decode(), cv2.FONT_HERSHEY_SIMPLEX
    length = cv2.getTextSize(plain, font, 0.55, 1)[0][0]
    scale = min(0.55, 0.55 * (picture.shape[1] - 12) / max(1, length))
    cv2.putText(band, plain, (6, height - 9), font, scale, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([band, picture])


def shrunk(picture, longest):
    """Returns the picture with a longer side of at most `longest` px."""
    scale = longest / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def in_a_row(pictures, titles, gap=8):
    """Returns pictures of one size, (H, W) or (H, W, 3) uint8, side by side, each under its title."""
    parts = []
    for picture, title in zip(pictures, titles, strict=True):
        picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
        parts.append(np.pad(titled(picture, title), ((0, 0), (0, gap), (0, 0)), constant_values=255))
    return np.hstack(parts)[:, :-gap]


def contact_sheet(pictures, labels, columns=6, size=256):
    """Returns the pictures in a grid, each under its label and shrunk to `size` px."""
    cells = []
    for picture, label in zip(pictures, labels, strict=True):
        small = shrunk(picture, size)
        around = [(free // 2, free - free // 2) for free in (size - small.shape[0], size - small.shape[1])]
        cell = np.pad(small, (*around, (0, 0)), constant_values=255)
        cells.append(np.pad(titled(cell, label, 24), ((2, 2), (2, 2), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[k:k + columns]) for k in range(0, len(cells), columns)])


def _figure(width, height, columns=1):
    backend = os.environ.pop("MPLBACKEND", None)  # for one that is not installed matplotlib is not imported
    try:
        from matplotlib.figure import Figure  # slow, and few commands need it
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _save(figure, path):
    with whole(path, suffix="") as beside:
        figure.savefig(beside, format="png")


def _hex(colour):
    return "#{:02X}{:02X}{:02X}".format(*colour)


def draw_curves(path, table):
    """Draws loss and Dice over the epochs, and the learning rate; table: a DataFrame as in history.csv."""
    figure, axes = _figure(12, 3.8, 3)
    scores = ("loss", "loss"), ("dice_coefficient", "Dice (soft, 512 x 512)")
    for axis, (key, name) in zip(axes, scores, strict=False):
        axis.plot(table["epoch"], table[key], color=_hex(BLUE), marker=".", label="training")
        axis.plot(table["epoch"], table[f"val_{key}"], color=_hex(ORANGE), marker=".",
                  label="validation (averaged weights)")
        axis.set(xlabel="epoch", ylabel=name)
        axis.legend(frameon=False)
    axes[2].plot(table["epoch"], table["learning_rate"], color=_hex(GREEN), marker=".")
    axes[2].set(xlabel="epoch", ylabel="learning rate at the epoch's end", yscale="log")
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def draw_line(path, x, y, xlabel, ylabel, title, diagonal=False):
    """Draws a ROC or precision-recall curve on the unit square."""
    figure, (axis,) = _figure(5.2, 5)
    axis.plot(x, y, color=_hex(BLUE))
    if diagonal:
        axis.plot([0, 1], [0, 1], color=_hex(GREY), linestyle=":", label="chance")
        axis.legend(frameon=False, loc="lower right")
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axis.grid(alpha=0.25)
    _save(figure, path)
