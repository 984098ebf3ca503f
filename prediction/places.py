"""Where the photographs of rows lay: they are known there, however their paths are typed.

    names_known(photographs, places_known(rows))     {photograph: name}
    replacing(path, row)                             what a photograph has to do with that of a row
"""

import os
from pathlib import Path

from prediction.rows import place_of
from running.names import folded, where


def places_known(rows):
    """Returns {place: name} of {name: row}.

    A place is where the photograph lay, a text, or its path as it was typed, a Path.
    """
    typed = {Path(row["file"]): name for name, row in rows.items()}
    return typed | {where(place_of(row)): name for name, row in rows.items()}


def names_known(photographs, known):
    """Returns {photograph: name} of those that places_known knows, no name twice.

    Where a photograph lies tells more than how its path is typed, which may be of another folder now.
    """
    there = {where(path): path for path in reversed(photographs)}  # the first photograph that lies there
    lie = {path: known[place] for place, path in there.items() if place in known}
    taken = set(lie.values())
    return {path: known[path] for path in photographs if path in known and known[path] not in taken} | lie


def replacing(path, row):
    """Returns in words how a photograph, which is another, replaces that of a row; "" if it does not.

    It does where that one lay, or, that being gone, beside where it lay. The path may be typed as that one
    was, and be of another folder all the same.
    """
    here, former = where(path), where(place_of(row))
    if here == former or _is_renamed(former, here):
        return "is another photograph than it was"
    if os.path.exists(former) or os.path.dirname(here) != os.path.dirname(former):
        return ""
    return f"takes the place of {place_of(row)}, which is gone"


def _is_renamed(former, here):
    """Returns whether a disk that does not know case takes these two for one file."""
    there = os.path.exists(here) and os.path.exists(former)
    return there and folded(here) == folded(former) and os.path.samefile(here, former)


def lay_in(row, places):
    """Returns whether a row's photograph lay in one of these folders, if need be as its path was typed."""
    place = place_of(row)
    found = [place] if os.path.exists(place) else [place, os.path.abspath(row["file"])]
    return any(Path(path).is_relative_to(folder) for path in found for folder in places)
