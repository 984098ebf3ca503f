"""Photographs and results in folders or object stores alike, for cluster.py: listing, writing, the table of what is done.

    store("s3://bucket/folder")        pyarrow's file system and the path in it; a plain path works as well
    pending(places, done)              what is still to do
    Results(out)                       run.json, NAME_mask.png, and predictions.parquet: one table, a folder of parts
"""

import itertools
import json
import socket
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet
from pyarrow import fs

import data
from files import Problem, complain, say, write_bytes, write_png

TABLE, SECONDS = "predictions.parquet", 60
TEXT = ("name", "file", "warnings", "status", "error")  # every other column is a number


@lru_cache
def store(place):
    """A path or URI -> pyarrow's file system, the path in it, and what stands before such a path in the table."""
    if "://" not in place:
        return fs.LocalFileSystem(), str(Path(place).absolute()), ""
    try:
        return *fs.FileSystem.from_uri(place), place.partition("//")[0] + "//"
    except (ValueError, OSError, ImportError) as error:
        raise Problem(f"{place}: cannot be opened ({error}). Give a folder, or a URI of s3, gs, abfs or hdfs.") from error


def reachable(address):
    """The address of a cluster; Problem if nothing answers at its host and port, which Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise Problem(f"--ray {address}: nothing answers there ({error}). "
                      "Start the cluster (ray start --head), or give its address.") from error
    return address


def photographs(place):
    """Yields (path in the store, path below `place`): a file as given, or the pictures in a folder, in order."""
    system, root, _ = store(place)
    found = system.get_file_info(root)
    if found.type == fs.FileType.NotFound:
        raise Problem(f"{place}: there is no such photograph or folder.")
    if found.is_file:
        yield root, Path(root).name
        return
    try:
        inside = sorted(file.path for file in system.get_file_info(fs.FileSelector(root, recursive=True)) if file.is_file)
    except UnicodeDecodeError as error:
        raise Problem(f"{place}: holds a name that is not UTF-8 ({error.object!r}). Rename it, or run without --ray.") from error
    pictures = [path for path in inside if Path(path).suffix.lower() in data.EXTENSIONS and not Path(path).name.startswith(".")]
    if not pictures:
        raise Problem(f"{place}: there is no photograph in this folder ({', '.join(sorted(data.EXTENSIONS))}).")
    for path in pictures:
        yield path, path[len(root):].strip("/")


def pending(places, done):
    """What is to do, [{place, path, file, name, error}], in order. `done`: {file: name} of before; these names are taken."""
    names, left = set(done.values()), {}
    for place in places:
        before = store(place)[2]
        for path, below in photographs(place):
            file, stem = before + path, below.removesuffix(Path(below).suffix)
            if file not in done and file not in left:
                free = itertools.chain([stem, below], (f"{stem}_{k}" for k in itertools.count(2)))
                name = next(name for name in free if name not in names)
                names.add(name)
                left[file] = {"place": place, "path": path, "file": file, "name": name, "error": ""}
    return list(left.values())


class Results:
    """What a job writes to `out`. A photograph is done when it has a row; rows come last, so its mask is there."""

    def __init__(self, out):
        self.out = out if "://" in out else str(Path(out).absolute())  # workers stand in another folder
        self.system, self.path, before = store(out)
        self.shown = before + self.path  # without keys that the URI may hold

    def put(self, name, content):
        """Whole or not at all: an object appears when it is closed, a file when it is renamed."""
        if self.system.type_name == "local":
            write_bytes(f"{self.path}/{name}", content)
            return
        with self.system.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(content)

    def put_mask(self, name, mask):
        """(H, W) uint8 of 0 and 1, as eval.py writes it."""
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder, "mask.png")
            write_png(picture, mask * 255)
            self.put(f"{name}_mask.png", picture.read_bytes())

    def _is_there(self, name):
        return self.system.get_file_info(f"{self.path}/{name}").type != fs.FileType.NotFound

    def begin(self, settings, overwrite):
        """Refuses a folder of other settings or other things; with `overwrite` takes away what the table knows."""
        if overwrite and self._is_there(TABLE):
            for name in self.rows(["name", "status"]).filter(pyarrow.dataset.field("status") == "done")["name"].to_pylist():
                self.system.delete_file(f"{self.path}/{name}_mask.png")
            self.system.delete_dir(f"{self.path}/{TABLE}")
        elif not overwrite and self._is_there("run.json"):
            with self.system.open_input_stream(f"{self.path}/run.json") as stream:
                before = json.loads(stream.read())["settings"]
            told = [f"{key}: {before.get(key)} before, {now} now" for key, now in settings.items() if before.get(key) != now]
            if told:
                raise Problem(f"{self.shown}: holds a run with other settings ({'; '.join(told)}). "
                              "Say --overwrite, or choose another --out.")
        elif not overwrite and self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True)):
            raise Problem(f"{self.shown}: holds other files. Choose another --out, or say --overwrite to put results among them.")
        self.put("run.json", json.dumps({"settings": settings, "finished": True}, indent=2).encode())

    def names(self):
        """{file: name} of all that has a row."""
        rows = self.rows(["file", "name"])
        return dict(zip(rows["file"].to_pylist(), rows["name"].to_pylist(), strict=True))

    def rows(self, columns):
        """These columns of the table so far, as a pyarrow table."""
        if not self._is_there(TABLE):
            return pyarrow.table({key: pyarrow.array([], pyarrow.string()) for key in columns})
        return pyarrow.dataset.dataset(f"{self.path}/{TABLE}", filesystem=self.system, format="parquet").to_table(columns)

    def add(self, rows):
        """Puts rows (dicts) into the table as they come, a part a minute and the rest at the end, also after an error.

        Failed ones lie in parts of their own, after the others, whose columns readers take for those of the table: whoever
        mended the photographs removes these and runs again.
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
            schema = pyarrow.schema([(key, pyarrow.string() if key in TEXT else pyarrow.float64()) for key in part[0]])
            content = pyarrow.BufferOutputStream()
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part, schema), content)
            self.put(f"{TABLE}/{status}-{time.time_ns()}.parquet", content.getvalue().to_pybytes())

    def tell(self, new, most=20):
        """Says what came of `new` photographs and of those before; -> exit code."""
        rows = self.rows(["status", "error"])
        failed = rows.filter(pyarrow.dataset.field("status") == "failed")["error"].to_pylist()
        for error in failed[:most]:
            complain(f"not done: {error}")
        if len(failed) > most:
            complain(f"and {len(failed) - most} more: the rows of {TABLE} whose status is failed")
        if len(failed) == rows.num_rows:
            raise Problem(f"None of the {rows.num_rows} photographs could be done.")
        if failed:
            complain(f"When they are mended, remove {self.shown}/{TABLE}/failed-*.parquet and run the same command again.")
        say(f"{rows.num_rows - len(failed)} photographs are done{'' if new else ' already'}, {len(failed)} could not be. "
            f"Masks and the table, {TABLE} (pandas.read_parquet reads it), are in {self.shown}")
        return 1 if failed else 0
