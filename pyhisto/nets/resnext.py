"""ResNeXt (Xie et al. 2016) as Kone & Boulmane 2018 use it: ResNeXt-50 32x4d with their head, or with the standard one.

The function is that of the published PyTorch weights: no bias in convolutions, a block's stride in its 3x3, the stem's
pooling rounded down (Caffe rounds up unless told), BatchNorm with eps 1e-5. Layer names are those of the authors of
ResNet for Caffe (res2a_branch2a, bn2a_branch2a, scale2a_branch2a); `pretrained` turns published weights into a
caffemodel for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pyhisto.errors import InputError
from pyhisto.nets.builder import MSRA, Builder, conv_side
from pyhisto.proto import Net

Head: TypeAlias = Literal["paper", "standard"]
LayerGroup: TypeAlias = Literal["first", "middle", "last"]

EXPANSION = 4
"""A stage's output channels per channel of its plane."""

HIDDEN = 512
"""Of the paper's head."""

MIN_INPUT_SIZE = 32
"""Five times halved it is one."""

MAX_DEPTH = 26
"""Blocks of a stage: a letter names each."""

IMAGENET_MEAN = (103.53, 116.28, 123.675)
"""B, G, R: what the published weights' training subtracted (0.406, 0.456, 0.485 of 255)."""

GROUP_OF_STAGE: tuple[LayerGroup, ...] = ("first", "first", "middle", "middle")
"""Learning-rate groups: the stem is `first`, the head `last`, the four stages as here. The paper names the groups and
not their borders; these are fastai 0.7's for a ResNeXt-50 (cut at the 6th of its 8 children)."""

PATTERNS = {"middle": ("*[45][a-z]*",), "last": ("classifier", "head_*", "*_head[12]")}
"""The layers of two groups, the head being the paper's, for train_phases.py and find_lr.py; others are the first."""


@dataclass(frozen=True)
class ResNeXt:
    """What is free in the network. Its methods are the views of it: one prototxt each.

    Args:
        head: `paper`: concatenated average and max pooling, BatchNorm, dropout 0.25, 512, ReLU, BatchNorm, dropout 0.5,
            classes (fig. 2b); `standard`: average pooling and one inner product.
        num_classes: classes of the classifier.
        input_size: side of the square input in pixels.
        depths: blocks of each of the four stages.
        width: channels of the stem; a stage puts out 4, 8, 16, 32 times as many.
        groups: of the 3x3 convolutions (the cardinality).
        group_width: channels of a group in the first stage; doubled from stage to stage.
        rates: learning-rate multipliers of the groups first, middle, last. A group at 0 is frozen, its BatchNorm
            statistics too (as fastai does), so that it needs pretrained weights.
        mean: what is subtracted from the B, G and R channels.
        batch_norm_fraction: how much of the running statistics each iteration keeps; 0.9 is PyTorch's momentum of 0.1.
    """

    head: Head = "paper"
    num_classes: int = 2
    input_size: int = 224
    depths: Sequence[int] = (3, 4, 6, 3)
    width: int = 64
    groups: int = 32
    group_width: int = 4
    rates: Sequence[float] = (1.0, 1.0, 1.0)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    batch_norm_fraction: float = 0.9

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise InputError(f"number of classes {self.num_classes}: must be 2 or more")
        if self.input_size < MIN_INPUT_SIZE:
            raise InputError(f"input size {self.input_size}: must be {MIN_INPUT_SIZE} or more")
        if len(self.depths) != len(GROUP_OF_STAGE) or not all(1 <= depth <= MAX_DEPTH for depth in self.depths):
            raise InputError(f"depths {' '.join(map(str, self.depths))}: give 4 numbers from 1 to {MAX_DEPTH}")
        for name in ("width", "groups", "group_width"):
            if not 1 <= getattr(self, name) <= 1024:
                raise InputError(f"{name.replace('_', ' ')} {getattr(self, name)}: must be 1 to 1024")
        if len(self.rates) != 3 or not all(0 <= rate <= 1000 for rate in self.rates):
            raise InputError(
                f"rates {' '.join(map(str, self.rates))}: give 3 multipliers, 0 or more: first middle last"
            )
        if not 0 < self.batch_norm_fraction < 1:
            raise InputError(f"BatchNorm fraction {self.batch_norm_fraction}: must lie between 0 and 1")

    @property
    def name(self) -> str:
        """The network's name in its prototxts: its layers with weights, as the papers count, and its cardinality."""
        return f"ResNeXt-{3 * sum(self.depths) + 2}-{self.groups}x{self.group_width}d-{self.head}"

    def train_val(self, train_lmdb: str, val_lmdb: str, batch_size: int, val_batch_size: int) -> Net:
        """Training and validation: Data layers, loss, accuracy."""
        b = _Builder(
            self.name, self.batch_norm_fraction, dict(zip(("first", "middle", "last"), self.rates, strict=True))
        )
        b.train_and_test_data(train_lmdb, val_lmdb, batch_size, val_batch_size, self.mean)
        logits = self._scores(b)
        b.softmax_loss("loss", logits)
        b.accuracy("accuracy", logits)
        return b.net

    def deploy(self) -> Net:
        """Prediction: an Input layer and a Softmax."""
        b = _Builder(self.name, self.batch_norm_fraction, {})
        b.input("data", (1, 3, self.input_size, self.input_size))
        b.layer("Softmax", "prob", self._scores(b))
        return b.net

    def _scores(self, b: "_Builder") -> str:
        """The network between its input and its class scores."""
        b.group = "first"
        stem = b.convolution("conv1", "data", self.width, 7, stride=2, pad=3)
        b.relu(b.normalise(stem, "_conv1"), "conv1_relu")
        blob = b.stem_pool("pool1", stem, conv_side(self.input_size, 7, 2, 3))
        for stage, depth in enumerate(self.depths):
            b.group = GROUP_OF_STAGE[stage]
            for index in range(depth):
                name = f"{stage + 2}{chr(ord('a') + index)}"
                blob = self._block(b, name, blob, stage, first=index == 0)
        b.group = "last"
        features = b.global_average_pool("pool5", blob)
        return (
            self._paper_head(b, blob, features)
            if self.head == "paper"
            else b.dense("classifier", features, self.num_classes)
        )

    def _block(self, b: "_Builder", name: str, bottom: str, stage: int, first: bool) -> str:
        """A bottleneck with a grouped 3x3 and its shortcut (fig. 2a), which a stage's first block projects."""
        stride = 2 if first and stage > 0 else 1
        inner, outputs = self.groups * self.group_width << stage, EXPANSION * self.width << stage
        shortcut = bottom
        if first:
            shortcut = b.convolution(f"res{name}_branch1", bottom, outputs, 1, stride)
            b.normalise(shortcut, f"{name}_branch1")
        blob = b.unit(f"{name}_branch2a", bottom, inner, 1)
        blob = b.unit(f"{name}_branch2b", blob, inner, 3, stride, 1, self.groups)
        branch = b.convolution(f"res{name}_branch2c", blob, outputs, 1)
        b.normalise(branch, f"{name}_branch2c")
        return b.relu(b.layer("Eltwise", f"res{name}", [shortcut, branch]), f"res{name}_relu")

    def _paper_head(self, b: "_Builder", bottom: str, average: str) -> str:
        """Fig. 2b, from the last stage's maps and their average to the class scores."""
        largest = b.layer("Pooling", "pool5_max", bottom, pooling_param={"pool": "MAX", "global_pooling": True})
        blob = b.normalise(b.concat("pool5_concat", [average, largest]), "_head1")
        hidden = b.dense("head_hidden", b.dropout(blob, "head_drop1", 0.25), HIDDEN)
        b.relu(hidden, "head_relu")
        b.dropout(b.normalise(hidden, "_head2"), "head_drop2", 0.5)
        return b.dense("classifier", hidden, self.num_classes)


