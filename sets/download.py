"""Fetches a public data set from its makers' site, checks every file of it, and only then puts it in place.

    download("chase_db1", "datasets")    -> datasets/CHASE_DB1, whole and original, or nothing

Archives arrive in datasets/.download, where a broken one waits to be continued; it goes when the set is in
place. An archive that a person saved in datasets/ under its own name is taken instead of the network, and
stays there. What an archive says about names and sizes is not believed: a member is chosen by the last part
of its name alone, is written where the list of originals says, and counts by the bytes that come out of it.
"""

import contextlib
import mmap
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from functools import partial
from hashlib import sha256
from pathlib import Path

from running.command import Problem, say
from sets.licences import SOURCES, by_browser, how_to_get
from sets.originals import BLOCK, content_sum, is_original, plain_name, sums
from sets.web import fetch

LARGEST_SET = 4_000_000_000  # bytes, unpacked
MOST_MEMBERS = 10_000  # of an archive
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, ValueError,
          NotImplementedError)


def download(name, into, addresses=None):
    """Fetches the set `name` ('chase_db1', 'hrf', 'stare') into the folder `into`. Returns its folder there.

    addresses: other ways than the official ones, [[address, ...], ...]: each way's archives together are the
    set. Raises Problem, and then there is no such folder.
    """
    source, into = SOURCES[name], Path(into)
    ways = addresses or source.ways
    if not ways:
        raise Problem(how_to_get(name, into))
    folder, workplace = into / source.folder, into / ".download" / source.folder
    if is_taken(folder):
        return _already_there(folder)
    say(f"{source.folder}, {source.page}\n{source.terms()}")
    try:
        workplace.mkdir(parents=True, exist_ok=True)
        _first_way_that_works(ways, source, folder, workplace)
    except (FileExistsError, NotADirectoryError) as error:
        raise Problem(f"{error.filename}: is a file where a folder should be. Move it away.") from error
    finally:
        for left in (*workplace.glob("*"), workplace, workplace.parent):
            with contextlib.suppress(OSError):
                left.rmdir()
    say(f"{folder}: complete, all files checked. {_unchecked(source)}".rstrip())
    return folder


def is_taken(folder):
    """Returns whether anything but an empty folder lies where a set is to be put."""
    return os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()))


def move_in(unpacked, folder):
    """Gives a folder the place of another, which is empty or not there."""
    if folder.is_dir():  # Windows renames nothing over it
        folder.rmdir()
    unpacked.rename(folder)


def _already_there(folder):
    matching, differing, known, _ = is_original(folder)
    if known and matching == known and not differing:
        say(f"{folder}: is already there, complete and original. Nothing to do.")
        return folder
    raise Problem(f"{folder}: is already there, but is not the complete original set. "
                  "Move it away to get it anew.")


def _unchecked(source):
    places = [place for place, digest in sums(source.folder).items() if digest is None]
    return f"(No sum is known of {', '.join(places)}: taken as they came.)" if places else ""


def _first_way_that_works(ways, source, folder, workplace):
    into, reasons = folder.parent, []
    for way in sorted(ways, key=lambda way: not _saved(way, into)):
        try:
            archives = _saved(way, into) or [_fetched(address, workplace) for address in way]
            _put_in_place(archives, source, folder, workplace)
            shutil.rmtree(workplace)
            return
        except Problem as problem:
            if _saved(way, into):
                raise Problem(f"{problem}. It was found in {into}: "
                              "delete it there, or save it anew.") from problem
            reasons.append(str(problem))
    raise Problem(f"{source.folder} could not be downloaded: {'; '.join(dict.fromkeys(reasons))}. "
                  f"Open {source.page} in a browser. {by_browser(source, into)}.")


def _saved(way, into):
    """Returns the paths of a way's archives if a person has saved all of them in `into`, else []."""
    paths = [into / address.rsplit("/", 1)[-1] for address in way]
    return paths if all(path.is_file() for path in paths) else []


def _fetched(address, workplace):
    # Copies of two sites may differ: each address has a file of its own to be continued.
    archive = workplace / sha256(address.encode()).hexdigest()[:8] / address.rsplit("/", 1)[-1]
    archive.parent.mkdir(exist_ok=True)
    if not archive.exists():
        fetch(address, archive)
    return archive


def _put_in_place(archives, source, folder, workplace):
    """Unpacks beside, checks all files, renames. If anything is wrong, archives that were fetched go too."""
    aside = workplace / "unpacked"
    shutil.rmtree(aside, ignore_errors=True)
    wanted, left = sums(source.folder), LARGEST_SET
    try:
        for archive in archives:
            left = _unpack(archive, {plain_name(place): place for place in wanted}, aside, left)
        _check(wanted, aside, " and ".join(archive.name for archive in archives))
        move_in(aside, folder)
    except Problem:
        for archive in archives:
            if workplace in archive.parents:
                archive.unlink()
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack(archive, places, aside, left):
    """Writes the members that are in `places`, {plain name: place}, to the folder `aside`.

    Returns how many bytes may still come of `left`.
    """
    try:
        members = (_zipped if archive.suffix == ".zip" else _tarred)(archive)
        with contextlib.closing(members):  # and with it the archive, which may have to be removed
            for name, opened in members:
                if plain_name(name) not in places:
                    continue
                place = aside / (places[plain_name(name)] + ".gz" * name.endswith(".gz"))
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened() as stream, open(place, "wb") as out:
                    while block := stream.read(BLOCK):
                        left -= len(block)
                        if left < 0:
                            raise Problem(f"{archive.name}: unpacks to more than {LARGEST_SET} bytes")
                        out.write(block)
                    out.flush()
                    os.fsync(out.fileno())
    except OSError as error:
        if error.errno is not None:  # a full disk is not the archive's fault; bzip2's damage has no number
            raise
        raise Problem(f"{archive.name}: is damaged ({error})") from error
    except DAMAGE as error:
        raise Problem(f"{archive.name}: is damaged, or not the archive ({error})") from error
    return left


def _zipped(archive):
    """Yields (name, function that opens it) of every member of a zip."""
    with open(archive, "rb") as file:
        # Counted before zipfile reads the list: a list of millions of empty members would fill the memory.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _not_too_many(archive, sum(1 for _ in re.finditer(rb"PK\x01\x02", content)))
        with zipfile.ZipFile(file) as members:
            for member in members.infolist():
                yield member.filename, partial(members.open, member)


def _tarred(archive):
    """Yields (name, function that opens it) of every plain file of a tar, not of links and devices."""
    with tarfile.open(archive, "r:") as members:
        for number, member in enumerate(members):
            _not_too_many(archive, number)
            if member.isreg():
                yield member.name, partial(members.extractfile, member)


def _not_too_many(archive, members):
    if members > MOST_MEMBERS:
        raise Problem(f"{archive.name}: has more than {MOST_MEMBERS} members, so it is not the set's")


def _check(wanted, aside, archives):
    """Raises Problem unless the folder `aside` holds all of `wanted`, {place: SHA-256 or None}."""
    for place, digest in wanted.items():
        path = next((path for path in (aside / place, aside / f"{place}.gz") if path.is_file()), None)
        if path is None:
            raise Problem(f"{archives}: {place} is missing, so nothing was kept")
        if digest is not None and content_sum(path) != digest:
            raise Problem(f"{archives}: {place} is not the original, so nothing was kept")
