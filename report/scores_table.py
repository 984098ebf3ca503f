"""metrics.csv: a row for each photograph, then mean, standard deviation, pooled, then the second observer.

    scores = Scores(threshold)
    scores.add(name, *scores_of(name, comparison, threshold))
    table = scores.table()
    of_photographs, summaries = split(table)
"""

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

    segmented: the Segmented photograph. reference, second: what the first and the second observer drew, (H,
    W) bool, or None.
    """

    segmented: object
    reference: np.ndarray | None
    second: np.ndarray | None


def scores_of(name, comparison, threshold, note=""):
    """Returns the rows of metrics.csv and the histograms of one photograph, as two dicts.

    Row "first" is of the prediction and row "second" of the second observer, both against the first observer.
    Histograms are of the prediction inside the "fov" and over the "whole" image, and of the "second"
    observer.
    """
    segmented, reference, second = comparison.segmented, comparison.reference, comparison.second
    levels, fov = segmented.levels, segmented.fov
    if reference is None:
        return {"first": {"photograph": name, "note": NO_REFERENCE}}, {}
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
    return {"photograph": name, **metrics.scores(counts, threshold), "cldice": cldice,
            "note": metrics.why_not(counts) or note}


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
        """Returns the number of photographs that have scores."""
        return sum("dice" in rows["first"] for rows in self.rows.values())

    def table(self):
        """Returns metrics.csv as a DataFrame."""
        import pandas as pd  # its import takes as long as that of all else a --help needs

        rows = [own["first"] for own in self.rows.values()]
        rows += [{"photograph": name, "note": str(problem)} for name, problem in self.failed.items()]
        summaries = _summed_up(rows, self.pooled["fov"], self.threshold) if self.pooled else []
        if "second" in self.pooled:
            second = [own["second"] for own in self.rows.values() if "second" in own]
            summaries += [{**row, "photograph": f"second observer, {row['photograph']}",
                           **dict.fromkeys(NOT_OF_A_DRAWING)}
                          for row in _summed_up(second, self.pooled["second"], 0.5)]
        return pd.DataFrame(rows + summaries, columns=COLUMNS)

    def summaries(self, table):
        """Returns the scores of summary.json: metrics.csv's, and pooled ones as other papers give them."""
        if not self.pooled:
            return {}
        rows, found = split(table)[1].set_index("photograph"), {}
        for name in ("mean", "standard deviation", "pooled",
                     "second observer, mean", "second observer, pooled"):
            if name in rows.index:
                found[name] = _rounded(rows.loc[name, SCORES])
        for name, kind, threshold in (("pooled at 0.5", "fov", 0.5),
                                      ("pooled over the whole image", "whole", self.threshold),
                                      ("pooled over the whole image at 0.5", "whole", 0.5)):
            found[name] = _rounded(metrics.scores(self.pooled[kind], threshold))
        return found


def _summed_up(rows, counts, threshold):
    """Returns the rows mean, standard deviation and pooled; counts: the histogram of all photographs."""
    import pandas as pd

    scores = pd.DataFrame(rows)[SCORES].astype(float)
    pooled = _row("pooled", counts, threshold, scores["cldice"].mean(), "clDice: the mean over photographs")
    return [{"photograph": "mean", **scores.mean()}, {"photograph": "standard deviation", **scores.std()},
            pooled]


def _rounded(scores):
    """Returns the scores for JSON, which has no NaN."""
    return {key: None if value != value else round(float(value), 5) for key, value in scores.items()}


def split(table):
    """Returns the rows of photographs and those that sum them up, which the last row called 'mean' begins."""
    means = np.flatnonzero(table["photograph"] == "mean")  # a photograph may be called so, too
    first = means[-1] if len(means) else len(table)
    return table[:first], table[first:]
