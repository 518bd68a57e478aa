"""Say what of a data set is there and what is missing, and find exact and near duplicates.

Exit status 1 if a duplicate crosses splits, classes or patients.
"""

import os
import sys

from data_prep.datasets import breakhis
from data_prep.datasets.dataset import table
from data_prep.datasets.duplicates import describe, find_duplicates
from data_prep.datasets.options import add_data_options, load_data
from pyhisto.cli import Parser, run
from pyhisto.manifest import resolve
from pyhisto.preprocessing.images import png_text


def main() -> None:
    """Parse, read, compare, print."""
    parser = Parser(description=__doc__)
    add_data_options(parser)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    arguments = parser.parse_args()
    data = load_data(arguments)
    expected = breakhis.IMAGES if arguments.dataset == "breakhis" and arguments.folds is None else {}
    for line in [*table(data.rows, expected), *(f"note: {note}" for note in data.notes)]:
        print(line)
    told = [row.path for row in data.rows if png_text(resolve(arguments.root, row.path))]
    if told:
        print(f"note: {len(told)} PNG carry text, which may identify a patient (the first: {told[0]})")
    pairs = find_duplicates(data.rows, arguments.root, arguments.workers)
    for line in describe(pairs) or ["no duplicates"]:
        print(line)
    if any(pair.crosses for pair in pairs):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
