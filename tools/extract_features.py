"""Describe images by hand-crafted features: the six of Spanhol et al. 2015, or their colour alone (Lab)."""

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pyhisto.cli import Parser, positive, run
from pyhisto.features.descriptors import DESCRIPTORS, SPANHOL_2015
from pyhisto.features.extract import extract_image
from pyhisto.features.store import Features, write_features
from pyhisto.files import whole_files
from pyhisto.manifest import read_manifest, resolve
from pyhisto.parallel import with_progress
from pyhisto.roots import add_root_options
from pyhisto.trail import checksums, write_trail

LIBRARIES = ("numpy", "opencv-python-headless", "scikit-image", "mahotas")


def main() -> None:
    """Parse, extract, write."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--manifest", type=Path, nargs="+", required=True, metavar="F", help="the images; those of several together"
    )
    add_root_options(parser, "folder of the images")
    parser.add_argument(
        "--descriptors", nargs="+", choices=[*DESCRIPTORS], default=[*SPANHOL_2015], metavar="D",
        help=f"of {', '.join(DESCRIPTORS)}; default the publication's: {', '.join(SPANHOL_2015)}",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="F", help="features file (npz); F.json beside it says from what"
    )
    args = parser.parse_args()
    images = list(dict.fromkeys(row.path for manifest in args.manifest for row in read_manifest(manifest)))
    files = [resolve(args.root, image) for image in images]
    names = [name for name in DESCRIPTORS if name in args.descriptors]

    extracted = list(with_progress("describing", partial(extract_image, names=names), files, args.workers))
    values = {name: np.stack([numbers[name] for numbers in extracted]) for name in names}
    facts = {
        "libraries": {library: version(library) for library in LIBRARIES},
        "sha256": checksums({str(manifest): manifest for manifest in args.manifest}),
        "dimensions": {name: DESCRIPTORS[name].dimension for name in names},
        "images": len(images),
    }
    with whole_files(args.out, args.out.with_suffix(".json")) as (table, beside):
        write_features(table, Features(images, values))
        write_trail(beside, "extract_features", facts)
    print(f"{args.out}: {len(images)} images, {', '.join(f'{n} {DESCRIPTORS[n].dimension}' for n in names)}")


if __name__ == "__main__":
    run(main)
