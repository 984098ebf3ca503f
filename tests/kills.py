"""SIGKILL at random moments over the four commands: no file is broken, the next try gives the same results.

    python tests/kills.py --count 100            on a tiny drawn set, in a temporary folder of its own

Each command is a process forked from this one, which has imported TensorFlow: a kill falls on work and
not on imports. Every second kill takes the command's workers with it, as a power cut does; the others do not.
"""

import argparse
import csv
import importlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

SMALL = ("--width", "2", "--depth", "2", "--precision", "float32", "--workers", "1", "--batch", "2",
         "--epochs", "4")
COMMANDS = {
    "augment": ("augment.py", "--data", "tiny", "--copies", "6", "--workers", "2", "--preview"),
    "training": ("training.py", *SMALL, "--resume"),
    "testing": ("testing.py", "--data", "tiny"),
    "eval": ("eval.py", "tiny/train/images", "tiny/test/images", "--tta"),
}
OUT = {"augment": "augmented", "training": "checkpoints", "testing": "results", "eval": "predictions"}
ORPHANS = 20  # seconds in which workers without their command must have ended


# ---- one command -----------------------------------------------------------------------------------------

def start(name, place):
    """Starts `python NAME.py ...` in the folder `place`, its output in NAME.log; returns its process id.

    It leads a process group of its own.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.chdir(place)
        log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        script, *words = COMMANDS[name]
        sys.argv = [script, *words]
        from running.command import run

        code = run(importlib.import_module(script.removesuffix(".py")).main)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def ended(pid):
    """Waits for a process and returns its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def nobody_left(group):
    """Waits until a process group is empty; returns whether it was within ORPHANS seconds."""
    end = time.monotonic() + ORPHANS
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False


def killed(name, place, chance, seconds):
    """Starts a command, kills it at a random moment of its work, and returns what went wrong, or None."""
    pid = start(name, place)
    time.sleep(chance.uniform(0, seconds))
    everyone = chance.random() < 0.5
    (os.killpg if everyone else os.kill)(pid, signal.SIGKILL)
    ended(pid)
    return None if nobody_left(pid) else f"workers still ran {ORPHANS} s after their command was killed"


# ---- what must hold --------------------------------------------------------------------------------------

def broken(path):
    """Returns whether a file is not what its name says: half written, say."""
    import numpy as np
    from PIL import Image

    content = path.read_bytes()
    try:
        if path.suffix == ".png":
            Image.open(io.BytesIO(content)).load()
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".csv":
            rows = list(csv.reader(io.StringIO(content.decode())))
            return not content.endswith(b"\n") or len({len(row) for row in rows}) != 1
        elif path.suffix == ".keras":
            return zipfile.ZipFile(io.BytesIO(content)).testzip() is not None
        elif path.suffix == ".npz":
            dict(np.load(io.BytesIO(content)))
        elif path.suffix == ".html":
            return not content.rstrip().endswith(b"</html>")
    except Exception:
        return True
    return False


def visible(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and ".unfinished-" not in path.name]


def without_times(value):
    """Returns JSON without what tells the time it took."""
    if not isinstance(value, dict):
        return value
    return {key: without_times(part) for key, part in value.items() if key not in ("seconds", "time")}


def meaning(path):
    """Returns what of a file must be the same in every run: its bytes, or what they hold."""
    from conftest import weights_in

    if path.suffix == ".json":
        return without_times(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".keras":
        return {name: array.tobytes() for name, array in weights_in(path).items()}
    return path.read_bytes()


def results(folder):
    """Returns {file: what it means} but for the state, which is for going on only."""
    files = [path for path in visible(folder) if path.suffix != ".npz"]
    return {path.relative_to(folder).as_posix(): meaning(path) for path in files}


def difference(found, expected):
    if found.keys() != expected.keys():
        return f"other files: {sorted(found.keys() ^ expected.keys())[:5]}"
    other = [name for name in found if found[name] != expected[name]]
    return f"not as in the unbroken run: {other[:5]}" if other else None


def after_a_kill(name, place, chance, seconds, expected, most_kills=3):
    """Kills a command once to three times, then lets it finish; returns how often, and what went wrong."""
    out = place / OUT[name]
    shutil.rmtree(out, ignore_errors=True)
    wrong, kills = [], chance.randrange(1, most_kills + 1)
    for _ in range(kills):
        wrong += filter(None, [killed(name, place, chance, seconds)])
        wrong += [f"{path.relative_to(place)} is broken" for path in visible(out) if broken(path)]
    code = ended(start(name, place))
    if code:
        log = (place / f"{name}.log").read_text(encoding="utf-8")[-600:]
        return kills, [*wrong, f"the next try ended with {code}: {log}"]
    left = [str(path.relative_to(place)) for path in out.rglob(".unfinished-*")]
    wrong += [f"left behind: {left[:3]}"] if left else []
    return kills, [*wrong, *filter(None, [difference(results(out), expected)])]


# ---- all of it -------------------------------------------------------------------------------------------

def unbroken(place):
    """Runs the four commands once and returns {name: (seconds, results)}."""
    known = {}
    for name in COMMANDS:
        began = time.monotonic()
        code = ended(start(name, place))
        seconds = time.monotonic() - began
        if code:
            raise RuntimeError(f"{name} ended with {code}: {(place / f'{name}.log').read_text()}")
        known[name] = (seconds, results(place / OUT[name]))
    return known


def kill_many(count, seed, place, say=print):
    """Kills `count` times or a few more, and returns what went wrong, a list of sentences."""
    from conftest import Draw

    Draw().plain(place / "tiny", train=4, test=3, fovs=True)
    known, chance, wrong, done = unbroken(place), random.Random(seed), [], dict.fromkeys(COMMANDS, 0)
    for name in COMMANDS:
        shutil.copytree(place / OUT[name], place / "kept" / OUT[name])
    while sum(done.values()) < count:
        name = min(done, key=done.get)
        most = min(3, count - sum(done.values()))
        kills, found = after_a_kill(name, place, chance, *known[name], most_kills=most)
        done[name] += kills
        wrong += [f"{name}: {sentence}" for sentence in found]
        if found:
            say("\n".join(found))
        if name in ("augment", "training"):  # the later commands start from what the unbroken run left
            shutil.rmtree(place / OUT[name])
            shutil.copytree(place / "kept" / OUT[name], place / OUT[name])
        each = ", ".join(f"{name} {times}" for name, times in done.items())
        say(f"{sum(done.values())} of {count} kills: {each}")
    return wrong


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--count", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    options = parser.parse_args()
    from running.tensorflow_start import start_tensorflow

    start_tensorflow()  # forked, not used: a process that has used it cannot be forked

    with tempfile.TemporaryDirectory() as place:
        wrong = kill_many(options.count, options.seed, Path(place), lambda line: print(line, flush=True))
    print(f"{options.count} kills, {len(wrong)} wrong." + "".join(f"\n{sentence}" for sentence in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
