"""One command at a time writes to a folder: two would replace each other's results."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

import psutil

from running.command import Problem, at_the_end

MOMENT = 0.2  # s; a lock is written within a thousandth of that


def hold(folder):
    """Keeps other processes of this machine from writing to a folder until this command ends.

    Raises Problem if one of them does. The lock lies in the system's folder for temporary files: a folder
    that is only looked at stays as it is. That of a process that was killed does not count.
    """
    lock, own = lock_of(folder), {"pid": os.getpid(), "began": psutil.Process().create_time()}
    try:
        with open(lock, "x", encoding="utf-8") as new:
            json.dump(own, new)
    except FileExistsError:
        holder = _holder(lock)
        if holder == own:
            return
        if not _lives(holder):
            try:
                lock.write_text(json.dumps(own), encoding="utf-8")
            except PermissionError:  # another user's, who alone may remove it
                if holder:
                    return
                raise
            time.sleep(MOMENT)  # of several commands that find it dead at once the last one to write has it
            holder = _holder(lock)
        if holder != own:
            raise Problem(f"{folder}: another command (process {holder.get('pid', 'unknown')}) writes to "
                          "it. Wait until that has ended, or choose another --out.") from None
    at_the_end.callback(lock.unlink, missing_ok=True)


def lock_of(folder):
    place = os.path.normcase(os.path.realpath(folder))
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"retinal-vessels-{digest}.lock"


def _holder(lock):
    """Returns what a lock says, {} if that is nothing. Where one is just being written it waits for that."""
    for pause in (MOMENT, 0):
        with contextlib.suppress(OSError, ValueError):
            holder = json.loads(lock.read_text(encoding="utf-8"))
            return holder if isinstance(holder, dict) else {}
        time.sleep(pause)
    return {}


def _lives(holder):
    """Returns whether the process is there, and not another one that has got its number since."""
    try:
        return abs(psutil.Process(holder["pid"]).create_time() - holder["began"]) < 1
    except (KeyError, psutil.NoSuchProcess):
        return False
    except psutil.AccessDenied:  # it is another user's
        return True
