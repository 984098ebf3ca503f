"""How the known data sets lie in their folders: which file is what, who is whose, which split is official.

A layout is a table of patterns for the paths inside a set's folder. The part `key` pairs a photograph with
its mask, its FOV and its second observer: always by name, never by position. sets/pairing.py finds the sets.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from photographs.formats import EXTENSIONS
from running.names import folded

PICTURE = f"(?:{'|'.join(sorted(ending[1:] for ending in EXTENSIONS))}|p[gnp]m[.]gz)"
SPLITS = "training", "validation", "test", "all"  # the last: without splits


@dataclass(frozen=True)
class Photograph:
    """A photograph of a set and what belongs to it.

    `split`: 'training', 'validation', 'test', or 'all' without splits. `told`: whether anything but its name
    says who the patient is, so that another photograph of this patient is of the same person.
    """

    set: str
    name: str
    split: str
    patient: str
    path: Path
    mask: Path | None = None
    fov: Path | None = None
    second: Path | None = None
    told: bool = False

    def files(self):
        """Returns the paths of all that belongs to it."""
        return [path for path in (self.path, self.mask, self.fov, self.second) if path]


@dataclass
class Set:
    """A set as it was found, and sentences on it.

    `problems` must be put right, `left_out` says what is not used, `remarks` are good to know.
    """

    name: str
    folder: Path
    photographs: list[Photograph] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def renamed(self, name):
        """Returns the same Set under another name."""
        photographs = [replace(photograph, set=name) for photograph in self.photographs]
        return replace(self, name=name, photographs=photographs)

    def files(self):
        """Returns the paths of all that belongs to its photographs."""
        return [path for own in self.photographs for path in own.files()]

    def by_split(self):
        """Returns {split: photographs} of the splits that it has, in the order of SPLITS."""
        found = {split: [own for own in self.photographs if own.split == split] for split in SPLITS}
        return {split: photographs for split, photographs in found.items() if photographs}

    def of(self, split):
        """Returns the photographs of 'training', an official validation part included, or of 'test'.

        Those of a set without splits are in both.
        """
        splits = ("training", "validation", "all") if split == "training" else (split, "all")
        return [photograph for photograph in self.photographs if photograph.split in splits]


def by_set(photographs):
    """Returns {set: its photographs}, the names of the sets in order."""
    names = sorted({photograph.set for photograph in photographs})
    return {name: [photograph for photograph in photographs if photograph.set == name] for name in names}


@dataclass(frozen=True)
class Layout:
    """Patterns for whole relative paths, whatever their case.

    `split` and `patient` are functions of the match of `photograph`; where the name does not tell of a
    patient, that is None. `has_name`: the set is called after the layout, not after its folder. `lists`:
    files that name the photographs of a split, {name: split}.
    """

    name: str
    photograph: str
    mask: str
    fov: str | None
    second: str | None
    split: object
    patient: object
    has_name: bool = True
    lists: tuple = ()

    def patterns(self):
        parts = ("photograph", "mask", "fov", "second")
        return {part: getattr(self, part) for part in parts if getattr(self, part)}


def match(pattern, path):
    """Returns the match of a pattern with a whole path, or None."""
    return re.fullmatch(pattern, PurePath(path).as_posix(), re.IGNORECASE | re.DOTALL)


def split_of(found):
    """Returns 'training', 'validation', 'test' or 'all', as the folders in a match say."""
    groups = found.groupdict()
    folder = (groups.get("split") or groups.get("inner") or "").lower()
    return {"tr": "training", "va": "validation", "te": "test", "ts": "test"}.get(folder[:2], "all")


def key_of(found):
    """Returns what pairs a photograph with its parts: the split and the name."""
    return split_of(found), folded(found["key"])


def _chase_split(found):
    return "training" if int(found["child"]) <= 10 else "test"


def _hrf_split(found):
    return "training" if int(found["number"]) <= 5 else "test"


def _untold(found):
    """Returns None: names such as eye_01 begin anew in each split, and tell of no patient."""


def _plain_patient(found):
    """Returns the child, of CHASE_DB1's photographs in the plain layout; None of others."""
    child = re.fullmatch(r"image_(\d\d)[LR]", found["key"], re.IGNORECASE)
    return child and child[1]


OF_SPLIT = "train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?"
SPLIT, INNER = rf"(?:(?P<split>{OF_SPLIT})/)?", rf"(?:(?P<inner>{OF_SPLIT})/)?"
IMAGES = "(?:images?|imgs?|photographs?|photos?|pictures?|originals?)"
MASKS = ("(?:masks?|labels?|vessels?|annotations?|manual1?|1st_manual|ground[ _-]?truths?|gt|segmentations?"
         "|vessel[ _-]?masks?)")
FOVS = "(?:fovs?|fov[ _-]?masks?)"
SUFFIXES = {"photograph": "[_-](?:image|img|photo|original|training|test)",
            "mask": "[_-](?:masks?|manual1?|vessels?|labels?|gt|1stHO|annotation|seg(?:mentation)?)",
            "fov": "[_-](?:fov|mask|fov_?mask)"}  # which names in the plain layout may add
