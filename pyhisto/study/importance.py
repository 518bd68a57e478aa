"""How much of fig. 11's narrowing is the cutting itself: the spread of the channels' importance in each block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyhisto.evaluation.predictions import BRANCHES
from pyhisto.study.results import Branch, Results
from pyhisto.tables.table import Cell, Column, Table


@dataclass(frozen=True)
class Narrowing:
    """Of one block of one network: the standard deviation of its channels' importance."""

    branch: str
    block: str
    channels: int
    kept: int
    before: float
    lowest_cut: float
    """Of the channels that are most important before, as many as were kept: nothing was trained for it."""
    random_cut: float
    """Of as many channels chosen at random: the root of the mean variance over all choices."""
    after: float
    """As measured, of the network that was cut and trained on."""


def find_narrowings(results: Results) -> Iterator[Narrowing]:
    """Every block of the first two stages that were measured, of the first experiment that has two."""
    for branch in BRANCHES:
        for experiment in results.experiments:
            networks = [stage.branches[branch] for stage in experiment.stages if branch in stage.branches]
            measured = [network for network in networks if network.importance]
            if len(measured) > 1:
                yield from _narrowings(branch, *measured[:2])
                break


def _narrowings(name: str, before: Branch, after: Branch) -> Iterator[Narrowing]:
    for block, factors in before.importance.items():
        left = after.importance.get(block, [])
        if 0 < len(left) < len(factors):
            highest = sorted(factors)[-len(left) :]
            yield Narrowing(
                name,
                block,
                len(factors),
                len(left),
                float(np.std(factors)),
                float(np.std(highest)),
                compute_random_spread(factors, len(left)),
                float(np.std(left)),
            )


def compute_random_spread(factors: list[float], kept: int) -> float:
    """The standard deviation that `kept` of them have if chosen at random: the root of the mean variance over choices.

    Of a sample without replacement of n from N the mean variance (by n) is that of all, times N (n - 1) / (n (N - 1)).
    """
    number = len(factors)
    return float(np.sqrt(np.var(factors) * number * (kept - 1) / (kept * (number - 1)))) if number > 1 else 0.0


def importance_table(results: Results) -> Table | None:
    """The spreads, a row a block; None if no network was measured before and after."""
    rows: list[list[Cell]] = [
        [each.branch, each.block, each.channels, each.kept, each.before, each.random_cut, each.lowest_cut, each.after]
        for each in find_narrowings(results)
    ]
    columns = [Column("branch"), Column("block"), Column("channels"), Column("kept")]
    columns += [Column(name, 3) for name in ("before", "cut at random", "lowest cut", "after")]
    notes = [
        "Standard deviation of the channels' importance (eq. 5) in a block. Random, lowest: of the channels before, as "
        "many as were kept, chosen at random or from above, nothing trained; after: as measured, cut and trained on."
    ]
    title = "How much of fig. 11's narrowing is the cutting itself"
    return Table("importance_spread", title, columns, rows, notes) if rows else None


def remark_on_importance(results: Results) -> Iterator[str]:
    """What fig. 11's narrower distributions do not show."""
    found = list(find_narrowings(results))
    for branch in dict.fromkeys(each.branch for each in found):
        own = [each for each in found if each.branch == branch]
        before, random, lowest, after = (
            float(np.mean([getattr(each, name) for each in own]))
            for name in ("before", "random_cut", "lowest_cut", "after")
        )
        spreads = (
            f"before {before:.3f}; of as many channels chosen at random {random:.3f}; of the highest, nothing trained, "
            f"{lowest:.3f}; measured after pruning and training {after:.3f}"
        )
        yield (
            f"Fig. 11, {branch} branch: that importance is distributed more narrowly after pruning is no finding by "
            f"itself, as cutting the lower part narrows any distribution. Mean standard deviation over {len(own)} "
            f"blocks: {spreads}. Fig. 11 shows conv1 and conv2, which have no SEP block in fig. 2, and thus no "
            "importance: here it is that of the SEP blocks."
        )
