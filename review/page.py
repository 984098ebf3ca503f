"""review.html: predictions to be looked at, corrected and saved as masks, in one page that works offline.

    write(folder, rows, threshold, places, most)

viewer/photographs.py puts it together. The photographs are read again, so only those in the page cost time.
"""

import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from photographs.fov import found_fov
from photographs.reading import read_photograph
from prediction.measured import file_of
from prediction.overlap import FINISHERS
from running.files import read_levels, sha256, whole
from viewer.photographs import Sheet, as_json, assembled, embedded

HERE = Path(__file__).parent
SCRIPTS = [HERE / name for name in ("kinds.js", "marks.js", "kept.js", "files.js", "tools.js", "review.js")]
MOST_PIXELS = 100_000_000  # of all photographs in a page: some 40 MB; a dozen of 3504 x 2336 pixels
MOST_PLACES = 4  # on the command line that the page proposes


def write(folder, rows, threshold, places, most):
    """Writes review.html into a folder of results, for the `most` least certain photographs of these rows.

    threshold: of the prediction; places: the files and folders of photographs that eval.py was given. There
    are fewer photographs than `most` in the page if they have more than MOST_PIXELS together.
    """
    chosen = least_certain(rows, most)
    before, after = template().split("<!-- photographs -->")
    facts = facts_of(folder, rows, chosen, places)
    with whole(folder / "review.html") as beside, open(beside, "w", encoding="utf-8") as file, \
            ThreadPoolExecutor(FINISHERS) as pool:
        file.write(before.replace("{{facts}}", as_json(facts)))
        for start in range(0, len(chosen), FINISHERS):  # no more than that many in memory
            part = list(enumerate(chosen))[start:start + FINISHERS]
            for text in pool.map(lambda numbered: entry(folder, threshold, *numbered), part):
                file.write(text)
        file.write(after)


def template():
    return assembled(HERE / "review.html", [HERE / "review.css"], SCRIPTS, [HERE / "tools.html"])


def least_certain(rows, most):
    """Returns the rows of the photographs in the page, the least certain first."""
    chosen, pixels = [], 0
    for row in sorted(rows, key=lambda row: row["certainty"])[:most]:
        pixels += row["width"] * row["height"]
        if chosen and pixels > MOST_PIXELS:
            break
        chosen.append(row)
    return chosen


def facts_of(folder, rows, chosen, places):
    """Returns what the page says, as a dict."""
    corrected = Path(folder / "corrected").resolve()
    about = [f"{len(chosen)} of {len(rows)} photographs, the least certain first. Move the threshold, add "
             "the vessels that are missing, erase what is not a vessel, and save the masks."]
    if len(chosen) < len(rows):
        about.append(f"{len(rows) - len(chosen)} photographs are left out; --review asks for more or fewer.")
    return {"title": f"Review of {Path(folder / '').resolve().name}", "about": about, "place": str(corrected),
            "command": command(folder, corrected, places)}


def command(folder, corrected, places):
    """Returns the command line that measures the corrected masks of these photographs."""
    places = [Path(place).resolve() for place in places]
    if len(places) > MOST_PLACES:
        places = list(dict.fromkeys(place if place.is_dir() else place.parent for place in places))
    before = Path(folder / "").resolve()
    words = ["python", Path(sys.argv[0]).resolve(), *places, "--masks", corrected, "--before", before,
             "--out", before.with_name(before.name + "-corrected")]
    return (subprocess.list2cmdline if os.name == "nt" else shlex.join)([str(word) for word in words])


def entry(folder, threshold, number, row):
    """Returns a photograph of the page as text."""
    rgb = read_photograph(row["file"])
    fov = found_fov(row["file"], rgb)
    probability = folder / f"{row['name']}_probability.png"
    sheet = Sheet(row["name"], rgb, fov, read_levels(probability), None, None, threshold)
    key = f"{Path(folder / row['name']).resolve()} {row['width']}x{row['height']}"
    return embedded(number, sheet, key=key, file=file_of(row["name"]),
                    fingerprint=sha256(probability), scores={"certainty": row["certainty"]})
