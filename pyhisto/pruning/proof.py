"""Proof that a pruned network computes what the original computes with the removed channels masked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Blob, Graph, Node, Shape, stored_shapes
from pyhisto.proof.comparison import TOLERANCE, Proof, Setting, run_both
from pyhisto.proof.engines import (
    PROOF_ENGINES,
    EngineChoice,
    EngineError,
    EngineName,
    caffe_reads,
    choose_engine,
    misrun_by,
    missing_types,
)
from pyhisto.proof.memory import PROOF_BYTES, available_bytes, needed_bytes, smaller_inputs
from pyhisto.proof.runnable import Runnable, is_compared, runnable
from pyhisto.proof.stand_ins import stand_ins
from pyhisto.proto import Net, NetParameter, parse_text
from pyhisto.prototext import Document
from pyhisto.pruning.channels import Channels
from pyhisto.pruning.feeds import assume_shapes, layers_to_leave_out, reads_positions_of_input
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, given_shapes
from pyhisto.pruning.surgery import rewrite_weights

MAX_FAILURES = 20
"""How many layers that OpenCV has, and fails to run, are left out one after the other."""


def prove(network: LoadedNetwork, pruned: Pruned) -> Proof | None:
    """Masked original against pruned network, both in the words of their files; None if no engine can run them.

    pycaffe runs them, else OpenCV. If neither has all layers, they are cut at the layers that neither has: what such a
    layer reads is compared, what it makes is made up, alike for both. A network that takes more memory than
    PROOF_BYTES is run at a smaller input if its weights allow one. Raises InputError if the two differ, if no input
    changes any output, and if the memory is not there.
    """
    graphs = _affordable(network, pruned)
    proofs = _Both(network, pruned, *graphs).prove_whole()
    if not proofs:
        proofs = _Both(network, pruned, *_with_assumed_shapes(network, pruned, graphs)).prove_pieces()
    for proof in proofs:
        if proof.largest_difference > TOLERANCE:
            raise InputError(
                f"the pruned network differs from the masked original by {proof.largest_difference:.2g} (at most "
                f"{TOLERANCE:g} is allowed); nothing was written. This is a fault of the pruner: please report the "
                "prototxt"
            )
    if proofs and not any(proof.outputs_vary for proof in proofs):
        raise InputError(
            f"{network.files[0].path}: the network's outputs are the same whatever its input is, so that running it "
            "proves nothing; are the weights trained? --no-proof does without"
        )
    return _joined(proofs) if proofs else None


def compare(
    original: tuple[Runnable, Net], pruned: tuple[Runnable, Net], choice: EngineChoice, source: object,
    setting: Setting | None = None,
) -> Proof:  # fmt: skip
    """Run the original with masked weights, and the pruned network, on the same inputs; see `run_both`."""
    (network, masked), (smaller, kept) = original, pruned
    engine, outputs = PROOF_ENGINES[choice.engine], network.outputs
    return run_both(network, masked, choice, lambda inputs: engine(smaller, kept, inputs, outputs), source, setting)


def _joined(proofs: list[Proof]) -> Proof:
    """Of two engines: what both compared, and what neither covers."""
    first, *others = proofs
    for other in others:
        first = replace(
            first,
            engine=f"{first.engine} and {other.engine}",
            largest_difference=max(first.largest_difference, other.largest_difference),
            outputs=tuple(dict.fromkeys(first.outputs + other.outputs)),
            not_covered=tuple(layer for layer in first.not_covered if layer in other.not_covered),
        )
    return first


@dataclass(frozen=True)
class _Both:
    """The original and the pruned network, at inputs that can be afforded."""

    network: LoadedNetwork
    pruned: Pruned
    original: Graph
    smaller: Graph

    @property
    def texts(self) -> tuple[str, str]:
        file = self.network.files[0]
        return file.document.text(), self.pruned.texts[file.path.name]

    @property
    def masked(self) -> Net:
        return rewrite_weights(self.network.weights, self.pruned.cut, mask=True)

    def setting(self, network: Runnable, noise: Iterable[str] = ()) -> Setting:
        """How this network is to be compared: at its own mean and scale, as far as its files say."""
        kept = {name: keep for name, blob in network.blobs.items() if (keep := self.keep(blob)) is not None}
        transforms = [
            node.layer.transform_param
            for file in self.network.files
            for graph in file.graphs
            for node in graph.nodes
            if node.layer.HasField("transform_param")
        ]
        setting = Setting(kept=kept, noise=frozenset(noise))
        for transform in transforms[:1]:
            mean = tuple(transform.mean_value) or (setting.mean if transform.mean_file else (0.0,))
            setting = replace(setting, mean=mean, scale=transform.scale)
        return setting

    def keep(self, blob: Blob) -> NDArray[np.bool_] | None:
        """Which channels of a blob of the original the pruned network has; None if all."""
        channels = self.channels(blob)
        keep = None if channels is None else self.pruned.cut.keep(channels)
        return None if keep is None or keep.all() else keep

    def channels(self, blob: Blob) -> Channels | None:
        """The channels of a blob of the original, as the analysis numbers them."""
        position = self.original.nodes.index(blob.producer)
        return self.network.dependencies.blobs[0].get(self.network.model.nodes[position].tops[blob.top])

    def finish(self, proof: Proof, left_out: Iterable[int] = ()) -> Proof:
        return replace(
            proof,
            inputs_made_smaller=_input_shapes(self.original) != _input_shapes(self.network.model),
            not_covered=tuple(
                f"'{node.name}' ({node.type})" for node in (self.original.nodes[each] for each in sorted(left_out))
            ),
        )

    def prove_whole(self) -> list[Proof]:
        """By one engine that runs all layers; none if there is no such engine."""
        if any(map(_must_not_run, self.original.nodes)):
            return []
        graphs = (self.original, self.smaller)
        networks = [runnable(graph, Document(text)) for graph, text in zip(graphs, self.texts, strict=True)]
        choice = choose_engine(networks, self.texts)
        if choice is None or any(misrun_by(choice.engine, node) for node in self.original.nodes):
            return []
        pair = (networks[0], self.masked), (networks[1], self.pruned.weights)
        try:
            proof = compare(*pair, choice, self.network.files[0].path, self.setting(networks[0]))
        except EngineError:
            return []
        return [self.finish(proof)]

    def prove_pieces(self) -> list[Proof]:
        """By one engine, or two, that run part of the layers each."""
        lacks = {
            engine: lacking
            for engine in PROOF_ENGINES
            if (lacking := self.layers_missing_in(engine)) is not None and len(lacking) < len(self.layers_to_run)
        }
        if not lacks:
            return []
        neither = frozenset.intersection(*lacks.values())
        enough = [engine for engine, lacking in lacks.items() if lacking == neither]
        return [proof for engine in enough[:1] or lacks if (proof := self.prove_piece(engine, set(lacks[engine])))]

    @property
    def layers_to_run(self) -> list[int]:
        """The positions of the layers that a proof runs."""
        return [index for index, node in enumerate(self.original.nodes) if node.bottoms and is_compared(node)]

    def layers_missing_in(self, engine: EngineName) -> frozenset[int] | None:
        """The positions of the layers that an engine lacks; None if it is not there, or cannot read the others."""
        nodes = self.original.nodes
        types = {
            index: {layer.type for layer in stand_ins(nodes[index], nodes[index].layer) or [nodes[index].layer]}
            for index in self.layers_to_run
        }
        missing = missing_types(engine, set().union(*types.values()))
        if missing is None:
            return None
        return frozenset(
            index
            for index, each in types.items()
            if each & missing or _must_not_run(nodes[index]) or misrun_by(engine, nodes[index])
        )

    def prove_piece(self, engine: EngineName, left_out: set[int]) -> Proof | None:
        """By this engine, without the layers at these positions, and those that it fails to run."""
        source = self.network.files[0].path
        masked = self.masked
        for _ in range(MAX_FAILURES):
            left_out, fed = layers_to_leave_out(self.original, left_out)
            network = runnable(self.original, Document(self.texts[0]), left_out, fed)
            setting = self.setting(network, fed)
            if not network.outputs:
                return None
            smaller = {
                name: (shape[0], int(setting.kept[name].sum()), *shape[2:]) if name in setting.kept else shape
                for name, shape in fed.items()
            }
            other = runnable(self.smaller, Document(self.texts[1]), left_out, smaller)
            if engine == "caffe" and not (caffe_reads(network.text) and caffe_reads(other.text)):
                return None
            choice = EngineChoice(engine, "" if engine == "caffe" else "Caffe lacks layers of it")
            try:
                proof = compare((network, masked), (other, self.pruned.weights), choice, source, setting)
                return self.finish(proof, left_out)
            except EngineError:
                failing = self.first_failing(engine, left_out, masked)
                if failing is None:  # it failed on other numbers
                    return None
                left_out.add(failing)
        return None

    def first_failing(self, engine: EngineName, left_out: set[int], masked: Net) -> int | None:
        """The position of the first layer at which an engine fails, found by halving."""
        candidates = [index for index in self.layers_to_run if index not in left_out]

        def fails(first: int) -> bool:
            """With the first so many candidates."""
            without, fed = layers_to_leave_out(self.original, left_out | set(candidates[first:]))
            network = runnable(self.original, Document(self.texts[0]), without, fed)
            generator = np.random.default_rng(0)
            inputs = {name: generator.standard_normal(shape, np.float32) for name, shape in network.inputs.items()}
            try:
                PROOF_ENGINES[engine](network, masked, inputs, network.outputs)
            except EngineError:
                return True
            return False

        low, high = 0, len(candidates)
        if not fails(high):
            return None
        while high - low > 1:  # fails with `high` of them, and not with `low`
            middle = (low + high) // 2
            low, high = (low, middle) if fails(middle) else (middle, high)
        return candidates[high - 1]


def _input_shapes(graph: Graph) -> list[Shape | None]:
    return [blob.shape for blob in graph.inputs]


def _with_assumed_shapes(network: LoadedNetwork, pruned: Pruned, graphs: tuple[Graph, Graph]) -> tuple[Graph, Graph]:
    """The graphs with shapes for what layers make that nobody knows."""
    original = graphs[0]
    if not any(blob.shape is None for node in original.nodes if node.foreign and node.bottoms for blob in node.tops):
        return graphs
    path, analysed = network.files[0].path, network.dependencies.blobs[0]

    def builder(text: str, weights: Net) -> Callable[[Mapping[str, Shape]], Graph]:
        net, stored = parse_text(text, NetParameter, path, lenient=True), stored_shapes(weights)

        def build(assumed: Mapping[str, Shape]) -> Graph:
            shapes = {**given_shapes(original), **assumed}
            return Graph.build(net, original.phase, input_shapes=shapes, stored=stored, source=path)

        return build

    def channels(position: int, top: int) -> int | None:
        found = analysed.get(network.model.nodes[position].tops[top])
        return None if found is None else len(found)

    build = builder(network.files[0].document.text(), network.weights)
    settled = assume_shapes(build, stored_shapes(network.weights), channels)
    return settled, builder(pruned.texts[path.name], pruned.weights)(given_shapes(settled))


def _must_not_run(node: Node) -> bool:
    """Somebody's Python layer, which Caffe would go and import, and what reads positions from a made-up input."""
    return (bool(node.foreign) and node.type == "Python") or reads_positions_of_input(node)


