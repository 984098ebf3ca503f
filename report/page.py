"""The report of a test: one HTML page that needs no network, no server and no file beside it.

    write(path, about, table, curves, sheets)

The page is plain HTML, CSS and JavaScript, kept beside this file and put together here without a build step.
Every photograph travels in it at native size, as a JPEG and as one deflated block of numbers, which the
browser unpacks when the photograph is opened. The block needs no canvas to be read back, so that neither
colour management nor a browser's protection against fingerprinting can change a pixel, and Dice on the page
is Dice in the table.
"""

import base64
import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metrics import thinned
from report.scores_table import split
from running.files import whole

HERE = Path(__file__).parent
SCRIPTS = "report.js", "curves.js", "layers.js", "viewer.js", "list.js", "controls.js"  # in this order
LEVELS = 256  # probabilities travel as bytes
MOST_POINTS = 400  # of a curve; more cannot be seen at the size of the page
THUMBNAIL = 96  # px, the longer side
# of JPEGs, whose colours keep their full resolution: thin vessels differ from the retina mainly in colour
QUALITY, QUALITY_OF_THUMBNAIL = 90, 80


@dataclass(frozen=True)
class Sheet:
    """What the page holds of one photograph.

    rgb (H, W, 3) uint8; fov (H, W) bool; probability (H, W) float32 in [0, 1]; reference (H, W) bool, or
    None; dice as in the table, or None; threshold in [0, 1].
    """

    name: str
    rgb: np.ndarray
    fov: np.ndarray
    probability: np.ndarray
    reference: np.ndarray | None
    dice: float | None
    threshold: float


def write(path, about, table, curves, sheets):
    """Writes the report to `path`, whole or not at all. Sheets are taken one by one and not kept.

    about: dict of texts, numbers or lists of texts, shown in this order; 'title' and 'protocol' have a place
    of their own. table: DataFrame as in metrics.csv. curves: {'roc': {'x', 'y'}, 'pr': {'x', 'y'},
    'reliability': {'probability', 'share', 'count'}}, each of which may be None. sheets: iterable of Sheet.
    """
    before, after = template().split("<!-- photographs -->")
    curves = {name: few_points(curve) for name, curve in curves.items()}
    facts = {"about": about, "table": rows(table), "curves": curves}
    with whole(path) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write(before.replace("{{facts}}", as_json(facts)))
        for number, sheet in enumerate(sheets):
            file.write(embedded(number, sheet))
        file.write(after)


def template():
    """Returns the page with its style and scripts. By its policy nothing else runs and nothing is fetched."""
    style = (HERE / "report.css").read_text(encoding="utf-8")
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    policy = (f"default-src 'none'; img-src data:; style-src {fingerprint(style)}; "
              f"script-src {fingerprint(script)}; base-uri 'none'; form-action 'none'")
    html = (HERE / "report.html").read_text(encoding="utf-8")
    return html.replace("{{policy}}", policy).replace("{{style}}", style).replace("{{script}}", script)


def fingerprint(text):
    """Returns what allows exactly `text` in a Content Security Policy (level 2, section 4.2.5)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(number, sheet):
    """Returns a Sheet as three script elements that the browser does not run: facts, JPEG, numbers."""
    height, width = sheet.fov.shape
    facts = {"number": number, "name": sheet.name, "width": width, "height": height,
             "labelled": sheet.reference is not None, "dice": sheet.dice, "threshold": sheet.threshold,
             "level": level_of(sheet.threshold), "thumbnail": base64_of(thumbnail(sheet.rgb))}
    numbers = packed(sheet.probability, sheet.fov, sheet.reference, sheet.threshold)
    return (f'<script type="application/json" class="photograph">{as_json(facts)}</script>\n'
            f'<script type="text/plain" id="jpeg-{number}">{base64_of(jpeg(sheet.rgb, QUALITY))}</script>\n'
            f'<script type="text/plain" id="numbers-{number}">{base64_of(numbers)}</script>\n')


def packed(probability, fov, reference, threshold):
    """Returns deflated bytes: H W levels of probability, each less the one before, then fov + 2 reference.

    The differences of a photograph of 3504 x 2336 deflate to 0.8 of the size of the levels themselves.
    """
    levels = np.searchsorted(edges(threshold), probability.ravel(), side="right").astype(np.uint8)
    flags = fov.astype(np.uint8)
    if reference is not None:
        flags |= reference.astype(np.uint8) << 1
    return zlib.compress(np.diff(levels, prepend=np.uint8(0)).tobytes() + flags.tobytes(), 6)


def level_of(threshold):
    """Returns the level, 1 to 255, whose lower edge is the threshold."""
    return min(max(round(threshold * LEVELS), 1), LEVELS - 1)


def edges(threshold):
    """Returns (255,) float32: level L holds the probabilities from edge L - 1 on.

    The threshold is one of them, exactly. So `level >= level_of(threshold)` is `probability >= threshold`,
    and eight bits cost nothing at the threshold.
    """
    below = np.linspace(0, threshold, level_of(threshold) + 1)[1:]
    above = np.linspace(threshold, 1, LEVELS - level_of(threshold) + 1)[1:-1]
    return np.concatenate([below, above]).astype(np.float32)


def jpeg(rgb, quality):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), options)[1].tobytes()


def thumbnail(rgb):
    shrink = THUMBNAIL / max(rgb.shape[:2])
    size = [max(1, round(side * shrink)) for side in rgb.shape[1::-1]]
    return jpeg(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), QUALITY_OF_THUMBNAIL)


def few_points(curve):
    """Returns a curve of x and y with as many points as can be seen; reliability and None as they are."""
    if curve is None or "x" not in curve:
        return curve
    return dict(zip("xy", thinned(curve["x"], curve["y"], MOST_POINTS), strict=True))


def rows(table):
    """Returns the table for the page: its columns, the rows of photographs, and those that sum them up."""
    photographs, summaries = (part.astype(object).where(part.notna(), None).to_numpy().tolist()
                              for part in split(table))
    return {"columns": list(table.columns), "photographs": photographs, "summaries": summaries}


def base64_of(content):
    return base64.b64encode(content).decode("ascii")


def as_json(value):
    """Returns ASCII JSON that cannot end the script element it stands in, whatever a file is called."""
    return json.dumps(plain(value), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def plain(value):
    """Returns the value in JSON's own types: NaN and infinity as null, other objects as numbers or text."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
