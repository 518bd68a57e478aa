"""Which atoms go: how many (eq. 6 to 8), ranked among whom, and what is never cut away altogether."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.pruning.criteria import ChannelScores
from pyhisto.pruning.dependencies import Dependencies, Gate

Scope: TypeAlias = Literal["branch", "block", "network"]
SEHidden: TypeAlias = Literal["rescale", "keep"]

SE_REDUCTION = 16
"""r of eq. 3."""


def proportion(ratio: float, loops: int) -> float:
    """X of eq. 8: what to prune in each of `loops` loops (R) so that `ratio` (O) is gone at the end."""
    return float(1 - (1 - ratio) ** (1 / loops))


def threshold(scores: ChannelScores, k: float) -> float:
    """TH of eq. 6: mean + standard deviation + k.

    The paper's text says that a lower k gives a higher threshold; the formula says the opposite, and is computed here.
    """
    return float(scores.mean() + scores.std() + k)


@dataclass(frozen=True)
class Schedule:
    """How much to prune: a proportion X of each scope, or what lies below a threshold.

    Args:
        proportion: X, of the channels in each scope.
        threshold_k: k of eq. 6; used if `proportion` is None.
        scope: rank within each branch (what one set of layers makes), block (what one Concat joins), or the network.
        se_hidden: `rescale` keeps the reduction r of an SE block, `keep` its hidden width.
        multiple: how many channels a branch keeps is rounded up to a multiple of this.
        keep: layers that keep all their channels.
    """

    proportion: float | None
    threshold_k: float | None = None
    scope: Scope = "block"
    se_hidden: SEHidden = "rescale"
    multiple: int = 1
    keep: tuple[str, ...] = ()


def choose(dependencies: Dependencies, scores: ChannelScores, schedule: Schedule) -> NDArray[np.bool_]:
    """The atoms to remove, as a mask. `scores` are the atoms'; the lowest go, of equal ones the later.

    Every branch keeps at least one channel. Hidden units of SE blocks are not ranked here (see `shrink_hidden`).
    """
    removed = np.zeros(dependencies.atom_count(), bool)
    candidate = _candidates(dependencies, schedule.keep) & ~np.isnan(scores)
    if not candidate.any():
        raise InputError("nothing in the network may be pruned by this criterion; --dry-run says why")
    branch = _branches(dependencies)
    for atoms in _scopes(dependencies, schedule.scope, branch, candidate):
        if schedule.proportion is not None:
            removed[_lowest(atoms, scores, schedule.proportion)] = True
        elif schedule.threshold_k is not None:
            removed[atoms[scores[atoms] < threshold(scores[atoms], schedule.threshold_k)]] = True
    for group in dependencies.groups:
        _floor(removed, group.atoms, scores, schedule.multiple)
    return removed


def choose_by_group(
    dependencies: Dependencies, scores: ChannelScores, shares: Sequence[float], schedule: Schedule
) -> NDArray[np.bool_]:
    """The atoms to remove if each group, in their order, loses a share of its own; else as `choose`."""
    removed = np.zeros(dependencies.atom_count(), bool)
    candidate = _candidates(dependencies, schedule.keep) & ~np.isnan(scores)
    for group, share in zip(dependencies.groups, shares, strict=True):
        removed[_lowest(group.atoms[candidate[group.atoms]], scores, share)] = True
        _floor(removed, group.atoms, scores, schedule.multiple)
    return removed


def shrink_hidden(
    dependencies: Dependencies, removed: NDArray[np.bool_], weights: dict[str, list[NDArray[np.floating]]]
) -> NDArray[np.bool_]:
    """Remove hidden units of every SE block that lost channels, so that its reduction r stays.

    Of a block that keeps C' channels floor(C' / r) units stay, at least one; r is 16 if floor(C / 16) is the block's
    hidden width, else C / width. The units that go are those with the smallest product of the absolute sums of their
    weights, down and up, over the channels that stay.
    """
    removed = removed.copy()
    for gate in dependencies.gates.values():
        stays = ~removed[dependencies.atom[gate.channels]]
        hidden = dependencies.atom[gate.hidden]
        frozen = any(group.frozen and np.isin(hidden, group.atoms).any() for group in dependencies.groups)
        if stays.all() or frozen or not {gate.down, gate.up} <= weights.keys():
            continue
        excess = len(hidden) - _hidden_width(gate, int(stays.sum()))
        if excess > 0:
            down = np.abs(weights[gate.down][0]).reshape(len(hidden), -1)
            up = np.abs(weights[gate.up][0]).reshape(-1, len(hidden))
            strength = down[:, stays].sum(axis=1) * up[stays].sum(axis=0)
            removed[hidden[np.lexsort((-np.arange(len(hidden)), strength))[:excess]]] = True
    return removed


def _hidden_width(gate: Gate, channels: int) -> int:
    before, width = len(gate.channels), len(gate.hidden)
    if width == max(1, before // SE_REDUCTION):
        return max(1, channels // SE_REDUCTION)
    return max(1, channels * width // before)


def _candidates(dependencies: Dependencies, keep: Iterable[str]) -> NDArray[np.bool_]:
    candidate = np.zeros(dependencies.atom_count(), bool)
    for group in dependencies.groups:
        if not group.frozen:
            candidate[group.atoms] = True
    for gate in dependencies.gates.values():
        candidate[dependencies.atom[gate.hidden]] = False
    for layer in keep:
        if layer not in dependencies.producers:
            raise InputError(f"layer '{layer}', which shall keep its channels, makes none in this network")
        candidate[dependencies.atom[dependencies.producers[layer]]] = False
    return candidate


def _branches(dependencies: Dependencies) -> NDArray[np.int64]:
    branch = np.full(dependencies.atom_count(), -1)
    for number, group in enumerate(dependencies.groups):
        branch[group.atoms] = number
    return branch


def _scopes(
    dependencies: Dependencies, scope: Scope, branch: NDArray[np.int64], candidate: NDArray[np.bool_]
) -> Iterable[NDArray[np.int64]]:
    atoms = np.flatnonzero(candidate)
    labels = {"branch": branch, "block": dependencies.block, "network": np.zeros_like(branch)}[scope][atoms]
    for label in np.unique(labels):
        yield atoms[labels == label]


def _lowest(atoms: NDArray[np.int64], scores: ChannelScores, share: float) -> NDArray[np.int64]:
    """A share of the atoms: those with the lowest scores, of equal ones the later."""
    order = np.lexsort((-atoms, scores[atoms]))
    return np.asarray(atoms[order[: _count(len(atoms), share)]])


def _count(size: int, share: float) -> int:
    """How many of `size` are a share of it, rounded to the nearest; a half goes down, so that less is lost."""
    return int(np.ceil(size * share - 0.5 - 1e-9))


def _floor(removed: NDArray[np.bool_], atoms: NDArray[np.int64], scores: ChannelScores, multiple: int) -> None:
    """Take back the best of what would go, until the branch keeps a positive multiple of `multiple`, or all."""
    gone = atoms[removed[atoms]]
    if not len(gone):
        return
    kept = len(atoms) - len(gone)
    wanted = min(len(atoms), max(1, -(-kept // multiple)) * multiple)
    best_last = gone[np.lexsort((-gone, scores[gone]))]
    removed[best_last[len(best_last) - (wanted - kept) :]] = False
