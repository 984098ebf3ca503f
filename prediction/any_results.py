"""What all results folders do alike: they hold one run, and replace no file of somebody's own."""

from running.again import earlier_run, lost, mark, same_as_before
from running.command import Problem
from running.files import written


class Results:
    """What all results folders do alike; prediction.results and cluster.stores say where rows are.

    folder: a running.files.Folder or cluster.stores.Store; kinds: which of KINDS each photograph gets.
    theirs: a name in the folder by which its results are kept otherwise, with --ray or without it, if any.
    """

    def __init__(self, folder, settings, kinds, overwrite, theirs):
        """Raises Problem if the folder holds results of other settings or other files; changes nothing."""
        if theirs:
            raise Problem(f"{folder}/{theirs}: is of a run that keeps its results otherwise, with --ray or "
                          "without it. Choose another --out.")
        self.folder, self.settings, self.kinds, self.overwrite = folder, settings, kinds, overwrite
        self.complete = True
        self.state = same_as_before(folder, settings, overwrite)
        self.known = {} if self.state == "new" else self.read_known()

    def pictures(self, name):
        return [f"{name}_{kind}.png" for kind in self.kinds]

    def begin(self, named):
        """Makes the folder hold this run, unfinished.

        What earlier runs left goes if it is to be overwritten, or if only what is hidden is left of them.
        Raises Problem if a picture would replace a file that is not from an earlier run.
        """
        own = self.folder.first_there(self.strange(named.values()))
        if own:
            raise lost(f"{self.folder}/{own}")
        if self.state == "new":
            run = earlier_run(self.folder)
            if run is not None:
                mark(self.folder, {}, finished=False)  # killed while being cleared: not a run that goes on
            for picture in self.earlier_pictures((run or {}).get("settings")):
                self.folder.remove(picture)
            self.remove_rows()
        mark(self.folder, self.settings, finished=False, **self.unfinished())

    def write(self, write, *given):
        """Calls write(*given); where a file is open in another program the run is not complete."""
        self.complete = written(write, *given) and self.complete

    def unfinished(self):
        """Returns what else of an unfinished run stands in run.json."""
        return {}

    def finish(self, **more):
        """Writes that all is done, if it is, and `more` of it."""
        mark(self.folder, self.settings, finished=self.complete, **more)
