"""What an unknown camera can expect: trains without a set, or two, and tests on what was left out.

    python benchmarks/cameras.py --pairs augmented                        each set in its turn
    python benchmarks/cameras.py --pairs augmented --leave DRIVE+ARIA --init weights/vessels-open.keras
    python benchmarks/cameras.py --pairs augmented --leave ARIA --model weights/vessels.keras     as it is

--pairs are those of all the sets. The same command goes on where it was broken off. What the network found is
kept in --out, so that another --pen costs seconds.
"""

import sys
from pathlib import Path

import numpy as np
from machine import command, flags

from running.again import mark
from running.command import say
from running.files import read_json, sha256, write_table
from running.tensorflow_start import start_tensorflow

CHOOSING = 3  # validation photographs of each set that choose the threshold of a fold


def arguments():
    parser = flags(__doc__)
    add = parser.add_argument
    add("--pairs", type=Path, required=True, help="folder that augment.py wrote of all the sets")
    add("--leave", nargs="+", metavar="SET[+SET]",
        help="what each fold leaves out (default: each set in its turn)")
    add("--model", type=Path, help="no training: this model is tested on what is left out")
    add("--init", type=Path, help="start folds from this model, which must not have seen what they leave out")
    add("--out", type=Path, default=Path("cameras"), help="(default: %(default)s)")
    add("--minutes", type=float, default=20, help="of the training of each fold (default: %(default)s)")
    add("--rate", type=float, default=2e-3, help="(default: %(default)s)")
    add("--photographs", type=int, default=10, help="of a set that are tested (default: %(default)s)")
    add("--part", choices=["all", "validation"], default="all",
        help="what is tested of a set (default: %(default)s)")
    add("--pen", nargs="+", default=["default", "own"],
        help="pens to draw with, as eval.py takes them; own: the one measured on the set, "
        "size: by the picture's size as eval.py does (default: %(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    start_tensorflow()
    import pandas as pd

    from fitting.pairs import Pairs

    pairs, rows = Pairs(options.pairs), []
    for left in options.leave or sorted(set(pairs.table["set"])):
        folder = options.out / left
        model = options.model or fold_model(options, pairs, left.split("+"), folder)
        for name in left.split("+"):
            found = tested(options, pairs, model, name, folder)
            say(found.round(4).to_string(index=False))
            rows.append(found)
    table = pd.concat(rows)
    write_table(options.out / "cameras.csv", table)
    say(table.groupby("pen").mean(numeric_only=True).round(4).to_string())
    return 0


# ---- a fold's model ----------------------------------------------------------------------------------------

def fold_model(options, pairs, left, folder):
    """Returns the file of the model that was trained without the sets `left`; trains it if there is none.

    training.py refuses to go on with one of other pairs or settings.
    """
    model = folder / "model" / "model.keras"
    write_fold(pairs, left, folder / "pairs")
    words = ["--init", options.init] if options.init else []
    words += ["--resume"] if (folder / "model/run.json").is_file() else []
    command("training", "--pairs", folder / "pairs", "--out", folder / "model", "--loss", "dice+bce",
            "--minutes", options.minutes, "--rate", options.rate, *words)
    return model


def write_fold(pairs, left, folder):
    """Makes a folder of the pairs of all sets but `left`, with CHOOSING validation photographs of each."""
    import pandas as pd

    table = pd.read_csv(pairs.folder / "manifest.csv", dtype=str, keep_default_na=False)
    table = table[~table["set"].isin(left)]
    validation = table[table["split"] == "validation"]
    chosen = validation.drop_duplicates("source sha256").groupby("set").head(CHOOSING)["source sha256"]
    table = table[(table["split"] != "validation") | table["source sha256"].isin(chosen)]
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "validation"):
        if not (folder / part).exists():
            (folder / part).symlink_to((pairs.folder / part).resolve(), target_is_directory=True)
    write_table(folder / "manifest.csv", table)
    run = read_json(pairs.folder / "run.json")
    data = {label: place.resolve().as_posix() for label, place in pairs.data.items()}
    mark(folder, {**run["settings"], "left out": left}, finished=True, data=data, sources=run.get("sources"),
         manifest=sha256(folder / "manifest.csv"))


