"""What a prototxt says that our schema does not: fields of forks, which are left alone, and named.

A field that the schema does not know is passed over wherever it stands, and so is a word that is none of the field's
own (a fork's engine). So are all settings of a layer whose type is not in SETTINGS: a fork may give the name of one of
our messages another content.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pyhisto.prototext import Document, Field, Message, Scalar

_LOSS = ("loss_param",)
SETTINGS: dict[str, tuple[str, ...]] = {
    "AbsVal": (),
    "Accuracy": ("accuracy_param",),
    "AnnotatedData": ("data_param", "transform_param"),
    "ArgMax": ("argmax_param",),
    "Axpy": (),
    "BNLL": (),
    "BN": ("bn_param",),
    "BatchNorm": ("batch_norm_param",),
    "BatchReindex": (),
    "Bias": ("bias_param",),
    "Clip": ("clip_param",),
    "Concat": ("concat_param",),
    "ContrastiveLoss": ("contrastive_loss_param", *_LOSS),
    "Convolution": ("convolution_param",),
    "ConvolutionDepthwise": ("convolution_param",),
    "Crop": ("crop_param",),
    "CropCenter": ("crop_center_param",),
    "Data": ("data_param", "transform_param"),
    "Deconvolution": ("convolution_param",),
    "DepthwiseConv": ("convolution_param",),
    "DepthwiseConvolution": ("convolution_param",),
    "DetectionOutput": ("detection_output_param",),
    "Dropout": ("dropout_param",),
    "DummyData": ("dummy_data_param",),
    "ELU": ("elu_param",),
    "Eltwise": ("eltwise_param",),
    "Embed": ("embed_param",),
    "EuclideanLoss": _LOSS,
    "Exp": ("exp_param",),
    "Filter": (),
    "Flatten": ("flatten_param",),
    "HDF5Data": ("hdf5_data_param",),
    "HDF5Output": ("hdf5_output_param",),
    "HingeLoss": ("hinge_loss_param", *_LOSS),
    "HardSigmoid": (),
    "HardSwish": (),
    "Im2col": ("convolution_param",),
    "ImageData": ("image_data_param", "transform_param"),
    "InfogainLoss": ("infogain_loss_param", "softmax_param", *_LOSS),
    "InnerProduct": ("inner_product_param",),
    "Input": ("input_param",),
    "Interp": ("interp_param",),
    "LRN": ("lrn_param",),
    "LSTM": ("recurrent_param",),
    "LSTMUnit": (),
    "Log": ("log_param",),
    "MVN": ("mvn_param",),
    "MemoryData": ("memory_data_param", "transform_param"),
    "Mish": (),
    "MultiBoxLoss": ("multibox_loss_param", *_LOSS),
    "MultinomialLogisticLoss": _LOSS,
    "Normalize": ("norm_param",),
    "PReLU": ("prelu_param",),
    "Parameter": ("parameter_param",),
    "Permute": ("permute_param",),
    "Pooling": ("pooling_param",),
    "PSROIAlign": ("psroi_pooling_param",),
    "PSROIPooling": ("psroi_pooling_param",),
    "PriorBox": ("prior_box_param",),
    "PriorBoxClustered": ("prior_box_param",),
    "Power": ("power_param",),
    "Python": ("python_param",),
    "RNN": ("recurrent_param",),
    "ROIAlign": ("roi_pooling_param",),
    "ROIPooling": ("roi_pooling_param",),
    "ReLU": ("relu_param",),
    "ReLU6": ("relu_param",),
    "Reduction": ("reduction_param",),
    "Reorg": ("reorg_param",),
    "Reshape": ("reshape_param",),
    "SPP": ("spp_param",),
    "Scale": ("scale_param",),
    "ShuffleChannel": ("shuffle_channel_param",),
    "Sigmoid": ("sigmoid_param",),
    "SigmoidCrossEntropyLoss": _LOSS,
    "Silence": (),
    "Slice": ("slice_param",),
    "SmoothL1Loss": _LOSS,
    "Softmax": ("softmax_param",),
    "SoftmaxWithLoss": ("softmax_param", *_LOSS),
    "Split": (),
    "Swish": ("swish_param",),
    "TanH": ("tanh_param",),
    "Threshold": ("threshold_param",),
    "Tile": ("tile_param",),
    "Upsample": ("upsample_param",),
    "YoloDetectionOutput": (),
    "Yolov3DetectionOutput": (),
    "WindowData": ("window_data_param", "transform_param"),
}
"""The layer types that we know, and the messages of a LayerParameter that each reads its settings from."""


class Unknown(NamedTuple):
    """A field that is passed over."""

    path: str
    """Its name, after those of the messages that it stands in: `layer 'conv1': convolution_param.binary`."""
    line: int


def unknown_fields(document: Document, descriptor: Any) -> list[Unknown]:
    """The fields of a prototxt that the message of this descriptor does not have, in order.

    Not those of layers whose types nobody knows: there the type says it.
    """
    found = _passed_over(document, descriptor, "")
    return [Unknown(path, each.line) for path, each, schema_lacks_it in found if schema_lacks_it]


def known_text(text: str, descriptor: Any, source: object, foreign_layers: bool = False) -> str:
    """The prototxt without the fields that are passed over; the others stay in their lines.

    With `foreign_layers`, the settings of layers whose types nobody knows stay, too. Raises InputError if it is no
    prototxt.
    """
    document = Document(text, source)
    for _, each, schema_lacks_it in _passed_over(document, descriptor, ""):
        if foreign_layers and not schema_lacks_it:
            continue
        lines = "".join(each.pieces()).removeprefix(each.lead).count("\n")
        each.name, each.joint, each.value, each.tail = "", "", Scalar("\n" * lines), ""
    return document.text()


def _passed_over(message: Message, descriptor: Any, path: str) -> Iterator[tuple[str, Field, bool]]:
    """(path, field, whether it is the schema that lacks it, and not the layer's type)"""
    layer = descriptor.name == "LayerParameter"
    settings = SETTINGS.get(message.get("type") or "") if layer else None
    for each in list(message.fields):
        described = descriptor.fields_by_name.get(each.name)
        others = layer and each.name.endswith("_param") and each.name not in (settings or ())
        if described is None or others:
            yield path + each.name, each, described is None and (settings is not None or not others)
        elif described.enum_type is not None and not _all_known(each, described.enum_type):
            yield path + each.name, each, True
        elif described.message_type is not None:
            for value in each.values():
                if isinstance(value, Message):
                    yield from _passed_over(value, described.message_type, _inside(path, each, value))


def _all_known(each: Field, words: Any) -> bool:
    """Whether no value of a field is a word that an enumeration lacks. (Anything but a word is simply wrong.)"""
    values = [value.raw for value in each.values() if isinstance(value, Scalar)]
    return all(raw in words.values_by_name or not raw.isidentifier() for raw in values)


def _inside(path: str, each: Field, value: Message) -> str:
    name = value.get("name") if each.name in ("layer", "layers") else None
    return f"{path}{each.name}." if name is None else f"layer '{name}': "
