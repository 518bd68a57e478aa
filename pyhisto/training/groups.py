"""Learning-rate groups: a network whose first, middle and last layers learn at different rates, or not at all.

A group's share multiplies the lr_mult of its layers' weights. A share of 0 freezes them as fastai 0.7 does, which the
method of Kone & Boulmane was written in: its trainer puts every BatchNorm that is not trainable into evaluation mode
(model.py, set_train_mode), so that a frozen BatchNorm normalises by its stored statistics and leaves them as they are;
Caffe's word for that is use_global_stats. Dropout in frozen layers stays active, as it does there.

No gradient is needed below the lowest layer that learns. Caffe would find that out itself, but for BatchNorm, whose
blobs pass for weights in some Caffes; propagate_down says it. With the head alone learning, a small ResNeXt's forward
and backward pass then take 0.65 of the time.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from pyhisto.errors import InputError
from pyhisto.files import read_object
from pyhisto.graph import Blob, Graph, layers_in_phase, upgrade
from pyhisto.proto import TRAIN, Net, NetParameter, layer_blobs, read_weights

FIRST, MIDDLE, LAST = GROUPS = ("first", "middle", "last")

Groups: TypeAlias = Mapping[str, str]
"""Layer -> group. A layer that is not named is of the first."""

Shares: TypeAlias = Mapping[str, float]
"""Group -> its share of the learning rate."""


def groups_by_pattern(net: Net, patterns: Mapping[str, Iterable[str]], source: object) -> Groups:
    """The groups by patterns of layer names: `*`, `?` and `[ab]`, as in a shell, or a layer's very name.

    Raises InputError if a pattern matches no layer, or a layer is matched for two groups.
    """
    names = list(dict.fromkeys(layer.name for layer, _ in layers_in_phase(net, TRAIN, source=source)))
    groups: dict[str, str] = {}
    for group, wanted in patterns.items():
        for pattern in wanted:
            matched = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
            if not matched:
                raise InputError(f"{source}: no layer matches '{pattern}' of the {group} layers")
            for name in matched:
                if groups.setdefault(name, group) != group:
                    raise InputError(
                        f"{source}: layer '{name}' is matched for the {groups[name]} and the {group} layers"
                    )
    return groups


def read_groups(path: Path, net: Net, source: object) -> Groups:
    """The groups from a JSON file: {"layer": "first", "middle" or "last", ...}. Raises InputError."""
    groups = read_object(path)
    if not all(isinstance(group, str) for group in groups.values()):
        raise InputError(f'{path}: not a JSON object of "layer": "group"')
    names = {layer.name for layer, _ in layers_in_phase(net, TRAIN, source=source)}
    for name, group in groups.items():
        if group not in GROUPS:
            raise InputError(f"{path}: layer '{name}' is of the group '{group}'; the groups are {', '.join(GROUPS)}")
        if name not in names:
            raise InputError(f"{path}: {source} has no layer '{name}'")
    return groups


def with_shares(net: Net, groups: Groups, shares: Shares, weights: Path, source: object) -> Net:
    """A copy of a training network, in today's format, in which each group learns at its share of the rate.

    Args:
        net: the network; data files are looked for from the working directory.
        groups: see Groups.
        shares: see Shares.
        weights: the caffemodel that training starts from. Layers that are frozen, or learn at a share, must be in it.
        source: what errors name.
    """
    changed = NetParameter()
    changed.CopyFrom(upgrade(net, source)[0])
    counts = {name: len(blobs) for name, blobs in layer_blobs(read_weights(weights)).items()}
    learned: set[Blob] = set()
    for node in Graph.build(changed, TRAIN, data_root=Path(), source=source).nodes:
        group = groups.get(node.name, FIRST)
        if shares[group] != 1 and node.param_shapes and node.name not in counts:
            raise InputError(
                f"{weights}: has no layer '{node.name}', which is of the {group} layers and does not learn at the full "
                f"rate; give weights that hold it, or count it among the last layers"
            )
        _set_share(node.layer, counts.get(node.name, 0), shares[group])
        passes = [blob in learned for blob in node.bottoms]
        if any(passes) or (shares[group] and node.param_shapes != ()):
            learned.update(node.tops)
        if not all(passes):
            wanted = node.layer.propagate_down or [True] * len(passes)
            node.layer.propagate_down[:] = [down and asked for down, asked in zip(passes, wanted, strict=True)]
    return changed


def _set_share(layer: Any, blobs: int, share: float) -> None:
    if layer.type == "BatchNorm":
        if share == 0:
            layer.batch_norm_param.use_global_stats = True
        return
    if share == 1:
        return
    while len(layer.param) < blobs:
        layer.param.add()
    for weights in layer.param:
        weights.lr_mult *= share
