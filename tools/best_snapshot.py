"""Copy the weights of a training's snapshot that did best on the validation images; print its iteration and accuracy.

Of the snapshots that were tested at their iteration the one with the highest accuracy counts, of equals the earliest.
"""

import shutil
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_file
from pyhisto.learning_curve import Point, read_points


def main() -> None:
    """Parse, choose, copy."""
    parser = Parser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, metavar="F", help="metrics.jsonl of the training")
    parser.add_argument("--prefix", type=Path, required=True, metavar="P", help="of P_iter_N.caffemodel")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="caffemodel to write")
    arguments = parser.parse_args()
    best, weights = choose(arguments.metrics, arguments.prefix)
    with whole_file(arguments.out) as partial:
        shutil.copyfile(weights, partial)
    print(f"{arguments.out}: iteration {best.iteration}, validation accuracy {100 * (best.accuracy or 0):.1f}%")


def choose(metrics: Path, prefix: Path) -> tuple[Point, Path]:
    """The test of the best snapshot, and its weights. Raises InputError if none was tested on validation images."""
    found = []
    for point in read_points(metrics):
        weights = Path(f"{prefix}_iter_{point.iteration}.caffemodel")
        if point.phase == "test" and point.split in (None, "val") and point.accuracy is not None and weights.is_file():
            found.append((point, weights))
    if not found:
        raise InputError(f"{metrics}: no snapshot {prefix}_iter_N was tested on validation images at its iteration")
    return max(found, key=lambda pair: (pair[0].accuracy or 0, -pair[0].iteration))


if __name__ == "__main__":
    run(main)
