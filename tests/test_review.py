"""The review in real browsers (skipped where there is none): correcting, saving; test_kept.py has keeping."""

import base64
import functools
import http.server
import threading
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import (
    as_telephone,
    click,
    fetches_nothing,
    mask_of,
    on_screen,
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
from photographs.reading import read_photograph
from prediction.mask_names import file_of
from prediction.segmented import Segmented
from review import page
from running.files import Folder, write_png

# ---- correcting ------------------------------------------------------------------------------------------

def test_untouched_the_mask_is_the_prediction_and_follows_the_threshold(browser, rows):
    for number, row in enumerate(rows):
        show(browser, number)
        assert np.array_equal(mask_of(browser), row["mask"])
    slide(browser, "threshold", 180)
    level = browser.execute_script("return probabilityOf(180)")
    assert np.array_equal(mask_of(browser), metrics.cut(rows[2]["levels"], level) & rows[2]["fov"])


def test_brushes_add_erase_and_follow_what_is_probable(browser, rows):
    row = rows[0]
    stroke(browser, "add", *LINE)
    line = pointed_at(browser, *LINE)
    under = near(row["mask"].shape, *line, radius=3.5) & row["fov"]
    added = mask_of(browser)
    assert almost(added, row["mask"] | under) and added.sum() > row["mask"].sum()
    stroke(browser, "erase", *LINE, size=9)
    erased = mask_of(browser)
    assert almost(erased, row["mask"] & ~near(row["mask"].shape, *line, radius=4.5))
    browser.execute_script("startOver(); setFloor(40)")
    assert np.array_equal(mask_of(browser), row["mask"])
    stroke(browser, "follow", *LINE, size=15)
    floor = browser.execute_script("return probabilityOf(40)")
    probable = metrics.cut(row["levels"], floor) & near(row["mask"].shape, *line, radius=7.5)
    assert almost(mask_of(browser), row["mask"] | probable) and (probable & ~row["mask"]).any()


def test_a_click_erases_a_whole_piece(browser, rows):
    row = rows[0]
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(row["mask"].astype(np.uint8), connectivity=8)
    largest = pieces == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])
    y, x = np.argwhere(largest)[len(np.argwhere(largest)) // 2]
    stroke(browser, "piece", (x + 0.5, y + 0.5))
    assert np.array_equal(mask_of(browser), row["mask"] & ~largest)
    assert f"{largest.sum():,} pixels" in words(browser, "status")


def test_undo_and_redo_go_all_the_way(browser):
    masks = [mask_of(browser)]
    for k in range(4):
        stroke(browser, ["add", "erase"][k % 2], (30 + 5 * k, 40), (70, 50 + 3 * k))
        masks.append(mask_of(browser))
    for mask in reversed(masks[:-1]):
        press(browser, "z")
        assert np.array_equal(mask_of(browser), mask)
    assert browser.find_element("id", "undo").get_property("disabled")
    for mask in masks[1:]:
        press(browser, "y")
        assert np.array_equal(mask_of(browser), mask)
    press(browser, "z")
    stroke(browser, "add", (50, 60), (60, 70))
    assert browser.find_element("id", "redo").get_property("disabled"), "a new stroke ends that"


def test_the_canvas_shows_a_stroke_as_a_full_painting_would(browser):
    for layers in ("overlay", "correction", "changes"):
        browser.execute_script("setMix(60); choose('right', arguments[0]); zoomBy(0); zoomBy(1.5)", layers)
        stroke(browser, "add", *LINE)
        settled(browser)
        painted, anew = browser.execute_script("""const taken = () => canvas.toDataURL();
            const before = taken(); paint(); return [before, taken()];""")
        pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(text.split(",")[1]), np.uint8), 1).astype(int)
                    for text in (painted, anew)]
        assert (abs(pictures[0] - pictures[1]) > 48).mean() < 0.001
        browser.execute_script("startOver()")


def test_the_end_of_a_stroke_colours_no_layer_before_it_is_looked_at(browser):
    kinds = "overlay", "correction", "changes"
    browser.execute_script("""window.colourings = 0;
        const before = coloured;
        coloured = (...given) => (colourings++, before(...given));""")
    for kind in (*kinds, "overlay"):
        browser.execute_script("choose('right', arguments[0]); paint()", kind)
    colourings = browser.execute_script("""const before = colourings;
        beginStroke(ADDED); sweep([30, 50], [60, 50], 4, 0); endStroke();
        return colourings - before;""")
    assert colourings == 0
    settled(browser)
    shown = """return arguments[0].map(kind => (choose("right", kind), paint(), canvas.toDataURL()))"""
    for key in ("", "z"):
        press(browser, key)
        settled(browser)
        later = browser.execute_script(shown, kinds)
        browser.execute_script("view.data.layers = { photograph: view.data.layers.photograph }")
        assert later == browser.execute_script(shown, kinds)


