"""How the known data sets lie in their folders: which file is what, who is whose, which split is official.

A layout is a table of patterns for the paths inside a set's folder. The part `key` pairs a photograph with
its mask, its FOV and its second observer: always by name, never by position.
"""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

PICTURE = r"(?:jpe?g|png|tiff?|gif|ppm|pgm|bmp|webp)"


@dataclass(frozen=True)
class Photograph:
    """A photograph of a set and what belongs to it; `split`: 'training', 'test', or 'all' without splits."""

    set: str
    name: str
    split: str
    patient: str
    path: Path
    mask: Path | None = None
    fov: Path | None = None
    second: Path | None = None


@dataclass
class Set:
    """A set as it was found. `problems` must be put right, `remarks` are good to know; both are sentences."""

    name: str
    folder: Path
    photographs: list[Photograph] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def of(self, split):
        """Returns the photographs of 'training' or 'test'; those of a set without splits are in both."""
        return [photograph for photograph in self.photographs if photograph.split in (split, "all")]


@dataclass(frozen=True)
class Layout:
    """Patterns for whole relative paths, whatever their case.

    `split` and `patient` are functions of the match of `photograph`.
    """

    name: str
    photograph: str
    mask: str
    fov: str | None
    second: str | None
    split: object
    patient: object


def _chase_split(match):
    return "training" if int(match["child"]) <= 10 else "test"


def _hrf_split(match):
    return "training" if int(match["number"]) <= 5 else "test"


def _folder_split(match):
    folder = (match["split"] or "").lower()
    return "training" if folder.startswith("train") else "test" if folder == "test" else "all"


SPLIT = r"(?:(?P<split>train|training|test)/)?"
LAYOUTS = [
    Layout("DRIVE", r"(?P<split>training|test)/images/(?P<key>\d+)_(?:training|test)\.tif",
           r"(?P<split>training|test)/1st_manual/(?P<key>\d+)_manual1\.gif",
           r"(?P<split>training|test)/mask/(?P<key>\d+)_(?:training|test)_mask\.gif",
           r"(?P<split>training|test)/2nd_manual/(?P<key>\d+)_manual2\.gif",
           _folder_split, lambda match: match["key"]),
    Layout("CHASE_DB1", r"Image_(?P<key>(?P<child>\d\d)[LR])\.jpg",
           r"Image_(?P<key>\d\d[LR])_1stHO\.png", None, r"Image_(?P<key>\d\d[LR])_2ndHO\.png",
           _chase_split, lambda match: match["child"]),
    Layout("STARE", r"stare-images/(?P<key>im\d{4})\.ppm(?:\.gz)?",
           r"labels-ah/(?P<key>im\d{4})\.ah\.ppm(?:\.gz)?", None,
           r"labels-vk/(?P<key>im\d{4})\.vk\.ppm(?:\.gz)?", lambda match: "test", lambda match: match["key"]),
    Layout("HRF", r"images/(?P<key>(?P<number>\d\d)_(?:h|dr|g))\.jpe?g",
           r"manual1/(?P<key>\d\d_(?:h|dr|g))\.tif", r"mask/(?P<key>\d\d_(?:h|dr|g))_mask\.tif", None,
           _hrf_split, lambda match: match["key"].lower()),
    Layout("FIVES", r"(?P<split>train|test)/Original/(?P<key>\d+_[ADGN])\.png",
           r"(?P<split>train|test)/Ground truth/(?P<key>\d+_[ADGN])\.png", None, None,
           _folder_split, lambda match: f"{match['split']}/{match['key']}"),
    Layout("plain", rf"{SPLIT}images/(?P<key>.+)\.{PICTURE}",
           rf"{SPLIT}masks/(?P<key>.+?)(?:[_-](?:mask|manual1?|vessels?|label|gt|1stHO))?\.{PICTURE}",
           rf"{SPLIT}fovs/(?P<key>.+?)(?:[_-](?:fov|mask))?\.{PICTURE}", None,
           _folder_split, lambda match: match["key"]),
]


