"""OpenVINO's Model Optimizer, 2023.3: the last one that reads Caffe networks."""

from collections.abc import Iterator, Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.reshape_from_axis_0 import reshape_from_axis_0
from pyhisto.deploy.rewrites.say_rounding import say_ceil_mode
from pyhisto.lenient import unknown_fields
from pyhisto.lint.rules import RuleBook, Trap
from pyhisto.proto import NetParameter

SOURCE = "openvino-dev 2023.3.0, openvino/tools/mo/front/caffe"

TYPES = frozenset(
    ("ArgMax", "Axpy", "BN", "BatchNorm", "Bias", "CTCGreedyDecoder", "Concat", "Convolution", "Crop", "Deconvolution",
     "DetectionOutput", "Dropout", "ELU", "Eltwise", "Flatten", "GRN", "GlobalInput", "InnerProduct", "Input", "Interp",
     "LRN", "MVN", "Normalize", "PReLU", "PSROIPooling", "Permute", "Pooling", "Power", "PriorBox",
     "PriorBoxClustered", "Proposal", "ReLU", "ReLU6", "ROIPooling", "RegionYolo", "ReorgYolo", "Resample", "Reshape",
     "Scale", "ShuffleChannel", "Sigmoid", "Slice", "Softmax", "Split", "TanH")
)  # fmt: skip

book: RuleBook[Subject] = RuleBook()


@book.rule("openvino-type", "error", SOURCE)
def types(subject: Subject) -> Iterator[Trap]:
    """The Model Optimizer has no extractor for the layer's type, and ends there: go by ONNX (tools/to_onnx.py)."""
    yield from subject.of_other_types(TYPES)


@book.rule("openvino-unknown-field", "error", f"{SOURCE}/loader.py, text_format.Merge")
def unknown(subject: Subject) -> Iterator[Trap]:
    """The Model Optimizer parses strictly, and ends at a field that its caffe.proto does not have: remove it."""
    for field in unknown_fields(subject.document, NetParameter.DESCRIPTOR):
        yield field.line, f"{field.path}: a field that its caffe.proto may not have"


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """The Model Optimizer's arguments: without the last, weights are written in half precision."""
    shape = ",".join(map(str, inputs.shape))
    mean = ",".join(f"{level:g}" for level in inputs.mean)
    command = (
        f'mo --framework caffe --input_proto {inputs.model} --input_model {inputs.weights} --input "{inputs.blob}" '
        f'--input_shape "[{shape}]" --mean_values "{inputs.blob}[{mean}]" --compress_to_fp16=False'
    )
    return {"mo.sh": f"#!/bin/sh\n# Images are given as they are read, BGR, 0..255.\n{command}\n"}


OPENVINO = Chain(
    "OpenVINO 2023.3 (Model Optimizer)",
    "caffe",
    (drop_passing_layers, say_ceil_mode, reshape_from_axis_0),
    book,
    settings,
)
