"""Mutated files through the readers of photographs, masks and FOVs: no crash, no hang, one kind of error.

    python tests/fuzz.py --count 20000                     the drawn samples, converted to every format
    python tests/fuzz.py --count 20000 --data ../shared    and files of the data sets there
    python tests/fuzz.py --only 123456 --keep bad.bin      one mutation again, its file kept

Each mutation is a function of --seed and its number. Exit code 1 if anything but a picture or a Problem comes
of one.
"""

import argparse
import gzip
import io
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import lru_cache
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # started as a script, Python looks for modules in tests/ alone

from photographs.formats import EXTENSIONS  # noqa: E402
from photographs.fov import find_fov, fov_of  # noqa: E402
from photographs.reading import SMALLEST_SIDE, read_photograph, read_vessels  # noqa: E402
from photographs.square import Square  # noqa: E402
from running.command import Problem  # noqa: E402
from running.machine import processors  # noqa: E402
from sets.layouts import Photograph  # noqa: E402

SECONDS, MEMORY = 2.0, 2 << 30  # seconds for a file; bytes beyond those of an idle worker
PATIENCE = 60  # wall-clock seconds after which a worker that says nothing is ended
SHAPE = (96, 112)  # of the samples here, and of the photograph that masks and FOVs are read for
KINDS = ("photograph", "mask", "fov")


# ---- files to begin with -----------------------------------------------------------------------------------

