"""How important each channel is: the criteria to rank by. Higher stays; NaN if a criterion says nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.pruning.dependencies import Dependencies
from pyhisto.pruning.importance import Importance

ChannelScores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What a criterion may look at."""

    dependencies: Dependencies
    graphs: Sequence[Graph]
    weights: Mapping[str, Sequence[NDArray[np.floating]]]
    importance: Importance | None
    seed: int


def sep(evidence: Evidence) -> ChannelScores:
    """The mean activation factor of the SEP block's gate (eq. 5)."""
    importance = evidence.importance
    if importance is None:
        raise InputError("criterion sep needs --importance; tools/channel_importance.py makes the file")
    scores = _nothing(evidence.dependencies)
    gates = evidence.dependencies.gates
    if not gates:
        raise InputError("criterion sep: the network has no Squeeze-Excitation block; choose another criterion")
    for name, gate in gates.items():
        if name not in importance.blocks:
            raise InputError(f"the importance file knows no SEP block '{name}'; was it made for another network?")
        if len(importance.blocks[name]) != len(gate.channels):
            raise InputError(
                f"SEP block '{name}' has {len(gate.channels)} channels, the importance file "
                f"{len(importance.blocks[name])}; was it made for another network?"
            )
        scores[gate.channels] = importance.blocks[name]
    if unknown := set(importance.blocks) - set(gates):
        raise InputError(f"the network has no SEP block '{min(unknown)}'; was the importance made for another network?")
    return scores


def slimming(evidence: Evidence) -> ChannelScores:
    """|gamma| of the Scale layer behind a BatchNorm (network slimming, [26])."""
    scores = _Mean(evidence.dependencies)
    for graph in evidence.graphs[:1]:
        for node in graph.nodes:
            if node.type == "Scale" and len(node.bottoms) == 1 and node.bottoms[0].producer.type == "BatchNorm":
                (channels, *_), blobs = evidence.dependencies.params[node.name, 0], evidence.weights.get(node.name)
                if channels is not None and blobs is not None:
                    scores.add(channels, np.abs(blobs[0]).ravel())
    if not scores.seen.any():
        raise InputError(
            "criterion slimming: the network has no BatchNorm with a Scale behind it; choose another criterion"
        )
    return scores.result()


def l1(evidence: Evidence) -> ChannelScores:
    """The mean absolute weight of the filter that makes the channel."""
    scores = _Mean(evidence.dependencies)
    for layer, made in evidence.dependencies.producers.items():
        axes, blobs = evidence.dependencies.params.get((layer, 0)), evidence.weights.get(layer)
        if axes is None or blobs is None:
            continue
        for axis, channels in enumerate(axes):
            if channels is not None and np.isin(channels, made).all():
                weights = np.abs(blobs[0]).reshape(blobs[0].shape[-len(axes) :])  # old files have leading axes of 1
                scores.add(channels, weights.mean(axis=tuple(i for i in range(len(axes)) if i != axis)))
                break
    return scores.result()


def random(evidence: Evidence) -> ChannelScores:
    """A number from the seed: the baseline that a criterion has to beat."""
    generator = np.random.default_rng(evidence.seed)
    return generator.random(evidence.dependencies.atom_count())[evidence.dependencies.atom]


CRITERIA: dict[str, Callable[[Evidence], ChannelScores]] = {
    "sep": sep,
    "slimming": slimming,
    "l1": l1,
    "random": random,
}


def atom_scores(criterion: str, evidence: Evidence) -> ChannelScores:
    """The score of each atom: the mean over those of its channels that the criterion speaks of, else NaN."""
    scores, atom = CRITERIA[criterion](evidence), evidence.dependencies.atom
    known = ~np.isnan(scores)
    count = np.bincount(atom[known], minlength=evidence.dependencies.atom_count())
    total = np.bincount(atom[known], scores[known], minlength=len(count))
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, np.nan)


class _Mean:
    """Gathers scores of channels that several places speak of."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.total = np.zeros(len(dependencies.atom))
        self.seen = np.zeros(len(dependencies.atom), np.int64)

    def add(self, channels: NDArray[np.int64], scores: NDArray[np.floating]) -> None:
        np.add.at(self.total, channels, scores)
        np.add.at(self.seen, channels, 1)

    def result(self) -> ChannelScores:
        return np.where(self.seen > 0, self.total / np.maximum(self.seen, 1), np.nan)


def _nothing(dependencies: Dependencies) -> ChannelScores:
    return np.full(len(dependencies.atom), np.nan)