def test_a_stroke_beside_the_photograph_changes_nothing_and_breaks_no_painting(browser, rows):
    """A part without pixels cannot be painted: the layer stayed black from then on."""
    width = rows[0]["mask"].shape[1]
    seen = "zoomBy(0); paint(); return canvas.toDataURL()"
    before = browser.execute_script(f"choose('right', 'overlay'); {seen}")
    for beside in ([[-9, 50], [-20, 60]], [[width + 9, 50], [width + 20, 60]]):
        stroke(browser, "add", *beside)
        assert browser.execute_script(f"hold('move'); {seen}") == before
    assert np.array_equal(mask_of(browser), rows[0]["mask"])


def test_zooming_within_a_stroke_shows_it_and_two_fingers_take_it_away(browser):
    browser.execute_script("hold('add'); setSize(9)")
    for ending in ("up", "cancel"):
        there = [on_screen(browser, *point) for point in LINE]
        ended, anew = browser.execute_script("""const [there, ending] = arguments;
            const [first, ...others] = there.map(([clientX, clientY]) => ({ clientX, clientY }));
            tool.down(first);
            for (const each of others) tool.move(each);
            zoomBy(1.1);
            paint();
            tool[ending]();
            if (ending === "cancel") paint(); // it asks for that itself
            const before = canvas.toDataURL();
            view.data.layers = { photograph: view.data.layers.photograph };
            paint();
            return [before, canvas.toDataURL()];""", there, ending)
        assert ended == anew


def test_what_is_said_of_the_prediction_is_of_what_was_predicted(browser, rows):
    row = rows[0]
    slide(browser, "threshold", 180)
    stroke(browser, "add", *LINE)
    mask = mask_of(browser)
    dice = 2 * (mask & row["mask"]).sum() / (mask.sum() + row["mask"].sum())
    assert words(browser, "reading-dice with the prediction") == f"{dice:.4f}"
    assert words(browser, "reading-predicted") == f"{row['mask'].sum() / row['fov'].sum():.4f}"
    assert words(browser, "reading-density") == f"{mask.sum() / row['fov'].sum():.4f}"
    beneath = browser.execute_script("""return maskOf({ codes: view.data.codes.map(code => code & 511) },
        view.level).reduce((sum, value) => sum + value / 255, 0);""")
    assert f"added by hand: {mask.sum() - beneath:.0f} pixel" in words(browser, "legend")


# ---- saving ----------------------------------------------------------------------------------------------

def test_a_mask_is_saved_under_the_photographs_name(browser, rows):
    stroke(browser, "add", *LINE)
    press(browser, "s")
    file = browser.downloads / file_of(rows[0]["name"]).split("/")[-1]
    until(file.exists)
    until(lambda: file.stat().st_size > 60)
    where = ["the folder below", *file_of(rows[0]["name"]).split("/")[:-1]]
    assert f"Put it into {' in '.join(reversed(where))}." in words(browser, "status")
    saved = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert saved.dtype == np.uint8 and saved.ndim == 2 and set(np.unique(saved)) == {0, 255}
    assert np.array_equal(saved == 255, mask_of(browser))


def worked_on(browser):
    """One photograph corrected, one looked over; returns their masks by number."""
    stroke(browser, "add", *LINE)
    masks = {0: mask_of(browser)}
    show(browser, 1)
    click(browser, "approved")
    settled(browser)
    return masks | {1: mask_of(browser)}


def save_all(browser, said):
    click(browser, "save-all")
    until_said(browser, "saved", said)


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) == 255


def test_all_masks_become_an_archive_where_no_folder_can_be_chosen(browser, rows):
    masks = worked_on(browser)
    again(browser)
    browser.execute_script("window.showDirectoryPicker = undefined")
    until_said(browser, "save-all", "all 2")
    save_all(browser, "2 masks being downloaded as masks.zip")
    file = browser.downloads / "masks.zip"
    until(lambda: file.exists() and file.stat().st_size)
    archive = zipfile.ZipFile(file)
    assert archive.testzip() is None
    files = {number: f"corrected/{file_of(rows[number]['name'])}" for number in masks}
    assert sorted(archive.namelist()) == sorted(files.values()), "unpacked, it is one folder on every system"
    saved = [time.mktime((*entry.date_time, 0, 0, -1)) for entry in archive.infolist()]
    assert all(abs(time.time() - at) < 300 for at in saved), "at one time always, changes would go unseen"
    for number, mask in masks.items():
        assert np.array_equal(decoded(archive.read(files[number])), mask)


