"""A network with the channels masked that a plan removes: what it computes before anything is cut out of it."""

import numpy as np

from pyhisto.errors import InputError
from pyhisto.files import sha256
from pyhisto.proto import Net
from pyhisto.pruning.plan import Plan, layers_kept
from pyhisto.pruning.pruner import LoadedNetwork
from pyhisto.pruning.surgery import ChannelCut, rewrite_weights
from pyhisto.pruning.target import Removed


def mask_weights(network: LoadedNetwork, plan: Plan, source: object) -> Net:
    """The network's weights, in their shapes, with zeros where they make, normalise or read removed channels.

    `source` is what an error names as the plan. Raises InputError if the plan is of other weights, or of a network
    whose channels hang together otherwise.
    """
    if sha256(network.weights_path) not in plan.sources.values():
        raise InputError(f"{source}: pruned other weights than {network.weights_path}; give those, or the other plan")
    removed = removed_atoms(network, plan)
    planned = {name: kept for name, kept in plan.layers.items() if name in network.dependencies.producers}
    if layers_kept(network.dependencies, removed) != planned:
        raise InputError(f"{source}: its channels are not those of {network.files[0].path}; is it another network's?")
    return rewrite_weights(network.weights, ChannelCut(network.dependencies, removed), mask=True)


def removed_atoms(network: LoadedNetwork, plan: Plan) -> Removed:
    """Which atoms of the network a plan removes; layers that are not in the network do not count."""
    dependencies = network.dependencies
    removed = np.zeros(dependencies.atom_count(), np.bool_)
    for name, (size, kept) in plan.layers.items():
        channels = dependencies.producers.get(name)
        if channels is not None and len(channels) == size:
            goes = ~np.isin(np.arange(size), kept)
            removed[dependencies.atom[channels[goes]]] = True
    return removed
