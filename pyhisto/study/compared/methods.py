"""The compared methods in a results folder, before anything is scored.

<experiment>/compared/<method>/
    method.json             label; selected: the row that stands for the method in Table 8 (a model, or "Max fusion";
                            absent if there is one model); fusions: how its models are merged, none if absent
    **/predictions*.csv     of one or more models
    **/cost.json            of one or more networks
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.evaluation.strategies import FUSIONS
from pyhisto.files import read_json
from pyhisto.study.results import LEVELS


@dataclass(frozen=True)
class NetworkCost:
    """What one network costs."""

    weights: int
    flops: int
    """Of one forward pass of one patch or image."""


@dataclass(frozen=True)
class Method:
    """One method's folder in one experiment."""

    name: str
    """The folder's."""
    label: str
    selected: str | None
    fusions: tuple[str, ...]
    levels: Mapping[str, str]
    """fold, magnification, bag: as far as the experiment has them."""
    predictions: tuple[Path, ...]
    costs: Mapping[str, NetworkCost]
    """By the network's folder."""


def read_methods(folder: Path) -> list[Method]:
    """The methods in a results folder, sorted by path. Raises InputError if a file is damaged."""
    return [_read_method(folder, path) for path in sorted(Path(folder).rglob("compared/*/method.json"))]


def _read_method(results: Path, path: Path) -> Method:
    folder = path.parent
    levels = {
        level: match[1]
        for part in folder.relative_to(results).parts
        for level, pattern in LEVELS.items()
        if (match := re.fullmatch(pattern, part))
    }
    try:
        content = read_json(path)
        costs = {cost.parent.name: _read_cost(read_json(cost)) for cost in sorted(folder.rglob("cost.json"))}
        fusions = tuple(content.get("fusions", ()))
        label, selected = str(content["label"]), content.get("selected")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(f"{path}: it, or a cost.json under it, is not what the tools write; remove it") from None
    if unknown := [fusion for fusion in fusions if fusion not in FUSIONS]:
        raise InputError(f"{path}: fusion {unknown[0]!r} is none of {', '.join(FUSIONS)}")
    return Method(folder.name, label, selected, fusions, levels, tuple(sorted(folder.rglob("predictions*.csv"))), costs)


def _read_cost(content: Mapping[str, Any]) -> NetworkCost:
    return NetworkCost(int(content["total"]["weights"]), int(content["total"]["flops"]))
