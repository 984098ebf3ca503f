"""How much correcting teaches: a model that never saw a set, and predictions of it that a person corrects.

    python benchmarks/correcting.py --data datasets/ARIA --before datasets/CHASE_DB1 datasets/HRF
    python benchmarks/correcting.py ... --photographs 5 --first certainty    the least certain are corrected
    python benchmarks/correcting.py ... --width                      each photograph's threshold is moved too

It does what docs/correcting.md says: eval.py predicts photographs, the masks are corrected, augment.py and
training.py --init learn from them. The model from before and the new one are then measured on other
photographs of the set and, with --before, on the validation photographs of sets that the model knew: mean
Dice and clDice at the card's threshold, one view, and the mean width drawn as a share of the observer's. A
row for each number of photographs goes to a table. The same command goes on where it was broken off.

The person is imitated. False pieces of vessel are erased and missing ones are added if they are longer than
SEEN of the FOV's side. What is added are the pixels that the following brush takes: those within REACH of the
observer's centreline whose probability is above a third of the threshold. Where it takes hardly any, a brush
adds them that is as wide as that vessel. All other edges stay as they were predicted; with --width the person
first moves each photograph's threshold, in steps of STEP, until vessels have about the observer's mean width.
"""

import random
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from cameras import mean_width
from machine import ROOT, command, flags

import metrics
from data import photographs_of, split_validation
from fitting.centrelines import REACH, SEEN, long_pieces, near
from photographs.labelled import Labelled
from running.command import Problem, run, say
from running.files import read_json, read_levels, read_png, sha256, write_json, write_png, write_table
from running.tensorflow_start import start_tensorflow

STEP = 0.05  # of the threshold, in which a person looks for the right width
FOUND = 0.5  # of a piece's centreline that the following brush must find, or it is painted


