"""Prediction on a Ray cluster, for eval.py --ray: all that knows Ray, imported by that flag alone.

    driver: lists -> tasks: read, decode, find the FOV -> actors: the network -> tasks: measure, write -> driver: the table

A photograph goes eval.py's own way, function by function: the masks are the same bytes. What fails is a row.
"""

import json
import logging
import os
import sys
import tempfile
from functools import partial, reduce
from pathlib import Path

import numpy as np
import ray.data
from tqdm import tqdm

import data
from files import Problem
from predict import Predictor, row_of, segment
from stores import Results, pending, reachable, store

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}  # no reports home, no notes on itself
PART = 100_000  # photographs that Ray plans at once, since it keeps a note of every block
MEMORY = 2e9  # bytes for a worker on a processor: TensorFlow's 0.8 GB, the network, a photograph
WAITING = 4e8  # bytes of decoded photographs that may wait, a worker; without a limit they fill the object store
DEATHS = 2  # workers that a photograph may take with it
EMPTY = {"photograph": np.zeros((0, 0, 3), np.uint8), "levels": np.zeros((0, 0), np.uint16),
         **dict.fromkeys(("fov", "mask"), np.zeros((0, 0), np.uint8))}


class Starts:
    """How often work on a file was begun and not ended: Ray itself begins for ever what kills its worker each time."""

    def __init__(self):
        self.open = {}

    def begin(self, file):
        self.open[file] = self.open.get(file, 0) + 1
        return self.open[file]

    def end(self, file):
        self.open.pop(file, None)


def attempt(step, starts, item):
    """step(item), or the item with the reason in `error`."""
    if item["error"]:
        return item
    try:
        if ray.get(starts.begin.remote(item["file"])) > DEATHS:
            raise Problem(f"{item['file']}: {DEATHS} workers died at this photograph. Convert it to PNG, or leave it out.")
        item = step(item)
    except Exception as error:  # whatever one photograph of ten million leads to must not end the others
        item = {**item, **EMPTY, "error": str(error) if isinstance(error, Problem) else f"{item['file']}: {error!r}"}
    starts.end.remote(item["file"])
    return item


def read(item):
    with store(item["place"])[0].open_input_stream(item["path"]) as stream:
        photograph = data.photograph_of(data.decode(stream.read(data.MOST_BYTES), item["file"]), item["file"])
    return {**item, **EMPTY, "photograph": photograph, "fov": data.found_fov(item["file"], photograph).view(np.uint8)}


class Worker:
    """The network in a process of its own, and steps around it; `model`: Ray's reference to the bytes of its file."""

    def __init__(self, model, card, plan, precision, cores, starts, before, after):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(cores)  # else all that it sees, whatever Ray gave it
        tf.config.threading.set_inter_op_parallelism_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "model.keras").write_bytes(ray.get(model))  # passed itself, a worker's restart may miss it
            Path(folder, "model.json").write_text(json.dumps(card))
            self.predictor = Predictor(Path(folder, "model.keras"), precision)
        self.plan, self.steps = plan, [before, partial(attempt, self.predict, starts), after]

    def __call__(self, item):
        return reduce(lambda item, step: step(item) if step else item, self.steps, item)

    def predict(self, item):
        levels, mask, _ = segment(self.predictor, self.plan, item["photograph"], item["fov"].view(bool))
        return {**item, "levels": levels, "mask": mask.view(np.uint8)}


def finish(out, card, starts, item):
    """Writes the mask; -> {"row": JSON}. A mask that cannot be written ends the job: that is not the photograph's fault."""
    def measure(item):
        given = item["photograph"], item["fov"].view(bool), item["levels"], item["mask"].view(bool)
        return {**item, "row": row_of(item["name"], item["file"], *given, card) | {"error": ""}}

    item = attempt(measure, starts, item)
    if item["error"]:
        return {"row": json.dumps({"name": item["name"], "file": item["file"], "status": "failed", "error": item["error"]})}
    Results(out).put_mask(item["name"], item["mask"])
    return {"row": json.dumps(item["row"])}


def shares(has):
    """What Ray has -> workers (one a GPU, else as cores and memory allow), cores of each, what it and a task ask Ray for."""
    gpus, cores = int(has.get("GPU", 0)), max(1, int(has["CPU"]))
    if gpus:
        return gpus, 1, {"num_gpus": 1}, 1
    workers = max(1, min(cores, int(has["memory"] / MEMORY)))
    return workers, cores // workers, {"num_cpus": 0.75 * (cores // workers)}, 0.25  # else no task would ever find room


def predicted(items, out, model, card, plan, precision):
    """Yields a row for each item, as they are done."""
    workers, cores, asks, share = shares(ray.cluster_resources())
    context, starts = ray.data.DataContext.get_current(), ray.remote(num_cpus=0)(Starts).remote()
    context.enable_progress_bars = False
    context.execution_options.resource_limits = ray.data.ExecutionResources(object_store_memory=WAITING * workers)
    before, after = partial(attempt, read, starts), partial(finish, out, card, starts)
    alone = cores == 1 and "num_gpus" not in asks  # no core is left for tasks, whose processes Ray ends whenever they wait
    given = ray.put(model), card, plan, precision, cores, starts, alone and before, alone and after
    for part in (items[first:first + PART] for first in range(0, len(items), PART)):
        few = min(8, max(1, len(part) // (8 * workers)))  # a block: fewer cost Ray more, more wait for the last worker
        rows = ray.data.from_items(part, override_num_blocks=-(-len(part) // few))
        rows = rows if alone else rows.map(before, num_cpus=share)
        rows = rows.map(Worker, fn_constructor_args=given, compute=ray.data.ActorPoolStrategy(size=workers), **asks)
        rows = rows if alone else rows.map(after, num_cpus=share)
        yield from (json.loads(row["row"]) for row in rows.iter_rows())


def main(options, model_file, card, plan, settings):
    """eval.py --ray: -> exit code."""
    results = Results(options.out)
    left = pending(options.photographs, {} if options.overwrite else results.names())
    results.begin(settings, options.overwrite)
    if not left:
        return results.tell(0)
    try:
        code = {"working_dir": str(data.HERE), "excludes": ["*", "!.", "!/*.py", "!/sets", "!/sets/*.py"],
                "env_vars": {"OPENCV_FOR_THREADS_NUM": "1"}}
        ray.init(reachable(options.ray), log_to_driver=False, logging_level=logging.ERROR, runtime_env=code)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what ends a job is told below, in a sentence
        rows = predicted(left, results.out, model_file.read_bytes(), card, plan, settings["precision"])
        results.add(tqdm(rows, total=len(left), unit="photograph", disable=not sys.stderr.isatty()))
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        raise Problem(f"The job stopped: {str(error).strip().splitlines()[-1]} Run the same command again to go on.") from error
    finally:
        ray.shutdown()
    return results.tell(len(left))
