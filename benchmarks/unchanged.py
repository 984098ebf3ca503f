"""Whether two checkouts behave alike: the same commands by both, and what they write compared byte for byte.

    python benchmarks/unchanged.py OTHER_CHECKOUT

Each augments its samples and trains 24 steps on them; both test and segment with the models of this checkout,
which then meets the folders that the other one left. Exit code 1 if anything differs.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = sorted((ROOT / "weights").glob("*.keras"))
PHOTOGRAPHS = ROOT / "samples/test/images"
ONE = PHOTOGRAPHS / "drawn_09.png"
PATHS = {"path", "mask path", "fov path"}  # of the manifest: each checkout augments samples of its own
DONE = "is finished", "already"  # said over a folder in which nothing is left to do

# on processors alone the results are the same to the last bit each time
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONDONTWRITEBYTECODE": "1"}
MODEL = "--model", ROOT / "weights/vessels.keras"
COMMANDS = {
    "augment.py": "augment.py --copies 2 --workers 2".split(),
    "training.py": "training.py --epochs 1 --batch 2 --workers 1 --precision float32 --minutes 0".split(),
    "testing.py": ["testing.py", "--data", ROOT / "samples", *MODEL],
    "eval.py": ["eval.py", PHOTOGRAPHS, *MODEL],
    "eval.py --tta": ["eval.py", PHOTOGRAPHS, *MODEL, "--out", "predictions-tta", "--tta"],
    **{f"eval.py, {model.name}": ["eval.py", ONE, "--model", model, "--out", model.stem] for model in MODELS},
}


def files(pattern):
    """A function from a folder to the sha256 of each file under this pattern, by its name in the folder."""
    return lambda folder: {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                           for path in folder.glob(pattern) if path.is_file()}


def rows(folder):
    """The rows of the manifest without the columns that hold absolute paths."""
    with open(folder / "augmented/manifest.csv", encoding="utf-8", newline="") as table:
        return {f"row {k}": [(key, cell) for key, cell in row.items() if key not in PATHS]
                for k, row in enumerate(csv.DictReader(table))}


def weights(folder):
    """The arrays of the trained model, since the times inside of a zip file differ."""
    import h5py

    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item.shape, item.dtype.str, item[()].tobytes())

    inside = zipfile.ZipFile(folder / "checkpoints/model.keras").read("model.weights.h5")
    h5py.File(io.BytesIO(inside)).visititems(keep)
    return found


def card(folder):
    """The trained model's card without the seconds and what comes from the absolute paths of the samples."""
    told = json.loads((folder / "checkpoints/model.json").read_text(encoding="utf-8"))
    del told["seconds"], told["recipe"]["pairs"]
    told["recipe"]["augmentation"].pop("data", None)  # later checkouts have it elsewhere
    return told


def segmented(out):
    """What eval.py writes for several photographs; among all files are its hidden rows."""
    pictures = {f"*_{kind}.png": files(f"{out}/*_{kind}.png") for kind in ("probability", "mask", "overlay")}
    return {**pictures, "predictions.csv": files(f"{out}/predictions.csv"), "all files": files(f"{out}/**/*")}


COMPARED = {
    "augment.py": {"pairs": files("augmented/*/*/*.png"), "manifest.csv without its paths": rows},
    "training.py": {"weights in model.keras": weights, "history.csv": files("checkpoints/history.csv"),
                    "model.json without seconds and paths": card},
    "testing.py": {"metrics.csv": files("results/metrics.csv"), "masks": files("results/masks/*"),
                   "probabilities": files("results/probabilities/*"), "all files": files("results/**/*")},
    "eval.py": segmented("predictions"), "eval.py --tta": segmented("predictions-tta"),
    **{f"eval.py, {model.name}": {"all files": files(f"{model.stem}/**/*")} for model in MODELS},
}


def start(checkout, command, folder, *more):
    """Runs a checkout's command in a folder and returns its exit code and the last line that it says."""
    script, *flags = map(str, [*COMMANDS[command], *more])
    ended = subprocess.run([sys.executable, str(checkout / script), *flags], cwd=folder, env=ENVIRONMENT,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    said = (ended.stderr if ended.returncode else ended.stdout).strip().splitlines()
    return ended.returncode, said[-1] if said else ""


def difference(one, other):
    """What differs first between two dictionaries; an empty text where nothing does."""
    differing = (key for key in sorted({**one, **other}) if one.get(key, ...) != other.get(key, ...))
    return next(differing, "") if one or other else "neither is there"


def tell(what, problem):
    """Prints a line and returns whether all is well."""
    print(f"{what:75} {f'DIFFERENT: {problem}' if problem else 'equal'}", flush=True)
    return not problem


def alike(command, other, folders):
    """Runs a command by both checkouts, compares what they say in the end and then what they have written."""
    here, there = start(ROOT, command, folders[0]), start(other, command, folders[1])
    failed = here[0] or there[0]
    well = [tell(f"{command}: exit code 0, last line", f"{here}, {there}" if failed or here != there else "")]
    for what, read in {} if failed else COMPARED[command].items():
        well.append(tell(f"{command}: {what}", difference(*map(read, folders))))
    return all(well)


def known(command, other, folder):
    """Runs this checkout's command where the other's has ended: it must say so and leave all files alone."""
    before = files("**/*")(folder)
    same_data = ["--data", other / "samples"] if command == "augment.py" else []
    code, said = start(ROOT, command, folder, *same_data)
    finished = code == 0 and any(words in said for words in DONE)
    problem = difference(before, files("**/*")(folder)) if finished else f"exit code {code}, {said}"
    return tell(f"{command}: the other checkout's folder is known and kept", problem)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT", help="the one as it was before")
    other = parser.parse_args().other.resolve(strict=True)
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        well = [tell("weights/", difference(*map(files("weights/vessels*"), (ROOT, other))))]
        well += [alike(command, other, (Path(here), Path(there))) for command in COMMANDS]
        well += [known(command, other, Path(there)) for command in COMMANDS]
    print("The two checkouts behave alike." if all(well) else "The two checkouts do not behave alike.")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
