"""Masks that are there already, corrected or an observer's, measured and drawn as predictions are.

    results = MeasuredResults(out, masks, before, overwrite)    masks, before: folders
    named = results.with_masks(photographs)                     {photograph: name}

`before` is a results folder of eval.py. If it holds a photograph's prediction, its row says what the mask has
changed.
"""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from metrics import HIGHEST
from photographs.labelled import OF_ANOTHER, vessels_of
from prediction.mask_names import assigned, file_of, lies_deeper, masks_in
from prediction.places import places_known
from prediction.results import FolderResults
from prediction.rows import TABLE, Rows, lacking, made_of, place_of, table_in, told_lacking
from prediction.segmented import Segmented, row_of
from running.command import Problem, complain, with_example
from running.files import Folder, as_cell, read_png
from running.names import where
from running.sources import described

PREDICTIONS = Path("predictions")  # eval.py's own --out
ELSEWHERE = f"{OF_ANOTHER}. Look at its overlay"  # these may not lie as data.py wants them


class MeasuredResults(FolderResults):
    """The results folder of masks: mask, overlay and row of each photograph that has one."""

    def __init__(self, path, masks, before=None, overwrite=False):
        """Raises Problem if there are no masks or the folder holds something else; changes nothing.

        before: results folder of predictions, which must hold some; None: PREDICTIONS, if that does.
        """
        self.place, self.before, self.masks = masks, before or PREDICTIONS, masks_in(masks)
        self.mask_of, self.without = {}, set()  # {photograph: mask}; photographs that have none
        rows = Rows(Folder(self.before))
        rows.read()
        if lost := lacking(table_in(Folder(self.before)), rows):
            complain(f"{told_lacking(self.before, lost)}: masks are not compared with these. "
                     "Copy that hidden folder along.")
        rows = {name: row for name, row in rows.items() if "mask" not in row}  # others are of measured masks
        self.predicted = {made_of(row)["photograph"]["sha256"]: row for row in rows.values()}
        if before and not rows:
            raise Problem(f"--before {before}: holds no predictions. Give the --out with which eval.py "
                          "predicted these photographs, or leave --before out.")
        if rows and where(path) == where(self.before):
            raise Problem(f"--out {path}: holds the predictions that the masks are compared with. "
                          "Choose another --out.")
        settings = {"masks": masks.as_posix(), "compared with": self.before.as_posix() if rows else None}
        super().__init__(path, settings, overwrite)
        self.known = places_known(rows) | self.known

    def with_masks(self, photographs):
        """Returns {photograph: name} of those of {photograph: path below its folder} that have a mask.

        Says which photographs and masks are left out.
        """
        place = self.place.resolve()
        photographs = {photograph: below for photograph, below in photographs.items()
                       if not lies_deeper(photograph, below, place)}
        names = self.names(photographs)
        self.mask_of = assigned(self.place, self.masks, photographs, names)
        self.without = photographs.keys() - self.mask_of.keys()
        return {photograph: name for photograph, name in names.items() if photograph in self.mask_of}

    def names(self, photographs):
        """As FolderResults.names; what was moved since it was predicted keeps its name from there.

        The content tells, where a name is that of a prediction or of no mask. Of several of one content their
        places tell.
        """
        masks = {mask.relative_to(self.place).as_posix() for mask in self.masks}
        lay = {where(place_of(row)): made_of(row)["photograph"]
               for row in [*self.predicted.values(), *self.rows.values()]}
        names = {content: row["name"] for content, row in self.predicted.items()}
        ours = set(names.values())
        contents = {path: described(path, as_cell(path.absolute()), lay.get(where(path)))["sha256"]
                    for path, name in super().names(photographs).items()
                    if name in ours or file_of(name) not in masks}
        given = Counter(contents.values())
        found = {where(path): names[content] for path, content in contents.items()
                 if given[content] == 1 and file_of(names.get(content, "")) in masks}
        taken = set(found.values())
        self.known = {place: name for place, name in self.known.items() if name not in taken} | found
        return super().names(photographs)

    # ---- what is done

    def made_of(self, path, known=None):
        made = super().made_of(path, known)
        files = {"mask": self.mask_of[path], "prediction": self.prediction_of(made)[1]}
        return made | {role: described(file, as_cell(file.absolute()), (known or {}).get(role))
                       for role, file in files.items() if file}

    def prediction_of(self, made):
        """Returns the row and the mask of the prediction of a photograph, or None and None."""
        row = self.predicted.get(made["photograph"]["sha256"])
        mask = row and self.before / f"{row['name']}_mask.png"
        return (row, mask) if mask and mask.is_file() else (None, None)

    def in_table(self):
        """Leaves out what has lost its photograph or its mask, here or where others of these names were."""
        masks, place = {mask.as_posix() for mask in self.masks}, self.place.resolve()
        without = set(map(os.path.abspath, self.without))

        def has_mask(row):
            mask = Path(place_of(row, "mask"))
            return row["mask"] in masks or (mask.is_file() and not mask.resolve().is_relative_to(place))

        def is_there(row):
            place_now, typed = place_of(row), row["file"]
            left_out = place_now in without or not (os.path.isfile(place_now) or os.path.isfile(typed))
            return Path(typed) in self.mask_of or (has_mask(row) and not left_out)

        return [row for row in super().in_table() if is_there(row)]

    def tell_gone(self):
        """Says which rows have left the table; of photographs without a mask it is known already."""
        there = {row["name"] for row in self.in_table()}
        gone = [row["file"] for name, row in self.rows.items()
                if name not in there and Path(row["file"]) not in self.without]
        if gone:
            complain(f"{self.folder / TABLE}: without {with_example(gone, 'row')} whose "
                     "photograph or mask is gone. --overwrite removes the pictures, too.")

    def tell_uncompared(self, rows):
        """Says which of these rows could not be compared with a prediction, if there are predictions."""
        uncompared = [row["mask"] for row in rows if "added_px" not in row]
        if self.predicted and uncompared:
            complain(f"{with_example(uncompared, 'mask')} not compared: {self.before} has no prediction made "
                     "from the photograph as it is now.")

    def read(self, path):
        """Returns (H, W, 3) uint8, FOV and mask, (H, W) bool, of a photograph."""
        rgb, fov = super().read(path)
        return rgb, fov, vessels_of(self.mask_of[path], path, rgb, fov, self.remarks, True, ELSEWHERE) & fov

    def add(self, name, path, rgb, fov, mask):
        """Writes a photograph's pictures, and then its row."""
        segmented = Segmented(rgb, fov, mask.astype(np.uint16) * HIGHEST, mask)
        self.draw(name, segmented)
        row, made = row_of(name, path, segmented, {}), self.made_when_read(path)
        del row["certainty"], row["pen"]  # are of a prediction
        row["mask"] = self.mask_of[path].as_posix()
        self.rows.keep(row | self.change(mask, fov, *self.prediction_of(made)), made)

    def change(self, mask, fov, row, before):
        """Returns how a mask, (H, W) bool, differs from the prediction of this row, whose mask is `before`.

        It is {} if there is none, or its size is another.
        """
        prediction = before and read_png(before, cv2.IMREAD_GRAYSCALE)
        if prediction is None or prediction.shape != mask.shape:
            return {}
        prediction = (prediction > 0) & fov
        sizes = int(mask.sum()) + int(prediction.sum())
        return {"added_px": int((mask & ~prediction).sum()), "erased_px": int((prediction & ~mask).sum()),
                "predicted_density": row["vessel_density"], "predicted_width_mean_px": row["width_mean_px"],
                "dice_with_prediction": round(2 * int((mask & prediction).sum()) / sizes, 5) if sizes else ""}
