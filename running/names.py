"""Names for files that no disk takes for one another: some know neither case nor Unicode's forms apart.

And where a file lies, by whatever path it is given.
"""

import os
import unicodedata
from collections import defaultdict
from itertools import chain, count
from pathlib import PurePosixPath


def folded(name):
    """Returns the name without case and Unicode form, which do not tell two files apart on some disks."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def first_free(names, taken):
    """Returns the first of these names that no disk takes for one of `taken`, a set of folded names.

    It is taken from then on.
    """
    name = next(name for name in names if folded(name) not in taken)
    taken.add(folded(name))
    return name


def names_apart(photographs, known, taken=()):
    """Returns {photograph: name}, in order, no two names alike and none in `taken`.

    photographs: {path or URI: path below the folder that was given}; known: {path or URI: name} of earlier
    runs, which stay. The name is the path below the folder without its extension; if another photograph has
    it, with the extension, or else with a number: `x`, `x.png`, `x_2`. So it does not depend on what else
    there is, unless two clash.
    """
    stay = (known[photograph] for photograph in photographs if photograph in known)
    used, numbers = set(map(folded, chain(stay, taken))), defaultdict(lambda: count(2))

    def name_of(below):
        stem = below.removesuffix(PurePosixPath(below).suffix)
        return first_free(chain([stem, below], (f"{stem}_{k}" for k in numbers[folded(stem)])), used)

    return {photograph: known.get(photograph) or name_of(below) for photograph, below in photographs.items()}


def where(path):
    """Returns where a file lies as text, alike for all paths that lead there; only a last link is kept."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.normcase(os.path.join(os.path.realpath(folder), name))
