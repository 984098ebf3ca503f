"""Masks that are there already, corrected or an observer's, measured and drawn as predictions are.

    results = MeasuredResults(out, masks, before, overwrite)    masks, before: folders
    named = results.names(results.with_masks(photographs))      {photograph: name}

`before` is a results folder of eval.py. If it holds a photograph's prediction, its row says what the mask has
changed.
"""

import re
from collections import Counter
from pathlib import PurePosixPath

import cv2
import numpy as np

from metrics import HIGHEST
from photographs.formats import is_picture
from photographs.fov import found_fov
from photographs.reading import read_photograph, read_vessels
from prediction.results import ROWS, FolderResults, Results, picture_of
from prediction.segmented import Segmented, row_of
from running.command import Problem
from running.files import Folder, read_json, read_png, sha256, write_json, write_png
from sets.layouts import without_suffix

KINDS = ("mask", "overlay")
SECOND = re.compile("[_-](?:manual2|2ndHO)$", re.IGNORECASE)  # what a second observer's masks add
UNSAFE = str.maketrans(dict.fromkeys('<>:"\\|?*', "_") | {chr(code): "_" for code in range(32)})


def file_of(name):
    """Returns the path below a folder under which a photograph's mask is saved, fit for any system.

    name: of its results, that is its path below the folder that was given, without its extension.
    """
    parts = (part.translate(UNSAFE).rstrip(". ") or "_" for part in name.split("/"))
    return "/".join(parts) + ".png"


class MeasuredResults(FolderResults):
    """The results folder of masks: mask, overlay and row of each photograph that has one."""

    def __init__(self, path, masks, before, overwrite=False):
        """Raises Problem if there are no masks or the folder holds something else; changes nothing."""
        if not masks.is_dir():
            raise Problem(f"{masks}: is not a folder. Give the folder that holds the masks.")
        self.place, self.masks = masks, [file for file in sorted(masks.rglob("*"))
                                         if is_picture(file.name) and file.is_file()]
        if not self.masks:
            raise Problem(f"{masks}: there is no mask in this folder. Save the corrected ones into it.")
        rows = map(read_json, sorted((before / ROWS).rglob("*.json")))
        self.predicted = {row["sha256"]: (before, row) for row in rows}
        settings = {"masks": masks.as_posix(), "compared with": before.as_posix() if self.predicted else None}
        Results.__init__(self, Folder(path), settings, KINDS, overwrite)
        self.mask_of = {}

    def with_masks(self, photographs):
        """Returns the part of {photograph: path below its folder} that has a mask.

        The mask's path below its folder is the photograph's, but for the extension and the suffixes that
        names in the plain layout may have; or its name is, if only one photograph bears it. Raises Problem
        if no photograph has a mask.
        """
        masks = self.masks_by_name(photographs)
        own = {mask.resolve() for mask in masks.values()}
        bare = Counter(PurePosixPath(_stem(below)).name for below in photographs.values())
        for photograph, below in photographs.items():
            stem = _stem(below)
            name = PurePosixPath(stem).name
            wanted = [stem, below, *([name] if bare[name] == 1 else [])]
            wanted += [_stem(file_of(each)) for each in wanted]
            wanted += [without_suffix("photograph", each) for each in wanted]
            found = [masks[each] for each in wanted if each in masks]
            if found and photograph.resolve() not in own:
                self.mask_of[photograph] = found[0]
        if not self.mask_of:
            raise Problem(f"{self.masks[0]}: no photograph has the name of this mask or of one beside it. "
                          "Give masks the names of their photographs.")
        return {photograph: photographs[photograph] for photograph in self.mask_of}

    def masks_by_name(self, photographs):
        """Returns {name, with and without its suffix: mask}; photographs may lie in the same folder."""
        taken = {photograph.resolve() for photograph in photographs}
        masks = [mask for mask in self.masks if mask.resolve() not in taken] or self.masks
        stems = {_stem(mask.relative_to(self.place).as_posix()): mask for mask in masks}
        second = {SECOND.sub("", stem): mask for stem, mask in stems.items()}
        return second | {without_suffix("mask", stem): mask for stem, mask in stems.items()} | stems

    def _has(self, path, name):
        row = self.folder / ROWS / f"{name}.json"
        return (super()._has(path, name)
                and read_json(row)["mask sha256"] == sha256(self.mask_of[path])
                and read_json(row)["prediction sha256"] == self.prediction_of(path)[1])

    def prediction_of(self, path):
        """Returns the row of a photograph's prediction, and what tells that prediction from another."""
        before, row = self.predicted.get(sha256(path), (None, None))
        mask = before / f"{row['name']}_mask.png" if row else None
        return (row, sha256(mask)) if mask and mask.is_file() else (None, None)

    def read(self, path):
        """Returns (H, W, 3) uint8, FOV and mask, (H, W) bool, of a photograph."""
        rgb = read_photograph(path)
        fov = found_fov(path, rgb)
        return rgb, fov, read_vessels(self.mask_of[path], rgb.shape, empty_is_fine=True) & fov

    def add(self, name, path, rgb, fov, mask):
        """Writes a photograph's pictures, and then its row."""
        segmented = Segmented(rgb, fov, mask.astype(np.uint16) * HIGHEST, mask)
        for kind, picture in zip(self.kinds, self.pictures(name), strict=True):
            write_png(self.folder / picture, picture_of(kind, segmented))
        row = row_of(name, path, segmented, {})
        del row["certainty"], row["pen"]  # are of a prediction
        predicted, known = self.prediction_of(path)
        row["mask"] = self.mask_of[path].as_posix()
        row |= self.change(predicted, mask, fov) if predicted else {}
        row |= {"sha256": sha256(path), "mask sha256": sha256(self.mask_of[path]), "prediction sha256": known}
        write_json(self.folder / ROWS / f"{name}.json", row)

    def change(self, row, mask, fov):
        """Returns how a mask, (H, W) bool, differs from the prediction of this row; {} if its size does."""
        before = self.predicted[row["sha256"]][0] / f"{row['name']}_mask.png"
        prediction = read_png(before, cv2.IMREAD_GRAYSCALE)
        if prediction is None or prediction.shape != mask.shape:
            return {}
        prediction = (prediction > 0) & fov
        sizes = int(mask.sum()) + int(prediction.sum())
        return {"added_px": int((mask & ~prediction).sum()), "erased_px": int((prediction & ~mask).sum()),
                "predicted_density": row["vessel_density"], "predicted_width_mean_px": row["width_mean_px"],
                "dice_with_prediction": round(2 * int((mask & prediction).sum()) / sizes, 5) if sizes else ""}


def _stem(below):
    return below.removesuffix(PurePosixPath(below).suffix)
