"""What travels to the nodes of a cluster, without Ray: all they import, no TensorFlow in the tasks."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

from cluster import shipping

DRIVER = ROOT / "cluster/driver.py"


def imports(path, anywhere=True):
    """The dotted names that a file imports, at its top or anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def file_of(name):
    """The project's file of a module or of a folder of modules, None of any other name."""
    path = ROOT / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def reached(start, anywhere=True):
    """The project's files that `start` imports, directly or not, and what these import from elsewhere."""
    files, names, waiting = set(), set(), [start]
    while waiting:
        path = waiting.pop()
        if path in files:
            continue
        files.add(path)
        for name in imports(path, anywhere):
            own = file_of(name)
            waiting += [own] if own else []
            names |= set() if own else {name.partition(".")[0]}
    return files, names


def travelling():
    wanted = [pattern[2:] for pattern in shipping.runtime_env()["excludes"] if pattern.startswith("!/")]
    return {path for pattern in wanted for path in ROOT.glob(pattern) if path.is_file()}


def test_all_that_the_driver_imports_travels():
    files, _ = reached(DRIVER)
    assert {ROOT / "predict.py", ROOT / "prediction/segmented.py", ROOT / "photographs/skeleton.py"} <= files
    assert files <= travelling()
    assert all(path.parent == ROOT or path.parent / "__init__.py" in travelling() for path in files)


def test_nothing_else_travels_than_python_files_of_the_project():
    folders = {path.parent.relative_to(ROOT).as_posix() for path in travelling()}
    assert {".", "photographs", "prediction", "running", "cluster"} <= folders
    assert not folders & {"tests", "benchmarks", "docs"}
    assert {path.suffix for path in travelling()} == {".py"}
    assert shipping.runtime_env()["excludes"][0] == "*"


def test_a_new_room_travels_without_being_named(tmp_path, monkeypatch):
    for name in ("room/__init__.py", "room/a.py", "tests/__init__.py", "venv/lib/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(shipping, "ROOT", tmp_path)
    assert shipping.rooms() == ["room"]


def test_tasks_that_read_and_measure_do_not_import_tensorflow():
    _, names = reached(DRIVER, anywhere=False)
    assert "ray" in names and not names & {"tensorflow", "keras"}


@pytest.mark.parametrize("module", ["photographs.reading", "prediction.segmented", "prediction.results"])
def test_rooms_of_the_tasks_do_not_import_tensorflow(module):
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_all_of_ray_lies_in_one_small_room_that_opens_when_asked():
    with_ray = {path for path in travelling() if {"ray", "ray.data"} & imports(path)}
    assert with_ray == {DRIVER}
    using = {path for path in travelling() if path.parent.name != "cluster" and "cluster" in imports(path)}
    assert using == {ROOT / "eval.py"}
    opened = "import eval, sys; sys.exit('cluster' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", opened], cwd=ROOT, check=False).returncode == 0
