"""The patch network of Spanhol et al. 2016 (ref. [11] of Zhu et al.): Caffe's cifar10_quick with two classes.

Three 5x5 convolutions of 32, 32 and 64 channels, each halved by a 3x3 pooling (the first by its maximum, before the
ReLU; the others by the average, after it), and two inner products. It looks at patches of 32 or 64 pixels a side of
images resized to 350 x 230.

Three variants:
  published  layers, fillers and multipliers of cifar10_quick; every pooling has a top of its own.
  in-place   as Zhu et al. wrote it for their re-run, in which nearly every image was called cancer: each pooling writes
             over its own bottom, which Caffe accepts and computes wrongly; also Xavier fillers, biases of 0.2, and a
             ReLU between the inner products. tools/collapse_study.py shows what comes of it; it is not to be used.
  repaired   in-place, with a top of its own for each pooling, and nothing else changed.

What is not known: [11] says that it took its network over from cifar10_quick, and how long and at which rate it
trained is not repeated by Zhu et al.; the solver is cifar10_quick's own.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pyhisto.errors import InputError
from pyhisto.nets.builder import AUTHORS_MEAN, Builder, constant
from pyhisto.proto import Net

PatchCNNVariant: TypeAlias = Literal["published", "in-place", "repaired"]

PATCHES = (32, 64)
"""Sides of the patches, pixels."""

RATES = ({"lr_mult": 1}, {"lr_mult": 2})
"""cifar10_quick's multipliers of a layer's weights and its bias; the bias decays too."""


@dataclass(frozen=True)
class PatchCNN:
    """What is free in the network. Its methods are the views of it: one prototxt each.

    Args:
        variant: as published, as the authors of the paper ran it, or as that without its fault.
        patch: side of the square input in pixels.
        num_classes: classes of the classifier.
        mean: what is subtracted from the B, G and R channels.
    """

    variant: PatchCNNVariant = "published"
    patch: int = 32
    num_classes: int = 2
    mean: tuple[float, float, float] = AUTHORS_MEAN

    def __post_init__(self) -> None:
        if self.patch not in PATCHES:
            raise InputError(f"patch size {self.patch}: must be one of {', '.join(map(str, PATCHES))}")
        if self.num_classes < 2:
            raise InputError(f"number of classes {self.num_classes}: must be 2 or more")

    def train_val(self, train_lmdb: str, val_lmdb: str, batch_size: int, val_batch_size: int) -> Net:
        """Training and validation: Data layers, loss, accuracy."""
        b = Builder(self._name, {})
        b.train_and_test_data(train_lmdb, val_lmdb, batch_size, val_batch_size, self.mean)
        logits = self._logits(b)
        b.softmax_loss("loss", logits)
        b.accuracy("accuracy", logits)
        return b.net

    def deploy(self) -> Net:
        """Prediction: an Input layer and a Softmax."""
        b = Builder(self._name, {})
        b.input("data", (1, 3, self.patch, self.patch))
        b.layer("Softmax", "prob", self._logits(b))
        return b.net

    @property
    def _name(self) -> str:
        return f"PatchCNN-{self.variant}-{self.patch}"

    def _logits(self, b: Builder) -> str:
        return self._published(b) if self.variant == "published" else self._rerun(b)

    def _published(self, b: Builder) -> str:
        conv1 = _conv(b, "conv1", "data", 32, std=0.0001)
        blob = b.relu(b.max_pool("pool1", conv1, 3, 2), "relu1")
        blob = b.average_pool("pool2", b.relu(_conv(b, "conv2", blob, 32, std=0.01), "relu2"), 3, 2)
        blob = b.average_pool("pool3", b.relu(_conv(b, "conv3", blob, 64, std=0.01), "relu3"), 3, 2)
        return _inner_product(b, "ip2", _inner_product(b, "ip1", blob, 64), self.num_classes)

    def _rerun(self, b: Builder) -> str:
        blob = "data"
        for number, (channels, pool) in enumerate(((32, "MAX"), (32, "AVE"), (64, "AVE")), 1):
            blob = b.relu(b.conv(f"conv{number}", blob, channels, 5, pad=2), f"conv{number}/relu")
            shape = {"pool": pool, "kernel_size": 3, "stride": 2}
            top = blob if self.variant == "in-place" else None
            blob = b.layer("Pooling", f"pool{number}", blob, top, pooling_param=shape)
        hidden = b.relu(b.inner_product("fc1", blob, 64, bias=0.2), "fc1/relu")
        return b.inner_product("fc2", hidden, self.num_classes, bias=0.2)


def _conv(b: Builder, name: str, bottom: str, channels: int, std: float) -> str:
    """A 5x5 convolution that keeps the size."""
    return b.layer(
        "Convolution", name, bottom, params=RATES,
        convolution_param={
            "num_output": channels, "kernel_size": [5], "pad": [2], **_fillers(std),
        },
    )  # fmt: skip


def _inner_product(b: Builder, name: str, bottom: str, num_output: int) -> str:
    shape = {"num_output": num_output, **_fillers(0.1)}
    return b.layer("InnerProduct", name, bottom, params=RATES, inner_product_param=shape)


def _fillers(std: float) -> dict[str, Any]:
    return {"weight_filler": {"type": "gaussian", "std": std}, "bias_filler": constant(0)}
