"""What the scripts import within functions, which nothing else notices until they get there."""

import ast
import importlib

import pytest
from conftest import ROOT

FOLDERS = (".", "benchmarks", "docs", "fitting", "samples", "sets")
SCRIPTS = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
OURS = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SCRIPTS}
NEED_RAY = {"cluster", "stores"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_from_the_project_is_there(script):
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in OURS - NEED_RAY:
            there = dir(importlib.import_module(node.module))
            gone = [name.name for name in node.names if name.name not in there]
            assert not gone, f"from {node.module} import {', '.join(gone)} (line {node.lineno})"
