"""Whether a folder holds the files of a public set as its makers published them, by their SHA-256.

    is_original(folder)        how many files of a folder are, byte for byte, those of a public set
    about_originals(folder)    the same as a sentence

SHA256SUMS has the sums in the form of `sha256sum`, as SET/PLACE. A sum is of the content: STARE is published
gzipped file by file, and copies are packed differently, so `im0001.ppm.gz` is unpacked before it is summed.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from sets.licences import SOURCES

LIST = Path(__file__).with_name("SHA256SUMS")
UNKNOWN = {"HRF": ("manual1/11_h.tif", "manual1/12_h.tif", "manual1/13_h.tif")}  # there was one copy only
LARGEST_FILE = 1 << 28  # bytes; the largest original, a photograph of HRF, has 3 MB. More is a gzip bomb
BLOCK = 1 << 16


def is_original(folder):
    """Returns which files of a folder, however arranged inside, are those of a public set, and of which.

    (how many are, [those that have only the name of one], how many that set has, its name). The set is the
    one that most names belong to ("" if none does). Files with other names are not looked into.
    """
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    here, known, name = [], {}, ""
    for candidate in (source.folder for source in SOURCES.values()):
        digests = {plain_name(place): digest for place, digest in sums(candidate).items() if digest}
        named = [file for file in files if plain_name(file) in digests]
        if len(named) > len(here):
            here, known, name = named, digests, candidate
    differing = [file for file in here if not file.is_file() or content_sum(file) != known[plain_name(file)]]
    matching = {plain_name(file) for file in here} - {plain_name(file) for file in differing}
    places = sorted(file.relative_to(folder).as_posix() for file in differing)
    return len(matching), places, len(known), name


def about_originals(folder):
    """Returns whether a folder holds the originals of a public set, in words, or "" if no name is known."""
    matching, differing, known, name = is_original(folder)
    if not name:
        return ""
    whole = f"all {known} files" if matching == known else f"{matching} of the {known} files"
    if not differing:
        return f"Byte for byte the original {name}: {whole} are here."
    named = ", ".join(differing[:3]) + (" ..." if len(differing) > 3 else "")
    return (f"Not quite the original {name}: {whole} are here, but {len(differing)} with an original's name "
            f"differ from it ({named}); scores will not compare with those of others.")


def sums(folder):
    """Returns {place: SHA-256 of the content} of a public set, None for the three files of unknown sum."""
    lines = (line.split(None, 1) for line in LIST.read_text(encoding="ascii").splitlines())
    found = {place.partition("/")[2]: digest for digest, place in lines if place.startswith(f"{folder}/")}
    return {**found, **dict.fromkeys(UNKNOWN.get(folder, ()))}


def content_sum(path):
    """Returns the SHA-256 of a file, or of what is inside it if it is gzipped; None if it cannot be read.

    No more than LARGEST_FILE is read.
    """
    digest, left = hashlib.sha256(), LARGEST_FILE
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            while left >= 0 and (block := stream.read(BLOCK)):
                digest.update(block)
                left -= len(block)
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


def plain_name(path):
    r"""Returns the last part of a path, after / or \, without .gz: what a file of these sets is known by."""
    return str(path).replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz")
