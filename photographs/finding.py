"""Which files in the folders that a user gives are photographs, and where each lies below its folder."""

import contextlib
import os
import re
from itertools import accumulate
from pathlib import Path, PurePath

from photographs.dicom import is_dicom
from photographs.formats import EXTENSIONS, content_of, is_picture
from running.again import RUN, earlier_run
from running.command import Problem, complain, counted
from running.names import where
from sets.layouts import drawings_in

PASSED_OVER = {"__macosx", "thumbnails", "thumbs", "@eadir", "$recycle.bin", "system volume information",
               "lost+found"}  # folders of other programs
LITTER = {"thumbs.db", "desktop.ini", "dicomdir"}  # files of theirs
KINDS = ("probability", "mask", "overlay", "uncertainty")  # of a photograph's results, the last with --tta
SHEET = "contact_sheet.png"
RESULTS = (*(f"_{kind}.png" for kind in KINDS), SHEET)
DRAWN = {SHEET, "roc.png", "pr.png", "curves.png", "preview.png"}
CORRECTED = "corrected"  # in a folder of results: masks that the page saved, named as their photographs are
OF_RUNS = {"copies": r"(train|validation)/(images|masks)/.*_\d{4,}\.png",  # what a run with the setting wrote
           "split": r"(probabilities|masks|comparisons)/[^/]*\.png"}
TO_TAKE_THEM = "Give the folder that they lie in, or move the results elsewhere."


def is_passed_over(name):
    """Returns whether a file or folder of this name is hidden or a system's own, such as thumbnails."""
    return name.startswith(".") or name.lower() in PASSED_OVER | LITTER


def is_ours(folder):
    """Returns whether a folder holds what a command of this project wrote: pairs, results or a model."""
    return os.path.isfile(folder / "model.keras") or bool(_settings_in(folder))  # False where it is closed


def _settings_in(folder):
    """Returns the settings of the run that a folder holds, or {}."""
    with contextlib.suppress(OSError):  # it is closed
        return (earlier_run(folder) or {}).get("settings", {})
    return {}


def pictures_beside_results(folder):
    """Returns the pictures in and below a folder of results, in order, that no command of this project wrote.

    Their names tell; masks that were saved in `corrected` count as results.
    """
    found, runs = [], {}
    for place, below, names in folders_in(folder):
        below[:] = [name for name in below if name != CORRECTED]
        settings = _settings_in(place)
        runs[place] = root, settings = (place, settings) if settings else runs.get(place.parent, (place, {}))
        for path in (place / name for name in names):
            ours = _is_written(path.relative_to(root).as_posix(), settings)
            if not ours and is_picture(with_ending(path, path.name)):
                found.append(path)
    return found


def _is_written(path, settings=OF_RUNS):
    """Returns whether a picture is a result, given its path below the folder of a run and its settings."""
    name = path.rpartition("/")[2]
    return name in DRAWN or name.endswith(RESULTS) or any(
        re.fullmatch(OF_RUNS[key], path) for key in OF_RUNS if key in settings)


def _is_of_run(path):
    """Returns whether a file is of the run that the folder given holds, perhaps among photographs.

    path: below that folder.
    """
    return path == RUN or path.endswith(RESULTS) or path.startswith(f"{CORRECTED}/")


def told_beside_results(pictures):
    """Returns in words how many pictures lie beside results, and where one does."""
    place = PurePath(pictures[0]).parent
    return f"{counted(len(pictures), 'picture')} beside results of this project, in {place} for one"


def tell_left_out(place, photographs, beside):
    """Says how many pictures of a folder are left out since they lie `beside` results.

    Raises Problem if there are no photographs.
    """
    told = f"{told_beside_results(beside)}. {TO_TAKE_THEM}" if beside else ""
    if not photographs:
        raise Problem(f"{place}: there is no photograph in this folder" + (
            f", but for {told}" if beside else f" ({', '.join(sorted(EXTENSIONS))})."))
    if beside:
        complain(f"{place}: left out {told}")


