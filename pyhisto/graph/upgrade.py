"""Old networks made new, as Caffe's util/upgrade_proto.cpp does when it reads a file.

Before: V0 (`layers { layer { type: "conv" } }`), V1 (`layers { type: CONVOLUTION }`), or `input` / `input_dim` /
`input_shape` fields.
After: `layer { type: "Convolution" }` alone, with an Input layer in front.
"""

from typing import Any

from pyhisto.errors import InputError
from pyhisto.proto import LayerParameter, Net, NetParameter

V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
"""The V1 enum's names and the layer types that they became."""

V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
"""The V0 type strings and the V1 enum's names."""

_CONV = {"conv": "convolution_param"}
_FILLED = {**_CONV, "innerproduct": "inner_product_param"}
_WINDOW = {"window_data": "window_data_param"}
_IMAGES = {"images": "image_data_param"}
_BATCHED = {**_WINDOW, **_IMAGES, "data": "data_param", "hdf5_data": "hdf5_data_param"}
_LRN = {"lrn": "lrn_param"}
_TRANSFORM = dict.fromkeys(V0_TYPES, "transform_param")
V0_FIELDS = {
    "num_output": (_FILLED, "num_output"),
    "biasterm": (_FILLED, "bias_term"),
    "weight_filler": (_FILLED, "weight_filler"),
    "bias_filler": (_FILLED, "bias_filler"),
    "pad": ({**_CONV, "pool": "pooling_param"}, "pad"),
    "kernelsize": ({**_CONV, "pool": "pooling_param"}, "kernel_size"),
    "group": (_CONV, "group"),
    "stride": ({**_CONV, "pool": "pooling_param"}, "stride"),
    "pool": ({"pool": "pooling_param"}, "pool"),
    "dropout_ratio": ({"dropout": "dropout_param"}, "dropout_ratio"),
    "local_size": (_LRN, "local_size"),
    "alpha": (_LRN, "alpha"),
    "beta": (_LRN, "beta"),
    "k": (_LRN, "k"),
    "source": ({**_BATCHED, "infogain_loss": "infogain_loss_param"}, "source"),
    "scale": (_TRANSFORM, "scale"),
    "meanfile": (_TRANSFORM, "mean_file"),
    "batchsize": (_BATCHED, "batch_size"),
    "cropsize": (_TRANSFORM, "crop_size"),
    "mirror": (_TRANSFORM, "mirror"),
    "rand_skip": ({**_IMAGES, "data": "data_param"}, "rand_skip"),
    "shuffle_images": (_IMAGES, "shuffle"),
    "new_height": (_IMAGES, "new_height"),
    "new_width": (_IMAGES, "new_width"),
    "concat_dim": ({"concat": "concat_param"}, "concat_dim"),
    "det_fg_threshold": (_WINDOW, "fg_threshold"),
    "det_bg_threshold": (_WINDOW, "bg_threshold"),
    "det_fg_fraction": (_WINDOW, "fg_fraction"),
    "det_context_pad": (_WINDOW, "context_pad"),
    "det_crop_mode": (_WINDOW, "crop_mode"),
}
"""V0 field -> (V0 type -> the message that took the field over, the field's new name). Elsewhere Caffe drops it."""

_TRANSFORMED = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_V1_SPECIAL = {"type", "param", "blob_share_mode", "blobs_lr", "weight_decay", "layer"}


def upgrade(net: Net, source: object = "network") -> tuple[Net, list[int | None]]:
    """The network in today's format, and for each of its layers its position in `layer` (or `layers`) of `net`.

    A layer that the upgrade made up (Input) has the position None. `net` is left as it is, and is itself the answer
    if it needs nothing. Raises InputError if Caffe refuses.
    """
    if net.layers and net.layer:
        raise InputError(f"{source}: holds both 'layer' and 'layers'; write all in the 'layer' format")
    stale_norms = any(layer.type == "BatchNorm" and len(layer.param) == 3 for layer in net.layer)
    if not (net.layers or net.input or net.input_dim or net.input_shape or stale_norms):
        return net, list(range(len(net.layer)))

    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    origins: list[int | None] = list(range(len(net.layer) or len(net.layers)))
    if net.layers:
        if any(layer.HasField("layer") for layer in net.layers):
            origins = _upgrade_v0(upgraded, source)
        for layer in upgraded.layers:
            _move_transform(layer)
            _upgrade_v1(layer, upgraded.layer.add(), source)
        upgraded.ClearField("layers")
    if _upgrade_input(upgraded, source):
        origins.insert(0, None)
    for layer in upgraded.layer:
        # Once the three statistics carried an lr_mult of 0 each; Caffe has taken such fields away since.
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            layer.ClearField("param")
    return upgraded, origins


