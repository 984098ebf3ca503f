"""A training step of this project's U-Net beside the same network by Keras's stock layers and by PyTorch.

    python benchmarks/training_step.py [--width 16] [--only "PyTorch, channels_last, bfloat16"] [--quick]

512x512, batches of 4, Dice loss, Adam, no metrics, the batch in memory. PyTorch takes part where it is installed
(pip install torch). With it, and with all others, under five minutes at width 16; at width 32 name one by --only.
"""

import argparse

from contenders import OURS, TASKS, Shape, compare, installed, report, share_of_limit
from machine import describe

SIDE, BATCH = 512, 4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16, help="channels at full resolution (default: %(default)s)")
    parser.add_argument("--only", choices=[name for name in TASKS["training"] if name != OURS], help="one opponent")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one repetition of a small picture: does it run?")
    options = parser.parse_args()
    shape = Shape(options.width, BATCH, 128 if options.quick else SIDE)
    others = [options.only] if options.only else [name for name in installed(TASKS["training"]) if name != OURS]
    print(describe())
    own = report(compare("training", OURS, others, shape, 1 if options.quick else options.repetitions, 2), OURS)

    # the gradients by the inputs and by the weights each take as much as the forward pass
    share_of_limit(own, shape, 3)


if __name__ == "__main__":
    main()
