"""The report of a test: one HTML page that needs no network, no server and no file beside it.

    write(path, about, scores, curves, sheets)

viewer/photographs.py puts it together and says what of a photograph is in it.
"""

from pathlib import Path

from metrics import thinned
from report.scores_table import COLUMNS, SCORES
from viewer.photographs import assembled, contents, write_page

HERE = Path(__file__).parent
SCRIPTS = [HERE / name for name in ("kinds.js", "report.js", "curves.js")]
MOST_POINTS = 400  # of a curve; more cannot be seen at the size of the page


def write(path, about, scores, curves, sheets):
    """Writes the report to `path`, whole or not at all. Sheets are taken one by one and not kept.

    about: dict of texts, numbers or lists of texts, shown in this order; 'title' and 'protocol' have a place
    of their own. scores: the Scores of metrics.csv. curves: {'roc': {'x', 'y'}, 'pr': {'x', 'y'},
    'reliability': {'probability', 'share', 'count'}}, each of which may be None. sheets: iterable of Sheet.
    """
    curves = {name: few_points(curve) for name, curve in curves.items()}
    facts = {"about": about, "table": table_of(scores), "curves": curves}
    rows = {row["photograph"]: row for row in scores.photographs()}
    photographs = (contents(sheet, scores={key: rows[sheet.name][key] for key in SCORES}) for sheet in sheets)
    write_page(path, template(), facts, photographs)


def template():
    return assembled("Test report", HERE / "report.html", [HERE / "report.css"], SCRIPTS)


def few_points(curve):
    """Returns a curve of x and y with as many points as can be seen; reliability and None as they are."""
    if curve is None or "x" not in curve:
        return curve
    return dict(zip("xy", thinned(curve["x"], curve["y"], MOST_POINTS), strict=True))


def table_of(scores):
    """Returns metrics.csv for the page: its columns, the rows of photographs, and those that sum them up."""
    photographs, summaries = ([[row[column] for column in COLUMNS] for row in rows]
                              for rows in (scores.photographs(), scores.summaries()))
    return {"columns": COLUMNS, "photographs": photographs, "summaries": summaries}