class _Builder(Builder):
    """A Builder that knows the learning rate of the group it is in, and PyTorch's ways."""

    def __init__(self, name: str, batch_norm_fraction: float, rates: dict[LayerGroup, float]) -> None:
        """`rates`: a group's multiplier; 1 where it is not named."""
        super().__init__(name, {"moving_average_fraction": batch_norm_fraction})
        self.rates = rates
        self.group: LayerGroup = "first"

    @property
    def rate(self) -> float:
        """The multiplier of the group that layers are appended to."""
        return self.rates.get(self.group, 1.0)

    def params(self, blobs: int) -> Sequence[dict[str, Any]]:
        """The multipliers of a layer's blobs; none where they are Caffe's own, 1 and 1."""
        return [] if self.rate == 1 else [{"lr_mult": self.rate}] * blobs

    def convolution(
        self, name: str, bottom: str, num_output: int, kernel_size: int, stride: int = 1, pad: int = 0, group: int = 1
    ) -> str:
        """A convolution without bias, initialised as He et al. 2015 do it."""
        shape: dict[str, Any] = {"num_output": num_output, "bias_term": False, "kernel_size": [kernel_size]}
        optional = {
            "pad": [pad] if pad else None,
            "stride": [stride] if stride > 1 else None,
            "group": group if group > 1 else None,
        }
        shape |= {field: value for field, value in optional.items() if value is not None}
        return self.layer(
            "Convolution", name, bottom, params=self.params(1), convolution_param={**shape, "weight_filler": MSRA}
        )

    def normalise(self, bottom: str, name: str) -> str:
        """BatchNorm `bn<name>` and Scale `scale<name>`, in place.

        No `param` on BatchNorm: some versions of Caffe refuse them, and some take them away. Frozen, it normalises by
        the statistics that it has.
        """
        frozen = {"use_global_stats": True} if self.rate == 0 else {}
        self.layer("BatchNorm", f"bn{name}", bottom, bottom, batch_norm_param={**self.batch_norm_param, **frozen})
        return self.layer(
            "Scale", f"scale{name}", bottom, bottom, params=self.params(2), scale_param={"bias_term": True}
        )

    def unit(
        self, name: str, bottom: str, num_output: int, kernel_size: int, stride: int = 1, pad: int = 0, group: int = 1
    ) -> str:
        """Convolution `res<name>`, BatchNorm, Scale, ReLU."""
        blob = self.convolution(f"res{name}", bottom, num_output, kernel_size, stride, pad, group)
        return self.relu(self.normalise(blob, name), f"res{name}_relu")

    def stem_pool(self, name: str, bottom: str, side: int) -> str:
        """PyTorch's max pooling 3x3, stride 2, pad 1 of maps of `side`.

        Of an even side Caffe would make one row and column more; `round_mode` keeps it from that.
        """
        shape = {"pool": "MAX", "kernel_size": 3, "stride": 2, "pad": 1}
        rounding = {} if side % 2 else {"round_mode": "FLOOR"}
        return self.layer("Pooling", name, bottom, pooling_param={**shape, **rounding})

    def dense(self, name: str, bottom: str, num_output: int) -> str:
        """A fully connected layer, initialised as He et al. 2015 do it."""
        return self.layer(
            "InnerProduct", name, bottom, params=self.params(2),
            inner_product_param={"num_output": num_output, "weight_filler": MSRA},
        )  # fmt: skip
