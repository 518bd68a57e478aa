"""SigmaStar's IPU SDK."""

from collections.abc import Iterator, Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.pool_in_steps import WINDOW, is_wide, pool_in_steps
from pyhisto.deploy.rewrites.say_rounding import leave_out_rounding_up
from pyhisto.deploy.rewrites.state_global_statistics import state_global_statistics
from pyhisto.graph import convolution_window
from pyhisto.graph.types import count
from pyhisto.lint.rules import RuleBook, Trap

OPERATORS = "SigmaStar IPU SDK, User Guide, Operators: Caffe-Supported Operators"

TYPES = frozenset(
    ("ArgMax", "Axpy", "BatchNorm", "CReLU", "Concat", "ContinuationIndicator", "Convolution", "ConvolutionDepthwise",
     "Crop", "Deconvolution", "Dropout", "Eltwise", "Flatten", "InnerProduct", "Input", "PReLU", "Permute", "Pooling",
     "Power", "PriorBox", "ROIPooling", "ReLU", "Reshape", "Reverse", "Scale", "ShuffleChannel", "Sigmoid", "Slice",
     "Softmax", "Split", "TanH", "Threshold", "Tile", "Upsample")
)  # fmt: skip

KERNEL, CONCATENATED, PRODUCT, LARGEST_SOFTMAX = 64, 256, 512 * 1024, 32 * 512

book: RuleBook[Subject] = RuleBook()


@book.rule("sigmastar-type", "error", OPERATORS)
def types(subject: Subject) -> Iterator[Trap]:
    """The SDK has no operator for the type."""
    yield from subject.of_other_types(TYPES)


@book.rule("sigmastar-pooling", "error", OPERATORS)
def poolings(subject: Subject) -> Iterator[Trap]:
    """A pooling over a whole blob takes few positions, and this one cannot be made of two: resize the input."""
    for node in subject.graph.nodes:
        if is_wide(node):
            yield subject.at(node, f"pools over more than {WINDOW} positions, which have no fitting divisors")


@book.rule("sigmastar-kernel", "error", OPERATORS)
def kernels(subject: Subject) -> Iterator[Trap]:
    """A convolution's window has less than 64 positions."""
    for node in subject.graph.nodes:
        if node.type in ("Convolution", "Deconvolution") and node.bottoms[0].shape is not None:
            kernel = convolution_window(node.layer, node.bottoms[0].shape).kernel
            if count(kernel) >= KERNEL:
                yield subject.at(node, f"its window has {count(kernel)} positions")


@book.rule("sigmastar-channels", "error", OPERATORS)
def channels(subject: Subject) -> Iterator[Trap]:
    """Inputs / 16 x outputs / 16 of a convolution or an inner product are less than 512 x 1024."""
    for node in subject.graph.nodes:
        if node.type in ("Convolution", "Deconvolution", "InnerProduct") and node.param_shapes:
            outputs, inputs = node.param_shapes[0][:2]
            if -(-inputs // 16) * -(-outputs // 16) >= PRODUCT:
                yield subject.at(node, f"has {inputs} inputs and {outputs} outputs")


@book.rule("sigmastar-scale", "warning", OPERATORS)
def scales(subject: Subject) -> Iterator[Trap]:
    """A Scale with two bottoms takes NCHW and a constant, a vector of C, or NCHW: an SE block's gate, N x C, is a
    vector of C for one image only."""
    for node in subject.graph.nodes:
        if node.type == "Scale" and len(node.bottoms) == 2:
            shape = node.bottoms[1].shape or ()
            if not (len(shape) == 4 or (len(shape) == 2 and shape[0] == 1)):
                yield subject.at(node, "its second bottom is neither a vector of C nor NCHW")


@book.rule("sigmastar-concat", "error", OPERATORS)
def concatenations(subject: Subject) -> Iterator[Trap]:
    """A Concat takes at most 256 blobs."""
    for node in subject.graph.nodes:
        if node.type == "Concat" and len(node.bottoms) > CONCATENATED:
            yield subject.at(node, f"joins {len(node.bottoms)} blobs")


@book.rule("sigmastar-softmax", "error", OPERATORS)
def softmaxes(subject: Subject) -> Iterator[Trap]:
    """A Softmax is over at most 16,384 numbers."""
    for node in subject.graph.nodes:
        shape = node.tops[0].shape if node.type == "Softmax" else None
        if shape is not None and shape[node.layer.softmax_param.axis] > LARGEST_SOFTMAX:
            yield subject.at(node, f"is over {shape[node.layer.softmax_param.axis]} numbers")


@book.rule("sigmastar-power", "error", OPERATORS)
def powers(subject: Subject) -> Iterator[Trap]:
    """Power takes positive whole exponents."""
    for node in subject.graph.nodes:
        power = node.layer.power_param.power
        if node.type == "Power" and (power <= 0 or power != int(power)):
            yield subject.at(node, f"has the exponent {power:g}")


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """input_config.ini; the mean is named by colour."""
    blue, green, red = (*inputs.mean, 0.0, 0.0)[:3]
    lines = [
        "[INPUT_CONFIG]", f"inputs='{inputs.blob}';", "training_input_formats=BGR;", "input_formats=BGR;",
        "quantizations=TRUE;", f"mean_red={red:g};", f"mean_green={green:g};", f"mean_blue={blue:g};", "std_value=1;",
        "", "[OUTPUT_CONFIG]", "dequantizations=TRUE;",
    ]  # fmt: skip
    return {"input_config.ini": "\n".join(lines) + "\n"}


SIGMASTAR = Chain("SigmaStar IPU SDK", "caffe",
                  (drop_passing_layers, leave_out_rounding_up, state_global_statistics, pool_in_steps),
                  book, settings)  # fmt: skip
