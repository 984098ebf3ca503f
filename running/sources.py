"""What results were made of, by content: which files were added, removed or changed since is known and named.

    sources = Sources(out, folders, {name: {"photograph": path, "mask": path}})
    if sources.changes: ...                                     in words, what differs from the run in `out`
    mark(out, settings, finished=False, **sources.for_run())

Places are relative to the data's folders, so that a project that was moved or copied goes on. A file of which
size and time are as before counts as unchanged; where they differ, or the time tells nothing, its content
decides.
"""

import os
from collections import defaultdict
from pathlib import Path

from running.again import mark, run_in
from running.command import Problem, complain, with_example
from running.files import as_cell, from_cell, sha256
from running.names import folded

UNKNOWN = "was made by an earlier version, so that what changed in the data since cannot be checked"

GROUPS = "part", "patient"  # of a split: to what a photograph belongs
TELLING = 347_155_200 * 10**9  # ns, from 1981 on; of 1980 or 1970 are files that an archive gives no time


class Sources:
    """The files of a run now, and those of the run that the folder `out` holds.

    items: {name: {role: path or None}}, a role being what the file is, 'photograph' say; besides, an item may
    have the texts of GROUPS. anew: whether the run in `out` does not count.
    """

    def __init__(self, out, folders, items, anew=False):
        run = {} if anew else run_in(out)
        self.out, self.items, self.folders = Path(out), items, labelled(folders)
        self.before = run.get("sources")
        self.unknown = bool(run) and self.before is None
        self.now = recorded(items, self.folders, self.before or {})
        self.changes = "" if self.before is None else differences(self.before, self.now)

    def called_as_before(self, names):
        """Returns {photograph: name}, each as the run in `out` called it; so are the sources from here on.

        It is called otherwise when its set was renamed, or another came with a photograph of its name.
        """
        before = self.before or {}
        gone = {item["photograph"]["sha256"]: name for name, item in before.items() if name not in self.now}
        former = {name: gone.pop(item["photograph"]["sha256"]) for name, item in self.now.items()
                  if name not in before and item["photograph"]["sha256"] in gone}
        self.items, self.now = ({former.get(name, name): item for name, item in known.items()}
                                for known in (self.items, self.now))
        self.changes = differences(before, self.now) if before else ""
        return {photograph: former.get(name, name) for photograph, name in names.items()}

    def for_run(self):
        """Returns what of it stands in run.json."""
        out = Path(os.path.realpath(self.out))
        places = {label: folder.resolve() for label, folder in self.folders.items()}
        return {"data": {label: as_cell(Path(os.path.relpath(folder, out)).as_posix()
                                        if folder.is_relative_to(out.parent) else folder.as_posix())
                         for label, folder in places.items()},
                "sources": self.now}

    def note_places(self):
        """Writes into the run.json in `out` where its files, which are these, lie now, if that is elsewhere.

        Returns whether it is.
        """
        run, here = run_in(self.out), self.for_run()
        same = self.unknown or (run["data"] == here["data"] and _places(run["sources"]) == _places(self.now))
        if not same:
            mark(self.out, **{**run, **here})
        return not same

    def changed_meanwhile(self):
        """Returns in words what has changed since this command began, "" if nothing has."""
        return differences(self.now, recorded(self.items, self.folders, self.now))

    def refuse_others(self, results, unfinished=False):
        """Raises Problem if the results in `out` are of other files, or if an unfinished run's may be.

        results: what they are, in words. Says so where a finished run cannot be checked.
        """
        if self.changes or (self.unknown and unfinished):
            raise self.mixed(results, f"{self.changes} since" if self.changes else f"it {UNKNOWN}")
        if self.unknown:
            complain(f"{self.out}: {UNKNOWN}. --overwrite makes the {results} anew.")

    def refuse_strangers(self, results):
        """Raises Problem if the results in `out` are of other photographs throughout.

        results: what they are, in words.
        """
        before, now = ({item["photograph"]["sha256"] for item in items.values()}
                       for items in (self.before or {}, self.now))
        if before and not before & now:
            raise Problem(f"{self.out}: holds the {results} of other photographs. "
                          "Choose another --out, or say --overwrite.")

    def mixed(self, results, why):
        return Problem(f"{self.out}: its {results} are not of the data as it is now: {why}. "
                       "Say --overwrite to make all of them anew, or choose another --out.")

    def stale(self, roles):
        """Returns the names, of both runs, whose files of these roles are not those of the run before."""
        before = self.before or {}
        return [name for name in {**before, **self.now}
                if _sums(before.get(name), roles) != _sums(self.now.get(name), roles)]


