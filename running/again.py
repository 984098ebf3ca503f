"""What happens when a command is run again: run.json in a folder of results says which run it holds.

    state = same_as_before(folder, settings, overwrite)      'new', 'unfinished' or 'finished'
    mark(folder, settings, finished=False)                   from here on the folder holds this run

`folder` is a path, or anything with the methods of running.files.Folder.
"""

import json
import os
from pathlib import Path

from running.command import Problem, complain, with_example
from running.files import Folder, as_json
from running.lock import hold

RUN = "run.json"  # {"settings": ..., "finished": bool}, and what running.sources knows of the files used
CHECKSUMS = {"pairs": "the pairs are others", "model sha256": "the model is another", "card sha256":
             "the card beside the model is another", "init sha256": "the model of --init is another"}


def same_as_before(folder, settings, overwrite, earlier=()):
    """Returns 'new', 'unfinished' or 'finished'; raises Problem if other settings or other files are there.

    With `overwrite` the folder counts as new. What a killed run left half written is removed. earlier:
    settings of earlier versions, compared where the folder has them. A finished run that has lost some of its
    `files` (see `mark`) is unfinished, and that is said. Raises Problem too while another process writes to
    the folder; none can from here on until this command ends.
    """
    folder = _folder(folder)
    entries = folder.entries()
    if folder.is_local:
        hold(folder.path)
    if overwrite:
        return "new"
    content = folder.read(RUN)
    if content is None:
        if any(not entry.startswith(".") for entry in entries):
            raise Problem(f"{folder}: holds other files. Choose another --out, "
                          "or say --overwrite to put results among them.")
        return "new"
    before = _run_of(content, folder)
    known = before["settings"]
    settings = settings | {key: value for key, value in dict(earlier).items() if key in known}
    different = [key for key in {**known, **settings} if _shown(known.get(key)) != _shown(settings.get(key))]
    if different:
        changes = "; ".join(_change(key, known.get(key), settings.get(key)) for key in different)
        raise Problem(f"{folder}: holds a run with other settings ({changes}). "
                      "Say --overwrite, or choose another --out.")
    if before.get("finished") and not lacks(folder, before.get("files", ())):
        return "finished"
    folder.sweep()
    return "unfinished"


def lacks(folder, files):
    """Returns whether files of a finished run are gone or empty, and says so."""
    gone = _folder(folder).gone(files)
    if gone:
        complain(f"{folder}: {with_example(gone, 'file')} gone or empty; what is missing is made again.")
    return bool(gone)


def _change(key, before, now):
    """Returns in words how a setting differs; of a checksum that it does."""
    return CHECKSUMS.get(key) or f"{key}: {_shown(before)} before, {_shown(now)} now"


def _shown(value):
    if isinstance(value, bool) or value is None or value == []:
        return "given" if value else "not given"
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def run_in(folder):
    """Returns what the run.json in a folder holds, {} if there is none."""
    folder = _folder(folder)
    content = folder.read(RUN)
    return {} if content is None else _run_of(content, folder)


def _folder(folder):
    return Folder(folder) if isinstance(folder, (str, os.PathLike)) else folder


def _run_of(content, folder):
    """Returns what a run.json holds; raises Problem unless settings are among it."""
    try:
        before = json.loads(content)
    except ValueError:
        before = None
    if not isinstance(before, dict) or not isinstance(before.get("settings"), dict):
        raise Problem(f"{folder}/{RUN}: is damaged. Say --overwrite to start anew, or choose another --out.")
    return before


def mark(folder, settings, finished, **more):
    """Writes run.json. Of `more`, `files` are those without which a run is not finished."""
    content = as_json({"settings": settings, "finished": finished, **more})
    _folder(folder).write(RUN, content.encode("utf-8", "backslashreplace"))


def clear(folder, *patterns):
    """Removes what an earlier run left under these patterns; raises Problem if it is from no run."""
    there = [path for pattern in patterns for path in Path(folder).glob(pattern)]
    if there and not (Path(folder) / RUN).exists():
        raise lost(there[0])
    if there:
        mark(folder, {}, finished=False)  # first: killed in between, nothing is left that says it is finished
    for path in there:
        path.unlink()


def lost(path):
    """Returns the Problem that a file of somebody's own stands where a result would be written."""
    return Problem(f"{path}: would be lost, and is not from an earlier run. Choose another --out.")
