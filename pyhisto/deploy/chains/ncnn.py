"""ncnn, by way of pnnx and ONNX: its own Caffe converter is no longer kept."""

import json
from collections.abc import Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.lint.rules import RuleBook

book: RuleBook[Subject] = RuleBook()
"""What has a counterpart in ONNX (pyhisto/onnx) is what can be taken; Tencent/ncnn issue 214 recommends pnnx."""


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """pnnx's command line, and what ncnn::Mat::from_pixels and substract_mean_normalize are told (or ncnn2table)."""
    shape = ",".join(map(str, inputs.shape))
    values = {
        "from_pixels": "PIXEL_BGR", "mean_vals": list(inputs.mean), "norm_vals": [1.0] * len(inputs.mean),
        "ncnn2table": f"mean=[{','.join(f'{level:g}' for level in inputs.mean)}] norm=[1,1,1] "
        f"shape=[{inputs.shape[3]},{inputs.shape[2]},{inputs.shape[1]}] pixel=BGR {inputs.images}",
    }  # fmt: skip
    return {
        "pnnx.sh": f'#!/bin/sh\npnnx {inputs.model} inputshape="[{shape}]"\n',
        "ncnn.json": json.dumps(values, indent=2) + "\n",
    }


NCNN = Chain("ncnn, through pnnx", "onnx", (drop_passing_layers,), book, settings)
