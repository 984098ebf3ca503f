"""Sets beside each other: what each of them is called, and whether two are parts of one.

    sets = told_apart(sets)                                 each once, no two of one name
    parts, names = under_former_sets(parts, names, former)  of pairs whose sets were renamed since
"""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations

from prediction.pen import DEFAULT, NONE
from running.command import Problem
from running.names import folded
from sets.layouts import LAYOUTS, OF_SPLIT, match, split_of

LAYOUT_NAMES = {layout.name for layout in LAYOUTS if layout.has_name}
RESERVED = {DEFAULT, NONE}  # --pen takes these and the names of sets


def told_apart(sets):
    """Returns each Set once, those of one name called after their folders too: site1_data, copy_DRIVE.

    Two that are parts of one have that among their problems. Raises Problem if no folders tell two apart.
    """
    sets = list({found.folder.resolve(): found for found in sets}.values())
    for one, other in combinations(sets, 2):
        if _are_parts_of_one(one, other):
            other.problems.append(
                f"{one.folder} and {other.folder}: are parts of one {one.name}, whose names tell what is for "
                "training. Put all of it into one folder, or lay it out as a plain set, with images and "
                "masks in train and in test.")
    counts = Counter([*RESERVED, *(found.name for found in sets)])
    for depth in range(1 + max((len(found.folder.resolve().parts) for found in sets), default=0)):
        names = [_with_folders(found, depth) if depth and counts[found.name] > 1 else found.name
                 for found in sets]
        if len({*RESERVED, *names}) == len(RESERVED) + len(names):
            return [found.renamed(name) for found, name in zip(sets, names, strict=True)]
    raise Problem(f"{', '.join(str(found.folder) for found in sets)}: two of these sets cannot be told "
                  "apart by the names of their folders. Rename one.")


def _with_folders(found, depth):
    """Returns the names of the last folders of a set's path, and the set's own if the last has another."""
    parts = found.folder.resolve().parts[-depth:]
    return "_".join(parts if parts[-1] == found.name else [*parts, found.name])


def _are_parts_of_one(one, other):
    """Returns whether two sets of one known layout share patients, but not the photographs of these.

    So do folders that are called train and test if the layout takes a photograph for another part.
    """
    if one.name != other.name or one.name not in LAYOUT_NAMES:
        return False
    some, others = map(_names_of_patients, (one, other))
    if any(some[patient] != others[patient] for patient in some.keys() & others.keys()):
        return True
    called = [match(f"(?P<split>{OF_SPLIT})", found.folder.resolve().name) for found in (one, other)]
    splits = [split_of(name) for name in called if name]
    return len(set(splits)) == 2 and any(
        own.split != split for found, split in zip((one, other), splits, strict=True)
        for own in found.photographs)


def _names_of_patients(found):
    """Returns {patient: names of the photographs, folded} of a Set."""
    names = defaultdict(set)
    for own in found.photographs:
        names[own.patient].add(folded(own.name))
    return names


def under_former_sets(parts, names, former):
    """Returns {part: photographs} and {photograph: name} with the sets' names that a run before had.

    former: {name of a photograph: its set} of that run, by which its pairs were drawn.
    """
    called = {own: replace(own, set=former.get(name, own.set)) for own, name in names.items()}
    return ({part: [called[own] for own in photographs] for part, photographs in parts.items()},
            {called[own]: name for own, name in names.items()})
