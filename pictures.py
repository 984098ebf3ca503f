"""The pictures: outlines, overlays, comparisons, contact sheets, curves. Arrays are (H, W, 3) uint8 RGB."""

import numpy as np

# Okabe and Ito's palette (2008), told apart by the colour-blind
BLUE, ORANGE, GREEN, SKY = (0, 114, 178), (230, 159, 0), (0, 158, 115), (86, 180, 233)


def outlined(picture, mask, colour=SKY, thickness=1):
    """The photograph with the mask's outline drawn, so that what lies under it stays to be seen."""
    import cv2

    drawn = np.ascontiguousarray(picture).copy()
    outlines = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(drawn, outlines, -1, colour, thickness, cv2.LINE_AA)


def agreement(picture, mask, reference, fov):
    """Grey photograph; both in white, only the prediction in orange, only the reference in blue."""
    grey = picture.mean(axis=2) * 0.35
    drawn = np.repeat(grey[..., None], 3, axis=2)
    for where, colour in ((mask & reference, (255, 255, 255)), (mask & ~reference, ORANGE), (~mask & reference, SKY)):
        drawn[where & fov] = colour
    return drawn.astype(np.uint8)


def titled(picture, title, height=28):
    """The picture under a white band with its title."""
    import cv2

    band = np.full((height, picture.shape[1], 3), 255, np.uint8)
    plain = title.encode("ascii", "replace").decode()
    scale = min(0.55, 0.55 * (picture.shape[1] - 12) / max(1, cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)[0][0]))
    cv2.putText(band, plain, (6, height - 9), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([band, picture])


def shrunk(picture, longest):
    import cv2

    scale = longest / max(picture.shape[:2])
    return picture if scale >= 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def in_a_row(pictures, titles, gap=8):
    """Pictures of one size side by side, each under its title."""
    parts = []
    for picture, title in zip(pictures, titles, strict=True):
        picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
        parts += [titled(picture, title), np.full((picture.shape[0] + 28, gap, 3), 255, np.uint8)]
    return np.hstack(parts[:-1])


def contact_sheet(pictures, labels, columns=6, size=256):
    """Small pictures in a grid, each under its label."""
    cells = []
    for picture, label in zip(pictures, labels, strict=True):
        small = shrunk(picture, size)
        cell = np.full((size, size, 3), 255, np.uint8)
        top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
        cell[top:top + small.shape[0], left:left + small.shape[1]] = small
        cells.append(np.pad(titled(cell, label, 24), ((2, 2), (2, 2), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[k:k + columns]) for k in range(0, len(cells), columns)])


def _figure(width, height, columns=1):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _keep(figure, path):
    from files import whole

    with whole(path, suffix="") as beside:
        figure.savefig(beside, format="png")


def draw_curves(path, table):
    """Loss and Dice of training and validation over the epochs, and the learning rate, from history.csv's table."""
    figure, axes = _figure(12, 3.8, 3)
    for axis, (key, name) in zip(axes, (("loss", "loss"), ("dice_coefficient", "Dice (soft, 512 x 512)")), strict=False):
        axis.plot(table["epoch"], table[key], color="#0072B2", marker=".", label="training")
        axis.plot(table["epoch"], table[f"val_{key}"], color="#E69F00", marker=".", label="validation (averaged weights)")
        axis.set(xlabel="epoch", ylabel=name)
        axis.legend(frameon=False)
    axes[2].plot(table["epoch"], table["learning_rate"], color="#009E73", marker=".")
    axes[2].set(xlabel="epoch", ylabel="learning rate at the epoch's end", yscale="log")
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.xaxis.get_major_locator().set_params(integer=True)
    _keep(figure, path)


def draw_line(path, x, y, xlabel, ylabel, title, diagonal=False):
    """A ROC or precision-recall curve on the unit square."""
    figure, (axis,) = _figure(5.2, 5)
    axis.plot(x, y, color="#0072B2")
    if diagonal:
        axis.plot([0, 1], [0, 1], color="#999999", linestyle=":", label="chance")
        axis.legend(frameon=False, loc="lower right")
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axis.grid(alpha=0.25)
    _keep(figure, path)
