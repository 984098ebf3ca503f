"""How often the warnings of photographs are right: on sound photographs, and on the same ones damaged.

    python benchmarks/quality.py --data datasets/DRIVE datasets/CHASE_DB1 --damaged 6

Each column is a set. "Sound" is how many of its photographs, as they are, get a warning of each kind: false
alarms, if the photograph is sound. The other rows are how many of `--damaged` photographs that were damaged
in that way get the warning that is meant. The rows "FOV" give the least IoU of the FOV that is found, after
something was added to the picture, with the part that is left of the FOV found before. The last row is what
describing a photograph takes.
"""

import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from machine import ROOT, flags, in_markdown
from tqdm import tqdm

from data import find_sets
from photographs.fov import find_fov
from photographs.quality import describe, warnings_of
from photographs.reading import read_photograph
from photographs.square import Square, box_of
from running.command import run
from running.files import read_json


def compressed(rgb, quality):
    packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]


def noisy(rgb, sigma):
    grain = np.random.default_rng(0).normal(0, sigma, rgb.shape).astype(np.float32)
    return np.clip(rgb + grain, 0, 255).astype(np.uint8)


def blurred(rgb, share):
    return cv2.GaussianBlur(rgb, (0, 0), share * Square.around(find_fov(rgb)).side)


def exposed(rgb, times):
    return np.clip(rgb * np.float32(times), 0, 255).astype(np.uint8)


def inverted(rgb):
    return np.where(find_fov(rgb)[..., None], ~rgb, 0).astype(np.uint8)


def two_eyes(rgb, gap):
    rows, columns = box_of(find_fov(rgb))
    eye = rgb[rows, columns]
    return np.concatenate([eye, np.zeros((len(eye), gap, 3), np.uint8), eye[:, ::-1]], axis=1)


def shrunk(rgb, times):
    return cv2.resize(rgb, None, fx=times, fy=times, interpolation=cv2.INTER_AREA)


DAMAGES = {  # name: (kind of the warning that is meant, the damage)
    "JPEG quality 10": ("compressed", lambda rgb: compressed(rgb, 10)),
    "JPEG quality 20": ("compressed", lambda rgb: compressed(rgb, 20)),
    "JPEG quality 35": ("compressed", lambda rgb: compressed(rgb, 35)),
    "JPEG quality 50": ("compressed", lambda rgb: compressed(rgb, 50)),
    "noise, sigma 8": ("noisy", lambda rgb: noisy(rgb, 8)),
    "noise, sigma 15": ("noisy", lambda rgb: noisy(rgb, 15)),
    "noise, sigma 25": ("noisy", lambda rgb: noisy(rgb, 25)),
    "blur, sigma 0.3 % of the FOV": ("blurred", lambda rgb: blurred(rgb, 0.003)),
    "blur, sigma 0.5 % of the FOV": ("blurred", lambda rgb: blurred(rgb, 0.005)),
    "exposed twice as long": ("bright", lambda rgb: exposed(rgb, 2)),
    "exposed three times as long": ("bright", lambda rgb: exposed(rgb, 3)),
    "exposed a quarter as long": ("dark", lambda rgb: exposed(rgb, 0.25)),
    "inverted": ("inverted", inverted),
    "inverted green in grey, as fluorescein": ("inverted",
                                               lambda rgb: np.repeat(inverted(rgb)[..., 1:2], 3, axis=2)),
    "red and blue swapped": ("swapped", lambda rgb: np.ascontiguousarray(rgb[..., ::-1])),
    "green channel alone": ("grey", lambda rgb: np.repeat(rgb[..., 1:2], 3, axis=2)),
    "two eyes, apart": ("eyes", lambda rgb: two_eyes(rgb, 40)),
    "two eyes, touching": ("eyes", lambda rgb: two_eyes(rgb, 0)),
    "a quarter of the size": ("small", lambda rgb: shrunk(rgb, 0.25)),
}


