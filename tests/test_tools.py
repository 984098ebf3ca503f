"""The tools of the review in real browsers (skipped where there is none): what hands and keys do to them."""

import numpy as np
import pytest
from browser import click, hands, mask_of, pointed_at, press, settled, show, until_shown, words
from reviewed import LINE, almost
from shapes import near


def whose_steps(browser):
    return browser.execute_script("return view.photographs.map(({ work }) => work.done)")


@pytest.mark.parametrize("released", ["before the next one is open", "after it", "never"])
def test_a_stroke_under_which_another_photograph_is_opened_stays_on_its_own(browser, rows, released):
    browser.execute_script("byId('stage').scrollIntoView(); hold('add')")
    hands(browser, ("down", LINE[0]), *(("move", point) for point in LINE[1:]))
    painted = mask_of(browser)
    browser.execute_script("show(view.photographs[1])")
    for now in ("before the next one is open", "after it"):
        if released == now:
            hands(browser, ("move", LINE[0]), ("up", LINE[0]))
        until_shown(browser, 1)
    assert np.array_equal(mask_of(browser), rows[1]["mask"]) and whose_steps(browser) == [1, 0, 0]
    show(browser, 0)
    assert np.array_equal(mask_of(browser), painted) and painted.sum() > rows[0]["mask"].sum()


def test_a_key_of_a_tool_and_a_release_that_nobody_saw_end_a_stroke(browser, rows):
    browser.execute_script("byId('stage').scrollIntoView(); hold('add')")
    hands(browser, ("down", LINE[0]), ("move", LINE[1]))
    painted = mask_of(browser)
    press(browser, "h")
    hands(browser, ("move", LINE[2]), ("up", LINE[2]))
    assert np.array_equal(mask_of(browser), painted) and whose_steps(browser)[0] == 1
    press(browser, "z")
    assert np.array_equal(mask_of(browser), rows[0]["mask"])
    press(browser, "b")
    hands(browser, ("down", LINE[0]), ("move", LINE[1]), ("move", LINE[2], {"buttons": 0}))
    assert np.array_equal(mask_of(browser), painted) and whose_steps(browser)[0] == 1


def test_two_fingers_erase_no_piece(browser, rows):
    y, x = np.argwhere(rows[0]["mask"])[50] + 0.5
    browser.execute_script("byId('stage').scrollIntoView(); hold('piece')")
    one, two = {"pointerType": "touch"}, {"pointerType": "touch", "pointerId": 2}
    hands(browser, ("down", (x, y), one))
    assert "Erased a piece" in words(browser, "status") and mask_of(browser).sum() < rows[0]["mask"].sum()
    hands(browser, ("move", (x + 9, y), one), ("down", (x + 20, y), two), ("move", (x + 40, y), two),
          ("up", (x + 40, y), two), ("up", (x, y), one))
    assert browser.execute_script("return view.zoom") > 1.2 and whose_steps(browser)[0] == 0
    assert np.array_equal(mask_of(browser), rows[0]["mask"]) and words(browser, "status") == ""


@pytest.mark.parametrize("first", ["pen", "palm"])
def test_a_palm_beside_a_pen_does_nothing(browser, rows, first):
    palm = {"pointerType": "touch", "pointerId": 2}
    pen = [(kind, point, {"pointerType": "pen"})
           for kind, point in zip(("down", "move", "move", "up"), (*LINE, LINE[2]), strict=True)]
    browser.execute_script("byId('stage').scrollIntoView(); setSize(7); hold('add')")
    down, up = ("down", (50, 80), palm), ("up", (52, 80), palm)
    line = pointed_at(browser, *LINE)
    if first == "pen":
        hands(browser, *pen[:2], down, ("move", (52, 80), palm), pen[2], up, pen[3])
    else:
        hands(browser, down, *pen[:3], ("move", (52, 80), palm), pen[3], up)
    assert browser.execute_script("return view.zoom") == 1 and whose_steps(browser)[0] == 1
    under = near(rows[0]["mask"].shape, *line, radius=3.5) & rows[0]["fov"]
    assert almost(mask_of(browser), rows[0]["mask"] | under)


def test_arrows_go_on_to_the_next_photograph_after_a_box_was_ticked(browser):
    click(browser, "approved")
    browser.execute_script("""document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));""")
    until_shown(browser, 1)


def test_until_a_photograph_is_open_nothing_is_said_of_it_and_keys_are_answered(browser):
    browser.execute_script("""setApproved(true);
        window.found = unpacked;
        unpacked = () => new Promise(() => {});
        show(view.photographs[1]);""")
    box = browser.find_element("id", "approved")
    assert box.get_property("disabled") and not box.get_property("checked")
    press(browser, "d")
    assert words(browser, "status") == "The photograph is still being opened."
    browser.execute_script("unpacked = found; unpacking = null")
    show(browser, 0)
    assert box.get_property("checked") and not box.get_property("disabled")
    assert words(browser, "status") == ""


def test_photographs_that_are_passed_quickly_are_not_unpacked(browser):
    browser.execute_script("""window.count = 0;
        const before = unpacked;
        unpacked = photograph => (count++, before(photograph));
        for (let k = 0; k < 10; k++) step(k % 2 ? -1 : 1);
        step(1);""")
    until_shown(browser, 1)
    settled(browser)
    assert browser.execute_script("return count") <= 2


@pytest.mark.parametrize("key, code, more", [
    ("-", "Digit6", {}), ("[", "Digit5", {"altKey": True}), ("[", "Digit5", {}),
    ("]", "Digit9", {"altKey": True, "ctrlKey": True})])
def test_keys_do_what_is_written_on_them_wherever_they_lie(browser, key, code, more):
    browser.execute_script("hold('add'); setSize(20); zoomBy(3)")
    before = browser.execute_script("return [view.zoom, pen.size, view.right]")
    browser.execute_script("""const [key, code, more] = arguments;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true, ...more }));""",
                           key, code, more)
    zoom, size, right = browser.execute_script("return [view.zoom, pen.size, view.right]")
    changed = {"-": zoom < before[0], "[": size < before[1], "]": size > before[1]}
    assert changed[key] and sum(changed.values()) == 1 and right == before[2]
