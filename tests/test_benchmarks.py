"""The page that benchmarks/all.py writes: a table takes its own place, and nothing else changes."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.delitem(sys.modules, "all", raising=False)
    import all as writer  # benchmarks/all.py, a script

    return writer


def test_every_benchmark_has_its_place_in_the_page_and_no_other_has(writer):
    page = writer.PAGE.read_text(encoding="utf-8")
    assert tuple(re.findall(r"<!-- (\w+) -->", page)) == writer.NAMES
    assert tuple(re.findall(r"<!-- end of (\w+) -->", page)) == writer.NAMES


def test_a_result_takes_the_place_of_the_earlier_one_alone(writer):
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\nc\n"
    written = writer.replaced(page, "x", "| new \\1 |\n")
    assert written == page.replace("\nold\n", "\n\n| new \\1 |\n\n")
    assert writer.replaced(written, "x", "| new \\1 |\n") == written


def test_a_page_without_the_place_is_refused(writer):
    with pytest.raises(SystemExit, match="no marks for z"):
        writer.replaced("a page", "z", "| new |")


def test_of_what_a_benchmark_prints_its_table_and_its_machine_are_kept(writer, tmp_path, monkeypatch):
    said = "commit abc; a machine\nby the way\n| a |\n| --- |\n\nOurs takes 1."
    (tmp_path / "x.py").write_text(f"print({said!r})")
    monkeypatch.setattr(writer, "HERE", tmp_path)
    assert writer.result_of("x") == ("| a |\n| --- |\n\nOurs takes 1.\n\n"
                                     "`python benchmarks/x.py` at commit abc; a machine\n")
