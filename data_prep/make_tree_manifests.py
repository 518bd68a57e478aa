"""Write the manifests of the tree of Kone & Boulmane 2018: DIR/Carci.csv, NorBe.csv, InvIs.csv, Flat.csv and all.csv.

Paths in them start from --root. Every source is split by itself, the same way each time: call it with BACH alone and
with BACH and BISQUE, and an image of BACH is in the same split in both. The paper's own protocol is
`--split image-wise` (75% training, 25% validation, no test images).
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import get_args

from data_prep.datasets import bach, bisque
from data_prep.datasets.pathologies import ALL, SPLIT_BY, SplitBy, by_node, split, whole, with_pathologies
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.hierarchy.tree import PATHOLOGIES
from pyhisto.manifest import SPLITS, Row, read_manifest, write_manifest
from pyhisto.roots import add_root_options


def main() -> None:
    """Parse, read, split, write."""
    args = parse()
    rows = []
    for source in sources(args):
        rows += split(source, args.split, args.val_fraction, args.test_fraction, args.seed)
    if not rows:
        raise InputError("name the images: --bach, --bisque or --manifest")
    if args.whole:
        rows = whole(rows)
    with whole_folder(args.out) as folder:
        for node, own in by_node(rows).items():
            if own:
                write_manifest(folder / f"{node}.csv", own)
    for name in SPLITS:
        counts = Counter(PATHOLOGIES[row.label] for row in rows if row.split == name)
        if counts:
            print(f"{name}: " + ", ".join(f"{counts[kind]} {kind}" for kind in PATHOLOGIES if kind in counts))
    kept = Counter(row.extra[SPLIT_BY] for row in rows)
    print(f"{args.out}: {len(by_node(rows)[ALL])} images, split by " + ", ".join(f"{k} ({n})" for k, n in kept.items()))


def sources(args: argparse.Namespace) -> list[list[Row]]:
    """The rows of each source, pathologies named; prints what is to be known about them."""
    found = []
    for folder, reader in ((args.bach, bach.load), (args.bisque, bisque.load)):
        if folder is not None:
            data = reader(args.root / folder)
            for note in data.notes:
                print(f"note: {folder}: {note}")
            found.append(with_pathologies(data.rows, folder, folder))
    for file in args.manifest:
        found.append(with_pathologies(read_manifest(file), "", str(file)))
    return found


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_root_options(parser, "above the folders of all sources")
    parser.add_argument("--bach", metavar="FOLDER", help="BACH's photos, under the root; . is the root itself")
    parser.add_argument("--bisque", metavar="FOLDER", help="BISQUE, under the root")
    parser.add_argument(
        "--manifest", type=Path, nargs="+", default=[], metavar="F",
        help="other images: manifests, paths from the root on, whose subtype is Normal, Benign, InSitu, Invasive or "
        "Malignant",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=get_args(SplitBy), default="patient",
        help="what stays together: a patient (a slide, if no patient is known), or nothing, as in the paper",
    )  # fmt: skip
    parser.add_argument("--val-fraction", type=float, default=0.25, metavar="F", help="default %(default)s")
    parser.add_argument("--test-fraction", type=float, default=0.0, metavar="F", help="default 0, as in the paper")
    parser.add_argument(
        "--whole", action="store_true", help="train on the validation images too, as the final system does (sec. 3.4)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