FOLDER = """window.written = {};
    const folder = above => ({
      name: "chosen",
      getDirectoryHandle: async part => folder(above + part + "/"),
      removeEntry: async () => {},
      getFileHandle: async name => ({ createWritable: async () => ({
        write: async content => {
          if (arguments[0] && above + name === arguments[0]) throw new DOMException("The disk is full.");
          written[above + name] = btoa(String.fromCharCode(...content));
        },
        close: async () => {},
        abort: async () => {} }),
        getFile: async () => new Blob() }) });
    window.showDirectoryPicker = async () => folder("");"""


def test_all_masks_go_into_a_chosen_folder(browser, rows):
    masks = worked_on(browser)
    browser.execute_script(FOLDER)
    save_all(browser, "2 masks saved in the folder chosen")
    written = browser.execute_script("return written")
    assert sorted(written) == sorted(file_of(rows[k]["name"]) for k in masks)
    for number, mask in masks.items():
        assert np.array_equal(decoded(base64.b64decode(written[file_of(rows[number]["name"])])), mask)


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(browser, rows):
    masks = worked_on(browser)
    browser.execute_script(FOLDER, file_of(rows[1]["name"]))
    save_all(browser, "could not be saved (The disk is full.). 1 of 2")
    again(browser)
    assert np.array_equal(mask_of(browser), masks[0])


@pytest.fixture
def served(rows):
    """The address of the page from a server on this machine: there a page has files of its own."""
    write(rows[0]["folder"], rows)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=rows[0]["folder"] / "out")
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/review.html"
        server.shutdown()


OWN_FILES = """const [done] = arguments; // of the page: {path: content}
    (async () => {
      const found = {};
      const look = async (folder, above) => {
        for await (const [name, handle] of folder.entries())
          if (handle.kind === "directory") await look(handle, above + name + "/");
          else found[above + name] = btoa(String.fromCharCode(
            ...new Uint8Array(await (await handle.getFile()).arrayBuffer())));
      };
      await look(await navigator.storage.getDirectory(), "");
      return found;
    })().then(done);"""
PUT_OWN_FILE = """const [path, text, done] = arguments; // which is removed if there is no text
    (async () => {
      const [name, ...above] = path.split("/").reverse();
      let folder = await navigator.storage.getDirectory();
      for (const part of above.reverse()) folder = await folder.getDirectoryHandle(part, { create: true });
      if (!text) return folder.removeEntry(name);
      const file = await (await folder.getFileHandle(name, { create: true })).createWritable();
      await file.write(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)));
      await file.close();
    })().then(done);"""


@in_chromium
def test_a_disk_that_is_really_full_leaves_what_was_saved_before_and_no_empty_file(driver, rows, served):
    """The page's own files in Chromium (OPFS) have real handles and a quota that can be set."""
    driver.get(served)
    until_shown(driver)
    masks = worked_on(driver)
    driver.execute_script("window.showDirectoryPicker = () => navigator.storage.getDirectory()")
    quota = {"origin": served.removesuffix("/review.html"), "quotaSize": 1}
    driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", quota)
    save_all(driver, "could not be saved (")
    assert "0 of 2 are saved" in words(driver, "saved")
    assert driver.execute_async_script(OWN_FILES) == {}
    driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", {"origin": quota["origin"]})
    save_all(driver, "2 masks saved in the folder")
    saved = driver.execute_async_script(OWN_FILES)
    assert {file: decoded(base64.b64decode(text)).tobytes() for file, text in saved.items()} == {
        file_of(rows[number]["name"]): mask.tobytes() for number, mask in masks.items()}
    stroke(driver, "add", (40, 40), (60, 70))
    driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", quota)
    save_all(driver, "could not be saved (")
    assert driver.execute_async_script(OWN_FILES) == saved, "a mask that could not be replaced stays whole"


