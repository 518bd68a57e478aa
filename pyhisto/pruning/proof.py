"""Proof that a pruned network computes what the original computes with the removed channels masked."""

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.proof.comparison import TOLERANCE, Proof, run_both
from pyhisto.proof.engines import ENGINES, EngineName, available_engine, outputs_of, runnable
from pyhisto.proto import Net
from pyhisto.pruning.prune import Network, Pruned
from pyhisto.pruning.surgery import rewrite_weights


def prove(network: Network, pruned: Pruned) -> Proof | None:
    """Masked original against pruned network; None where no engine can run it. Raises InputError where they differ."""
    engine = available_engine(runnable(network.model))
    if engine is None:
        return None
    masked = rewrite_weights(network.weights, pruned.cut, mask=True)
    proof = compare((network.model, masked), (pruned.model, pruned.weights), engine)
    if proof.largest_difference > TOLERANCE:
        raise InputError(
            f"the pruned network differs from the masked original by {proof.largest_difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed); nothing was written. This is a fault of the pruner: please report the prototxt"
        )
    return proof


def compare(original: tuple[Graph, Net], pruned: tuple[Graph, Net], engine: EngineName) -> Proof:
    """Run (graph, masked weights) and (graph, pruned weights) on random inputs; see `run_both`."""
    (graph, masked), (smaller, kept) = original, pruned
    net, smaller_net = runnable(graph), runnable(smaller)
    outputs = outputs_of(net)
    return run_both(
        net, masked, engine, lambda inputs: ENGINES[engine](smaller_net, kept, inputs, outputs), graph.source
    )
