"""What happens when a command is run again: run.json in a folder of results says which run it holds.

    state = same_as_before(folder, settings, overwrite)      'new', 'unfinished' or 'finished'
    mark(folder, settings, finished=False)                   from here on the folder holds this run

`folder` is a path, or anything with the methods of running.files.Folder.
"""

import contextlib
import json
import os
import re
from pathlib import Path

from running.command import Problem, complain, with_example
from running.files import UNFINISHED, Folder, as_json, is_there, remove
from running.lock import hold
from running.names import folded

RUN = "run.json"  # {"settings": ..., "finished": bool}, and what running.sources knows of the files used
CHECKSUMS = {"pairs": "the pairs are others", "model sha256": "the model is another", "card sha256":
             "the card beside the model is another", "init sha256": "the model of --init is another"}
TOLD_BY = {"copies": "augment.py", "split": "testing.py", "epochs": "training.py", "tta": "eval.py",
           "masks": "eval.py"}  # which command a run is of: the first of these settings that it has tells


def same_as_before(folder, settings, overwrite, earlier=()):
    """Returns 'new', 'unfinished' or 'finished'; raises Problem if other settings or other files are there.

    A run of another command is never overwritten, nor is another program's run.json. With `overwrite` the
    folder counts as new. What a killed run left half written is removed. earlier: settings of earlier
    versions, compared where the folder has them. A finished run that has lost some of its `files` (see
    `mark`) is unfinished, and that is said. Raises Problem too while another process writes to the folder;
    none can from here on until this command ends.
    """
    folder = _folder(folder)
    entries = folder.entries()
    if folder.is_local:
        hold(folder.path)
    run = earlier_run(folder)
    _refuse_others(folder, run or {}, settings)
    if overwrite:
        if run is not None:
            sweep(folder)
        return "new"
    if run is None:
        if any(not entry.startswith(".") for entry in entries):
            raise Problem(f"{folder}: holds other files. Choose another --out, "
                          "or say --overwrite to put results among them.")
        return "new"
    known = run_in(folder)["settings"]
    settings = settings | {key: value for key, value in dict(earlier).items() if key in known}
    different = [key for key in {**known, **settings} if _shown(known.get(key)) != _shown(settings.get(key))]
    if different:
        changes = "; ".join(CHECKSUMS.get(key) or f"{key}: {_shown(known.get(key))} before, "
                            f"{_shown(settings.get(key))} now" for key in different)
        first = "Give the earlier model by --model, say" if "model sha256" in different else "Say"
        raise Problem(f"{folder}: holds a run with other settings ({changes}). "
                      f"{first} --overwrite, or choose another --out.")
    sweep(folder)
    whole = run.get("finished") and not lacks(folder, run.get("files", ()))
    return "finished" if whole else "unfinished"


def sweep(folder):
    """Removes what a killed run left half written, on this machine's disks; not below folders of other runs.

    What another program has open stays until the next time.
    """
    folder = _folder(folder)
    for place, below, names in os.walk(folder.path) if folder.is_local else ():
        below[:] = [name for name in below if not is_there(os.path.join(place, name, RUN))]
        for name in names:
            if name.startswith(UNFINISHED):
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    os.unlink(os.path.join(place, name))


def _refuse_others(folder, run, settings):
    """Raises Problem if a folder's `run`, see `earlier_run`, is of another command or of another program."""
    if run and not {"settings", "finished"} & run.keys():
        raise lost(f"{folder}/{RUN}")
    there, here = _command_of(run.get("settings", {})), _command_of(settings)
    if there and here and there != here:
        raise Problem(f"{folder}/{RUN}: is of a run of {there} and would be lost. Choose another --out.")


def _command_of(settings):
    """Returns the command whose settings these are, None if they do not tell."""
    return next((TOLD_BY[key] for key in TOLD_BY if key in settings), None)


