"""A real browser for the tests of pages; they are skipped where there is no Chromium with its driver."""

import contextlib
import shutil
import time

import pytest

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-sync
           --disable-component-update --no-first-run --disable-quic --disable-dev-shm-usage
           --window-size=1440,1000""".split()
TELEPHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@contextlib.contextmanager
def chromium_with(profile):
    """Yields a Chromium that keeps what it knows in the folder `profile`."""
    missing = "selenium is not installed (requirements-dev.txt)"
    webdriver = pytest.importorskip("selenium.webdriver", reason=missing)
    programs = [next(filter(None, map(shutil.which, names)), None)
                for names in (["chromium", "chromium-browser", "google-chrome"], ["chromedriver"])]
    if None in programs:
        pytest.skip("there is no Chromium with its driver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    try:
        yield driver
    finally:
        driver.quit()


def complaints(browser):
    """Returns what the page has complained about on the console."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def until(true, seconds=10):
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
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", TELEPHONE)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
