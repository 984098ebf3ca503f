"""What prediction needs besides predict.py: the folded network, the pen, overlapping steps, results."""
