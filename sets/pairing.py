"""Finds the sets in folders, and pairs each photograph with what is called like it.

    found, strange = sets_in(folder)     the Sets, and folders with pictures in which none is recognised
    found = recognise(folder)            the Set whose own folder this is, or None
"""

from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath

from photographs import finding
from photographs.finding import is_ours, is_passed_over, with_ending
from photographs.formats import is_picture
from running.command import counted, with_example
from running.names import folded
from sets.layouts import LAYOUTS, Photograph, Set, key_of, match, without_suffix
from sets.patients import is_table, own_patient, tables_left_out, told_patients

DEPTH = 8  # folders below a set's own in which its files may lie
SETS_DEPTH = 3  # folders below the given one in which sets may lie
ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"}
NOT_PICTURES = {".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".xlsx", ".xls", ".ods", ".pdf", ".docx",
                ".html", ".py", ".yaml", ".yml", ".zip"}  # are not missed among photographs


def sets_in(folder, depth=SETS_DEPTH):
    """Returns the Sets in a folder, and sentences on what else may be meant as data.

    These are pictures that are of no known layout, tables of patients outside of sets, links that lead
    nowhere and, where there is no set, archives.
    """
    own = recognise(folder)
    if own:
        return [own], []
    if not depth:
        return [], _unknown(folder, _files(Path(folder))[0].values())
    sets, strange, archives, loose = [], [], [], []
    for entry in sorted(Path(folder).iterdir()):
        if is_passed_over(entry.name):
            continue
        if entry.is_dir() and is_ours(entry):
            strange += _left_out(entry, finding.pictures_beside_results(entry))
        elif entry.is_dir():
            inner, unknown = sets_in(entry, depth - 1)
            sets, strange = sets + inner, strange + unknown
        elif entry.is_symlink() and not entry.exists():
            strange.append(f"{entry}: is a link that leads nowhere. Mend it, or put the folder itself there.")
        elif is_table(entry.name):
            strange.append(f"{entry}: is in no set's own folder: left out. Move it to the set that it is of.")
        elif entry.suffix.lower() in ARCHIVES and not is_picture(entry.name):
            archives.append(f"{entry}: is an archive, which is not looked into. Unpack it there.")
        else:
            loose.append(with_ending(entry, entry.name))
    return sets, strange + _unknown(folder, loose) + (archives if not sets else [])


def _unknown(folder, names):
    """Returns the sentence, if any, on those of these files of a folder that are pictures of no set."""
    pictures = list(filter(is_picture, names))
    return [f"{folder}: holds {counted(len(pictures), 'picture')}, but no layout of a set is recognised "
            f"for {pictures[0]}: left out."] if pictures else []


def _left_out(folder, beside):
    """Returns the sentence, if any, on pictures that are left out since they lie beside results."""
    return [f"{folder}: {finding.told_beside_results(beside)}: left out. Move the results, run.json or "
            "model.keras among them, out of there."] if beside else []


def recognise(folder):
    """Returns the Set that lies in `folder`, or None."""
    folder = Path(folder)
    files, beside = _files(folder)
    known = {layout: _known(layout, files) for layout in LAYOUTS
             if any(match(layout.photograph, name) for name in files.values())}
    if not known:
        return None
    # DRIVE's photographs in images/ and masks/ are a plain set, of which DRIVE's layout knows half of the
    # files. But the plain one takes for its own whatever lies beside DRIVE's photographs and masks.
    layout = max(known, key=lambda layout: len(known[layout]) * (1.5 if layout.has_name else 1))
    found = _paired(layout, folder, files)
    found.left_out += _left_out(folder, beside)
    _keep_from_test(found)
    _note_unlabelled(found)
    if layout.name == "FIVES":
        found.remarks.append("FIVES does not say which photographs are of one patient: each counts as its "
                             "own, so a validation part taken from its training split may share patients "
                             "with the rest.")
    _note_strangers(found, {path: name for path, name in files.items() if path not in known[layout]}, layout)
    return found


def _files(folder):
    """Returns {path below a folder: the name that layouts match} of its files, and pictures, in order.

    Links to folders are followed, unless they lead back. Hidden ones, systems' own and results are left out;
    the pictures are those that lie beside results.
    """
    found, beside = {}, []

    def visit(place, above):
        for entry in sorted(place.iterdir()):
            if is_passed_over(entry.name):
                continue
            if not entry.is_dir():
                below = entry.relative_to(folder)
                found[below] = with_ending(entry, below.as_posix())
            elif len(above) < DEPTH and (real := entry.resolve()) not in above:
                if is_ours(entry):
                    beside.extend(finding.pictures_beside_results(entry))
                else:
                    visit(entry, (*above, real))

    visit(folder, (folder.resolve(),))
    return found, beside


def _known(layout, files):
    """Returns the set of those files that are something in this layout."""
    patterns = layout.patterns().values()
    return {path for path, name in files.items() if any(match(pattern, name) for pattern in patterns)}