def converted(rgb, mask):
    """Returns a photograph and its mask in every format and the less common ways of each: [(name, bytes)]."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    colour, grey, drawn = Image.fromarray(rgb), Image.fromarray(rgb[..., 1]), Image.fromarray(mask)
    deep = Image.fromarray(rgb[..., 1].astype("uint16") * 257)
    real = Image.fromarray(rgb[..., 1].astype("float32") / 255)
    two = {"save_all": True, "append_images": [colour.rotate(90)]}
    compressed = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    ways = [(colour, "JPEG", {"exif": exif}), (colour, "JPEG", {"progressive": True}), (grey, "JPEG", {}),
            (colour.convert("CMYK"), "JPEG", {}), (colour, "PNG", {"exif": exif}),
            (colour.quantize(64), "PNG", {}),
            (grey.convert("LA"), "PNG", {}), (deep, "PNG", {}), (drawn, "PNG", {"bits": 1}),
            (colour, "TIFF", {"exif": exif}), (colour, "GIF", {}), (drawn, "GIF", {}), (colour, "PPM", {}),
            (grey, "PPM", {}), (colour, "BMP", {}), (drawn.convert("1"), "BMP", {}), (colour, "WEBP", {}),
            (colour, "WEBP", {"lossless": True, "exif": exif}),
            (colour, "GIF", two), (colour, "PNG", two), (colour, "WEBP", two),
            (colour, "TIFF", {"save_all": True, "append_images": [grey]}), (real, "TIFF", {}),
            (deep, "TIFF", {}),
            *((colour, "TIFF", {"compression": way}) for way in compressed),
            (drawn.convert("1"), "TIFF", {"compression": "group4"})]
    found = []
    for number, (picture, kind, how) in enumerate(ways):
        content = io.BytesIO()
        picture.save(content, kind, **how)
        found.append((f"{number:02d}.{kind.lower()}", content.getvalue()))
    in_words = b"P3\n%d %d\n255\n" % rgb.shape[1::-1] + " ".join(map(str, rgb.ravel())).encode()
    return [*found, ("words.ppm", in_words)]


@lru_cache
def originals(folder):
    """Returns [(name, bytes)]: two samples, small, in every format, and up to 60 files of `folder`."""
    found = []
    for sample in ("drawn_01", "drawn_02"):
        rgb = Image.open(ROOT / f"samples/train/images/{sample}.jpg").convert("RGB").resize(SHAPE[::-1])
        mask = Image.open(ROOT / f"samples/train/masks/{sample}.png").convert("L").resize(SHAPE[::-1])
        found += converted(np.asarray(rgb), np.asarray(mask))
    if folder:
        real = sorted(path for path in Path(folder).rglob("*")
                      if path.suffix.lower() in EXTENSIONS and path.is_file())
        chosen = random.Random(0).sample(real, min(60, len(real)))
        found += [(path.name, path.read_bytes()) for path in chosen]
    return found


# ---- mutations ---------------------------------------------------------------------------------------------

NUMBERS = (0, 1, 2, 7, 8, 16, 32, 64, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 10**6,
           2**24, 2**31 - 1, 2**31, 2**32 - 1)
TOKENS = (b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"zTXt", b"eXIf", b"IEND",
          b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb",
          b"\xff\xdd", b"\xff\xe1",
          b"Exif\0\0", b"II*\0", b"MM\0*", b"II+\0", b"GIF89a", b"\x21\xf9\x04", b"\x2c",
          b"P3\n", b"P5\n", b"P6\n", b"P7\n", b"Pf\n", b"BM", b"RIFF", b"VP8X", b"VP8L", b"VP8 ",
          b"ANIM", b"ANMF",
          b"\x1f\x8b\x08", b"-1", b"99999999", b"nan")


def place_in(content, chance):
    """Returns a place that is mostly in the header, which decides the most."""
    length = max(1, len(content))
    return chance.randrange(min(length, chance.choice((64, 256, length, length))))


def flip(content, chance):
    k = place_in(content, chance)
    content[k:k + 1] = bytes([content[k] ^ (1 << chance.randrange(8))])


def put_bytes(content, chance):
    k = place_in(content, chance)
    content[k:k + chance.choice((1, 2, 4, 16))] = chance.randbytes(chance.choice((1, 2, 4, 16)))


def put_number(content, chance):
    k, number = place_in(content, chance), chance.choice(NUMBERS)
    size = chance.choice("BHI")
    packed = struct.pack(chance.choice("<>") + size, number & (2 ** (8 * struct.calcsize(size)) - 1))
    content[k:k + len(packed)] = packed


def put_token(content, chance):
    k, token = place_in(content, chance), chance.choice(TOKENS)
    content[k:k + chance.choice((0, len(token)))] = token


def cut_end(content, chance):
    del content[place_in(content, chance):]


def cut_out(content, chance):
    k = place_in(content, chance)
    del content[k:k + chance.randrange(1, 2000)]


def double(content, chance):
    k = place_in(content, chance)
    content[k:k] = content[k:k + chance.randrange(1, 4000)] * chance.choice((1, 2, 30))


def zeros(content, chance):
    k, length = place_in(content, chance), chance.randrange(1, 4000)
    content[k:k + length] = bytes(min(length, max(0, len(content) - k)))


def splice(content, chance, others):
    other = chance.choice(others)[1]
    k, start = place_in(content, chance), chance.randrange(max(1, len(other)))
    content[k:k + chance.choice((0, 500))] = other[start:start + chance.randrange(1, 3000)]


MUTATIONS = (flip, flip, put_bytes, put_number, put_number, put_number, put_token, cut_end, cut_out, double,
             zeros)


def mutated(seed, number, folder):
    """Returns the file of this number: its name, the kind of reader for it, and its bytes."""
    chance = random.Random(f"{seed} {number}")
    name, content = chance.choice(originals(folder))
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 12))):
        if content:
            if chance.random() < 0.06:
                splice(content, chance, originals(folder))
            else:
                chance.choice(MUTATIONS)(content, chance)
    if chance.random() < 0.05 and not name.endswith(".gz"):
        content, name = bytearray(gzip.compress(bytes(content), 1)), name + ".gz"
        chance.choice(MUTATIONS)(content, chance)
    return name, KINDS[number % 3], bytes(content)


# ---- one file ----------------------------------------------------------------------------------------------

def read_as(kind, path):
    """Does what the scripts do with such a file before anything else."""
    if kind == "photograph":
        rgb = read_photograph(path)
        fov = find_fov(rgb)
        assert rgb.dtype == np.uint8 and rgb.ndim == 3 and fov.shape == rgb.shape[:2] and fov.dtype == bool
        if fov.any():
            assert Square.around(fov).side >= SMALLEST_SIDE
    elif kind == "mask":
        mask = read_vessels(path, SHAPE, empty_is_fine=True)
        assert mask.dtype == bool and mask.shape == SHAPE
    else:
        rgb = np.full((*SHAPE, 3), 90, np.uint8)
        fov = fov_of(Photograph("set", "a", "test", "1", path, fov=path), rgb)
        assert fov.dtype == bool and fov.shape == SHAPE and fov.any()


def judged(kind, path):
    """Returns 'read', 'refused', or what went wrong in words."""
    began = time.process_time()
    try:
        read_as(kind, path)
        outcome = "read"
    except Problem as problem:
        outcome = "refused" if str(problem).startswith(str(path)) else f"the file is not named: {problem}"
    except BaseException:
        outcome = "other error: " + traceback.format_exc()[-1500:]
    took = time.process_time() - began
    return outcome if took <= SECONDS else f"took {took:.1f} s"


# ---- workers -----------------------------------------------------------------------------------------------

def work(numbers, seed, folder, connection):
    """A worker's life: says the number before and the outcome after each file."""
    import resource  # here: Windows lacks it, and has use for the rest of this file

    cv2.setNumThreads(1)
    originals(folder)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # libtiff and libjpeg tell their own stories there
    with tempfile.TemporaryDirectory() as place:
        for number in numbers:
            connection.send((number, None))
            name, kind, content = mutated(seed, number, folder)
            path = Path(place) / name
            path.write_bytes(content)
            connection.send((number, judged(kind, path)))
            path.unlink()


