"""Segments photographs without masks: probability, mask and overlay at native size, and a table of measures.

    python eval.py image.png                        predictions/image_probability.png, image_mask.png, image_overlay.png
    python eval.py FOLDER other.jpg --tta           many; eight views averaged, with the uncertainty
    python eval.py --ray local FOLDER --out DIR     the same on a cluster (docs/scale.md)
"""

import argparse
import csv
import io
import math
import sys
from pathlib import Path

import data
from files import (
    Problem,
    clear,
    complain,
    mark,
    read_json,
    run,
    same_as_before,
    say,
    start_tensorflow,
    write_json,
    write_png,
    write_text,
)

KINDS = ("probability", "mask", "overlay", "uncertainty")  # the last with --tta
ROWS = ".rows"  # a row a finished photograph: what a killed run has done is known by it
SHEET, CELL = 120, 320  # photographs on a contact sheet at most, and the side of each, px


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("photographs", nargs="+", help="files or folders (with --ray also URIs)")
    add("--out", type=str, default="predictions", help="(default: %(default)s)")
    add("--model", type=Path, help="(default: checkpoints/model.keras, else weights/vessels.keras)")
    add("--tta", action="store_true", help="average eight flips and turns: better and slower")
    add("--threshold", type=float, help="(default: the card's)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(default: %(default)s)")
    add("--show", action="store_true", help="open a window with the result of each photograph")
    add("--ray", metavar="ADDRESS", help="run on this Ray cluster; 'local' starts one on this machine")
    add("--overwrite", action="store_true", help="do all again, whatever an earlier run left in --out")
    options = parser.parse_args()
    if options.threshold is not None and not 0 < options.threshold < 1:
        parser.error("--threshold lies between 0 and 1")
    if options.ray and options.show:
        parser.error("--show opens windows on this machine; leave it out with --ray")
    return options


def find_photographs(places, out):
    """Files as given, and every picture in the folders as given, whatever the case of its extension, in order.

    Not what lies in `out`: these are our own. What is gone or closed is named when it is read, unless nothing else is there.
    """
    found, gone = [], []
    for place in map(Path, places):
        if place.is_dir():
            pictures = pictures_in(place, Path(out).resolve(), gone)
            if not pictures and not gone:
                raise Problem(f"{place}: there is no photograph in this folder ({', '.join(sorted(data.EXTENSIONS))}).")
            found += pictures
        elif not place.exists():
            gone.append(place)
        else:
            found.append(place)
    if not found and gone:
        raise Problem(f"{gone[0]}: there is no such file, or it cannot be opened. Give a photograph or a folder of them.")
    return list(dict.fromkeys(found + gone))


def pictures_in(place, out, closed):
    """Those in a folder and all below it; folders that cannot be opened go to `closed`."""
    import os

    found = []
    for folder, below, names in os.walk(place, onerror=lambda error: closed.append(Path(error.filename))):
        below.sort()
        if Path(folder).resolve() == out:
            below.clear()
            continue
        found += [Path(folder) / name for name in sorted(names)]
    return [path for path in found if path.suffix.lower() in data.EXTENSIONS and not path.name.startswith(".")]


def write_pictures(out, name, photograph, levels, mask, spread, tta):
    import numpy as np

    from pictures import outlined

    write_png(out / f"{name}_probability.png", levels)
    write_png(out / f"{name}_mask.png", mask.astype(np.uint8) * 255)
    write_png(out / f"{name}_overlay.png", outlined(photograph, mask, thickness=max(1, round(max(mask.shape) / 1500))))
    if tta:  # 16 bits, 65535 = a standard deviation of 0.5, the largest there can be
        write_png(out / f"{name}_uncertainty.png", np.rint(np.clip(spread * 2, 0, 1) * 65535).astype(np.uint16))


def as_csv(rows):
    """Rows of the same or fewer keys -> CSV text; what is not a number is an empty cell."""
    def cell(value):
        return "" if isinstance(value, float) and math.isnan(value) else value

    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    table = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def collect(out):
    """predictions.csv, from the rows of all photographs done so far."""
    rows = [read_json(path) for path in sorted((out / ROWS).glob("*.json"))]
    write_text(out / "predictions.csv", as_csv([{key: value for key, value in row.items() if key != "sha256"} for row in rows]))
    return rows


def pending(out, named, kinds):
    """Those of {path: name} that lack their row or a picture; another photograph under a name that is taken is a Problem."""
    left = {}
    for path, name in named.items():
        row = out / ROWS / f"{name}.json"
        if row.exists() and path.is_file() and read_json(row)["sha256"] != data.sha256(path):
            raise Problem(f"{path}: {out} holds the results of another photograph of this name. "
                          "Choose another --out, or say --overwrite.")
        made = row, *(out / f"{name}_{kind}.png" for kind in kinds)
        if not path.is_file() or not all(one.exists() for one in made):
            left[path] = name
    return left