def find_photographs(places, out):
    """Returns {path: path below the folder that was given} of all photographs, in order; of a file its name.

    These are the files as given and every photograph in and below the folders, each once where links lead to
    it again, but nothing in `out` or in another folder of results: pictures beside the results are counted.
    `photographs_among` says what else is left out. What is gone or cannot be opened comes last: reading it
    will say so. Raises Problem if it is all.
    """
    found, gone, lie = {}, {}, {}  # the last: {where it lies: photograph}
    for place in map(Path, places):
        if os.path.isdir(place):  # False where it is closed
            files, closed, beside = files_in(place, Path(out).resolve())
            photographs = photographs_among(files, place)
            tell_left_out(place, photographs or closed, beside)
            new = {path: path.relative_to(place).as_posix() for path in photographs}
            gone |= closed
        elif os.path.exists(place):
            new = {place: place.name}
        else:
            new, gone[place] = {}, place.name
        found |= {path: below for path, below in new.items()
                  if lie.setdefault(where(path), path) is path}
    if not found and gone:
        content_of(next(iter(gone)))  # raises what is wrong with it
    return found | gone


def files_in(place, out):
    """Returns {file: its absolute path with `/`} of a folder, {path: name} of closed folders, and pictures.

    The last are in folders of results and are left out. All are in order.
    """
    found, closed, beside = {}, [], []
    settings = _settings_in(place)  # others' folders are not gone into
    for folder, below, names in folders_in(place, lambda error: closed.append(Path(error.filename))):
        ours = [name for name in below if is_ours(folder / name) or (folder / name).resolve() == out]
        if OF_RUNS.keys() & settings.keys():  # pairs, or the results of a test
            beside += [path for path in pictures_beside_results(folder) if path.parent != folder]
            below.clear()
        else:
            beside += [path for name in ours for path in pictures_beside_results(folder / name)]
            below[:] = [name for name in below if name not in ours]
        absolute = folder.absolute().as_posix()
        found |= {folder / name: f"{absolute}/{name}" for name in names
                  if not (settings and _is_of_run((folder / name).relative_to(place).as_posix()))}
    counted_once = {path.resolve(): path for path in reversed(beside)}  # links may have led there again
    taken = set(map(Path.resolve, found)) if beside else ()
    beside = [path for real, path in reversed(counted_once.items()) if real not in taken]
    return found, {path: path.name for path in closed}, beside


def folders_in(place, onerror=None):
    """Yields each folder in and below one, and the names of folders and of files in it, in order.

    Links to folders are followed, unless they lead back to where one has been. What is hidden or a system's
    own is passed over, and so are folders that are taken out of the first list of names.
    """
    visited = set()
    for folder, below, names in os.walk(place, onerror=onerror, followlinks=True):
        real = Path(folder).resolve()
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted(name for name in below if not is_passed_over(name))
        yield Path(folder), below, sorted(name for name in names if not is_passed_over(name))


def not_passed_over(files, root, out=None):
    """Returns which files below `root`, all of them texts, may be photographs, and pictures beside results.

    As `files_in`, for any store. out: the folder below `root` that this command writes to.
    """
    runs = {path.rpartition("/")[0] for path in files if path.endswith((f"/{RUN}", "/model.keras"))}
    ours, kept, beside = (runs | {out}) - {root}, [], []
    for path in files:
        parts = path[len(root):].strip("/").split("/")
        above = accumulate(parts[:-1], "{}/{}".format, initial=root)
        results = [folder for folder in above if folder in ours]
        if any(map(is_passed_over, parts)):
            continue
        if not results:
            kept += [path] * (root not in runs or not _is_of_run("/".join(parts)))
        elif is_picture(path) and CORRECTED not in parts and not _is_written(path[len(results[-1]) + 1:]):
            beside.append(path)
    return kept, beside


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
