"""Segments photographs without masks: probability, mask and overlay at native size, and a table of measures.

    python eval.py image.png                      predictions/image_probability.png, _mask.png, _overlay.png
    python eval.py FOLDER other.jpg --tta         many; eight views averaged, with the uncertainty
    python eval.py --masks DIR FOLDER             measures the masks in DIR in place of predicting
    python eval.py --ray local FOLDER --out DIR   the same on a cluster (docs/scale.md)

A photograph's results bear its path below FOLDER: those of FOLDER/patient7/left.jpg begin with patient7/left.
"""

import argparse
import os
import sys
from pathlib import Path

import cv2
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out
from photographs.finding import find_photographs
from prediction.flags import add_prediction_flags, refuse_unused
from prediction.read_ahead import memory_of, overlapped
from running.command import Problem, complain, counted, run, say
from running.files import read_png
from running.tensorflow_start import start_tensorflow

NOT_ON_CLUSTER = "show", "masks", "review"  # flags that would not count there
OF_PREDICTION = "model", "tta", "threshold", "pen", "precision", "review"  # nor these beside --masks


def arguments():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    add = parser.add_argument
    add("photographs", nargs="+", help="files or folders (with --ray also URIs)")
    add("--out", help="(default: predictions; with --masks, measured)")
    add_prediction_flags(parser)
    add("--review", type=int, default=40, metavar="N",
        help="photographs in review.html at most, the least certain; not with --ray (default: %(default)s)")
    add("--masks", type=Path, metavar="DIR", help="measure these masks, named as the photographs are")
    add("--before", type=Path, metavar="DIR",
        help="with --masks: results of eval.py that the masks are compared with (default: predictions)")
    add("--show", action="store_true", help="open a window with the result of each photograph")
    add("--ray", metavar="ADDRESS", help="run on this Ray cluster; 'local' starts one on this machine")
    options = parser.parse_args()
    if options.ray:
        refuse_unused(parser, options, NOT_ON_CLUSTER, "--ray has no windows, no --masks and no review.html")
    if options.masks:
        refuse_unused(parser, options, OF_PREDICTION, "--masks measures what is there and predicts nothing")
    else:
        refuse_unused(parser, options, ["before"], "only --masks are compared")
    if options.review < 0:
        parser.error("--review must be 0 or more")
    options.out = options.out or ("measured" if options.masks else "predictions")
    return options


def main():
    options = arguments()
    if options.ray:
        return on_cluster(options)
    photographs = find_photographs(options.photographs, options.out)
    start_tensorflow()
    return (measured if options.masks else predicted)(options, photographs)


def predicted(options, photographs):
    """Segments photographs and shows them together, and returns the exit code."""
    import checkpoint
    from predict import Predictor
    from prediction.results import FolderResults, settings_of
    from review.page import Review

    # What an earlier run has done already stays.
    model_file = checkpoint.find_model(options.model)
    say(f"Model: {model_file}")
    results = FolderResults(options.out, settings_of(options, model_file), options.overwrite)
    named = results.names(photographs)
    refused = {}
    left = results.left(named, refused)
    results.tell_others(named, options.photographs)
    given = [*named.values(), options.review, *map(os.path.abspath, options.photographs)]
    if len(refused) == len(named) or (not left and results.shows(*given)):
        return done_already(options, named, refused)

    # The rest is segmented.
    if not left:
        say("All of it is done already; only what shows it is written again.")
    network, card = checkpoint.load(model_file)
    if caution := checkpoint.caution(card, left):
        say(caution)
    predictor = Predictor(network, card.plan(options.tta, options.threshold, options.pen), options.precision)
    page = Review(results.folder, predictor.plan.threshold, options.review)
    results.begin(named)
    failed = refused | segment_all(results, left, predictor, card, page)

    # What was asked for, in a table, on a sheet and in a sentence.
    done = {name for photograph, name in named.items() if photograph not in failed}
    rows = [row for row in results.write_table() if row["name"] in done]
    tell_failed(failed, len(named))
    if len(rows) > 1:
        results.write(results.draw_sheet, rows)
    else:
        results.write(results.folder.remove, "contact_sheet.png")  # an earlier command's
    results.write(page.write, rows, options.photographs)
    results.complete &= not page.unread
    results.finish(*given)
    tell(results.folder, predictor.plan, rows)
    if options.show:
        show(results.folder, sorted(done))
    return 1 if failed or not results.complete else 0


def done_already(options, named, refused):
    """Says that there is nothing left to do but what is refused, {path: Problem}; returns the exit code."""
    tell_failed(refused, len(named))
    say(f"All {'else' if refused else 'of it'} is done already; the results are in {options.out}.")
    if options.show:
        show(Path(options.out), sorted(name for path, name in named.items() if path not in refused))
    return 1 if refused else 0