LAYOUTS = [
    Layout("DRIVE", rf"(?P<split>training|test)/images/(?P<key>\d+)_(?:training|test)\.{PICTURE}",
           rf"(?P<split>training|test)/1st_manual/(?P<key>\d+)_manual1\.{PICTURE}",
           rf"(?P<split>training|test)/mask/(?P<key>\d+)_(?:training|test)_mask\.{PICTURE}",
           rf"(?P<split>training|test)/2nd_manual/(?P<key>\d+)_manual2\.{PICTURE}",
           split_of, _untold),
    Layout("CHASE_DB1", rf"Image_(?P<key>(?P<child>\d\d)[LR])\.{PICTURE}",
           rf"Image_(?P<key>\d\d[LR])_1stHO\.{PICTURE}", None, rf"Image_(?P<key>\d\d[LR])_2ndHO\.{PICTURE}",
           _chase_split, lambda found: found["child"]),
    Layout("STARE", rf"stare-images/(?P<key>im\d{{4}})\.{PICTURE}",
           rf"labels-ah/(?P<key>im\d{{4}})\.ah\.{PICTURE}", None,
           rf"labels-vk/(?P<key>im\d{{4}})\.vk\.{PICTURE}", lambda found: "test", lambda found: found["key"]),
    Layout("HRF", rf"images/(?P<key>(?P<number>\d\d)_(?:h|dr|g))\.{PICTURE}",
           rf"manual1/(?P<key>\d\d_(?:h|dr|g))\.{PICTURE}", rf"mask/(?P<key>\d\d_(?:h|dr|g))_mask\.{PICTURE}",
           None, _hrf_split, lambda found: found["key"].lower()),
    Layout("FIVES", rf"(?P<split>train|test)/Original/(?P<key>\d+_[ADGN])\.{PICTURE}",
           rf"(?P<split>train|test)/Ground truth/(?P<key>\d+_[ADGN])\.{PICTURE}", None, None,
           split_of, lambda found: f"{found['split']}/{found['key']}"),
    Layout("Fundus-AVSeg", rf"images?/(?P<key>\d{{3}}_[ADGN])\.{PICTURE}",
           rf"annotations?/(?P<key>\d{{3}}_[ADGN])\.{PICTURE}", None, None, split_of,
           lambda found: found["key"], lists=(("training.txt", "training"), ("testing.txt", "test"))),
    Layout("nnU-Net", rf"images(?P<split>T[rs])/(?P<key>.+)_0000\.{PICTURE}",
           rf"labels(?P<split>T[rs])/(?P<key>.+)\.{PICTURE}", None, None,
           split_of, _untold, has_name=False),
    Layout("plain", rf"{SPLIT}{IMAGES}/{INNER}(?P<key>.+)\.{PICTURE}",
           rf"{SPLIT}{MASKS}/{INNER}(?P<key>.+)(?<!manual2)(?<!2ndHO)\.{PICTURE}",
           rf"{SPLIT}{FOVS}/{INNER}(?P<key>.+)\.{PICTURE}",
           rf"{SPLIT}(?:{MASKS}|2nd_manual)/{INNER}(?P<key>.+)[_-](?:manual2|2ndHO)\.{PICTURE}",
           split_of, _plain_patient, has_name=False),
]


def without_suffix(part, key):
    """Returns a key without what names in the plain layout may add: that of eye_mask is eye."""
    return re.sub(f"{SUFFIXES[part]}$", "", key, flags=re.IGNORECASE) if part in SUFFIXES else key


def drawings_in(paths):
    """Returns those of the paths that are masks, FOVs or second observers of photographs among them.

    paths: a collection of files anywhere, with `/`. A drawing without its photograph is not among them.
    """
    # Whatever the layout, x_mask.png is the mask of the x.png that lies beside it.
    stems = {path: path.rpartition(".")[0] for path in paths}
    photographs = set(stems.values())
    found = {path for path, stem in stems.items()
             if (plain := without_suffix("mask", stem)) != stem and plain in photographs}
    for layout in LAYOUTS:
        patterns = {part: re.compile(f"(?P<base>(?:.*/)?){pattern}", re.IGNORECASE | re.DOTALL)
                    for part, pattern in layout.patterns().items()}
        keys = {part: {} for part in patterns}
        for path in paths:
            for part, pattern in patterns.items():
                if path not in found and (own := pattern.fullmatch(path)):
                    keys[part][path] = own["base"], *key_of(own)
        photographs = set(keys.pop("photograph").values())
        photographs |= {(*rest, without_suffix("photograph", key)) for *rest, key in photographs}
        for part, places in keys.items():
            found |= {path for path, (*rest, key) in places.items()
                      if photographs & {(*rest, key), (*rest, without_suffix(part, key))}}
    return found