def _paired(layout, folder, files):
    """Returns the Set of a layout's photographs, each with what is called like it."""
    found = Set(layout.name if layout.has_name else folder.resolve().name, folder)
    places = _places(layout.photograph, files, folder, found.problems)
    parts = {part: _parts(layout, part, places, files, folder, found.problems)
             for part in ("mask", "fov", "second")}
    told, problems, remarks = told_patients(folder, places, layout)
    found.problems += problems
    found.problems += [f"{folder / path}: lies deeper than the table of a set may. Move it to {folder}."
                       for path in files if is_table(path.name) and len(path.parts) > 1]
    found.left_out += tables_left_out(folder)
    found.remarks += remarks
    listed = _listed(layout, folder)
    for place, (path, own) in places.items():
        split = listed.get(place[1], layout.split(own))
        if listed and place[1] not in listed:
            found.problems.append(f"{folder / path}: is in none of the lists of splits. Add it to one.")
        beside = {part: folder / parts[part][place] for part in parts if place in parts[part]}
        patient = told.get(place) or own_patient(own, split, told)
        found.photographs.append(Photograph(found.name, _name(own), split, patient, folder / path,
                                            told=place in told, **beside))
    return found


def _name(own):
    """Returns a photograph's name: its file's, after the folders below its layout's in which it lies."""
    folders = own["key"].split("/")[:-1]
    return "_".join([*folders, PurePath(own.string).name.removesuffix(".gz").rsplit(".", 1)[0]])


def _places(pattern, files, folder, problems):
    """Returns {key_of a photograph: (path, match)}; two files of one key (.ppm, .ppm.gz) are a problem."""
    found = {}
    for path, name in files.items():
        own = match(pattern, name)
        if own:
            before = found.setdefault(key_of(own), (path, own))[0]
            if before != path:
                problems.append(_claim(folder, before, path))
    return found


def _parts(layout, part, places, files, folder, problems):
    """Returns {place: path} of the masks, FOVs or second observers; whose place is not there is a problem."""
    pattern, found = getattr(layout, part), {}
    plain = {(split, without_suffix("photograph", key)): (split, key) for split, key in places}
    for path, name in files.items() if pattern else []:
        own = match(pattern, name)
        if not own:
            continue
        split, key = key_of(own)
        keys = (split, key), (split, without_suffix(part, key))
        exact = [place for place in keys if place in places]
        place = next(chain(exact, (plain[place] for place in keys if place in plain)), None)
        if place is None:
            problems.append(f"{folder / path}: there is no photograph for it. "
                            "Add the photograph or remove the file.")
        elif place in found:
            problems.append(_claim(folder, found[place], path))
        else:
            found[place] = path
    return found


def _claim(folder, one, other):
    return (f"{folder}: {one.as_posix()} and {other.as_posix()} claim the same place. Remove one, or call a "
            "folder of FOVs fovs.")


def _listed(layout, folder):
    """Returns {folded stem: split} of the photographs that a layout's lists name."""
    lists = [(folder / name, split) for name, split in layout.lists if (folder / name).is_file()]
    return {folded(Path(line.strip()).stem): split for path, split in lists
            for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()}


def _keep_from_test(found):
    """Photographs that lie in no part are for training where the set has a test part."""
    parts = found.by_split()
    if {"all", "test"} <= parts.keys():
        found.photographs = [replace(own, split="training") if own.split == "all" else own
                             for own in found.photographs]
        number = with_example([own.path for own in parts["all"]], "photograph", "outside of its parts")
        found.remarks.append(f"{number}: for training, since there is a test part")


def _note_unlabelled(found):
    """A split without any mask can be predicted; one with some masks is a mistake that must be named."""
    for split, photographs in found.by_split().items():
        without = [photograph for photograph in photographs if photograph.mask is None]
        if without == photographs:
            whose = "Its photographs" if split == "all" else f"Its {split} photographs"
            found.remarks.append(f"{whose} have no masks: "
                                 "they can be segmented, but not scored or trained on.")
        else:
            found.problems += [f"{photograph.path}: has no mask. Add the mask or remove the photograph."
                               for photograph in without]


def _note_strangers(found, others, layout):
    """Pictures that the layout does not know are left out, and so is what is not a picture among them."""
    folders = {photograph.path.parent for photograph in found.photographs}
    folders |= {photograph.mask.parent for photograph in found.photographs if photograph.mask}
    if_picture = {path: path.with_suffix(".png") for path in others}  # masks that are all .mat, say
    folders |= {found.folder / path.parent for path in _known(layout, if_picture)}
    strange = [path for path, name in others.items() if is_picture(name) or (
        found.folder / path.parent in folders and path.suffix.lower() not in NOT_PICTURES)]
    if strange:
        count = f"{counted(len(strange), 'picture')} with another name, place or format"
        found.left_out.append(f"{found.folder}: {count} than this layout's, {strange[0].as_posix()} for one: "
                              "left out.")
