"""The results folder of eval.py: run.json, pictures named after the photographs, a table of measures.

    results = FolderResults(out, settings, overwrite)       raises Problem if the folder holds another run
    named = results.names(find_photographs(places, out))    {photograph: name}
    left = results.left(named)                              the part that is still to be done
    results.begin(named)                                    from here on the folder holds this run
    results.add(name, path, segmented, card)                one photograph, from any thread
    rows = results.write_table()
    results.finish()
"""

import contextlib
import hashlib
import os
from itertools import chain
from pathlib import PurePosixPath

from photographs.finding import KINDS, SHEET
from photographs.formats import LARGEST_FILE
from photographs.fov import found_fov
from photographs.reading import read_photograph, summed_up
from pictures import shrunk
from prediction.any_results import Results
from prediction.drawn import CELL, MOST_ON_SHEET, picture_of, sheet_of
from prediction.earlier import Earlier
from prediction.places import lay_in, names_known, places_known, replacing
from prediction.rows import PARQUET, TABLE, Rows, in_cell, made_of, place_of, table_of
from prediction.segmented import row_of
from running.again import lacks, refuse_data, run_in
from running.command import Problem, complain, with_example
from running.files import Folder, as_cell, as_json, is_there, sha256, write_png, write_text
from running.machine import hardware_precision
from running.names import names_apart
from running.sources import described

MEASURED = ("mask", "overlay")  # the kinds of masks that are measured
SHOWN = TABLE, SHEET, "review.html"  # of many photographs together


def kinds_of(settings):
    """Returns which of KINDS a run with these settings writes, all if nothing is known of it."""
    if not settings:
        return KINDS
    return MEASURED if "masks" in settings else KINDS if settings.get("tta") else KINDS[:-1]


def settings_of(options, model_file):
    """Returns what decides the results beside the photographs: a folder holds those of one such choice."""
    read = {"model sha256": model_file, "card sha256": model_file.with_suffix(".json")}
    return {**{key: sha256(path) if path.is_file() else None for key, path in read.items()},
            "tta": options.tta, "threshold": options.threshold, "pen": options.pen,
            "precision": hardware_precision(options.precision)}


