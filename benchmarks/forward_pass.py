"""Prediction by this project's folded U-Net beside Keras's stock layers, PyTorch, ONNX Runtime and OpenVINO.

    python benchmarks/forward_pass.py [--width 16] [--batch 4] [--only "OpenVINO, bfloat16"] [--quick]

512x512 photographs in memory, nothing read or written, nothing quantized. Those take part that are installed
(pip install torch openvino -r requirements-export.txt). Under five minutes.
"""

from contenders import side_by_side

if __name__ == "__main__":
    side_by_side("prediction", __doc__, repetitions=9, rounds=4, passes=1)
