"""Networks of 3 x 12 x 12 inputs with layers of a type that nobody knows, and their pruning to a half."""

from pathlib import Path

from pyhisto.graph import Graph
from pyhisto.proof.comparison import TOLERANCE, Proof
from pyhisto.proto import Net, NetParameter, parse_text, write_weights
from pyhisto.pruning.proof import prove
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, cut_network, plan_pruning
from pyhisto.pruning.schedule import Schedule
from tests.networks import random_weights

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 12 dim: 12 } } }\n'


def conv(name: str, bottom: str, outputs: int, kernel: int = 3, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} {more} }} }}\n"
    )


def layer(kind: str, name: str, bottoms: str, more: str = "", tops: str = "") -> str:
    blobs = "".join(f'bottom: "{each}" ' for each in bottoms.split())
    blobs += "".join(f'top: "{each}" ' for each in (tops or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {blobs} {more} }}\n'


def fully_connected(name: str, bottom: str, outputs: int) -> str:
    return layer("InnerProduct", name, bottom, f"inner_product_param {{ num_output: {outputs} }}")


def load(folder: Path, text: str, stands_for: str, more: Net | None = None) -> LoadedNetwork:
    """A network with layers of the type Mystery, and weights as they are if Mystery is another type."""
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(DATA + text)
    twin = parse_text((DATA + text).replace('"Mystery"', f'"{stands_for}"'), NetParameter, model, lenient=True)
    net = random_weights([Graph.build(twin)])
    if more is not None:
        net.MergeFrom(more)
    write_weights(weights, net)
    return LoadedNetwork.read(model, [], weights, {})


def halve(network: LoadedNetwork) -> tuple[Pruned, Proof]:
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(0.5, scope="branch"), None, 0), {})
    proof = prove(network, pruned)
    assert proof is not None
    assert proof.largest_difference <= TOLERANCE
    return pruned, proof


def widths(pruned: Pruned) -> dict[str, int]:
    return {layer: len(kept) for layer, (_, kept) in pruned.plan.layers.items()}