class FolderResults(Results):
    """Results on this machine: each photograph's row is a JSON file, predictions.csv their table."""

    def __init__(self, path, settings, overwrite=False):
        folder, self.changed = Folder(path), set()  # names of what is to be done anew
        self.rows, self.begun, self.removed = Rows(folder), set(), set()  # see prediction/earlier.py
        self.noted = {}  # {path: what it was made of when it was read}
        self.small = {}  # {name: overlay of this run as the sheet shows it}, not to be read again
        self.remarks = []  # see photographs.reading
        of_ray = PARQUET * (folder / PARQUET).is_dir()
        super().__init__(folder, settings, kinds_of(settings), overwrite, of_ray)

    def read_known(self):
        """Returns {place: name} of all that earlier runs have done; see places_known."""
        self.rows.read()
        return places_known(self.rows)

    def names(self, photographs):
        """Returns {photograph: name}; see names_apart."""
        named = names_apart(photographs, names_known(photographs, self.known))
        spelled = self.rows.spelled(named.values())
        return {path: spelled[name] for path, name in named.items()}

    def earlier_pictures(self, settings):
        """Returns the pictures of all that earlier runs, whose settings these were, have done."""
        return [f"{name}_{kind}.png" for name in self.rows.names() for kind in kinds_of(settings)]

    def remove_rows(self):
        for name in self.rows.names():
            self.rows.forget(name)

    def begin(self, named, masks=()):
        """As Results.begin; the results of what has changed go: should it fail now, they would be stale.

        masks: files that are read beside the photographs. Raises Problem, too, if one of these would be lost,
        or rows that predictions.csv holds and .rows does not.
        """
        earlier = self.earlier = Earlier(self.folder, self.rows)
        going = earlier.table if self.overwrite else map(in_cell, self.changed)
        self.removed = earlier.listed("removed").union(going)
        earlier.refuse_lost_rows(named, self.removed)
        replaced = {*named.values(), *(earlier.names if self.state == "new" else ())}
        refuse_data((self.folder / f"{name}_{kind}.png" for name in replaced for kind in KINDS),
                    [*named, *masks])
        self.begun = earlier.listed("begun").union(named.values())
        super().begin(named)
        for name in self.changed:
            for picture in self.pictures(name):
                self.write(self.folder.remove, picture)
            self.rows.forget(name)

    def strange(self, names):
        """Returns the files that would be written for these names and that no earlier run has written."""
        own = map(self.pictures, self.earlier.own(names, self.pictures))
        return chain(SHOWN if self.earlier.run is None else (), chain.from_iterable(own))

    def unfinished(self):
        """Returns what prediction.earlier needs to know of a run that is not finished."""
        begun = self.begun - (self.rows.keys() - self.changed)
        return {"begun": sorted(begun), "removed": sorted(self.removed)}

    def left(self, named, refused=None):
        """Returns the part of {path: name} that lacks its row or a picture, or is not what it was.

        Says which files of what was done are gone. refused: a dict to which {path: Problem} is added where
        the name is that of another photograph; the Problem is raised if there is none.
        """
        if self.overwrite:
            return dict(named)
        left, gone = {}, [*self.folder.gone(self.shown().get("files", ()))]
        for path, name in named.items():
            try:
                if not self._is_made_of(path, name):
                    left[path] = name
                elif missing := self.folder.gone(self.pictures(name)):
                    left[path] = name
                    gone += missing
            except Problem as problem:
                if refused is None:
                    raise
                refused[path] = problem
        lacks(self.folder, gone)
        return left

    def _is_made_of(self, path, name):
        """Returns whether there is a row of this name, and it is of this photograph as it is now."""
        row = self.rows.get(name)
        if row is None or not os.path.isfile(path):  # False where it is closed
            return False
        known = made_of(row)
        now = self.made_of(path, known)
        before, sums = ({role: each["sha256"] for role, each in made.items()} for made in (known, now))
        if closed := [role for role, content in sums.items() if content is None]:
            raise Problem(f"{path}: the {closed[0]} cannot be read now. Its results stay; "
                          "run the same command again.")
        if before["photograph"] != sums["photograph"]:
            if not (how := replacing(path, row)):
                raise Problem(f"{path}: {self.folder} holds the results of another photograph of this name. "
                              "Choose another --out, or say --overwrite.")
            complain(f"{path}: {how}; it is done anew.")
        if before != sums:
            self.changed.add(name)
            return False
        if known != now or row["file"] != path.as_posix():  # moved: from now on size and time are enough
            self.rows.keep(row | {"file": path.as_posix()}, now)
        return True

    def made_of(self, path, known=None):
        """Returns {role: what is known of that file} of what a photograph's results are made of."""
        return {"photograph": described(path, as_cell(path.absolute()), (known or {}).get("photograph"))}

    def read(self, path):
        """Returns a photograph, (H, W, 3) uint8, and its FOV, (H, W) bool."""
        with contextlib.suppress(OSError):  # reading it says what is wrong
            if os.path.isfile(path) and os.path.getsize(path) <= LARGEST_FILE:
                self.noted[path] = self.made_of(path)  # before: it may be replaced at any time
        rgb = read_photograph(path, self.remarks)
        return rgb, found_fov(path, rgb)

    def tell_read(self):
        """Says what is to be known of the files that were read, each thing once for all of them."""
        for sentence in summed_up(self.remarks):
            complain(sentence)

    def made_when_read(self, path):
        return self.noted.pop(path, None) or self.made_of(path)

    def others(self, named, places):
        """Returns the rows of photographs that lay in these folders and are not among {path: name}."""
        names, places = set(named.values()), list(map(os.path.abspath, places))
        return [row for row in self.in_table() if row["name"] not in names and lay_in(row, places)]

    def tell_others(self, named, places):
        """Says which of these `others` are not there any more."""
        if gone := [row["file"] for row in self.others(named, places) if not os.path.exists(place_of(row))]:
            complain(f"{self.folder / TABLE}: keeps {with_example(gone, 'photograph')} not found any more. "
                     "--overwrite makes all anew without such.")

    def draw(self, name, segmented):
        """Writes the pictures of a Segmented photograph."""
        for kind, picture in zip(self.kinds, self.pictures(name), strict=True):
            drawn = picture_of(kind, segmented)
            write_png(self.folder / picture, drawn)
            if kind == "overlay" and len(self.small) < MOST_ON_SHEET:
                self.small[name] = shrunk(drawn, CELL)

    def add(self, name, path, segmented, card):
        """Writes a photograph's pictures, and then its row, which is returned."""
        self.draw(name, segmented)
        return self.rows.keep(row_of(name, path, segmented, card), self.made_when_read(path))

    def in_table(self):
        """Returns the rows of predictions.csv, in order of names."""
        return [self.rows[name] for name in sorted(self.rows, key=lambda name: PurePosixPath(f"{name}.json"))]

    def write_table(self):
        """Writes predictions.csv from the rows of all photographs done so far, and returns them."""
        rows = self.in_table()
        if rows:
            self.write(write_text, self.folder / TABLE, table_of(rows))
        else:
            self.write(self.folder.remove, TABLE)
        return rows

    def finish(self, *given):
        """Writes that all is done, if it is; given: names of photographs, and whatever else SHOWN show."""
        files = [file for file in SHOWN if is_there(self.folder / file)]
        if self.complete:
            self.removed = set()
        super().finish(shown={"checksum": self.checksum(*given), "files": files}, **self.unfinished())

    def shows(self, *given):
        """Returns whether a finished run has written SHOWN of these and of the same rows."""
        shown = self.shown()
        return (self.state == "finished" and shown.get("checksum") == self.checksum(*given)
                and not self.folder.gone(shown["files"]))

    def shown(self):
        """Returns what a finished run has noted of SHOWN."""
        return run_in(self.folder).get("shown", {})

    def checksum(self, *given):
        content = as_json([table_of(self.in_table()), *map(str, given)])
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()

    def draw_sheet(self, rows):
        write_png(self.folder / SHEET, sheet_of(self.folder, rows, self.small))
