"""Files that appear whole or not at all: this project's pictures, tables and JSON, written and read again.

    with whole(path) as beside: ...      write to `beside`; it takes the name `path` only when all went well
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import os
import secrets
import time
from pathlib import Path

import cv2
import numpy as np

from running.command import Problem, complain

UNFINISHED = ".unfinished-"
PAUSES = 0.1, 0.3, 1.0  # s between tries to replace or remove a file that a virus scanner may have open


class Held(Problem):
    """A file that can be neither replaced nor removed, since another program has it open."""


@contextlib.contextmanager
def whole(path, suffix=None):
    """Yields a path beside `path` whose file replaces `path` at the end; after an error `path` is as it was.

    Its name ends like `path`, which some writers want, or in `suffix`: with "" what a killed run leaves does
    not look like a picture.
    """
    path = Path(path)
    ending = path.suffix if suffix is None else suffix
    beside = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}{ending}")
    with told_as(path):
        if len(os.fsencode(path.name)) > 255:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.touch(exist_ok=False)  # with the rights that any new file gets
        try:
            yield beside
            _onto_disk(beside)
            _patiently(path, os.replace, beside, path)
        finally:
            with contextlib.suppress(PermissionError):  # held: running.again.sweep takes it later
                beside.unlink(missing_ok=True)


@contextlib.contextmanager
def told_as(path):
    """Lets an error that names no file, or an unfinished one, name `path`; a Problem if that is too long."""
    try:
        yield
    except OSError as error:
        unfinished = UNFINISHED in str(error.filename)
        too_long = getattr(error, "winerror", None) == 206 or (  # on Windows: of a folder, and of a file
            unfinished and error.errno == errno.ENOENT and path.parent.is_dir())
        if too_long or error.errno == errno.ENAMETOOLONG:
            raise Problem(f"{path}: this name or path is too long to be written. "
                          "Give the photograph a shorter one.") from error
        if error.errno and (unfinished or not error.filename):
            error.filename = str(path)
        raise


def _onto_disk(path):
    """Waits until a file is on the disk, where the file system can say so: not every network drive can."""
    with open(path, "rb+") as written:  # Windows wants a file that may be written
        try:
            os.fsync(written.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise


def _patiently(path, step, *given):
    """Calls step(*given); raises Held where that is refused since `path` is open elsewhere, on Windows."""
    for pause in (*PAUSES, None):
        try:
            return step(*given)
        except PermissionError as error:
            if pause is None:
                raise Held(f"{path}: is open in another program (Excel, say) or write-protected. "
                           "Close it there and run the same command again.") from error
        time.sleep(pause)


def remove(path):
    """Removes a file, if it is there; raises Held where another program has it open."""
    with contextlib.suppress(FileNotFoundError):
        _patiently(path, os.unlink, path)


def written(write, *given):
    """Calls write(*given) and returns True; says that the file is Held, and returns False, if it is."""
    try:
        write(*given)
    except Held as held:
        complain(held)
        return False
    return True


def is_there(path):
    """Returns whether a file is there and holds something: a full disk or a broken sync leaves empty ones."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_size > 0
    return False


def write_bytes(path, content):
    with whole(path, suffix="") as beside:
        beside.write_bytes(content)


class Folder:
    """A folder, its files by their paths below it. cluster.stores.Store has the same methods in any store."""

    is_local = True  # on a file system of this machine

    def __init__(self, path):
        self.path = Path(path)

    def __str__(self):
        return str(self.path)

    def __truediv__(self, name):
        return self.path / name

    def entries(self):
        """Returns the names of what lies in it; raises Problem if it is a file."""
        if self.path.exists() and not self.path.is_dir():
            raise Problem(f"{self.path}: is a file, not a folder. Choose another --out.")
        return os.listdir(self.path) if self.path.is_dir() else []

    def first_there(self, names):
        """Returns the first of these files that exists, or None."""
        return next((name for name in names if os.path.exists(self.path / name)), None)

    def gone(self, names):
        """Returns those of these files that are not there or are empty."""
        return [name for name in names if not is_there(self.path / name)]

    def read(self, name):
        """Returns the content of a file, None if there is no such file."""
        path = self.path / name
        return path.read_bytes() if path.exists() else None

    def write(self, name, content):
        write_bytes(self.path / name, content)

    def remove(self, name):
        remove(self.path / name)


def write_text(path, text):
    """Writes UTF-8. Bytes of a file name that are not UTF-8 become \\udcXX, which JSON turns back."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def as_json(value):
    """Returns the text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_json(path, value):
    write_text(path, as_json(value))


def as_csv(rows):
    """Returns rows of the same or fewer keys as CSV text; what is not a number is an empty cell."""
    text, keys = io.StringIO(), list(dict.fromkeys(key for row in rows for key in row))
    table = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({key: "" if isinstance(value, float) and math.isnan(value) else value
                     for key, value in row.items()} for row in rows)
    return text.getvalue()


def write_table(path, table):
    """Writes a pandas DataFrame as CSV: UTF-8, `.` as decimal point, an empty cell for what is missing."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def as_png(picture, path):
    """Returns (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB, as the bytes of a PNG; `path` is for a Problem.

    Compressed by runs alone: pairs, masks and probabilities are all smaller (a pair by a sixth) and written
    faster (by 13 %) than at zlib's level 1, its fastest.
    """
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])
    if not done:
        raise Problem(f"{path}: this picture could not be written as PNG.")
    return content.tobytes()


def write_png(path, picture):
    write_bytes(path, as_png(picture, path))


def as_cell(name):
    """Returns a file's name or path as it stands in a table that is read again.

    Characters and bytes that are odd are escaped as in JSON; a Path has / between its parts on any system.
    """
    name = name.as_posix() if isinstance(name, Path) else name
    return json.dumps(name, ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace").decode("utf-8")


def from_cell(text):
    return json.loads(f'"{text}"')


def read_json(path):
    """Returns what a JSON file holds; raises Problem if it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: cannot be read as JSON ({error}). Restore it, or make it again.") from error


def read_png(path, flags):
    """Returns what cv2.imdecode makes of a PNG of this project, None if it is damaged or gone."""
    try:
        return cv2.imdecode(np.fromfile(path, np.uint8), flags)  # cv2.imread cannot read every file name
    except (OSError, cv2.error):
        return None


def read_levels(path):
    """Returns a probability PNG as (H, W) uint16, 65535 = 1; raises Problem if it is anything else."""
    levels = read_png(path, cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 2:
        raise Problem(f"{path}: is not a 16-bit probability. Remove it, and the same command makes it again.")
    return levels


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
