"""What a pruning did, as a small table for people: before, after, and what remains."""

from collections.abc import Iterator

from pyhisto.pruning.pruner import LoadedNetwork, Pruned


def table(network: LoadedNetwork, pruned: Pruned) -> Iterator[str]:
    """The lines: channels, FLOPs of one item, weights, bytes of the caffemodel, bytes of the activations of one item.

    Channels are those that layers make, each counted once in the whole network. Bytes are those of a binary file.
    """
    made = sum(map(len, network.dependencies.producers.values()))
    gone = sum(channels - len(kept) for channels, kept in pruned.plan.layers.values())
    before, after = pruned.before, pruned.after
    rows = [
        ("channels", made, made - gone),
        ("FLOPs", before.flops, after.flops),
        ("weights", before.weights, after.weights),
        ("bytes", network.weights.ByteSize(), pruned.weights.ByteSize()),
        ("activation bytes", before.activation_bytes, after.activation_bytes),
    ]
    cells = [("", "before", "after", "remains")]
    cells += [(what, f"{old:,}", f"{new:,}", f"{new / max(old, 1):.1%}") for what, old, new in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *numbers in cells:
        right = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join((first.ljust(widths[0]), *right))
