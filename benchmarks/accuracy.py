"""Time to accuracy: trains as users do and prints the minutes until each 0.01 of validation Dice.

    python benchmarks/accuracy.py --data datasets/DRIVE [-- FLAGS OF training.py]

Dice is history.csv's: soft, on the validation squares, of the averaged weights.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from machine import describe, flags  # noqa: E402


def rows_of(history):
    if not history.exists():
        return []
    with open(history, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def watch(process, history, began):
    """Yields (minutes, row) of each epoch as it ends."""
    seen = 0
    while process.poll() is None or len(rows_of(history)) > seen:
        rows = rows_of(history)
        for row in rows[seen:]:
            yield (time.perf_counter() - began) / 60, row
        seen = len(rows)
        time.sleep(0.5)


def main():
    parser = flags(__doc__)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--copies", default="40", help="(default: %(default)s)")
    parser.add_argument("flags", nargs="*", help="for training.py, after --")
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        work, began = Path(name), time.perf_counter()
        augment = [sys.executable, ROOT / "augment.py", "--data", *options.data, "--copies", options.copies]
        subprocess.run([*augment, "--out", work / "pairs"], check=True, stdout=subprocess.DEVNULL)
        print(f"pairs after {(time.perf_counter() - began) / 60:.1f} minutes\n")
        print("minutes  epoch  validation Dice reached")
        training = [sys.executable, ROOT / "training.py", "--pairs", work / "pairs", "--out", work / "model"]
        process = subprocess.Popen([*training, *options.flags], stdout=subprocess.DEVNULL)
        reached = 0.49
        for minutes, row in watch(process, work / "model/history.csv", began):
            dice = float(row["val_dice_coefficient"])
            if dice >= reached + 0.01:
                reached = int(dice * 100) / 100
                print(f"{minutes:7.1f}  {row['epoch']:>5}  {reached:.2f}", flush=True)
        minutes = (time.perf_counter() - began) / 60
        print(f"{minutes:7.1f}  in all, the choice of squares and threshold included")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
