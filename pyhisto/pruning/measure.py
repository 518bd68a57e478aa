"""Running a network's statistics stage: channel importance over a training set (fig. 4 and eq. 5). Needs Caffe.

The work is one forward pass of every record, as far as the last SEP layer, and Caffe's forward pass keeps little more
than one core busy: on the CPU, processes share the records. Each runs its Data layer alone over those of the others.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.graph import Graph, Node, check_weights
from pyhisto.layers import activation_statistics as statistics
from pyhisto.layers.sep_layer import is_sep, limit_samples, stage
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.parallel import WorkerDiedError, ordered_map
from pyhisto.proto import Net, read_net, read_weights, to_text
from pyhisto.pruning.importance import Importance

JOB = 8
"""Batches whose sums are taken together. They are added up in the order of the records, whoever took them, so that the
result does not depend on the number of processes."""

ONE_THREAD = (1, "blas")
"""With more, sums would be rounded otherwise; and matrices this small gain nothing from them."""

Sums: TypeAlias = list[NDArray[np.float64]]
"""Per SEP layer: the sum of its channels' activation factors, and behind them the number of samples."""
SumsProgress: TypeAlias = Callable[[Iterator[Sums], int], Iterator[Sums]]


@dataclass(frozen=True)
class StatisticsTask:
    """What every process has to know."""

    model: Path
    """The statistics prototxt, its SEP layers limited to the records that there are."""
    weights: Path
    data: str
    """Name of the Data layer."""
    layers: tuple[str, ...]
    """Names of the SEP layers, in the network's order."""
    batch: int
    gpu: int | None


def measure(
    model: Path,
    weights: Path,
    progress: SumsProgress = lambda sums, total: sums,
    gpu: int | None = None,
    workers: int = 1,
    most: int | None = None,
) -> Importance:
    """The mean activation factor of every channel of every SEP block, over the records of the network's LMDB.

    `model` is a statistics prototxt: a Data layer and SEP layers in the stage `statistics`. Each record counts once,
    whatever the batch size: what the last batch repeats is left out. `progress` may wrap the sums of the jobs, whose
    number it is told, in a bar. On the CPU `workers` processes share the work. `most`: only so many records, the first
    ones: an LMDB has them in random order. Raises InputError.
    """
    net = read_net(model)
    graph = Graph.build(net, source=model)
    layers = {node.name: node for node in graph.nodes if _measures(node)}
    if not layers:
        raise InputError(f"{model}: has no SEP layer in the stage 'statistics'; give the network's statistics.prototxt")
    data = [node for node in graph.nodes if node.type == "Data"]
    if len(data) != 1:
        raise InputError(f"{model}: has {len(data)} Data layers where one is needed")
    source, batch = data[0].layer.data_param.source, data[0].layer.data_param.batch_size
    records = _records(model, source)
    samples = min(records, most) if most else records
    _check(net, model, weights)

    batches = range(-(-samples // batch))
    jobs = [batches[first : first + JOB] for first in range(0, len(batches), JOB)]
    pycaffe.load()  # and its BLAS
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(*ONE_THREAD):
        path = Path(folder, "statistics.prototxt")
        path.write_text(to_text(_limited(net, samples)), encoding="utf-8")
        task = StatisticsTask(path, weights, data[0].name, tuple(layers), batch, gpu)
        try:
            with pycaffe.runs(model, f"Caffe takes it not, or not the records of {source}", "correct one of them"):
                sums = progress(_sums(task, jobs, workers), len(jobs))
                total: Sums = [sum(parts) for parts in zip(*sums, strict=True)]
        except WorkerDiedError:
            raise InputError(
                f"{source}: Caffe died over its records: build the LMDB again, or use fewer --workers (out of memory?)"
            ) from None
    means = [factors[:-1] / factors[-1] for factors in total]
    return Importance(
        {_gate(layers[name]).name: mean for name, mean in zip(layers, means, strict=True)}, samples, sha256(weights)
    )


def _sums(task: StatisticsTask, jobs: Sequence[range], workers: int) -> Iterator[Sums]:
    """The sums of every job, in order. The first one is done here: a network that Caffe refuses is refused once."""
    here = Measurement(task)
    yield here(jobs[0])
    if task.gpu is not None or len(jobs) <= workers:
        workers = 1
    if workers == 1:
        yield from map(here, jobs[1:])
    else:
        del here
        yield from ordered_map(partial(_in_worker, task), jobs[1:], workers)


class Measurement:
    """The network, at some batch of its LMDB, from which it goes on."""

    def __init__(self, task: StatisticsTask) -> None:
        self._task = task
        self._net: Any = pycaffe.load_for(task.gpu).Net(str(task.model), pycaffe.load().TEST, weights=str(task.weights))
        names = list(self._net._layer_names)
        self._data, self._last = names.index(task.data), max(map(names.index, task.layers))
        self._next = 0

    def __call__(self, batches: range) -> Sums:
        """The sums over batches that are not behind those it has seen."""
        for _ in range(self._next, batches.start):
            self._net._forward(self._data, self._data)
        state = [self._net.params[name] for name in self._task.layers]
        before = batches.start * self._task.batch
        for blobs in state:
            blobs[statistics.SUM_HIGH].data[...] = blobs[statistics.SUM_LOW].data[...] = 0
            blobs[statistics.SAMPLES].data[...] = before  # counts what is left until the limit
        for _ in batches:
            self._net._forward(0, self._last)
        self._next = batches.stop
        return [
            np.append(
                statistics.total(blobs[statistics.SUM_HIGH].data, blobs[statistics.SUM_LOW].data),
                blobs[statistics.SAMPLES].data[0] - before,
            )
            for blobs in state
        ]


def _in_worker(task: StatisticsTask, batches: range) -> Sums:
    return _own(task)(batches)


@cache
def _own(task: StatisticsTask) -> Measurement:
    """A worker process's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what Caffe says when it aborts is not for the user
    pycaffe.load()
    threadpool_limits(*ONE_THREAD)
    return Measurement(task)


def _measures(node: Node) -> bool:
    return is_sep(node.layer) and stage(node.layer) == "statistics"


def _gate(sep: Node) -> Node:
    """The layer that applies the gate: it names the SEP block in every prototxt of the network."""
    return sep.tops[0].consumers[0][0]


def _records(model: Path, source: str) -> int:
    try:
        records = LmdbFolder(Path(source)).records()
    except InputError as error:
        raise InputError(f"{model}: its LMDB {error} (paths count from the working folder)") from None
    if records == 0:
        raise InputError(f"{model}: its LMDB {source} is empty")
    return records


def _check(net: Net, model: Path, weights: Path) -> None:
    """Caffe ends the process if weights do not fit, and says nothing if a layer has none."""
    graph = Graph.build(net, source=model, data_root=Path())
    lacking = [node.name for node in check_weights(graph, read_weights(weights), weights) if not _measures(node)]
    if lacking:
        raise InputError(f"{weights}: holds no weights for layer '{lacking[0]}' of {model}; is it of another network?")


def _limited(net: Net, samples: int) -> Net:
    """The network whose SEP layers count the first `samples` samples only."""
    limited = type(net)()
    limited.CopyFrom(net)
    for layer in limited.layer:
        if is_sep(layer):
            limit_samples(layer, samples)
    return limited
