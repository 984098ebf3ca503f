"""Prediction on a cluster: the bytes of eval.py, nothing lost, nothing done twice; folders and object stores alike."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from files import Problem


def test_without_ray_a_sentence_says_what_to_install(refused, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    told = refused("eval", tmp_path, "--ray", "local", "--out", tmp_path / "o")
    assert "pip install -r requirements.txt -r requirements-ray.txt" in told
    assert not (tmp_path / "o").exists()


def imported(path):
    """Names of the modules that a file imports, at its top or anywhere."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    return {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names} | {
        node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_all_of_ray_lies_in_one_small_room_that_opens_when_asked():
    assert {path.name for path in ROOT.glob("*.py") if "ray" in imported(path)} == {"cluster.py"}
    assert {path.name for path in ROOT.glob("*.py") if "cluster" in imported(path)} == {"eval.py"}
    assert len((ROOT / "cluster.py").read_text().splitlines()) < 150
    opened = "import eval, sys; sys.exit('cluster' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", opened], cwd=ROOT).returncode == 0


# ---- folders and stores --------------------------------------------------------------------------------------------

@pytest.fixture
def stores():
    pytest.importorskip("pyarrow", reason="pip install -r requirements-ray.txt")
    import stores

    return stores


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def named(stores, *places, done=None):
    above = Path(places[0]).parent
    items = stores.pending(list(map(str, places)), done or {})
    return {Path(item["file"]).relative_to(above).as_posix(): item["name"] for item in items}


def test_pictures_in_folders_below_keep_their_place_and_others_are_left_out(stores, tmp_path):
    touch(tmp_path / "a", "2024/left.JPG", "2024/right.png", "2025/left.jpg", "notes.txt", ".hidden.png", "top.tif")
    assert named(stores, tmp_path / "a") == {"a/2024/left.JPG": "2024/left", "a/2024/right.png": "2024/right",
                                             "a/2025/left.jpg": "2025/left", "a/top.tif": "top"}


def test_no_two_photographs_get_one_name_and_none_is_taken_twice(stores, tmp_path):
    touch(tmp_path, "a/x.jpg", "a/x.png", "b/x.png")
    names = named(stores, tmp_path / "a", tmp_path / "b", tmp_path / "b/x.png")
    assert names == {"a/x.jpg": "x", "a/x.png": "x.png", "b/x.png": "x_2"}


def test_a_name_stays_with_its_file_when_photographs_are_added(stores, tmp_path):
    touch(tmp_path, "a/x.gif", "a/x.jpg", "a/y.png")
    assert named(stores, tmp_path / "a", done={str(tmp_path / "a/x.jpg"): "x"}) == {"a/x.gif": "x.gif", "a/y.png": "y"}


@pytest.mark.parametrize("place, sentence", [("gone", "no such photograph"), ("empty", "no photograph in this folder"),
                                             ("nowhere://bucket/x", "cannot be opened")])
def test_a_place_without_photographs_is_named(stores, tmp_path, monkeypatch, place, sentence):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=f"{place}.*{sentence}"):
        stores.pending([place], {})


def test_a_name_that_pyarrow_cannot_read_is_told(stores, tmp_path):
    (tmp_path / os.fsdecode(b"odd\xff.png")).touch()
    with pytest.raises(Problem, match="not UTF-8.*Rename it"):
        stores.pending([str(tmp_path)], {})


def test_keys_in_a_uri_are_not_told(results, capsys):
    results.out = "s3://key:secret@out"
    results.add([done("a"), failed("b")])
    results.tell(2)
    assert "secret" not in "".join(capsys.readouterr())


def done(name, **more):
    return {"name": name, "file": f"/p/{name}.png", "width": 5, "vessel_density": float("nan"), "warnings": "",
            "status": "done", "error": "", **more}


def failed(name):
    return {"name": name, "file": f"/p/{name}.png", "status": "failed", "error": f"{name} is damaged"}


@pytest.fixture(params=["folder", "object store"])
def results(request, stores, tmp_path, monkeypatch):
    """Of a folder, and of something that has no renaming."""
    from pyarrow import fs

    if request.param == "object store":
        (tmp_path / "bucket").mkdir()
        (tmp_path / "bucket" / "out" / stores.TABLE).mkdir(parents=True)  # folders are nothing to an object store
        (tmp_path / "bucket" / "out" / stores.TABLE).rmdir()
        bucket = fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem())

        def opened(path):
            bucket.create_dir(str(Path(path).parent))
            return bucket.open_output_stream(path)

        system = SimpleNamespace(
            type_name="s3", filesystem=bucket, get_file_info=bucket.get_file_info, open_input_stream=bucket.open_input_stream,
            open_output_stream=opened, delete_file=bucket.delete_file, delete_dir=bucket.delete_dir)
        monkeypatch.setattr(stores, "store", lambda place: (system, "out", "s3://"))
        dataset = stores.pyarrow.dataset.dataset
        monkeypatch.setattr(stores.pyarrow.dataset, "dataset", lambda path, filesystem, format: dataset(
            path, filesystem=filesystem.filesystem, format=format))
        return stores.Results("s3://out")
    return stores.Results(str(tmp_path / "out"))


