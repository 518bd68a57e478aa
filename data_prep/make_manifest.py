"""Write the manifest of a data set, with its splits, without building anything.

Beside it, F.json says what the manifest itself cannot: how many images the whole data set has, how many are missing,
and the notes that are printed.
"""

import argparse
from pathlib import Path

from data_prep.datasets.dataset import summary
from data_prep.datasets.options import add_manifest_options, split_data
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.manifest import write_manifest
from pyhisto.trail import write_trail


def main() -> None:
    """Parse, read, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_manifest_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="manifest to write (CSV)")
    arguments = parser.parse_args()
    if arguments.out.suffix == ".json":
        raise InputError(f"{arguments.out}: is where the notes go; give the manifest another name, as manifest.csv")
    data = split_data(arguments)
    facts = {"expected": data.expected, "missing": data.missing, "notes": data.notes}
    write_trail(arguments.out.with_suffix(".json"), "make_manifest", facts)
    write_manifest(arguments.out, data.rows)
    for line in summary(data.rows):
        print(line)


if __name__ == "__main__":
    run(main)
