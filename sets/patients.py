"""Which photographs are of one patient, as a table beside them says: patients.csv, as any program saves it.

    patients, problems, remarks = patients_in(folder, {place: path of a photograph below the folder})
"""

import codecs
import csv
import re
from pathlib import Path

from running.command import with_example
from running.names import folded
from sets.layouts import PICTURE

TABLES = "patients.csv", "patients.tsv", "patients.txt"
SHEETS = "patients.xlsx", "patients.xls", "patients.ods"
NAMES = {"name", "names", "file", "filename", "file name", "image", "photograph", "photo", "picture"}
PATIENTS = {"patient", "patients", "patient id", "patientid", "subject", "subject id", "person", "child"}
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def patients_in(folder, places):
    """Returns {place: patient}, problems and remarks of the table in a set's folder; nothing without one.

    places: {place: path of the photograph below the folder}. A photograph is named by its file, with or
    without the extension and folders; a name that fits several is that of them all.
    """
    here = {entry.name.lower(): entry for entry in sorted(folder.iterdir(), reverse=True) if entry.is_file()}
    table = next((here[name] for name in TABLES if name in here), None)
    sheet = next((here[name] for name in SHEETS if name in here), None)
    if table is None:
        return {}, [f"{sheet}: cannot be read. Save it as patients.csv."] if sheet else [], []
    rows, problems = _rows(table)
    named = {}
    for place, path in places.items():
        for name in _names_of(path):
            named.setdefault(name, []).append(place)
    found = {}
    for name, patient in rows:
        fitting = _fitting(name, named)
        if not fitting:
            problems.append(f"{table}: names {name}, which is none of the photographs here. "
                            "Correct the name or take out the row.")
        for place in fitting:
            if found.setdefault(place, patient) != patient:
                problems.append(f"{table}: gives {name} two patients, {found[place]} and {patient}. "
                                "Take out one of the rows.")
    missing = [path for place, path in places.items() if place not in found]
    remarks = [f"The table {table.name} does not name "
               f"{with_example([path.as_posix() for path in missing], 'photograph')}: "
               "each counts as a patient of its own"] if missing and found else []
    return found, problems, remarks


def _names_of(path):
    """Yields all that a photograph may be called in the table: any end of its path, and without extension."""
    parts = folded(path.as_posix()).split("/")
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        yield from (name, _stem(name))


def _stem(name):
    return re.sub(rf"\.{PICTURE}$", "", name, flags=re.IGNORECASE)


def _fitting(name, named):
    """Returns the places that a name of the table fits. Excel takes 01 for a number and writes 1."""
    name = folded(name.replace("\\", "/").removeprefix("./"))
    found = named.get(name) or named.get(_stem(name), [])
    if not found and name.isdecimal():
        found = [place for other, places in named.items()
                 if other.isdecimal() and int(other) == int(name) for place in places]
        found = found if len(found) == 1 else []
    return found


def _rows(table):
    """Returns the rows of the table, [(name, patient)], and what is wrong with it."""
    lines = [line for line in _text(Path(table).read_bytes()).splitlines() if line.strip(" ;,\t")]
    if lines and lines[0].lower().startswith("sep="):
        lines = lines[1:]
    for delimiter in ";,\t|":
        cells = [[cell.strip() for cell in row]
                 for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
        heads = [re.sub(r"[\s_-]+", " ", head).casefold() for head in cells[0]] if cells else []
        columns = [next((k for k, head in enumerate(heads) if head in known), None)
                   for known in (NAMES, PATIENTS)]
        if None not in columns:
            break
    else:
        return [], [f"{table}: its first line must have the columns name and patient. Add them."]
    rows = [[row[k] if k < len(row) else "" for k in columns] for row in cells[1:]]
    problems = [f"{table}: has no {'patient' if name else 'name'} for {name or patient}. Add it."
                for name, patient in rows if bool(name) != bool(patient)]
    return [(name, patient) for name, patient in rows if name and patient], problems


def _text(content):
    """Returns the text of a table in UTF-8, UTF-16 or Windows' cp1252."""
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content[:2]:
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