SETTINGS = {"model sha256": "1", "tta": False}


def test_the_table_holds_done_and_failed_and_knows_them_again(results, stores, capsys):
    results.begin(SETTINGS, False)
    results.add([done("a"), failed("b"), done("c", width=7)])
    assert results.names() == {"/p/a.png": "a", "/p/b.png": "b", "/p/c.png": "c"}
    table = results.rows(["name", "width", "error"]).to_pandas().set_index("name")
    assert table.loc["c", "width"] == 7 and np.isnan(table.loc["b", "width"]) and table.loc["b", "error"] == "b is damaged"
    assert results.tell(3) == 1
    told = capsys.readouterr()
    assert "2 photographs are done, 1 could not be" in told.out and "not done: b is damaged" in told.err


def test_rows_before_an_interruption_are_kept(results):
    def rows():
        yield done("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.add(rows())
    assert set(results.names().values()) == {"a"}


def test_a_part_is_written_a_minute_so_that_memory_holds_few_rows(results, stores, monkeypatch):
    monkeypatch.setattr(stores, "SECONDS", -1)
    results.add(done(f"a{k}") for k in range(5))
    assert len(results.names()) == 5
    table = stores.pyarrow.dataset.dataset(f"{results.path}/{stores.TABLE}", filesystem=results.system, format="parquet")
    assert len(table.files) == 5


def test_when_nothing_could_be_done_that_is_an_error(results):
    results.add([failed("a"), failed("b")])
    with pytest.raises(Problem, match="None of the 2"):
        results.tell(2)


def test_another_run_or_other_files_are_refused_and_overwriting_removes_only_what_the_table_knows(results, stores):
    results.put("mine_mask.png", b"mine")
    with pytest.raises(Problem, match="holds other files"):
        results.begin(SETTINGS, False)
    results.begin(SETTINGS, True)
    results.put("a_mask.png", b"a")
    results.add([done("a"), failed("b")])
    results.begin(SETTINGS, False)
    with pytest.raises(Problem, match="tta: False before, True now"):
        results.begin(SETTINGS | {"tta": True}, False)
    results.begin(SETTINGS | {"tta": True}, True)
    assert not results.names() and not results._is_there("a_mask.png") and results._is_there("mine_mask.png")


def test_an_address_where_nothing_answers_is_told_at_once(stores):
    began = time.monotonic()
    with pytest.raises(Problem, match="nothing answers"):
        stores.reachable("127.0.0.1:1")
    assert time.monotonic() - began < 5
    assert stores.reachable("local") == "local" and stores.reachable("auto") == "auto"


# ---- one photograph ------------------------------------------------------------------------------------------------

@pytest.fixture
def cluster(stores):
    pytest.importorskip("ray", reason="pip install -r requirements-ray.txt")
    import cluster

    return cluster


@pytest.fixture
def starts(cluster, monkeypatch):
    """The counter of starts without Ray around it."""
    counter = cluster.Starts()
    monkeypatch.setattr(cluster.ray, "get", lambda value: value)
    return SimpleNamespace(counter=counter, begin=SimpleNamespace(remote=counter.begin), end=SimpleNamespace(remote=counter.end))


ITEM = {"place": "/p", "path": "/p/a.png", "file": "/p/a.png", "name": "a", "error": ""}


def test_what_goes_wrong_is_the_photographs_own_error(cluster, starts):
    def divide(item):
        return {**item, "value": 1 / 0}

    def refuse(item):
        raise Problem("/p/a.png: is damaged.")

    assert cluster.attempt(refuse, starts, ITEM)["error"] == "/p/a.png: is damaged."
    wrong = cluster.attempt(divide, starts, ITEM)
    assert wrong["error"].startswith("/p/a.png: ZeroDivisionError") and wrong["photograph"].size == 0
    assert cluster.attempt(divide, starts, wrong) is wrong, "later steps leave it alone"
    assert not starts.counter.open


def test_a_photograph_at_which_two_workers_died_is_given_up(cluster, starts):
    starts.counter.begin("/p/a.png")
    assert cluster.attempt(lambda item: item, starts, ITEM)["error"] == "", "one death may have been chance"
    for _ in range(2):
        starts.counter.begin("/p/a.png")
    assert "2 workers died" in cluster.attempt(lambda item: item, starts, ITEM)["error"]
    assert not starts.counter.open


@pytest.mark.parametrize("has, workers, cores", [
    ({"CPU": 2.0, "memory": 1e10}, 2, 1), ({"CPU": 64.0, "memory": 4e10}, 20, 3), ({"CPU": 1.0, "memory": 1e9}, 1, 1),
    ({"CPU": 64.0, "memory": 4e11, "GPU": 8.0}, 8, 1)])
def test_workers_are_as_many_as_gpus_or_as_cores_and_memory_allow(cluster, has, workers, cores):
    found, each, asks, share = cluster.shares(has)
    assert (found, each) == (workers, cores)
    room = has["CPU"] - asks.get("num_cpus", 0) * found
    assert share <= room, "for a task beside the workers, or nothing would ever be read"


# ---- a cluster of two nodes ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def nodes():
    """The address of two nodes with a core each, on this machine."""
    pytest.importorskip("ray", reason="pip install -r requirements-ray.txt")
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
        draw.put(folder / f"eye{number}.png", draw.eye(number, 200 + 20 * number, 220)[0])
    (folder / "empty.png").touch()
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"0" * 500)
    draw.put(folder / "dark.png", np.zeros((100, 100, 3), np.uint8))
    return folder


