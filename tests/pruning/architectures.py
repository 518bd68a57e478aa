"""Published architectures in Caffe's words, at their real depth and widths, for the pruner's tests.

Inputs are smaller than the papers' where the layers allow it, so that a proof takes seconds; no width is touched. Batch
normalisation is Caffe's pair of BatchNorm and Scale. The numbers of learned parameters that the papers' reference
implementations have are in `PUBLISHED`.
"""

from collections.abc import Callable, Sequence

from pyhisto.nets.builder import Builder
from pyhisto.nets.resnext import ResNeXt
from pyhisto.proto import Net

CLASSES = 1000


class Architecture(Builder):
    """A Builder with the units that the architectures below are made of."""

    def __init__(self, name: str, side: int, channels: int = 3) -> None:
        super().__init__(name, {"eps": 0.001})
        self.input("data", (1, channels, side, side))

    def convolution(
        self, name: str, bottom: str, outputs: int, kernel: int | tuple[int, int] = 1, stride: int = 1,
        pad: int | tuple[int, int] = 0, group: int = 1, bias: bool = False, kind: str = "Convolution",
    ) -> str:  # fmt: skip
        """A convolution; a rectangular kernel and its padding are (height, width)."""
        shape = {"num_output": outputs, "stride": [stride], "group": group, "bias_term": bias}
        for field, short, value in (("kernel_size", "kernel", kernel), ("pad", "pad", pad)):
            if isinstance(value, tuple):
                shape |= {f"{short}_h": value[0], f"{short}_w": value[1]}
            else:
                shape[field] = [value]
        return self.layer(kind, name, bottom, convolution_param=shape)

    def normalise(self, blob: str) -> str:
        """BatchNorm and Scale, in place."""
        return self.batch_norm(blob, f"{blob}/bn", f"{blob}/scale")

    def unit(
        self, name: str, bottom: str, outputs: int, kernel: int | tuple[int, int] = 1, stride: int = 1,
        pad: int | tuple[int, int] = 0, group: int = 1,
    ) -> str:  # fmt: skip
        """Convolution, BatchNorm, Scale, ReLU."""
        blob = self.normalise(self.convolution(name, bottom, outputs, kernel, stride, pad, group))
        return self.relu(blob, f"{name}/relu")

    def sum_of(self, name: str, *bottoms: str) -> str:
        """The element-wise sum."""
        return self.layer("Eltwise", name, bottoms)

    def classify(self, bottom: str) -> Net:
        """Global average pooling and the classifier; the network."""
        self.layer(
            "Softmax", "prob", self.inner_product("classifier", self.global_average_pool("pool", bottom), CLASSES)
        )
        return self.net


def vgg16() -> Net:
    """Simonyan and Zisserman 2014, configuration D. Its first inner product ties it to 224 x 224."""
    b = Architecture("VGG-16", 224)
    blob = "data"
    for stage, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for index in range(1, depth + 1):
            name = f"conv{stage}_{index}"
            blob = b.relu(b.convolution(name, blob, width, 3, 1, 1, bias=True), f"relu{stage}_{index}")
        blob = b.max_pool(f"pool{stage}", blob, 2, 2)
    for name in ("fc6", "fc7"):
        blob = b.dropout(b.relu(b.inner_product(name, blob, 4096), f"relu_{name}"), f"drop_{name}", 0.5)
    b.layer("Softmax", "prob", b.inner_product("fc8", blob, CLASSES))
    return b.net


def resnet50() -> Net:
    """He et al. 2015, with the stride in a block's 3x3 (v1.5), which changes no parameter."""
    return _resnet("ResNet-50", lambda b, name, branch, shortcut: b.sum_of(name, shortcut, branch))


def resnext50() -> Net:
    """Xie et al. 2016, 32x4d: bottlenecks twice as wide, their 3x3 in 32 groups; this project's own generator."""
    return ResNeXt("standard", num_classes=CLASSES, input_size=64).deploy()


def se_resnet50() -> Net:
    """Hu et al. 2017, the gate applied by a Scale layer with two bottoms."""

    def join(b: Architecture, name: str, branch: str, shortcut: str) -> str:
        gate = b.layer(
            "Reshape", f"{name}/gate", _squeeze_excite(b, name, branch), reshape_param={"shape": {"dim": [0, -1]}}
        )
        gated = b.layer("Scale", f"{name}/gated", [branch, gate], scale_param={"axis": 0})
        return b.sum_of(name, shortcut, gated)

    return _resnet("SE-ResNet-50", join)


def se_resnet50_axpy() -> Net:
    """The same as its authors published it: their Axpy layer gates and adds at once."""

    def join(b: Architecture, name: str, branch: str, shortcut: str) -> str:
        return b.layer("Axpy", name, [_squeeze_excite(b, name, branch), branch, shortcut])

    return _resnet("SE-ResNet-50", join)


