"""Draw a sheet of random records of an LMDB with their labels."""

from pathlib import Path

import cv2

from data_prep.lmdbs.montage import draw_montage, sample_records
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_file


def main() -> None:
    """Parse, draw, write."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--lmdb", type=Path, required=True, metavar="DIR", help="an LMDB: what build_lmdb.py made, /train"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="F.png", help="picture to write")
    parser.add_argument("--count", type=int, default=40, help="records to draw (default 40)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.count < 1:
        raise InputError(f"--count {arguments.count}: give 1 or more")
    records = sample_records(arguments.lmdb, arguments.count, arguments.seed)
    if not records:
        raise InputError(f"{arguments.lmdb}: the LMDB is empty")
    with whole_file(arguments.out) as partial:
        partial.write_bytes(cv2.imencode(".png", draw_montage(records))[1].tobytes())
    print(f"{arguments.out}: {len(records)} records")


if __name__ == "__main__":
    run(main)
