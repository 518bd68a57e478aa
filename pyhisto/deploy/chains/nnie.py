"""HiSilicon's NNIE: nnie_mapper, on Caffe 1.0."""

from collections.abc import Iterator, Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.reshape_from_axis_0 import reshape_from_axis_0
from pyhisto.deploy.rewrites.say_rounding import leave_out_rounding_up
from pyhisto.deploy.rewrites.state_global_statistics import state_global_statistics
from pyhisto.lint.rules import RuleBook, Trap

GUIDE = "HiSVP development guide, 3.1 (NNIE), as quoted in public: layers, extended layers, marks in names"

TYPES = frozenset(
    ("AbsVal", "BNLL", "BatchNorm", "Bias", "CReLU", "Concat", "Convolution", "Deconvolution", "DepthwiseConv",
     "Dropout", "ELU", "Eltwise", "Exp", "Flatten", "InnerProduct", "Input", "LRN", "LSTM", "Log", "MVN", "MatMul",
     "Normalize", "PReLU", "PSROIPooling", "Parameter", "PassThrough", "Permute", "Pooling", "Power", "RNN", "RReLU",
     "ROIPooling", "ReLU", "Reduction", "Reshape", "SPP", "Scale", "Sigmoid", "Slice", "Softmax", "Split", "TanH",
     "Threshold", "Tile", "Upsample")
)  # fmt: skip

MARKS = ("_report", "_hp", "_cpu")

book: RuleBook[Subject] = RuleBook()


@book.rule("nnie-type", "error", GUIDE)
def types(subject: Subject) -> Iterator[Trap]:
    """The mapper does not know the type: cut the network there (a CPU layer ends in `_cpu`), or replace the layer."""
    yield from subject.of_other_types(TYPES)


@book.rule("nnie-mark", "warning", GUIDE)
def marks(subject: Subject) -> Iterator[Trap]:
    """The mapper reads the end of a name: tops in `_report` are given out, layers in `_hp` take 16 bits, in `_cpu` run
    on the CPU. Rename what is not meant so."""
    for node in subject.graph.nodes:
        for name in (node.name, *(blob.name for blob in node.tops)):
            if name.endswith(MARKS):
                yield subject.at(node, f"its name '{name}' ends in a mark of the mapper's")


@book.rule("nnie-rounding", "error", "Caffe 1.0, PoolingParameter: it has no field of rounding, and rounds up")
def rounding(subject: Subject) -> Iterator[Trap]:
    """Caffe 1.0 rounds a pooling's size up, and has no word for down: choose sizes or padding for which both agree."""
    for node in subject.graph.nodes:
        if node.type == "Pooling":
            message = subject.document.messages("layer")[node.index or 0].message("pooling_param")
            if message is not None and (message.get("round_mode") or message.get("ceil_mode")):
                yield subject.at(node, "rounds down, which Caffe 1.0 cannot say")


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """The mapper's configuration: mean of each channel (norm_type 2), no scaling, BGR."""
    levels = "".join(f"{level:g}\n" for level in inputs.mean)
    lines = [
        f"[prototxt_file] ./{inputs.model}", f"[caffemodel_file] ./{inputs.weights}", "[batch_num] 1", "[net_type] 0",
        "[sparse_rate] 0", "[compile_mode] 0", "[is_simulation] 0", "[log_level] 2", "[instruction_name] ./model",
        "[RGB_order] BGR", "[data_scale] 1", "[internal_stride] 16", f"[image_list] ./{inputs.images}",
        "[image_type] 1", "[mean_file] ./mean.txt", "[norm_type] 2",
    ]  # fmt: skip
    return {"nnie.cfg": "\n".join(lines) + "\n", "mean.txt": levels}


NNIE = Chain(
    "HiSilicon NNIE (nnie_mapper)",
    "caffe",
    (drop_passing_layers, leave_out_rounding_up, state_global_statistics, reshape_from_axis_0),
    book,
    settings,
)
