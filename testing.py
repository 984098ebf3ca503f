"""Segments a split at native size, scores it inside the FOV and pictures it.

    python testing.py                                        the test split of datasets/, else of the samples
    python testing.py --data CHASE_DB1 --split all --tta     all of a set, eight views averaged
"""

import argparse
import sys
from pathlib import Path

import data
from files import Problem, clear, complain, mark, run, same_as_before, say, start_tensorflow, write_json, write_png, write_table

PROTOCOL = ("Scored at native size, inside the FOV, against the first observer, at the card's threshold, which was chosen on "
            "validation photographs; 'pooled' is one confusion matrix over all pixels, 'mean' the mean over photographs.")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", nargs="+", type=Path, metavar="DIR", help="folders of data sets (default: datasets/, else samples/)")
    add("--split", choices=["test", "training", "validation", "all"], default="test",
        help="validation: what the model's card names (default: %(default)s)")
    add("--out", type=Path, default=Path("results"), help="(default: %(default)s)")
    add("--model", type=Path, help="(default: checkpoints/model.keras, else weights/vessels.keras)")
    add("--tta", action="store_true", help="average eight flips and turns: better and slower")
    add("--threshold", type=float, help="(default: the card's)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(default: %(default)s)")
    add("--overwrite", action="store_true", help="throw away what an earlier run left in --out")
    options = parser.parse_args()
    if options.threshold is not None and not 0 < options.threshold < 1:
        parser.error("--threshold lies between 0 and 1")
    return options


def chosen_photographs(folders, split, card):
    """The photographs to test; 'validation' are those whose content the card lists as its validation part."""
    if split != "validation":
        return data.photographs_of(folders, split)
    known = {sha for parts in card.get("data", {}).values() for sha in parts.get("validation", {}).values()}
    found = [p for p in data.photographs_of(folders, "all") if data.sha256(p.path) in known]
    if not found:
        raise Problem(f"{', '.join(map(str, folders))}: none of the model's validation photographs is here. "
                      "Give the data it was trained with.")
    return found


class Test:
    """One run: where its files are, and what is known of each photograph."""

    def __init__(self, out, predictor, plan, photographs):
        self.out, self.predictor, self.plan = out, predictor, plan
        names = data.unique_names([p.path for p in photographs], [p.set for p in photographs])
        self.names = dict(zip(photographs, names, strict=True))

    def path(self, kind, photograph):
        return self.out / kind / f"{self.names[photograph]}.png"

    def read(self, photograph):
        """-> photograph, FOV, reference or None, second observer or None."""
        rgb = data.read_photograph(photograph.path)
        fov = data.fov_of(photograph, rgb)
        reference, second = (data.read_vessels(path, rgb.shape, empty_is_fine=True) if path else None
                             for path in (photograph.mask, photograph.second))
        return rgb, fov, reference, second

    def probability(self, photograph, rgb, fov):
        """(H, W) uint16, 65535 = 1: computed, or read from what an interrupted run left."""
        import metrics

        there = self.path("probabilities", photograph)
        if there.exists():
            kept = data.read_levels(there)
            if kept.shape == fov.shape:
                return kept
        return metrics.levels_of(self.predictor(rgb, fov, self.plan)[0])

    def write(self, photograph, rgb, fov, levels, reference):
        import metrics
        import pictures

        mask = metrics.cut(levels, self.plan.threshold) & fov
        shown = [rgb, (levels >> 8).astype("uint8"), mask.astype("uint8") * 255]
        titles = [photograph.path.name, "probability", f"prediction, cut at {self.plan.threshold:.3f}"]
        if reference is not None:
            shown[1:1] = [reference.astype("uint8") * 255]
            titles[1:1] = ["reference"]
            shown.append(pictures.agreement(rgb, mask, reference, fov))
            titles.append("white: both, orange: only predicted, blue: only reference")
        row = pictures.in_a_row([pictures.shrunk(picture, 900) for picture in shown], titles)
        write_png(self.path("comparisons", photograph), row)
        write_png(self.path("masks", photograph), mask.astype("uint8") * 255)
        write_png(self.path("probabilities", photograph), levels)

    def score(self, photograph, fov, levels, reference, second):
        """Its rows of metrics.csv, of the prediction and of the second observer, and the histograms that are to be added up."""
        import numpy as np

        import metrics

        if reference is None:
            return {}, {}
        name, threshold = self.names[photograph], self.plan.threshold
        counts = {"fov": metrics.histogram(levels, reference, fov),
                  "whole": metrics.histogram(levels, reference, np.ones_like(fov))}
        rows = {"first": row_of(name, counts["fov"], threshold, metrics.cldice(metrics.cut(levels, threshold), reference, fov))}
        if second is not None:
            counts["second"] = metrics.histogram(second, reference, fov)
            rows["second"] = row_of(name, counts["second"], 0.5, metrics.cldice(second, reference, fov))
        return rows, counts


