"""What tests of pages do in a real browser, whichever it is (chromium.py, firefox.py)."""

import contextlib
import time

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


@contextlib.contextmanager
def as_telephone(browser):
    browser.resize(TELEPHONE)
    try:
        yield
    finally:
        browser.resize(None)
