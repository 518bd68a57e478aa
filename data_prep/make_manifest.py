"""Write the manifest of a data set, with its splits, without building anything."""

from pathlib import Path

from data_prep.dataset import summary
from data_prep.options import add_manifest_options, manifest_rows
from pyhisto.cli import Parser, run
from pyhisto.manifest import write_manifest


def main() -> None:
    """Parse, read, write."""
    parser = Parser(description=__doc__)
    add_manifest_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="manifest to write (CSV)")
    arguments = parser.parse_args()
    rows = manifest_rows(arguments)
    write_manifest(arguments.out, rows)
    for line in summary(rows):
        print(line)


if __name__ == "__main__":
    run(main)
