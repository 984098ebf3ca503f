"""A training step of this project's U-Net beside the same network by Keras's stock layers and by PyTorch.

    python benchmarks/training_step.py [--width 16] [--batch 4] [--only "PyTorch, channels_last, bfloat16"]

512x512, Dice loss, Adam, no metrics, the batch in memory. PyTorch takes part where it is installed (pip
install torch). With it, and with all others, under five minutes at width 16; at width 32 name one by --only.
"""

from contenders import side_by_side

if __name__ == "__main__":
    # the gradients by the inputs and by the weights each take as much as the forward pass
    side_by_side("training", __doc__, repetitions=5, rounds=2, passes=3)
