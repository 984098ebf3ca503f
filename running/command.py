"""How every command speaks and ends.

    sys.exit(run(main))      0 done, 1 some photographs failed, 2 nothing could be done, 130 interrupted
"""

import argparse
import atexit
import contextlib
import errno
import glob
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

ONE_VALUE = ("--out", "--model", "--masks", "--before", "--pairs", "--init", "--picture", "--ray", "--pen",
             "--loss")  # flags whose one value is a path or a name: it is taken as it is typed

at_the_end = contextlib.ExitStack()  # what is put into it is done when the command ends, however it ends
atexit.register(at_the_end.close)


class Problem(Exception):
    """Something that the user can mend: a sentence on what is wrong, with which file, and what to do."""


def say(*words):
    """Prints a line for the user on standard output."""
    _print(" ".join(str(word) for word in words), sys.stdout)


def complain(sentence):
    """Prints a line for the user on standard error."""
    _print(str(sentence).replace("\n", " "), sys.stderr)


def counted(count, noun):
    """Returns a number with its noun: '1 mask', '2 masks'."""
    return f"{count} {noun}{'s' * (count != 1)}"


def typed(*words):
    """Returns words as one types them in a shell, a Path by its part below the folder that one is in."""
    here = Path.cwd()
    words = [str(word.relative_to(here)) if isinstance(word, Path) and word.is_relative_to(here) else
             str(word) for word in words]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def with_example(things, noun, what=""):
    """Returns how many things are what, and one of them: '2 masks changed (a.png for one)'."""
    number = f"{counted(len(things), noun)} {what}".rstrip()
    return f"{number} ({things[0]}{' for one' * (len(things) > 1)})"


def seed_number(text):
    """Returns the value of a --seed: a whole number from 0 on."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return int(text)


def _print(text, stream):
    """Prints whatever a file name may hold; a reader that has gone (`| head`) does not end the work."""
    line = "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else repr(c)[1:-1] for c in text)
    encoding = stream.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        if error.errno not in READER_GONE:
            raise
        _discard(stream)


def _discard(stream):
    """Sends a stream to nowhere; otherwise Python would write to it once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


READER_GONE = errno.EPIPE, errno.EINVAL  # the second on Windows
REMEDIES = {errno.ENOSPC: "the disk is full: make room",
            errno.EDQUOT: "your disk quota is used up: make room",
            errno.EROFS: "the folder is read-only: write to another one",
            errno.EACCES: "access is not allowed: change its rights or choose another folder",
            errno.EPERM: "access is not allowed: change its rights or choose another folder",
            errno.EFBIG: "the file would be larger than allowed: raise the limit",
            errno.EIO: "the disk fails: have it checked",
            errno.EISDIR: "is a folder where a file is to be written: give another name",
            errno.EEXIST: "is a file where a folder is needed: write elsewhere",
            errno.ENOTDIR: "lies below a file, not a folder: write elsewhere"}
NO_MEMORY = ("There is not enough memory for this: close other programs, "
             "or give fewer --workers or a smaller --batch.")


def run(main, goes_on="Run the same command again to go on."):
    """Calls `main()` and returns the exit code; what the user can mend is a sentence and not a traceback."""
    _open_closed_streams()
    if sentence := _cannot_start():
        complain(sentence)
        return 2
    sys.argv[1:] = [path for flag, word in zip(sys.argv, sys.argv[1:], strict=False)
                    for path in _expanded(flag, word)]
    if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be handled
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main() or 0
    except Problem as problem:
        complain(problem)
    except KeyboardInterrupt:
        complain(f"Interrupted. {goes_on}")
        return 130
    except BrokenPipeError:
        _discard(sys.stdout)
        return 141  # as a shell says it of SIGPIPE, which Windows lacks
    except Exception as error:
        sentence = _sentence(error)
        if not sentence:
            raise
        complain(sentence)
    finally:
        at_the_end.close()
    return 2


def _cannot_start():
    """Returns what is wrong with where a command was started, or with its arguments; "" if nothing is."""
    try:
        os.getcwd()
    except OSError:
        return "The folder in which this was started is gone. Go to one that is there."
    return ("An argument of this command is empty, as where a variable is not set. Leave it out, or fill it."
            * ("" in sys.argv[1:]))


def _open_closed_streams():
    """Opens the streams that were closed before the command began (`>&-`, pythonw), to nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _expanded(before, word):
    """Returns the files that a word such as *.jpg means, or the word: not every shell expands it.

    `before`: the word before it. What follows a flag with one value is not expanded, nor are brackets, which
    Windows' shells do not know either: they are part of many a file's name.
    """
    is_value = len(before) > 2 and any(flag.startswith(before) for flag in ONE_VALUE)
    if is_value or not {"*", "?"} & set(word) or word.startswith("-") or os.path.lexists(word):
        return [word]
    return sorted(glob.glob(word.replace("[", "[[]"))) or [word]


def _sentence(error):
    """Returns what to say of a full disk, missing rights or memory; None of an error of the program's own."""
    # The system ended a worker, TensorFlow found no memory, or OpenCV did (-4).
    kinds = ("MemoryError", "BrokenProcessPool", "ResourceExhaustedError")
    if type(error).__name__ in kinds or isinstance(error, MemoryError) or getattr(error, "code", None) == -4:
        return NO_MEMORY
    if isinstance(error, OSError) and error.errno:
        return f"{error.filename or 'output'}: {REMEDIES.get(error.errno) or os.strerror(error.errno)}."
    return None