def segment_all(options, out, predictor, plan, named):
    """Reads, predicts and writes side by side; -> {path: Problem} of those that could not be done."""
    from tqdm import tqdm

    from predict import in_step, row_of, segment

    def read(path):
        photograph = data.read_photograph(path)
        return photograph, data.found_fov(path, photograph)

    def compute(path, given):
        return *given, *segment(predictor, plan, *given)

    def finish(path, computed):
        photograph, fov, levels, mask, spread = computed
        write_pictures(out, named[path], photograph, levels, mask, spread, options.tta)
        row = row_of(named[path], path, photograph, fov, levels, mask, predictor.card)
        write_json(out / ROWS / f"{named[path]}.json", {**row, "sha256": data.sha256(path)})
        return row

    failed = {}
    results = in_step(named, read, compute, finish)
    for path, result in tqdm(results, total=len(named), unit="photograph", disable=not sys.stderr.isatty()):
        if isinstance(result, Problem):
            failed[path] = result
    return failed


def draw_sheet(out, rows):
    """The overlays of a folder at a glance, several read at once and each shrunk at once: at full size they may be gigabytes."""
    from concurrent.futures import ThreadPoolExecutor

    import cv2

    from pictures import contact_sheet, shrunk
    from predict import FINISHERS

    def small(row):
        return shrunk(data.read_png(out / f"{row['name']}_overlay.png", cv2.IMREAD_COLOR_RGB), CELL)

    with ThreadPoolExecutor(FINISHERS) as pool:
        shown = list(pool.map(small, rows[:SHEET]))
    labels = [f"{row['name']}: density {row['vessel_density']:.3f}" for row in rows[:SHEET]]
    write_png(out / "contact_sheet.png", contact_sheet(shown, labels, columns=min(6, len(shown)), size=CELL))


def show(out, names):
    """A window a photograph, where there is a display; matplotlib's, since the headless OpenCV has none."""
    import matplotlib
    import matplotlib.pyplot as plt

    if matplotlib.get_backend().lower() == "agg":
        complain("There is no display here, so --show is left out; the pictures are in " + str(out))
        return
    for name in names:
        figure, axes = plt.subplots(1, 2, figsize=(14, 7), num=name, layout="constrained")
        for axis, kind in zip(axes, ("overlay", "probability"), strict=True):
            axis.imshow(plt.imread(out / f"{name}_{kind}.png"), cmap="gray")
            axis.set_title(kind)
            axis.axis("off")
    plt.show()


def on_cluster(options):
    try:
        import cluster
    except ImportError as error:
        raise Problem(f"--ray needs {error.name}: pip install -r requirements.txt -r requirements-ray.txt") from error
    start_tensorflow()
    import model as models
    from predict import plan_of, settings_of

    model_file = models.find_model(options.model)
    say(f"Model: {model_file}")
    card = models.load(model_file)[1]
    plan = plan_of(card, options.tta, options.threshold)
    return cluster.main(options, model_file, card, plan, settings_of(options, model_file))


def main():
    options = arguments()
    if options.ray:
        return on_cluster(options)
    named = find_photographs(options.photographs, options.out)
    named = dict(zip(named, data.unique_names(named), strict=True))
    start_tensorflow()
    import model as models
    from predict import settings_of

    out, model_file = Path(options.out), models.find_model(options.model)
    say(f"Model: {model_file}")
    settings = settings_of(options, model_file)
    state = same_as_before(out, settings, options.overwrite)
    left = named if options.overwrite else pending(out, named, KINDS if options.tta else KINDS[:-1])
    if not left and state == "finished":
        say(f"All of it is done already; the results are in {out}.")
        return 0
    return segment_left(options, out, model_file, settings, named, left)


def segment_left(options, out, model_file, settings, named, left):
    from predict import Predictor, plan_of

    predictor = Predictor(model_file, options.precision)
    plan = plan_of(predictor.card, options.tta, options.threshold)
    if options.overwrite:
        clear(out, *(f"*_{kind}.png" for kind in KINDS), f"{ROWS}/*.json")
    mark(out, settings, finished=False)
    failed = segment_all(options, out, predictor, plan, left)
    if len(named) == len(failed) == 1:
        raise next(iter(failed.values()))
    for problem in failed.values():
        complain(f"not done: {problem}")
    if len(failed) == len(named):
        raise Problem(f"None of the {len(named)} photographs could be done.")
    rows = collect(out)
    done = {name for path, name in named.items() if path not in failed}
    if len(named) > 1:
        draw_sheet(out, [row for row in rows if row["name"] in done])
    mark(out, settings, finished=True)
    tell(out, plan, [row for row in rows if row["name"] in done])
    if options.show:
        show(out, sorted(done))
    return 1 if failed else 0


def tell(out, plan, rows):
    for row in rows:
        if row["warnings"]:
            complain(f"{row['name']}: {row['warnings']}")
    square = f"with vessels {plan.vessel_width:g} pixels wide" if plan.vessel_width else f"of {plan.side} pixels"
    looks = f"{len(plan.views)} view{'s' * (len(plan.views) > 1)} of a square {square}, cut at {plan.threshold:.3f}"
    if len(rows) == 1:
        say(f"{rows[0]['name']}: vessel density {rows[0]['vessel_density']:.3f} in the FOV ({looks}). "
            f"Open {out / (rows[0]['name'] + '_overlay.png')}")
    else:
        say(f"{len(rows)} photographs are done ({looks}). Open {out / 'contact_sheet.png'} and {out / 'predictions.csv'}")


if __name__ == "__main__":
    sys.exit(run(main))