def written(rgb, place, colour):
    size = len(rgb) / 900
    return cv2.putText(rgb, "ID 000123  OD  2019-04-02", place, cv2.FONT_HERSHEY_SIMPLEX, size, colour,
                       max(1, round(2 * size)), cv2.LINE_AA)


def barred(rgb, fov):
    height = len(rgb) // 16
    rgb[-height:], fov[-height:] = 255, False
    return written(rgb, (10, len(rgb) - height // 4), (0, 0, 0)), fov


def on_paper(rgb, fov):
    wide = cv2.dilate(fov.astype(np.uint8), np.ones((2 * (max(fov.shape) // 200) + 1,) * 2, np.uint8)) > 0
    rgb[~wide] = 255
    return rgb, fov


def framed(rgb, fov):
    width = len(rgb) // 50 + 2
    return (cv2.copyMakeBorder(rgb, width, width, width, width, cv2.BORDER_CONSTANT, value=(255, 255, 255)),
            np.pad(fov, width))


def dated(rgb, fov):
    return written(rgb, (rgb.shape[1] // 2, int(0.97 * len(rgb))), (255, 160, 0)), fov


ADDED = {"a white bar with text": barred, "a white surround": on_paper, "a white frame": framed,
         "a date": dated}


def overlap_with(addition, rgb):
    """Returns the IoU of the FOV that is found after an addition with what should be found."""
    changed, expected = addition(rgb.copy(), find_fov(rgb))
    found = find_fov(changed)
    return (found & expected).sum() / (found | expected).sum()


def arguments():
    parser = flags(__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sets")
    parser.add_argument("--damaged", type=int, default=6, help="photographs of a set (default: %(default)s)")
    parser.add_argument("--card", type=Path, default=ROOT / "weights" / "vessels.json",
                        help="the model that the photographs are for (default: weights/vessels.json)")
    return parser.parse_args()


def kinds_of(rgb, least, seconds=None):
    """Returns the kinds of the warnings of a photograph; the time that describing it took is added."""
    fov = find_fov(rgb)
    if not fov.any():
        return {"no FOV"}
    started = time.process_time()
    description = describe(rgb, fov, Square.around(fov))
    if seconds is not None:
        seconds.append(time.process_time() - started)
    return set(warnings_of(description, fov, least))


def column_of(found, least, damaged):
    """Returns the rows of one set, {name: text}."""
    alarms, detected, tried, seconds = Counter(), Counter(), 0, []
    overlaps = dict.fromkeys(ADDED, 1.0)
    every = max(1, len(found.photographs) // damaged)
    for k, photograph in enumerate(tqdm(found.photographs, desc=found.name, disable=None)):
        rgb = read_photograph(photograph.path)
        alarms.update(kinds_of(rgb, least, seconds) or ["none"])
        if k % every or tried == damaged:
            continue
        tried += 1
        for name, (kind, damage) in DAMAGES.items():
            detected[name] += kind in kinds_of(damage(rgb), least)
        for name, addition in ADDED.items():
            overlaps[name] = min(overlaps[name], overlap_with(addition, rgb))
    none = alarms.pop("none", 0)
    rows = {"sound: warned of": f"{len(found.photographs) - none} of {len(found.photographs)}",
            "sound: of what": ", ".join(f"{kind} {count}" for kind, count in alarms.items()) or "nothing"}
    rows |= {name: f"{detected[name]} of {tried}" for name in DAMAGES}
    rows |= {f"FOV beside {name}": f"{overlap:.3f}" for name, overlap in overlaps.items()}
    return rows | {"milliseconds": f"{1000 * np.median(seconds):.0f}"}


def main():
    options = arguments()
    cv2.setNumThreads(1)
    least = read_json(options.card).get("photographs", {})
    columns = {found.folder.name: column_of(found, least, options.damaged)
               for found in find_sets(options.data, strict=False)}
    in_markdown(["", *columns], ([name, *(column[name] for column in columns.values())]
                                 for name in next(iter(columns.values()))))


if __name__ == "__main__":
    sys.exit(run(main))
