"""Draw the samples: made fundus photographs with exact masks and FOVs, in the plain layout.

    python samples/draw.py                                     the data set that lies beside this script
    python samples/draw.py --out datasets/drawn --train 200    more of the same kind, to pretrain on

    from samples.draw import draw
    photograph, mask, fov = draw(numpy.random.default_rng(0), 512, 512)
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))       # started as a script, Python looks for modules in samples/ alone

FRAMES = (512, 512), (512, 512), (520, 560), (540, 600)         # heights and widths, in turn


def draw(rng, height, width):
    """One made photograph: (height, width, 3) uint8 RGB, its mask (height, width) bool, its FOV (height, width) bool.

    The same state of `rng` (numpy.random.Generator) and the same size give the same picture; a fifth of a second each.
    """
    from samples.eye import photograph

    return photograph(rng, height, width)


def drawn(number, seed, size=None):
    """Picture `number` (from 1) of a seed, whatever else is drawn, as `draw` gives it; `size`: side of a square."""
    import numpy as np

    height, width = (size, size) if size else FRAMES[number % len(FRAMES)]
    return draw(np.random.default_rng([seed, number]), height, width)


def contents(number, split, seed, size):
    """The files of one picture: {path below the set's folder: bytes}. Test photographs are PNG, training ones JPEG."""
    import cv2

    photograph, mask, fov = drawn(number, seed, size)
    name, ending, setting = f"drawn_{number:02d}", ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92]
    tight = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if split == "test":
        ending, setting = ".png", tight
    pictures = {f"images/{name}{ending}": (photograph[..., ::-1], setting),
                f"masks/{name}.png": (mask * 255, tight), f"fovs/{name}.png": (fov * 255, tight)}
    return {f"{split}/{path}": cv2.imencode(Path(path).suffix, picture.astype("uint8"), how)[1].tobytes()
            for path, (picture, how) in pictures.items()}


def put(folder, files, overwrite):
    """Write what is not there yet: the number of files written. Another file of that name is a Problem."""
    from files import Problem, write_bytes

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


def options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the set")
    parser.add_argument("--train", type=int, default=8, help="training photographs")
    parser.add_argument("--test", type=int, default=4, help="test photographs; their numbers go on from the training's")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other eyes")
    parser.add_argument("--size", type=int, default=argparse.SUPPRESS,
                        help="side of square frames in pixels, 128 or more; without it 512 to 600")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same name")
    chosen = parser.parse_args(arguments)
    chosen.size = getattr(chosen, "size", None)
    if min(chosen.train, chosen.test, chosen.seed) < 0 or (chosen.size is not None and chosen.size < 128):
        parser.error("--train, --test and --seed are 0 or more, --size is 128 or more.")
    return chosen


def main(arguments=None):
    chosen = options(arguments)
    from tqdm import tqdm

    from files import say

    written, total = 0, chosen.train + chosen.test
    for number in tqdm(range(1, total + 1), desc="Drawing", disable=None):
        split = "train" if number <= chosen.train else "test"
        written += put(chosen.out, contents(number, split, chosen.seed, chosen.size), chosen.overwrite)
    done = f"{written} files written" if written else "all were there already: nothing changed"
    say(f"{total} photographs in {chosen.out} ({done}). Next: python augment.py --data {chosen.out}")
    return 0


if __name__ == "__main__":
    from files import run

    sys.exit(run(main))
