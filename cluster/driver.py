"""Prediction on a Ray cluster, for eval.py --ray: all that knows Ray, imported by that flag alone.

    driver: list -> tasks: read, find the FOV -> actors: the network -> tasks: measure, write -> driver: table

A photograph goes eval.py's own way, function by function: the masks are the same bytes. What fails is a row.
TensorFlow is imported by the actors only.
"""

import json
import logging
import os
import socket
import sys
import tempfile
from functools import partial, reduce
from itertools import islice
from pathlib import Path

import numpy as np
import ray.data
from tqdm import tqdm

from cluster.shipping import runtime_env
from cluster.stores import Store, StoredResults, find_stored, store
from photographs.formats import LARGEST_FILE
from photographs.fov import found_fov
from photographs.reading import rgb_from, summed_up
from prediction.drawn import picture_of
from prediction.segmented import Segmented, row_of
from running.command import Problem, complain
from running.files import as_png
from running.tensorflow_start import start_tensorflow

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}  # no reports home, no notes
PART = 100_000  # photographs that Ray plans at once, since it keeps a note of every block
MEMORY = 2e9  # bytes for a worker on a processor: TensorFlow's 0.8 GB, the network, a photograph
WAITING = 4e8  # bytes of decoded photographs that may wait for a worker; unlimited they fill Ray's store
DEATHS = 2  # workers that a photograph may take with it
EMPTY = {"rgb": np.zeros((0, 0, 3), np.uint8), "levels": np.zeros((0, 0), np.uint16),
         **dict.fromkeys(("fov", "mask"), np.zeros((0, 0), np.uint8)), "pen": "", "remarks": ""}


class Starts:
    """How often work on a file was begun and not ended: Ray would begin for ever what kills each worker."""

    def __init__(self):
        self.open = {}

    def begin(self, file):
        self.open[file] = self.open.get(file, 0) + 1
        return self.open[file]

    def end(self, file):
        self.open.pop(file, None)


def attempt(step, starts, item):
    """Returns step(item), or the item with the reason in `error`."""
    file = item["file"]
    if item["error"]:
        return item
    try:
        if ray.get(starts.begin.remote(file)) > DEATHS:
            raise Problem(f"{file}: {DEATHS} workers died at this photograph. "
                          "Convert it to PNG, or leave it out.")
        item = step(item)
    except Exception as error:  # whatever one photograph of ten million leads to must not end the others
        item = {**item, **EMPTY, "error": str(error) if isinstance(error, Problem) else f"{file}: {error!r}"}
    starts.end.remote(file)
    return item


def read(item):
    system, _, before = store(item["place"])
    with system.open_input_stream(item["file"].removeprefix(before)) as stream:
        remarks = []
        rgb = rgb_from(stream.read(LARGEST_FILE), item["file"], remarks)
    return {**item, **EMPTY, "rgb": rgb, "fov": found_fov(item["file"], rgb).view(np.uint8),
            "remarks": "\n".join(sentence for _, sentence in remarks)}


class Worker:
    """The network in a process of its own, and the steps around it.

    model: Ray's reference to the bytes of the model file; before, after: steps of this module, or False.
    """

    def __init__(self, model, plan, precision, cores, starts, before, after):
        start_tensorflow()
        import tensorflow as tf

        import checkpoint
        from predict import Predictor

        # Otherwise it takes all the cores that it sees, however few Ray gave it.
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.keras")
            file.write_bytes(ray.get(model))  # passed itself, a worker's restart may miss it
            self.predictor = Predictor(checkpoint.load_network(file), plan, precision)
        self.steps = [before, partial(attempt, self.predict, starts), after]

    def __call__(self, item):
        return reduce(lambda item, step: step(item) if step else item, self.steps, item)

    def predict(self, item):
        segmented = self.predictor.segment(item["rgb"], item["fov"].view(bool))
        return {**item, "levels": segmented.levels, "mask": segmented.mask.view(np.uint8),
                "pen": segmented.pen}


def finish(out, card, starts, item):
    """Writes the mask and returns {"row": JSON}, with what should be said of the file under `remarks`.

    A mask that cannot be written ends the job: that is not the photograph's fault.
    """
    def measure(item):
        return {**item, "row": row_of(item["name"], item["file"], segmented_of(item), card) | {"error": ""}}

    item = attempt(measure, starts, item)
    if item["error"]:
        failed = {key: item[key] for key in ("name", "file", "error", "remarks")} | {"status": "failed"}
        return {"row": json.dumps(failed)}
    picture = as_png(picture_of("mask", segmented_of(item)), item["file"])
    Store(out).write(f"{item['name']}_mask.png", picture)
    return {"row": json.dumps(item["row"] | {"remarks": item["remarks"]})}


