"""The Inception + Squeeze-Excitation-Pruning network of Zhu et al. 2019 (fig. 2 to 4, Table 1).

GoogLeNet's blocks 3a to 4e, each followed by an SEP block, BatchNorm and Scale after every convolution of the trunk,
and a tail that concatenates several blocks' outputs. Layer names are those of the authors' published network, because
Caffe copies weights by name.

Two variants:
  paper     the tail is 4e + 4b + 4c = 832 + 512 + 512 = 1856 channels, as in Table 1; its cost is Table 7's first row
            to the digit. (Table 1's text names 4d, which has 528 channels and fits no sum of 1856.)
  released  the tail is 4e + 4b + 4c + 4d = 2384 channels, and training has two auxiliary heads, on 4a and 4d.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pyhisto.errors import InputError
from pyhisto.layers.sep_layer import SEPStage, python_param
from pyhisto.nets.builder import AUTHORS_MEAN, MSRA, Builder, conv_side, pool_side
from pyhisto.proto import Net

InceptionSEPVariant: TypeAlias = Literal["paper", "released"]
SEP: TypeAlias = Literal["python", "native"]
Frozen: TypeAlias = Literal["none", "authors"]

SE_REDUCTION = 16
"""r of eq. 3."""

BATCH_NORM_EPS = 0.001
"""The authors'."""

MIN_INPUT_SIZE = 32
"""Below it the last pooling has nothing left to pool."""


class Widths(NamedTuple):
    """Channels of an Inception block's convolutions."""

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_proj: int

    @property
    def total(self) -> int:
        """Channels of the block's output: the four branches concatenated."""
        return self.conv1x1 + self.conv3x3 + self.conv5x5 + self.pool_proj


STEM = {"conv1/7x7_s2": 64, "conv2/3x3_reduce": 64, "conv2/3x3": 192}
BLOCKS = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
}
BRANCHES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
"""An Inception block's convolutions."""
TAIL: dict[InceptionSEPVariant, tuple[str, ...]] = {"paper": ("4e", "4b", "4c"), "released": ("4e", "4b", "4c", "4d")}
AUXILIARY_HEADS: dict[InceptionSEPVariant, dict[str, str]] = {"paper": {}, "released": {"4a": "loss1", "4d": "loss2"}}
AUXILIARY_LOSS_WEIGHT = 0.3
FROZEN: dict[Frozen, frozenset[str]] = {
    "none": frozenset(),
    "authors": frozenset([*STEM, *(f"inception_3a/{branch}" for branch in BRANCHES), "inception_3b/1x1"]),
}
"""Convolutions that keep the weights they start from. Scale layers go on learning and BatchNorm's statistics go on
moving in either case, as in the authors' published file."""


