"""What review/kept.js keeps in real browsers (skipped where there is none), and finds again."""

from pathlib import Path

import numpy as np
import pytest
from browser import (
    click,
    hands,
    mask_of,
    painted,
    pointed_at,
    press,
    settled,
    show,
    slide,
    stroke,
    until,
    until_said,
    until_shown,
    words,
)
from reviewed import LINE, THRESHOLD, again, almost, in_chromium, write
from shapes import near

import metrics
from prediction.rows import MADE_OF
from running.files import sha256, write_png


def test_work_is_found_again_after_closing_with_its_undo(browser, rows):
    stroke(browser, "add", *LINE)
    first = mask_of(browser)
    stroke(browser, "erase", (60, 30), (60, 80))
    slide(browser, "threshold", 90)
    before = mask_of(browser)
    again(browser)
    until_said(browser, "list", "corrected")
    assert np.array_equal(mask_of(browser), before)
    press(browser, "z")
    slide(browser, "threshold", browser.execute_script("return view.current.level"))
    assert np.array_equal(mask_of(browser), first)
    again(browser)
    press(browser, "z")
    assert np.array_equal(mask_of(browser), rows[0]["mask"])
    press(browser, "y")
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
    painted(browser, 30, 50)
    until_said(browser, "unkept", "could not keep")
    mask = mask_of(browser)
    show(browser, 1)
    show(browser, 0)
    assert np.array_equal(mask_of(browser), mask)
    browser.execute_script("removeEventListener('beforeunload', ask)")


def test_strokes_that_could_not_be_kept_are_kept_with_the_next_one(browser, rows):
    browser.execute_script("window.database = store; store = Promise.resolve(null)")
    painted(browser, 30, 50)
    until_said(browser, "unkept", "could not keep")
    browser.execute_script("store = database")
    painted(browser, 80, 50)
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
    until_said(browser, "list", "corrected")
    until_shown(browser)
    first = mask_of(browser)
    assert first.sum() > rows[0]["mask"].sum()
    stroke(browser, "erase", (60, 30), (60, 80))
    go(0)
    until(lambda: browser.execute_script("return view.data?.work.done === 2"))
    assert mask_of(browser).sum() < first.sum()
    press(browser, "z")
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
        until_said(browser, "unkept", "another tab or window has changed this photograph")
    show(browser, 1)
    stroke(browser, "add", *LINE)
    assert browser.find_element("id", "unkept").is_displayed(), "those on the other one are not kept yet"
    show(browser, 0)
    assert mask_of(browser).sum() > rows[0]["mask"].sum(), "and can still be saved as a mask"
    go(1)
    again(browser)
    assert np.array_equal(mask_of(browser), written)


def kept(browser):
    """What the page knows of its photographs, in their order: steps, steps that hold, level."""
    return browser.execute_script("""return view.photographs.map(({ steps, work }) =>
        [steps?.length ?? null, work.done, work.level]);""")


def test_the_cards_threshold_is_kept_when_one_goes_back_to_it(browser, rows):
    slide(browser, "threshold", 180)
    click(browser, "reset")
    settled(browser)
    level, own = browser.execute_script("return [view.data.work.level, view.current.level]")
    assert level == own and np.array_equal(mask_of(browser), rows[0]["mask"])
    again(browser)
    assert np.array_equal(mask_of(browser), rows[0]["mask"]) and "threshold" not in words(browser, "list")


def test_strokes_are_kept_of_a_photograph_that_is_opened_twice_at_once(browser):
    """As when all are saved while it is being opened."""
    painted(browser, 30, 50)
    again(browser)
    browser.execute_async_script("""const [done] = arguments, [first, other] = view.photographs;
        show(other).then(() => {
          first.steps = null; // as if it had not been opened yet
          return Promise.all([show(first), pngOfPhotograph(first)]);
        }).then(() => done());""")
    painted(browser, 30, 70)
    mask = mask_of(browser)
    again(browser)
    assert kept(browser)[0][:2] == [2, 2] and np.array_equal(mask_of(browser), mask)


def test_another_photograph_of_the_name_begins_anew_and_the_work_on_the_first_one_stays(browser, rows, draw):
    stroke(browser, "add", *LINE)
    first = mask_of(browser)
    row, address = rows[0], browser.current_url
    file = Path(row["file"])
    content = file.read_bytes()
    assert words(browser, "about").count("worked on") == 0
    try:
        draw.put(file, draw.eye(123)[0])
        other = row | {MADE_OF: {"photograph": {"sha256": sha256(file)}}}
        again(browser, write(row["folder"], [other, *rows[1:]]))
        until_said(browser, "about", "1 photograph that you have worked on before")
        assert "corrected" not in words(browser, "list") and words(browser, "remark") == ""
        assert browser.find_element("id", "save-all").get_property("disabled")
        assert kept(browser)[0][:2] == [0, 0]
        stroke(browser, "erase", (60, 30), (60, 80))
    finally:
        file.write_bytes(content)
    write(row["folder"], rows)
    again(browser, address)
    assert np.array_equal(mask_of(browser), first)


