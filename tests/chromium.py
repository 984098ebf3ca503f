"""A real Chromium for the tests of pages; they are skipped where there is none with its driver."""

import contextlib
import shutil

import pytest

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-sync
           --disable-component-update --no-first-run --disable-quic --disable-dev-shm-usage
           --window-size=1440,1000""".split()
BUTTONS = {"left": 1, "middle": 4}  # as the bits that say which are down


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

    class Chromium(Hands, webdriver.Chrome):
        """selenium's Chromium with hands; it is named here because selenium may be missing."""

    driver = Chromium(options=options, service=webdriver.ChromeService(programs[1]))
    driver.downloads = profile / "downloads"
    driver.execute_cdp_cmd("Browser.setDownloadBehavior",
                           {"behavior": "allow", "downloadPath": str(driver.downloads)})
    try:
        yield driver
    finally:
        driver.quit()


class Hands:
    """Mouse, fingers and the size of the window, by the DevTools protocol."""

    def drag(self, points, button="left"):
        """Goes from point to point, (x, y) in pixels of the window, with a button of the mouse down."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
            down = 0 if kind == "mouseReleased" else BUTTONS[button]
            event = {"type": kind, "x": x, "y": y, "button": button, "buttons": down, "clickCount": 1}
            self.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def fingers(self, *paths):
        """Moves fingers at once, each from point to point of equally many; None: it is not down yet."""
        self.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
        down = 0
        for points in [*zip(*paths, strict=True), ()]:
            there = [{"x": point[0], "y": point[1], "id": k} for k, point in enumerate(points) if point]
            kind = "touchEnd" if not there else "touchStart" if len(there) > down else "touchMove"
            down = len(there)
            self.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": there})
        self.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})

    def resize(self, size):
        """Makes the window as large as Emulation.setDeviceMetricsOverride says; None: as it was."""
        if size:
            self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        else:
            self.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
