"""Names for files that no disk takes for one another: some know neither case nor Unicode's forms apart.

And where a file lies, by whatever path it is given.
"""

import os
import unicodedata


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


def where(path):
    """Returns where a file lies as text, alike for all paths that lead there; only a last link is kept."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.normcase(os.path.join(os.path.realpath(folder), name))
