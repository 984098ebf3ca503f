"""Photographs and results in folders or object stores alike.

    store("s3://bucket/folder")      pyarrow's file system and the path in it; a plain path works as well
    find_stored(places, out)         photographs.finding.find_photographs for such places
    StoredResults(out, settings)     run.json, NAME_mask.png, and predictions.parquet: a folder of parts
"""

import contextlib
import time
from functools import lru_cache
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet
from pyarrow import fs

from photographs.finding import not_passed_over, photographs_among, tell_left_out
from prediction.any_results import Results
from prediction.rows import PARQUET, ROWS
from running.again import earlier_run
from running.command import Problem, complain, counted, say, with_example
from running.files import remove, write_bytes
from running.names import names_apart

TABLE, SECONDS = PARQUET, 60  # a part of the table is written when so many seconds have passed
TEXT = ("name", "file", "pen", "warnings", "status", "error")  # every other column is a number


# ---- places ----------------------------------------------------------------------------------------------

def store(place):
    """Returns pyarrow's file system for a path or URI, the path in it, and what precedes it in the table."""
    return _store_of(place) if "://" in place else (fs.LocalFileSystem(), str(Path(place).absolute()), "")


@lru_cache
def _store_of(uri):
    try:
        return *fs.FileSystem.from_uri(uri), uri.partition("//")[0] + "//"
    except (ValueError, OSError, ImportError) as error:
        raise Problem(f"{uri}: cannot be opened ({error}). "
                      "Give a folder, or a URI of s3, gs, abfs or hdfs.") from error


def find_stored(places, out):
    """Returns {photograph: (place, path below it)} of files as given and pictures in folders, in order.

    A photograph is called as in the table, see `store`. What lies in `out` or in other results is not one;
    pictures beside the results are counted.
    """
    results = str(Store(out))
    found = {}
    for place in places:
        system, root, before = store(place)
        kind = system.get_file_info(root).type
        if kind == fs.FileType.NotFound:
            raise Problem(f"{place}: there is no such photograph or folder.")
        if kind == fs.FileType.File:
            found.setdefault(before + root, (place, Path(root).name))
            continue
        own = results[len(before):] if f"{results}/".startswith(f"{before}{root}/") else None
        files, beside = not_passed_over(files_below(system, root, place), root, own)
        inside = photographs_among({path: f"/{path}" for path in files}, place)
        tell_left_out(place, inside, beside)
        for path in inside:
            found.setdefault(before + path, (place, path[len(root):].strip("/")))
    return found


def files_below(system, root, place, least=0):
    """Returns the paths of all files of at least `least` bytes in and below a folder, in order."""
    try:
        entries = system.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
        return sorted(entry.path for entry in entries if entry.is_file and entry.size >= least)
    except UnicodeDecodeError as error:
        raise Problem(f"{place}: holds a name that is not UTF-8 ({error.object!r}). "
                      "Rename it, or run without --ray.") from error


class Store:
    """A folder in any store, its files by their paths below it, with the methods of running.files.Folder."""

    def __init__(self, place):
        # Absolute, since workers are in another folder.
        self.place = place if "://" in place else str(Path(place).absolute())
        self.system, self.path, self.before = store(self.place)
        self.is_local = self.system.type_name == "local"

    def __str__(self):
        return self.before + self.path  # without keys that the URI may hold

    def has(self, name):
        return self.system.get_file_info(f"{self.path}/{name}").type != fs.FileType.NotFound

    def entries(self):
        if self.system.get_file_info(self.path).type == fs.FileType.File:
            raise Problem(f"{self}: is a file, not a folder. Choose another --out.")
        inside = self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return [Path(entry.path).name for entry in inside]

    def first_there(self, names):
        """Returns the first of these files that exists, or None, by one listing of them all."""
        there = self._there(0)
        return next((name for name in names if name in there), None)

    def gone(self, names):
        """Returns those of these files that are not there or are empty, by one listing of them all."""
        there = self._there(1) if names else ()
        return [name for name in names if name not in there]

    def _there(self, least):
        return {path[len(self.path):].strip("/")
                for path in files_below(self.system, self.path, self, least)}

    def read(self, name):
        if not self.has(name):
            return None
        with self.system.open_input_stream(f"{self.path}/{name}") as stream:
            return stream.read()

    def write(self, name, content):
        """Writes a file whole or not at all: an object appears when closed, a file when renamed."""
        if self.is_local:
            write_bytes(f"{self.path}/{name}", content)
            return
        with self.system.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(content)

    def remove(self, name):
        if self.is_local:
            remove(f"{self.path}/{name}")
            return
        with contextlib.suppress(FileNotFoundError):
            self.system.delete_file(f"{self.path}/{name}")


