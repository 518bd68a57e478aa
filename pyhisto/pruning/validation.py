"""A training network run over all records of its validation LMDB: loss and accuracy, as Caffe's own layers say. Needs
Caffe.

The Data layer is run alone, and what it makes is given to the rest of the network: each record counts once, whatever
the batch size, and the records of a small LMDB are read and decoded once for any number of passes.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto import pycaffe
from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.graph import Graph, Node, Shape, check_weights
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.proto import Net, NetParameter, layer_blobs, to_text
from pyhisto.pruning.sensitivity import Score

CACHE_BYTES = 1 << 30
"""What the records of one LMDB may take in memory; of more, each pass reads them again."""

InputBatch = Mapping[str, NDArray[np.float32]]


class Validation:
    """The network of one phase, its weights, and the records that it is measured on."""

    def __init__(
        self, net: Net, phase: int, weights: Net, source: object, records: int | None = None, gpu: int | None = None
    ) -> None:
        """`net` is a NetParameter with a Data layer in `phase`; `source` is what an error names.

        `records` limits the run to so many, spread evenly: an LMDB often holds one class after the other. Raises
        InputError if there is not one Data layer, its LMDB cannot be read, or the weights do not fit.
        """
        graph = Graph.build(net, phase, data_root=Path(), source=source)
        data = data_layer(graph)
        lacking = [node.name for node in check_weights(graph, weights, source)]
        if lacking:
            raise InputError(f"{source}: the weights hold none for its layer '{lacking[0]}'; are they of this network?")
        try:
            there = LmdbFolder(Path(data.layer.data_param.source)).records()
        except InputError as error:
            raise InputError(f"{source}: its LMDB {error} (paths count from the working folder)") from None
        if not there:
            raise InputError(f"{source}: its LMDB {data.layer.data_param.source} is empty")
        self._there, self.records = there, min(there, records or there)
        self._chosen = np.arange(self.records) * there // self.records
        self._data, self._source, self._phase = data, source, phase
        self._cache: list[InputBatch] | None = None
        self._caffe = pycaffe.load_for(gpu)
        self._accuracy = next(
            (node.tops[0].name for node in reversed(graph.nodes) if node.type == "Accuracy" and node.tops), None
        )
        with pycaffe.runs(source):
            self.net = self._load(_fed(graph, data))
        self._stored = layer_blobs(weights)
        self.set_weights(self._stored)

    def set_weights(self, layers: Mapping[str, list[Floats]]) -> None:
        """Give layers these weight blobs; layers that are not named keep theirs."""
        for name, arrays in layers.items():
            for blob, values in zip(self.net.params.get(name, []), arrays, strict=False):
                blob.data[...] = values.reshape(blob.data.shape)

    def restore(self, layers: Mapping[str, Any]) -> None:
        """Give these layers the weights of the beginning."""
        self.set_weights({name: self._stored[name] for name in layers})

    def score(self) -> Score:
        """Loss and accuracy over the records. Raises InputError if the loss is not finite."""
        loss = right = 0.0
        for batch in self.batches():
            size = len(next(iter(batch.values())))
            self.forward(batch)
            weights = self.net.blob_loss_weights
            loss += size * float(sum(weights[name] * self.net.blobs[name].data.sum() for name in self.net.outputs))
            if self._accuracy is not None:
                right += size * float(self.net.blobs[self._accuracy].data)
        if not np.isfinite(loss):
            raise InputError(f"{self._source}: the loss over its LMDB is not finite; are the weights trained?")
        return Score(loss / self.records, None if self._accuracy is None else right / self.records)

    def forward(self, batch: InputBatch) -> None:
        """Run the network on a batch of any size; its blobs are in `net.blobs`."""
        for name, values in batch.items():
            self.net.blobs[name].reshape(*values.shape)
            self.net.blobs[name].data[...] = values
        self.net.forward()

    def batches(self) -> Iterator[InputBatch]:
        """The records: top of the Data layer -> values."""
        if self._cache is not None:
            yield from self._cache
            return
        kept: list[InputBatch] | None = []
        held = 0
        for batch in self._read():
            held += sum(values.nbytes for values in batch.values())
            if kept is not None:
                kept = [*kept, batch] if held <= CACHE_BYTES else None
            yield batch
        self._cache = kept

    def _read(self) -> Iterator[InputBatch]:
        """The records that count, as the Data layer makes them, in batches of its size; the last one may be smaller."""
        with pycaffe.runs(self._source):
            reader = self._load(NetParameter(layer=[_bare(self._data)]))
        tops = list(self._data.layer.top)
        size = int(self._data.layer.data_param.batch_size)
        kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in tops}
        for first in range(0, self._there, size):
            reader.forward()
            chosen = self._chosen[(self._chosen >= first) & (self._chosen < first + size)] - first
            for name in tops:
                kept[name] += [reader.blobs[name].data[index].copy() for index in chosen]
            while len(kept[tops[0]]) >= size:
                yield {name: np.stack(values[:size]) for name, values in kept.items()}
                kept = {name: values[size:] for name, values in kept.items()}
        if kept[tops[0]]:
            yield {name: np.stack(values) for name, values in kept.items()}

    def _load(self, net: Net) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "net.prototxt")
            model.write_text(to_text(net), encoding="utf-8")
            return self._caffe.Net(str(model), self._phase)


def data_layer(graph: Graph) -> Node:
    """The one Data layer of a network. Raises InputError if there is not one."""
    data = [node for node in graph.nodes if node.type == "Data"]
    if len(data) != 1:
        raise InputError(
            f"{graph.source}: has {len(data)} Data layers in this phase, and one is needed; give a train_val.prototxt"
        )
    return data[0]


def _fed(graph: Graph, data: Node) -> Net:
    """The network with Input layers in the place of its Data layer."""
    net = NetParameter(name="validation")
    for node in graph.nodes:
        if node is not data:
            net.layer.append(_bare(node))
            continue
        for blob in node.tops:
            shape: Shape = blob.shape or ()
            net.layer.add(name=blob.name, type="Input", top=[blob.name]).input_param.shape.add(dim=shape)
    return net


def _bare(node: Node) -> Any:
    layer = type(node.layer)()
    layer.CopyFrom(node.layer)
    for field in ("include", "exclude", "phase", "blobs"):
        layer.ClearField(field)
    return layer
