"""A real Firefox for the tests of pages, spoken to as selenium's Chromium is; skipped where there is none.

It speaks WebDriver BiDi (W3C) by itself, so no geckodriver is needed, which no distribution has beside it.
"""

import contextlib
import json
import re
import shutil
import subprocess

import pytest
from browser import until

PREFERENCES = {"datareporting.policy.dataSubmissionEnabled": False,
               "browser.download.folderList": 2}  # that of browser.download.dir
BUTTONS = "left", "middle"  # as they are numbered


@contextlib.contextmanager
def firefox_with(profile):
    """Yields a Firefox that keeps what it knows in the folder `profile`, and downloads there too."""
    websocket = pytest.importorskip("websocket", reason="selenium is not installed (requirements-dev.txt)")
    program = next(filter(None, map(shutil.which, ["firefox-esr", "firefox"])), None)
    if program is None:
        pytest.skip("there is no Firefox (Debian: apt-get install firefox-esr)")
    wanted = PREFERENCES | {"browser.download.dir": str(profile / "downloads")}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items()]
    (profile / "user.js").write_text("".join(lines), encoding="utf-8")
    words = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0",
             "--width", "1440", "--height", "1000"]
    with open(profile / "said.txt", "w+", encoding="utf-8") as said, \
            subprocess.Popen(words, stdout=said, stderr=said) as process:
        try:
            address = until(lambda: re.search(r"ws://\S+", (profile / "said.txt").read_text()), 120)[0]
            socket = websocket.create_connection(f"{address}/session", suppress_origin=True, timeout=300)
            browser = Firefox(socket)
            browser.downloads = profile / "downloads"
            yield browser
            browser.ask("browser.close")
            process.wait(120)
        finally:
            process.kill()  # if something went wrong


class Firefox:
    def __init__(self, socket):
        self.socket, self.number, self.complained = socket, 0, []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.page = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method, **words):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": words}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            if answer.get("params", {}).get("level") == "error":
                self.complained.append({"level": "SEVERE", "message": answer["params"]["text"]})
        if "error" in answer:
            raise RuntimeError(answer["message"])
        return answer["result"]

    def get(self, address):
        self.ask("browsingContext.navigate", context=self.page, url=address, wait="complete")

    def get_log(self, _):
        found, self.complained = self.complained, []
        return found

    @property
    def current_url(self):
        return self.execute_script("return location.href")

    def execute_script(self, source, *words):
        call = f"(function () {{ {source} }}).apply(null, {json.dumps(words)})"
        return self.evaluated(f"Promise.resolve({call})")

    def execute_async_script(self, source, *words):
        call = f"(function () {{ {source} }}).apply(null, [...{json.dumps(words)}, done])"
        return self.evaluated(f"new Promise(done => {call})")

    def evaluated(self, promise):
        answer = self.ask("script.evaluate", target={"context": self.page}, awaitPromise=True,
                          expression=f"{promise}.then(found => JSON.stringify(found) ?? 'null')")
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def find_element(self, by, name):
        return Element(self, {"id": "#"}.get(by, "") + name)

    def find_elements(self, by, name):
        return [self.find_element(by, name)] * self.execute_script(
            "return document.querySelectorAll(arguments[0]).length", name)

    # ---- hands

    def perform(self, *sources):
        self.ask("input.performActions", context=self.page, actions=list(sources))

    def drag(self, points, button="left"):
        """Goes from point to point, (x, y) in pixels of the window, with a button of the mouse down."""
        self.perform(pointer("mouse", points, button))

    def fingers(self, *paths):
        """Moves fingers at once, each from point to point; None: it is not down yet."""
        self.perform(*(pointer("touch", path, "left", number) for number, path in enumerate(paths)))

    def resize(self, size):
        """size: as Chromium's Emulation.setDeviceMetricsOverride has it, or None."""
        self.ask("browsingContext.setViewport", context=self.page,
                 viewport=size and {side: size[side] for side in ("width", "height")},
                 devicePixelRatio=size and size["deviceScaleFactor"])


def pointer(kind, points, button, number=0):
    """Returns a source of input: it goes through the points, and is down from the first that is not None."""
    actions = [{"type": "pointerMove", "x": point[0], "y": point[1]} if point else {"type": "pause"}
               for point in points]
    down, up = [{"type": f"pointer{way}", "button": BUTTONS.index(button)} for way in ("Down", "Up")]
    actions.insert(1 + sum(point is None for point in points), down)
    return {"type": "pointer", "id": f"{kind} {number}", "parameters": {"pointerType": kind},
            "actions": [*actions, up]}


class Element:
    def __init__(self, browser, selector):
        self.browser, self.found = browser, f"document.querySelector({json.dumps(selector)})"

    def get_property(self, name):
        return self.browser.execute_script(f"return {self.found}[arguments[0]]", name)

    def is_displayed(self):
        return self.browser.execute_script(f"return {self.found}.checkVisibility()")

    def click(self):
        self.browser.drag([self.browser.execute_script(f"""const found = {self.found};
            found.scrollIntoView({{ block: "center" }});
            const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];""")])

    def send_keys(self, text):
        self.browser.execute_script(f"{self.found}.focus()")
        actions = [{"type": f"key{way}", "value": key} for way in ("Down", "Up") for key in text]
        self.browser.perform({"type": "key", "id": "keys", "actions": actions})
