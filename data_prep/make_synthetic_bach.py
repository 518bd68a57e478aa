"""Write synthetic images of four pathologies as BACH has them: DIR/Photos, DIR/bisque and DIR/manifest.csv.

BACH's photos name no patient; the manifest does, so that what a split by patients changes can be seen.
"""

import os
from functools import partial
from pathlib import Path

import cv2

from data_prep.synthetic.bach import Photo, draw, make_photos
from pyhisto.cli import Parser, positive, run, share
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.hierarchy.tree import LEAVES
from pyhisto.manifest import Row, write_manifest
from pyhisto.parallel import with_progress


def main() -> None:
    """Parse, draw, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument("--patients", type=positive, default=12, help="of each class (default 12)")
    parser.add_argument("--images", type=positive, default=4, help="of each patient (default 4)")
    parser.add_argument(
        "--extension",
        type=int,
        default=0,
        metavar="N",
        help="patients of each of BISQUE's classes (default 0: no bisque)",
    )
    parser.add_argument(
        "--difficulty", type=share, default=0.0, metavar="D",
        help="0: the classes look as different as drawn; 1: siblings look the same (default 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    arguments = parser.parse_args()
    if arguments.patients * arguments.images > 999:
        raise InputError(f"--patients {arguments.patients} --images {arguments.images}: a class has 999 images at most")
    if not 0 <= arguments.extension <= 99:
        raise InputError(f"--extension {arguments.extension}: give 0 to 99")

    photos = list(
        make_photos(
            arguments.patients, arguments.images, arguments.extension, arguments.difficulty, arguments.seed
        )
    )  # fmt: skip
    with whole_folder(arguments.out) as folder:
        drawn = with_progress("drawing", partial(_tiff, seed=arguments.seed), photos, arguments.workers)
        for photo, tiff in zip(photos, drawn, strict=True):
            file = folder / photo.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tiff)
        rows = [
            Row(str(photo.path), LEAVES.index(photo.pathology), photo.patient.name, subtype=photo.pathology)
            for photo in photos
            if photo.path.parts[0] == "Photos"
        ]
        write_manifest(folder / "manifest.csv", rows)
    print(f"{arguments.out}: {len(rows)} synthetic photos of four classes, {len(photos) - len(rows)} as BISQUE's")


def _tiff(photo: Photo, seed: int) -> bytes:
    return cv2.imencode(".tif", draw(photo, seed))[1].tobytes()


if __name__ == "__main__":
    run(main)
