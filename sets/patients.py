"""Which photographs are of one patient: as a table beside them says, as any program saves it, or folders.

    patients, problems, remarks = told_patients(folder, places, layout)
    patients, problems, remarks = patients_in(folder, {place: path of a photograph below the folder})
"""

import codecs
import contextlib
import csv
import re
from pathlib import Path

from running.command import with_example
from running.names import folded
from sets.layouts import PICTURE

TABLE = re.compile(r"patients?(\.(csv|tsv|txt))+", re.IGNORECASE)  # patients.csv.txt too: Windows hides .txt
SHEET = re.compile(r"patients?(\.csv)?\.(xlsx?|ods)", re.IGNORECASE)
TEXTS, LARGEST_TEXT = (".csv", ".tsv", ".txt"), 10_000_000  # bytes of what is looked at as a table
# Columns, the first that is there: in a table of images and patients, a name may be that of a person.
NAMES = ("file", "filename", "file name", "image", "image file", "image name", "image id", "photograph",
         "photo", "picture", "path", "name", "names")
PATIENTS = ("patient id", "patientid", "patient number", "patient no", "patient nr", "pid", "patient",
            "patients", "subject id", "subject", "person", "child")
NOBODY = {"", "-", "?", "n/a", "na", "nan", "none", "null", "unknown"}  # said of a patient who is not known
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def told_patients(folder, places, layout):
    """Returns {place: patient} of what a table, folders or names tell; problems and remarks, sentences.

    places: {place: (path below the folder, match)}, of all photographs.
    """
    table, problems, remarks = patients_in(folder, {place: path for place, (path, _) in places.items()})
    folders = _folders(places)
    if folders and not table:
        remarks.append(f"Its photographs lie in {len(set(folders.values()))} folders, of which each counts "
                       "as one patient; a patients.csv can say otherwise")
    others = {place: patient for place, (_, own) in places.items() if (patient := layout.patient(own))}
    others = _spelled_alike(others | folders)
    named = {others[place]: places[place][0] for place in table if place in others}
    problems += [f"{folder}: its table of patients names {named[patient]} but not {places[place][0]}, which "
                 "without it is the same patient's. Name both."
                 for place, patient in others.items() if place not in table and patient in named]
    return _spelled_alike(others | table), problems, remarks


def _spelled_alike(patients):
    """Returns {place: patient}, each spelled as where it is met first."""
    spellings = {}
    return {place: spellings.setdefault(_without_spelling(patient), patient)
            for place, patient in patients.items()}


def _folders(places):
    """Returns {place: folder} where photographs lie in folders of their own, which are those of patients."""
    folders = _spelled_alike({place: own["key"].split("/")[0] for place, (_, own) in places.items()
                              if "/" in own["key"]})
    return folders if len(set(folders.values())) > 1 else {}


def own_patient(own, split, told):
    """Returns the patient of a photograph that tells of none: its name, which may be nobody else's.

    own: the match of its path; told: {place: patient} of the others.
    """
    return f"{split}/{own['key']}" if own["key"] in told.values() else own["key"]


def patients_in(folder, places):
    """Returns {place: patient}, problems and remarks of the table in a set's folder; nothing without one.

    places: {place: path of the photograph below the folder}. A photograph is named by its file, with or
    without the extension and folders; a name that fits several is that of them all.
    """
    files = [entry for entry in sorted(folder.iterdir()) if entry.is_file()]
    tables = [file for file in files if is_table(file.name)]
    if len(tables) > 1:
        return {}, [f"{tables[0]}: tells of patients, and so does {tables[1].name}. Remove one of them."], []
    if not tables:
        return {}, [f"{file}: cannot be read. Save it as patients.csv." for file in files
                    if SHEET.fullmatch(file.name)], []
    table = tables[0]
    rows, problems = _rows(table)
    named = {}
    for place, path in places.items():
        for name in _names_of(path):
            named.setdefault(name, []).append(place)
    found, spelled = {}, _spelled_alike(dict(enumerate(patient for _, patient in rows)))
    for row, (name, _) in enumerate(rows):
        patient = spelled[row]
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
               "there it is as if there were no table"] if missing and found else []
    return found, problems, remarks


def is_table(name):
    """Returns whether a file of this name can only be meant as a table of patients."""
    return TABLE.fullmatch(name) is not None


def tables_left_out(folder):
    """Returns a sentence on each file in a set's folder that is a table of patients but for its name."""
    files = [entry for entry in sorted(folder.iterdir()) if entry.suffix.lower() in TEXTS and entry.is_file()]
    if any(is_table(file.name) for file in files):
        return []
    return [f"{file}: looks like a table of patients: left out. Call it patients.csv if it is to count."
            for file in files if _looks_like_table(file)]


def _looks_like_table(file):
    with contextlib.suppress(OSError):
        return file.stat().st_size < LARGEST_TEXT and _heading(_lines(file))[1] is not None
    return False


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
    lines = _lines(table)
    delimiter, columns = _heading(lines)
    if not columns:
        return [], [f"{table}: its first line must have the columns name and patient. Add them."]
    try:
        cells = list(_cells(lines, delimiter, strict=True))[1:]
    except csv.Error as error:
        return [], [f"{table}: cannot be read as a table ({error}). Look at its quotation marks."]
    rows = [[row[k] if k < len(row) else "" for k in columns] for row in cells]
    rows = [(name, "" if patient.casefold() in NOBODY else patient) for name, patient in rows]
    problems = [f"{table}: has no {'patient' if name else 'name'} for {name or patient}. Add it, or take out "
                "the row." for name, patient in rows if bool(name) != bool(patient)]
    if not any(map(any, rows)):
        problems = [f"{table}: names no photograph. Fill it in, or remove it."]
    return [(name, patient) for name, patient in rows if name and patient], problems


def _lines(table):
    """Returns the lines of a table that are not empty, the first being its heading."""
    lines = [line for line in _text(Path(table).read_bytes()).splitlines() if line.strip(" ;,\t")]
    return lines[1:] if lines and lines[0].lower().startswith("sep=") else lines


def _heading(lines):
    """Returns the delimiter of a table and the places of its columns, or None and None."""
    for delimiter in ";,\t|":
        with contextlib.suppress(csv.Error):
            columns = _columns(next(_cells(lines[:1], delimiter), []))
            if None not in columns:
                return delimiter, columns
    return None, None


def _cells(lines, delimiter, **how):
    """Yields the rows of a table as lists of cells."""
    for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True, **how):
        yield [cell.strip() for cell in row]


def _columns(heads):
    """Returns the places of the columns with names and patients, None where there is none."""
    heads = [re.sub(r"[\s_-]+", " ", head).casefold() for head in heads]
    return [next((heads.index(word) for word in known if word in heads), None) for known in (NAMES, PATIENTS)]


def _without_spelling(patient):
    """Returns a patient as programs and hands all mean one name, whatever its case and spaces, 1.0 or 01."""
    patient = re.sub(r"\.0+$", "", " ".join(folded(patient).split()))
    return str(int(patient)) if patient.isdecimal() else patient


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
