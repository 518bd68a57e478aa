"""Describing a network layer by layer: a thin hand over NetParameter that knows Caffe's conventions."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyhisto.proto import TEST, TRAIN, Net, NetParameter

WEIGHT_AND_BIAS = (
    {"lr_mult": 1, "decay_mult": 1},
    {"lr_mult": 2, "decay_mult": 0},
)
"""GoogLeNet's learning-rate and decay multipliers of a layer's weights and its bias."""

AUTHORS_MEAN = (204.24, 186.73, 208.62)
"""Of the B, G and R channels of the training images of Zhu et al., as they published it."""

XAVIER = {"type": "xavier"}
MSRA = {"type": "msra"}


def constant(value: float) -> dict[str, Any]:
    """A filler that sets every number to `value`."""
    return {"type": "constant", "value": value}


class Builder:
    """Appends layers to a network. Every method returns the name of the blob that its layer makes."""

    def __init__(self, name: str, batch_norm: Mapping[str, float]) -> None:
        """`batch_norm`: the fields of every batch_norm_param."""
        self.net: Net = NetParameter(name=name)
        self.batch_norm_param = dict(batch_norm)

    def layer(
        self, layer_type: str, name: str, bottoms: str | Sequence[str] = (), top: str | Sequence[str] | None = None,
        params: Sequence[dict[str, Any]] = (), phase: int | None = None, **fields: Any,
    ) -> str:  # fmt: skip
        """Append any layer; its (first) top is called `name` unless `top` says otherwise."""
        tops = [name] if top is None else [top] if isinstance(top, str) else list(top)
        bottoms = [bottoms] if isinstance(bottoms, str) else list(bottoms)
        layer = self.net.layer.add(name=name, type=layer_type, bottom=bottoms, top=tops, param=list(params), **fields)
        if phase is not None:
            layer.include.add(phase=phase)
        return tops[0] if tops else ""

    def input(self, name: str, shape: Sequence[int]) -> str:
        """An Input layer of one blob."""
        return self.layer("Input", name, input_param={"shape": [{"dim": list(shape)}]})

    def data(self, lmdb: str, batch_size: int, mean: Sequence[float], phase: int | None = None) -> None:
        """A Data layer that reads an LMDB: tops `data` and `label`; `mean` (B, G, R) is subtracted."""
        self.layer(
            "Data", "data", top=["data", "label"], phase=phase,
            transform_param={"mean_value": list(mean)},
            data_param={"source": lmdb, "backend": "LMDB", "batch_size": batch_size},
        )  # fmt: skip

    def train_and_test_data(
        self, train_lmdb: str, test_lmdb: str, batch_size: int, test_batch_size: int, mean: Sequence[float]
    ) -> None:
        """The two phases' Data layers of a train_val network."""
        self.data(train_lmdb, batch_size, mean, TRAIN)
        self.data(test_lmdb, test_batch_size, mean, TEST)

    def conv(
        self, name: str, bottom: str, num_output: int, kernel_size: int, stride: int = 1, pad: int = 0,
        weight_filler: dict[str, Any] = XAVIER, bias: float = 0.2,
    ) -> str:  # fmt: skip
        """A convolution with bias."""
        shape: dict[str, Any] = {"num_output": num_output, "kernel_size": [kernel_size]}
        if pad:
            shape["pad"] = [pad]
        if stride != 1:
            shape["stride"] = [stride]
        return self.layer(
            "Convolution", name, bottom, params=WEIGHT_AND_BIAS,
            convolution_param={**shape, "weight_filler": weight_filler, "bias_filler": constant(bias)},
        )  # fmt: skip

    def batch_norm(self, bottom: str, name: str, scale_name: str) -> str:
        """BatchNorm and its learned Scale, in place.

        No `use_global_stats`: Caffe then uses the batch's statistics in TRAIN and the running ones in TEST. Its three
        blobs are no weights to be learned: their multipliers are 0 (Caffe refuses any other).
        """
        self.layer(
            "BatchNorm", name, bottom, bottom, params=[{"lr_mult": 0, "decay_mult": 0}] * 3,
            batch_norm_param=self.batch_norm_param,
        )  # fmt: skip
        return self.layer("Scale", scale_name, bottom, bottom, scale_param={"bias_term": True})

    def relu(self, bottom: str, name: str) -> str:
        """ReLU, in place."""
        return self.layer("ReLU", name, bottom, bottom)

    def max_pool(self, name: str, bottom: str, kernel_size: int, stride: int, pad: int = 0) -> str:
        """Max pooling, never in place: Caffe accepts that and computes it wrongly."""
        shape = {"pool": "MAX", "kernel_size": kernel_size, "stride": stride}
        return self.layer("Pooling", name, bottom, pooling_param={**shape, "pad": pad} if pad else shape)

    def average_pool(self, name: str, bottom: str, kernel_size: int, stride: int) -> str:
        """Average pooling."""
        shape = {"pool": "AVE", "kernel_size": kernel_size, "stride": stride}
        return self.layer("Pooling", name, bottom, pooling_param=shape)

    def global_average_pool(self, name: str, bottom: str) -> str:
        """Average over H x W (eq. 2)."""
        return self.layer("Pooling", name, bottom, pooling_param={"pool": "AVE", "global_pooling": True})

    def concat(self, name: str, bottoms: Sequence[str]) -> str:
        """Concatenation along the channels."""
        return self.layer("Concat", name, bottoms)

    def inner_product(self, name: str, bottom: str, num_output: int, top: str | None = None, bias: float = 0) -> str:
        """A fully connected layer."""
        return self.layer(
            "InnerProduct", name, bottom, top, params=WEIGHT_AND_BIAS,
            inner_product_param={
                "num_output": num_output, "weight_filler": XAVIER, "bias_filler": constant(bias),
            },
        )  # fmt: skip

    def dropout(self, bottom: str, name: str, ratio: float) -> str:
        """Dropout, in place."""
        return self.layer("Dropout", name, bottom, bottom, dropout_param={"dropout_ratio": ratio})

    def softmax_loss(self, name: str, logits: str, weight: float = 1) -> str:
        """Softmax and cross-entropy against `label`."""
        return self.layer("SoftmaxWithLoss", name, [logits, "label"], loss_weight=[weight])

    def accuracy(self, name: str, logits: str) -> str:
        """The TEST phase's share of right answers."""
        return self.layer("Accuracy", name, [logits, "label"], phase=TEST)


def conv_side(side: int, kernel_size: int, stride: int = 1, pad: int = 0) -> int:
    """The side of a convolution's output; Caffe rounds down."""
    return (side + 2 * pad - kernel_size) // stride + 1


def pool_side(side: int, kernel_size: int, stride: int) -> int:
    """The side of a pooling's output without padding; Caffe rounds up."""
    return -(-(side - kernel_size) // stride) + 1
