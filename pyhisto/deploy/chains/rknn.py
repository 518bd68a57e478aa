"""Rockchip's RKNN-Toolkit2."""

from collections.abc import Iterator, Mapping

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.reshape_from_axis_0 import reshape_from_axis_0
from pyhisto.lint.rules import RuleBook, Trap

TYPES = frozenset(
    ("ArgMax", "BatchNorm", "Concat", "Convolution", "ConvolutionDepthwise", "Crop", "Deconvolution", "Dropout",
     "Eltwise", "Flatten", "HardSigmoid", "InnerProduct", "Input", "LRN", "LSTM", "Normalize", "PReLU", "Permute",
     "Pooling", "Power", "Proposal", "ROIPooling", "ReLU", "ReLU6", "Reduction", "Reorg", "Reshape", "Scale",
     "Sigmoid", "Slice", "Softmax", "Split", "TanH", "Tile", "Upsample")
)  # fmt: skip

book: RuleBook[Subject] = RuleBook()


@book.rule("rknn-type", "error", "rknn-toolkit2 2.3.2, rknn/base/convertor/caffe: the types that it names")
def types(subject: Subject) -> Iterator[Trap]:
    """load_caffe does not know the layer's type: go by ONNX (tools/to_onnx.py, rknn.load_onnx)."""
    yield from subject.of_other_types(TYPES)


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """A program for the toolkit. The toolkit reads calibration images as RGB, and the network takes BGR."""
    mean, deviation = list(inputs.mean), [1.0] * len(inputs.mean)
    quantise = f"do_quantization=True, dataset={inputs.images!r}" if inputs.images else "do_quantization=False"
    return {
        "convert.py": f'''"""RKNN-Toolkit2: set target_platform to the chip."""
from rknn.api import RKNN

rknn = RKNN()
rknn.config(mean_values=[{mean}], std_values=[{deviation}], quant_img_RGB2BGR=True, target_platform="rk3588")
assert rknn.load_caffe(model={inputs.model!r}, blobs={inputs.weights!r}) == 0
assert rknn.build({quantise}) == 0
assert rknn.export_rknn("model.rknn") == 0
'''
    }


RKNN = Chain("RKNN-Toolkit2 (reads the new layer format only: rockchip-linux/rknn-toolkit issue 431)", "caffe",
             (drop_passing_layers, reshape_from_axis_0), book, settings)  # fmt: skip
