"""The magnification-independent networks of Bayramoglu et al. 2016 (ref. [17] of Zhu et al.).

One network for images of all magnifications together. Single task: benign or malignant. Multi-task: the magnification
too, by a second classifier on the same features, and the two losses are added.

The publication was not at hand. Its abstract tells of the two tasks and of the training on all magnifications together;
later literature says that its convolution kernels are 7x7, 5x5 and 3x3. Not known are widths, strides, the input's
size, the inner products, the fillers and the weights of the losses; Zhu et al. print nothing but the cost, 13.5 M
weights and 8521 M FLOPs. Here they are those of the network of Levi & Hassner 2015, the best known one with these
three kernels: 96, 256 and 384 channels, the first convolution with stride 4, a 3x3 max pooling after each, two inner
products of 512 with dropout. At its 227 pixels that is 11.4 M weights and 1419 M FLOPs; benchmarks/table7_compared.py
looks for readings that give the printed numbers. The fillers are ours.

The second label comes from a second LMDB of the same keys in the folder `magnification` of the first
(data_prep/label_lmdb.py): Caffe's Data layer has one label a record, and two Data layers of equal batch size over LMDBs
of equal keys stay in step, because they read in key order and never shuffle.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyhisto.errors import InputError
from pyhisto.nets.builder import AUTHORS_MEAN, MSRA, Builder, conv_side, pool_side
from pyhisto.proto import TEST, TRAIN, Net

Task: TypeAlias = Literal["single", "multi"]

CONVOLUTIONS = (("conv1", 96, 7, 4, 0), ("conv2", 256, 5, 1, 2), ("conv3", 384, 3, 1, 1))
"""Name, channels, kernel, stride, pad."""
HIDDEN = 512
FIRST_FILLER = {"type": "gaussian", "std": 0.001}
"""Takes pixels of about +-60 around their mean to activations near 1; with more, the ReLUs die in the first updates."""
MAGNIFICATION_LABELS = "magnification"
"""The folder of the label LMDB in the LMDB of the images."""


@dataclass(frozen=True)
class MagnificationCNN:
    """What is free in the networks. Its methods are the views of it: one prototxt each.

    Args:
        task: benign or malignant alone, or the magnification too.
        num_classes: classes of the first task.
        magnifications: classes of the second task.
        input_size: side of the square input in pixels.
        width: multiplies every width but the classifiers'.
        mean: what is subtracted from the B, G and R channels.
    """

    task: Task = "single"
    num_classes: int = 2
    magnifications: int = 4
    input_size: int = 227
    width: float = 1.0
    mean: tuple[float, float, float] = AUTHORS_MEAN

    def __post_init__(self) -> None:
        for name, value in (("classes", self.num_classes), ("magnifications", self.magnifications)):
            if value < 2:
                raise InputError(f"number of {name} {value}: must be 2 or more")
        if not 0 < self.width <= 8:
            raise InputError(f"width {self.width}: must be above 0 and at most 8")
        side = self.input_size
        for _, _, kernel, stride, pad in CONVOLUTIONS:
            side = pool_side(conv_side(side, kernel, stride, pad), 3, 2)
            if side < 1:
                raise InputError(f"input size {self.input_size}: too small, nothing is left to pool")

    def train_val(self, train_lmdb: str, val_lmdb: str, batch_size: int, val_batch_size: int) -> Net:
        """Training and validation: Data layers, losses, accuracies."""
        b = Builder(self._name, {})
        b.train_and_test_data(train_lmdb, val_lmdb, batch_size, val_batch_size, self.mean)
        if self.task == "multi":
            for lmdb, batch, phase in ((train_lmdb, batch_size, TRAIN), (val_lmdb, val_batch_size, TEST)):
                b.layer(
                    "Data", "magnification", top=["magnification_pixel", "magnification"], phase=phase,
                    data_param={"source": f"{lmdb}/{MAGNIFICATION_LABELS}", "backend": "LMDB", "batch_size": batch},
                )  # fmt: skip
            b.layer("Silence", "silence_pixel", "magnification_pixel", top=[])
        features = self._features(b)
        for prefix, logits, label in self._classifiers(b, features):
            b.layer("SoftmaxWithLoss", f"{prefix}loss", [logits, label], loss_weight=[1])
            b.layer("Accuracy", f"{prefix}accuracy", [logits, label], phase=TEST)
        return b.net

    def deploy(self) -> Net:
        """Prediction: an Input layer and a Softmax a task; that of benign or malignant is the last, `prob`."""
        b = Builder(self._name, {})
        b.input("data", (1, 3, self.input_size, self.input_size))
        for prefix, logits, _ in self._classifiers(b, self._features(b)):
            b.layer("Softmax", f"{prefix}prob", logits)
        return b.net

    @property
    def _name(self) -> str:
        return f"MagnificationCNN-{self.task}"

    def _features(self, b: Builder) -> str:
        blob = "data"
        for name, channels, kernel, stride, pad in CONVOLUTIONS:
            filler = FIRST_FILLER if blob == "data" else MSRA
            blob = b.conv(name, blob, self._scaled(channels), kernel, stride, pad, filler, bias=0)
            blob = b.max_pool(f"pool{name[-1]}", b.relu(blob, f"relu{name[-1]}"), 3, 2)
        for number in (1, 2):
            blob = b.relu(b.inner_product(f"fc{number}", blob, self._scaled(HIDDEN)), f"relu_fc{number}")
            b.dropout(blob, f"drop_fc{number}", 0.5)
        return blob

    def _classifiers(self, b: Builder, features: str) -> list[tuple[str, str, str]]:
        """(prefix of the names, scores, label) of every task; the first task comes last."""
        tasks = [("", self.num_classes, "label")]
        if self.task == "multi":
            tasks.insert(0, ("magnification_", self.magnifications, "magnification"))
        return [
            (prefix, b.inner_product(f"{prefix}classifier", features, classes), label)
            for prefix, classes, label in tasks
        ]

    def _scaled(self, width: int) -> int:
        return max(1, round(width * self.width))