def _places(items):
    return {name: {role: file["path"] for role, file in item.items() if role not in GROUPS}
            for name, item in items.items()}


def _sums(item, roles):
    return None if item is None else [item.get(role, {}).get("sha256") for role in roles]


# ---- places ----------------------------------------------------------------------------------------------

def labelled(folders):
    """Returns {label: folder}; a label is the folder's name, "" if there is but one folder."""
    folders, found = list(map(Path, folders)), {}
    if len(folders) == 1:
        return {"": folders[0]}
    for folder in folders:
        name, count = folder.resolve().name or "data", 1
        while (label := name if count == 1 else f"{name}-{count}") in found:
            count += 1
        found[label] = folder
    return found


def place_of(path, folders):
    """Returns a path below one of {label: folder} as text that path_at turns back, an absolute one if not."""
    inside = [(label, folder) for label, folder in folders.items() if path.is_relative_to(folder)]
    if not inside:
        return as_cell(path.resolve().as_posix())
    label, folder = max(inside, key=lambda found: len(found[1].parts))
    below = path.relative_to(folder).as_posix()
    return as_cell(f"{label}/{below}" if label else below)


def path_at(place, folders):
    """Returns the path of a place, given {label: folder}."""
    place = from_cell(place)
    label, _, below = ("", "", place) if "" in folders else place.partition("/")
    return folders[label] / below if label in folders else Path(place)


def folders_of(run, out, given=None):
    """Returns {label: folder} of a run.json in `out`; given: where the data lies now, in the same order.

    Raises Problem if these are not as many as they were.
    """
    known = run.get("data")
    if known is None:  # an earlier version's: all its paths are absolute
        if given:
            raise Problem(f"{out}: was made by an earlier version, which knows no other place of the data. "
                          "Leave out --data, or run  python augment.py --overwrite  again.")
        return {"": Path()}
    if given and len(given) != len(known):
        raise Problem(f"--data: augment.py got {len(known)} of them for {out}, here are {len(given)}. "
                      "Give as many, in the same order.")
    if given:
        return dict(zip(known, given, strict=True))
    return {label: Path(os.path.normpath(Path(out).resolve() / from_cell(place)))
            for label, place in known.items()}


# ---- content ---------------------------------------------------------------------------------------------

def recorded(items, folders, before):
    """Returns what is known of each file; the checksum is that of `before` where size and time are alike."""
    return {name: {role: given if role in GROUPS else
                   described(given, place_of(given, folders), before.get(name, {}).get(role))
                   for role, given in item.items() if given}
            for name, item in items.items()}


def described(path, place, known=None):
    """Returns what is known of a file.

    The checksum is the known one where place, size and time are alike and the time is TELLING.
    """
    here = {"path": place}
    try:
        state = path.stat()
        here |= {"size": state.st_size, "mtime": state.st_mtime_ns}
        same = (known and state.st_mtime_ns >= TELLING
                and all(known.get(key) == value for key, value in here.items()))
        return here | {"sha256": known["sha256"] if same else sha256(path)}
    except OSError:  # whoever reads it says what is wrong
        return {"path": place, "size": None, "mtime": None, "sha256": None}


def differences(before, now):
    """Returns in words what was added, removed or changed, with an example of each, "" if nothing was."""
    found, moved = defaultdict(list), []
    for name in {**before, **now}:
        old, new = dict(before.get(name, {})), dict(now.get(name, {}))
        groups = [[folded(str(item.pop(key, ""))) for key in GROUPS] for item in (old, new)]
        if groups[0] != groups[1] and old and new:
            moved.append(next(iter(new.values()))["path"])
        roles = {**old, **new}
        for role in roles if old and new else list(roles)[:1]:  # one photograph stands for all that is its
            if role not in old or role not in new:
                found[role, "removed" if role in old else "added"].append(roles[role]["path"])
            elif old[role]["sha256"] != new[role]["sha256"]:
                found[role, "changed"].append(new[role]["path"])
    if moved and not found:  # else it moved because others came or went
        found["photograph", "moved to another part or patient"] = moved
    return ", ".join(with_example(list(map(from_cell, places)), role, what)
                     for (role, what), places in found.items())