def _squeeze_excite(b: Architecture, name: str, blob: str, reduction: int = 16) -> str:
    width = next(layer for layer in b.net.layer if layer.name == blob).convolution_param.num_output
    down = b.convolution(f"{name}/down", b.global_average_pool(f"{name}/squeeze", blob), width // reduction, bias=True)
    up = b.convolution(f"{name}/up", b.relu(down, f"{name}/down/relu"), width, bias=True)
    return b.layer("Sigmoid", f"{name}/sigmoid", up, up)


def _resnet(name: str, join: Callable[[Architecture, str, str, str], str]) -> Net:
    b = Architecture(name, 64)
    blob = b.max_pool("pool1", b.unit("conv1", "data", 64, 7, 2, 3), 3, 2)
    for stage, depth in enumerate([3, 4, 6, 3], 2):
        outputs = 64 * 2**stage  # 256, 512, 1024, 2048
        inner = outputs // 4
        for index in range(depth):
            block, stride = f"res{stage}{chr(ord('a') + index)}", 2 if index == 0 and stage > 2 else 1
            shortcut = blob
            if index == 0:
                shortcut = b.normalise(b.convolution(f"{block}_branch1", blob, outputs, 1, stride))
            branch = b.unit(f"{block}_branch2a", blob, inner)
            branch = b.unit(f"{block}_branch2b", branch, inner, 3, stride, 1)
            branch = b.normalise(b.convolution(f"{block}_branch2c", branch, outputs))
            blob = b.relu(join(b, block, branch, shortcut), f"{block}_relu")
    return b.classify(blob)


def densenet121(growth: int = 32) -> Net:
    """Huang et al. 2016: BatchNorm before the convolution, each layer reading what all before it made."""
    b = Architecture("DenseNet-121", 64)

    def normalised(name: str, blob: str) -> str:  # beside its bottom, which others read as it is
        b.layer("BatchNorm", f"{name}/bn", blob, batch_norm_param=b.batch_norm_param)
        b.layer("Scale", f"{name}/scale", f"{name}/bn", f"{name}/bn", scale_param={"bias_term": True})
        return b.relu(f"{name}/bn", f"{name}/relu")

    blob, width = b.max_pool("pool1", b.unit("conv1", "data", 64, 7, 2, 3), 3, 2), 64
    for stage, depth in enumerate([6, 12, 24, 16], 2):
        for index in range(1, depth + 1):
            name = f"conv{stage}_{index}"
            inner = b.unit(f"{name}/x1", normalised(name, blob), 4 * growth)
            blob = b.concat(f"concat_{stage}_{index}", [blob, b.convolution(f"{name}/x2", inner, growth, 3, 1, 1)])
            width += growth
        blob = normalised(f"conv{stage}_blk", blob)
        if stage < 5:
            width //= 2
            blob = b.average_pool(f"pool{stage}", b.convolution(f"conv{stage}_blk/x1", blob, width), 2, 2)
    return b.classify(blob)


def mobilenet_v1() -> Net:
    """Howard et al. 2017: depthwise and pointwise convolutions in turn."""
    b = Architecture("MobileNet", 64)
    blob, width = b.unit("conv1", "data", 32, 3, 2, 1), 32
    outputs = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    for index, (output, stride) in enumerate(zip(outputs, [1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1], strict=True), 2):
        blob = b.unit(f"conv{index}/dw", blob, width, 3, stride, 1, group=width)
        blob, width = b.unit(f"conv{index}/sep", blob, output), output
    return b.classify(blob)


def mobilenet_v2() -> Net:
    """Sandler et al. 2018: narrow residual streams between wide depthwise convolutions."""
    b = Architecture("MobileNet-v2", 64)
    blob, width = b.unit("conv1", "data", 32, 3, 2, 1), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for stage, (expansion, output, depth, first_stride) in enumerate(stages, 2):
        for index in range(1, depth + 1):
            name, stride = f"conv{stage}_{index}", first_stride if index == 1 else 1
            inner = b.unit(f"{name}/expand", blob, width * expansion) if expansion > 1 else blob
            inner = b.unit(f"{name}/dwise", inner, width * expansion, 3, stride, 1, group=width * expansion)
            linear = b.normalise(b.convolution(f"{name}/linear", inner, output))
            blob = b.sum_of(f"{name}/sum", blob, linear) if index > 1 else linear
            width = output
    return b.classify(b.unit("conv9", blob, 1280))


def inception_v3() -> Net:
    """Szegedy et al. 2015, without the auxiliary head: 1 x 7 and 7 x 1 kernels, concatenations in concatenations."""
    b = Architecture("Inception-v3", 75)
    pooled = {"pool": "AVE", "kernel_size": 3, "stride": 1, "pad": 1}
    same = {
        "1": ((1, 1), (0, 0)), "3": ((3, 3), (1, 1)), "5": ((5, 5), (2, 2)), "1x7": ((1, 7), (0, 3)),
        "7x1": ((7, 1), (3, 0)), "1x3": ((1, 3), (0, 1)), "3x1": ((3, 1), (1, 0)),
    }  # fmt: skip

    def chain(name: str, blob: str, *units: tuple[str, int]) -> str:
        for index, (kind, outputs) in enumerate(units):
            unit = f"{name}/{index}"
            if kind == "/2":
                blob = b.unit(unit, blob, outputs, 3, 2)
                continue
            if kind == "pool":
                blob = b.layer("Pooling", f"{name}/pool", blob, pooling_param=pooled)
            kernel, pad = same["1" if kind == "pool" else kind]
            blob = b.unit(unit, blob, outputs, kernel, 1, pad)
        return blob

    def mixed(name: str, blob: str, *branches: Sequence[tuple[str, int]]) -> str:
        return b.concat(name, [chain(f"{name}/b{index}", blob, *units) for index, units in enumerate(branches)])

    def reduced(name: str, blob: str, *branches: Sequence[tuple[str, int]]) -> str:
        made = [chain(f"{name}/b{index}", blob, *units) for index, units in enumerate(branches)]
        return b.concat(name, [*made, b.max_pool(f"{name}/pool", blob, 3, 2)])

    blob = b.unit("conv2", b.unit("conv1", "data", 32, 3, 2, 0), 32, 3, 1, 0)
    blob = b.max_pool("pool1", b.unit("conv3", blob, 64, 3, 1, 1), 3, 2)
    blob = b.max_pool("pool2", b.unit("conv5", b.unit("conv4", blob, 80), 192, 3, 1, 0), 3, 2)
    for letter, width in zip("bcd", (32, 64, 64), strict=True):
        blob = mixed(
            f"mixed5{letter}", blob, [("1", 64)], [("1", 48), ("5", 64)], [("1", 64), ("3", 96), ("3", 96)],
            [("pool", width)],
        )  # fmt: skip
    blob = reduced("mixed6a", blob, [("/2", 384)], [("1", 64), ("3", 96), ("/2", 96)])
    for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
        blob = mixed(
            f"mixed6{letter}", blob, [("1", 192)], [("1", width), ("1x7", width), ("7x1", 192)],
            [("1", width), ("7x1", width), ("1x7", width), ("7x1", width), ("1x7", 192)], [("pool", 192)],
        )  # fmt: skip
    blob = reduced("mixed7a", blob, [("1", 192), ("/2", 320)], [("1", 192), ("1x7", 192), ("7x1", 192), ("/2", 192)])
    for letter in "bc":
        name = f"mixed7{letter}"
        stems = [chain(f"{name}/b1", blob, ("1", 384)), chain(f"{name}/b2", blob, ("1", 448), ("3", 384))]
        split = []
        for index, stem in enumerate(stems, 1):
            halves = [chain(f"{name}/s{index}/{kind}", stem, (kind, 384)) for kind in ("1x3", "3x1")]
            split.append(b.concat(f"{name}/s{index}", halves))
        blob = b.concat(name, [chain(f"{name}/b0", blob, ("1", 320)), *split, chain(f"{name}/b3", blob, ("pool", 192))])
    return b.classify(blob)


def unet() -> Net:
    """Ronneberger et al. 2015: no padding, so that what comes from the left is cropped before it is concatenated.

    188 x 188 is an input that their overlap-tile strategy allows: 4 x 4 scores come out.
    """
    b = Architecture("U-Net", 188, channels=1)

    def twice(name: str, blob: str, width: int) -> str:
        for index in "ab":
            blob = b.relu(b.convolution(f"{name}{index}", blob, width, 3, bias=True), f"{name}{index}/relu")
        return blob

    blob, side, left = "data", 188, []
    for depth in range(4):
        blob, side = twice(f"down{depth}", blob, 64 << depth), side - 4
        left.append((blob, side))
        blob, side = b.max_pool(f"pool{depth}", blob, 2, 2), side // 2
    blob, side = twice("bottom", blob, 1024), side - 4
    for depth, (beside, beside_side) in reversed(list(enumerate(left))):
        up = b.convolution(f"up{depth}/deconv", blob, 64 << depth, 2, 2, bias=True, kind="Deconvolution")
        side *= 2
        crop = b.layer(
            "Crop", f"up{depth}/crop", [beside, up], crop_param={"axis": 2, "offset": [(beside_side - side) // 2]}
        )
        blob, side = twice(f"up{depth}", b.concat(f"up{depth}/concat", [crop, up]), 64 << depth), side - 4
    b.layer("Softmax", "prob", b.convolution("score", blob, 2, bias=True))
    return b.net


PUBLISHED: dict[Callable[[], Net], int] = {
    vgg16: 138_357_544,
    resnet50: 25_557_032,
    resnext50: 25_028_904,
    # ResNet-50 and, per block of C channels, 2 C^2/16 + C + C/16, C = 256 x 3, 512 x 4, 1024 x 6, 2048 x 3: 2,530,992.
    se_resnet50: 28_088_024,
    se_resnet50_axpy: 28_088_024,
    densenet121: 7_978_856,
    mobilenet_v1: 4_231_976,
    mobilenet_v2: 3_504_872,
    inception_v3: 23_834_568,
    unet: 31_030_658,  # one channel in, two classes out
}
"""Architecture -> the parameters it learns: those of the convolutions, inner products and Scale layers."""
