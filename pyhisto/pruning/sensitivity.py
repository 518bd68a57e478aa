"""What a network loses where one group of its channels is masked: the file that carries it from measurement to pruning.

A *group* is what the same layers make and the same slices take (`dependencies.Group`). It is measured alone, all others
whole, at a ladder of shares; the channels that go first are those with the lowest scores of a criterion.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.files import read_json, sha256, write_text
from pyhisto.proto import CONTROL
from pyhisto.pruning.dependencies import Dependencies

FORMAT = 1


@dataclass(frozen=True)
class Score:
    """What a network makes of the validation records."""

    loss: float
    accuracy: float | None
    """A fraction; None if the network has no Accuracy layer."""


@dataclass(frozen=True)
class Step:
    """A group's score at one share."""

    share: float
    """Of the group's channels that may go, masked."""
    removed: int
    """How many atoms that is."""
    score: Score


@dataclass(frozen=True)
class GroupCurve:
    """A group's scores, from the smallest share to the largest."""

    atoms: int
    """How many the group has."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Sensitivity:
    """A measurement, complete. `groups`: key of a group (`group_keys`) -> its curve."""

    settings: Mapping[str, Any]
    """What decides the numbers: criterion, seed, SHA-256 of model and weights, ..."""
    records: int
    whole: Score
    """Of the network as it is."""
    groups: Mapping[str, GroupCurve]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Sensitivity":
        """Read and check the file. Raises InputError if it is not one."""
        content = read_json(path)
        try:
            if content["format"] != FORMAT:
                written = repr(content["format"])[:20]
                raise InputError(f"{path}: a sensitivity of format {written}; this version reads format {FORMAT}")
            groups = {}
            for key, curve in content["groups"].items():
                steps = tuple(
                    Step(float(step["share"]), int(step["removed"]), read_score(step["score"]))
                    for step in curve["steps"]
                )
                shares = [step.share for step in steps]
                if (
                    CONTROL.search(key)
                    or not steps
                    or sorted(set(shares)) != shares
                    or not 0 < shares[0] <= shares[-1] <= 1
                ):
                    raise ValueError
                groups[str(key)] = GroupCurve(int(curve["atoms"]), steps)
            return cls(dict(content["settings"]), int(content["records"]), read_score(content["whole"]), groups)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise InputError(f"{path}: not a sensitivity file; tools/sensitivity.py writes sensitivity.json") from None

    def check_of(self, settings: Mapping[str, Any], weights: Path, source: object) -> None:
        """Raise InputError unless it was measured with these settings, on these weights; it was read from `source`."""
        for name, value in settings.items():
            if self.settings.get(name) != value:
                raise InputError(f"{source}: was measured with {name} {self.settings.get(name)!r}, not {value!r}")
        if self.settings.get("weights_sha256") != sha256(weights):
            raise InputError(f"{source}: was measured with other weights than {weights}; measure it again")


def read_score(value: Any) -> Score:
    """A Score as JSON. Raises KeyError, TypeError or ValueError if it is none."""
    accuracy = value["accuracy"]
    return Score(float(value["loss"]), None if accuracy is None else float(accuracy))


def group_keys(dependencies: Dependencies) -> list[str]:
    """A key for each group, in their order: its name, and a number from the second of that name on."""
    seen: Counter[str] = Counter()
    keys = []
    for group in dependencies.groups:
        seen[group.name] += 1
        keys.append(group.name if seen[group.name] == 1 else f"{group.name} ({seen[group.name]})")
    return keys


def curves_of(sensitivity: Sensitivity, dependencies: Dependencies, source: object) -> Sequence[GroupCurve | None]:
    """The curve of each of a network's groups, None for those that were not measured.

    Raises InputError if the measurement is of other groups.
    """
    keys = group_keys(dependencies)
    unknown = sensitivity.groups.keys() - set(keys)
    if not unknown:
        curves = [sensitivity.groups.get(key) for key in keys]
        for key, curve, group in zip(keys, curves, dependencies.groups, strict=True):
            if curve is not None and curve.atoms != len(group.atoms):
                unknown.add(key)
    if unknown:
        raise InputError(
            f"{source}: knows a group '{min(unknown)}' that this network does not have so; give tools/prune.py the "
            "--model and --also that the sensitivity was measured with"
        )
    return curves
