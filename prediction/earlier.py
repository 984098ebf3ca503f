"""What earlier runs have left in a results folder: whose a picture is there, and whether rows would be lost.

    earlier = Earlier(folder, rows)            prediction.rows.Rows
    earlier.refuse_lost_rows(named, removed)
    earlier.own(names, pictures)               files that are somebody's own

run.json holds, beside what running.again writes, the names `begun`, of which pictures but no row may be
there, and those `removed`, of which predictions.csv may still have a row.
"""

from prediction.rows import in_cell, lacking, table_in, told_lacking
from running.again import earlier_run
from running.command import Problem, complain


class Earlier:
    """What the earlier runs in a folder know of it.

    run: as of earlier_run; names: of the rows on disk; table: {name: file} of predictions.csv as it is there.
    """

    def __init__(self, folder, rows):
        self.folder, self.rows, self.run = folder, rows, earlier_run(folder)
        self.names, self.table = set(rows.names()), table_in(folder)

    def listed(self, key):
        """Returns the names that an unfinished run has noted under a key."""
        return set((self.run or {}).get(key, ()))

    def refuse_lost_rows(self, named, removed):
        """Raises Problem if predictions.csv has rows that .rows lacks and that are not among {path: name}.

        Those that are among them are done anew, which is said. removed: names whose rows are to go.
        """
        gone = lacking(self.table, self.rows, removed)
        now = {in_cell(name): in_cell(path.as_posix()) for path, name in named.items()}
        lost = [name for name, file in gone.items() if now.get(name) != file]
        if lost:
            raise Problem(f"{told_lacking(self.folder, lost)}. Copy that hidden folder from where the "
                          "results came, give these photographs too, choose another --out, or say "
                          "--overwrite to make all anew.")
        if gone:
            complain(f"{told_lacking(self.folder, gone)}. These photographs are done anew.")

    def own(self, names, pictures):
        """Returns the names of these whose pictures no earlier run can have written.

        A run that was killed, or failed at a photograph, has written the first of pictures(name) before the
        others, and its row after them.
        """
        if self.run is None:
            return list(names)
        names = [name for name in names if name not in self.names and in_cell(name) not in self.table]
        begun = self.listed("begun")
        if "begun" not in self.run and not self.run.get("finished"):
            begun = set(names)  # killed, and of an earlier version, which noted none
        return [name for name in names if name not in begun or self.folder.gone(pictures(name)[:1])]
