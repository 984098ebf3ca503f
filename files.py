"""Files that appear whole or not at all, and the way every command ends.

    with whole(path) as beside: ...      write to `beside`; it takes the name `path` only when all went well
    sys.exit(run(main))                  0 done, 1 some photographs failed, 2 nothing could be done, 130 interrupted
"""

import contextlib
import errno
import gc
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

# TensorFlow's notes on its own build stay off; where there is no GPU also its complaint that there is none
_GPU = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if _GPU else "3")
if platform.machine().lower() in ("x86_64", "amd64"):
    # TensorFlow leaves oneDNN off on processors without AVX512_VNNI or AVX_VNNI; with AVX2 alone it trains 1.8 times faster
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


class Problem(Exception):
    """Something the user can mend: one sentence that says what is wrong, with which file, and what to do."""


UNFINISHED = ".unfinished-"
_UMASK = os.umask(0)  # once: it cannot be read without being set, and photographs are written from several threads
os.umask(_UMASK)


@contextlib.contextmanager
def whole(path, suffix=None):
    """A temporary path beside `path`, which replaces `path` at the end; after an error `path` is as it was.

    The temporary name ends like the path, which some writers want, or in `suffix`: "" lets what a killed run leaves look
    like no picture.
    """
    path = Path(path)
    if len(os.fsencode(path.name)) > 255:
        raise Problem(f"{path}: this name is too long to be written. Give the photograph a shorter one.")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix=path.suffix if suffix is None else suffix, dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(beside, 0o666 & ~_UMASK)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_bytes(path, content):
    with whole(path, suffix="") as beside:
        beside.write_bytes(content)


def sweep(folder):
    """Removes what a killed run left half written."""
    for left in Path(folder).rglob(f"{UNFINISHED}*"):
        left.unlink(missing_ok=True)


def write_text(path, text):
    """As UTF-8. Bytes of a file name that are not UTF-8 become \\udcXX, which JSON turns back into the same name."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_table(path, table):
    """A pandas DataFrame as CSV: header, UTF-8, `.` as decimal point, an empty cell for what is not there."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_png(path, picture):
    """(H, W) uint8 or uint16, or (H, W, 3) uint8 RGB, as PNG.

    Compressed by runs alone: pairs, masks and probabilities are all smaller (a pair by a sixth) and written faster (by 13 %)
    than at zlib's level 1, its fastest.
    """
    import cv2

    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])
    if not done:
        raise Problem(f"{path}: this picture could not be written as PNG.")
    write_bytes(path, content.tobytes())


def as_cell(name):
    """A file's name or path as it stands in a table that is read again: characters and bytes that are odd escaped as in JSON."""
    return json.dumps(str(name), ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace").decode("utf-8")


def from_cell(text):
    return json.loads(f'"{text}"')


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
    known = before.get("settings") if isinstance(before, dict) else None
    if not isinstance(known, dict):
        raise Problem(f"{card}: is damaged. Say --overwrite to start anew, or choose another --out.")
    different = [key for key in {**known, **settings} if known.get(key) != settings.get(key)]
    if different:
        told = "; ".join(f"{key}: {known.get(key)} before, {settings.get(key)} now" for key in different)
        raise Problem(f"{folder}: holds a run with other settings ({told}). Say --overwrite, or choose another --out.")
    if before.get("finished"):
        return "finished"
    sweep(folder)
    return "unfinished"


def mark(folder, settings, finished, name="run.json", **more):
    write_json(Path(folder) / name, {"settings": settings, "finished": finished, **more})


def clear(folder, *patterns):
    """Removes what an earlier run left in `folder` under these patterns; Problem where no run was: they are somebody's own."""
    there = [path for pattern in patterns for path in Path(folder).glob(pattern)]
    if there and not (Path(folder) / "run.json").exists():
        raise Problem(f"{there[0]}: would be lost, and is not from an earlier run. Choose another --out.")
    if there:
        mark(folder, {}, finished=False)  # first: killed in between, nothing is left that says it is finished
    for path in there:
        path.unlink()


def say(*words):
    """A line for the user on standard output."""
    _print(" ".join(str(word) for word in words), sys.stdout)


def complain(sentence):
    """The same on standard error."""
    _print(str(sentence).replace("\n", " "), sys.stderr)


def _print(text, stream):
    """Whatever characters or bytes a file name holds; a reader that has gone (`| head`) does not end the work."""
    line = "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else repr(c)[1:-1] for c in text)
    encoding = stream.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        _to_nowhere(stream)


def _to_nowhere(stream):
    """Else Python would try once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def start_tensorflow():
    """Imports TensorFlow and keeps back what it writes to stderr meanwhile, which no setting of its own silences.

    Shown after all if the import fails. Two things more than halve the time. The garbage collector stays out of it: it would
    look through all that TensorFlow brings again and again, and once more when the command ends. And Keras does without what
    it would import for no use here; who needs that imports it later.
    """
    unused = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    sys.stderr.flush()
    kept, held = os.dup(2), tempfile.TemporaryFile()
    os.dup2(held.fileno(), 2)
    gc.disable()
    sys.modules.update(dict.fromkeys(unused))  # None: as if it were not installed
    try:
        import tensorflow  # noqa: F401
    except BaseException:
        held.seek(0)
        os.write(kept, held.read())
        raise
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
        os.dup2(kept, 2)
        os.close(kept)
        held.close()


MEND = {errno.ENOSPC: "the disk is full: make room", errno.EDQUOT: "your disk quota is used up: make room",
        errno.EROFS: "the folder is read-only: choose another --out",
        errno.EACCES: "access is not allowed: change its rights or choose another --out",
        errno.EPERM: "access is not allowed: change its rights or choose another --out",
        errno.EFBIG: "the file would be larger than allowed: raise the limit",
        errno.EIO: "the disk fails: look after it"}
NO_MEMORY = "There is not enough memory for this: close other programs, or give fewer --workers or a smaller --batch."


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
    except BrokenPipeError:
        _to_nowhere(sys.stdout)
        return 128 + signal.SIGPIPE
    except Exception as error:
        sentence = _sentence(error)
        if not sentence:
            raise
        complain(sentence)
    return 2


def _sentence(error):
    """What to tell of a full disk, missing rights or memory; None of an error of this project's own."""
    # the system ended a worker, TensorFlow or OpenCV (-4) found no memory
    if isinstance(error, MemoryError) or type(error).__name__ in ("BrokenProcessPool", "ResourceExhaustedError") \
            or getattr(error, "code", None) == -4:
        return NO_MEMORY
    if isinstance(error, OSError) and error.errno:
        return f"{error.filename or 'output'}: {MEND.get(error.errno) or os.strerror(error.errno)}."
    return None
