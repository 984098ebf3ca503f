"""Does bfloat16 cost accuracy? The same short run in both precisions with several seeds.

    python benchmarks/precision.py --data datasets/DRIVE [--seeds 3] [--copies 6] [--epochs 5]

Pairs are made once; a seed decides initial weights and order. Scores are those of the card: validation
photographs, one look, native size, inside the FOV. It takes about a quarter of an hour.
"""

import json
import statistics
import tempfile
from pathlib import Path
from subprocess import DEVNULL

from machine import command, describe, flags

PRECISIONS = ("float32", "bfloat16")
SCORES = ("dice", "roc_auc")


def trained(work, precision, seed, epochs):
    out = work / f"{precision} {seed}"
    command("training", "--pairs", work / "pairs", "--out", out, "--precision", precision, "--seed", seed,
            "--epochs", epochs, "--loss", "dice+bce", "--minutes", 0, "--crop", 512, stdout=DEVNULL)
    card = json.loads((out / "model.json").read_text())
    return {score: card["validation"][score] for score in SCORES}


def main():
    parser = flags(__doc__)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--copies", type=int, default=6, help="of augment.py (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    print(describe())
    found = {precision: [] for precision in PRECISIONS}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        command("augment", "--data", *options.data, "--copies", options.copies, "--out", work / "pairs",
                stdout=DEVNULL)
        for seed in range(options.seeds):
            for precision in PRECISIONS:
                found[precision].append(trained(work, precision, seed, options.epochs))
                scores = [f"{score} {value:.4f}" for score, value in found[precision][-1].items()]
                print(f"{precision:10} seed {seed}", *scores, flush=True)
    for score in SCORES:
        runs = {precision: [run[score] for run in found[precision]] for precision in PRECISIONS}
        means = {precision: statistics.mean(values) for precision, values in runs.items()}
        spread = max(max(values) - min(values) for values in runs.values())
        print(f"{score}: float32 {means['float32']:.4f}, bfloat16 {means['bfloat16']:.4f}; "
              f"difference of the means {means['bfloat16'] - means['float32']:+.4f}, "
              f"largest spread over seeds {spread:.4f}")


if __name__ == "__main__":
    main()
