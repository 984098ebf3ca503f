"""Which mask is whose: the names under which masks of photographs are saved, and found again.

    file_of(name)                               where the review saves a photograph's mask
    masks = masks_in(place)                     the pictures in a folder
    mask_of = assigned(place, masks, photographs, names)
"""

import hashlib
import os
import re
from collections import Counter, defaultdict
from operator import itemgetter
from pathlib import Path, PurePosixPath
from unicodedata import category

from photographs.finding import folders_in
from photographs.formats import is_picture
from running.command import Problem, complain, with_example
from running.names import folded
from sets.layouts import without_suffix

# What masks of a second observer and of STARE add, and photographs of nnU-Net
OBSERVER = re.compile(r"[_-](?:manual2|2ndHO)$|\.(?:ah|vk)(?=\.ppm$|$)", re.IGNORECASE)
CHANNEL = re.compile("_0000$")
UNSAFE = str.maketrans(dict.fromkeys('<>:"\\|?*', "_") | {chr(code): "_" for code in range(32)})
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}  # categories of Unicode; "Cs" are bytes that are not UTF-8
RENAMED = re.compile(r"%|^[ .~]+|  +")  # as browsers, one or the other, do not call a download
RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)  # are devices on Windows


def file_of(name):
    """Returns the path below a folder under which a photograph's mask is saved, fit for any system.

    name: of its results, that is its path below the folder that was given, without its extension. No two
    names get one path: where something had to be replaced, six digits of a checksum tell them apart.
    """
    fit = _fit(name)
    digits = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{fit}.png" if fit == name else f"{fit}-{digits}.png"


def _fit(name):
    """Returns the name as any system takes it and any browser leaves it; two may become one."""
    plain = "".join("_" if category(letter) in UNSEEN and letter != " " else letter for letter in name)
    return _allowed("/".join(RENAMED.sub("_", part) for part in plain.split("/")))


def _allowed(name):
    """Returns the name as any system takes it; version 1.1 saved masks under it, two of one name perhaps."""
    parts = (RESERVED.sub(r"\1_", part.translate(UNSAFE).rstrip(". ")) for part in name.split("/"))
    return "/".join(part or "_" for part in parts)


def masks_in(place):
    """Returns the pictures in and below a folder, in order; says what else is there.

    Raises Problem if there is none.
    """
    if not place.is_dir():
        raise Problem(f"{place}: is not a folder. Give the folder that holds the masks.")
    files = _files_in(place)
    masks = [file for file in files if is_picture(file.name)]
    others = [file for file in files if not is_picture(file.name)]
    if not masks:
        archive = next((file for file in others if file.suffix.lower() == ".zip"), None)
        raise Problem(f"{place}: there is no mask in this folder. "
                      + (f"Unpack {archive} there." if archive else "Save the corrected ones into it."))
    if others:
        complain(f"{with_example(others, 'file')} left out: in no format of pictures.")
    return masks


def _files_in(place):
    """Returns the files in and below a folder, in order; raises OSError where one is closed.

    What is below it anyway bears the name that it has there, whatever link leads to it.
    """
    def closed(error):
        raise error

    def leads_back(folder):
        return os.path.islink(folder) and folder.resolve().is_relative_to(place.resolve())

    files = []
    for folder, below, names in folders_in(place, closed):
        below[:] = [name for name in below if not leads_back(folder / name)]
        files += [folder / name for name in names]
    return sorted(filter(os.path.isfile, files))


def assigned(place, masks, photographs, names, deeper=False):
    """Returns {photograph: mask} of those that have one; says which photographs and masks are left out.

    photographs: {photograph: path below its folder}; names: {photograph: name} of their results. The mask's
    path below its folder is this name, or the photograph's path, but for the extension and the suffixes that
    names in the plain layout may have; or its name is, if only one photograph bears it. If none is, case and
    Unicode form do not matter. Where nothing fits, all masks may lie in one folder `deeper`, which is said.
    Raises Problem if no photograph has a mask.
    """
    by_name = _by_name(place, masks, {photograph.resolve() for photograph in photographs})
    fits = [(rank, photograph, mask) for photograph, wanted in _wanted(photographs, names, not deeper).items()
            for rank, name in enumerate(wanted) for mask in by_name.get(name, ())]
    found, taken = {}, set()
    for _, photograph, mask in sorted(fits, key=itemgetter(0)):  # those whose names fit best come first
        if photograph not in found and mask not in taken:
            found[photograph] = mask
            taken.add(mask)
    if not found:
        inner = Path(os.path.commonpath([mask.parent for mask in masks]))
        if inner != place and not deeper:  # unpacked into a folder of their own
            found = assigned(inner, masks, photographs, names, deeper=True)
            complain(f"The masks are taken from {inner}.")
            return found
        raise Problem(f"{masks[0]}: no photograph has the name of this mask or of one beside it. "
                      "Give masks the names of their photographs.")
    without = [photograph for photograph in photographs if photograph not in found]
    if without:
        complain(f"{with_example(without, 'photograph')} of {len(photographs)} left out, without a mask in "
                 f"{place}.")
    left, fitting = set().union(*by_name.values()) - taken, {mask for *_, mask in fits}
    for some, why in ((left - fitting, ": no photograph here has such a name"),
                      (left & fitting, ", beside another of the same photograph")):
        if some:
            complain(f"{with_example(sorted(some), 'mask')} left out{why}.")
    return found


def lies_deeper(photograph, below, place):
    """Returns whether a photograph lies in `place`, a folder of masks, but the folder given does not.

    place: resolved; below: the photograph's path below the folder that was given. It is a mask then.
    """
    given = photograph.parents[len(PurePosixPath(below).parts) - 1]
    return photograph.resolve().is_relative_to(place) and not given.resolve().is_relative_to(place)


def _by_name(place, masks, photographs):
    """Returns {name, with and without its suffix: masks of this name, the best first}.

    photographs: resolved paths; they may lie in the same folder.
    """
    found = defaultdict(list)
    stems = {mask: _stem(mask.relative_to(place).as_posix()) for mask in masks
             if mask.resolve() not in photographs}
    for name_of in (str, lambda stem: without_suffix("mask", stem), lambda stem: OBSERVER.sub("", stem)):
        for mask, stem in stems.items():
            for name in {name_of(stem), folded(name_of(stem))}:
                if mask not in found[name]:
                    found[name].append(mask)
    return found


def _wanted(photographs, names, bare_is_enough):
    """Returns {photograph: names, without extension, that its mask may have, the best first}.

    bare_is_enough: one may be the photograph's alone, without its folders, which may be those of a patient.
    """
    last = {photograph: PurePosixPath(_stem(below)).name for photograph, below in photographs.items()}
    bare, found = Counter(last.values()), {}
    for photograph, below in photographs.items():
        wanted = [names[photograph], below, _stem(below)]
        wanted += [last[photograph]] * (bare_is_enough and bare[last[photograph]] == 1)
        wanted += [fit for each in wanted for fit in (_stem(file_of(each)), _fit(each), _allowed(each))]
        wanted += [without_suffix("photograph", each) for each in wanted]
        wanted += [CHANNEL.sub("", each) for each in wanted]
        found[photograph] = list(dict.fromkeys(wanted + list(map(folded, wanted))))
    return found


def _stem(below):
    return below.removesuffix(PurePosixPath(below).suffix)