def _affordable(network: LoadedNetwork, pruned: Pruned) -> tuple[Graph, Graph]:
    """The original's and the pruned network's graph, at inputs that the memory allows. Raises InputError."""
    graphs = network.model, pruned.model
    needed, file = needed_bytes(network.model), network.files[0]
    if needed <= PROOF_BYTES:
        return graphs
    nets = [
        (parse_text(text, NetParameter, file.path, lenient=True), stored_shapes(weights))
        for text, weights in (
            (file.document.text(), network.weights),
            (pruned.texts[file.path.name], pruned.weights),
        )
    ]
    for shapes in smaller_inputs(network.model):
        try:
            one, other = (
                Graph.build(net, network.model.phase, input_shapes=shapes, stored=stored, source=file.path)
                for net, stored in nets
            )
        except InputError:
            continue
        fits = _params(one) == _params(graphs[0]) and _params(other) == _params(graphs[1])
        if fits and needed_bytes(one) <= PROOF_BYTES:
            return one, other
    available = available_bytes()
    if available is not None and needed > available:
        raise InputError(
            f"{file.path}: the proof takes about {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} are "
            "available, and the network allows no smaller input; --no-proof does without"
        )
    return graphs


def _params(graph: Graph) -> list[object]:
    return [node.param_shapes for node in graph.nodes]
