"""Huawei's Ascend: ATC converts, AMCT (Caffe) quantises, on BVLC's Caffe 9b89154."""

from collections.abc import Iterator, Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.state_global_statistics import state_global_statistics
from pyhisto.lint.rules import RuleBook, Trap

AMCT = "CANN, AMCT (Caffe), environment: BVLC/caffe 9b89154"
QUANTISED = "CANN 8.0, ATC, Layers That Support Quantization and Restrictions, table 1"

TYPES = frozenset(
    ("AbsVal", "ArgMax", "BNLL", "BatchNorm", "BatchReindex", "Bias", "Clip", "Concat", "Convolution", "Crop",
     "Deconvolution", "Dropout", "ELU", "Eltwise", "Embed", "Exp", "Filter", "Flatten", "Im2col", "InnerProduct",
     "Input", "LRN", "LSTM", "Log", "MVN", "PReLU", "Parameter", "Pooling", "Power", "RNN", "ReLU", "Reduction",
     "Reshape", "SPP", "Scale", "Sigmoid", "Silence", "Slice", "Softmax", "Split", "Swish", "TanH", "Threshold",
     "Tile")
)  # fmt: skip
"""BVLC's own layers that a deploy network can have."""

book: RuleBook[Subject] = RuleBook()


@book.rule("ascend-type", "error", AMCT)
def types(subject: Subject) -> Iterator[Trap]:
    """AMCT runs the network in BVLC's Caffe, which lacks the type: ask ATC alone, or go by ONNX."""
    yield from subject.of_other_types(TYPES)


@book.rule("ascend-inner-product", "warning", QUANTISED)
def inner_products(subject: Subject) -> Iterator[Trap]:
    """An InnerProduct is quantised with `transpose: false` and `axis: 1` only, else it stays in half precision."""
    for node in subject.graph.nodes:
        parameter = node.layer.inner_product_param
        if node.type == "InnerProduct" and (parameter.transpose or parameter.axis != 1):
            yield subject.at(node, "is not quantised, as it has transpose, or another axis than 1")


@book.rule("ascend-deconvolution", "warning", QUANTISED)
def deconvolutions(subject: Subject) -> Iterator[Trap]:
    """A Deconvolution is quantised without dilation only, else it stays in half precision."""
    for node in subject.graph.nodes:
        if node.type == "Deconvolution" and any(size != 1 for size in node.layer.convolution_param.dilation):
            yield subject.at(node, "is not quantised, as it is dilated")


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """AIPP: the part of the model that takes uint8 images; channels are in the order of the images, BGR."""
    _, _, height, width = inputs.shape
    lines = ["aipp_op {", "  aipp_mode: static", "  related_input_rank: 0", "  input_format: RGB888_U8",
             f"  src_image_size_w: {width}", f"  src_image_size_h: {height}", "  csc_switch: false",
             "  rbuv_swap_switch: false"]  # fmt: skip
    lines += [f"  min_chn_{channel}: {level:g}" for channel, level in enumerate(inputs.mean)]
    lines += [f"  var_reci_chn_{channel}: 1.0" for channel in range(len(inputs.mean))]
    shape = ",".join(map(str, inputs.shape))
    atc = (
        f'atc --framework=0 --model={inputs.model} --weight={inputs.weights} --input_shape="{inputs.blob}:{shape}" '
        "--insert_op_conf=aipp.cfg --soc_version=Ascend310 --output=model"
    )
    return {
        "aipp.cfg": "\n".join([*lines, "}"]) + "\n",
        "atc.sh": f"#!/bin/sh\n# Set --soc_version to the chip. Images are BGR, 0..255.\n{atc}\n",
    }


ASCEND = Chain("Ascend (ATC, AMCT)", "caffe", (drop_passing_layers, state_global_statistics), book, settings)