# ---- results ---------------------------------------------------------------------------------------------

class StoredResults(Results):
    """Results in a Store: a mask for each photograph, and one table of rows, a folder of Parquet files.

    A photograph is done when it has a row. Rows are written after their masks, so these are there.
    """

    def __init__(self, place, settings, overwrite=False):
        store = Store(place)
        super().__init__(store, settings, ("mask",), overwrite, ROWS * store.has(ROWS))

    def rows(self, columns):
        """Returns these columns of the table so far, as a pyarrow table."""
        none = pyarrow.table({key: pyarrow.array([], pyarrow.string()) for key in columns})
        if not self.folder.has(TABLE):
            return none
        parts = f"{self.folder.path}/{TABLE}"
        try:
            dataset = pyarrow.dataset.dataset(parts, filesystem=self.folder.system, format="parquet")
            return dataset.to_table(columns) if dataset.files else none
        except pyarrow.ArrowInvalid as error:
            raise Problem(f"{self.folder}/{TABLE}: a file of it is damaged ({str(error)[:300]}). Remove it, "
                          "and the same command does its photographs anew.") from error

    def read_known(self):
        """Returns {photograph: name} of all that has a row."""
        rows = self.rows(["file", "name"])
        return dict(zip(rows["file"].to_pylist(), rows["name"].to_pylist(), strict=True))

    def strange(self, names):
        """Returns the masks of these names that no job wrote; of a stopped one rows may lack."""
        finished = (earlier_run(self.folder) or {"finished": True}).get("finished")
        return sorted({f"{name}_mask.png" for name in names}.difference(self.masks())) if finished else []

    def earlier_pictures(self, settings):
        """Returns the masks that the table knows, whatever the settings."""
        return self.masks()

    def remove_rows(self):
        if self.folder.has(TABLE):
            self.folder.system.delete_dir(f"{self.folder.path}/{TABLE}")

    def masks(self):
        """Returns the masks of all that is done."""
        done = self.rows(["name", "status"]).filter(pyarrow.dataset.field("status") == "done")
        return [f"{name}_mask.png" for name in done["name"].to_pylist()]

    def names(self, photographs):
        """Returns {photograph: name}; no name is in the table, since contents cannot be compared."""
        return names_apart(photographs, self.known, self.known.values())

    def left(self, named):
        """Returns the part of {photograph: name} that has no row."""
        return {photograph: name for photograph, name in named.items() if photograph not in self.known}

    def add(self, rows):
        """Puts rows (dicts) into the table as they come, a part a minute, and the rest even after an error.

        Failed ones lie in parts of their own: remove these to have the photographs done that were mended.
        They come after the others, whose columns readers take for those of the table.
        """
        kept, since = [], time.monotonic()
        try:
            for row in rows:
                kept.append(row)
                if time.monotonic() - since > SECONDS:
                    self._write(kept)
                    kept, since = [], time.monotonic()
        finally:
            self._write(kept)

    def _write(self, rows):
        for status in {row["status"] for row in rows}:
            part = [row for row in rows if row["status"] == status]
            types = [(key, pyarrow.string() if key in TEXT else pyarrow.float64()) for key in part[0]]
            content = pyarrow.BufferOutputStream()
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part, pyarrow.schema(types)), content)
            name = f"{TABLE}/{status}-{time.time_ns()}.parquet"
            self.folder.write(name, content.getvalue().to_pybytes())

    def tell(self, new, most=20):
        """Says what came of `new` photographs and of those before; returns the exit code."""
        rows, gone = self.rows(["status", "error"]), self.folder.gone(self.masks())
        failed = rows.filter(pyarrow.dataset.field("status") == "failed")["error"].to_pylist()
        for error in failed[:most]:
            complain(f"not done: {error}")
        if len(failed) > most:
            complain(f"and {len(failed) - most} more: the rows of {TABLE} whose status is failed")
        if len(failed) == rows.num_rows:
            raise Problem(f"None of the {counted(rows.num_rows, 'photograph')} could be done.")
        if failed:
            complain(f"When they are mended, remove {self.folder}/{TABLE}/failed-*.parquet "
                     "and run the same command again.")
        done = rows.num_rows - len(failed)
        say(f"{counted(done, 'photograph')} {'is' if done == 1 else 'are'} done{'' if new else ' already'}, "
            f"{len(failed)} could not be. "
            f"Masks and the table, {TABLE} (pandas.read_parquet reads it), are in {self.folder}")
        if gone:
            complain(f"{self.folder}: {with_example(gone, 'mask')} gone or empty. "
                     "--overwrite makes all anew.")
        return 1 if failed or gone else 0
