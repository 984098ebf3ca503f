"""A real browser for the tests of pages; they are skipped where there is no Chromium with its driver."""

import contextlib
import shutil
import time

import pytest

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-sync
           --disable-component-update --no-first-run --disable-quic --disable-dev-shm-usage
           --window-size=1440,1000""".split()
BUTTONS = "left", "middle"
TELEPHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@contextlib.contextmanager
def chromium_with(profile):
    """Yields a Chromium that keeps what it knows in the folder `profile`, and downloads there too."""
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
    driver.downloads = profile / "downloads"
    driver.execute_cdp_cmd("Browser.setDownloadBehavior",
                           {"behavior": "allow", "downloadPath": str(driver.downloads)})
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
    def resize(size):
        if hasattr(browser, "resize"):
            return browser.resize(size)
        if not size:
            return browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    resize(TELEPHONE)
    try:
        yield
    finally:
        resize(None)


# ---- hands ------------------------------------------------------------------------------------------------

def drag(browser, points, button="left"):
    """Goes from point to point, (x, y) in pixels of the window, with a button of the mouse down."""
    if hasattr(browser, "drag"):
        return browser.drag(points, BUTTONS.index(button))
    kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
    for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
        event = {"type": kind, "x": x, "y": y, "button": button, "clickCount": 1,
                 "buttons": (kind != "mouseReleased") * {"left": 1, "middle": 4}[button]}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def fingers(browser, *paths):
    """Moves fingers at once, each from point to point of equally many; None: it is not down yet."""
    if hasattr(browser, "fingers"):
        return browser.fingers(*paths)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    down = 0
    for points in [*zip(*paths, strict=True), ()]:
        there = [{"x": point[0], "y": point[1], "id": k} for k, point in enumerate(points) if point]
        kind = "touchEnd" if not there else "touchStart" if len(there) > down else "touchMove"
        down = len(there)
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": there})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
