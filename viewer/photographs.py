"""Photographs in a page that needs no network, no server and no file beside it.

    page = assembled(title, html, styles, scripts)   the page, plain HTML, CSS and JavaScript; no build step
    write_page(path, page, facts, photographs)       with what it says and with `contents` of each photograph

Every photograph travels in the page at native size, as a JPEG and as one deflated block of numbers, which the
browser unpacks when the photograph is opened. The block needs no canvas to be read back, so that neither
colour management nor a browser's protection against fingerprinting can change a pixel, and Dice on the page
is Dice in the table.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from metrics import cut
from running.files import whole

HERE = Path(__file__).parent
SCRIPTS = [HERE / name for name in ("viewer.js", "list.js", "controls.js")]  # in this order
LEVELS = 256  # probabilities travel as bytes
THUMBNAIL = 96  # px, the longer side
# of JPEGs, whose colours keep their full resolution: thin vessels differ from the retina mainly in colour
QUALITY, QUALITY_OF_THUMBNAIL = 90, 80


@dataclass(frozen=True)
class Sheet:
    """What the page holds of one photograph.

    rgb (H, W, 3) uint8; fov (H, W) bool; levels (H, W) uint16, the probability, 65535 = 1; threshold in
    [0, 1]; reference (H, W) bool, or None.
    """

    name: str
    rgb: np.ndarray
    fov: np.ndarray
    levels: np.ndarray
    threshold: float
    reference: np.ndarray | None = None


def assembled(title, html, styles, scripts, tools=()):
    """Returns a page: page.html with all that belongs where {{...}} stands.

    html: path of its body; styles, scripts: paths of what it has beside the viewer's own; tools: of what it
    has above the photograph. The first script names the layers, so it comes before the viewer's. By the
    page's policy nothing else runs and nothing is fetched.
    """
    style = joined([HERE / "viewer.css", *styles])
    script = joined([HERE / "elements.js", HERE / "layers.js", scripts[0], *SCRIPTS, *scripts[1:]])
    policy = (f"default-src 'none'; img-src data:; style-src {fingerprint(style)}; "
              f"script-src {fingerprint(script)}; base-uri 'none'; form-action 'none'")
    parts = {"body": joined([html]), "viewer": joined([HERE / "viewer.html"]), "tools": joined(tools),
             "title": title, "policy": policy, "style": style, "script": script}
    page = joined([HERE / "page.html"])
    for name, part in parts.items():
        page = page.replace(f"{{{{{name}}}}}", part)
    return page


def joined(paths):
    return "".join(path.read_text(encoding="utf-8") for path in paths)


def fingerprint(text):
    """Returns what allows exactly `text` in a Content Security Policy (level 2, section 4.2.5)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def write_page(path, page, facts, photographs):
    """Writes a page to `path`, whole or not at all.

    page: from `assembled`; facts: what it says, as a dict; photographs: what `contents` returns of each,
    taken one by one and not kept.
    """
    before, after = page.split("<!-- photographs -->")
    with whole(path) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write(before.replace("{{facts}}", as_json(facts)))
        for number, photograph in enumerate(photographs):
            file.write(elements(number, *photograph))
        file.write(after)


def contents(sheet, **more):
    """Returns what the page holds of a Sheet: facts as a dict, with `more` of them, JPEG, numbers."""
    height, width = sheet.fov.shape
    facts = {"name": sheet.name, "width": width, "height": height,
             "labelled": sheet.reference is not None, "threshold": sheet.threshold,
             "level": level_of(sheet.threshold), "thumbnail": base64_of(thumbnail(sheet.rgb)), **more}
    return facts, jpeg(sheet.rgb, QUALITY), packed(sheet)


def elements(number, facts, picture, numbers):
    """Returns a photograph as script elements that the browser does not run, to stand at the page's end."""
    facts = as_json({"number": number} | facts)
    return (f'<script type="application/json" class="photograph">{facts}</script>\n'
            f'<script type="text/plain" id="jpeg-{number}">{base64_of(picture)}</script>\n'
            f'<script type="text/plain" id="numbers-{number}">{base64_of(numbers)}</script>\n')


def packed(sheet):
    """Returns a Sheet's numbers, deflated: H W levels, each less the one before, then fov + 2 reference.

    The differences of a photograph of 3504 x 2336 deflate to 0.8 of the size of the levels themselves.
    """
    levels, flags = level_table(sheet.threshold)[sheet.levels.ravel()], sheet.fov.astype(np.uint8)
    if sheet.reference is not None:
        flags |= sheet.reference.astype(np.uint8) << 1
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)  # a quarter of the time of the default, 2 % larger
    first = deflate.compress(np.diff(levels, prepend=np.uint8(0)))
    return first + deflate.compress(flags) + deflate.flush()


@lru_cache(maxsize=1)  # a page has one threshold, and the table takes as long as a photograph
def level_table(threshold):
    """Returns (65536,) uint8: the level that each probability of 16 bits travels as."""
    known = np.arange(65536, dtype=np.uint16)
    return np.sum([cut(known, edge) for edge in edges(threshold)], axis=0, dtype=np.uint8)


def level_of(threshold):
    """Returns the level, 1 to 255, whose lower edge is the threshold."""
    return min(max(round(threshold * LEVELS), 1), LEVELS - 1)


def edges(threshold):
    """Returns (255,): level L holds the probabilities from edge L - 1 on.

    The threshold is one of them, exactly. So `level >= level_of(threshold)` is the mask that is written, and
    eight bits cost nothing at the threshold.
    """
    below = np.linspace(0, threshold, level_of(threshold) + 1)[1:]
    above = np.linspace(threshold, 1, LEVELS - level_of(threshold) + 1)[1:-1]
    return np.concatenate([below, above])


def jpeg(rgb, quality):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def thumbnail(rgb):
    shrink = THUMBNAIL / max(rgb.shape[:2])
    size = [max(1, round(side * shrink)) for side in rgb.shape[1::-1]]
    return jpeg(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), QUALITY_OF_THUMBNAIL)


def base64_of(content):
    return base64.b64encode(content).decode("ascii")


def as_json(value):
    """Returns ASCII JSON that cannot end the script element it stands in, whatever a file is called.

    NaN and infinity, which JSON has not, become null; arrays and their numbers become lists and numbers.
    """
    text = json.dumps(value, default=lambda numbers: numbers.tolist())
    known = json.loads(text, parse_constant=lambda _: None)
    return json.dumps(known).replace("<", "\\u003c").replace(">", "\\u003e")
