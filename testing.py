"""Segments a split at native size, scores it inside the FOV and pictures it.

    python testing.py                                 the test split of datasets/, else of the samples
    python testing.py --data datasets/STARE --tta     a set, eight views averaged
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
import data
import metrics
import pictures
from photographs.fov import fov_of
from photographs.labelled import vessels_of
from photographs.reading import read_photograph, summed_up
from photographs.square import VIEWS
from prediction.flags import add_prediction_flags
from prediction.read_ahead import memory_of, overlapped
from report import page
from report.kept import begin, files_of, probability_file, write_pictures
from report.scores_table import Comparison, Scores, scores_of
from running.again import mark, same_as_before
from running.command import Problem, complain, counted, run, say
from running.files import as_csv, is_there, read_levels, sha256, write_json, write_text, written
from running.sources import UNKNOWN, Sources
from running.tensorflow_start import start_tensorflow
from sets.leaks import patient_of, patients_met, refuse_learned_from
from sets.validation import validation_of
from viewer.photographs import Sheet

PROTOCOL = ("Scored at native size, inside the FOV, against the first observer, at {threshold}; 'pooled' is "
            "one confusion matrix over all pixels, 'mean' the mean over photographs.")
CHOSEN = "the card's threshold, which was chosen on validation photographs"
GIVEN = "a threshold of {}, given with --threshold"
UNSCORED = "Predicted and pictured; there are no reference masks here, so nothing can be scored."
NOTES = {"train": "trained on", "both": "trained on", "validation": "validation: threshold chosen on it",
         "patient": "of a patient whom the model has met"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", nargs="+", type=Path, metavar="DIR",
        help="folders of data sets (default: datasets/, else samples/)")
    add("--split", choices=["test", "training", "validation", "all"], default="test",
        help="validation: what the model's card names (default: %(default)s)")
    add("--out", type=Path, default=Path("results"), help="(default: %(default)s)")
    add_prediction_flags(parser)
    return parser.parse_args()


def main():
    options = arguments()
    start_tensorflow()
    import checkpoint
    from predict import Predictor
    from prediction.results import settings_of

    # What is tested, unless that is done already.
    model_file, folders = checkpoint.find_model(options.model), options.data or data.default_folders()
    say(f"Model: {model_file}. Data: {', '.join(map(str, folders))}, {options.split} split.")
    network, card = checkpoint.load(model_file)
    photographs = chosen_photographs(folders, options.split, card)
    if caution := checkpoint.caution(card, [photograph.path for photograph in photographs]):
        say(caution)
    named = {name: photograph for photograph, name in data.names_of(photographs).items()}
    settings = {"split": options.split, **settings_of(options, model_file)}
    state = same_as_before(options.out, settings, options.overwrite,
                           earlier={"data": [folder.resolve().as_posix() for folder in folders]})
    sources = sources_of(options, folders, named)
    if state == "finished" and not sources.changes:
        say(f"{options.out}: this test is finished; its report is {options.out / 'report.html'}.")
        return 0
    begin(options.out, named, sources, options.overwrite)
    mark(options.out, settings, finished=False, **sources.for_run())

    # Each photograph: its probability, mask and comparison are written, and it is scored.
    predictor = Predictor(network, card.plan(options.tta, options.threshold, options.pen), options.precision)
    scores = segment_and_score(predictor, options.out, named, card)
    if not scores.rows:
        raise Problem(f"None of the photographs ({len(named)}) could be read. "
                      f"The first: {next(iter(scores.failed.values()))}")

    # All of them: metrics.csv, summary.json, roc.png, pr.png and report.html.
    summary = summary_of(options, folders, model_file, predictor, scores) | scores.for_json()
    table = as_csv(scores.photographs() + scores.summaries())
    all_written = written(write_text, options.out / "metrics.csv", table)
    all_written &= written(write_json, options.out / "summary.json", summary)
    curves = curves_of(scores.pooled)
    if scores.pooled:
        all_written &= draw_roc_and_pr(options.out, curves, summary["pooled"])
    all_written &= written(page.write, options.out / "report.html", about(summary, card), scores, curves,
                           sheets(predictor, options.out, named, scores))
    if changes := sources.changed_meanwhile():
        complain(f"{changes} meanwhile: run the same command again.")
    mark(options.out, settings, finished=not (scores.failed or changes) and all_written,
         files=files_of(scores), **sources.for_run())
    return tell(options.out, summary) or int(bool(changes) or not all_written)


def sources_of(options, folders, named):
    """Returns the Sources of a test, and says what of them has changed since the one that --out holds."""
    items = {name: {"photograph": photograph.path, "mask": photograph.mask, "FOV": photograph.fov,
                    "second observer's mask": photograph.second} for name, photograph in named.items()}
    sources = Sources(options.out, folders, items, options.overwrite)
    sources.refuse_strangers("test")
    if sources.changes:
        say(f"{options.out}: {sources.changes} since. What that concerns is tested anew.")
    if sources.unknown:
        complain(f"{options.out}: {UNKNOWN}. --overwrite tests anew.")
    return sources


def chosen_photographs(folders, split, card):
    """Returns the photographs of a split; those of 'validation' are known by the card.

    Raises Problem if there is none, or if the model has met a patient of the test part.
    """
    if split == "validation":
        return validation_of(data.photographs_of(folders, "all"), folders, card)
    photographs = data.photographs_of(folders, split)
    if split == "test":
        refuse_learned_from(photographs, data.photographs_of(folders, "all"), card.parts_met())
    return photographs


def segment_and_score(predictor, out, named, card):
    """Segments, pictures and scores the photographs {name: Photograph}; returns their Scores."""
    threshold, parts = predictor.plan.threshold, card.parts_met()
    scores, remarks, met = Scores(threshold), [], patients_met(named.values(), parts)

    def compute(name, given):
        rgb, fov, reference, second = given
        return Comparison(segment(predictor, rgb, fov, probability_file(out, name)), reference, second)

    def finish(name, comparison):
        write_pictures(out, name, named[name].path.name, comparison, threshold)
        part = parts.get(sha256(named[name].path), "patient" if patient_of(named[name]) in met else None)
        return scores_of(name, comparison, threshold, NOTES.get(part, ""))

    results = overlapped(named, lambda name: read(named[name], remarks), compute, finish,
                         memory=lambda name: memory_of(named[name].path))
    for name, result in tqdm(results, total=len(named), unit="photograph", disable=not sys.stderr.isatty()):
        if isinstance(result, Problem):
            scores.failed[name] = result
        else:
            scores.add(name, *result)
    for sentence in summed_up(remarks):
        complain(sentence)
    return scores


def read(photograph, remarks=None):
    """Returns rgb, FOV, and what the first and the second observer drew, or None; remarks: of reading."""
    rgb = read_photograph(photograph.path, remarks)
    fov = fov_of(photograph, rgb)
    drawn = [mask and vessels_of(mask, photograph.path, rgb, fov, remarks, empty_is_fine=True)
             for mask in (photograph.mask, photograph.second)]
    return rgb, fov, *drawn


def segment(predictor, rgb, fov, kept):
    """Returns the Segmented photograph, from the probability PNG `kept` if an interrupted run left it."""
    levels = read_levels(kept) if is_there(kept) else None
    if levels is None or levels.shape != fov.shape:
        return predictor.segment(rgb, fov)
    return predictor.cut(rgb, fov, levels)


def summary_of(options, folders, model_file, predictor, scores):
    """Returns summary.json up to the scores: what was tested with what, and by which protocol."""
    plan, notes = predictor.plan, [rows["first"]["note"] for rows in scores.rows.values()]
    threshold = CHOSEN if options.threshold is None else GIVEN.format(options.threshold)
    return {"protocol": PROTOCOL.format(threshold=threshold) if scores.scored() else UNSCORED,
            "model": model_file.as_posix(), "model sha256": sha256(model_file),
            "data": [folder.as_posix() for folder in folders], "split": options.split,
            "photographs": len(scores.rows), "scored": scores.scored(),
            "failed": {name: str(problem) for name, problem in scores.failed.items()},
            "trained on": notes.count(NOTES["train"]), "tta": plan.tta, "side": plan.side,
            "vessel width": plan.vessel_width, "pen": options.pen, "views": len(VIEWS) if plan.tta else 1,
            "threshold": plan.threshold, "precision": predictor.precision}


def curves_of(pooled):
    """Returns the curves of the report, each None if nothing was scored."""
    if not pooled:
        return dict.fromkeys(("roc", "pr", "reliability"))
    counts = pooled["fov"]
    roc, pr = (dict(zip("xy", curve(counts), strict=True)) for curve in (metrics.roc_curve, metrics.pr_curve))
    reliability = dict(zip(("probability", "share", "count"), metrics.reliability(counts), strict=True))
    return {"roc": roc, "pr": pr, "reliability": reliability}


def draw_roc_and_pr(out, curves, scores):
    """Draws roc.png and pr.png with their areas in `scores`; returns whether both were written."""
    area, precision = in_words(scores["roc_auc"]), in_words(scores["average_precision"])
    drawn = [written(pictures.draw_line, out / "roc.png", *curves["roc"].values(), "false positive rate",
                     "recall (sensitivity)", f"ROC, pooled in FOV, area {area}", True),
             written(pictures.draw_line, out / "pr.png", *curves["pr"].values(), "recall", "precision",
                     f"Precision and recall, average precision {precision}")]
    return all(drawn)


def in_words(score):
    return "undefined" if score is None else f"{score:.4f}"


def about(summary, card):
    """Returns what the report says of the test, in its order."""
    repeated = ("protocol", "threshold", "model", "model sha256", "photographs", "scored", "side",
                "vessel width", "pen", "views", "precision")
    sets = ", ".join(Path(folder).name for folder in summary["data"])
    return {"title": f"Vessels of {sets}: {summary['split']} split",
            **{key: summary[key] for key in repeated}, "loss": card.get("loss"),
            "trained on sets": list(card.get("data", {})), "licence": card.get("licence"),
            "not done": [f"{name}: {problem}" for name, problem in summary["failed"].items()]}


def sheets(predictor, out, named, scores):
    """Yields a Sheet of each photograph, which is read again: all of them might not fit into memory."""
    for name in scores.rows:
        rgb, fov, reference, _ = read(named[name])
        levels = read_levels(probability_file(out, name))
        yield Sheet(name, rgb, fov, levels, predictor.plan.threshold, reference)


def tell(out, summary):
    """Says what came out; returns the exit code."""
    for name, problem in summary["failed"].items():
        complain(f"not done: {name}: {problem}")
    report, unscored = out / "report.html", summary["photographs"] - summary["scored"]
    if summary["scored"]:
        met = f" ({summary['trained on']} of them trained on)" if summary["trained on"] else ""
        met += f", without {unscored} that have no mask and are segmented only" if unscored else ""
        pooled = summary["pooled"]
        say(f"Pooled Dice {in_words(pooled['dice'])}, ROC AUC {in_words(pooled['roc_auc'])}, clDice "
            f"{in_words(summary['mean']['cldice'])} of {counted(summary['scored'], 'photograph')}{met}. "
            f"Open {report}; next: python eval.py YOUR_PHOTOGRAPH")
    else:
        say(f"Segmented {counted(unscored, 'photograph')}, which cannot be scored: no masks. Open {report}")
    return 1 if summary["failed"] else 0


if __name__ == "__main__":
    sys.exit(run(main))
