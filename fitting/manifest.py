"""The manifest of a folder of pairs: of which photographs they are, and whether these are as they were.

    manifest = Manifest("augmented")        checked; Problem if training on these pairs would be a mistake
"""

import os
from pathlib import Path

import pandas as pd

import samples
from running.command import Problem, complain
from running.files import from_cell, read_json, sha256
from running.sources import GROUPS, UNKNOWN, differences, folders_of, path_at, recorded
from sets.layouts import Photograph
from sets.licences import licences_of

NAMES = ("file", "source name", "path", "mask path", "fov path")  # the manifest's columns with file names
PARTS = ("train", "validation")  # whose photographs are needed; those of the third, test, are only named
AGAIN = "Run  python augment.py --overwrite  again."


class Manifest:
    """What run.json and manifest.csv of a folder of pairs say.

    data: the folders in which the photographs lie now, None: where augment.py found them. Raises Problem if
    the folder is unfinished, was edited, is older than its photographs, or trains on one of another part.
    """

    def __init__(self, folder, data=None):
        self.folder = Path(folder)
        card = self._card()
        self.data = folders_of(card, self.folder, data)
        self.recipe = {"data": [place.name for place in self.data.values()], **card["settings"]}
        manifest = self.folder / "manifest.csv"
        try:
            text = {"patient": str, **dict.fromkeys(NAMES, str)}
            self.table = pd.read_csv(manifest, dtype=text, keep_default_na=False)
            for column in NAMES[:2]:  # as objects: strings of pandas cannot hold names that are not UTF-8
                self.table[column] = pd.Series(map(from_cell, self.table[column]), dtype=object)
            self.parts = {part: self.table[self.table["split"] == part] for part in (*PARTS, "test")}
            self.fingerprint = sha256(manifest)
            self._check()
            if self.fingerprint != card.get("manifest"):
                raise ValueError("it was edited")
        except (OSError, ValueError, KeyError) as error:
            raise Problem(f"{manifest}: cannot be read ({error}). {AGAIN}") from error
        self._check_sources(card.get("sources"))

    def _card(self):
        path = self.folder / "run.json"
        card = read_json(path) if path.exists() else {}
        sound = isinstance(card, dict) and card.get("finished") and isinstance(card.get("settings"), dict)
        if not sound:
            out = "" if self.folder == Path("augmented") else f" (with --out {self.folder})"
            raise Problem(f"{path}: holds no finished pairs. Run  python augment.py  first{out}.")
        return card

    def _check(self):
        shas = {part: set(rows["source sha256"]) for part, rows in self.parts.items()}
        for part in ("validation", "test"):
            leaked = shas["train"] & shas[part]
            if leaked:
                name = self.table[self.table["source sha256"].isin(leaked)]["source name"].iloc[0]
                raise Problem(f"{self.folder}: {name} is among the training pairs and in the {part} split. "
                              "Remove one of the two from the data and run  python augment.py --overwrite")
        for part in ("train", "validation"):
            if self.parts[part].empty:
                raise Problem(f"{self.folder}: there is no {part} pair. {AGAIN}")
            for kind in ("images", "masks"):
                there = {entry.name for entry in os.scandir(self.folder / part / kind)}
                gone = [file for file in self.parts[part]["file"] if file not in there]
                if gone:
                    raise Problem(f"{self.folder / part / kind / gone[0]}: is missing. {AGAIN}")

    def _check_sources(self, known):
        """Raises Problem unless the photographs, which will be needed, are there and as they were."""
        for part in PARTS:
            for photograph in self.photographs(part):
                for path in filter(None, (photograph.path, photograph.mask, photograph.fov)):
                    if not path.is_file():
                        raise Problem(f"{path}: is gone, and training needs it. Put it back, say with --data "
                                      "where the data lies now, or run  python augment.py --overwrite")
        if known is None:
            complain(f"{self.folder}: {UNKNOWN}. python augment.py --overwrite  makes the pairs anew.")
            return
        known = {name: {role: file for role, file in item.items() if role not in GROUPS}
                 for name, item in known.items() if item.get("part") in PARTS}
        here = {name: {role: path_at(file["path"], self.data) for role, file in item.items()}
                for name, item in known.items()}
        changes = differences(known, recorded(here, self.data, known))
        if changes:
            raise Problem(f"{self.folder}: these pairs are older than their data: {changes} since. {AGAIN}")

    @property
    def drawn(self):
        """Whether they are of the drawn samples alone."""
        return set(self.table["source sha256"]) <= samples.sums()

    def _sources(self, part):
        return [row for _, row in self.parts[part].drop_duplicates("path").iterrows()]

    def photographs(self, part):
        """Returns the photographs of 'train' or 'validation' from which the pairs were cut."""
        def path(row, column):
            return path_at(row[column], self.data) if row[column] else None

        return [Photograph(row["set"], row["source name"], part, row["patient"], path(row, "path"),
                           path(row, "mask path"), path(row, "fov path"))
                for row in self._sources(part)]

    def sources(self):
        """Returns the photographs of training and validation for the card, {set: {part: {name: sha256}}}.

        One whose name another of its part has is called by its place.
        """
        found = {}
        for part in PARTS:
            for row in self._sources(part):
                own = found.setdefault(row["set"], {}).setdefault(part, {})
                name = row["source name"]
                own[name if name not in own else from_cell(row["path"])] = row["source sha256"]
        return found

    def licence(self):
        """Returns the licences of the photographs for the card."""
        return licences_of(set(self.table["set"]))
