"""The rows of a results folder: a JSON file of each photograph that is done, with what it was made of.

    rows = Rows(folder)       {name: row}, empty
    rows.read()               what earlier runs have done
    rows.keep(row, made_of)   one more; after a killed run its file says that the pictures are there

What a row was made of is {role: what running.sources.described says of that file}; "photograph" is one role.
"""

from pathlib import Path, PurePosixPath

from running.command import complain, with_example
from running.files import as_csv, is_there, read_json, write_json

ROWS = ".rows"
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
        files = sorted(path for path in self.folder.rglob("*.json") if path.is_file())
        return [file.relative_to(self.folder).as_posix().removesuffix(".json") for file in files]

    def read(self):
        """Takes the rows of earlier runs; an empty file is none. Raises Problem if one is damaged."""
        names = self.names()
        empty = [name for name in names if not is_there(self.file(name))]
        if empty:
            files = list(map(self.file, empty))
            complain(f"{with_example(files, 'row')} empty: left out, as if not done yet.")
        self.update({name: read_json(self.file(name)) for name in names if name not in empty})

    def keep(self, row, made_of):
        """Writes a row, and returns it."""
        row = {key: value for key, value in row.items() if key not in HIDDEN} | {MADE_OF: made_of}
        write_json(self.file(row["name"]), row)
        self[row["name"]] = row
        return row

    def forget(self, name):
        self.file(name).unlink(missing_ok=True)
        self.pop(name, None)

    def ordered(self):
        return [self[name] for name in sorted(self, key=lambda name: PurePosixPath(f"{name}.json"))]


def made_of(row):
    """Returns what a row was made of; version 1.1 knew the checksums alone."""
    return row.get(MADE_OF) or {role: {"sha256": row[key]} for role, key in OLD.items() if row.get(key)}


def table_of(rows):
    """Returns predictions.csv of these rows as text."""
    return as_csv([{key: value for key, value in row.items() if key not in HIDDEN} for row in rows])
