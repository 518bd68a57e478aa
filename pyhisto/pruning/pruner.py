"""Pruning from files to files: analyse, choose, cut, write; `proof` proves it before it is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto.cost import Cost, layer_costs, not_counted, total_cost
from pyhisto.errors import InputError
from pyhisto.files import sha256, whole_folder, write_text
from pyhisto.graph import Graph, Node, Shape, check_weights, stored_shapes
from pyhisto.graph.fillers import FillerError, fill_weights
from pyhisto.proof.comparison import Proof
from pyhisto.proto import (
    Net,
    NetParameter,
    SolverParameter,
    layer_blobs,
    parse_text,
    read_weights,
    set_blob,
    write_weights,
)
from pyhisto.prototext import Document, quote
from pyhisto.pruning.criteria import ChannelScores, Evidence, atom_scores
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.plan import Parameter, Plan, layers_kept
from pyhisto.pruning.prototxts import Prototxt, read_prototxts
from pyhisto.pruning.schedule import Schedule, choose, shrink_hidden
from pyhisto.pruning.surgery import ChannelCut, check_axes, rewrite_prototxt, rewrite_weights

PLAN = Path("plan.json")


@dataclass(frozen=True)
class LoadedNetwork:
    """A network read from its files, and analysed."""

    files: Sequence[Prototxt]
    solvers: Mapping[Path, Document]
    weights_path: Path
    weights: Net
    dependencies: Dependencies
    filled: Mapping[str, str]
    """Layer of which the weights file holds nothing -> the fillers that its weights were made by."""

    @property
    def model(self) -> Graph:
        """The graph that cost and proof are made on: the model's, in the TEST phase if it has one."""
        return self.files[0].graphs[0]

    @classmethod
    def read(
        cls, model: Path, also: Sequence[Path], weights: Path, input_shapes: Mapping[str, Shape]
    ) -> "LoadedNetwork":
        """Read the prototxts (solvers may be among `also`) and the weights, which must fit. Raises InputError."""
        solvers = {path: document for path in also if (document := _solver(path))}
        loaded = read_weights(weights)
        stored = stored_shapes(loaded)
        files = read_prototxts(model, [path for path in also if path not in solvers], input_shapes, stored)
        names = [path.name for path in (model, *also, weights, PLAN)]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise InputError(f"two files are called {min(doubled)}; they would overwrite one another in the output")
        for file in files:
            for graph in file.graphs:
                check_weights(graph, loaded, weights)
        filled = _fill_lacking(files[0].graphs[0], loaded, weights)
        dependencies = Dependencies.analyse([graph for file in files for graph in file.graphs])
        check_axes(loaded, dependencies, weights)
        return cls(files, solvers, weights, loaded, dependencies, filled)

    @property
    def notes(self) -> Iterator[str]:
        """What a user should know of the network, in lines: foreign layers, and weights that the file lacks."""
        for node in self.model.nodes:
            if node.foreign:
                yield f"Unknown: {node.foreign}; what it reads and makes stays as it is{_how_to_count(node)}"
        for layer, fillers in self.filled.items():
            yield f"Filled: {self.weights_path} holds no weights for layer '{layer}'; its filler ({fillers}) makes them"


def _how_to_count(node: Node) -> str:
    if not node.bottoms or all(blob.shape is not None for blob in node.tops):
        return ""
    name = next(blob.name for blob in node.tops if blob.shape is None)
    return f" (--input-shape {name}=NxCxHxW lets the layers behind it be counted)"


@dataclass(frozen=True)
class Pruned:
    """What a pruning gives, before it is written."""

    cut: ChannelCut
    plan: Plan
    texts: Mapping[str, str]
    model: Graph
    weights: Net
    before: Cost
    after: Cost
    not_counted: tuple[str, ...]
    """What is in neither cost, in lines for people."""


def plan_pruning(
    network: LoadedNetwork, criterion: str, schedule: Schedule, importance: Importance | None, seed: int
) -> NDArray[np.bool_]:
    """Which atoms go."""
    scores = rank_atoms(network, criterion, importance, seed)
    return with_hidden(network, choose(network.dependencies, scores, schedule), schedule)


def rank_atoms(network: LoadedNetwork, criterion: str, importance: Importance | None, seed: int) -> ChannelScores:
    """The score of each atom by a criterion."""
    blobs = layer_blobs(network.weights, readable=True)
    graphs = [graph for file in network.files for graph in file.graphs]
    evidence = Evidence(network.dependencies, graphs, blobs, importance, seed)
    if importance is not None and importance.weights_sha256 != sha256(network.weights_path):
        raise InputError(
            f"the importance was measured with other weights than {network.weights_path}; measure it again with "
            "tools/channel_importance.py"
        )
    return atom_scores(criterion, evidence)


def with_hidden(network: LoadedNetwork, removed: NDArray[np.bool_], schedule: Schedule) -> NDArray[np.bool_]:
    """What goes, with the hidden units of SE blocks that go with it."""
    if schedule.se_hidden == "rescale":
        return shrink_hidden(network.dependencies, removed, layer_blobs(network.weights, readable=True))
    return removed


