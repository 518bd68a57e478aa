"""Running a network's statistics stage: channel importance over a training set (fig. 4 and eq. 5). Needs Caffe."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import lmdb

from pyhisto import pycaffe
from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.graph import Graph, Node, check_weights
from pyhisto.graph.network import SEP_MODULE
from pyhisto.layers import activation_statistics as statistics
from pyhisto.proto import Net, read_net, read_weights, to_text
from pyhisto.pruning.importance import Importance


def measure(
    model: Path,
    weights: Path,
    progress: Callable[[range], "object"] = lambda steps: steps,
    gpu: int | None = None,
) -> Importance:
    """The mean activation factor of every channel of every SEP block, over all records of the network's LMDB.

    `model` is a statistics prototxt: a Data layer and SEP layers in the stage `statistics`. Each record counts once,
    whatever the batch size: what the last batch repeats is left out. `progress` may wrap the batches in a bar.
    Raises InputError.
    """
    net = read_net(model)
    graph = Graph.build(net, source=model)
    layers = {node.name: node for node in graph.nodes if _measures(node)}
    if not layers:
        raise InputError(f"{model}: has no SEP layer in the stage 'statistics'; give the network's statistics.prototxt")
    data = [node for node in graph.nodes if node.type == "Data"]
    if len(data) != 1:
        raise InputError(f"{model}: has {len(data)} Data layers where one is needed")
    samples = _records(model, data[0].layer.data_param.source)
    _check(net, model, weights)

    caffe = pycaffe.load_for(gpu)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "statistics.prototxt")
        path.write_text(to_text(_limited(net, samples)), encoding="utf-8")
        network = caffe.Net(str(path), caffe.TEST, weights=str(weights))
    for name in layers:
        for blob in (statistics.SUM_HIGH, statistics.SUM_LOW, statistics.SAMPLES):
            network.params[name][blob].data[...] = 0  # a snapshot of an earlier measurement carries its sums
    batch = data[0].layer.data_param.batch_size
    for _ in progress(range(-(-samples // batch))):  # type: ignore[attr-defined]
        network.forward()
    blocks = {}
    for name, node in layers.items():
        state = [
            network.params[name][blob].data for blob in (statistics.SUM_HIGH, statistics.SUM_LOW, statistics.SAMPLES)
        ]
        blocks[_gate(node).name] = statistics.importance(*state)
    return Importance(blocks, samples, sha256(weights))


def _measures(node: Node) -> bool:
    parameter = node.layer.python_param
    if node.type != "Python" or parameter.module != SEP_MODULE:
        return False
    try:
        return bool(json.loads(parameter.param_str or "{}").get("stage") == "statistics")
    except (ValueError, AttributeError):
        return False


def _gate(sep: Node) -> Node:
    """The layer that applies the gate: it names the SEP block in every prototxt of the network."""
    return sep.tops[0].consumers[0][0]


def _records(model: Path, source: str) -> int:
    try:
        with lmdb.open(source, readonly=True, lock=False, create=False) as environment:
            records = int(environment.stat()["entries"])
    except lmdb.Error:
        raise InputError(
            f"{model}: its LMDB {source} is not there or not an LMDB; paths count from the working folder"
        ) from None
    if records == 0:
        raise InputError(f"{model}: its LMDB {source} is empty")
    return records


def _check(net: Net, model: Path, weights: Path) -> None:
    """Caffe ends the process where weights do not fit, and says nothing where a layer has none."""
    graph = Graph.build(net, source=model, data_root=Path())
    lacking = [node.name for node in check_weights(graph, read_weights(weights), weights) if not _measures(node)]
    if lacking:
        raise InputError(f"{weights}: holds no weights for layer '{lacking[0]}' of {model}; is it of another network?")


def _limited(net: Net, samples: int) -> Net:
    """The network whose SEP layers count the first `samples` samples only."""
    limited = type(net)()
    limited.CopyFrom(net)
    for layer in limited.layer:
        if layer.type == "Python" and layer.python_param.module == SEP_MODULE:
            settings = json.loads(layer.python_param.param_str or "{}")
            layer.python_param.param_str = json.dumps({**settings, "samples": samples})
    return limited
