"""Proof that a pruned network computes what the original computes with the removed channels masked."""

from dataclasses import replace

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proof.comparison import TOLERANCE, Proof, run_both
from pyhisto.proof.engines import ENGINES, Choice, EngineError, choose_engine
from pyhisto.proof.memory import PROOF_BYTES, available_bytes, needed_bytes, smaller_inputs
from pyhisto.proof.runnable import Runnable, runnable
from pyhisto.proto import Net, NetParameter, parse_text
from pyhisto.prototext import Document
from pyhisto.pruning.pruner import LoadedNetwork, Pruned
from pyhisto.pruning.surgery import rewrite_weights


def prove(network: LoadedNetwork, pruned: Pruned) -> Proof | None:
    """Masked original against pruned network, both in the words of their files; None if no engine can run them.

    A network that takes more memory than PROOF_BYTES is run at a smaller input if its weights allow one. Raises
    InputError if the two differ, if no input changes any output, and if the memory is not there.
    """
    file = network.files[0]
    texts = file.document.text(), pruned.texts[file.path.name]
    graphs = _affordable(network, pruned)
    original, smaller = (runnable(graph, Document(text)) for graph, text in zip(graphs, texts, strict=True))
    choice = choose_engine((original, smaller), texts)
    if choice is None:
        return None
    masked = rewrite_weights(network.weights, pruned.cut, mask=True)
    try:
        proof = compare((original, masked), (smaller, pruned.weights), choice, file.path)
    except EngineError:
        return None
    if proof.largest_difference > TOLERANCE:
        raise InputError(
            f"the pruned network differs from the masked original by {proof.largest_difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed); nothing was written. This is a fault of the pruner: please report the prototxt"
        )
    if not proof.outputs_vary:
        raise InputError(
            f"{file.path}: the network's outputs are the same whatever its input is, so that running it proves "
            "nothing; are the weights trained? --no-proof does without"
        )
    return replace(proof, inputs_made_smaller=graphs[0] is not network.model)


def compare(original: tuple[Runnable, Net], pruned: tuple[Runnable, Net], choice: Choice, source: object) -> Proof:
    """Run the original with masked weights, and the pruned network, on random inputs; see `run_both`."""
    (network, masked), (smaller, kept) = original, pruned
    engine, outputs = ENGINES[choice.engine], network.outputs
    return run_both(network, masked, choice, lambda inputs: engine(smaller, kept, inputs, outputs), source)


def _affordable(network: LoadedNetwork, pruned: Pruned) -> tuple[Graph, Graph]:
    """The original's and the pruned network's graph, at inputs that the memory allows. Raises InputError."""
    graphs = network.model, pruned.model
    needed, file = needed_bytes(network.model), network.files[0]
    if needed <= PROOF_BYTES:
        return graphs
    nets = [
        parse_text(text, NetParameter, file.path, lenient=True)
        for text in (file.document.text(), pruned.texts[file.path.name])
    ]
    for shapes in smaller_inputs(network.model):
        try:
            one, other = (Graph.build(net, network.model.phase, input_shapes=shapes, source=file.path) for net in nets)
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
