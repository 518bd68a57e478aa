"""MNN, by way of ONNX: its Caffe reader fails on a Scale with two bottoms (alibaba/MNN issues 997 and 1161)."""

import json
from collections.abc import Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.lint.rules import RuleBook

book: RuleBook[Subject] = RuleBook()
"""What has a counterpart in ONNX (pyhisto/onnx) is what can be taken."""


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """The file that MNN's quantized.out reads: images of a folder, as the network is given them."""
    _, _, height, width = inputs.shape
    values = {
        "format": "BGR", "mean": list(inputs.mean), "normal": [1.0] * len(inputs.mean), "width": width,
        "height": height, "path": "calibration/", "used_image_num": inputs.count,
        "feature_quantize_method": "KL", "weight_quantize_method": "MAX_ABS",
    }  # fmt: skip
    return {"quantize.json": json.dumps(values, indent=2) + "\n"}


MNN = Chain("MNN 3.x", "onnx", (drop_passing_layers,), book, settings)