def watched(numbers, seed, folder, tell):
    """Lets workers do all the numbers, one after another: one that dies or hangs costs its file only."""
    context = multiprocessing.get_context("spawn")
    while numbers:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(numbers, seed, folder, theirs), daemon=True)
        worker.start()
        theirs.close()
        now = None
        try:
            while True:
                if not ours.poll(PATIENCE):
                    worker.kill()
                    worker.join()
                    tell(now, f"hung for {PATIENCE} s")
                    break
                number, outcome = ours.recv()
                now = number if outcome is None else None
                if outcome is not None:
                    tell(number, outcome)
                    numbers = numbers[numbers.index(number) + 1:]
        except EOFError:
            worker.join()
            if now is not None:
                tell(now, f"crashed with exit code {worker.exitcode}")
            elif worker.exitcode:
                raise RuntimeError(f"a worker could not begin (exit code {worker.exitcode})") from None
        numbers = numbers[numbers.index(now) + 1:] if now is not None else numbers


def fuzz(count, seed=0, folder=None, workers=1, first=0, progress=lambda done: None):
    """Returns ({'read': n, 'refused': n, ...}, {number: what went wrong}); calls progress(files done)."""
    seen, bad = Counter(), {}

    def tell(number, outcome):
        seen[outcome if outcome in ("read", "refused") else outcome.split(":")[0]] += 1
        if outcome not in ("read", "refused"):
            bad[number] = outcome
        progress(sum(seen.values()))

    shares = [range(first + k, first + count, workers) for k in range(workers)]
    threads = [Thread(target=watched, args=(share, seed, folder, tell)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000, help="(default: %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder to take more files from")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=processors(),
                        help="(default: all cores, %(default)s here)")
    parser.add_argument("--only", type=int, metavar="NUMBER",
                        help="only this mutation, in this process, with its traceback")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="with --only: where its file goes")
    options = parser.parse_args()
    folder = str(options.data) if options.data else None
    if options.only is not None:
        name, kind, content = mutated(options.seed, options.only, folder)
        path = options.keep or Path(tempfile.mkdtemp()) / name
        path.write_bytes(content)
        print(f"{path}: {name} as {kind}: {judged(kind, path)}")
        return 0
    began = time.time()

    def progress(done):
        if done % 1000 == 0:
            print(f"{done} of {options.count}, {time.time() - began:.0f} s", file=sys.stderr, flush=True)

    seen, bad = fuzz(options.count, options.seed, folder, options.workers, progress=progress)
    for number, outcome in sorted(bad.items()):
        print(f"{number} ({mutated(options.seed, number, folder)[0]}, {KINDS[number % 3]}): {outcome}")
    print(f"{sum(seen.values())} mutated files of {len(originals(folder))} in {time.time() - began:.0f} s: "
          + ", ".join(f"{count} {name}" for name, count in seen.most_common()) + f". {len(bad)} wrong.")
    return 1 if bad or sum(seen.values()) != options.count else 0


if __name__ == "__main__":
    sys.exit(main())