def predict(photographs, out, model, *words):
    command = [sys.executable, ROOT / "eval.py", photographs, "--out", out, "--model", model, "--precision", "float32", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900)


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
def test_a_cluster_writes_the_bytes_of_one_machine_though_a_worker_dies(nodes, photographs, tiny_model, tmp_path, everything):
    plain = predict(photographs, tmp_path / "plain", tiny_model)
    assert plain.returncode == 1, plain.stderr
    out = tmp_path / "ray"
    words = [sys.executable, ROOT / "eval.py", photographs, "--out", out, "--model", tiny_model, "--precision", "float32",
             "--ray", nodes]
    job = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while job.poll() is None and not list(out.glob("*_mask.png")):
        time.sleep(0.05)
    victims = workers()
    assert victims, "the job ended before a worker could be killed"
    os.kill(victims[0], signal.SIGKILL)
    told, wrong = job.communicate(timeout=600)
    assert job.returncode == 1, wrong
    masks = {path.name: path.read_bytes() for path in (tmp_path / "plain").glob("*_mask.png")}
    assert len(masks) == 10 and masks == {path.name: path.read_bytes() for path in out.glob("*_mask.png")}
    table = pd.read_parquet(out / "predictions.parquet").set_index("name")
    assert sorted(table.index) == sorted(path.stem for path in photographs.iterdir())
    assert sorted(table.index[table["status"] == "failed"]) == ["cut", "dark", "empty"]
    assert "0 bytes" in table.loc["empty", "error"]
    csv = pd.read_csv(tmp_path / "plain" / "predictions.csv").set_index("name")
    for column in ("width", "height", "fov_share", "vessel_density", "certainty"):
        assert np.array_equal(table.loc[csv.index, column], csv[column], equal_nan=True), column
    before = everything(out)
    again = predict(photographs, out, tiny_model, "--ray", nodes)
    assert again.returncode == 1 and "10 photographs are done already" in again.stdout
    after = everything(out)
    assert before.pop("run.json")[0] == after.pop("run.json")[0] and before == after


@pytest.mark.slow
def test_tasks_beside_workers_of_several_cores_write_the_same_bytes(nodes, photographs, tiny_model, tmp_path, monkeypatch):
    import cluster
    import eval

    assert predict(photographs, tmp_path / "plain", tiny_model).returncode == 1
    monkeypatch.setattr(cluster, "shares", lambda has: (1, 2, {"num_cpus": 0.75}, 0.25))
    words = ["eval.py", photographs, "--out", tmp_path / "ray", "--model", tiny_model, "--precision", "float32", "--ray", nodes]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    assert eval.main() == 1
    masks = [{path.name: path.read_bytes() for path in (tmp_path / way).glob("*_mask.png")} for way in ("plain", "ray")]
    assert len(masks[0]) == 10 and masks[0] == masks[1]
    assert (pd.read_parquet(tmp_path / "ray/predictions.parquet")["status"] == "failed").sum() == 3


@pytest.mark.slow
def test_a_photograph_that_kills_its_worker_each_time_is_a_row_and_the_others_are_done(nodes):
    from functools import partial

    import ray

    import cluster

    def deadly(item):
        if item["name"] == "b":
            os._exit(1)
        return item

    code = {"working_dir": str(ROOT), "excludes": ["*", "!.", "!/*.py", "!/sets", "!/sets/*.py"]}
    ray.init(nodes, log_to_driver=False, runtime_env=code)
    try:
        starts = ray.remote(num_cpus=0)(cluster.Starts).remote()
        items = [{**ITEM, "file": name, "name": name} for name in "abcdef"]
        rows = ray.data.from_items(items, override_num_blocks=2)
        rows = rows.map(partial(cluster.attempt, deadly, starts), num_cpus=0.25).take_all()
    finally:
        ray.shutdown()
    assert sorted(row["name"] for row in rows) == list("abcdef")
    assert {row["name"]: "workers died" in row["error"] for row in rows} == {name: name == "b" for name in "abcdef"}
