"""Draws the samples: made fundus photographs with exact masks and FOVs, in the plain layout.

    python samples/draw.py                                     the data set that lies beside this script
    python samples/draw.py --out datasets/drawn --train 200    more of the same kind, to pretrain on

    from samples.draw import draw
    rgb, mask, fov = draw(numpy.random.default_rng(0), 512, 512)
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # started as a script, Python looks for modules in samples/ alone

from running.command import Problem, counted, run, say, typed  # noqa: E402
from running.files import write_bytes  # noqa: E402
from samples.eye import photographed  # noqa: E402

FRAMES = (512, 512), (512, 512), (520, 560), (540, 600)  # heights and widths, in turn


def draw(rng, height, width):
    """Returns a made photograph: rgb (H, W, 3) uint8, mask and FOV (H, W) bool; it takes a fifth of a second.

    The same state of `rng` (numpy.random.Generator) and the same size give the same picture.
    """
    return photographed(rng, height, width)


def drawn(number, seed, size=None):
    """Returns picture `number` (from 1) of a seed as `draw` does, of `size` x `size` if given."""
    height, width = (size, size) if size else FRAMES[number % len(FRAMES)]
    return draw(np.random.default_rng([seed, number]), height, width)


def contents(number, split, seed, size):
    """Returns the files of one picture, {path below the set's folder: bytes}: test PNG, training JPEG."""
    rgb, mask, fov = drawn(number, seed, size)
    name, ending, setting = f"drawn_{number:02d}", ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92]
    tight = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if split == "test":
        ending, setting = ".png", tight
    pictures = {f"images/{name}{ending}": (rgb[..., ::-1], setting),
                f"masks/{name}.png": (mask * 255, tight), f"fovs/{name}.png": (fov * 255, tight)}
    return {f"{split}/{path}": cv2.imencode(Path(path).suffix, picture.astype("uint8"), how)[1].tobytes()
            for path, (picture, how) in pictures.items()}


def put(folder, files, overwrite):
    """Writes those of `files`, {path: bytes}, that are not there yet; returns how many.

    Raises Problem if another file has such a name, unless `overwrite`.
    """
    new = {folder / path: content for path, content in files.items() if not same(folder / path, content)}
    for path in new:
        if path.exists() and not overwrite:
            raise Problem(f"{path}: is there and differs from what would be drawn. "
                          "Choose another --out, or say --overwrite.")
    for path, content in new.items():
        write_bytes(path, content)
    return len(new)


def same(path, content):
    return path.is_file() and path.read_bytes() == content


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, default=HERE, help="folder of the set")
    add("--train", type=int, default=8, help="training photographs")
    add("--test", type=int, default=4, help="test photographs; their numbers go on from the training's")
    add("--seed", type=int, default=0, help="another seed, other eyes")
    add("--size", type=int, default=argparse.SUPPRESS,
        help="side of square frames in pixels, 128 or more; without it 512 to 600")
    add("--overwrite", action="store_true", help="replace files of the same name")
    options = parser.parse_args(words)
    options.size = getattr(options, "size", None)
    smallest = min(options.train, options.test, options.seed)
    if smallest < 0 or (options.size is not None and options.size < 128):
        parser.error("--train, --test and --seed are 0 or more, --size is 128 or more.")
    return options


def main(words=None):
    options = arguments(words)
    written, total = 0, options.train + options.test
    for number in tqdm(range(1, total + 1), desc="Drawing", disable=None):
        split = "train" if number <= options.train else "test"
        files = contents(number, split, options.seed, options.size)
        written += put(options.out, files, options.overwrite)
    done = f"{counted(written, 'file')} written" if written else "all were there already: nothing changed"
    say(f"{counted(total, 'photograph')} in {options.out} ({done}). "
        f"Next: {typed('python', 'augment.py', '--data', options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
