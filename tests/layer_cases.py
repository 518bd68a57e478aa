"""Every layer type of Caffe's in its forms, with shapes worked out by hand."""

from tests.one_layer import layer, net

IMAGES = "2,6,8,9"
SAME: dict[str, list[str]] = {
    **{kind: [] for kind in ("AbsVal", "BNLL", "Dropout", "ELU", "Exp", "LRN", "Log", "MVN")},
    **{kind: [] for kind in ("Power", "ReLU", "Sigmoid", "Softmax", "TanH", "Threshold")},
    "BatchNorm": ["6", "6", "1"],
    "Normalize": ["."],
    "PReLU": ["6"],
    "Scale": ["6"],
}

# (layer type, its prototxt, the shapes of its tops t, u, ..., the shapes of its weight blobs)
Case = tuple[str, str, list[str], list[str]]
CASES: list[Case] = [
    (
        "Convolution",
        net(layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 }"), a=IMAGES),
        ["2,4,6,7"],  # 8 - 3 + 1, 9 - 3 + 1
        ["4,6,3,3", "4"],
    ),
    (
        "Convolution",
        net(
            layer(
                "Convolution",
                "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0 "
                "group: 2 bias_term: false }",
            ),
            a=IMAGES,
        ),
        ["2,4,4,3"],  # (8 + 2 - 3) / 2 + 1 = 4; (9 - 2) / 3 + 1 = 3: both round down
        ["4,3,3,2"],
    ),
    (
        "Convolution",
        net(
            layer("Convolution", "convolution_param { num_output: 6 group: 6 kernel_size: 3 dilation: 2 pad: 2 }"),
            a=IMAGES,
        ),
        ["2,6,8,9"],  # a dilated 3 reaches 5: 8 + 4 - 5 + 1
        ["6,1,3,3", "6"],
    ),
    (
        "Convolution",
        net(layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 stride: 2 }"), a="1,1,2,2"),
        ["1,4,1,1"],  # (2 - 3) / 2 + 1 = 1: C++ rounds towards zero
        ["4,1,3,3", "4"],
    ),
    (
        "Convolution",
        net(
            layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 kernel_size: 2 kernel_size: 3 }"),
            a="1,2,3,4,5",
        ),
        ["1,4,3,3,3"],
        ["4,2,1,2,3", "4"],
    ),
    (
        "Convolution",
        net(layer("Convolution", "convolution_param { num_output: 4 kernel_size: 2 axis: 2 }"), a="3,2,5,6"),
        ["3,2,4,5"],
        ["4,5,2", "4"],
    ),
    (
        "Convolution",
        net(
            layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 }", "a b", "t u"), a=IMAGES, b=IMAGES
        ),
        ["2,4,8,9", "2,4,8,9"],
        ["4,6,1,1", "4"],
    ),
    (
        "Deconvolution",
        net(
            layer("Deconvolution", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 2 }"),
            a=IMAGES,
        ),
        ["2,4,16,18"],  # 2 (8 - 1) + 4 - 2
        ["6,2,4,4", "4"],
    ),
    (
        "Deconvolution",
        net(layer("Deconvolution", "convolution_param { num_output: 3 kernel_size: 3 dilation: 2 }"), a=IMAGES),
        ["2,3,12,13"],  # 8 - 1 + 5
        ["6,3,3,3", "3"],
    ),
    (
        "Im2col",
        net(layer("Im2col", "convolution_param { kernel_size: 3 stride: 2 pad: 1 }"), a=IMAGES),
        ["2,54,4,5"],
        [],
    ),
    (
        "Pooling",
        net(layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"), a="2,6,112,113"),
        ["2,6,56,56"],  # ceil(109 / 2) + 1, ceil(110 / 2) + 1: rounded up
        [],
    ),
    (
        "Pooling",
        net(layer("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 }"), a="2,6,7,8"),
        # 7 + 2 - 2 -> ceil(7/2) + 1 = 5, but the fifth begins at 8 = 7 + 1, in the padding: clipped to 4;
        # 8 + 2 - 2 -> 4 + 1 = 5, the fifth begins at 8 < 8 + 1
        ["2,6,4,5"],
        [],
    ),
    (
        "Pooling",
        net(layer("Pooling", "pooling_param { kernel_size: 1 stride: 2 }"), a="2,6,4,4"),
        ["2,6,3,3"],  # ceil(3/2) + 1 = 3: the third begins at 4, outside; without a pad Caffe does not clip
        [],
    ),
    ("Pooling", net(layer("Pooling", "pooling_param { global_pooling: true pool: AVE }"), a=IMAGES), ["2,6,1,1"], []),
    (
        "Pooling",
        net(
            layer("Pooling", "pooling_param { kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 3 }", tops="t u"), a=IMAGES
        ),
        ["2,6,7,3", "2,6,7,3"],
        [],
    ),
    (
        "SPP",
        net(layer("SPP", "spp_param { pyramid_height: 3 }"), a="2,6,9,10"),
        ["2,126"],  # 6 (1 + 4 + 16): at the third level 9 -> kernel 3, pad (12 - 9 + 1) / 2 = 2, 4 bins
        [],
    ),
    ("SPP", net(layer("SPP", "spp_param { pyramid_height: 1 }"), a="2,6,9,10"), ["2,6,1,1"], []),
    (
        "InnerProduct",
        net(layer("InnerProduct", "inner_product_param { num_output: 5 }"), a=IMAGES),
        ["2,5"],
        ["5,432", "5"],
    ),
    (
        "InnerProduct",
        net(
            layer("InnerProduct", "inner_product_param { num_output: 5 axis: -1 transpose: true bias_term: false }"),
            a=IMAGES,
        ),
        ["2,6,8,5"],
        ["9,5"],
    ),
    ("Embed", net(layer("Embed", "embed_param { num_output: 5 input_dim: 10 }"), a="2,3"), ["2,3,5"], ["10,5", "5"]),
    ("Scale", net(layer("Scale", "scale_param { bias_term: true }"), a=IMAGES), [IMAGES], ["6", "6"]),
    ("Scale", net(layer("Scale", "scale_param { axis: 1 num_axes: -1 }"), a=IMAGES), [IMAGES], ["6,8,9"]),
    ("Scale", net(layer("Scale", "scale_param { num_axes: 0 }"), a=IMAGES), [IMAGES], ["."]),
    ("Scale", net(layer("Scale", "scale_param { axis: 0 }", "a b"), a=IMAGES, b="2,6"), [IMAGES], []),
    (
        "Scale",
        net(layer("Scale", "scale_param { axis: 0 bias_term: true }", "a b"), a=IMAGES, b="2,6"),
        [IMAGES],
        ["2,6"],
    ),
    ("Bias", net(layer("Bias", "bias_param { axis: -2 num_axes: 2 }"), a=IMAGES), [IMAGES], ["8,9"]),
    ("Bias", net(layer("Bias", "", "a b"), a=IMAGES, b="6"), [IMAGES], []),
    ("PReLU", net(layer("PReLU", "prelu_param { channel_shared: true }"), a=IMAGES), [IMAGES], ["."]),
    ("PReLU", net(layer("PReLU"), a="2,6"), ["2,6"], ["6"]),
    ("Clip", net(layer("Clip", "clip_param { min: 0 max: 6 }"), a=IMAGES), [IMAGES], []),
    ("Swish", net(layer("Swish", "swish_param { beta: 2 }"), a=IMAGES), [IMAGES], []),
    ("Normalize", net(layer("Normalize", "norm_param { channel_shared: false }"), a=IMAGES), [IMAGES], ["6"]),
    ("BatchNorm", net(layer("BatchNorm"), a="2,6"), ["2,6"], ["6", "6", "1"]),
    ("MVN", net(layer("MVN"), a="2,6"), ["2,6,1,1"], []),
    ("LRN", net(layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"), a=IMAGES), [IMAGES], []),
    ("Concat", net(layer("Concat", bottoms="a b"), a=IMAGES, b="2,3,8,9"), ["2,9,8,9"], []),
    ("Concat", net(layer("Concat", "concat_param { axis: -1 }", "a b a"), a=IMAGES, b="2,6,8,1"), ["2,6,8,19"], []),
    ("Concat", net(layer("Concat", "concat_param { concat_dim: 0 }", "a b"), a=IMAGES, b="1,6,8,9"), ["3,6,8,9"], []),
    ("Slice", net(layer("Slice", tops="t u v"), a=IMAGES), ["2,2,8,9"] * 3, []),
    (
        "Slice",
        net(layer("Slice", "slice_param { axis: 3 slice_point: 2 slice_point: 3 }", tops="t u v"), a=IMAGES),
        ["2,6,8,2", "2,6,8,1", "2,6,8,6"],
        [],
    ),
    ("Slice", net(layer("Slice", "slice_param { slice_dim: 0 }", tops="t u"), a=IMAGES), ["1,6,8,9"] * 2, []),
    ("Split", net(layer("Split", tops="t u"), a=IMAGES), [IMAGES] * 2, []),
    ("Eltwise", net(layer("Eltwise", "eltwise_param { operation: PROD }", "a b a"), a=IMAGES, b=IMAGES), [IMAGES], []),
    ("Crop", net(layer("Crop", bottoms="a b"), a=IMAGES, b="5,5,5,6"), ["2,6,5,6"], []),
    (
        "Crop",
        net(layer("Crop", "crop_param { axis: 1 offset: 1 offset: 2 offset: 3 }", "a b"), a=IMAGES, b="9,5,6,6"),
        ["2,5,6,6"],
        [],
    ),
    ("Reshape", net(layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }"), a=IMAGES), ["2,432"], []),
    (
        "Reshape",
        net(layer("Reshape", "reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: 3 } }"), a=IMAGES),
        ["2,2,3,8,9"],
        [],
    ),
    (
        "Reshape",
        net(layer("Reshape", "reshape_param { axis: -1 num_axes: 0 shape { dim: 1 } }"), a=IMAGES),
        ["2,6,8,9,1"],
        [],
    ),
    ("Reshape", net(layer("Reshape", "reshape_param { shape { } }"), a="1,1"), ["."], []),
    ("Flatten", net(layer("Flatten"), a=IMAGES), ["2,432"], []),
    ("Flatten", net(layer("Flatten", "flatten_param { axis: 0 end_axis: -2 }"), a=IMAGES), ["96,9"], []),
    ("Tile", net(layer("Tile", "tile_param { axis: 2 tiles: 3 }"), a=IMAGES), ["2,6,24,9"], []),
    ("Reduction", net(layer("Reduction"), a=IMAGES), ["."], []),
    ("Reduction", net(layer("Reduction", "reduction_param { axis: -1 }"), a=IMAGES), ["2,6,8"], []),
    ("ArgMax", net(layer("ArgMax"), a=IMAGES), ["2,1,1,1"], []),
    ("ArgMax", net(layer("ArgMax", "argmax_param { out_max_val: true top_k: 3 }"), a="2,6"), ["2,2,3"], []),
    ("ArgMax", net(layer("ArgMax", "argmax_param { axis: 1 top_k: 3 }"), a=IMAGES), ["2,3,8,9"], []),
    ("BatchReindex", net(layer("BatchReindex", bottoms="a b"), a=IMAGES, b="7"), ["7,6,8,9"], []),
    ("Filter", net(layer("Filter", "", "a b c", "t u"), a=IMAGES, b="2,3", c="2,1"), [IMAGES, "2,3"], []),
    ("Silence", net(layer("Silence", bottoms="a b", tops=""), a=IMAGES, b="2"), [], []),
    ("Permute", net(layer("Permute", "permute_param { order: 0 order: 2 }"), a=IMAGES), ["2,8,6,9"], []),
    ("Parameter", net(layer("Parameter", "parameter_param { shape { dim: 4 dim: 5 } }", bottoms="")), ["4,5"], ["4,5"]),
    ("Accuracy", net(layer("Accuracy", bottoms="a b", tops="t u"), a="2,6", b="2"), [".", "6"], []),
    ("Accuracy", net(layer("Accuracy", "accuracy_param { top_k: 6 }", "a b"), a=IMAGES, b="2,1,8,9"), ["."], []),
    ("SoftmaxWithLoss", net(layer("SoftmaxWithLoss", bottoms="a b"), a=IMAGES, b="2,8,9"), ["."], []),
    ("SoftmaxWithLoss", net(layer("SoftmaxWithLoss", bottoms="a b", tops=""), a="2,6", b="2"), [], []),
    ("EuclideanLoss", net(layer("EuclideanLoss", bottoms="a b"), a="2,6", b="2,2,3"), ["."], []),
    ("HingeLoss", net(layer("HingeLoss", bottoms="a b"), a="2,6", b="2"), ["."], []),
    ("SigmoidCrossEntropyLoss", net(layer("SigmoidCrossEntropyLoss", bottoms="a b"), a="2,6", b="2,6"), ["."], []),
    ("SmoothL1Loss", net(layer("SmoothL1Loss", bottoms="a b"), a="2,6", b="2,6"), ["."], []),
    ("MultinomialLogisticLoss", net(layer("MultinomialLogisticLoss", bottoms="a b"), a="2,6", b="2"), ["."], []),
    ("InfogainLoss", net(layer("InfogainLoss", bottoms="a b c"), a="2,6", b="2", c="1,1,6,6"), ["."], []),
    ("ContrastiveLoss", net(layer("ContrastiveLoss", bottoms="a b c"), a="2,6", b="2,6", c="2"), ["."], []),
    (
        "LSTM",
        net(layer("LSTM", "recurrent_param { num_output: 5 }", "a b"), a="4,2,3,7", b="4,2"),
        ["4,2,5"],
        ["20,21", "20", "20,5"],
    ),
    (
        "LSTM",
        net(
            layer("LSTM", "recurrent_param { num_output: 5 expose_hidden: true }", "a b c d e", "t u v"),
            a="4,2,3",
            b="4,2",
            c="2,9",
            d="1,2,5",
            e="1,2,5",
        ),
        ["4,2,5", "1,2,5", "1,2,5"],
        ["20,3", "20", "20,9", "20,5"],
    ),
    (
        "RNN",
        net(layer("RNN", "recurrent_param { num_output: 5 }", "a b c"), a="4,2,3", b="4,2", c="2,9"),
        ["4,2,5"],
        ["5,3", "5", "5,9", "5,5", "5,5", "5"],
    ),
    ("LSTMUnit", net(layer("LSTMUnit", "", "a b c", "t u"), a="1,2,5", b="1,2,20", c="1,2"), ["1,2,5"] * 2, []),
    (
        "DummyData",
        layer("DummyData", "dummy_data_param { shape { dim: 2 } shape { dim: 3 dim: 4 } }", "", "t u"),
        ["2", "3,4"],
        [],
    ),
    (
        "DummyData",
        layer("DummyData", "dummy_data_param { num: 2 channels: 3 height: 4 height: 5 width: 6 }", "", "t u"),
        ["2,3,4,6", "2,3,5,6"],
        [],
    ),
    (
        "MemoryData",
        layer("MemoryData", "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }", "", "t u"),
        ["2,3,4,5", "2"],
        [],
    ),
    (
        "Input",
        layer("Input", "input_param { shape { dim: 2 dim: 3 } }", "", "t u"),
        ["2,3", "2,3"],
        [],
    ),
    *[(kind, net(layer(kind), a=IMAGES), [IMAGES], params) for kind, params in SAME.items()],
]
