"""The report, as a page in real browsers (skipped where there is none) and as bytes."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from browser import (
    as_telephone,
    complaints,
    fetches_nothing,
    press,
    show,
    slide,
    until_said,
    until_shown,
    words,
)

import pictures
from metrics import cut, levels_of, probability_of
from report.page import write
from report.scores_table import COLUMNS
from viewer.photographs import HERE, Sheet, edges, level_of, packed

THRESHOLD = 0.37
HOSTILE = "<img src=x onerror=alert(1)>.png"
ENDING = "</script><script>window.broken = 1</script>\u2028'\".png"


def dice_of(sheet, threshold=THRESHOLD):
    if sheet.reference is None:
        return np.nan
    found = probability_of(sheet.levels)[sheet.fov] >= np.float32(threshold)
    drawn = sheet.reference[sheet.fov]
    return 2 * (found & drawn).sum() / (found.sum() + drawn.sum())


def drawn_sheet(name, seed, labelled=True, height=90, width=120):
    """Two bars for vessels, a probability that is right about most of them, a round FOV."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    fov = np.hypot(y - height / 2, x - width / 2) < height * 0.48
    drawn = (abs(y - height / 2 - 12 * np.sin(x / 15)) < 3) | (abs(x - width / 2) < 2)
    noise = random.random(fov.shape) * (1 + seed % 3)
    probability = np.clip(0.5 * drawn + 0.3 * noise, 0, 1) * fov
    probability[:, :width // 4] *= 0.4  # vessels that are missed
    rgb = np.stack([160 + 40 * drawn, 90 - 50 * drawn, np.full_like(y, 50)], -1).astype(np.uint8)
    return Sheet(name, rgb, fov, levels_of(probability), THRESHOLD, drawn if labelled else None)


class DrawnScores:
    """The table of the report: the sheets, one that could not be read, and what sums them up."""

    def __init__(self, sheets):
        self.sheets = sheets

    def photographs(self):
        return [row(sheet.name, dice=dice_of(sheet), note="no mask" if sheet.reference is None else None)
                for sheet in self.sheets] + [row("cut short", note="cannot be read")]

    def summaries(self):
        dice = [dice_of(sheet) for sheet in self.sheets if sheet.reference is not None]
        pooled = {"precision": 0.8, "recall": 0.78, "specificity": 0.97}
        return [row("mean", dice=np.mean(dice)), row("standard deviation", dice=np.std(dice)),
                row("pooled", dice=0.8, **pooled), row("second observer, mean", dice=0.74),
                row("second observer, standard deviation", dice=0.01),
                row("second observer, pooled", dice=0.78, **pooled)]


def row(name, **cells):
    return {**dict.fromkeys(COLUMNS), "photograph": name, **cells}


@pytest.fixture(scope="module")
def sheets():
    names = "01 plain", HOSTILE, ENDING, "mean"
    drawn = [drawn_sheet(name, seed) for seed, name in enumerate(names, start=1)]
    return [*drawn, drawn_sheet("no label", 5, labelled=False)]


@pytest.fixture(scope="module")
def page(sheets, tmp_path_factory):
    ramp = np.linspace(0, 1, 5000)
    curves = {"roc": {"x": ramp, "y": ramp**0.1}, "pr": {"x": ramp, "y": 1 - ramp**9},
              "reliability": {"probability": [0.1, 0.5, np.nan], "share": [0.1, 0.4, np.nan],
                              "count": [90, 10, 0]}}
    about = {"title": "Drawn photographs", "protocol": "Drawn.", "threshold": np.float32(THRESHOLD),
             "model": HOSTILE, "remarks": [ENDING], "sides": [512, 768], "photographs": 5,
             "not done": []}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write(path, about, DrawnScores(sheets), curves, iter(sheets))
    return path


@pytest.fixture
def browser(driver, page):
    """The page just opened; after each test, nothing may have been complained about on the console."""
    driver.get(page.as_uri())
    until_shown(driver)
    yield driver
    assert complaints(driver) == []


def picture(browser):
    return browser.execute_script("return document.getElementById('canvas').toDataURL()")


def test_dice_follows_the_threshold_slider_and_is_the_tables_at_the_cards(browser, sheets):
    for number, sheet in enumerate(sheets[:4]):
        show(browser, number)
        assert float(words(browser, "reading-dice")) == pytest.approx(dice_of(sheet), abs=1e-4)
        for level in (1, 40, 130, 255):
            slide(browser, "threshold", level)
            edge = edges(THRESHOLD)[level - 1]
            assert float(words(browser, "threshold-value")) == pytest.approx(edge, abs=6e-4)
            assert float(words(browser, "reading-dice")) == pytest.approx(dice_of(sheet, edge), abs=1e-4)
        browser.execute_script("document.getElementById('reset').click()")


def test_agreement_shows_each_pixel_in_its_colour(browser, sheets):
    show(browser, 0)
    colours = browser.execute_script("""const sheet = layer("agreement"), count = {};
        const { data } = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height);
        const words = new Uint32Array(data.buffer);
        for (const word of words) count[word] = (count[word] ?? 0) + 1;
        const word = colour => parseInt("ff" + colour.match(/[0-9a-f]{2}/g).reverse().join(""), 16);
        return [BOTH, ONLY_PREDICTED, ONLY_REFERENCE, OUTSIDE].map(colour => count[word(colour)]);""")
    found = probability_of(sheets[0].levels) >= np.float32(THRESHOLD)
    drawn, fov = sheets[0].reference, sheets[0].fov
    parts = found & drawn & fov, found & ~drawn & fov, ~found & drawn & fov, ~fov
    assert colours == [part.sum() for part in parts] and min(colours) > 0


def test_the_page_has_the_palette_of_the_pictures():
    style = (HERE / "viewer.css").read_text(encoding="utf-8")
    for name, colour in (("blue", pictures.BLUE), ("orange", pictures.ORANGE), ("sky", pictures.SKY)):
        assert f"--{name}: #{bytes(colour).hex()};" in style


def test_sliders_wheel_and_keys_move_pixels(browser):
    from selenium.webdriver.common.keys import Keys

    seen = [picture(browser)]

    def moved():
        slide(browser, "text", "")  # only waits
        seen.append(picture(browser))
        assert seen[-1] != seen[-2]

    slide(browser, "mix", 20)
    moved()
    slide(browser, "threshold", 200)
    moved()
    for key in ("w", "2", Keys.SHIFT + "3", "+", Keys.SHIFT + Keys.ARROW_DOWN, "0"):
        press(browser, key)
        moved()
    wheel = "new WheelEvent('wheel', { deltaY: -300, cancelable: true })"
    browser.execute_script(f"canvas.dispatchEvent({wheel})")
    moved()
    first = words(browser, "name")
    press(browser, Keys.ARROW_RIGHT)
    until_shown(browser, browser.execute_script("return view.list[1].number"))
    assert words(browser, "name") != first


def test_names_are_harmless_and_a_photograph_without_label_is_shown(browser):
    assert browser.execute_script("return window.broken") is None
    assert browser.execute_script("return document.querySelectorAll('img:not([src^=data])').length") == 0
    listed = browser.execute_script("return view.list.map(photograph => photograph.button.innerText)")
    assert any(HOSTILE in text for text in listed) and len(listed) == 5
    assert HOSTILE in words(browser, "about") and HOSTILE in words(browser, "each")
    assert "not done" not in words(browser, "about") and "512" in words(browser, "about")
    opened = browser.execute_script("""return [...byId("each").querySelectorAll("tbody button")].map(
        button => (button.click(), view.current.number));""")
    assert opened == [0, 1, 2, 3, 4]
    assert len(browser.find_elements("css selector", "#each tbody tr")) == 6  # one failed and has no button
    assert len(browser.find_elements("css selector", "#each tbody button")) == 5
    show(browser, 4)
    assert words(browser, "reading-dice") == "–" and words(browser, "legend") == ""
    assert browser.execute_script("return [view.left, view.right]") == ["photograph", "prediction"]
    assert browser.find_element("id", "remark").is_displayed()


def test_the_headline_counts_what_was_done_and_means_are_compared_with_means(browser):
    """It counted what failed; the second observer's pooled Dice stood beside the photographs' mean."""
    read = """return Object.fromEntries([...byId("headline").children].map(
        tile => [...tile.children].map(part => part.textContent)));"""
    headline = browser.execute_script(read)
    assert headline["photographs"] == "5" and headline["Dice of the second observer, pooled"] == "0.780"
    alone = "facts.about.photographs = 1; byId('headline').replaceChildren(); writeHeadline();"
    assert browser.execute_script(alone + read)["photographs"] == "1"
    ticks, [(dashes, mean)] = browser.execute_script("""
        const histogram = [...byId("curves").querySelectorAll("svg")].at(-1);
        const ticks = [...histogram.querySelectorAll("text[text-anchor=middle]")].slice(0, 5);
        const lines = [...histogram.querySelectorAll("line[stroke-width='2']")];
        const x = line => Number(line.getAttribute("x1"));
        return [ticks.map(text => [Number(text.textContent), Number(text.getAttribute("x"))]),
                [[x(lines[1]), x(lines[0])]]];""")
    (low, left), (high, right) = ticks[0], ticks[-1]
    assert low + (dashes - left) / (right - left) * (high - low) == pytest.approx(0.74, abs=1e-3)
    assert low < low + (mean - left) / (right - left) * (high - low) < high


def test_a_photograph_that_cannot_be_unpacked_says_so_and_the_others_are_shown(browser):
    """Where memory ends, say; the canvas stayed grey without a word."""
    browser.execute_script("byId('jpeg-2').textContent = 'AAAA'; show(view.photographs[2])")
    until_said(browser, "name", "could not be unpacked")
    assert words(browser, "name").startswith(ENDING)
    show(browser, 0)
    assert words(browser, "name") == "01 plain"


def test_worst_first_filtered_and_no_wider_than_a_telephone(browser, sheets):
    dice = browser.execute_script("return view.list.map(photograph => photograph.scores.dice)")
    assert dice[:4] == pytest.approx(sorted(map(dice_of, sheets[:4]))) and dice[4] is None
    slide(browser, "to", str(np.median(dice[:4])))
    assert words(browser, "count") == "2 of 5 photographs"
    slide(browser, "text", "no such name")
    assert words(browser, "count") == "No photograph fits."
    with as_telephone(browser):
        widths = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
        assert widths[0] == 390 >= widths[1]


@pytest.mark.parametrize("threshold", [0.001, 0.1, 1 / 3, THRESHOLD, 0.4486, 0.5, 0.6180339, 0.999])
def test_the_packed_numbers_keep_the_cut_and_the_masks(threshold):
    sheet = replace(drawn_sheet("name", 7), threshold=threshold)
    first = np.ceil(threshold * 65535)  # that counts as vessel
    sheet.levels[40, 40:43] = first - 1, first, first + 1
    block = zlib.decompress(packed(sheet))
    levels, flags = np.frombuffer(block, np.uint8).reshape(2, *sheet.fov.shape)
    levels = np.cumsum(levels.ravel(), dtype=np.uint8).reshape(levels.shape)
    assert np.array_equal(levels >= level_of(threshold), cut(sheet.levels, threshold))
    assert np.array_equal(flags, sheet.fov + 2 * sheet.reference)


def test_a_report_that_breaks_off_leaves_the_old_one(sheets, tmp_path):
    def broken():
        yield sheets[0]
        raise ValueError("gone")

    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="gone"):
        write(path, {"threshold": THRESHOLD}, DrawnScores(sheets), {"roc": None}, broken())
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_nothing_in_the_page_is_fetched(page):
    fetches_nothing(page)