def cut_network(network: LoadedNetwork, removed: NDArray[np.bool_], settings: Mapping[str, object]) -> Pruned:
    """Rewrite prototxts and weights, in memory."""
    dependencies = network.dependencies
    cut = ChannelCut(dependencies, removed)
    blobs = iter(dependencies.blobs)
    texts = {}
    for file in network.files:
        document = Document(file.document.text(), file.path)
        rewrite_prototxt(document, [(graph, next(blobs)) for graph in file.graphs], cut)
        texts[file.path.name] = document.text()
    plan = Plan(
        settings,
        layers_kept(dependencies, removed),
        _learned_parameters(network, cut),
        {str(path): sha256(path) for path in (network.weights_path, *(file.path for file in network.files))},
    )
    costs = layer_costs(network.model, partial=True)
    before = total_cost(costs)
    weights = rewrite_weights(network.weights, cut)
    model = pruned_model(network, texts, weights)
    after = total_cost(layer_costs(model, partial=True))
    unknown = tuple(not_counted(costs))
    plan = replace(plan, cost={"before": asdict(before), "after": asdict(after)})
    return Pruned(cut, plan, texts, model, weights, before, after, unknown)


def pruned_model(network: LoadedNetwork, texts: Mapping[str, str], weights: Net | None = None) -> Graph:
    """The graph of the pruned model, at the original's input shapes; `weights` are the pruned ones."""
    path, original = network.files[0].path, network.model
    net = parse_text(texts[path.name], NetParameter, path, lenient=True)
    shapes = given_shapes(original)
    stored = {} if weights is None else stored_shapes(weights)
    return Graph.build(net, original.phase, input_shapes=shapes, stored=stored, source=f"{path}, pruned")


def given_shapes(graph: Graph) -> dict[str, Shape]:
    """The shapes that follow from no layer: of inputs, and of what layers make that nobody knows."""
    made = [blob for node in graph.nodes if node.foreign and node.bottoms for blob in node.tops]
    return {blob.name: blob.shape for blob in (*graph.inputs, *made) if blob.shape is not None}


def write(network: LoadedNetwork, pruned: Pruned, proof: Proof | None, out: Path) -> Plan:
    """Write the folder `out`: every prototxt under its own name, the weights, plan.json. Whole or not at all."""
    weights_name = network.weights_path.name
    plan = replace(
        pruned.plan,
        outputs={"model": str(out / network.files[0].path.name), "weights": str(out / weights_name)},
        proof={"skipped": True} if proof is None else asdict(proof),
    )
    with whole_folder(out) as folder:
        for name, text in pruned.texts.items():
            write_text(folder / name, text)
        for path, document in network.solvers.items():
            write_text(folder / path.name, _rewrite_solver(document, pruned.texts, out))
        write_weights(folder / weights_name, pruned.weights)
        plan.save(folder / PLAN)
    return plan


def _fill_lacking(graph: Graph, weights: Net, source: Path) -> dict[str, str]:
    """Give `weights` the layers of which they hold nothing, as Caffe fills them; layer -> its fillers' names.

    Raises InputError if Caffe would fill one at random, or with what no trained network has, and if all are lacking.
    """
    lacking = check_weights(graph, weights, source)
    owners, found = graph.owners(), layer_blobs(weights, readable=True)
    filled: dict[str, str] = {}
    for node in lacking:
        own = [owners[node, index] for index in range(len(node.param_shapes or ()))]
        try:
            if len(lacking) == sum(1 for other in graph.nodes if other.param_shapes):
                raise FillerError("nor for any other")
            if all(owner is not node and owner.name in found for owner, _ in own):  # Caffe shares them
                blobs, fillers = [found[owner.name][index] for owner, index in own], ""
            else:
                blobs, fillers = fill_weights(node)
        except FillerError as reason:
            raise InputError(
                f"{source}: holds no weights for layer '{node.name}' of {graph.source}, and {reason}; is it of another "
                "network?"
            ) from None
        layers = weights.layers if weights.layers and not weights.layer else weights.layer
        layer = layers.add(name=node.name)
        for values in blobs:
            set_blob(layer.blobs.add(), values)
        if fillers:
            filled[node.name] = fillers
    return filled


def _learned_parameters(network: LoadedNetwork, cut: ChannelCut) -> tuple[Parameter, ...]:
    """The blobs of the training network in the order of the solver's state (Net::learnable_params)."""
    graph = next((graph for file in network.files if (graph := file.training)), None)
    if graph is None:
        return ()
    owners = graph.owners()
    parameters = []
    for node in graph.nodes:
        for index, shape in enumerate(node.param_shapes or ()):
            if owners[node, index] == (node, index):
                keeps = cut.param_keeps(node.name, index) or [None] * len(shape)
                kept = tuple(None if keep is None else tuple(map(int, np.flatnonzero(keep))) for keep in keeps)
                parameters.append(Parameter(node.name, index, shape, kept))
    return tuple(parameters)


def _solver(path: Path) -> Document | None:
    """The document of a solver's prototxt, None for a network's."""
    document = Document.read(path)
    if document.messages("layer") or document.messages("layers") or document.get("base_lr") is None:
        return None
    parse_text(document.text(), SolverParameter, path, lenient=True)
    return document


def _rewrite_solver(document: Document, texts: Mapping[str, str], out: Path) -> str:
    """A solver that trains the pruned network, and snapshots beside it."""
    edited = Document(document.text())
    for field in ("net", "train_net"):
        if (net := edited.get(field)) and Path(net).name in texts:
            edited.set_scalar(field, quote(str(out / Path(net).name)))
    edited.set_scalar("snapshot_prefix", quote(str(out / "snapshot")))
    return edited.text()
