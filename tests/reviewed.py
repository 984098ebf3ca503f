"""A small review.html for tests of the page: three drawn photographs, predicted, opened in a browser."""

import contextlib
import shutil

import cv2
import numpy as np
import pytest
from browser import complaints, settled, until_shown

import metrics
from photographs.fov import found_fov
from photographs.reading import read_photograph
from prediction.rows import MADE_OF
from prediction.segmented import Segmented, row_of
from review import page
from running.files import Folder, sha256, write_png

THRESHOLD = 0.4
HOSTILE = "<img src=x onerror=alert(1)>.png"
NAMES = "patient7/left.png", HOSTILE, "third.png"


def predicted(draw, folder, name, seed):
    """A photograph and its prediction in a results folder, as eval.py leaves them; returns its row."""
    path = folder / "photographs" / name
    rgb, mask, _ = draw.eye(seed)
    draw.put(path, rgb)
    rgb = read_photograph(path)
    fov = found_fov(path, rgb)
    random = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5) + random.random(mask.shape) / 5
    levels = metrics.levels_of(np.clip(soft, 0, 1) * fov)
    segmented = Segmented(rgb, fov, levels, metrics.cut(levels, THRESHOLD) & fov)
    stem = name.removesuffix(".png")
    write_png(folder / "out" / f"{stem}_probability.png", levels)
    write_png(folder / "out" / f"{stem}_mask.png", segmented.mask.astype(np.uint8) * 255)
    made_of = {"photograph": {"sha256": sha256(path)}}
    more = {"levels": levels, "fov": fov, "mask": segmented.mask, MADE_OF: made_of}
    return row_of(stem, path, segmented, {}) | more


def write(folder, rows, most=40, threshold=THRESHOLD):
    page.Review(Folder(folder / "out"), threshold, most).write(rows, [folder / "photographs"])
    return (folder / "out/review.html").as_uri()


def drawn(draw, folder):
    """Three photographs in the order of the page, with `folder`, that of photographs and results."""
    found = [predicted(draw, folder, name, 70 + k) | {"folder": folder} for k, name in enumerate(NAMES)]
    return sorted(found, key=lambda row: row["certainty"])


in_chromium = pytest.mark.parametrize("browser_with", ["chromium"], indirect=True)


@contextlib.contextmanager
def afresh(driver, rows):
    """Yields the driver with the page just opened, nothing kept, and an empty folder of downloads."""
    shutil.rmtree(driver.downloads, ignore_errors=True)
    driver.get(write(rows[0]["folder"], rows))
    until_shown(driver)
    driver.execute_async_script("""const [done] = arguments;
        within("readwrite", (works, steps) => (works.clear(), steps.clear())).then(() => done());""")
    again(driver)
    yield driver
    assert complaints(driver) == []


def again(browser, address=None):
    """Closes the page, once what was done is kept, and opens it again."""
    address = address or browser.current_url
    settled(browser)
    browser.get("about:blank")
    browser.get(address)
    until_shown(browser)


LINE = (30, 50), (55, 40), (80, 60)


def almost(found, expected):
    """Whether two masks are the same but for what a tenth of a pixel decides."""
    return (found != expected).sum() <= 16
