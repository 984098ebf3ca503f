"""Files that appear whole or not at all, and the way every command ends.

    with whole(path) as beside: ...      write to `beside`; it takes the name `path` only when all went well
    sys.exit(run(main))                  0 done, 1 some photographs failed, 2 nothing could be done, 130 interrupted
"""

import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings on; TensorFlow's notes on its own build off


class Problem(Exception):
    """Something the user can mend: one sentence that says what is wrong, with which file, and what to do."""


@contextlib.contextmanager
def whole(path):
    """A temporary path beside `path`, which replaces `path` at the end; after an error `path` is as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path, content):
    with whole(path) as beside:
        beside.write_bytes(content)


def write_text(path, text):
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_table(path, table):
    """A pandas DataFrame as CSV: header, UTF-8, `.` as decimal point, an empty cell for what is not there."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_png(path, picture, compression=1):
    """(H, W) uint8 or uint16, or (H, W, 3) uint8 RGB, as PNG. Level 1: 3 times faster than 6 for 1.2 times the bytes."""
    import cv2

    if picture.ndim == 3:
        picture = picture[..., ::-1]
    done, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise Problem(f"{path}: this picture could not be written as PNG.")
    write_bytes(path, content.tobytes())


def read_json(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: cannot be read as JSON ({error}). Restore it, or make it again.") from error


def same_as_before(folder, settings, overwrite, name="run.json"):
    """Whether `folder` holds this very run. Says 'new', 'unfinished' or 'finished'; refuses other settings.

    A run is known by `folder/name`: {"settings": ..., "finished": bool}. With `overwrite` the folder counts as new.
    """
    folder, card = Path(folder), Path(folder) / name
    if folder.exists() and not folder.is_dir():
        raise Problem(f"{folder}: is a file, not a folder. Choose another --out.")
    if overwrite:
        return "new"
    if not card.exists():
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise Problem(f"{folder}: holds other files. Choose another --out, or say --overwrite to put results among them.")
        return "new"
    before = read_json(card)
    known = before.get("settings", {})
    different = [key for key in {**known, **settings} if known.get(key) != settings.get(key)]
    if different:
        told = "; ".join(f"{key}: {known.get(key)} before, {settings.get(key)} now" for key in different)
        raise Problem(f"{folder}: holds a run with other settings ({told}). Say --overwrite, or choose another --out.")
    return "finished" if before.get("finished") else "unfinished"


def mark(folder, settings, finished, name="run.json"):
    write_json(Path(folder) / name, {"settings": settings, "finished": finished})


def say(*words):
    """A line for the user on standard output, whatever bytes a file name holds."""
    text = " ".join(str(word) for word in words)
    print(text.encode("utf-8", "backslashreplace").decode("utf-8"), flush=True)


def complain(sentence):
    text = " ".join(str(sentence).split("\n"))
    print(text.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr, flush=True)


def start_tensorflow():
    """Imports TensorFlow and keeps back what it writes to stderr meanwhile, which no setting of its own silences.

    Shown after all if the import fails.
    """
    sys.stderr.flush()
    kept, held = os.dup(2), tempfile.TemporaryFile()
    os.dup2(held.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    except BaseException:
        held.seek(0)
        os.write(kept, held.read())
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        held.close()


FULL = {errno.ENOSPC: "the disk is full: make room", errno.EROFS: "the folder is read-only: choose another --out",
        errno.EACCES: "access is not allowed: change its rights or choose another --out", errno.EPERM: "access is not allowed",
        errno.EFBIG: "the file would be larger than allowed: raise the limit", errno.EDQUOT: "your disk quota is used up: make room"}


def run(main, goes_on="Run the same command again to go on."):
    """Call `main()` and turn what happens into the exit codes of this project; no traceback for what a user can mend."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main() or 0
    except Problem as problem:
        complain(problem)
    except KeyboardInterrupt:
        complain(f"Interrupted. {goes_on}")
        return 130
    except MemoryError:
        complain("There is not enough memory for this: close other programs, or give fewer --workers or a smaller --batch.")
    except OSError as error:
        if error.errno not in FULL:
            raise
        complain(f"{error.filename or 'output'}: {FULL[error.errno]}.")
    return 2
