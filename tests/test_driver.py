"""Prediction on a cluster: the bytes of eval.py, nothing lost, nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import LINUX, ROOT
from PIL import Image

from cluster.shipping import runtime_env
from photographs.formats import SEVERAL_PAGES
from running.command import Problem
from running.files import read_json

pytest.importorskip("ray", reason="pip install -r requirements-ray.txt")
if not LINUX:
    pytest.skip("clusters are tested on Linux", allow_module_level=True)

from cluster import driver  # noqa: E402


def test_an_address_where_nothing_answers_is_told_at_once():
    began = time.monotonic()
    with pytest.raises(Problem, match="nothing answers"):
        driver.reachable("127.0.0.1:1")
    assert time.monotonic() - began < 5
    assert driver.reachable("local") == "local" and driver.reachable("auto") == "auto"


# ---- one photograph --------------------------------------------------------------------------------------

ITEM = {"place": "/p", "file": "/p/a.png", "name": "a", "error": ""}


@pytest.fixture
def starts(monkeypatch):
    """The counter of starts without Ray around it."""
    counter = driver.Starts()
    monkeypatch.setattr(driver.ray, "get", lambda value: value)
    return SimpleNamespace(counter=counter, begin=SimpleNamespace(remote=counter.begin),
                           end=SimpleNamespace(remote=counter.end))


def test_what_goes_wrong_is_the_photographs_own_error(starts):
    def divide(item):
        return {**item, "value": 1 / 0}

    def refuse(item):
        raise Problem("/p/a.png: is damaged.")

    assert driver.attempt(refuse, starts, ITEM)["error"] == "/p/a.png: is damaged."
    wrong = driver.attempt(divide, starts, ITEM)
    assert wrong["error"].startswith("/p/a.png: ZeroDivisionError") and wrong["rgb"].size == 0
    assert driver.attempt(divide, starts, wrong) is wrong, "later steps leave it alone"
    assert not starts.counter.open


def test_a_photograph_at_which_two_workers_died_is_given_up(starts):
    starts.counter.begin("/p/a.png")
    assert driver.attempt(lambda item: item, starts, ITEM)["error"] == "", "one death may have been chance"
    for _ in range(2):
        starts.counter.begin("/p/a.png")
    assert "2 workers died" in driver.attempt(lambda item: item, starts, ITEM)["error"]
    assert not starts.counter.open


def two_pages(draw, path, seed):
    return draw.put(path, draw.eye(seed)[0], save_all=True, append_images=[Image.new("RGB", (40, 40))])


def test_what_should_be_said_of_a_file_comes_with_its_row_and_is_not_in_the_table(starts, draw, tmp_path):
    """Of several pages the largest was read without a word."""
    file = str(two_pages(draw, tmp_path / "a.tif", 3))
    item = driver.read({**ITEM, "place": file, "file": file})
    shape, remarks = item["fov"].shape, []
    item |= {"levels": np.zeros(shape, np.uint16), "mask": np.zeros(shape, np.uint8)}
    rows = [json.loads(driver.finish(str(tmp_path / "out"), {}, starts, each)["row"])
            for each in (item, {**item, **driver.EMPTY, "error": "is damaged"})]
    rows = list(driver.without_remarks(rows, remarks))
    assert [row["status"] for row in rows] == ["done", "failed"] and not any("remarks" in row for row in rows)
    assert remarks == [(file, SEVERAL_PAGES)]


@pytest.mark.parametrize("has, workers, cores", [
    ({"CPU": 2.0, "memory": 1e10}, 2, 1), ({"CPU": 64.0, "memory": 4e10}, 20, 3),
    ({"CPU": 1.0, "memory": 1e9}, 1, 1), ({"CPU": 64.0, "memory": 4e11, "GPU": 8.0}, 8, 1)])
def test_workers_are_as_many_as_gpus_or_as_cores_and_memory_allow(has, workers, cores):
    found, each, asks, share = driver.shares(has)
    assert (found, each) == (workers, cores)
    room = has["CPU"] - asks.get("num_cpus", 0) * found
    assert share <= room, "for a task beside the workers, or nothing would ever be read"


def test_a_worker_starts_tensorflow_by_itself_and_predicts_what_eval_does(tiny_model, draw, tmp_path):
    """In a process of its own, since threads are set before TensorFlow is used, and without its switches."""
    photograph = draw.put(tmp_path / "eye.png", draw.eye(3)[0])
    code = """if True:
        import os, sys
        from types import SimpleNamespace
        from cluster import driver
        from photographs.fov import found_fov
        from photographs.reading import read_photograph
        assert "tensorflow" not in sys.modules
        driver.ray.get = lambda value: value
        begin, end = (SimpleNamespace(remote=step) for step in (lambda file: 1, lambda file: None))
        starts = SimpleNamespace(begin=begin, end=end)
        from card import Plan
        model = open(sys.argv[1], "rb").read()
        worker = driver.Worker(model, Plan(), "float32", 1, starts, lambda item: driver.read(item), False)
        item = worker({"place": sys.argv[2], "file": sys.argv[2], "name": "eye", "error": ""})
        assert not item["error"], item["error"]
        import tensorflow as tf
        assert tf.config.threading.get_intra_op_parallelism_threads() == 1
        import checkpoint, numpy as np
        from predict import Predictor
        rgb = read_photograph(sys.argv[2])
        here = Predictor(checkpoint.load_network(sys.argv[1]), Plan(), "float32")
        segmented = here.segment(rgb, found_fov(sys.argv[2], rgb))
        assert np.array_equal(segmented.levels, item["levels"]) and segmented.levels.any()
        assert np.array_equal(segmented.mask, item["mask"].view(bool))
        print(os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
    """
    without = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    ended = subprocess.run([sys.executable, "-c", code, tiny_model, photograph], cwd=ROOT, env=without,
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ("1" if os.uname().machine in ("x86_64", "amd64") else "None")


# ---- a job -----------------------------------------------------------------------------------------------

def test_a_cluster_that_does_not_answer_leaves_no_trace(refused, draw, tiny_model, tmp_path):
    photograph = draw.put(tmp_path / "eye.png", draw.eye(3)[0])
    words = (photograph, "--model", tiny_model, "--out", tmp_path / "out", "--ray", "127.0.0.1:1")
    assert "nothing answers there" in refused("eval", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error, told", [
    (ConnectionError("noise\nThe head is gone."), "The head is gone."), (RuntimeError(), "RuntimeError.")])
def test_a_job_that_stops_is_not_finished_and_is_told_in_a_sentence(
        refused, draw, tiny_model, tmp_path, monkeypatch, error, told):
    def stop(*given, **how):
        raise error

    monkeypatch.setattr(driver.ray, "init", stop)
    photograph = draw.put(tmp_path / "eye.png", draw.eye(3)[0])
    words = (photograph, "--model", tiny_model, "--out", tmp_path / "out", "--ray", "local")
    sentence = refused("eval", *words)
    assert sentence == f"The job stopped: {told} Run the same command again to go on."
    assert not read_json(tmp_path / "out/run.json")["finished"]


def test_a_pen_that_the_model_lacks_costs_no_earlier_results(
        command, refused, draw, tiny_model, tmp_path, monkeypatch, everything):
    def predicted(items, *given):
        for item in items:
            (tmp_path / f"out/{item['name']}_mask.png").write_bytes(b"x")
            yield {"name": item["name"], "file": item["file"], "status": "done", "error": "", "remarks": ""}

    monkeypatch.setattr(driver, "start_ray", lambda address: None)
    monkeypatch.setattr(driver.ray, "shutdown", lambda: None)
    monkeypatch.setattr(driver, "predicted", predicted)
    photograph = draw.put(tmp_path / "eye.png", draw.eye(3)[0])
    words = ("eval", photograph, "--model", tiny_model, "--ray", "local", "--out")
    assert command(*words, tmp_path / "out").code == 0
    before = everything(tmp_path / "out")
    for out in ("out", "new"):
        assert "--pen nobody's" in refused(*words, tmp_path / out, "--overwrite", "--pen", "nobody's")
    assert everything(tmp_path / "out") == before and not (tmp_path / "new").exists()


# ---- a cluster of two nodes ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def nodes():
    """The address of two nodes with a core each, on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200 * 2**20)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, draw):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(10):
        rgb = draw.eye(number, 200 + 20 * number, 220)[0]
        draw.put(folder / f"patient{number % 2}" / f"eye{number}.png", rgb)
    (folder / "empty.png").touch()
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"0" * 500)
    draw.put(folder / "dark.png", np.zeros((100, 100, 3), np.uint8))
    return folder