def lacks(folder, files):
    """Returns whether files of a finished run are gone or empty, and says so."""
    gone = _folder(folder).gone(files)
    if gone:
        complain(f"{folder}: {with_example(gone, 'file')} gone or empty; what is missing is made again.")
    return bool(gone)


def _shown(value):
    if isinstance(value, bool) or value is None or value == []:
        return "given" if value else "not given"
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def run_in(folder):
    """Returns what the run.json in a folder holds, {} if there is none. Raises Problem if it is damaged."""
    run = earlier_run(folder)
    if run is not None and "settings" not in run:
        raise Problem(f"{folder}/{RUN}: is damaged. Say --overwrite to start anew, or choose another --out.")
    return run or {}


def earlier_run(folder):
    """Returns what the run.json in a folder holds, None if there is none; if it is damaged, no `settings`."""
    content = _folder(folder).read(RUN)
    if content is None:
        return None
    try:
        run = dict(json.loads(content))
    except (ValueError, TypeError):
        return {}
    return {key: value for key, value in run.items() if key != "settings" or isinstance(value, dict)}


def _folder(folder):
    return Folder(folder) if isinstance(folder, (str, os.PathLike)) else folder


def mark(folder, settings, finished, **more):
    """Writes run.json. Of `more`, `files` are those without which a run is not finished."""
    content = as_json({"settings": settings, "finished": finished, **more})
    _folder(folder).write(RUN, content.encode("utf-8", "backslashreplace"))


# ---- overwriting -----------------------------------------------------------------------------------------

def make_way(folder, patterns, new=(), data=(), overwrite=False, numbered=False):
    """Removes what an earlier run left under these patterns in a folder, if it is to be overwritten.

    new: files that will be written, below `folder`; data: files that are read. Raises Problem, before
    anything is removed, if a file would be lost that is from no run or that is read now. Where a pattern has
    a `*`, only files that bear the name of one of the run's photographs go; `numbered`: that name and a
    number. Of an earlier version's run no names are known, and all files go.
    """
    folder, run = Path(folder), earlier_run(folder)
    known = (run or {}).get("sources")
    earlier = _earlier(folder, patterns, known, numbered)
    own = set() if run is None else set(map(_as_file, earlier))
    replaced = [path for path in (folder / name for name in new) if os.path.lexists(path)]
    going = earlier * overwrite + replaced
    refuse_data(going, data)
    for path in going:
        if _as_file(path) not in own:
            raise lost(path)
    if overwrite and earlier:  # first: killed in between, nothing is left that says it is finished
        mark(folder, {}, finished=False, **({} if known is None else {"sources": known}))
        for path in earlier:
            remove(path)


def refuse_data(going, data):
    """Raises Problem if a file that is to be removed or replaced is one of `data`, which are read."""
    read = set(map(identity, data)) - {None}
    for path in going:
        if identity(path) in read:
            raise Problem(f"{path}: is a file of the data and would be lost. Choose another --out.")


def _earlier(folder, patterns, known, numbered):
    """Returns the files under these patterns that the run in a folder has written, as far as it tells.

    known: {name: ...} of its photographs, None if it does not tell.
    """
    def is_own(pattern, path):
        name = re.sub(r"_\d{4,}$", "", path.stem) if numbered else path.stem
        return "*" not in pattern or known is None or name in known

    return [path for pattern in patterns for path in folder.glob(pattern)
            if is_own(pattern, path) and not path.is_dir()]


def identity(path):
    """Returns what is the same for all paths of one file, None if there is no such file."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    if state.st_ino:
        return state.st_dev, state.st_ino
    return os.path.normcase(os.path.realpath(path))  # drives that do not number their files give 0 for all


def _as_file(path):
    """Returns what is the same for all spellings of a file's name: some disks know no case."""
    return identity(path), folded(path.name)


def lost(path):
    """Returns the Problem that a file of somebody's own stands where a result would be written."""
    return Problem(f"{path}: would be lost, and is not from an earlier run. Choose another --out.")