@in_chromium
@pytest.mark.parametrize("lies_there", ["photograph", "observer's mask"])
def test_a_file_that_the_page_has_not_written_stays_in_the_chosen_folder(
        driver, rows, served, tmp_path, lies_there):
    """Masks bear the names of the photographs, which are PNG perhaps and lie in the folder chosen."""
    driver.get(served)
    until_shown(driver)
    worked_on(driver)
    write_png(tmp_path / "mask.png", rows[1]["mask"].astype(np.uint8) * 255)
    file = rows[0]["file"] if lies_there == "photograph" else tmp_path / "mask.png"
    there = base64.b64encode(Path(file).read_bytes()).decode()
    path = file_of(rows[0]["name"])
    driver.execute_script("window.showDirectoryPicker = () => navigator.storage.getDirectory()")
    driver.execute_async_script(PUT_OWN_FILE, path, there)
    save_all(driver, "could not be saved (")
    assert "which this page has not written" in words(driver, "saved")
    assert f"{path} could not be saved" in words(driver, "saved")
    assert driver.execute_async_script(OWN_FILES)[path] == there
    driver.execute_async_script(PUT_OWN_FILE, path, "")
    for _ in range(2):  # what the page itself has written is replaced
        driver.execute_script("tellSaved('')")
        save_all(driver, "2 masks saved in the folder")
        saved = decoded(base64.b64decode(driver.execute_async_script(OWN_FILES)[path]))
        show(driver, 0)
        assert np.array_equal(saved, mask_of(driver))
        stroke(driver, "add", (40, 40), (60, 70))


def test_what_is_not_kept_is_not_called_kept_when_saving_fails(browser, rows):
    worked_on(browser)
    browser.execute_script(FOLDER, file_of(rows[1]["name"]))
    browser.execute_script("window.database = store; store = Promise.resolve(null)")
    painted(browser, 30, 50)
    until_said(browser, "unkept", "could not keep")
    save_all(browser, "could not be saved")
    assert "not all of your work is kept in this browser" in words(browser, "saved")
    browser.execute_script("store = database; setApproved(true)")
    until(lambda: not browser.find_element("id", "unkept").is_displayed())


@pytest.mark.parametrize("broken, named", [
    ("pngOf = async () => { if (window.one) throw new Error('no room'); window.one = true; return []; }", 1),
    ("zipOf = () => { throw new Error('no room'); }", None)])
def test_of_an_archive_that_could_not_be_written_nothing_is_called_saved(browser, rows, broken, named):
    worked_on(browser)
    browser.execute_script(f"window.showDirectoryPicker = undefined; {broken}")
    file = "masks.zip" if named is None else file_of(rows[named]["name"])
    save_all(browser, f"{file} could not be saved (no room). 0 of 2 are saved")


def test_a_photograph_that_cannot_be_unpacked_is_named_as_masks_are_saved(browser, rows):
    worked_on(browser)
    browser.execute_script(FOLDER)
    browser.execute_script("byId('jpeg-0').textContent = 'AAAA'; byId('save-all').click()")
    until_said(browser, "saved", "could not be saved (it could not be unpacked")
    assert words(browser, "saved").startswith(file_of(rows[0]["name"]))


def test_a_second_click_while_masks_are_saved_does_nothing(browser):
    """The browser refuses a second choice of a folder; an archive was downloaded beside the folder."""
    worked_on(browser)
    browser.execute_script(FOLDER)
    browser.execute_script("""const choose = window.showDirectoryPicker;
        let open = false;
        window.downloads = 0;
        download = () => downloads++;
        window.showDirectoryPicker = async () => {
          if (open) throw new DOMException("already active", "NotAllowedError");
          open = true;
          await new Promise(resolve => setTimeout(resolve, 200));
          open = false;
          return choose();
        };""")
    browser.execute_script("byId('save-all').click(); byId('save-all').click()")
    until_said(browser, "saved", "2 masks saved in the folder chosen")
    assert browser.execute_script("return downloads") == 0
    browser.execute_script("tellSaved(''); byId('save-all').click()")
    until_said(browser, "saved", "2 masks saved in the folder chosen")


def test_the_page_says_where_masks_go_and_what_to_type(browser, rows):
    folder = rows[0]["folder"]
    assert words(browser, "place") == str(folder / "out/corrected")
    command = words(browser, "next-command")
    assert f"--masks {folder}/out/corrected" in command and f"{folder}/photographs" in command


def test_what_to_type_has_no_flag_that_is_not_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["eval.py"])
    typed = [page.facts_of(Folder(name), [], [], 40, ["eyes"])["command"] for name in ("predictions", "b")]
    assert typed == ["python eval.py eyes --masks predictions/corrected",
                     "python eval.py eyes --masks b/corrected --before b --out b-corrected"]


# ---- the page --------------------------------------------------------------------------------------------

