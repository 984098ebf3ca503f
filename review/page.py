"""review.html: predictions to be looked at, corrected and saved as masks, in one page that works offline.

    page = Review(folder, threshold, most)      folder: of results; threshold: of the predictions
    page.offer(row, segmented)                  each photograph, from any thread
    page.write(rows, places)

viewer/photographs.py says what of a photograph is in the page. It is taken while the photograph is at hand:
reading it again would cost twice as much.
"""

import sys
import threading
from pathlib import Path

from photographs.fov import found_fov
from photographs.reading import read_photograph
from prediction.mask_names import file_of
from prediction.measured import PREDICTIONS
from prediction.rows import made_of
from running.command import Problem, complain, counted, typed
from running.files import read_levels, sha256
from viewer.photographs import Sheet, assembled, contents, write_page

HERE = Path(__file__).parent
SCRIPTS = [HERE / name for name in ("kinds.js", "marks.js", "kept.js", "files.js", "tools.js", "review.js")]
MOST_PIXELS = 100_000_000  # of all photographs in a page: some 40 MB; a dozen of 3504 x 2336 pixels
MOST_PLACES = 4  # on the command line that the page proposes


class Review:
    """The page of the `most` least certain photographs; fewer if they have more than MOST_PIXELS together."""

    def __init__(self, folder, threshold, most):
        self.folder, self.threshold, self.most = folder, threshold, most
        self.taken, self.lock = {}, threading.Lock()  # {name: (row, what the page holds of it)}
        self.unread = set()  # names of photographs that the page lacks, since a file of theirs cannot be read

    def chosen(self, *more):
        rows = [*(row for row, _ in self.taken.values()), *more]
        return [row["name"] for row in least_certain(rows, self.most)]

    def offer(self, row, segmented):
        """Takes what the page needs of a Segmented photograph if it is among the least certain so far."""
        with self.lock:
            wanted = row["name"] in self.chosen(row)
        if wanted:
            taken = self.contents(row, segmented.rgb, segmented.fov, segmented.levels)
            with self.lock:
                self.taken[row["name"]] = row, taken
                self.taken = {name: self.taken[name] for name in self.chosen()}

    def contents(self, row, rgb, fov, levels):
        name = row["name"]
        content = made_of(row)["photograph"]["sha256"]  # another one of the name has work of its own
        return contents(Sheet(name, rgb, fov, levels, self.threshold), file=file_of(name),
                        key=f"{Path(self.folder / name).resolve()} {row['width']}x{row['height']} {content}",
                        fingerprint=sha256(self.folder / f"{name}_probability.png"),
                        scores={"certainty": row["certainty"]})

    def read(self, row):
        """Returns what the page needs of a photograph that an earlier run has done."""
        rgb = read_photograph(row["file"])
        levels = read_levels(self.folder / f"{row['name']}_probability.png")
        return self.contents(row, rgb, found_fov(row["file"], rgb), levels)

    def write(self, rows, places):
        """Writes the page, whole or not at all; if there is to be none, that of an earlier run goes.

        rows: of all photographs; places: the files and folders of photographs that eval.py was given.
        """
        shown = {}
        for row in least_certain(rows, self.most):
            try:
                shown[row["name"]] = self.taken.get(row["name"]) or (row, self.read(row))
            except Problem as problem:
                self.unread.add(row["name"])
                complain(f"left out of {self.folder / 'review.html'}: {problem}")
        if not shown:
            return self.folder.remove("review.html")
        rows = [row for row in rows if row["name"] not in self.unread]
        most = self.most - len(self.unread)
        facts = facts_of(self.folder, rows, [row for row, _ in shown.values()], most, places)
        write_page(self.folder / "review.html", template(), facts, (each for _, each in shown.values()))


def template():
    return assembled("Review", HERE / "review.html", [HERE / "review.css"], SCRIPTS, [HERE / "tools.html"])


def least_certain(rows, most):
    """Returns the rows of the photographs in the page, the least certain first."""
    chosen, pixels = [], 0
    for row in sorted(rows, key=lambda row: row["certainty"])[:most]:
        pixels += row["width"] * row["height"]
        if chosen and pixels > MOST_PIXELS:
            break
        chosen.append(row)
    return chosen


def facts_of(folder, rows, chosen, most, places):
    """Returns what the page says, as a dict."""
    corrected = Path(folder / "corrected").resolve()
    left_out = len(rows) - len(chosen)
    about = [f"{len(chosen)} of {counted(len(rows), 'photograph')}, the least certain first. Move the "
             "threshold, add the vessels that are missing, erase what is not a vessel, and save the masks."]
    if left_out:
        why = "With --review N, eval.py takes up to N photographs" if len(chosen) == most else \
            f"A page holds up to {MOST_PIXELS // 10**6} million pixels: give fewer photographs at once"
        about.append(f"Left out: {left_out}. {why}.")
    return {"title": f"Review of {Path(folder / '').resolve().name}", "about": about, "place": str(corrected),
            "folder": str(Path(folder / "").resolve()), "command": command(folder, corrected, places)}


def command(folder, corrected, places):
    """Returns the command line that measures the corrected masks of these photographs."""
    places = [Path(place).absolute() for place in places]
    if len(places) > MOST_PLACES:
        places = list(dict.fromkeys(place if place.is_dir() else place.parent for place in places))
    before = Path(folder / "").resolve()
    words = ["python", Path(sys.argv[0]).resolve(), *places, "--masks", corrected]
    if before != PREDICTIONS.resolve():  # eval.py would look there, and write `measured`
        words += ["--before", before, "--out", before.with_name(before.name + "-corrected")]
    return typed(*words)
