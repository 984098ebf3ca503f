"""What of this project travels to the nodes of a cluster: its Python files, but for tests and the like."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAY = {"benchmarks", "docs", "tests"}


def rooms():
    """Returns the names of the folders of Python files that travel."""
    return sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - STAY)


def runtime_env():
    """Returns what Ray needs to give each node the code; `excludes` reads like a .gitignore."""
    wanted = ["/*.py", *(pattern for room in rooms() for pattern in (f"/{room}", f"/{room}/*.py"))]
    return {"working_dir": str(ROOT), "excludes": ["*", "!.", *(f"!{pattern}" for pattern in wanted)],
            "env_vars": {"OPENCV_FOR_THREADS_NUM": "1"}}