def test_a_finger_paints_and_two_fingers_zoom_on_a_telephone(browser, rows):
    def touch(*paths):
        browser.fingers(*([point and on_screen(browser, *point) for point in path] for path in paths))
        settled(browser)

    with as_telephone(browser):
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        browser.execute_script("hold('add'); setSize(7); byId('stage').scrollIntoView()")
        settled(browser)
        touch(LINE)
        under = near(rows[0]["mask"].shape, *pointed_at(browser, *LINE), radius=3.5) & rows[0]["fov"]
        painted = mask_of(browser)
        assert almost(painted, rows[0]["mask"] | under)
        touch([(40, 50), (42, 50), (42, 50), (35, 50)], [None, None, (60, 50), (75, 50)])
        assert browser.execute_script("return view.zoom") > 1.2
        assert np.array_equal(mask_of(browser), painted), "the stroke that was begun is gone"


def test_the_middle_button_moves_the_photograph_and_neither_paints_nor_scrolls(browser):
    before = mask_of(browser)
    browser.execute_script("hold('add'); zoomBy(3); byId('stage').scrollIntoView()")
    browser.execute_script("""window.scrolls = null;  // on Windows, and with a setting in Firefox
        addEventListener("mousedown", event => (scrolls = !event.defaultPrevented));""")
    x, y = browser.execute_script("return [view.x, view.y]")
    browser.drag([on_screen(browser, x, y), on_screen(browser, x + 5, y + 8)], "middle")
    settled(browser)
    moved = browser.execute_script("return [view.x, view.y]")
    assert moved == [pytest.approx(x - 5, abs=0.5), pytest.approx(y - 8, abs=0.5)]
    assert np.array_equal(mask_of(browser), before) and browser.execute_script("return scrolls") is False


def test_the_photograph_stays_where_it_is_whichever_tool_is_held(browser):
    def places():
        return set(browser.execute_script("""return Object.values(TOOLS).map(name =>
            (hold(name), canvas.getBoundingClientRect().top + scrollY));"""))

    assert len(places()) == 1
    with as_telephone(browser):
        assert len(places()) == 1


def test_the_ring_is_as_large_as_the_brush_before_the_mouse_moves_again(browser):
    stroke(browser, "add", *LINE)
    sizes = []
    for key in ("0", "]", "+"):
        press(browser, key)
        settled(browser)
        sizes.append(browser.execute_script("return [ring.offsetWidth, pen.size * scale() / dense()]"))
    assert sizes == [[pytest.approx(size, abs=1), size] for _, size in sizes]
    assert sizes[0] < sizes[1] < sizes[2]


def test_names_are_harmless_and_fit_any_system(browser):
    assert browser.execute_script("return document.querySelectorAll('img:not([src^=data])').length") == 0
    assert "<img src=x onerror=alert(1)>" in words(browser, "list")
    assert file_of("a/<img src=x onerror=alert(1)>").startswith("a/_img src=x onerror=alert(1)_-")
    assert file_of("../x. /..").startswith("_/x/_-")


def test_photographs_that_are_left_out_are_counted(rows, monkeypatch):
    folder = rows[0]["folder"]
    write(folder, rows, most=2)
    text = (folder / "out/review.html").read_text(encoding="utf-8")
    assert "Left out: 1." in text and text.count('class="photograph"') == 2
    monkeypatch.setattr(page, "MOST_PIXELS", 12_000)
    assert [row["name"] for row in page.least_certain(rows, 40)] == [rows[0]["name"]]
    write(folder, rows)
    text = (folder / "out/review.html").read_text(encoding="utf-8")
    assert "Left out: 2. A page holds" in text and "--review N" not in text
    write(folder, rows, most=0)
    assert not (folder / "out/review.html").exists(), "it would show what was predicted before"


def test_the_page_is_the_same_whether_photographs_are_at_hand_or_read_again(rows):
    folder = rows[0]["folder"]
    write(folder, rows, most=2)
    again = (folder / "out/review.html").read_bytes()
    review = page.Review(Folder(folder / "out"), THRESHOLD, most=2)
    for row in reversed(rows):
        segmented = Segmented(read_photograph(row["file"]), row["fov"], row["levels"], row["mask"])
        review.offer(row, segmented)
    assert list(review.taken) == [row["name"] for row in rows[:2]]
    review.write(rows, [folder / "photographs"])
    assert (folder / "out/review.html").read_bytes() == again


def test_nothing_in_the_page_is_fetched(rows):
    write(rows[0]["folder"], rows)
    fetches_nothing(rows[0]["folder"] / "out/review.html")
