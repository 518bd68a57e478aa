"""Measuring how sensitive a network is to each group of its channels: masks, no surgery. Needs Caffe.

A group's channels are masked by zeros in the weights that make, normalise and read them (`surgery.rewrite_weights`), so
that the network computes what it would compute without them, its SE blocks' squeeze included. What has been measured is
kept line by line in `measured.jsonl`, so that a run that was killed goes on.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.files import exclusive, parse_json, reading, sha256
from pyhisto.proto import TEST, NetParameter, layer_blobs, parse_text
from pyhisto.pruning.criteria import ChannelScores
from pyhisto.pruning.pruner import LoadedNetwork, with_hidden
from pyhisto.pruning.schedule import Schedule, choose_by_group
from pyhisto.pruning.sensitivity import GroupCurve, Score, Sensitivity, Step, group_keys, read_score
from pyhisto.pruning.surgery import ChannelCut, mask_blob
from pyhisto.pruning.target import Removed
from pyhisto.pruning.validation import Validation, data_layer

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The ladder, if none is given."""

LOG = "measured.jsonl"


@dataclass(frozen=True)
class MaskedGroup:
    """One measurement to make."""

    key: str
    """Of the group."""
    share: float
    removed: Removed
    count: int
    """How many of the group's own atoms go."""

    @property
    def name(self) -> str:
        """What the measurement is called in the log."""
        return f"{self.key} {self.share:g}"


MaskingProgress: TypeAlias = Callable[[Sequence[MaskedGroup]], Iterable[MaskedGroup]]


def measure(
    network: LoadedNetwork,
    scores: ChannelScores,
    schedule: Schedule,
    shares: Sequence[float],
    settings: Mapping[str, Any],
    folder: Path,
    progress: MaskingProgress = lambda masks: masks,
    note: Callable[[str], None] = lambda text: None,
    records: int | None = None,
    gpu: int | None = None,
) -> Sensitivity:
    """The network's score with each of its groups masked at each of the shares.

    It is run by the first of its files that has a Data layer in the TEST phase. `settings` say how `scores` came about;
    what is in `folder` of other settings is refused. `progress` may wrap the masks in a bar. Raises InputError.
    """
    masks = list(_masks(network, scores, schedule, shares))
    if not masks:
        raise InputError("nothing in the network may be pruned by this criterion; tools/prune.py --dry-run says why")
    path, text = _measured_file(network)
    net = parse_text(text, NetParameter, path, lenient=True)
    settings = {
        **settings, "shares": list(shares), "records": records, "weights_sha256": sha256(network.weights_path),
        "files_sha256": [sha256(file.path) for file in network.files],
    }  # fmt: skip
    with exclusive(folder, note):
        log = _Log(folder / LOG, settings)
        validation = Validation(net, TEST, network.weights, path, records, gpu)
        if "" not in log.done:
            log.add("", validation.score())
        for mask in progress(masks):
            if mask.name not in log.done:
                log.add(mask.name, _score(validation, network, mask))
    groups: dict[str, list[Step]] = {}
    for mask in masks:
        groups.setdefault(mask.key, []).append(Step(mask.share, mask.count, log.done[mask.name]))
    keys = group_keys(network.dependencies)
    sizes = {key: len(group.atoms) for key, group in zip(keys, network.dependencies.groups, strict=True)}
    curves = {key: GroupCurve(sizes[key], tuple(steps)) for key, steps in groups.items()}
    return Sensitivity(settings, validation.records, log.done[""], curves)


def _masks(
    network: LoadedNetwork, scores: ChannelScores, schedule: Schedule, shares: Sequence[float]
) -> Iterator[MaskedGroup]:
    """The masks that differ: of shares that remove the same channels of a group the first is measured."""
    groups = network.dependencies.groups
    for number, key in enumerate(group_keys(network.dependencies)):
        before = 0
        for share in sorted(set(shares)):
            alone = [share if other == number else 0.0 for other in range(len(groups))]
            removed = choose_by_group(network.dependencies, scores, alone, schedule)
            count = int(removed[groups[number].atoms].sum())
            if count > before:
                yield MaskedGroup(key, share, with_hidden(network, removed, schedule), count)
            before = count


def _measured_file(network: LoadedNetwork) -> tuple[Path, str]:
    for file in network.files:
        for graph in file.graphs:
            if graph.phase == TEST and any(node.type == "Data" for node in graph.nodes):
                data_layer(graph)
                return file.path, file.document.text()
    raise InputError(
        f"{network.files[0].path}: has no Data layer in the TEST phase, so that there is nothing to measure on; give "
        "the network's train_val.prototxt (--also)"
    )


def _score(validation: Validation, network: LoadedNetwork, mask: MaskedGroup) -> Score:
    masked = _masked(network, mask.removed)
    validation.set_weights(masked)
    try:
        return validation.score()
    finally:
        validation.restore(masked)


def _masked(network: LoadedNetwork, removed: Removed) -> dict[str, list[Floats]]:
    """The weights of the layers that a mask changes."""
    cut = ChannelCut(network.dependencies, removed)
    changed = {}
    for name, blobs in layer_blobs(network.weights).items():
        keeps = [cut.param_keeps(name, index) for index in range(len(blobs))]
        if any(keep is not None for each in keeps for keep in each):
            what = f"layer '{name}'"
            changed[name] = [mask_blob(blob, each, what) for blob, each in zip(blobs, keeps, strict=True)]
    return changed


class _Log:
    """What has been measured: a line of settings, then one a measurement; whatever a kill left of a last line goes."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[str, Score] = {}
        with reading(path):
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        try:
            content = [parse_json(line, path, constants=True) for line in whole]
            self.done = {str(line["masked"]): read_score(line["score"]) for line in content[1:]}
        except (InputError, ValueError, KeyError, TypeError):
            raise InputError(f"{path}: damaged; remove it and measure again") from None
        if content and content[0] != json.loads(json.dumps(settings)):
            raise InputError(
                f"{path}: is of other settings, or of other files; remove its folder, or choose another --out"
            )
        with open(path, "w" if not whole else "r+", encoding="utf-8") as file:
            file.truncate(sum(map(len, whole)))
        if not whole:
            self._append(dict(settings))

    def add(self, name: str, score: Score) -> None:
        """Note a measurement, so that it is on the disk."""
        self.done[name] = score
        self._append({"masked": name, "score": asdict(score)})

    def _append(self, value: Mapping[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
            file.flush()
            os.fsync(file.fileno())