@dataclass(frozen=True)
class InceptionSEP:
    """What is free in the network. Its methods are the views of it: one prototxt each.

    Args:
        variant: which tail, and whether there are auxiliary heads.
        sep: the gate of train_val as a Python SEP layer, or as nothing (`native`): the two compute the same.
        num_classes: classes of the classifier.
        input_size: side of the square input in pixels.
        width: multiplies every width but the classifier's.
        mean: what is subtracted from the B, G and R channels; the default is the authors'.
        batch_norm_fraction: how much of the running statistics each iteration keeps. Caffe's 0.999 remembers about a
            thousand iterations: a shorter training wants less.
        frozen: which convolutions do not learn: `none` of them, as the paper says, or those whose learning-rate
            multipliers are 0 in the `authors`' published file, who started from a GoogLeNet.
    """

    variant: InceptionSEPVariant = "paper"
    sep: SEP = "python"
    num_classes: int = 2
    input_size: int = 224
    width: float = 1.0
    mean: tuple[float, float, float] = AUTHORS_MEAN
    batch_norm_fraction: float = 0.999
    frozen: Frozen = "none"

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise InputError(f"number of classes {self.num_classes}: must be 2 or more")
        if self.input_size < MIN_INPUT_SIZE:
            raise InputError(f"input size {self.input_size}: must be {MIN_INPUT_SIZE} or more")
        if not 0 < self.width <= 8:
            raise InputError(f"width {self.width}: must be above 0 and at most 8")
        if not 0 < self.batch_norm_fraction < 1:
            raise InputError(f"BatchNorm fraction {self.batch_norm_fraction}: must lie between 0 and 1")

    def _builder(self) -> Builder:
        settings = {"eps": BATCH_NORM_EPS}
        if self.batch_norm_fraction != InceptionSEP.batch_norm_fraction:
            settings["moving_average_fraction"] = self.batch_norm_fraction
        return Builder(self.name, settings)

    @property
    def name(self) -> str:
        """The network's name in its prototxts."""
        return f"InceptionSEP-{self.variant}"

    def train_val(self, train_lmdb: str, val_lmdb: str, batch_size: int, val_batch_size: int) -> Net:
        """Training and validation: Data layers, losses, accuracy."""
        b = self._builder()
        b.train_and_test_data(train_lmdb, val_lmdb, batch_size, val_batch_size, self.mean)
        outputs = self._trunk(b, self.sep, "training")
        for block, head in AUXILIARY_HEADS[self.variant].items():
            b.softmax_loss(f"{head}/loss", self._auxiliary_head(b, head, outputs[block]), AUXILIARY_LOSS_WEIGHT)
        logits = self._tail(b, outputs)
        b.softmax_loss("loss3/loss3", logits)
        b.accuracy("loss3/top-1", logits)
        return b.net

    def deploy(self) -> Net:
        """Prediction: an Input layer and a Softmax, and no Python layer: at prediction an SEP block is an SE block."""
        b = self._builder()
        b.input("data", (1, 3, self.input_size, self.input_size))
        b.layer("Softmax", "prob", self._tail(b, self._trunk(b, "native", "training")))
        return b.net

    def statistics(self, lmdb: str, batch_size: int) -> Net:
        """The statistical module of fig. 4: SEP layers that average the activation factors (eq. 5)."""
        b = self._builder()
        b.data(lmdb, batch_size, self.mean)
        b.layer("Silence", "silence_label", "label", top=[])
        b.layer("Softmax", "prob", self._tail(b, self._trunk(b, "python", "statistics")))
        return b.net

    def _scaled(self, channels: int) -> int:
        return max(1, round(channels * self.width))

    def _side(self, after_pools: int) -> int:
        """The side of the maps behind that many of the four poolings that halve them."""
        side = conv_side(self.input_size, 7, 2, 3)
        for _ in range(after_pools):
            side = pool_side(side, 3, 2)
        return side

    def _widths(self, block: str) -> Widths:
        return Widths(*(self._scaled(channels) for channels in BLOCKS[block]))

    def _trunk(self, b: Builder, sep: SEP, stage: SEPStage) -> dict[str, str]:
        """Stem and the seven Inception + SEP blocks; returns each block's output blob."""
        conv1 = b.conv("conv1/7x7_s2", "data", self._scaled(STEM["conv1/7x7_s2"]), 7, stride=2, pad=3)
        b.relu(b.batch_norm(conv1, "conv1/bn", "conv1/scale"), "conv1/relu_7x7")
        pool1 = b.max_pool("pool1/3x3_s2", conv1, 3, 2)
        reduce = b.conv("conv2/3x3_reduce", pool1, self._scaled(STEM["conv2/3x3_reduce"]), 1)
        b.relu(b.batch_norm(reduce, "conv2/relu_3x3_bn", "conv2/relu_3x3_scale"), "conv2/relu_3x3_reduce")
        conv2 = b.conv("conv2/3x3", reduce, self._scaled(STEM["conv2/3x3"]), 3, pad=1)
        b.relu(b.batch_norm(conv2, "conv2/relu_bn", "conv2/relu_scale"), "conv2/relu_3x3")
        blob = b.max_pool("pool2/3x3_s2", conv2, 3, 2)
        outputs = {}
        for block in BLOCKS:
            concat = self._inception(b, block, blob)
            outputs[block] = blob = _sep_block(b, block, concat, self._widths(block).total, sep, stage)
            if block == "3b":
                blob = b.max_pool("pool3/3x3_s2", blob, 3, 2)
        for layer in b.net.layer:
            if layer.name in FROZEN[self.frozen]:
                for multipliers in layer.param:
                    multipliers.lr_mult = 0
        return outputs

    def _inception(self, b: Builder, block: str, bottom: str) -> str:
        """An Inception block (fig. 3a): four branches, concatenated."""
        name, widths = f"inception_{block}", self._widths(block)

        def conv(branch: str, bottom: str, channels: int, kernel_size: int) -> str:
            top = b.conv(f"{name}/{branch}", bottom, channels, kernel_size, pad=kernel_size // 2)
            # The authors' file has a space before this one name.
            quirk = " " if (block, branch) == ("3b", "1x1") else ""
            b.batch_norm(top, f"{quirk}{name}/relu_{branch}_bn", f"{name}/relu_{branch}_scale")
            return b.relu(top, f"{name}/relu_{branch}")

        branches = [
            conv("1x1", bottom, widths.conv1x1, 1),
            conv("3x3", conv("3x3_reduce", bottom, widths.reduce3x3, 1), widths.conv3x3, 3),
            conv("5x5", conv("5x5_reduce", bottom, widths.reduce5x5, 1), widths.conv5x5, 5),
            conv("pool_proj", b.max_pool(f"{name}/pool", bottom, 3, 1, pad=1), widths.pool_proj, 1),
        ]
        return b.concat(f"{name}/concat", branches)

    def _auxiliary_head(self, b: Builder, head: str, bottom: str) -> str:
        """A classifier on a block's output, for training only, as GoogLeNet has them."""
        pool = b.average_pool(f"{head}/ave_pool", bottom, min(5, self._side(after_pools=3)), 3)
        conv = b.conv(f"{head}/conv", pool, self._scaled(128), 1)
        b.relu(b.batch_norm(conv, f"{head}/relu_conv_bn", f"{head}/relu_conv_scale"), f"{head}/relu_conv")
        hidden = b.inner_product(f"{head}/fc", conv, self._scaled(1024), bias=0.2)
        b.dropout(b.relu(hidden, f"{head}/relu_fc"), f"{head}/drop_fc", 0.7)
        return b.inner_product(f"{head}{head[-1]}/classifier", hidden, self.num_classes, f"{head}/classifier")

    def _tail(self, b: Builder, outputs: dict[str, str]) -> str:
        """From the blocks' outputs to the class scores."""
        concat = b.concat("inception_4e2/concat", [outputs[block] for block in TAIL[self.variant]])
        pool4 = b.max_pool("pool4/3x3_s2", concat, 3, 2)
        pool5 = b.average_pool("pool5/7x7_s1", pool4, self._side(after_pools=4), 1)
        return b.inner_product("loss333/classifier", pool5, self.num_classes, "loss3/classifier")


def _sep_block(b: Builder, block: str, bottom: str, channels: int, sep: SEP, stage: SEPStage) -> str:
    """An SEP block (fig. 4): squeeze (eq. 2), excitation (eq. 3), SEP layer on the N x C gate, scaling (eq. 4)."""
    name = f"inception_{block}"
    squeeze = b.global_average_pool(f"{name}_global_pool", bottom)
    hidden = max(1, channels // SE_REDUCTION)
    down = b.conv(f"{name}_1x1_down", squeeze, hidden, 1, weight_filler=MSRA, bias=0)
    b.relu(down, f"{name}_1x1_down/relu")
    up = b.conv(f"{name}_1x1_up", down, channels, 1, weight_filler=MSRA, bias=0)
    b.layer("Sigmoid", f"{name}_prob", up, up)
    gate = b.layer("Reshape", f"{name}_prob_reshape", up, reshape_param={"shape": {"dim": [0, -1]}})
    if sep == "python":
        gate = _sep_layer(b, f"{name}_sep", gate, stage)
    bottoms: Sequence[str] = [bottom, gate]
    return b.layer("Scale", f"{name}_scale", bottoms, f"{name}/output", scale_param={"axis": 0, "bias_term": False})


def _sep_layer(b: Builder, name: str, gate: str, stage: SEPStage) -> str:
    """The Python layer; its four blobs are state, not weights: their multipliers are 0."""
    return b.layer(
        "Python",
        name,
        gate,
        params=[{"lr_mult": 0, "decay_mult": 0}] * 4,
        python_param=python_param(stage),
    )