def predict_all(test, photographs):
    """{photograph: its rows}, {"fov", "whole", "second": histogram of all together} and {photograph: what is wrong with it}."""
    from tqdm import tqdm

    from predict import in_step

    kept, pooled, failed = {}, {}, {}

    def compute(photograph, read):
        rgb, fov, reference, second = read
        return rgb, fov, test.probability(photograph, rgb, fov), reference, second

    def finish(photograph, computed):
        rgb, fov, levels, reference, second = computed
        test.write(photograph, rgb, fov, levels, reference)
        return test.score(photograph, fov, levels, reference, second)

    steps = in_step(photographs, test.read, compute, finish)
    for photograph, result in tqdm(steps, total=len(photographs), unit="photograph", disable=not sys.stderr.isatty()):
        if isinstance(result, Problem):
            failed[photograph] = result
            continue
        kept[photograph], counts = result
        for kind, one in counts.items():  # a megabyte each, so they are not kept
            pooled[kind] = pooled.get(kind, 0) + one
    return kept, pooled, failed


def row_of(name, counts, threshold, cldice, note=""):
    import metrics

    return {"photograph": name, **metrics.scores(counts, threshold), "cldice": cldice, "note": metrics.why_not(counts) or note}


def scores_table(test, kept, pooled, failed):
    """metrics.csv: a row a photograph, then mean, standard deviation, pooled, and the second observer as the human line."""
    import pandas as pd

    seen = {sha: note for part, note in (("train", "trained on"), ("validation", "validation: threshold chosen on it"))
            for parts in test.predictor.card.get("data", {}).values() for sha in parts.get(part, {}).values()}
    rows = []
    for photograph, own in kept.items():
        note = seen.get(data.sha256(photograph.path), "")
        rows.append({**own["first"], "note": own["first"]["note"] or note} if own
                    else {"photograph": test.names[photograph], "note": "no reference mask: predicted and pictured, not scored"})
    rows += [{"photograph": test.names[photograph], "note": str(problem)} for photograph, problem in failed.items()]
    if pooled:
        rows += summary_rows(rows, pooled["fov"], test.plan.threshold)
    if "second" in pooled:
        meaningless = dict.fromkeys(("roc_auc", "average_precision", "ece"))  # a drawing has no ranking and no confidence
        for row in summary_rows([own["second"] for own in kept.values() if "second" in own], pooled["second"], 0.5):
            rows.append({**row, "photograph": f"second observer, {row['photograph']}", **meaningless})
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = ["photograph", "dice", "iou", "precision", "recall", "specificity", "accuracy", "mcc", "roc_auc", "average_precision",
           "cldice", "ece", "note"]


def summary_rows(rows, pooled, threshold):
    import pandas as pd

    table = pd.DataFrame(rows)[COLUMNS[1:-1]].astype(float)
    return [{"photograph": "mean", **table.mean()}, {"photograph": "standard deviation", **table.std()},
            row_of("pooled", pooled, threshold, table["cldice"].mean(), "clDice: the mean over photographs")]


def summary(options, test, folders, table, kept, pooled, failed):
    """summary.json: what was tested with what, the protocol in words, and the same at 0.5 and over the whole image."""
    import metrics

    scored = sum(bool(rows) for rows in kept.values())
    unscored = "Predicted and pictured; there are no reference masks here, so nothing can be scored."
    told = {"protocol": PROTOCOL if scored else unscored,
            "model": str(test.predictor.path), "model sha256": data.sha256(test.predictor.path),
            "data": [str(folder) for folder in folders], "split": options.split, "photographs": len(kept), "scored": scored,
            "failed": {test.names[p]: str(problem) for p, problem in failed.items()},
            "trained on": int((table["note"] == "trained on").sum()),
            "tta": options.tta, "side": test.plan.side, "vessel width": test.plan.vessel_width,
            "views": len(test.plan.views), "threshold": test.plan.threshold,
            "precision": test.predictor.precision}
    if scored:
        rows = table.drop_duplicates("photograph", keep="last").set_index("photograph")  # one may be called "mean"
        for name in ("mean", "standard deviation", "pooled", "second observer, mean", "second observer, pooled"):
            if name in rows.index:
                told[name] = rounded(rows.loc[name, COLUMNS[1:-1]])
        for name, kind, threshold in (("pooled at 0.5", "fov", 0.5),
                                      ("pooled over the whole image", "whole", test.plan.threshold),
                                      ("pooled over the whole image at 0.5", "whole", 0.5)):
            told[name] = rounded(metrics.scores(pooled[kind], threshold))
    return told