# ---- what it is worth --------------------------------------------------------------------------------------

def tested(options, pairs, model, name, folder):
    """Returns the table of a set, a row for each pen: pooled scores in the FOV, at the card's threshold.

    What the network finds is kept in `folder`, by what model and photograph are and not by their names.
    """
    import pandas as pd

    import checkpoint
    from fitting.observed_pen import pens_in_table
    from photographs.labelled import Labelled
    from predict import Predictor

    network, card = checkpoint.load(model)
    kept = folder / f"found by {checkpoint.weights_sum(network)[:8]}"
    predictor = Predictor(network, card.plan(tta=True))
    own = str(100 * pens_in_table(pairs.parts["train"]).get("pens", {}).get(name, 0))
    pens = {pen: {"own": own, "size": None}.get(pen, pen) for pen in options.pen}
    found = {pen: [] for pen in pens}
    for photograph in chosen_photographs(options, pairs, name):
        labelled = Labelled.read(photograph)
        mean = seen(predictor, labelled, kept / f"{sha256(photograph.path)[:16]}.npy")
        for pen, asked in pens.items():
            found[pen].append(scored(predictor, labelled, mean, asked))
    return pd.DataFrame([{"left out": name, "pen": pen, **pooled(photographs, predictor.plan.threshold)}
                         for pen, photographs in found.items()])


def chosen_photographs(options, pairs, name):
    """Returns at most --photographs of a set, evenly spread."""
    parts = ("train", "validation") if options.part == "all" else ("validation",)
    own = [photograph for part in parts for photograph in pairs.photographs(part) if photograph.set == name]
    count = min(len(own), options.photographs)
    return [own[k * len(own) // count] for k in range(count)]


def seen(predictor, labelled, file):
    """Returns what the network finds in a photograph, (S, S) float32 before any pen, read if it is kept."""
    if not file.is_file():
        mean, _ = predictor.seen(labelled.rgb, labelled.fov, predictor.side(labelled.rgb, labelled.fov))
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part.npy")
        np.save(beside, mean.astype(np.float16))
        beside.replace(file)
    return np.load(file).astype(np.float32)


def scored(predictor, labelled, mean, pen):
    """Returns histogram, clDice, and the mean width drawn as a share of the observer's."""
    import metrics
    from predict import calibrated

    plan, fov = predictor.plan, labelled.fov
    drawn = calibrated(predictor.drawn(mean, fov, pen), plan.temperature, plan.bias) * fov
    levels = metrics.levels_of(drawn)
    mask = metrics.cut(levels, plan.threshold) & fov
    return (metrics.histogram(levels, labelled.mask, fov), metrics.cldice(mask, labelled.mask, fov),
            mean_width(mask) / mean_width(labelled.mask & fov))


def mean_width(mask):
    """Returns the area of vessels over their length, px."""
    from skimage.morphology import skeletonize

    return mask.sum() / max(1, skeletonize(mask).sum())


def pooled(photographs, threshold):
    import metrics

    counts = sum(histogram for histogram, _, _ in photographs)
    scores, best = metrics.scores(counts, threshold), metrics.best_threshold(counts)
    best_dice = metrics.scores(counts, best)["dice"]
    return {"photographs": len(photographs), "dice": scores["dice"], "best dice": best_dice, "at": best,
            "cost": best_dice - scores["dice"], "roc_auc": scores["roc_auc"],
            "cldice": np.mean([cldice for _, cldice, _ in photographs]), "ece": scores["ece"],
            "width drawn / observer's": np.median([width for _, _, width in photographs])}


if __name__ == "__main__":
    sys.exit(main())