def arguments():
    parser = flags(__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a set that the model never saw")
    add("--before", type=Path, nargs="+", default=[], help="sets that the model knew")
    add("--model", type=Path, default=ROOT / "weights/vessels-open.keras", help="(default: %(default)s)")
    add("--photographs", type=int, nargs="+", default=[10], help="that are corrected (default: 10)")
    add("--others", type=int, default=10, help="photographs to measure on (default: %(default)s)")
    add("--first", help="column of predictions.csv: those with the least of it are corrected, "
        "of twice as many (default: drawn by --seed)")
    add("--width", action="store_true", help="the person corrects the width of vessels too")
    add("--seed", type=int, default=0, help="draws the photographs (default: %(default)s)")
    add("--training", default="", help="further flags of training.py, in one word: \"--rate 5e-4\"")
    add("--out", type=Path, default=Path("correcting"), help="(default: %(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    start_tensorflow()
    import pandas as pd

    pool, others = parts(options)
    known = split_validation(photographs_of(options.before, "training"))[1] if options.before else []
    there = {options.data.name: others, **{name: [each for each in known if each.set == name]
                                           for name in sorted({each.set for each in known})}}
    options.out.mkdir(parents=True, exist_ok=True)
    refuse_others(options, there)
    rows = [measured(options, options.model, there, options.out / f"{options.data.name} before.json")]
    for count in options.photographs:
        rows.append(after(options, pool, count, there))
    table = pd.DataFrame(rows).round(4)
    write_table(options.out / f"correcting {options.data.name}.csv", table)
    say(table.to_string(index=False))
    return 0


def parts(options):
    """Returns the photographs from which those to correct are drawn, in their order, and the others."""
    everyone = photographs_of([options.data], "all")
    random.Random(0).shuffle(everyone)  # the others are the same for every --seed
    others, pool = everyone[:options.others], everyone[options.others:]
    random.Random(options.seed).shuffle(pool)
    return pool, others


def refuse_others(options, there):
    """Raises Problem if --out holds figures of this set that another command measured; notes this one.

    there: {set: photographs to measure on}.
    """
    name = options.data.name
    file, known = options.out / f"{name} of what.json", options.out / f"{name} before.json"
    now = {"model sha256": sha256(options.model),
           "measured on": {each: [photograph.name for photograph in there[each]] for each in there}}
    if known.is_file() and not (file.is_file() and read_json(file) == now):
        raise Problem(f"{options.out}: holds figures of {name} with another --model, --others or --before. "
                      "Choose another --out.")
    write_json(file, now)


# ---- the afternoon -----------------------------------------------------------------------------------------

def after(options, pool, count, there):
    """Returns the row of a model that has learned from `count` corrected photographs."""
    words = (options.data.name, count, options.first or "random", *["width"] * options.width, options.seed,
             *options.training.split())
    folder = options.out / "_".join(map(str, words))
    folder.mkdir(exist_ok=True)
    taken = pool[:count]
    if options.first:
        taken = least(options, pool[:2 * count], count)
    clock = time.monotonic()
    correct(options, taken, folder)
    keep_first(folder / "minutes.json", "correcting", clock)
    for script, words in commands(options, folder):
        clock = time.monotonic()
        command(script, *words)
        keep_first(folder / "minutes.json", script, clock)
    row = measured(options, folder / "model/model.keras", there, folder / "after.json")
    own, card = read_json(folder / "minutes.json"), read_json(folder / "model/model.json")
    return {**row, "photographs": count, "first": options.first or "random", "width": options.width,
            "seed": options.seed, "share": card["fine-tuning"]["share"],
            "augment": own["augment"], "training": own["training"]}


def commands(options, folder):
    """Yields the scripts of docs/correcting.md with their words; training.py goes on if it was broken off."""
    yield "augment", ("--data", folder / "mine", "--out", folder / "pairs", "--validation", 0.5)
    resumed = ["--resume"] if (folder / "model/run.json").is_file() else []
    yield "training", ("--pairs", folder / "pairs", "--init", options.model, "--out", folder / "model",
                       *options.training.split(), *resumed)


def keep_first(file, step, begun):
    """Notes in a JSON file how many minutes a step took, unless they are there: run again it takes none."""
    known = read_json(file) if file.is_file() else {}
    write_json(file, {step: (time.monotonic() - begun) / 60} | known)


def least(options, photographs, count):
    """Returns the `count` photographs with the least of the column --first of predictions.csv."""
    import pandas as pd

    table = pd.read_csv(predictions(options, photographs) / "predictions.csv", dtype={"name": str})
    column = table.set_index("name")[options.first]
    return sorted(photographs, key=lambda photograph: column[photograph.path.stem])[:count]


def predictions(options, photographs):
    """Returns the folder with what eval.py makes of photographs."""
    out = options.out / f"{options.data.name} predictions"
    command("eval", "--model", options.model, "--out", out, "--review", 0,
            *(photograph.path for photograph in photographs))
    return out


def correct(options, photographs, folder):
    """Makes folder/mine, a plain set of these photographs and the corrected predictions."""
    missing = [each for each in photographs if not (folder / f"mine/masks/{each.path.stem}.png").is_file()]
    if not missing:
        return
    found = predictions(options, missing)
    threshold = read_json(options.model.with_suffix(".json"))["threshold"]
    (folder / "mine/images").mkdir(parents=True, exist_ok=True)
    (folder / "mine/masks").mkdir(exist_ok=True)
    for photograph in missing:
        shutil.copy(photograph.path, folder / "mine/images")
        levels = read_levels(found / f"{photograph.path.stem}_probability.png")
        mask = read_png(found / f"{photograph.path.stem}_mask.png", cv2.IMREAD_GRAYSCALE) > 0
        labelled = Labelled.read(photograph)
        begun = as_wide(levels, labelled) if options.width else mask
        new = corrected(begun, levels, labelled, threshold)
        dice = [dice_of(each, labelled) for each in (mask, new)]
        say(f"{photograph.name}: Dice {dice[0]:.4f} as predicted, {dice[1]:.4f} corrected")
        write_png(folder / f"mine/masks/{photograph.path.stem}.png", new.astype(np.uint8) * 255)


# ---- the person --------------------------------------------------------------------------------------------

def as_wide(levels, labelled):
    """Returns the prediction, (H, W) bool, cut where its vessels are about as wide as the observer's."""
    wanted = mean_width(labelled.mask & labelled.fov)
    thresholds = metrics.levels_of(np.arange(STEP, 1, STEP, dtype=np.float32))
    masks = [levels >= threshold for threshold in thresholds]
    return min(masks, key=lambda mask: abs(mean_width(mask) - wanted))


def corrected(mask, levels, labelled, threshold):
    """Returns a prediction, (H, W) bool, as a person leaves it; levels: its probability, uint16."""
    from skimage.morphology import skeletonize

    side, reference = labelled.square.side, labelled.mask & labelled.fov
    reach, line, drawn = max(2.0, REACH * side), skeletonize(reference), skeletonize(mask)
    false = long_pieces(drawn & ~near(reference, reach), SEEN * side)
    erased = mask & near(false, reach) & ~near(reference, reach / 2)
    new = mask & ~erased
    followed = levels >= metrics.levels_of(np.float32([threshold / 3]))[0]
    for piece in each_piece(long_pieces(line & ~near(new, reach), SEEN * side)):
        under = near(piece, reach)
        brush = under & followed
        if (brush & piece).sum() < FOUND * piece.sum():
            brush = near(piece, (under & reference).sum() / piece.sum() / 2)
        new |= brush & labelled.fov
    return new


def each_piece(line):
    count, labels = cv2.connectedComponents(line.astype(np.uint8), connectivity=8)
    return [labels == k for k in range(1, count)]


# ---- what it is worth --------------------------------------------------------------------------------------

def measured(options, model, there, file):
    """Returns a row: what a model is worth on each set of {name: photographs}; kept in a JSON file."""
    if not file.is_file():
        import checkpoint
        from predict import Predictor

        network, card = checkpoint.load(model)
        predictor = Predictor(network, card.plan())
        write_json(file, {name: np.mean([scores_of(predictor, each) for each in photographs], axis=0).tolist()
                          for name, photographs in there.items()})
    found = read_json(file)
    row = {"photographs": 0}
    for name, (dice, cldice, width) in found.items():
        row |= {f"{name} Dice": dice, f"{name} clDice": cldice, f"{name} width": width}
    return row


def scores_of(predictor, photograph):
    """Returns Dice, clDice, and the mean width drawn as a share of the observer's."""
    labelled = Labelled.read(photograph)
    mask, reference = predictor.segment(labelled.rgb, labelled.fov).mask, labelled.mask & labelled.fov
    width = mean_width(mask) / mean_width(reference)
    return dice_of(mask, labelled), metrics.cldice(mask, labelled.mask, labelled.fov), width


def dice_of(mask, labelled):
    return metrics.scores(metrics.histogram(mask, labelled.mask, labelled.fov), 0.5)["dice"]


if __name__ == "__main__":
    sys.exit(run(main))
