"""Which files in the folders that a user gives are photographs, and where each lies below its folder."""

import json
import os
from pathlib import Path

from photographs.dicom import is_dicom
from photographs.formats import EXTENSIONS, content_of, is_picture
from running.again import RUN
from running.command import Problem, complain
from sets.layouts import drawings_in

PASSED_OVER = {"__macosx", "thumbnails", "thumbs", "@eadir", "$recycle.bin", "system volume information",
               "lost+found"}  # folders of other programs
LITTER = {"thumbs.db", "desktop.ini", "dicomdir"}  # files of theirs
SHEET = "contact_sheet.png"
RESULTS = ("_probability.png", "_mask.png", "_overlay.png", "_uncertainty.png", SHEET)


def is_passed_over(name):
    """Returns whether a file or folder of this name is hidden or a system's own, such as thumbnails."""
    return name.startswith(".") or name.lower() in PASSED_OVER | LITTER


def is_ours(folder):
    """Returns whether a folder holds what a command of this project wrote: pairs, results or a model."""
    return os.path.isfile(folder / "model.keras") or bool(_settings_in(folder))  # False where it is closed


def _settings_in(folder):
    """Returns the settings of the run that a folder holds, or {}."""
    try:
        return dict(json.loads((folder / RUN).read_text(encoding="utf-8", errors="replace"))["settings"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def none_in(place):
    """Returns the Problem that a folder holds no photograph."""
    return Problem(f"{place}: there is no photograph in this folder ({', '.join(sorted(EXTENSIONS))}).")


def find_photographs(places, out):
    """Returns {path: path below the folder that was given} of all photographs, in order; of a file its name.

    These are the files as given and every photograph in and below the folders, but nothing in `out` or in
    another folder of results; `photographs_among` says what else is left out. What is gone or cannot be
    opened comes last: reading it will say so. Raises Problem if it is all.
    """
    found, gone, absolute = {}, {}, set()
    for place in map(Path, places):
        if os.path.isdir(place):  # False where it is closed
            files, closed = files_in(place, Path(out).resolve())
            photographs = photographs_among(files, place)
            if not photographs and not closed:
                raise none_in(place)
            new = {path: path.relative_to(place).as_posix() for path in photographs}
            gone |= closed
        elif os.path.exists(place):
            new = {place: place.name}
        else:
            new, gone[place] = {}, place.name
        found |= {path: below for path, below in new.items() if os.path.abspath(path) not in absolute}
        absolute |= set(map(os.path.abspath, new))
    if not found and gone:
        content_of(next(iter(gone)))  # raises what is wrong with it
    return found | gone


def files_in(place, out):
    """Returns {file: its absolute path with `/`} of a folder, in order, and {path: name} of closed folders.

    Links to folders are followed, unless they lead back to where one has been.
    """
    found, closed, visited = {}, [], set()
    for folder, below, names in os.walk(place, onerror=lambda error: closed.append(Path(error.filename)),
                                        followlinks=True):
        real = Path(folder).resolve()
        if (real == out and Path(folder) != place) or real in visited:
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted(name for name in below
                          if not is_passed_over(name) and not is_ours(Path(folder, name)))
        settings = _settings_in(Path(folder))  # of the folder that was given: others are not gone into
        if {"copies", "split"} & settings.keys():  # pairs, or the results of a test
            below.clear()
        if settings:
            names = [name for name in names if name != RUN and not name.endswith(RESULTS)]
        absolute = Path(folder).absolute().as_posix()
        found |= {Path(folder, name): f"{absolute}/{name}" for name in sorted(names)
                  if not is_passed_over(name)}
    return found, {path: path.name for path in closed}


def photographs_among(files, place):
    """Returns which files of a folder are photographs, in order; says how many are left out, and why.

    files: {file: its absolute path with `/`}. The masks of a known layout are none beside their photographs,
    nor are files of other formats.
    """
    files = {file: with_ending(file, path) for file, path in files.items()}
    ours = _results_in(set(files.values()))
    files = {file: path for file, path in files.items() if path not in ours}
    drawings = drawings_in(files.values())
    drawn = [file for file, path in files.items() if path in drawings]
    others = [file for file, path in files.items() if not is_picture(path)]
    left_out = {*drawn, *others}
    photographs = [file for file in files if file not in left_out]
    for left, one, many in (
            (drawn, "mask or FOV of a photograph beside it", "masks or FOVs of photographs beside them"),
            (others, "file of another format", "files of other formats")):
        if left and photographs:
            complain(f"{place}: left out {len(left)} {one if len(left) == 1 else many}, {left[0]} for one.")
    return photographs


def _results_in(paths):
    """Returns which of these paths are pictures of results that were copied without their run.json."""
    stems = [path.removesuffix("_overlay.png") for path in paths if path.endswith("_overlay.png")]
    stems = [stem for stem in stems if f"{stem}_mask.png" in paths]
    return {f"{stem}{ending}" for stem in stems for ending in RESULTS} | {
        f"{stem.rpartition('/')[0]}/{SHEET}" for stem in stems}


def with_ending(file, path):
    """Returns `path`, the text by which a file is known; `.dcm` is added where a DICOM file has no extension.

    So it often is in archives, which call files IM0001, or by numbers and dots.
    """
    if not isinstance(file, Path) or (file.suffix and not file.suffix[1:].isdecimal()):
        return path
    try:
        with open(file, "rb") as content:
            return f"{path}.dcm" if is_dicom(content.read(132)) else path
    except OSError:
        return path
