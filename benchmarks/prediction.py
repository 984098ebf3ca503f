"""Prediction by this project's folded U-Net beside Keras's stock layers, PyTorch, ONNX Runtime and OpenVINO.

    python benchmarks/prediction.py [--width 16] [--batch 4] [--only "OpenVINO, bfloat16"] [--quick]

512x512 photographs in memory, nothing read or written, nothing quantized. Those take part that are installed
(pip install torch openvino -r requirements-export.txt). Under five minutes.
"""

import argparse

from contenders import OURS, TASKS, Shape, compare, installed, report, share_of_limit
from machine import describe

SIDE = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16, help="channels at full resolution (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="photographs at once (default: %(default)s)")
    parser.add_argument("--only", choices=[name for name in TASKS["prediction"] if name != OURS], help="one opponent")
    parser.add_argument("--repetitions", type=int, default=9, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one repetition of a small picture: does it run?")
    options = parser.parse_args()
    shape = Shape(options.width, options.batch, 128 if options.quick else SIDE)
    others = [options.only] if options.only else [name for name in installed(TASKS["prediction"]) if name != OURS]
    print(describe())
    own = report(compare("prediction", OURS, others, shape, 1 if options.quick else options.repetitions, 4), OURS)

    share_of_limit(own, shape, 1)


if __name__ == "__main__":
    main()