def segmented_of(item):
    return Segmented(item["rgb"], item["fov"].view(bool), item["levels"], item["mask"].view(bool),
                     pen=item["pen"])


def shares(has):
    """Returns the number of workers, the cores of each, what each asks Ray for, and a task's CPUs.

    has: Ray's resources. There is a worker for each GPU, or else as many as cores and memory allow.
    """
    gpus, cores = int(has.get("GPU", 0)), max(1, int(has["CPU"]))
    if gpus:
        return gpus, 1, {"num_gpus": 1}, 1
    workers = max(1, min(cores, int(has["memory"] / MEMORY)))
    asks = {"num_cpus": 0.75 * (cores // workers)}  # with all of them no task would ever find room
    return workers, cores // workers, asks, 0.25


def predicted(items, out, model, card, plan, precision):
    """Yields a row for each item of an iterator, as they are done."""
    workers, cores, asks, share = shares(ray.cluster_resources())
    context, starts = ray.data.DataContext.get_current(), ray.remote(num_cpus=0)(Starts).remote()
    context.enable_progress_bars = False
    waiting = ray.data.ExecutionResources(object_store_memory=WAITING * workers)
    context.execution_options.resource_limits = waiting
    before, after = partial(attempt, read, starts), partial(finish, out, card, starts)
    # With one core a worker none is left for tasks, and Ray ends the process of a task whenever it waits.
    alone = cores == 1 and "num_gpus" not in asks
    given = ray.put(model), plan, precision, cores, starts, alone and before, alone and after
    while part := list(islice(items, PART)):
        # Photographs in a block: with fewer Ray costs more, with more all wait longer for the last worker.
        few = min(8, max(1, len(part) // (8 * workers)))
        rows = ray.data.from_items(part, override_num_blocks=-(-len(part) // few))
        rows = rows if alone else rows.map(before, num_cpus=share)
        pool = ray.data.ActorPoolStrategy(size=workers)
        rows = rows.map(Worker, fn_constructor_args=given, compute=pool, **asks)
        rows = rows if alone else rows.map(after, num_cpus=share)
        yield from (json.loads(row["row"]) for row in rows.iter_rows())


def without_remarks(rows, remarks):
    """Yields rows without their remarks, which are added to a list as photographs.reading does."""
    for row in rows:
        remarks += [(row["file"], sentence) for sentence in row.pop("remarks").splitlines()]
        yield row


def main(options, model_file, card, settings):
    """Does what eval.py --ray asks for, and returns the exit code."""
    results = StoredResults(options.out, settings, options.overwrite)
    found = find_stored(options.photographs, options.out)
    named = results.names({file: below for file, (_, below) in found.items()})
    left = results.left(named)
    if not left and results.state == "finished":
        return results.tell(0)
    address = reachable(options.ray)
    plan = card.plan(options.tta, options.threshold, options.pen)  # what it refuses costs no earlier results
    results.begin(named)
    remarks = []
    try:
        start_ray(address)
        items = ({"place": found[file][0], "file": file, "name": name, "error": ""}
                 for file, name in left.items())
        rows = predicted(items, results.folder.place, model_file.read_bytes(), card, plan,
                         settings["precision"])
        rows = without_remarks(rows, remarks)
        results.add(tqdm(rows, total=len(left), unit="photograph", disable=not sys.stderr.isatty()))
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        reason = str(error).strip().rpartition("\n")[2] or f"{type(error).__name__}."
        raise Problem(f"The job stopped: {reason} Run the same command again to go on.") from error
    finally:
        ray.shutdown()
        for sentence in summed_up(remarks):
            complain(sentence)
    results.finish()
    return results.tell(len(left))


def reachable(address):
    """Returns the address of a cluster; raises Problem if nothing answers at its host and port.

    Ray itself would go on trying for many minutes.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise Problem(f"--ray {address}: nothing answers there ({error}). "
                      "Start the cluster (ray start --head), or give its address.") from error
    return address


def start_ray(address):
    os.environ |= QUIET
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=runtime_env())
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what ends a job is told in a sentence