def predict(photographs, out, model, *words):
    command = [sys.executable, ROOT / "eval.py", photographs, "--out", out, "--model", model,
               "--precision", "float32", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900, check=False)


def masks(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*_mask.png")}


def workers():
    """Process ids of the actors that hold the model."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"ray::MapWorker(Map(Worker)"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_a_cluster_writes_the_bytes_of_one_machine_though_a_worker_dies(
        nodes, photographs, tiny_model, tmp_path, everything):
    plain = predict(photographs, tmp_path / "plain", tiny_model)
    assert plain.returncode == 1, plain.stderr
    out = tmp_path / "ray"
    words = [sys.executable, ROOT / "eval.py", photographs, "--out", out, "--model", tiny_model,
             "--precision", "float32", "--ray", nodes]
    job = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while job.poll() is None and not list(out.rglob("*_mask.png")):
        time.sleep(0.05)
    victims = workers()
    assert victims, "the job ended before a worker could be killed"
    assert not read_json(out / "run.json")["finished"]
    os.kill(victims[0], signal.SIGKILL)
    told, wrong = job.communicate(timeout=600)
    assert job.returncode == 1, wrong
    assert read_json(out / "run.json")["finished"]
    assert len(masks(out)) == 10 and "patient1/eye3_mask.png" in masks(out)
    assert masks(tmp_path / "plain") == masks(out)
    table = pd.read_parquet(out / "predictions.parquet").set_index("name")
    below = [path.relative_to(photographs).with_suffix("").as_posix() for path in photographs.rglob("*.*")]
    assert sorted(table.index) == sorted(below)
    assert sorted(table.index[table["status"] == "failed"]) == ["cut", "dark", "empty"]
    assert "0 bytes" in table.loc["empty", "error"]
    csv = pd.read_csv(tmp_path / "plain" / "predictions.csv").set_index("name")
    for column in ("width", "height", "fov_share", "vessel_density", "certainty"):
        assert np.array_equal(table.loc[csv.index, column], csv[column], equal_nan=True), column
    before = everything(out)
    again = predict(photographs, out, tiny_model, "--ray", nodes)
    assert again.returncode == 1 and "10 photographs are done already" in again.stdout
    assert before == everything(out)


@pytest.mark.slow
def test_tasks_beside_workers_of_several_cores_write_the_same_bytes(
        nodes, photographs, tiny_model, tmp_path, monkeypatch, command):
    assert predict(photographs, tmp_path / "plain", tiny_model).returncode == 1
    monkeypatch.setattr(driver, "shares", lambda has: (1, 2, {"num_cpus": 0.75}, 0.25))
    ended = command("eval", photographs, "--out", tmp_path / "ray", "--model", tiny_model,
                    "--precision", "float32", "--ray", nodes)
    assert ended.code == 1, ended.err
    assert len(masks(tmp_path / "ray")) == 10 and masks(tmp_path / "ray") == masks(tmp_path / "plain")
    assert (pd.read_parquet(tmp_path / "ray/predictions.parquet")["status"] == "failed").sum() == 3


@pytest.mark.slow
def test_what_should_be_said_of_files_is_said_of_all_together(nodes, draw, tiny_model, tmp_path, command):
    files = [two_pages(draw, tmp_path / f"eyes/{name}.tif", seed) for seed, name in enumerate("ab")]
    draw.put(tmp_path / "eyes/c.png", draw.eye(7)[0])
    ended = command("eval", tmp_path / "eyes", "--out", tmp_path / "ray", "--model", tiny_model,
                    "--ray", nodes)
    assert ended.code == 0, ended.err
    assert f"2 files, {files[0]} for one: each {SEVERAL_PAGES}" in ended.err.splitlines()
    assert "remarks" not in pd.read_parquet(tmp_path / "ray/predictions.parquet")


@pytest.mark.slow
def test_a_photograph_that_kills_its_worker_each_time_is_a_row_and_the_others_are_done(nodes):
    import ray

    def deadly(item):
        if item["name"] == "b":
            os._exit(1)
        return item

    ray.init(nodes, log_to_driver=False, runtime_env=runtime_env())
    try:
        starts = ray.remote(num_cpus=0)(driver.Starts).remote()
        items = [{**ITEM, "file": name, "name": name} for name in "abcdef"]
        rows = ray.data.from_items(items, override_num_blocks=2)
        rows = rows.map(partial(driver.attempt, deadly, starts), num_cpus=0.25).take_all()
    finally:
        ray.shutdown()
    assert sorted(row["name"] for row in rows) == list("abcdef")
    given_up = [row["name"] for row in rows if "workers died" in row["error"]]
    assert given_up == ["b"]
