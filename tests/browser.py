"""What tests of pages do in a real browser, whichever it is (chromium.py, firefox.py)."""

import base64
import contextlib
import re
import time

import numpy as np

TELEPHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


def complaints(browser):
    """Returns what the page has complained about on the console."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def until_shown(browser, number=None):
    def shown():
        now = browser.execute_script("return document.getElementById('viewer').dataset.shown")
        return now is not None and number in (None, int(now))

    until(shown)


def show(browser, number):
    browser.execute_script(f"show(view.photographs[{number}])")
    until_shown(browser, number)


def slide(browser, name, value):
    """Move a slider as a hand does, and wait until the picture has followed."""
    browser.execute_async_script("""const [name, value, done] = arguments;
        const slider = document.getElementById(name);
        slider.value = value;
        for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind, { bubbles: true }));
        requestAnimationFrame(() => requestAnimationFrame(done));""", name, value)


def words(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")


def until_said(browser, name, text):
    until(lambda: text in words(browser, name))


def click(browser, name):
    browser.find_element("id", name).click()


def press(browser, key):
    browser.find_element("tag name", "body").send_keys(key)


def fetches_nothing(page):
    """Makes sure that a page names no address but its own parts, and forbids itself all others."""
    content = re.sub(r'<script type="text/plain".*?</script>', "", page.read_text(encoding="utf-8"))
    assert set(re.findall(r"https?://[^\s\"']*", content)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", content)
    assert "default-src 'none'" in content


@contextlib.contextmanager
def as_telephone(browser):
    browser.resize(TELEPHONE)
    try:
        yield
    finally:
        browser.resize(None)


# ---- review.html ------------------------------------------------------------------------------------------

def on_screen(browser, x, y):
    """Returns where a place of the photograph is in the window, in whole pixels, by which a mouse goes."""
    return browser.execute_script("""const box = canvas.getBoundingClientRect(), corner = [box.left, box.top];
        return onCanvas(...arguments).map((at, axis) => Math.round(at / dense() + corner[axis]));""", x, y)


def pointed_at(browser, *points):
    """Returns the places of the photograph at which the mouse is when it is sent to these."""
    return browser.execute_script("""return arguments[0].map(([clientX, clientY]) =>
        inPhotograph({ clientX, clientY }));""", [on_screen(browser, *point) for point in points])


def stroke(browser, tool, *points, size=7):
    """Draws with a mouse from point to point, each (x, y) in pixels of the photograph."""
    browser.execute_script("byId('stage').scrollIntoView(); hold(arguments[0])", tool)
    slide(browser, "size", size)
    browser.drag([on_screen(browser, *point) for point in points])
    settled(browser)


def painted(browser, x, y):
    """Adds a stroke that begins here, and does not wait until it is kept."""
    browser.execute_script("beginStroke(ADDED); sweep([...arguments], [60, 50], 4, 0); endStroke()", x, y)


def hands(browser, *events):
    """Sends made-up events of a pointer to the canvas: what it does, where in the photograph, what else."""
    made = [(f"pointer{kind}", *on_screen(browser, *point), *more) for kind, point, *more in events]
    browser.execute_script("""canvas.setPointerCapture = () => {}; // there is no such pointer
        for (const [kind, clientX, clientY, more] of arguments[0]) {
          const usual = { pointerId: 1, pointerType: "mouse", buttons: kind === "pointerup" ? 0 : 1 };
          const event = { ...usual, bubbles: true, clientX, clientY, ...more };
          canvas.dispatchEvent(new PointerEvent(kind, event));
        }""", made)


def settled(browser):
    """Waits until what was done has been painted and kept."""
    browser.execute_async_script("""const [done] = arguments;
        requestAnimationFrame(() => within("readwrite", works => works.count()).then(() => done()));""")


def mask_of(browser):
    """The mask on the page, (H, W) bool."""
    text, height, width = browser.execute_script("""const mask = maskOf(view.data, view.level);
        return [btoa(String.fromCharCode(...mask)), view.data.height, view.data.width];""")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width) == 255
