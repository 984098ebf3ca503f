"""Prediction on a Ray cluster, for eval.py --ray: all that knows Ray, imported by that flag alone.

    driver: lists, leaves out what the table holds -> tasks: read, decode, find the FOV -> actors: the network
    -> tasks: measure, write the mask -> driver: the table

A photograph goes eval.py's own way, function by function: the masks are the same bytes. What fails is a row.
"""

import json
import logging
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import data
import eval as single
from files import Problem, say, start_tensorflow, write_png
from stores import Results, pending, store

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}  # no reports home, no notes on itself
try:
    import ray
    import ray.data
except ImportError as error:
    raise Problem(f"--ray needs {error.name}: pip install -r requirements-ray.txt") from error

CODE = ["*", "!.", "!/*.py", "!/sets", "!/sets/*.py"]  # what of this folder travels to the workers, as .gitignore says it
PART = 100_000  # photographs that Ray plans at once, since it keeps a note of every block
MEMORY = 2e9  # bytes for a worker on a processor: TensorFlow's 0.8 GB, the network, a photograph
WAITING = 4e8  # bytes of decoded photographs that may wait, a worker; without a limit they fill the object store
DEATHS = 2  # workers that a photograph may take with it
EMPTY = {"photograph": np.zeros((0, 0, 3), np.uint8), "fov": np.zeros((0, 0), np.uint8),
         "levels": np.zeros((0, 0), np.uint16), "mask": np.zeros((0, 0), np.uint8)}


class Starts(dict):
    """How often work on a file was begun and not ended: Ray itself begins for ever what kills its worker each time."""

    def begin(self, file):
        self[file] = self.get(file, 0) + 1
        return self[file]

    def end(self, file):
        self.pop(file, None)


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
        photograph = data.photograph_of(data.decode(stream.read(), item["file"]), item["file"])
    return {**item, **EMPTY, "photograph": photograph, "fov": single.found_fov(item["file"], photograph).view(np.uint8)}


class Worker:
    """The network in a process of its own; `files`: Ray's reference to the bytes of the model and of its card, by name."""

    def __init__(self, files, plan, precision, cores, starts):
        import tensorflow as tf

        from predict import Predictor

        tf.config.threading.set_intra_op_parallelism_threads(cores)  # else all that it sees, whatever Ray gave it
        tf.config.threading.set_inter_op_parallelism_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in ray.get(files).items():
                Path(folder, name).write_bytes(content)
            self.predictor = Predictor(Path(folder, "model.keras"), precision)
        self.plan, self.starts = plan, starts

    def predict(self, item):
        levels, mask, _ = single.segment(self.predictor, self.plan, item["photograph"], item["fov"].view(bool))
        return {**item, "levels": levels, "mask": mask.view(np.uint8)}

    def __call__(self, item):
        return attempt(self.predict, self.starts, item)


def finish(out, card, starts, item):
    """Writes the mask; -> {"row": JSON}. A mask that cannot be written ends the job: the disk is at fault."""
    def measure(item):
        given = item["photograph"], item["fov"].view(bool), item["levels"], item["mask"].view(bool)
        return {**item, "row": single.row_of(item["name"], item["file"], *given, card)}

    item = attempt(measure, starts, item)
    if item["error"]:
        return {"row": json.dumps({"name": item["name"], "file": item["file"], "status": "failed", "error": item["error"]})}
    with tempfile.TemporaryDirectory() as folder:
        write_png(Path(folder, "mask.png"), item["mask"] * np.uint8(255))
        Results(out).put(f"{item['name']}_mask.png", Path(folder, "mask.png").read_bytes())
    return {"row": json.dumps(item["row"])}


def predicted(items, out, files, plan, precision):
    """Yields a row for each item, as they are done; as many workers as the cluster has GPUs, or cores with memory."""
    has = ray.cluster_resources()
    gpus, cores = int(has.get("GPU", 0)), int(has["CPU"])
    count = gpus or max(1, min(cores, int(has["memory"] / MEMORY)))
    each = cores // count or 1
    # a worker on a processor leaves a quarter of its cores to tasks, which Ray would else never start
    asks, share = ({"num_gpus": 1}, 1) if gpus else ({"num_cpus": 0.75 * each}, 0.25)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False
    settings.execution_options.resource_limits = ray.data.ExecutionResources(object_store_memory=WAITING * count)
    starts = ray.remote(num_cpus=0)(Starts).remote()
    card, files = json.loads(files["model.json"]), ray.put(files)  # by reference, or a worker's restart may miss them
    for first in range(0, len(items), PART):
        part = items[first:first + PART]
        blocks = ray.data.from_items(part, override_num_blocks=-(-len(part) // min(8, len(part) // (8 * count) or 1)))
        done = blocks.map(partial(attempt, read, starts), num_cpus=share).map(
            Worker, fn_constructor_args=(files, plan, precision, each, starts),
            compute=ray.data.ActorPoolStrategy(size=count), **asks).map(partial(finish, out, card, starts), num_cpus=share)
        yield from (json.loads(row["row"]) for row in done.iter_rows())


def columns(card):
    """Those of the table: what eval.py's row of any photograph has, and why there is none."""
    grey, inside = np.full((64, 64, 3), 99, np.uint8), np.ones((64, 64), bool)
    row = single.row_of("", "", grey, inside, np.zeros((64, 64), np.uint16), ~inside, card)
    return [*row, "error"]


def segment_all(options, model_file, plan, left, results):
    from tqdm import tqdm

    import model as models

    files = {"model.keras": model_file.read_bytes(), "model.json": model_file.with_suffix(".json").read_bytes()}
    ray.init(options.ray, log_to_driver=False, logging_level=logging.ERROR, runtime_env={
        "working_dir": str(Path(__file__).parent), "excludes": CODE,
        "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "2", "OPENCV_FOR_THREADS_NUM": "1"}})
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = predicted(left, results.out, files, plan, models.hardware_precision(options.precision))
    try:
        results.add(tqdm(rows, total=len(left), unit="photograph", disable=not sys.stderr.isatty()),
                    columns(json.loads(files["model.json"])))
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Problem(f"The job stopped ({reason}). What has a row is done; run the same command again to go on.") from error
    finally:
        ray.shutdown()


def main(options):
    """eval.py --ray: -> exit code."""
    if options.show:
        raise Problem("--show opens windows on this machine; leave it out with --ray.")
    start_tensorflow()
    import model as models

    model_file, results = models.find_model(options.model), Results(options.out)
    say(f"Model: {model_file}")
    plan = single.chosen_plan(options, models.load(model_file)[1])
    left = pending(options.photographs, {} if options.overwrite else results.names())
    results.begin(single.settings_of(options, model_file), options.overwrite)
    if left:
        segment_all(options, model_file, plan, left, results)
    return results.tell(len(left))
