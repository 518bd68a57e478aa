"""Networks and weights for tests: random ones, and weights for any graph."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto.graph import Graph
from pyhisto.proto import Net, NetParameter, set_blob, to_text, write_weights

IMAGE_NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 5 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 4 stride: 4 }
}
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
"""Of 16 x 16 images, two classes: every engine runs it."""


def random_weights(graphs: Iterable[Graph], seed: int = 0) -> Net:
    """A caffemodel for all layers of the graphs, scaled so that activations neither vanish nor explode."""
    generator = np.random.default_rng(seed)
    weights, done = NetParameter(), set()
    shared: dict[str, NDArray[np.float32]] = {}
    for graph in graphs:
        for node in graph.nodes:
            if not node.param_shapes or node.name in done:
                continue
            done.add(node.name)
            layer = weights.layer.add(name=node.name, type=node.type)
            for index, shape in enumerate(node.param_shapes):
                values = _values(generator, node.type, index, shape)
                name = node.layer.param[index].name if index < len(node.layer.param) else ""
                if name:
                    values = shared.setdefault(name, values)
                set_blob(layer.blobs.add(), values)
    return weights


def _values(generator: np.random.Generator, layer_type: str, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if layer_type == "BatchNorm":
        values = [generator.normal(0, 0.3, shape), generator.uniform(0.5, 1.5, shape), np.ones(shape)][index]
    elif layer_type == "Python":  # a SEP layer's state: nothing seen, nothing masked
        values = np.ones(shape) if index == 3 else np.zeros(shape)
    elif (layer_type == "BN" and index == 3) or (index == 0 and layer_type in ("BN", "Scale", "PReLU", "Normalize")):
        values = generator.uniform(0.5, 1.5, shape)
    elif index == 0:
        values = generator.normal(0, (2 / max(1, int(np.prod(shape[1:])))) ** 0.5, shape)
    else:
        values = generator.normal(0, 0.1, shape)
    return values.astype(np.float32)


def save(folder: Path, net: Net, seed: int = 0, name: str = "deploy") -> tuple[Path, Path]:
    """Write a network and random weights for it; their paths."""
    model, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    model.write_text(to_text(net), encoding="utf-8")
    write_weights(weights, random_weights([Graph.build(net)], seed))
    return model, weights


class RandomNetwork:
    """Grows a random network of the patterns that pruners stumble over; the seed decides everything."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.net = NetParameter(name=f"random-{seed}")
        self.count = 0
        self.shapes: dict[str, tuple[int, int]] = {}  # blob -> channels, side
        self.layer("Input", [], "data", input_param={"shape": [{"dim": [2, 3, 8, 8]}]})
        self.shapes["data"] = (3, 8)
        blob = self.conv("data", self.pick(range(4, 9)))
        for _ in range(self.pick(range(2, 6))):
            blob = self.pick(self.steps())(blob)
        self.head(blob)
        if self.random.random() < 0.3:  # a second output, from some other place
            self.head(self.pick([name for name in self.shapes if name != "data" and self.shapes[name][1] > 0]))

    def steps(self) -> list[Callable[[str], str]]:
        """The patterns: each goes on from a blob, and returns the last one that it makes."""
        return [
            self.plain, self.inception, self.residual, self.squeeze_excite, self.grouped, self.depthwise, self.twins,
            self.dense, self.sliced, self.shared, self.pooled, self.deconvolved, self.maximum,
        ]  # fmt: skip

    def pick(self, choices: Any) -> Any:
        choices = list(choices)
        return choices[int(self.random.integers(len(choices)))]

    def layer(self, kind: str, bottoms: list[str], top: str | list[str] | None = None, **fields: Any) -> str:
        self.count += 1
        name = f"{kind.lower()}{self.count}"
        tops = [name] if top is None else [top] if isinstance(top, str) else top
        self.net.layer.add(name=name, type=kind, bottom=bottoms, top=tops, **fields)
        return tops[0]

    def conv(self, bottom: str, outputs: int, kernel: int = 0, group: int = 1, **shared: Any) -> str:
        kernel = kernel or self.pick([1, 3])
        top = self.layer(
            "Convolution", [bottom], **shared,
            convolution_param={
                "num_output": outputs, "kernel_size": [kernel], "pad": [kernel // 2], "group": group,
                "bias_term": bool(self.random.random() < 0.7),
            },
        )  # fmt: skip
        self.shapes[top] = (outputs, self.shapes[bottom][1])
        return top

    def same(self, blob: str, kind: str, **fields: Any) -> str:
        """A layer that keeps the shape, in place or not; never in place on a blob that others may read."""
        fresh = len([1 for layer in self.net.layer if blob in layer.bottom and blob not in layer.top]) == 0
        in_place = fresh and self.random.random() < 0.5 and blob != "data"
        top = self.layer(kind, [blob], blob if in_place else None, **fields)
        self.shapes[top] = self.shapes[blob]
        return top

    def activation(self, blob: str) -> str:
        kind = self.pick(["ReLU", "PReLU", "TanH", "Sigmoid", "ELU", "none"])
        return blob if kind == "none" else self.same(blob, kind)

    def plain(self, blob: str) -> str:
        blob = self.conv(blob, self.pick(range(2, 9)))
        if self.random.random() < 0.6:
            blob = self.same(blob, "BatchNorm")
            blob = self.same(blob, "Scale", scale_param={"bias_term": True})
        elif self.random.random() < 0.3:
            blob = self.same(blob, "Bias")
        return self.activation(blob)

    def concat(self, blobs: list[str]) -> str:
        top = self.layer("Concat", blobs)
        self.shapes[top] = (sum(self.shapes[blob][0] for blob in blobs), self.shapes[blobs[0]][1])
        return top

    def inception(self, blob: str) -> str:
        branches = [self.plain(blob), self.conv(blob, self.pick(range(1, 5)))]
        if self.random.random() < 0.5:
            branches.append(self.concat([self.plain(blob), branches[0]]))  # nested, and the same blob twice
        return self.concat(branches)

    def dense(self, blob: str) -> str:
        for _ in range(2):
            blob = self.concat([blob, self.plain(blob)])
        return blob

    def residual(self, blob: str) -> str:
        branch = self.conv(self.plain(blob), self.shapes[blob][0])
        operation = self.pick(["SUM", "PROD"])
        top = self.layer("Eltwise", [blob, branch], eltwise_param={"operation": operation})
        self.shapes[top] = self.shapes[blob]
        return self.activation(top)

    def maximum(self, blob: str) -> str:
        width = self.pick(range(2, 6))
        top = self.layer(
            "Eltwise", [self.conv(blob, width), self.plain_of(blob, width)], eltwise_param={"operation": "MAX"}
        )
        self.shapes[top] = (width, self.shapes[blob][1])
        return top

    def plain_of(self, blob: str, width: int) -> str:
        return self.activation(self.conv(blob, width))

    def squeeze_excite(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        squeeze = self.layer("Pooling", [blob], pooling_param={"pool": "AVE", "global_pooling": True})
        self.shapes[squeeze] = (channels, 0)
        if self.random.random() < 0.5:  # by convolutions, then reshaped; or by inner products, whose top is N x C
            down = self.conv(squeeze, max(1, channels // 2), 1)
            gate = self.same(self.conv(self.same(down, "ReLU"), channels, 1), "Sigmoid")
            dims = self.pick([[0, -1], [0, 0], [-1, channels], [0, channels]])
            gate = self.layer("Reshape", [gate], reshape_param={"shape": {"dim": dims}})
        else:
            down = self.inner_product(squeeze, max(1, channels // 2))
            gate = self.same(self.inner_product(self.same(down, "ReLU"), channels), "Sigmoid")
        top = self.layer("Scale", [blob, gate], scale_param={"axis": 0})
        self.shapes[top] = (channels, side)
        return top

    def inner_product(self, blob: str, outputs: int) -> str:
        top = self.layer("InnerProduct", [blob], inner_product_param={"num_output": outputs})
        self.shapes[top] = (outputs, 0)
        return top

    def grouped(self, blob: str) -> str:
        group = self.pick([2, 4])
        blob = self.conv(blob, group * self.pick([1, 2, 5]))
        return self.activation(self.conv(blob, group * self.pick([1, 2, 3]), 3, group))

    def depthwise(self, blob: str) -> str:
        channels = self.shapes[blob][0]
        return self.activation(self.conv(blob, channels * self.pick([1, 2]), 3, channels))

    def twins(self, blob: str) -> str:
        """BatchNorm written twice under one name, once a phase."""
        blob = self.conv(blob, self.pick(range(2, 7)))
        top = f"twin{self.count}"
        for phase, use_global in (("TRAIN", False), ("TEST", True)):
            self.net.layer.add(
                name=top, type="BatchNorm", bottom=[blob], top=[top], include=[{"phase": phase}],
                batch_norm_param={"use_global_stats": use_global},
            )  # fmt: skip
        self.shapes[top] = self.shapes[blob]
        return top

    def sliced(self, blob: str) -> str:
        blob = self.conv(blob, 2 * self.pick([2, 3, 4]))
        half = self.shapes[blob][0] // 2
        tops = [f"slice{self.count}a", f"slice{self.count}b"]
        point = [half] if self.random.random() < 0.5 else []
        self.layer("Slice", [blob], tops, slice_param={"axis": 1, "slice_point": point})
        for top in tops:
            self.shapes[top] = (half, self.shapes[blob][1])
        if self.random.random() < 0.5:
            return self.concat([self.plain(tops[0]), tops[1]])
        top = self.layer("Eltwise", tops)
        self.shapes[top] = self.shapes[tops[0]]
        return top

    def shared(self, blob: str) -> str:
        """Two convolutions with the same weights, one after the other."""
        channels, name = self.shapes[blob][0], f"shared{self.count}"
        for _ in range(2):
            top = self.layer(
                "Convolution", [blob], param=[{"name": f"{name}_w"}, {"name": f"{name}_b"}],
                convolution_param={"num_output": channels, "kernel_size": [3], "pad": [1]},
            )  # fmt: skip
            self.shapes[top] = self.shapes[blob]
            blob = self.activation(top)
        return blob

    def pooled(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        if side < 3:
            return self.plain(blob)
        top = self.layer(
            "Pooling", [blob], pooling_param={"pool": self.pick(["MAX", "AVE"]), "kernel_size": 2, "stride": 2}
        )
        self.shapes[top] = (channels, -(-(side - 2) // 2) + 1)
        return top

    def deconvolved(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        if side > 10:
            return self.plain(blob)
        group = self.pick([1, channels])
        outputs = channels if group > 1 else self.pick(range(2, 7))
        top = self.layer(
            "Deconvolution", [blob],
            convolution_param={"num_output": outputs, "kernel_size": [2], "stride": [2], "group": group},
        )  # fmt: skip
        self.shapes[top] = (outputs, side * 2)
        return top

    def head(self, blob: str) -> str:
        """A classifier on the flattened maps, or on their average."""
        way = self.pick(["maps", "flatten", "average"])
        if way == "average":
            top = self.layer("Pooling", [blob], pooling_param={"pool": "AVE", "global_pooling": True})
        elif way == "flatten":
            top = self.layer("Flatten", [blob])
        else:
            top = blob
        hidden = self.layer("InnerProduct", [top], inner_product_param={"num_output": 6})
        self.layer("ReLU", [hidden], hidden)
        scores = self.layer(
            "InnerProduct",
            [hidden],
            inner_product_param={"num_output": 3, "transpose": bool(self.random.random() < 0.5)},
        )
        return self.layer("Softmax", [scores])


class WildNetwork(RandomNetwork):
    """A random network with layer types of forks, and with one, Mystery, that nobody knows."""

    def steps(self) -> list[Callable[[str], str]]:
        return super().steps() + 2 * [
            self.depthwise_by_name, self.shuffled, self.reorganised, self.upsampled, self.unpooled, self.interpolated,
            self.cropped, self.activated, self.normalised, self.other_norm, self.permuted, self.gated_sum, self.prior,
            self.mystery, self.mystery_in_place, self.mystery_beside,
        ]  # fmt: skip

    def weights(self) -> Net:
        """Random ones, as if Mystery were TanH; the network itself does not say which it has behind a Mystery."""
        twin = NetParameter()
        twin.CopyFrom(self.net)
        for layer in twin.layer:
            layer.type = "TanH" if layer.type == "Mystery" else layer.type
        return random_weights([Graph.build(twin)], int(self.random.integers(1000)))

    def depthwise_by_name(self, blob: str) -> str:
        kind = self.pick(["ConvolutionDepthwise", "DepthwiseConv", "DepthwiseConvolution"])
        channels, side = self.shapes[blob]
        shape: dict[str, Any] = {"num_output": channels, "kernel_size": [3], "pad": [1]}
        if self.random.random() < 0.5:
            shape["group"] = channels
        top = self.layer(kind, [blob], convolution_param=shape)
        self.shapes[top] = (channels, side)
        return self.activation(top)

    def shuffled(self, blob: str) -> str:
        group = self.pick([2, 3])
        blob = self.plain_of(blob, group * self.pick([2, 3, 4]))
        top = self.layer("ShuffleChannel", [blob], shuffle_channel_param={"group": group})
        self.shapes[top] = self.shapes[blob]
        return self.activation(self.conv(top, self.shapes[top][0], 3, self.shapes[top][0]))

    def reorganised(self, blob: str) -> str:
        if self.shapes[blob][1] % 2:
            return self.plain(blob)
        blob = self.plain_of(blob, 4 * self.pick([1, 2, 3]))
        channels, side = self.shapes[blob]
        top = self.layer("Reorg", [blob], reorg_param={"stride": 2})
        self.shapes[top] = (4 * channels, side // 2)
        return top

    def upsampled(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        if side > 10:
            return self.plain(blob)
        top = self.layer("Upsample", [blob], upsample_param={"scale": 2})
        self.shapes[top] = (channels, 2 * side)
        return top

    def unpooled(self, blob: str) -> str:
        """SegNet's: pooled with the places of the maxima, convolved, and put back there."""
        channels, side = self.shapes[blob]
        if side % 2:
            return self.plain(blob)
        pooled, places = f"pool{self.count}", f"places{self.count}"
        shape = {"pool": "MAX", "kernel_size": 2, "stride": 2}
        self.layer("Pooling", [blob], [pooled, places], pooling_param=shape)
        self.shapes[pooled] = (channels, side // 2)
        top = self.layer("Upsample", [self.plain_of(pooled, channels), places], upsample_param={"scale": 2})
        self.shapes[top] = (channels, side)
        return top

    def interpolated(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        target = self.pick([side + 1, max(2, side - 1), 5])
        top = self.layer("Interp", [blob], interp_param={"height": target, "width": target})
        self.shapes[top] = (channels, target)
        return top

    def cropped(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        if side < 4:
            return self.plain(blob)
        top = self.layer("CropCenter", [blob], crop_center_param={"crop_size": [0, 0, 1, 1]})
        self.shapes[top] = (channels, side - 2)
        return top

    def activated(self, blob: str) -> str:
        return self.same(self.plain(blob), self.pick(["ReLU6", "HardSwish", "HardSigmoid", "Mish"]))

    def other_norm(self, blob: str) -> str:
        form = self.pick([{"bn_mode": "INFERENCE"}, {"frozen": True}])
        return self.same(self.plain(blob), "BN", bn_param=form)

    def normalised(self, blob: str) -> str:
        return self.same(self.plain(blob), "Normalize", norm_param={"across_spatial": False, "channel_shared": False})

    def permuted(self, blob: str) -> str:
        return self.same(blob, "Permute", permute_param={"order": [0, 1, 3, 2]})

    def gated_sum(self, blob: str) -> str:
        channels, side = self.shapes[blob]
        squeeze = self.layer("Pooling", [blob], pooling_param={"pool": "AVE", "global_pooling": True})
        self.shapes[squeeze] = (channels, 0)
        gate = self.same(self.inner_product(squeeze, channels), "Sigmoid")
        top = self.layer("Axpy", [gate, blob, self.conv(blob, channels)])
        self.shapes[top] = (channels, side)
        return top

    def prior(self, blob: str) -> str:
        """Boxes for every position, a further output."""
        self.layer(
            "PriorBox", [blob, "data"],
            prior_box_param={"min_size": [3], "aspect_ratio": [2], "variance": [0.1, 0.1, 0.2, 0.2], "offset": [0.5]},
        )  # fmt: skip
        return blob

    def mystery(self, blob: str) -> str:
        top = self.layer("Mystery", [blob])
        self.shapes[top] = self.shapes[blob]
        return self.plain(top)

    def mystery_in_place(self, blob: str) -> str:
        return self.plain(self.same(self.plain(blob), "Mystery"))

    def mystery_beside(self, blob: str) -> str:
        """Concatenated with, or added to, what a convolution makes."""
        top = self.layer("Mystery", [blob])
        self.shapes[top] = self.shapes[blob]
        if self.random.random() < 0.5:
            return self.concat([top, self.plain(blob)])
        together = self.layer("Eltwise", [top, self.conv(blob, self.shapes[blob][0])])
        self.shapes[together] = self.shapes[blob]
        return together
