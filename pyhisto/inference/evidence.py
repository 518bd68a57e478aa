"""Evidence maps: what every position of an image says for and against a class, exactly.

Behind the last pooling these networks have one linear layer. Its score for a class is therefore a sum over positions of
the map that is pooled, plus a bias: the class activation map of Zhou et al. 2016 (arXiv 1512.04150), which is here not
an approximation. A max pooling in front of the average one is followed back: each of its values belongs to the position
that it comes from, so that the map has that layer's finer grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.graph.graph import Blob, Node
from pyhisto.inference.deploy import Deploy
from pyhisto.inference.engines import Engine
from pyhisto.proto import layer_blobs

PASSES = ("Dropout", "Flatten", "Split")
"""Layers between pooling and classifier that change nothing in a prediction."""

WINDOW = 2
"""Positions a direction that `occlusion` replaces together: what one of them sees is more than its own part."""
SAMPLES = 4
"""Pieces that it puts in their place."""


@dataclass(frozen=True)
class MaxPooling:
    """The max pooling in front of the average one: `count` windows a direction, of side `kernel`, `stride` apart."""

    kernel: int
    stride: int
    pad: int
    count: tuple[int, int]


@dataclass(frozen=True)
class LinearHead:
    """The linear end of a network."""

    features: str
    """The blob whose positions the maps have, N x channels x height x width."""
    logits: str
    """The blob of the scores that the Softmax reads, N x classes."""
    grid: tuple[int, int]
    """Height and width of the map."""
    weights: Floats
    """classes x channels."""
    bias: Floats
    """One a class."""
    pooling: MaxPooling | None = None


def find_head(deploy: Deploy) -> LinearHead:
    """The linear end of a network. Raises InputError if it ends otherwise, so that no exact map is known."""
    graph = Graph.build(deploy.net, source=deploy.model)
    softmax = graph.blob(deploy.output).producer
    classifier = softmax.bottoms[0].producer
    if classifier.type != "InnerProduct":
        raise _no_map(deploy, f"its Softmax reads layer '{classifier.name}' ({classifier.type}), no InnerProduct")
    pooled = classifier.bottoms[0]
    while pooled.producer.type in PASSES:
        pooled = pooled.producer.bottoms[0]
    average = pooled.producer
    if not _averages_all(average):
        raise _no_map(deploy, f"layer '{average.name}' is no average pooling over the whole map")
    features, pooling = average.bottoms[0], None
    before = features.producer
    if before.type == "Pooling" and before.layer.pooling_param.pool == before.layer.pooling_param.MAX:
        features, pooling = before.bottoms[0], _max_pooling(before, features)
    weights, *bias = layer_blobs(deploy.blobs)[classifier.name]
    assert classifier.param_shapes
    matrix = np.asarray(weights, np.float64).reshape(classifier.param_shapes[0])
    if classifier.layer.inner_product_param.transpose:
        matrix = matrix.T
    offset = np.asarray(bias[0], np.float64).ravel() if bias else np.zeros(len(matrix))
    assert features.shape is not None
    height, width = features.shape[2:]
    return LinearHead(features.name, softmax.bottoms[0].name, (height, width), matrix, offset, pooling)


def contributions(head: LinearHead, features: Floats) -> Floats:
    """What every position adds to every class's score: N x classes x height x width.

    Summed over positions, and with the bias added, they are the scores.
    """
    count, _, height, width = features.shape
    if head.pooling is None:
        summed = np.einsum("kc,ncyx->nkyx", head.weights, features.astype(np.float64))
        return np.asarray(summed / (height * width))
    values, places = _maxima(head.pooling, features)
    values = values.astype(np.float64) / values.shape[2]
    rows = (np.arange(count)[:, np.newaxis, np.newaxis] * (height * width) + places).ravel()
    maps = [
        np.bincount(rows, (values * of_class[:, np.newaxis]).ravel(), count * height * width).reshape(
            count, height, width
        )
        for of_class in head.weights
    ]
    return np.stack(maps, axis=1)


def margins(scores: Floats, axis: int = 1) -> Floats:
    """How far each class's score is above the mean of the others'; with two classes its sigmoid is the probability."""
    classes = scores.shape[axis]
    others = (scores.sum(axis=axis, keepdims=True) - scores) / (classes - 1)
    return np.asarray(scores - others)


def occlusion(engine: Engine, head: LinearHead, batch: NDArray[np.float32]) -> Floats:
    """The slow control, of the same shape as `contributions`: how much each class's margin falls if the input around a
    position shows something else (the prediction difference of ref. [37]).

    Each of `windows` shows SAMPLES pieces of the same image in turn; a position has the mean over the windows that hold
    it. One plain colour in their place would be evidence of its own. `batch` is N x channels x side x side.
    """
    before = _margins_of(engine, head, batch)
    falls = np.zeros((len(batch), len(head.bias), *head.grid))
    held = np.zeros(head.grid)
    for rows, columns in windows(head.grid):
        held[rows, columns] += 1
    for number, image in enumerate(batch):
        generator = np.random.default_rng(0)  # what an image gives does not depend on those beside it
        for rows, columns in windows(head.grid):
            after = _margins_of(engine, head, replaced(image, head.grid, rows, columns, generator))
            fall = before[number] - after.mean(axis=0)
            falls[number, :, rows, columns] += fall[:, np.newaxis, np.newaxis]
    return falls / held


def windows(grid: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Rows and columns of positions that are replaced together: WINDOW a direction, or what of them is in the grid."""
    starts = [range(1 - WINDOW, cells) for cells in grid]
    return [
        (slice(max(0, top), min(grid[0], top + WINDOW)), slice(max(0, left), min(grid[1], left + WINDOW)))
        for top in starts[0]
        for left in starts[1]
    ]


