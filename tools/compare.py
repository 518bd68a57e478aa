#!/usr/bin/env python3
"""Compare a network before and after pruning: weights, FLOPs, activation memory, bytes on disk, and measured time.

Writes OUT/ with totals.csv, layers.csv, comparison.md (both tables) and widths.png.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.files import refuse_existing, whole_folder, write_text
from pyhisto.pruning.compare import compare_layers, draw_widths
from pyhisto.pruning.compare_tables import layers_table, read_model, times_by_layer, totals_table
from pyhisto.tables.formats import to_csv, to_markdown, to_text
from pyhisto.training.timing import time_in_turns

ITERATIONS = 10
"""Of `caffe time`, in each round."""


def main() -> None:
    """Parse, compare, write."""
    arguments = parse()
    refuse_existing(arguments.out)
    before = read_model(arguments.before, arguments.weights_before, "--weights-before")
    after = read_model(arguments.after, arguments.weights_after, "--weights-after")
    times = None
    if arguments.time:
        models = [(model.path, model.batch) for model in (before, after)]
        (first, second), _ = time_in_turns(models, arguments.time, ITERATIONS, progress)
        times = first, second
    by_layer = times and (times_by_layer(times[0]), times_by_layer(times[1]))
    layers = compare_layers(before.graph, after.graph, by_layer)
    tables = [totals_table(before, after, layers, times, ITERATIONS), layers_table(layers)]
    figure = draw_widths(layers, f"{before.path.parent.name} and {after.path.parent.name}: channels of each layer")
    with whole_folder(arguments.out) as folder:
        for table in tables:
            write_text(folder / f"{table.name}.csv", to_csv(table))
        write_text(folder / "comparison.md", "\n".join(map(to_markdown, tables)))
        figure.savefig(folder / "widths.png", dpi=130, metadata={"Software": None})
    print(to_text(tables[0]))
    print(arguments.out)


def progress(rounds: Iterable[int]) -> Iterable[int]:
    """A bar over the rounds of timing."""
    bar: Iterable[int] = tqdm(rounds, desc="caffe time", unit="round", disable=None)
    return bar


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for side in ("before", "after"):
        parser.add_argument(f"--{side}", type=Path, required=True, metavar="DIR_OR_PROTOTXT",
                            help="a prototxt, or a folder with deploy.prototxt and one caffemodel")  # fmt: skip
        parser.add_argument(f"--weights-{side}", type=Path, metavar="F", help="its caffemodel, binary or HDF5")
    parser.add_argument("--time", type=positive, metavar="ROUNDS",
                        help="measure both with `caffe time`, in so many rounds; 5 are a good number")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="must not exist yet")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