def recognise(folder):
    """Returns the Set that lies in `folder`, or None."""
    folder = Path(folder)
    files = _files(folder)
    known = {layout: _known(layout, files) for layout in LAYOUTS
             if any(_match(layout.photograph, path) for path in files)}
    if not known:
        return None
    # DRIVE's photographs in images/ and masks/ are a plain set: what counts is who knows most of the files.
    layout = max(known, key=lambda layout: len(known[layout]))
    found = _paired(layout, folder, files)
    _note_unlabelled(found)
    if layout.name == "FIVES":
        found.remarks.append("FIVES does not say which photographs are of one patient: each counts as its "
                             "own, so a validation part taken from its training split may share patients "
                             "with the rest.")
    _note_strangers(found, [path for path in files if path not in known[layout]])
    return found


def _files(folder, depth=3):
    """Returns the relative paths of the files at most `depth` folders down, in order, without hidden ones."""
    found = []

    def visit(place, left):
        for entry in sorted(place.iterdir()):
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if entry.is_dir():
                if left > 1 and not entry.is_symlink():
                    visit(entry, left - 1)
            else:
                found.append(entry.relative_to(folder))

    visit(folder, depth)
    return found


def _match(pattern, path):
    return re.fullmatch(pattern, path.as_posix(), re.IGNORECASE | re.DOTALL)


def _known(layout, files):
    """Returns the set of those files that are something in this layout."""
    patterns = [pattern for pattern in (layout.photograph, layout.mask, layout.fov, layout.second) if pattern]
    return {path for path in files if any(_match(pattern, path) for pattern in patterns)}


def _paired(layout, folder, files):
    """Returns the Set of a layout's photographs, each with what is called like it."""
    found = Set(layout.name if layout.name != "plain" else folder.resolve().name, folder)
    places = _by_key(layout.photograph, files, found.problems)
    parts = {}
    for part in ("mask", "fov", "second"):
        parts[part] = _by_key(getattr(layout, part), files, found.problems)
        found.problems += [f"{folder / path}: there is no photograph for it. "
                           "Add the photograph or remove the file."
                           for key, (path, _) in parts[part].items() if key not in places]
    patients = _patients(folder)
    for key, (path, match) in places.items():
        beside = {part: folder / parts[part][key][0] for part in parts if key in parts[part]}
        name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        patient = patients.get(Path(match["key"]).name, layout.patient(match))
        found.photographs.append(
            Photograph(found.name, name, layout.split(match), patient, folder / path, **beside))
    return found


def _by_key(pattern, files, problems):
    """Returns {(split folder, key): (path, match)}; two files of one key (.ppm, .ppm.gz) are a problem."""
    found = {}
    for path in files if pattern else []:
        match = _match(pattern, path)
        if match:
            key = ((match.groupdict().get("split") or "").lower(), match["key"].lower())
            if key in found:
                problems.append(f"{found[key][0]} and {path} claim the same place: remove one.")
            found.setdefault(key, (path, match))
    return found


def _patients(folder):
    """Returns {name: patient} of a `patients.csv` with the columns name and patient, where there is one."""
    table = folder / "patients.csv"
    if not table.exists():
        return {}
    with open(table, newline="", encoding="utf-8-sig") as lines:
        return {Path(row["name"]).stem: row["patient"] for row in csv.DictReader(lines)
                if row.get("name") and row.get("patient")}


def _note_unlabelled(found):
    """A split without any mask can be predicted; one with some masks is a mistake that must be named."""
    for split in ("training", "test", "all"):
        photographs = [photograph for photograph in found.photographs if photograph.split == split]
        without = [photograph for photograph in photographs if photograph.mask is None]
        if without and len(without) == len(photographs):
            found.remarks.append(f"its {split} photographs have no masks: "
                                 "they can be segmented, but not scored or trained on.")
        else:
            found.problems += [f"{photograph.path}: has no mask. Add the mask or remove the photograph."
                               for photograph in without]


def _note_strangers(found, others):
    """Pictures beside the photographs whose names the layout does not know are left out, and that is told."""
    folders = {photograph.path.parent for photograph in found.photographs}
    strange = [path for path in others if found.folder / path.parent in folders
               and re.search(rf"\.{PICTURE}$", path.name, re.IGNORECASE)]
    if strange:
        found.remarks.append(f"{len(strange)} picture{'s' * (len(strange) > 1)} beside its photographs with "
                             f"another name than this layout's, {strange[0]} for one: left out.")
