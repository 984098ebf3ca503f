"""metrics.csv: a row for each photograph, then mean, standard deviation, pooled, then the second observer.

    scores = Scores(threshold)
    scores.add(name, *scores_of(name, comparison, threshold))
    scores.photographs(), scores.summaries()                      rows with the keys COLUMNS
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

import metrics

SCORES = ["dice", "iou", "precision", "recall", "specificity", "accuracy", "mcc", "roc_auc",
          "average_precision", "cldice", "ece"]
COLUMNS = ["photograph", *SCORES, "note"]
NO_REFERENCE = "no reference mask: predicted and pictured, not scored"
NOT_OF_A_DRAWING = ("roc_auc", "average_precision", "ece")  # it has no ranking and no confidence


@dataclass(frozen=True)
class Comparison:
    """A photograph under test.

    segmented: the Segmented photograph. reference, second: what the first and the second observer drew, or
    None, (H, W) bool.
    """

    segmented: object
    reference: np.ndarray | None
    second: np.ndarray | None


def scores_of(name, comparison, threshold, note=""):
    """Returns the rows and the histograms of one photograph, as two dicts.

    Row "first" is of the prediction and row "second" of the second observer, both against the first observer.
    Histograms are of the prediction inside the "fov" and over the "whole" image, and of the "second"
    observer.
    """
    segmented, reference, second = comparison.segmented, comparison.reference, comparison.second
    levels, fov = segmented.levels, segmented.fov
    if reference is None:
        return {"first": _filled({"photograph": name, "note": NO_REFERENCE})}, {}
    histograms = {"fov": metrics.histogram(levels, reference, fov),
                  "whole": metrics.histogram(levels, reference, np.ones_like(fov))}
    cldice = metrics.cldice(segmented.mask, reference, fov)
    rows = {"first": _row(name, histograms["fov"], threshold, cldice, note)}
    if second is not None:
        histograms["second"] = metrics.histogram(second, reference, fov)
        rows["second"] = _row(name, histograms["second"], 0.5, metrics.cldice(second, reference, fov))
    return rows, histograms


def _row(name, counts, threshold, cldice, note=""):
    """Returns the scores of a histogram as a row; its note is the reason if some of them are missing."""
    return _filled({"photograph": name, **metrics.scores(counts, threshold), "cldice": cldice,
                    "note": metrics.why_not(counts) or note})


def _filled(row):
    """Returns the row with all COLUMNS in their order: NaN for a missing score, None for a missing note."""
    return {column: row.get(column, math.nan if column in SCORES else None) for column in COLUMNS}


class Scores:
    """The scores of all photographs: rows, histograms added up, and the Problems of those without."""

    def __init__(self, threshold):
        self.threshold, self.rows, self.pooled, self.failed = threshold, {}, defaultdict(int), {}

    def add(self, name, rows, histograms):
        """Takes what `scores_of` returns of a photograph; the histograms, a megabyte each, are not kept."""
        self.rows[name] = rows
        for kind, counts in histograms.items():
            self.pooled[kind] += counts

    def scored(self):
        """Returns the number of photographs that have a reference."""
        return sum(rows["first"]["note"] != NO_REFERENCE for rows in self.rows.values())

    def photographs(self):
        """Returns a row for each photograph; those of which there are no scores say why."""
        failed = [_filled({"photograph": name, "note": str(problem)})
                  for name, problem in self.failed.items()]
        return [rows["first"] for rows in self.rows.values()] + failed

    def summaries(self):
        """Returns the rows that sum up the photographs, none if nothing was scored."""
        if not self.pooled:
            return []
        summaries = _summed_up(self.photographs(), self.pooled["fov"], self.threshold)
        if "second" in self.pooled:
            second = [rows["second"] for rows in self.rows.values() if "second" in rows]
            summaries += [{**row, "photograph": f"second observer, {row['photograph']}",
                           **dict.fromkeys(NOT_OF_A_DRAWING, math.nan)}
                          for row in _summed_up(second, self.pooled["second"], 0.5)]
        return summaries

    def for_json(self):
        """Returns the scores of summary.json: the summaries, and pooled ones as other papers give them."""
        found = {row["photograph"]: {key: row[key] for key in SCORES} for row in self.summaries()
                 if row["photograph"] != "second observer, standard deviation"}
        if self.pooled:
            found["pooled at 0.5"] = metrics.scores(self.pooled["fov"], 0.5)
            found["pooled over the whole image"] = metrics.scores(self.pooled["whole"], self.threshold)
            found["pooled over the whole image at 0.5"] = metrics.scores(self.pooled["whole"], 0.5)
        return {name: {key: None if math.isnan(score) else round(score, 5) for key, score in scores.items()}
                for name, scores in found.items()}


def _summed_up(rows, counts, threshold):
    """Returns the rows mean, standard deviation and pooled; counts: the histogram of all photographs."""
    columns = {key: np.array([row[key] for row in rows if not math.isnan(row[key])]) for key in SCORES}
    mean = {key: float(values.mean()) for key, values in columns.items() if len(values)}
    deviation = {key: float(values.std(ddof=1)) for key, values in columns.items() if len(values) > 1}
    cldice, note = mean.get("cldice", math.nan), "clDice: the mean over photographs"
    return [_filled({"photograph": "mean", **mean}),
            _filled({"photograph": "standard deviation", **deviation}),
            _row("pooled", counts, threshold, cldice, note)]
