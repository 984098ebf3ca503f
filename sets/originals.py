"""The public sets as their makers publish them: where, under which licence, and the SHA-256 of every file.

    is_original(folder)        how many files of a folder are, byte for byte, those of a public set
    about_originals(folder)    the same as a sentence
    how_to_get(name)           where a set comes from, and where to put it

SHA256SUMS has the sums in the form of `sha256sum`, as SET/PLACE. A sum is of the content: STARE is published gzipped
file by file, and different copies are packed differently, so `im0001.ppm.gz` is unpacked before it is summed.
"""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("SHA256SUMS")
UNKNOWN = {"HRF": ("manual1/11_h.tif", "manual1/12_h.tif", "manual1/13_h.tif")}  # no two copies were there to compare
LARGEST_FILE = 1 << 28  # bytes; the largest original, a photograph of HRF, has 3 MB. More is a gzip bomb
BLOCK = 1 << 16


@dataclass(frozen=True)
class Source:
    """A public set. `ways`: each a tuple of addresses whose archives together hold the set, the best way first."""

    folder: str
    page: str
    licence: str
    citation: str
    ways: tuple = ()
    by_hand: str = ""


KINGSTON, ERLANGEN = "kingston.ac.uk", "https://www5.cs.fau.de/fileadmin/research/datasets/fundus-images"
CLEMSON = "cecas.clemson.edu/~ahoover/stare/probing"
GROUPS = ("healthy", "glaucoma", "diabetic_retinopathy")
SOURCES = {
    "chase_db1": Source(
        "CHASE_DB1",
        f"https://researchinnovation.{KINGSTON}/en/datasets/chasedb1-retinal-vessel-reference-dataset-4/",
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
        "M. M. Fraz et al., An ensemble classification-based approach applied to retinal blood vessel segmentation, "
        "IEEE Transactions on Biomedical Engineering 59(9):2538-2548, 2012, doi:10.1109/TBME.2012.2205687",
        ((f"https://researchinnovation.{KINGSTON}/files/40659508/CHASEDB1.zip",),
         (f"https://researchdata.{KINGSTON}/96/1/CHASEDB1.zip",),
         (f"https://staffnet.{KINGSTON}/~ku15565/CHASE_DB1/assets/CHASEDB1.zip",))),
    "hrf": Source(
        "HRF", "https://www5.cs.fau.de/research/data/fundus-images/",
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
        "A. Budai, R. Bock, A. Maier, J. Hornegger and G. Michelson, Robust vessel segmentation in fundus images, "
        "International Journal of Biomedical Imaging 2013:154860, doi:10.1155/2013/154860",
        ((f"{ERLANGEN}/all.zip",),
         tuple(f"{ERLANGEN}/{group}{part}.zip" for group in GROUPS for part in ("", "_manualsegm", "_fovmask")))),
    "stare": Source(
        "STARE", f"https://{CLEMSON}/index.html",
        "none stated; offered freely for research",
        "A. Hoover, V. Kouznetsova and M. Goldbaum, Locating blood vessels in retinal images by piecewise threshold "
        "probing of a matched filter response, IEEE Transactions on Medical Imaging 19(3):203-210, 2000, "
        "doi:10.1109/42.845178",
        tuple(tuple(f"{scheme}://{CLEMSON}/{name}.tar" for name in ("stare-images", "labels-ah", "labels-vk"))
              for scheme in ("https", "http"))),
    "drive": Source(
        "DRIVE", "https://drive.grand-challenge.org/",
        "free for research and education to those who got it from this site; it must not be passed on",
        "J. Staal, M. D. Abramoff, M. Niemeijer, M. A. Viergever and B. van Ginneken, Ridge-based vessel segmentation "
        "in color images of the retina, IEEE Transactions on Medical Imaging 23(4):501-509, 2004, "
        "doi:10.1109/TMI.2004.825627",
        by_hand="Its makers give it to registered users only: make an account there, join, and download training.zip "
                "and test.zip. Unpack both, so that there are\n"
                "    {into}/DRIVE/training/images/21_training.tif ... 40, 1st_manual/21_manual1.gif, "
                "mask/21_training_mask.gif\n"
                "    {into}/DRIVE/test/images/01_test.tif ... 20, mask/01_test_mask.gif\n"
                "Today's test.zip is without labels: the 20 training photographs are what can be learned from and "
                "scored on. If you have test/1st_manual and test/2nd_manual from earlier years, put them there too."),
    "fives": Source(
        "FIVES", "https://doi.org/10.6084/m9.figshare.19688169.v1",
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
        "K. Jin et al., FIVES: A fundus image dataset for artificial intelligence based vessel segmentation, "
        "Scientific Data 9:475, 2022, doi:10.1038/s41597-022-01564-3",
        by_hand="It is one RAR archive of about 1.8 GB, no account needed; Python cannot unpack RAR, 7-Zip, unar or "
                "bsdtar can. Unpack it, so that there are\n"
                "    {into}/FIVES/train/Original/1_A.png ... 600 photographs, train/Ground truth/1_A.png\n"
                "    {into}/FIVES/test/Original/1_A.png ... 200 photographs, test/Ground truth/1_A.png"),
}


