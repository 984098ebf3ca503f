"""The results folder of eval.py: run.json, pictures named after the photographs, a table of measures.

    results = FolderResults(out, settings, overwrite)       raises Problem if the folder holds another run
    named = results.names(find_photographs(places, out))    {photograph: name}
    left = results.left(named)                              the part that is still to be done
    results.begin(named)                                    from here on the folder holds this run
    results.add(name, path, segmented, card)                one photograph, from any thread
    rows = results.write_table()
    results.finish()
"""

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from metrics import HIGHEST
from pictures import contact_sheet, outlined, shrunk
from prediction.read_ahead import FINISHERS
from prediction.rows import Rows, made_of, table_of
from prediction.segmented import row_of
from running.again import RUN, lost, mark, run_in, same_as_before
from running.command import Problem, complain
from running.files import Folder, as_cell, as_json, is_there, read_png, sha256, write_png, write_text, written
from running.machine import hardware_precision
from running.names import first_free, folded
from running.sources import described

KINDS = ("probability", "mask", "overlay", "uncertainty")  # the last with --tta
SHOWN = "predictions.csv", "contact_sheet.png", "review.html"  # of many photographs together
MOST_ON_SHEET, CELL = 120, 320  # photographs on a contact sheet at most, and the side of each, px


def settings_of(options, model_file):
    """Returns what decides the results beside the photographs: a folder holds those of one such choice."""
    read = {"model sha256": model_file, "card sha256": model_file.with_suffix(".json")}
    return {**{key: sha256(path) if path.is_file() else None for key, path in read.items()},
            "tta": options.tta, "threshold": options.threshold, "pen": options.pen,
            "precision": hardware_precision(options.precision)}


# ---- names -----------------------------------------------------------------------------------------------

def names_apart(photographs, known, taken=()):
    """Returns {photograph: name}, in order, no two names alike and none in `taken`.

    photographs: {path or URI: path below the folder that was given}; known: {path or URI: name} of earlier
    runs, which stay. The name is the path below the folder without its extension; if another photograph has
    it, with the extension, or else with a number: `x`, `x.png`, `x_2`. So it does not depend on what else
    there is, unless two clash.
    """
    stay = (known[photograph] for photograph in photographs if photograph in known)
    used, numbers = set(map(folded, chain(stay, taken))), defaultdict(lambda: count(2))

    def name_of(below):
        stem = below.removesuffix(PurePosixPath(below).suffix)
        return first_free(chain([stem, below], (f"{stem}_{k}" for k in numbers[folded(stem)])), used)

    return {photograph: known.get(photograph) or name_of(below) for photograph, below in photographs.items()}


# ---- the folder ------------------------------------------------------------------------------------------

class Results:
    """What all results folders do alike; FolderResults and cluster.stores.StoredResults say where rows are.

    folder: a running.files.Folder or cluster.stores.Store; kinds: which of KINDS each photograph gets.
    """

    def __init__(self, folder, settings, kinds, overwrite):
        """Raises Problem if the folder holds results of other settings or other files; changes nothing."""
        self.folder, self.settings, self.kinds, self.overwrite = folder, settings, kinds, overwrite
        self.complete = True
        self.state = same_as_before(folder, settings, overwrite)
        self.known = {} if overwrite else self.read_known()

    def names(self, photographs):
        """Returns {photograph: name}; see names_apart."""
        return names_apart(photographs, self.known)

    def pictures(self, name):
        return [f"{name}_{kind}.png" for kind in self.kinds]

    def begin(self, named):
        """Makes the folder hold this run, unfinished; what earlier runs left goes if it is to be overwritten.

        Raises Problem if a picture would replace a file that is not from an earlier run.
        """
        if self.overwrite:
            if self.folder.read(RUN) is None:
                own = self.folder.first_there(chain.from_iterable(map(self.pictures, named.values())))
                if own:
                    raise lost(f"{self.folder}/{own}")
            mark(self.folder, {}, finished=False)  # killed while being cleared, it holds no run that goes on
            self.remove_earlier()
        mark(self.folder, self.settings, finished=False)

    def finish(self, **more):
        """Writes that all is done, if it is, and `more` of it."""
        mark(self.folder, self.settings, finished=self.complete, **more)


