"""How a run differs from the paper's protocol: to be known before its figures are compared with the printed ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyhisto.nets.solvers import ZHU_2019
from pyhisto.study.paper.printed import MAGNIFICATIONS
from pyhisto.study.results import Results
from pyhisto.study.splits import find_missing
from pyhisto.tables.table import Cell, Column, Table

FOLDS = 5
"""Of the paper on BreaKHis."""

PAPER: Mapping[str, Mapping[str, tuple[str, Any]]] = {
    "lmdb": {
        "size": ("side of the network's input, pixels", 224),
        "augment": ("images made of a training image", 8),
        "stain": ("stain normalisation", "reinhard"),
    },
    "network": {
        "width": ("width of every layer, as a multiple", 1.0),
        "widths-of": ("as wide as a pruned network", "no"),
    },
    "solver": {
        "max-iter": ("training iterations", ZHU_2019.max_iter),
        "batch-size": ("images of a batch", 10),
        "base-lr": ("learning rate", ZHU_2019.base_lr),
        "stepsize": ("iterations until the rate falls", ZHU_2019.stepsize),
        "momentum": ("momentum", ZHU_2019.momentum),
        "weight-decay": ("weight decay", ZHU_2019.weight_decay),
    },
}
"""Section and name of a config's setting -> what it is, and the paper's value, which is every program's default."""


@dataclass(frozen=True)
class Difference:
    """One thing in which the run differs from the paper."""

    what: str
    here: str
    paper: str


def find_differences(results: Results) -> list[Difference]:
    """The differences that run.json and the folder show; those that tend to matter most come first."""
    return [*_images(results), *_settings(results)]


def protocol_table(results: Results) -> Table | None:
    """The differences as a table; None if none is known."""
    rows: list[list[Cell]] = [[each.what, each.here, each.paper] for each in find_differences(results)]
    columns = [Column("what differs"), Column("here"), Column("the paper")]
    return Table("protocol", "What differs from the paper's protocol", columns, rows) if rows else None


def _images(results: Results) -> Iterator[Difference]:
    for (magnification, there), _ in find_missing(results).items():
        if there.missing:
            at = f" at {magnification}X" if magnification else ""
            yield Difference(f"images{at}, training and test", f"{there.found:,}", f"{there.expected:,}")
    if results.settings.get("dataset") == "breakhis":
        folds = {experiment.fold for experiment in results.experiments if experiment.fold is not None}
        if folds and len(folds) < FOLDS:
            yield Difference("folds", f"{len(folds)}", f"{FOLDS}")
        here = {experiment.magnification for experiment in results.experiments} - {None}
        if here and here != set(MAGNIFICATIONS):
            shown = ", ".join(f"{name}X" for name in MAGNIFICATIONS if name in here)
            yield Difference("magnifications", shown, ", ".join(f"{name}X" for name in MAGNIFICATIONS))


def _settings(results: Results) -> Iterator[Difference]:
    settings = results.settings.get("settings")
    for section, known in PAPER.items():
        given = settings.get(section) if isinstance(settings, dict) else None
        for name, (what, paper) in known.items():
            here = given.get(name, paper) if isinstance(given, dict) else paper
            if here != paper:
                yield Difference(what, _text(here), _text(paper))


def _text(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if isinstance(value, int) and number else f"{value:g}" if number else str(value)