def how_to_get(name, into="datasets"):
    """What a person does to get the set `name`, as text of several lines."""
    source = SOURCES[name]
    steps = source.by_hand or by_browser(source, "{into}") + "."
    return (f"{source.folder}: open {source.page} in a browser. {steps.format(into=into)}\n"
            f"Licence: {source.licence}.\nPlease cite: {source.citation}.")


def by_browser(source, into):
    names = " and ".join(address.rsplit("/", 1)[-1] for address in source.ways[0])
    return f"Save {names} in {into} without unpacking, and give the command again: it unpacks and checks"


def sums(folder):
    """{place in the set: SHA-256 of the content} of a public set; None for the three files whose sum is not known."""
    lines = (line.split(None, 1) for line in LIST.read_text(encoding="ascii").splitlines())
    found = {place.partition("/")[2]: digest for digest, place in lines if place.startswith(f"{folder}/")}
    return {**found, **dict.fromkeys(UNKNOWN.get(folder, ()))}


def content_sum(path):
    """SHA-256 of a file, of what is inside it if it is gzipped; None if it cannot be read. A bomb is not read out."""
    digest, left = hashlib.sha256(), LARGEST_FILE
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            while left >= 0 and (block := stream.read(BLOCK)):
                digest.update(block)
                left -= len(block)
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


class Originals(NamedTuple):
    """`matching` files are those of the public set `set`, `differing` have their names only; the set has `known`."""

    matching: int
    differing: list
    known: int
    set: str


def plain_name(path):
    """The last part of a path, with / or \\, without .gz: the name that identifies a file in each of these sets."""
    return str(path).replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz")


def is_original(folder):
    """Compare a folder, however arranged inside, with the public sets by name and content. -> Originals

    The set is the one that most names belong to ("" if none does). Files with other names are not looked into.
    """
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    best = Originals(0, [], 0, "")
    most = 0
    for name in (source.folder for source in SOURCES.values()):
        known = {plain_name(place): digest for place, digest in sums(name).items() if digest}
        here = [file for file in files if plain_name(file) in known]
        if len(here) > most:
            most, best = len(here), (here, known, name)
    if not most:
        return best
    here, known, name = best
    differing = [file for file in here if not file.is_file() or content_sum(file) != known[plain_name(file)]]
    matching = {plain_name(file) for file in here} - {plain_name(file) for file in differing}
    return Originals(len(matching), sorted(str(file.relative_to(folder)) for file in differing), len(known), name)


def about_originals(folder):
    """A sentence on whether a folder holds the originals of a public set; "" where no name is known."""
    matching, differing, known, name = is_original(folder)
    if not name:
        return ""
    whole = f"all {known} files" if matching == known else f"{matching} of the {known} files"
    if not differing:
        return f"Byte for byte the original {name}: {whole} are here."
    named = ", ".join(differing[:3]) + (" ..." if len(differing) > 3 else "")
    return (f"Not quite the original {name}: {whole} are here, but {len(differing)} with an original's name "
            f"differ from it ({named}); scores will not compare with those of others.")
