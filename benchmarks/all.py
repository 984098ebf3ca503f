"""Runs the benchmarks of speed one after another, and writes their tables into docs/speed.md.

    python benchmarks/all.py                      all, some 20 minutes; nothing else should run meanwhile
    python benchmarks/all.py commands sizes       these

A benchmark prints a line about commit and machine first and its table last. Both take the place of what
stands between its marks, <!-- NAME --> and <!-- end of NAME -->; prose and tables of other machines stay.
"""

import re
import subprocess
import sys
import time

from machine import ROOT, flags

from running.files import write_text

HERE = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "speed.md"
NAMES = "training_step", "forward_pass", "commands", "epoch", "sizes"


def result_of(name, *words):
    """Runs a benchmark, shows what it prints, and returns of it what belongs into the page."""
    command = [sys.executable, HERE / f"{name}.py", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [print(line, end="", flush=True) or line for line in process.stdout]
    if process.returncode:
        raise SystemExit(f"benchmarks/{name}.py failed.")
    table = next(k for k, line in enumerate(lines) if line.startswith("|"))
    return "".join([*lines[table:], f"\n`python benchmarks/{name}.py` at ", lines[0]])


def replaced(page, name, result):
    """Returns the page with a result in place of what stands between the marks of this benchmark."""
    between = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not between.search(page):
        raise SystemExit(f"{PAGE}: has no marks for {name}.")
    return between.sub(lambda marks: f"{marks[1]}\n{result}\n{marks[2]}", page)


def main():
    parser = flags(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"(default: {' '.join(NAMES)})")
    names = parser.parse_args().names or NAMES
    for name in names:
        replaced(PAGE.read_text(encoding="utf-8"), name, "")
    for name in names:
        began = time.perf_counter()
        result = result_of(name)
        write_text(PAGE, replaced(PAGE.read_text(encoding="utf-8"), name, result))  # what is done stays
        print(f"{name}: {time.perf_counter() - began:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