def _upgrade_v0(net: Net, source: object) -> list[int | None]:
    """V0 to V1, in place; padding layers melt into the convolution or pooling that follows them."""
    old = list(net.layers)
    kept = []
    made_by: dict[str, Any] = dict.fromkeys(net.input)
    upgraded = NetParameter()
    for index, layer in enumerate(old):
        padding = None
        for blob in layer.bottom:
            if blob not in made_by:
                raise InputError(f"{source}: layer '{layer.layer.name}': nothing before it makes its bottom '{blob}'")
            maker = made_by[blob]
            if maker is not None and maker.layer.type == "padding":
                padding = maker
        made_by.update(dict.fromkeys(layer.top, layer))
        if layer.layer.type == "padding":
            continue
        kept.append(index)
        new = upgraded.layers.add(bottom=layer.bottom, top=layer.top)
        _upgrade_v0_layer(layer, new, source)
        if padding is not None:
            if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1 or len(padding.bottom) != 1:
                raise InputError(
                    f"{source}: layer '{new.name}': only a convolution or pooling can follow a padding layer"
                )
            target = new.convolution_param if layer.layer.type == "conv" else new.pooling_param
            _assign(target, "pad", padding.layer.pad)
            new.bottom[0] = padding.bottom[0]
    net.ClearField("layers")
    net.layers.MergeFrom(upgraded.layers)
    return list(kept)


def _upgrade_v0_layer(old: Any, new: Any, source: object) -> None:
    layer = old.layer
    if not old.HasField("layer"):
        return
    if layer.HasField("name"):
        new.name = layer.name
    if layer.HasField("type"):
        if layer.type not in V0_TYPES:
            raise InputError(f"{source}: layer '{layer.name}': unknown layer type '{layer.type}'")
        new.type = new.LayerType.Value(V0_TYPES[layer.type])
    new.blobs.MergeFrom(layer.blobs)
    new.blobs_lr.extend(layer.blobs_lr)
    new.weight_decay.extend(layer.weight_decay)
    for field, (owners, name) in V0_FIELDS.items():
        if layer.HasField(field) and layer.type in owners:
            _assign(getattr(new, owners[layer.type]), name, getattr(layer, field))
    if layer.HasField("hdf5_output_param") and layer.type == "hdf5_output":
        new.hdf5_output_param.CopyFrom(layer.hdf5_output_param)


def _assign(message: Any, field: str, value: Any) -> None:
    """Set a field, whether it is one number, a list of numbers (a convolution's pad), or a message."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if descriptor.message_type is not None:
        getattr(message, field).CopyFrom(value)
    elif descriptor.label == descriptor.LABEL_REPEATED:
        getattr(message, field)[:] = [value]
    else:
        setattr(message, field, value)


def _move_transform(layer: Any) -> None:
    """Scale, mean file, crop size and mirror once stood in the data layer's own message."""
    owner = _TRANSFORMED.get(layer.LayerType.Name(layer.type))
    if owner is None:
        return
    parameters = getattr(layer, owner)
    for field in ("scale", "mean_file", "crop_size", "mirror"):
        if parameters.HasField(field):
            setattr(layer.transform_param, field, getattr(parameters, field))
            parameters.ClearField(field)


def _upgrade_v1(old: Any, new: Any, source: object) -> None:
    for field, value in old.ListFields():
        if field.name not in _V1_SPECIAL and field.name in LayerParameter.DESCRIPTOR.fields_by_name:
            target = getattr(new, field.name)
            if field.label == field.LABEL_REPEATED:
                target.MergeFrom(value)
            elif field.message_type is not None:
                target.CopyFrom(value)
            else:
                setattr(new, field.name, value)
    if old.HasField("type"):
        new.type = V1_TYPES[old.LayerType.Name(old.type)]

    def spec(index: int) -> Any:
        while len(new.param) <= index:
            new.param.add()
        return new.param[index]

    for index, name in enumerate(old.param):
        spec(index).name = name
    for index, mode in enumerate(old.blob_share_mode):
        spec(index).share_mode = mode  # STRICT and PERMISSIVE kept their numbers
    for index, multiplier in enumerate(old.blobs_lr):
        spec(index).lr_mult = multiplier
    for index, multiplier in enumerate(old.weight_decay):
        spec(index).decay_mult = multiplier


def _upgrade_input(net: Net, source: object) -> bool:
    """`input`, `input_dim` and `input_shape` into an Input layer in front; whether one was made."""
    made = False
    if net.input and (net.input_shape or net.input_dim):
        count = len(net.input_shape) or len(net.input_dim) // 4
        if count < len(net.input):
            raise InputError(f"{source}: names {len(net.input)} inputs but shapes only {count} of them")
        layer = LayerParameter(name="input", type="Input", top=net.input)
        for index in range(len(net.input)):
            dims = net.input_shape[index].dim if net.input_shape else net.input_dim[4 * index : 4 * index + 4]
            layer.input_param.shape.add(dim=dims)
        layers = [layer, *net.layer]
        renewed = NetParameter(layer=layers)
        net.ClearField("layer")
        net.layer.MergeFrom(renewed.layer)
        made = True
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)
    return made