def segment_all(results, named, predictor, card, page):
    """Reads, predicts and writes at once; returns {path: Problem} of what could not be done."""
    def segment(path, photograph):
        return predictor.segment(*photograph)

    def write(path, segmented):
        page.offer(results.add(named[path], path, segmented, card), segmented)

    return failures(results, named, results.read, segment, write)


def failures(results, named, *steps):
    """Takes the photographs through the steps of `overlapped`; returns {path: Problem} of what failed.

    However that ends, it is said what is to be known of the files that were read: no later run reads them.
    """
    shown = tqdm(overlapped(named, *steps, memory=memory_of), total=len(named), unit="photograph",
                 disable=not sys.stderr.isatty())
    try:
        return {path: outcome for path, outcome in shown if isinstance(outcome, Problem)}
    finally:
        results.tell_read()


def measured(options, photographs):
    """Measures and draws the masks of --masks in place of predicting, and returns the exit code."""
    from prediction.measured import MeasuredResults

    results = MeasuredResults(options.out, options.masks, options.before, options.overwrite)
    named = results.with_masks(photographs)
    refused = {}
    left = results.left(named, refused)
    results.tell_gone()
    if len(refused) == len(named) or (not left and results.shows(*named.values())):
        results.tell_uncompared(results.in_table())
        return done_already(options, named, refused)
    results.begin(named, results.mask_of.values())
    failed = refused | failures(results, left, results.read, lambda _, read: read,
                                lambda path, read: results.add(named[path], path, *read))
    done = {name for photograph, name in named.items() if photograph not in failed}
    rows = [row for row in results.write_table() if row["name"] in done]
    tell_failed(failed, len(named))
    results.write(results.draw_sheet, rows)
    results.finish(*named.values())
    results.tell_uncompared(rows)
    say(f"Measured: {counted(len(rows), 'mask')}. "
        f"Open {results.folder / 'contact_sheet.png'} and {results.folder / 'predictions.csv'}")
    if options.show:
        show(results.folder, sorted(done))
    return 1 if failed or not results.complete else 0


def tell_failed(failed, total):
    """Says what could not be done; raises Problem if that is everything."""
    if total == len(failed) == 1:
        raise next(iter(failed.values()))
    for problem in failed.values():
        complain(f"not done: {problem}")
    if len(failed) == total:
        raise Problem(f"None of the {total} photographs could be done.")


def tell(folder, plan, rows):
    """Says what came of it, how it was predicted, and where it is."""
    for row in rows:
        if row["warnings"]:
            complain(f"{row['name']}: {row['warnings']}")
    width = plan.vessel_width
    square = f"with vessels {width:g} pixels wide" if width else f"of {plan.side} pixels"
    how = f"{'8 views' if plan.tta else '1 view'} of a square {square}, cut at {plan.threshold:.3f}"
    if len(rows) == 1:
        say(f"{rows[0]['name']}: vessel density {rows[0]['vessel_density']:.3f} in the FOV ({how}). "
            f"Open {folder / (rows[0]['name'] + '_overlay.png')}")
    else:
        review = folder / "review.html"
        say(f"{len(rows)} photographs are done ({how}). "
            f"Open {folder / 'contact_sheet.png'} and {folder / 'predictions.csv'}"
            + (f"; correct them on {review}" if review.exists() else ""))


def show(folder, names):
    """Opens a window a photograph where there is a display; matplotlib's, since headless OpenCV has none."""
    import matplotlib
    import matplotlib.pyplot as plt

    if matplotlib.get_backend().lower() == "agg":
        complain(f"There is no display here, so --show is left out; the pictures are in {folder}")
        return
    for name in names:
        other = "probability" if (folder / f"{name}_probability.png").exists() else "mask"
        figure, axes = plt.subplots(1, 2, figsize=(14, 7), num=name, layout="constrained")
        for axis, kind in zip(axes, ("overlay", other), strict=True):
            picture = read_png(folder / f"{name}_{kind}.png", cv2.IMREAD_UNCHANGED)
            if picture is None:
                complain(f"{folder / name}_{kind}.png: is damaged. Remove it, and the same command makes it "
                         "again.")
            else:
                axis.imshow(picture[..., ::-1] if picture.ndim == 3 else picture, cmap="gray")
            axis.set_title(kind)
            axis.axis("off")
    plt.show()


def on_cluster(options):
    """Does the same on the Ray cluster of --ray, and returns the exit code."""
    try:
        from cluster import driver
    except ImportError as error:
        raise Problem(f"--ray needs {error.name}: "
                      "pip install -r requirements.txt -r requirements-ray.txt") from error
    start_tensorflow()
    import checkpoint
    from prediction.results import settings_of

    model_file = checkpoint.find_model(options.model)
    say(f"Model: {model_file}")
    card = checkpoint.load(model_file)[1]
    if caution := checkpoint.caution(card, options.photographs):
        say(caution)
    return driver.main(options, model_file, card, settings_of(options, model_file))


if __name__ == "__main__":
    sys.exit(run(main))
