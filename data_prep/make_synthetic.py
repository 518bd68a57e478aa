"""Write a synthetic data set in BreaKHis's folder layout, with fold files: DIR/BreaKHis_v1 and DIR/breakhis_folds."""

import os
from functools import partial
from pathlib import Path

import cv2

from data_prep.synthetic import breakhis as synthetic
from pyhisto.cli import Parser, run, share
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.parallel import with_progress


def main() -> None:
    """Parse, draw, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--patients", type=int, default=16, help="half benign, half malignant; at least 12 (default 16)"
    )
    parser.add_argument("--images", type=int, default=8, help="images per patient (default 8)")
    parser.add_argument("--magnification", type=int, choices=(40, 100, 200, 400), default=100)
    parser.add_argument(
        "--difficulty", type=share, default=0.0, metavar="D",
        help="0: the classes look as different as drawn; 1: they look the same (default 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    arguments = parser.parse_args()
    if not 12 <= arguments.patients <= 9999:
        raise InputError(f"--patients {arguments.patients}: give 12 to 9999, so that every split has both classes")
    if not 1 <= arguments.images <= 999:
        raise InputError(f"--images {arguments.images}: give 1 to 999")

    patients = synthetic.make_patients(arguments.patients, arguments.seed, arguments.difficulty)
    samples = synthetic.make_samples(patients, arguments.images, arguments.magnification)
    with whole_folder(arguments.out) as folder:
        drawn = with_progress("drawing", partial(_png, seed=arguments.seed), samples, arguments.workers)
        for sample, png in zip(samples, drawn, strict=True):
            file = folder / "BreaKHis_v1" / sample.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png)
        (folder / "breakhis_folds").mkdir()
        for fold in range(1, synthetic.FOLDS + 1):
            lines = synthetic.fold_lines(samples, fold, arguments.seed)
            (folder / "breakhis_folds" / f"dsfold{fold}.txt").write_text("".join(f"{line}\n" for line in lines))
    print(f"{arguments.out}: {len(samples)} synthetic images of {len(patients)} patients, {synthetic.FOLDS} folds")


def _png(sample: synthetic.Sample, seed: int) -> bytes:
    return cv2.imencode(".png", synthetic.draw(sample, seed))[1].tobytes()


if __name__ == "__main__":
    run(main)
