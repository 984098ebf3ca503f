"""How files import each other: what they ask for is there, and the arrows point one way."""

import ast
import graphlib
import importlib

import pytest
from conftest import ROOT

SCRIPTS = {"data", "augment", "training", "testing", "eval", "export"}
FILES = [path for path in sorted([*ROOT.glob("*.py"), *ROOT.glob("*/*.py")]) if path.parent.name != "tests"]
NAMES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
OURS = {name: path for name, path in NAMES.items() if not name.startswith(("benchmarks.", "docs."))}
NEED_RAY = {"cluster.driver", "cluster.stores"}


def imports(path):
    """Yields the project's modules that a file imports, at its top or anywhere, with the names asked for."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, [], node.lineno) for alias in node.names if alias.name in OURS)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            inside = [f"{node.module}.{name}" for name in names]
            yield from ((module, [], node.lineno) for module in inside if module in OURS)
            if node.module in OURS:
                yield node.module, names, node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_from_the_project_is_there(path):
    """Also within functions, where nothing else notices until one gets there."""
    for module, names, line in imports(path):
        if module not in NEED_RAY:
            there = dir(importlib.import_module(module))
            gone = [name for name in names if name not in there and f"{module}.{name}" not in OURS]
            assert not gone, f"from {module} import {', '.join(gone)} (line {line})"


def test_no_file_imports_itself_by_way_of_others():
    graph = {name: {module for module, _, _ in imports(path)} for name, path in OURS.items()}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_no_room_imports_a_script_and_scripts_import_only_how_data_is_found():
    for name, path in OURS.items():
        scripts = {module for module, _, _ in imports(path)} & SCRIPTS
        allowed = {"data"} if name in SCRIPTS else set()
        assert scripts <= allowed, f"{name} imports {scripts}"


def test_nothing_is_imported_for_others_to_import_it_from_here():
    """A name is taken from the file that defines it."""
    for name, path in OURS.items():
        for module, names, line in imports(path):
            defined = _defined(OURS[module])
            others = [asked for asked in names if asked not in defined and f"{module}.{asked}" not in OURS]
            assert not others, f"{name} line {line}: {others} is not of {module}"


def _defined(path):
    """The names that a file defines itself at its top level."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            leaves = [leaf for target in targets for leaf in ast.walk(target)]
            found |= {leaf.id for leaf in leaves if isinstance(leaf, ast.Name)}
    return found
