"""Read finished LMDBs back through Caffe's own Data layer and compare every record with its image."""

import os
from pathlib import Path

from data_prep.lmdbs.verify import verify_splits
from pyhisto.cli import Parser, run
from pyhisto.roots import add_root_options


def main() -> None:
    """Parse, verify every split, print."""
    parser = Parser(description=__doc__)
    parser.add_argument("--lmdb", type=Path, required=True, metavar="DIR", help="what build_lmdb.py made (its --out)")
    add_root_options(parser, "folder of the images")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    arguments = parser.parse_args()
    for line in verify_splits(arguments.lmdb, arguments.root, arguments.workers):
        print(line)


if __name__ == "__main__":
    run(main)
