#!/usr/bin/env python3
"""Compare a network before and after pruning: weights, FLOPs, activation memory, bytes on disk, and measured time.

Writes OUT/ with totals.csv, layers.csv, comparison.md (both tables) and widths.png.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder, write_text
from pyhisto.graph import Graph, check_weights
from pyhisto.proto import read_weights
from pyhisto.pruning.compare import Layer, State, compare_layers, draw_widths, total
from pyhisto.pruning.prototxts import read_prototxts
from pyhisto.tables.table import Cell, Column, Table, to_csv, to_markdown, to_text
from pyhisto.training.timing import Timing, caffe_time

ITERATIONS = 10
"""Of `caffe time`, in each round."""


@dataclass(frozen=True)
class Model:
    """One of the two networks."""

    path: Path
    graph: Graph
    weights: Path | None

    @property
    def bytes(self) -> int | None:
        """The weights file's size on disk."""
        return self.weights.stat().st_size if self.weights is not None else None


def main() -> None:
    """Parse, compare, write."""
    arguments = _parser().parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists already; remove it or choose another --out")
    before = _model(arguments.before, arguments.weights_before, "--weights-before")
    after = _model(arguments.after, arguments.weights_after, "--weights-after")
    times = _times(before, after, arguments.time) if arguments.time else None
    layers = compare_layers(before.graph, after.graph, times and (_by_layer(times[0]), _by_layer(times[1])))
    tables = [_totals(before, after, layers, times), _by_layers(layers)]
    figure = draw_widths(layers, f"{before.path.parent.name} and {after.path.parent.name}: channels of each layer")
    with whole_folder(arguments.out) as folder:
        for table in tables:
            write_text(folder / f"{table.name}.csv", to_csv(table))
        write_text(folder / "comparison.md", "\n".join(map(to_markdown, tables)))
        figure.savefig(folder / "widths.png", dpi=130, metadata={"Software": None})
    print(to_text(tables[0]))
    print(arguments.out)


def _model(place: Path, weights: Path | None, option: str) -> Model:
    """The network in a prototxt, or in a folder's deploy.prototxt; its weights are those given, or the folder's."""
    path = place / "deploy.prototxt" if place.is_dir() else place
    graph = read_prototxts(path, [], {})[0].graphs[0]
    if weights is None and place.is_dir():
        found = sorted([*place.glob("*.caffemodel"), *place.glob("*.caffemodel.h5")])
        if len(found) > 1:
            raise InputError(f"{place}: holds {len(found)} weights files; name one with {option}")
        weights = found[0] if found else None
    if weights is not None:
        check_weights(graph, read_weights(weights), weights)
    return Model(path, graph, weights)


def _times(before: Model, after: Model, rounds: int) -> tuple[list[Timing], list[Timing]]:
    """The two networks take turns, so that a slow moment of the machine hits both."""
    times: tuple[list[Timing], list[Timing]] = ([], [])
    for number in tqdm(range(rounds), desc="caffe time", unit="round", disable=None):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            model = (before, after)[side]
            shape = model.graph.inputs[0].shape
            times[side].append(caffe_time(model.path, shape[0] if shape else 1, ITERATIONS))
    return times


def _by_layer(times: list[Timing]) -> dict[str, tuple[float, float]]:
    """The median of each layer's times."""
    rounds = [{name: (forward, backward) for name, forward, backward in timing.layers} for timing in times]
    return {name: (median(r[name][0] for r in rounds), median(r[name][1] for r in rounds)) for name in rounds[0]}


def _totals(before: Model, after: Model, layers: list[Layer], times: tuple[list[Timing], list[Timing]] | None) -> Table:
    one, other = total(layers, "before"), total(layers, "after")
    notes = ["Weights as in a caffemodel; FLOPs and activation bytes (float32) for one item of a batch."]
    measures: list[tuple[str, Cell, Cell]] = [
        ("weights", one.weights, other.weights),
        ("FLOPs", one.flops, other.flops),
        ("activation bytes", one.activation_bytes, other.activation_bytes),
        ("bytes on disk", before.bytes, after.bytes),
    ]
    if times is not None:
        for what in ("forward_ms", "backward_ms"):
            first, second = (median(getattr(timing, what) for timing in side) for side in times)
            measures.append((what.replace("_", " "), first, second))
        notes.append(
            f"Times: `caffe time`, a batch of {times[0][0].batch} before and {times[1][0].batch} after, the median of "
            f"{len(times[0])} rounds of {ITERATIONS} iterations in which the two networks took turns."
        )
    columns = [Column("measure"), Column("before", 2), Column("after", 2), Column("after / before", 3)]
    rows = [(name, first, second, _quotient(first, second)) for name, first, second in measures]
    return Table("totals", "Before and after", columns, rows, notes)


def _by_layers(layers: list[Layer]) -> Table:
    names = ("channels", "weights", "flops", "activation_bytes", "forward_ms", "backward_ms")
    columns = [Column("layer"), Column("type")]
    columns += [Column(f"{name}_{side}", 3) for name in names for side in ("before", "after")]
    rows = []
    for layer in layers:
        pairs = zip(_cells(layer.before), _cells(layer.after), strict=True)
        rows.append([layer.name, layer.type, *(cell for pair in pairs for cell in pair)])
    return Table("layers", "By layer", columns, rows).without_empty_columns()


def _cells(state: State | None) -> list[Cell]:
    if state is None:
        return [None] * 6
    cost = state.cost
    return [
        state.channels, cost.weights, cost.flops, cost.activation_bytes, state.forward_ms, state.backward_ms,
    ]  # fmt: skip


def _quotient(before: Cell, after: Cell) -> float | None:
    if isinstance(before, int | float) and isinstance(after, int | float) and before:
        return after / before
    return None


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for side in ("before", "after"):
        parser.add_argument(f"--{side}", type=Path, required=True, metavar="DIR_OR_PROTOTXT",
                            help="a prototxt, or a folder with deploy.prototxt and one caffemodel")  # fmt: skip
        parser.add_argument(f"--weights-{side}", type=Path, metavar="F", help="its caffemodel, binary or HDF5")
    parser.add_argument("--time", type=positive, metavar="ROUNDS",
                        help="measure both with `caffe time`, in so many rounds; 5 are a good number")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="must not exist yet")
    return parser


if __name__ == "__main__":
    run(main)