class FolderResults(Results):
    """Results on this machine: each photograph's row is a JSON file, predictions.csv their table."""

    def __init__(self, path, settings, overwrite=False, kinds=None):
        self.rows, self.changed = Rows(Folder(path)), set()  # the second: names of what is to be done anew
        kinds = kinds or (KINDS if settings["tta"] else KINDS[:-1])
        self.small = {}  # {name: overlay of this run as the sheet shows it}, not to be read again
        super().__init__(Folder(path), settings, kinds, overwrite)

    def read_known(self):
        """Returns {path: name} of all that earlier runs have done."""
        self.rows.read()
        return {Path(row["file"]): name for name, row in self.rows.items()}

    def remove_earlier(self):
        """Removes the pictures and rows of all that earlier runs have done."""
        for name in self.rows.names():
            self.forget(name)

    def forget(self, name):
        for kind in KINDS:
            self.folder.remove(f"{name}_{kind}.png")
        self.rows.forget(name)

    def begin(self, named):
        """As Results.begin; the results of what has changed go: should it fail now, they would be stale."""
        super().begin(named)
        for name in self.changed:
            self.forget(name)

    def left(self, named):
        """Returns the part of {path: name} that lacks its row or a picture, or is not what it was.

        Raises Problem if a name is that of another photograph.
        """
        return {path: name for path, name in named.items() if self.overwrite or not self._has(path, name)}

    def _has(self, path, name):
        row = self.rows.get(name)
        if row is None or not os.path.isfile(path):  # False where it is closed
            return False
        known = made_of(row)
        now = self.made_of(path, known)
        before, sums = ({role: each["sha256"] for role, each in made.items()} for made in (known, now))
        if before["photograph"] != sums["photograph"]:
            if row["file"] != path.as_posix():
                raise Problem(f"{path}: {self.folder} holds the results of another photograph of this name. "
                              "Choose another --out, or say --overwrite.")
            complain(f"{path}: is another photograph than it was; it is done anew.")
        if before != sums:
            self.changed.add(name)
            return False
        if known != now or row["file"] != path.as_posix():  # moved: from now on size and time are enough
            self.rows.keep(row | {"file": path.as_posix()}, now)
        return not self.folder.gone(self.pictures(name))

    def made_of(self, path, known=None):
        """Returns {role: what is known of that file} of what a photograph's results are made of."""
        return {"photograph": described(path, as_cell(path.absolute()), (known or {}).get("photograph"))}

    def others(self, named, places):
        """Returns the rows of photographs that lay in these folders and are not among {path: name}."""
        names, places = set(named.values()), list(map(os.path.abspath, places))
        return [row for row in self.in_table() if row["name"] not in names
                and any(Path(os.path.abspath(row["file"])).is_relative_to(place) for place in places)]

    def add(self, name, path, segmented, card):
        """Writes a photograph's pictures, and then its row, which is returned."""
        for kind, picture in zip(self.kinds, self.pictures(name), strict=True):
            drawn = picture_of(kind, segmented)
            write_png(self.folder / picture, drawn)
            if kind == "overlay" and len(self.small) < MOST_ON_SHEET:
                self.small[name] = shrunk(drawn, CELL)
        del drawn  # as large as the photograph
        return self.rows.keep(row_of(name, path, segmented, card), self.made_of(path))

    def in_table(self):
        """Returns the rows of predictions.csv, in order of names."""
        return self.rows.ordered()

    def write_table(self):
        """Writes predictions.csv from the rows of all photographs done so far, and returns them."""
        rows = self.in_table()
        if rows:
            self.write(write_text, self.folder / "predictions.csv", table_of(rows))
        else:
            self.folder.remove("predictions.csv")
        return rows

    def write(self, write, *given):
        """Calls write(*given); where a file is open in another program the run is not complete."""
        self.complete = written(write, *given) and self.complete

    def finish(self, *given):
        """Writes that all is done, if it is; given: names of photographs, and whatever else SHOWN show."""
        files = [file for file in SHOWN if is_there(self.folder / file)]
        super().finish(shown={"checksum": self.checksum(*given), "files": files})

    def shows(self, *given):
        """Returns whether a finished run has written SHOWN of these and of the same rows."""
        shown = run_in(self.folder).get("shown", {})
        return (self.state == "finished" and shown.get("checksum") == self.checksum(*given)
                and not self.folder.gone(shown["files"]))

    def checksum(self, *given):
        content = as_json([table_of(self.in_table()), *map(str, given)])
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()

    def draw_sheet(self, rows):
        """Draws the overlays side by side, each shrunk once it is there: full size may be gigabytes."""
        def small(row):
            if row["name"] in self.small:
                return self.small[row["name"]]
            return shrunk(read_png(self.folder / f"{row['name']}_overlay.png", cv2.IMREAD_COLOR_RGB), CELL)

        with ThreadPoolExecutor(FINISHERS) as pool:
            overlays = list(pool.map(small, rows[:MOST_ON_SHEET]))
        labels = [f"{row['name']}: density {row['vessel_density']:.3f}" for row in rows[:MOST_ON_SHEET]]
        sheet = contact_sheet(overlays, labels, columns=min(6, len(overlays)), size=CELL)
        write_png(self.folder / "contact_sheet.png", sheet)


# ---- what is written -------------------------------------------------------------------------------------

def picture_of(kind, segmented):
    """Returns one of KINDS as the array to be written."""
    if kind == "probability":
        return segmented.levels
    if kind == "mask":
        return segmented.mask.astype(np.uint8) * 255
    if kind == "overlay":
        thickness = max(1, round(max(segmented.mask.shape) / 1500))
        return outlined(segmented.rgb, segmented.mask, thickness=thickness)
    # 16 bits, the highest a standard deviation of 0.5, the largest there can be
    return np.rint(np.clip(segmented.spread * 2, 0, 1) * HIGHEST).astype(np.uint16)
