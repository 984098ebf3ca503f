"""The pictures of a results folder: each kind of one photograph, and the contact sheet of many."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from metrics import HIGHEST
from pictures import contact_sheet, outlined, shrunk
from prediction.read_ahead import FINISHERS
from running.command import complain, say, with_example
from running.files import read_png

MOST_ON_SHEET, CELL = 120, 320  # photographs on a contact sheet at most, and the side of each, px


def picture_of(kind, segmented):
    """Returns a picture of a Segmented as the array to be written; kind: one of photographs.finding.KINDS."""
    if kind == "probability":
        return segmented.levels
    if kind == "mask":
        return segmented.mask.astype(np.uint8) * 255
    if kind == "overlay":
        thickness = max(1, round(max(segmented.mask.shape) / 1500))
        return outlined(segmented.rgb, segmented.mask, thickness=thickness)
    # 16 bits, the highest a standard deviation of 0.5, the largest there can be
    return np.rint(np.clip(segmented.spread * 2, 0, 1) * HIGHEST).astype(np.uint16)


def sheet_of(folder, rows, small):
    """Returns the overlays of the first rows side by side, (H, W, 3) uint8.

    small: {name: its overlay as the sheet shows it}, so that it need not be read. The others are shrunk each
    once it is there: at full size they may be gigabytes. What is damaged is white; that is said, and how many
    are not shown.
    """
    damaged = []

    def overlay(row):
        if row["name"] in small:
            return small[row["name"]]
        file = folder / f"{row['name']}_overlay.png"
        picture = read_png(file, cv2.IMREAD_COLOR_RGB)
        if picture is None:
            damaged.append(file)
            return np.full((CELL, CELL, 3), 255, np.uint8)
        return shrunk(picture, CELL)

    if len(rows) > MOST_ON_SHEET:
        say(f"contact_sheet.png shows {MOST_ON_SHEET} of the {len(rows)} photographs, the first by name.")
    rows = rows[:MOST_ON_SHEET]
    with ThreadPoolExecutor(FINISHERS) as pool:
        overlays = list(pool.map(overlay, rows))
    if damaged:
        complain(f"{with_example(sorted(damaged), 'overlay')} damaged, and white on the contact sheet. "
                 "Remove it, and the same command makes it again.")
    labels = [f"{row['name']}: density {row['vessel_density']:.3f}" for row in rows]
    return contact_sheet(overlays, labels, columns=min(6, len(overlays)), size=CELL)
