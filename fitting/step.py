"""How many crops, and of which side, a step of the fit sees, by the machine that it runs on.

What fits one machine best need not fit another: for the pixels of one 512x512 photograph (commit f1d835b),

    crops of 256 in twos   in eights   of 512 in twos   in fours
                  204 ms         146              148        132      two cores of a Xeon with AMX
"""

from running.machine import gpu_capabilities, processor_flags

STEP = {"batch": 2, "crop": 256}
WITH_AMX = STEP  # eights at twice the rate lost .009 on DRIVE validation (docs/recipe.md, "Steps")


def step_for(flags, gpu):
    """Returns {"batch": crops, "crop": their side in px} for a processor with these flags, or for a GPU."""
    return WITH_AMX if "amx_bf16" in flags and not gpu else STEP


def step_here():
    """Returns the same for this machine."""
    return step_for(processor_flags(), bool(gpu_capabilities()))