def replaced(
    image: NDArray[np.float32], grid: tuple[int, int], rows: slice, columns: slice, generator: np.random.Generator
) -> NDArray[np.float32]:
    """SAMPLES copies of an image (channels x height x width), the positions' part of it replaced by pieces of it."""
    (top, below), (left, right) = (
        (round(side * part.start / cells), round(side * part.stop / cells))
        for side, cells, part in zip(image.shape[1:], grid, (rows, columns), strict=True)
    )
    height, width = below - top, right - left
    copies = np.repeat(image[np.newaxis], SAMPLES, axis=0)
    for copy in copies:
        y, x = (
            int(generator.integers(0, side - own + 1))
            for side, own in zip(image.shape[1:], (height, width), strict=True)
        )
        copy[:, top:below, left:right] = image[:, y : y + height, x : x + width]
    return copies


def _margins_of(engine: Engine, head: LinearHead, batch: NDArray[np.float32]) -> Floats:
    return margins(engine.with_blobs(batch, head.logits)[1].reshape(len(batch), -1).astype(np.float64))


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's, over all positions; not a number if one of the maps is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values.ravel()) for values in (first, second)]
    if any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def mosaic(maps: Sequence[tuple[tuple[float, float, float, float], Floats]]) -> Floats:
    """The maps of an image's patches, joined into one of the whole image.

    Each comes with its patch's box (left, top, right, bottom), in parts of the image; patches of one grid, as the local
    branch's. A single one that covers the image stays as it is.
    """
    height, width = maps[0][1].shape
    left, top, right, bottom = maps[0][0]
    rows, columns = round(1 / (bottom - top)), round(1 / (right - left))
    whole = np.zeros((rows * height, columns * width))
    for (start, above, _, _), values in maps:
        y, x = round(above * rows) * height, round(start * columns) * width
        whole[y : y + height, x : x + width] = values
    return whole


def _averages_all(node: Node) -> bool:
    if node.type != "Pooling" or node.layer.pooling_param.pool != node.layer.pooling_param.AVE:
        return False
    shape, made = node.bottoms[0].shape, node.tops[0].shape
    parameters = node.layer.pooling_param
    if shape is None or made is None or made[2:] != (1, 1):
        return False
    return bool(parameters.global_pooling) or (_pair(parameters, "kernel") == shape[2:] and not any(_pads(parameters)))


def _max_pooling(node: Node, made: Blob) -> MaxPooling | None:
    parameters = node.layer.pooling_param
    (kernel, other), (stride, across), (pad, aside) = (
        _pair(parameters, "kernel"), _pair(parameters, "stride", 1), _pads(parameters)
    )  # fmt: skip
    assert made.shape is not None
    if parameters.global_pooling or (kernel, stride, pad) != (other, across, aside):
        raise InputError(f"layer '{node.name}': only square poolings are followed back to an evidence map")
    return MaxPooling(kernel, stride, pad, (made.shape[2], made.shape[3]))


def _pair(parameters: object, name: str, default: int = 0) -> tuple[int, int]:
    """Height and width of what Caffe's PoolingParameter says in one field or in two."""
    long = "kernel_size" if name == "kernel" else name
    one = int(getattr(parameters, long)) or default
    return int(getattr(parameters, f"{name}_h")) or one, int(getattr(parameters, f"{name}_w")) or one


def _pads(parameters: object) -> tuple[int, int]:
    return _pair(parameters, "pad")


def _maxima(pooling: MaxPooling, features: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The maximum of every window, N x channels x windows, and where it comes from (a position's number).

    Windows end at the map's border, as Caffe's do; of equal values the first counts, as there.
    """
    count, channels, height, width = features.shape
    values, places = [], []
    for row in range(pooling.count[0]):
        for column in range(pooling.count[1]):
            top, left = row * pooling.stride - pooling.pad, column * pooling.stride - pooling.pad
            below, right = min(top + pooling.kernel, height), min(left + pooling.kernel, width)
            top, left = max(top, 0), max(left, 0)
            window = features[:, :, top:below, left:right].reshape(count, channels, -1)
            best = window.argmax(axis=2)
            values.append(np.take_along_axis(window, best[..., np.newaxis], axis=2)[..., 0])
            y, x = np.divmod(best, right - left)
            places.append((top + y) * width + left + x)
    return np.stack(values, axis=2), np.stack(places, axis=2).astype(np.int64)


def _no_map(deploy: Deploy, why: str) -> InputError:
    return InputError(f"{deploy.model}: {why}; no exact evidence map is known for such a network")