@pytest.mark.parametrize("made_anew", [False, True])
def test_the_work_that_version_1_1_0_kept_is_found(browser, made_anew):
    stroke(browser, "add", *LINE)
    mask = mask_of(browser)
    browser.execute_async_script("""const done = arguments[1];
        const { work, steps } = view.data;
        const key = work.key.replace(/ [0-9a-f]{64}$/, "");
        const former = { ...work, key, written: "before" };
        if (arguments[0]) former.fingerprint = "of another prediction";
        within("readwrite", (works, ofSteps) => {
          works.clear();
          ofSteps.clear();
          works.put(former);
          ofSteps.put({ key, number: 0, to: steps[0].to, runs: runsOf(steps[0].at) });
        }).then(() => done());""", made_anew)
    for turn in range(2):
        again(browser)
        assert np.array_equal(mask_of(browser), mask) and "corrected" in words(browser, "list")
        assert ("predicted anew since" in words(browser, "list")) == (made_anew and not turn)
        stroke(browser, "erase", (60, 30), (60, 80))
        mask = mask_of(browser)


def test_work_that_is_not_in_the_page_is_counted(browser, rows):
    assert "worked on" not in words(browser, "about")
    show(browser, 2)
    click(browser, "approved")
    again(browser, write(rows[0]["folder"], rows, most=2))
    until_said(browser, "about", "1 photograph that you have worked on before")
    again(browser, write(rows[0]["folder"], rows))
    until_said(browser, "list", "looked over")
    assert "that you have worked on before" not in words(browser, "about")


def test_a_new_threshold_of_the_card_counts_where_nobody_has_moved_it(browser, rows):
    folder = rows[0]["folder"]
    stroke(browser, "add", *LINE)
    show(browser, 1)
    stroke(browser, "add", *LINE)
    browser.execute_script("undo()")
    show(browser, 2)
    slide(browser, "threshold", 180)
    again(browser, write(folder, rows, threshold=0.6))
    until_said(browser, "list", "corrected")
    new = browser.execute_script("return view.current.level")
    assert [level for *_, level in kept(browser)] == [new, new, 180]
    assert "Save all 2 " in words(browser, "save-all") and words(browser, "list").count("moved") == 1
    show(browser, 1)
    assert np.array_equal(mask_of(browser), metrics.cut(rows[1]["levels"], 0.6) & rows[1]["fov"])


def test_a_threshold_that_was_moved_stays_on_a_new_prediction_and_the_page_says_so(browser, rows):
    row = rows[0]
    slide(browser, "threshold", 180)
    file = row["folder"] / "out" / f"{row['name']}_probability.png"
    try:
        write_png(file, np.where(row["levels"] > 64000, np.uint16(64000), row["levels"]))
        again(browser, write(row["folder"], rows))
        until_said(browser, "list", "threshold moved, predicted anew since")
        assert kept(browser)[0][2] == 180 == browser.execute_script("return view.level")
        assert "a threshold that you have moved is where you left it" in words(browser, "remark")
        slide(browser, "threshold", 170)
        assert "predicted anew" not in words(browser, "list")
    finally:
        write_png(file, row["levels"])


def test_work_goes_on_being_kept_after_the_browser_has_closed_the_database(browser):
    painted(browser, 30, 40)
    settled(browser)
    browser.execute_async_script("""const [done] = arguments; // as when its data is thrown away
        const thrown = within("readwrite", (works, steps) => (works.clear(), steps.clear()));
        thrown.then(() => store).then(database => {
          database.close();
          indexedDB.open = () => { // for a moment it can't be opened again
            delete indexedDB.open;
            throw new Error("it is being closed");
          };
          database.dispatchEvent(new Event("close"));
          done();
        });""")
    painted(browser, 30, 70)
    mask = mask_of(browser)
    again(browser)
    assert kept(browser)[0][:2] == [2, 2] and np.array_equal(mask_of(browser), mask)


def test_who_leaves_while_work_is_not_kept_is_asked(browser):
    leave = "return dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert browser.execute_script(leave)
    browser.execute_script("window.database = store; store = Promise.resolve(null)")
    painted(browser, 30, 40)
    until_said(browser, "unkept", "could not keep")
    assert not browser.execute_script(leave)
    browser.execute_script("store = database")
    painted(browser, 30, 70)
    until(lambda: not browser.find_element("id", "unkept").is_displayed())
    assert browser.execute_script(leave)


@in_chromium
def test_who_comes_back_to_a_window_by_painting_in_it_gets_no_conflict(two_tabs, rows):
    browser, go = two_tabs
    go(0)
    for event in ("focus", "visibilitychange"):  # which is to come with the stroke
        browser.execute_script("removeEventListener(arguments[0], lookAgain)", event)
    go(1)
    stroke(browser, "add", *LINE)
    written = mask_of(browser)
    go(0)
    browser.execute_script("byId('stage').scrollIntoView(); hold('erase')")
    hands(browser, ("down", (60, 30)), ("move", (60, 80)))
    browser.execute_script("lookAgain()")
    until_said(browser, "status", "Draw your stroke again")
    hands(browser, ("move", (60, 90)), ("up", (60, 90)))
    assert np.array_equal(mask_of(browser), written)
    stroke(browser, "erase", (60, 30), (60, 80))
    assert not browser.find_element("id", "unkept").is_displayed()
    mask = mask_of(browser)
    again(browser)
    assert kept(browser)[0][:2] == [2, 2] and np.array_equal(mask_of(browser), mask)
