"""What review/kept.js keeps in real browsers (skipped where there is none), and finds again."""

import numpy as np
import pytest
from browser import mask_of, pointed_at, settled, show, slide, stroke, until, until_shown, words
from reviewed import LINE, THRESHOLD, afresh, again, almost, drawn, in_chromium, write
from shapes import near

import metrics
from running.files import write_png


@pytest.fixture(scope="module")
def rows(draw, tmp_path_factory):
    return drawn(draw, tmp_path_factory.mktemp("review"))


@pytest.fixture
def browser(driver, rows):
    with afresh(driver, rows):
        yield driver


def test_work_is_found_again_after_closing_with_its_undo(browser, rows):
    stroke(browser, "add", *LINE)
    first = mask_of(browser)
    stroke(browser, "erase", (60, 30), (60, 80))
    slide(browser, "threshold", 90)
    before = mask_of(browser)
    again(browser)
    until(lambda: "corrected" in words(browser, "list"))
    assert np.array_equal(mask_of(browser), before)
    browser.find_element("tag name", "body").send_keys("z")
    slide(browser, "threshold", browser.execute_script("return view.current.level"))
    assert np.array_equal(mask_of(browser), first)
    again(browser)
    browser.find_element("tag name", "body").send_keys("z")
    assert np.array_equal(mask_of(browser), rows[0]["mask"])
    browser.find_element("tag name", "body").send_keys("y")
    assert np.array_equal(mask_of(browser), first)


def test_work_is_there_when_the_browser_itself_is_opened_again(browser_with, rows, tmp_path):
    masks = []
    for _ in range(2):
        with browser_with(tmp_path) as browser:
            browser.get(write(rows[0]["folder"], rows))
            until_shown(browser)
            if not masks:
                stroke(browser, "add", *LINE)
            masks.append(mask_of(browser))
    assert np.array_equal(*masks) and masks[0].sum() > rows[0]["mask"].sum()


def test_a_prediction_that_changed_underneath_is_noticed_and_strokes_stay(browser, rows):
    row = rows[0]
    stroke(browser, "add", *LINE)
    under = near(row["mask"].shape, *pointed_at(browser, *LINE), radius=3.5) & row["fov"]
    assert not browser.find_element("id", "remark").is_displayed()
    other = np.where(row["levels"] > 40000, np.uint16(100), row["levels"])
    file = row["folder"] / "out" / f"{row['name']}_probability.png"
    try:
        write_png(file, other)
        again(browser, write(row["folder"], rows))
        assert "has changed" in words(browser, "remark")
        assert almost(mask_of(browser), metrics.cut(other, THRESHOLD) & row["fov"] | under)
    finally:
        write_png(file, row["levels"])


def test_a_browser_that_keeps_nothing_says_so_and_work_goes_on(browser):
    browser.execute_script("store = Promise.resolve(null)")
    browser.execute_script("beginStroke(ADDED); sweep([30, 50], [60, 50], 4, 0); endStroke()")
    until(lambda: "could not keep" in words(browser, "unkept"))
    mask = mask_of(browser)
    show(browser, 1)
    show(browser, 0)
    assert np.array_equal(mask_of(browser), mask)


def test_strokes_that_could_not_be_kept_are_kept_with_the_next_one(browser, rows):
    browser.execute_script("window.database = store; store = Promise.resolve(null)")
    stroke_without_waiting = "beginStroke(ADDED); sweep([arguments[0], 50], [60, 50], 4, 0); endStroke()"
    browser.execute_script(stroke_without_waiting, 30)
    until(lambda: "could not keep" in words(browser, "unkept"))
    browser.execute_script("store = database")
    browser.execute_script(stroke_without_waiting, 80)
    until(lambda: not browser.find_element("id", "unkept").is_displayed())
    mask = mask_of(browser)
    again(browser)
    assert np.array_equal(mask_of(browser), mask)


@pytest.fixture
def two_tabs(browser):
    """A browser with the page in two tabs, and a function that goes to one of them."""
    first = browser.current_window_handle
    address = browser.current_url
    browser.switch_to.new_window("tab")
    browser.get(address)
    until_shown(browser)
    tabs = first, browser.current_window_handle

    def go(number):
        browser.switch_to.window(tabs[number])
        browser.execute_script("dispatchEvent(new Event('focus'))")  # headless, it may not come by itself
        settled(browser)
        until_shown(browser)

    yield browser, go
    browser.switch_to.window(tabs[1])
    browser.close()
    browser.switch_to.window(first)


@in_chromium
def test_a_tab_takes_over_what_another_has_done_when_one_comes_back_to_it(two_tabs, rows):
    browser, go = two_tabs
    go(0)
    stroke(browser, "add", *LINE)
    go(1)
    until(lambda: "corrected" in words(browser, "list"))
    until_shown(browser)
    first = mask_of(browser)
    assert first.sum() > rows[0]["mask"].sum()
    stroke(browser, "erase", (60, 30), (60, 80))
    go(0)
    until(lambda: browser.execute_script("return view.data?.work.done === 2"))
    assert mask_of(browser).sum() < first.sum()
    browser.find_element("tag name", "body").send_keys("z")
    assert np.array_equal(mask_of(browser), first)
    settled(browser)
    again(browser)
    assert np.array_equal(mask_of(browser), first) and words(browser, "unkept") == ""


@in_chromium
def test_two_tabs_at_once_do_not_undo_each_others_work_and_the_second_says_so(two_tabs, rows):
    browser, go = two_tabs
    go(0)
    for event in ("focus", "visibilitychange"):
        browser.execute_script("removeEventListener(arguments[0], lookAgain)", event)  # two windows in sight
    go(1)
    stroke(browser, "add", *LINE)
    written = mask_of(browser)
    go(0)
    for points in (((30, 40), (70, 50)), ((30, 60), (70, 60))):
        stroke(browser, "add", *points)
        until(lambda: "another tab or window has changed this photograph" in words(browser, "unkept"))
    show(browser, 1)
    stroke(browser, "add", *LINE)
    assert browser.find_element("id", "unkept").is_displayed(), "those on the other one are not kept yet"
    show(browser, 0)
    assert mask_of(browser).sum() > rows[0]["mask"].sum(), "and can still be saved as a mask"
    go(1)
    again(browser)
    assert np.array_equal(mask_of(browser), written)
