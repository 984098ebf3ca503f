"""The flags that eval.py and testing.py have in common."""

import argparse
from pathlib import Path


def add_prediction_flags(parser):
    """Adds what decides how photographs are predicted, and --overwrite."""
    add = parser.add_argument
    add("--model", type=Path, help="(default: checkpoints/model.keras, else weights/vessels.keras)")
    add("--tta", action="store_true", help="average eight flips and turns: better and slower")
    add("--threshold", type=threshold, help="(default: the card's)")
    add("--pen", help="how wide to draw vessels: as a set of the card does, 'default' for a camera that "
        "nobody drew, 'none' for as wide as they look, or a share of the FOV's side in percent "
        "(default: as the set whose pictures have this size, else 'default')")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(default: %(default)s)")
    add("--overwrite", action="store_true", help="do all again, whatever an earlier run left in --out")


def refuse_unused(parser, options, flags, why):
    """Ends the command with exit code 2 if one of these flags is given, none of which would count."""
    for flag in flags:
        if getattr(options, flag) != parser.get_default(flag):
            parser.error(f"{why}: leave out --{flag}")


def threshold(text):
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return float(text)
