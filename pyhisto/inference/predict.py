"""From a manifest's images to probabilities, by one network, in batches."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pyhisto.errors import InputError
from pyhisto.inference.deploy import Deploy
from pyhisto.inference.engines import Engine
from pyhisto.manifest import Row, resolve
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.recipe import Preprocessing


class Prediction(NamedTuple):
    """One forward pass."""

    row: Row
    patch: str
    """Empty for the whole image."""
    probabilities: tuple[float, ...]


def predict(
    rows: Iterable[Row], root: Path, preprocessing: Preprocessing, engine: Engine, batch_size: int
) -> Iterator[Prediction]:
    """The probabilities of every network input of every image, in the manifest's order.

    Batches run over image borders; the last one is as small as what is left. Raises InputError where an image is
    missing or does not decode.
    """
    inputs = _inputs(rows, root, preprocessing)
    while batch := list(islice(inputs, batch_size)):
        probabilities = engine(preprocessing.blob([pixels for _, _, pixels in batch]))
        for (row, patch, _), values in zip(batch, probabilities, strict=True):
            yield Prediction(row, patch, tuple(map(float, values)))


def _inputs(rows: Iterable[Row], root: Path, preprocessing: Preprocessing) -> Iterator[tuple[Row, str, Image]]:
    for row in rows:
        for patch, pixels in preprocessing.inputs(read_image(resolve(root, row.path))):
            yield row, patch, pixels


def check_agreement(deploy: Deploy, preprocessing: Preprocessing, branch: str, rows: Sequence[Row]) -> None:
    """Raise InputError where network, preprocessing, branch and images do not belong together."""
    if preprocessing.branch != branch:
        raise InputError(f"the preprocessing is that of the {preprocessing.branch} branch, not the {branch} one")
    check_shape(deploy, preprocessing)
    trained = preprocessing.provenance.images.get("train", {})
    if trained and len(trained) != deploy.classes:
        raise InputError(f"{deploy.model}: has {deploy.classes} classes, the training data {len(trained)}")
    highest = max(row.label for row in rows)
    if highest >= deploy.classes:
        raise InputError(f"{deploy.model}: has {deploy.classes} classes, but the manifest has class {highest}")


def check_shape(deploy: Deploy, preprocessing: Preprocessing) -> None:
    """Raise InputError unless the network takes what the preprocessing makes."""
    wanted = (3, preprocessing.size, preprocessing.size)
    if deploy.shape != wanted:
        raise InputError(
            f"{deploy.model}: its input is {_times(deploy.shape)}, the preprocessing makes {_times(wanted)}; "
            "generate the network with that --input-size, or give the --preprocessing it was trained with"
        )


def check_unseen(rows: Iterable[Row], training: Iterable[Row]) -> None:
    """Raise InputError where a patient (else a slide) that is to be predicted was trained on."""
    seen = {row.group for row in training if row.split == "train"}
    overlap = sorted({row.group for row in rows} & seen)
    if overlap:
        raise InputError(
            f"{len(overlap)} patients to predict were trained on: {', '.join(overlap[:5])}"
            f"{', ...' if len(overlap) > 5 else ''}; give the manifest that the network was trained with"
        )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
