"""Sets that come as one archive, of which the sum of the whole is known and not those of its files.

    download_archive(SOURCES["fives"], "datasets")    -> datasets/FIVES, or nothing and a Problem

An archive that a person saved in datasets/ is taken instead of the network, and stays there. It is unpacked
only if its sum is right; what is in it is then known, and nothing need be mistrusted.
"""

import contextlib
import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from running.command import Problem, say
from sets.download import is_taken, move_in
from sets.pairing import recognise, sets_in
from sets.web import fetch

# Python cannot unpack RAR. Each of these can if it is there: 7-Zip not always, and tar only where it is
# bsdtar, as on Windows and macOS.
UNRAR = (("bsdtar", "-xf", "{archive}", "-C", "{folder}"), ("unar", "-q", "-o", "{folder}", "{archive}"),
         ("7zz", "x", "-y", "-o{folder}", "{archive}"), ("7z", "x", "-y", "-o{folder}", "{archive}"),
         ("unrar", "x", "-idq", "{archive}", "{folder}/"), ("tar", "-xf", "{archive}", "-C", "{folder}"))


def download_archive(source, into, address=None):
    """Fetches the archive of a Source into the folder `into`, and unpacks it there. Returns the set's folder.

    address: another one than the official.
    """
    into, saved = Path(into), Path(into) / source.archive_name
    folder, workplace = into / source.folder, into / ".download" / source.folder
    if is_taken(folder):
        _refuse_parts(folder, source)
        say(f"{folder}: is already there. Nothing to do; move it away to get it anew.")
        return folder
    say(f"{source.folder}, {source.page}\n{source.terms()}")
    workplace.mkdir(parents=True, exist_ok=True)
    archive = saved if saved.exists() else workplace / source.archive_name
    if not archive.exists():
        try:
            fetch(address or source.archive, archive)
        except Problem as problem:
            raise Problem(f"{problem}. Open {source.page} in a browser, save {source.archive_name} in {into} "
                          "without unpacking, and give the command again.") from problem
    _check(archive, source, fetched=archive != saved)
    try:
        _unpack(archive, workplace / "unpacked", into)
        move_in(_set_in(workplace / "unpacked", source), folder)
    finally:
        shutil.rmtree(workplace / "unpacked", ignore_errors=True)
    shutil.rmtree(workplace)
    with contextlib.suppress(OSError):
        workplace.parent.rmdir()
    say(f"{folder}: complete, the archive's sum is right.")
    return folder


def _refuse_parts(folder, source):
    """Raises Problem unless the whole set is in its folder."""
    found = recognise(folder) if folder.is_dir() else None
    there = sum(own.mask is not None for own in found.photographs) if found else 0
    if there < source.photographs:
        raise Problem(f"{folder}: is already there, but holds {there} photographs with masks in place of the "
                      f"{source.photographs} of {source.folder}. Move it away, and give the command again.")


def _check(archive, source, fetched):
    with open(archive, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest == source.archive_sha256:
        return
    if fetched:  # the next call starts anew
        archive.unlink()
    raise Problem(f"{archive}: is not the original archive, by its SHA-256. Delete it if it is still there, "
                  "and give the command again.")


def _unpack(archive, folder, into):
    """Unpacks an archive into a new folder; raises Problem, and keeps a RAR in `into`, if nothing can."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as members:
            members.extractall(folder)
        return
    for command in UNRAR:
        words = [word.format(archive=archive, folder=folder) for word in command]
        if shutil.which(words[0]) and not subprocess.run(words, capture_output=True).returncode:
            return
    kept = into / archive.name
    if archive != kept:
        archive.rename(kept)
    raise Problem(f"{kept}: is here and sound, but is a RAR archive, and no program that unpacks those is. "
                  "Install one (bsdtar: Debian's libarchive-tools; unar; 7-Zip) and give the command again.")


def _set_in(folder, source):
    """Returns where in an unpacked archive the set lies."""
    found = [each.folder for each in sets_in(folder)[0] if each.name == source.folder]
    if not found:
        raise Problem(f"{source.archive_name}: holds no {source.folder} in its known layout. "
                      f"{source.page} says what it holds.")
    return found[0]