def rounded(scores):
    """For JSON, which knows no NaN."""
    return {key: None if value != value else round(float(value), 5) for key, value in scores.items()}


def draw(options, test, table, told, kept, pooled):
    """ROC and precision-recall curves, and the report."""
    import metrics
    import report
    from pictures import draw_line

    curves = dict.fromkeys(("roc", "pr", "reliability"))
    if pooled:
        for name, (x, y) in (("roc", metrics.roc_curve(pooled["fov"])), ("pr", metrics.pr_curve(pooled["fov"]))):
            curves[name] = {"x": x, "y": y}
        shares = metrics.reliability(pooled["fov"])
        curves["reliability"] = dict(zip(("probability", "share", "count"), shares, strict=True))
        told_scores = told["pooled"]
        draw_line(options.out / "roc.png", **curves["roc"], xlabel="false positive rate", ylabel="recall (sensitivity)",
                  diagonal=True, title=f"ROC, pooled in FOV, area {told_scores['roc_auc']:.4f}")
        draw_line(options.out / "pr.png", **curves["pr"], xlabel="recall", ylabel="precision",
                  title=f"Precision and recall, average precision {told_scores['average_precision']:.4f}")
    repeated = ("protocol", "threshold", "model", "model sha256", "photographs", "scored", "side", "vessel width", "views",
                "precision")
    about = {"title": f"Vessels of {', '.join(Path(folder).name for folder in told['data'])}: {options.split} split",
             **{key: told[key] for key in repeated},
             "loss": test.predictor.card.get("loss"), "trained on sets": list(test.predictor.card.get("data", {})),
             "licence": test.predictor.card.get("licence"), "not done": [f"{k}: {v}" for k, v in told["failed"].items()]}
    report.write(options.out / "report.html", about, table, curves,
                 (shown(test, photograph, dice) for photograph, dice in zip(kept, table["dice"], strict=False)))


def shown(test, photograph, dice):
    """What the report shows of a photograph; `dice` is NaN where there was nothing to score."""
    rgb, fov, reference, _ = test.read(photograph)
    levels = data.read_levels(test.path("probabilities", photograph))
    return {"name": test.names[photograph], "photograph": rgb, "probability": levels.astype("float32") / 65535, "fov": fov,
            "reference": reference, "dice": float(dice) if dice == dice else None, "threshold": test.plan.threshold}


def main():
    options = arguments()
    start_tensorflow()
    import model as models
    from predict import Predictor, settings_of

    model_file = models.find_model(options.model)
    folders = options.data or data.default_folders()
    say(f"Model: {model_file}. Data: {', '.join(map(str, folders))}, {options.split} split.")
    predictor = Predictor(model_file, options.precision)
    photographs = chosen_photographs(folders, options.split, predictor.card)
    settings = {"data": [str(folder.resolve()) for folder in folders], "split": options.split,
                **settings_of(options, model_file)}
    if same_as_before(options.out, settings, options.overwrite) == "finished":
        say(f"{options.out}: this test is finished; its report is {options.out / 'report.html'}.")
        return 0
    if options.overwrite:
        clear(options.out, "probabilities/*.png", "masks/*.png", "comparisons/*.png")
    mark(options.out, settings, finished=False)
    return test_all(options, predictor, folders, photographs, settings)


def test_all(options, predictor, folders, photographs, settings):
    from predict import plan_of

    plan = plan_of(predictor.card, options.tta, options.threshold)
    test = Test(options.out, predictor, plan, photographs)
    kept, pooled, failed = predict_all(test, photographs)
    if not kept:
        raise Problem(f"None of the {len(photographs)} photographs could be read. The first: {next(iter(failed.values()))}")
    table = scores_table(test, kept, pooled, failed)
    told = summary(options, test, folders, table, kept, pooled, failed)
    write_table(options.out / "metrics.csv", table)
    write_json(options.out / "summary.json", told)
    draw(options, test, table, told, kept, pooled)
    mark(options.out, settings, finished=not failed)
    for photograph, problem in failed.items():
        complain(f"not done: {test.names[photograph]}: {problem}")
    page = options.out / "report.html"
    if "pooled" in told:
        seen = f" ({told['trained on']} of them trained on)" if told["trained on"] else ""
        say(f"Pooled Dice {told['pooled']['dice']:.4f}, ROC AUC {told['pooled']['roc_auc']:.4f}, "
            f"clDice {told['mean']['cldice']:.4f} of {told['scored']} photographs{seen}. "
            f"Open {page}; next: python eval.py YOUR_PHOTOGRAPH")
    else:
        say(f"{len(kept)} photographs are segmented; without reference masks they cannot be scored. Open {page}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(main))
