"""The manifest of a folder of pairs: of which photographs they are, and whether these are as they were.

    rows = manifest_rows(...)               what augment.py writes as manifest.csv
    manifest = Manifest("augmented")        checked; Problem if training on these pairs would be a mistake
"""

from pathlib import Path

import pandas as pd

import samples
from fitting.augmentation import DEFAULTS
from running.command import Problem, complain, typed, with_example
from running.files import Folder, as_cell, from_cell, read_json, sha256
from running.sources import UNKNOWN, described, differences, folders_of, path_at, place_of, recorded
from sets.layouts import Photograph
from sets.leaks import copies_in_parts, in_several_parts
from sets.licences import licences_of
from sets.pairing import sets_in

NAMES = ("file", "source name")  # columns of the manifest; those with paths are read by path_at
PARTS = ("train", "validation")  # whose photographs are needed; those of the third, test, are only named
ROLES = {"photograph": "path", "mask": "mask path", "FOV": "fov path"}  # in run.json and in the manifest


def manifest_rows(parts, files, names, sources, pens, seed):
    """Returns a row, {column: cell}, for each pair and for each photograph that is kept out of training.

    parts: {part: photographs}; files: {photograph: those of its pairs}; names: {photograph: name} in
    `sources`; pens: {set: its pen}.
    """
    rows = []
    for part, photographs in parts.items():
        for photograph in photographs:
            source = {"set": photograph.set, "split": part, "patient": photograph.patient,
                      "source name": as_cell(photograph.name),
                      "source sha256": sources.now[names[photograph]]["photograph"]["sha256"],
                      "pen": pens.get(photograph.set, "")}
            places = {"path": photograph.path, "mask path": photograph.mask, "fov path": photograph.fov}
            places = {key: place_of(place, sources.folders) if place else "" for key, place in places.items()}
            rows += [{"file": as_cell(file), **source, "copy": copy, "seed": seed if part == "train" else "",
                      **places} for copy, file in enumerate(files[photograph] or [""])]
    return rows


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
        self.known = card.get("sources")  # None in pairs of earlier versions
        data = self.data.values() if card.get("data") else card["settings"].get("data", [])
        self.again = f"Run  {self._augment('--overwrite', '--data', *data)}  again."
        manifest = self.folder / "manifest.csv"
        try:
            self.table = pd.read_csv(manifest, dtype=str, keep_default_na=False)  # a set may be called 007
            for column in NAMES:  # as objects: strings of pandas cannot hold names that are not UTF-8
                self.table[column] = pd.Series(map(from_cell, self.table[column]), dtype=object)
            self.parts = {part: self.table[self.table["split"] == part] for part in PARTS}
            self.fingerprint = sha256(manifest)
            self._check()
            if self.fingerprint != card.get("manifest"):
                raise ValueError("it was edited")
        except (OSError, ValueError, KeyError) as error:
            raise Problem(f"{manifest}: cannot be read ({error}). {self.again}") from error
        self._check_files()
        self._check_sources()

    def _card(self):
        path = self.folder / "run.json"
        card = read_json(path) if path.exists() else {}
        sound = isinstance(card, dict) and card.get("finished") and isinstance(card.get("settings"), dict)
        if not sound:
            raise Problem(f"{path}: holds no finished pairs. Run  "
                          f"{typed('python', 'augment.py', *self._out())}  first, or give --pairs the folder "
                          "that it wrote.")
        return card

    def _out(self):
        return [] if self.folder == Path("augmented") else ["--out", self.folder]

    def _augment(self, *words):
        """Returns the command, with these words, that makes such pairs."""
        chosen = {flag: self.recipe.get(flag, default) for flag, default in DEFAULTS.items()}
        flags = [[f"--{flag}", *(value if isinstance(value, list) else [value])]
                 for flag, value in chosen.items() if value != DEFAULTS[flag]]
        return typed("python", "augment.py", *words, *sum(flags, []), *self._out())

    def _check(self):
        self._refuse(copies_in_parts({path_at(row["path"], self.data): (row["split"], row["source sha256"])
                                      for row in self.table.drop_duplicates("path").to_dict("records")}))
        for part in PARTS:
            files = self.parts[part]["file"]
            if files.empty:
                raise Problem(f"{self.folder}: there is no {part} pair. {self.again}")
            gone = Folder(self.folder).gone(
                [f"{part}/{kind}/{file}" for file in files for kind in ("images", "masks")])
            if gone:
                raise Problem(f"{self.folder / gone[0]}: is missing or empty. {self.again}")

    def _refuse(self, leaks):
        """Raises Problem if there are leaks, sentences of sets.leaks."""
        if leaks:
            raise Problem(f"{self.folder}: {leaks[0]} {self.again}")

    def _check_files(self):
        """Raises Problem if a photograph, its mask or FOV is gone: all will be needed."""
        paths = [path for part in PARTS for own in self.photographs(part) for path in own.files()]
        gone = next((path for path in paths if not path.is_file()), None)
        if gone:
            anew = self._augment("--data", "PLACES")
            raise Problem(f"{gone}: is gone, and training needs it. Put it back; if data was moved or "
                          f"renamed, run  {anew}  with all of its places now, and with --overwrite if you "
                          "can do without what is gone.")

    def _check_sources(self):
        """Raises Problem unless the data is as it was; says what is wrong in it now, and what was added."""
        if self.known is None:
            complain(f"{self.folder}: {UNKNOWN}. {self.again}")
            return
        known = {name: item for name, item in self.known.items() if item.get("part") in PARTS}
        of_whole = self.table[self.table["set"].isin(self.recipe["whole"])]
        whole = {file.rpartition("_")[0] for file in of_whole["file"]}
        gone = [folder for folder in self.data.values() if not folder.is_dir()]
        for folder in gone:
            complain(f"{folder}: is gone, so whether its test photographs are still kept out is not checked.")
        sets = [each for folder in self.data.values() if folder not in gone for each in sets_in(folder)[0]]
        for problem in [problem for each in sets for problem in each.problems]:
            complain(problem)
        found = {place_of(own.path, self.data): own for each in sets for own in each.photographs}
        here = {name: _now(item, found[place], name in whole) for name, item in known.items()
                if (place := item["photograph"]["path"]) in found}
        changes = differences(known, recorded(here, self.data, known))
        if changes:
            raise Problem(f"{self.folder}: these pairs are older than their data: {changes} since. "
                          f"{self.again}")
        places = {item["photograph"]["path"]: item for item in self.known.values()}
        self._refuse_leaks(sets, found, places)
        added = [own.path for place, own in found.items() if place not in places and own.split != "test"]
        if added:
            complain(f"{self.folder}: {with_example(added, 'photograph', 'added')} since these pairs were "
                     f"made: training does without, or make the pairs anew. {self.again}")

    def _refuse_leaks(self, sets, found, known):
        """Raises Problem if a patient or a photograph of these pairs is in the test part as well by now.

        found: {place: photograph} of the sets; known: {place: item of run.json}.
        """
        used = {place: item for place, item in known.items() if item.get("part") in PARTS}
        files = {place: (item["part"], item["photograph"]["sha256"]) for place, item in used.items()}
        tested = {place: own for place, own in found.items() if own.split == "test" and place not in used}
        for place, own in tested.items():
            before = known.get(place, {}).get("photograph")
            files[place] = "test", described(own.path, place, before)["sha256"]
        both = {*tested.values(), *(own for place, own in found.items() if place in used)}
        leaks = [leak for each in sets
                 for leak in in_several_parts([own for own in each.photographs if own in both])]
        files = {path_at(place, self.data): file for place, file in files.items()}
        self._refuse(leaks + copies_in_parts(files))

    @property
    def drawn(self):
        """Whether they are of the drawn samples alone."""
        return self._are_drawn(self.table["set"] != "")

    def _are_drawn(self, which):
        return set(self.table["source sha256"][which]) <= samples.sums()

    def _sources(self, part):
        return self.parts[part].drop_duplicates("path").to_dict("records")

    def photographs(self, part):
        """Returns the photographs of 'train' or 'validation' from which the pairs were cut."""
        return [Photograph(row["set"], row["source name"], part, row["patient"], *self._paths(row))
                for row in self._sources(part)]

    def _paths(self, row):
        """Returns photograph, mask and FOV (or None) of a row: run.json knows better where they lie now."""
        item = (self.known or {}).get(row["file"].rpartition("_")[0])
        places = [item.get(role, {}).get("path") if item else row[column] for role, column in ROLES.items()]
        return [path_at(place, self.data) if place else None for place in places]

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
        return licences_of(set(self.table["set"]), self._are_drawn(self.table["set"] == "samples"))


def _now(item, photograph, whole):
    """Returns an item of what augment.py used as it is now, its part if that is still possible.

    whole: whether the test part of its set was learned from as well.
    """
    part = "test" if photograph.split == "test" and not whole else item["part"]
    return {"part": part, "patient": photograph.patient, "photograph": photograph.path,
            "mask": photograph.mask, "FOV": photograph.fov}
