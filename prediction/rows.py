"""The rows of a results folder: a JSON file of each photograph that is done, with what it was made of.

    rows = Rows(folder)       {name: row}, empty
    rows.read()               what earlier runs have done
    rows.keep(row, made_of)   one more; after a killed run its file says that the pictures are there

    table_in(folder)          {name: file} of the predictions.csv there, which other programs may have written
    lacking(table, rows)      the part of it that a copy without ROWS has lost; told_lacking says so

What a row was made of is {role: what running.sources.described says of that file}; "photograph" is one role.
"""

import csv
import io
import json
import os
from pathlib import Path

from running.command import complain, with_example
from running.files import as_csv, from_cell, remove, write_json
from running.names import folded

ROWS, TABLE = ".rows", "predictions.csv"
PARQUET = "predictions.parquet"  # a folder: the table of cluster/stores.py
MADE_OF = "made of"
OLD = {"photograph": "sha256", "mask": "mask sha256", "prediction": "prediction sha256"}  # of version 1.1
HIDDEN = {MADE_OF, *OLD.values()}  # keys that are not in the table


class Rows(dict):
    """{name: row} of the photographs that are done."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder / ROWS)

    def file(self, name):
        return self.folder / f"{name}.json"

    def names(self):
        """Returns the names of all rows on disk, also of those that cannot be read."""
        files = sorted(path for path in self.folder.rglob("*.json")
                       if path.is_file() and not path.name.startswith("._"))  # those are macOS' own
        return [file.relative_to(self.folder).as_posix().removesuffix(".json") for file in files]

    def spelled(self, names):
        """Returns {name: as its row is spelled}, which is otherwise only on a disk that knows no case."""
        found = {name for name in names if name not in self and os.path.exists(self.file(name))}
        there = set(self.names()) if found else set()
        alike = {folded(name): name for name in there}
        return {name: alike.get(folded(name), name) if name in found - there else name for name in names}

    def read(self):
        """Takes the rows of earlier runs, and says which files hold none. Raises OSError if one is closed."""
        damaged, copies = [], []
        for name in self.names():
            row = _row_in(self.file(name))
            if row is None:
                damaged.append(self.file(name))
            elif folded(row["name"]) != folded(name):
                copies.append(self.file(name))
            else:
                self[name] = row
        if damaged:
            complain(f"{with_example(damaged, 'row')} empty or damaged: left out, as if not done yet.")
        if copies:
            complain(f"{with_example(copies, 'row')} copied from another name: left out. Remove such copies.")

    def keep(self, row, made_of):
        """Writes a row, and returns it."""
        row = {key: value for key, value in row.items() if key not in HIDDEN} | {MADE_OF: made_of}
        write_json(self.file(row["name"]), row)
        self[row["name"]] = row
        return row

    def forget(self, name):
        remove(self.file(name))
        self.pop(name, None)


def _row_in(file):
    """Returns the row in a file, None if it holds none: a full disk or a broken sync may have damaged it."""
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
        return row if row["name"] and row["file"] else None
    except (ValueError, TypeError, KeyError):
        return None


def made_of(row):
    """Returns what a row was made of; version 1.1 knew the checksums alone."""
    return row.get(MADE_OF) or {role: {"sha256": row[key]} for role, key in OLD.items() if row.get(key)}


def place_of(row, role="photograph"):
    """Returns where a row's photograph or mask lay, absolute; version 1.1 knew only the path as typed."""
    place = made_of(row).get(role, {}).get("path")
    return os.path.abspath(from_cell(place) if place else row["file" if role == "photograph" else role])


def table_of(rows):
    """Returns predictions.csv of these rows as text."""
    return as_csv([{key: value for key, value in row.items() if key not in HIDDEN} for row in rows])


def in_cell(name):
    """Returns a name or path as predictions.csv shows it, where bytes that are not UTF-8 are escaped."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def table_in(folder):
    """Returns {name: file}, as in_cell shows them, of the predictions.csv in a folder; {} if it has none."""
    text = (folder.read(TABLE) or b"").decode("utf-8-sig", "replace")
    header = text.partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","  # the first if Excel has saved it
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    return {row["name"]: row.get("file") or "" for row in rows if row.get("name")}


def lacking(table, rows, more=()):
    """Returns the part of {name: file}, as from table_in, that is not of {name: row} or of `more` names.

    A program may have changed a name in the table, as Excel makes 1 of 01: its file tells then.
    """
    known = set(map(in_cell, [*rows, *more]))
    renamed = {in_cell(row["file"]) for name, row in rows.items() if in_cell(name) not in table}
    return {name: file for name, file in table.items() if name not in known and file not in renamed}


def told_lacking(folder, names):
    """Returns the beginning of a sentence on rows, by their names, that `lacking` found in a folder."""
    return f"{folder / TABLE}: holds {with_example(list(names), 'row')} that {ROWS} beside it lacks"
