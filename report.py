"""The report of a test: one HTML page that needs no network, no server and no file beside it.

    write(path, about, table, curves, photographs)

The page is plain HTML, CSS and JavaScript, kept in templates/ and put together here without a build step. Every
photograph travels in it at native size, as a JPEG and as one deflated block of numbers, which the browser unpacks
when the photograph is opened. The block needs no canvas to be read back, so that neither colour management nor a
browser's protection against fingerprinting can change a pixel, and Dice on the page is Dice in the table.
"""

import base64
import hashlib
import json
import math
import zlib
from pathlib import Path

import cv2
import numpy as np

from files import whole

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = "report.js", "curves.js", "viewer.js", "controls.js"
LEVELS = 256  # probabilities travel as bytes
POINTS = 400  # of a curve; more are not seen at the size of the page
THUMBNAIL = 96  # pixels, the longer side
QUALITY = 90  # of the JPEG, without colour subsampling: thin vessels differ from the retina mainly in colour


def write(path, about, table, curves, photographs):
    """Write the report to `path`, whole or not at all. Photographs are taken one by one and not kept.

    about: dict of text, numbers or lists of text, shown in its order; 'title', 'protocol' and 'threshold' are known.
    table: DataFrame as in metrics.csv; first column the photograph; from the last row called 'mean' on, summaries.
    curves: {'roc': {'x', 'y'}, 'pr': {'x', 'y'}, 'reliability': {'probability', 'share', 'count'}}, each may be None.
    photographs: iterable of dicts with name, photograph (H, W, 3) uint8 RGB, probability (H, W) float32 in [0, 1],
        fov (H, W) bool, reference (H, W) bool or None, dice (as in the table) or None, threshold in [0, 1].
    """
    before, after = page().split("<!-- photographs -->")
    facts = {"about": about, "table": rows(table), "curves": {name: thinned(curve) for name, curve in curves.items()}}
    with whole(path) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write(before.replace("{{facts}}", as_json(facts)))
        for number, photograph in enumerate(photographs):
            file.write(embedded(number, **photograph))
        file.write(after)


def page():
    """The page with its style and scripts inside. Its policy lets nothing else run and nothing be fetched or sent."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    policy = (f"default-src 'none'; img-src data:; style-src {fingerprint(style)}; script-src {fingerprint(script)}; "
              "base-uri 'none'; form-action 'none'")
    template = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    return template.replace("{{policy}}", policy).replace("{{style}}", style).replace("{{script}}", script)


def fingerprint(text):
    """The source expression of Content Security Policy (level 2, section 4.2.5) that allows exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(number, name, photograph, probability, fov, reference, dice, threshold):
    """One photograph as three script elements that the browser does not run: facts, JPEG, numbers."""
    height, width = fov.shape
    facts = {"number": number, "name": name, "width": width, "height": height, "labelled": reference is not None,
             "dice": dice, "threshold": threshold, "level": level_of(threshold),
             "thumbnail": text(thumbnail(photograph))}
    return (f'<script type="application/json" class="photograph">{as_json(facts)}</script>\n'
            f'<script type="text/plain" id="jpeg-{number}">{text(jpeg(photograph, QUALITY))}</script>\n'
            f'<script type="text/plain" id="numbers-{number}">{text(packed(probability, fov, reference, threshold))}'
            "</script>\n")


def packed(probability, fov, reference, threshold):
    """Deflated bytes: the H W levels of the probability, each less the one before, then H W times fov + 2 reference.

    The differences of a photograph of 3504x2336 deflate to 0.8 of the size of the levels themselves.
    """
    levels = np.searchsorted(edges(threshold), probability.ravel(), side="right").astype(np.uint8)
    flags = fov.astype(np.uint8)
    if reference is not None:
        flags |= reference.astype(np.uint8) << 1
    return zlib.compress(np.diff(levels, prepend=np.uint8(0)).tobytes() + flags.tobytes(), 6)


def level_of(threshold):
    """The level, 1 to 255, whose lower edge is the threshold."""
    return min(max(round(threshold * LEVELS), 1), LEVELS - 1)


def edges(threshold):
    """(255,) float32: level L holds the probabilities from edge L - 1 on. The threshold is one of them, exactly.

    So `level >= level_of(threshold)` is `probability >= threshold`, and eight bits cost nothing at the threshold.
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
    return jpeg(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), 80)


def thinned(curve):
    """The curve with at most 400 points, spread evenly along its length, so that a steep part keeps its shape."""
    if curve is None:
        return None
    columns = {name: np.asarray(values, float) for name, values in curve.items()}
    if "x" not in columns or columns["x"].size <= POINTS:
        return columns
    steps = np.hypot(np.diff(columns["x"]), np.diff(columns["y"]))
    way = np.concatenate([[0], np.cumsum(np.nan_to_num(steps))])
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)).clip(0, way.size - 1))
    return {name: values[kept] for name, values in columns.items()}


def rows(table):
    """The table for the page: its columns, the rows of photographs, and the rows that sum them up."""
    filled = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    means = [number for number, row in enumerate(filled) if row[0] == "mean"]
    first = means[-1] if means else len(filled)
    return {"columns": list(table.columns), "photographs": filled[:first], "summaries": filled[first:]}


def text(content):
    return base64.b64encode(content).decode("ascii")


def as_json(value):
    """ASCII JSON that cannot end the script element it stands in, whatever a file is called."""
    return json.dumps(plain(value), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def plain(value):
    """The value in JSON's own types: NaN and infinity become null, NumPy's and other objects numbers or text."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
