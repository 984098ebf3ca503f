"""Which files in the folders that a user gives are photographs, and where each lies below its folder."""

import os
from pathlib import Path

from photographs.formats import EXTENSIONS
from running.command import Problem


def looks_like_photograph(path):
    """Returns whether a file's name is one of a picture, whatever the case of its extension."""
    return Path(path).suffix.lower() in EXTENSIONS and not Path(path).name.startswith(".")


def none_in(place):
    """Returns the Problem that a folder holds no photograph."""
    return Problem(f"{place}: there is no photograph in this folder ({', '.join(sorted(EXTENSIONS))}).")


def find_photographs(places, out):
    """Returns {path: path below the folder that was given} of all photographs, in order; of a file its name.

    These are the files as given and every picture in and below the folders, but nothing in `out`, which holds
    results. What is gone or cannot be opened comes last: reading it will say so. Raises Problem if it is all.
    """
    found, gone = {}, {}
    for place in map(Path, places):
        if place.is_dir():
            pictures, closed = pictures_in(place, Path(out).resolve())
            if not pictures and not closed:
                raise none_in(place)
            found = {**found, **{path: below for path, below in pictures.items() if path not in found}}
            gone |= closed
        elif place.exists():
            found.setdefault(place, place.name)
        else:
            gone[place] = place.name
    if not found and gone:
        raise Problem(f"{next(iter(gone))}: there is no such file, or it cannot be opened. "
                      "Give a photograph or a folder of them.")
    return found | gone


def pictures_in(place, out):
    """Returns {path: path below `place`} of the pictures in a folder, {path: name} of closed folders."""
    found, closed = {}, []
    for folder, below, names in os.walk(place, onerror=lambda error: closed.append(Path(error.filename))):
        below.sort()
        if Path(folder).resolve() == out:
            below.clear()
            continue
        for path in (Path(folder) / name for name in sorted(names) if looks_like_photograph(name)):
            found[path] = path.relative_to(place).as_posix()
    return found, {path: path.name for path in closed}
