"""How long the six hand-crafted features of all of BreaKHis take: 7,909 images of 700 x 460.

tools/extract_features.py over some of them, by the clock and by the processors' time, which a busy machine does not
stretch as much; both times 7,909. Then what each descriptor takes, and PFTAS beside mahotas's own.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import mahotas.features
from threadpoolctl import threadpool_limits

from benchmarks.lmdb_images import ROOT, make_images, seconds
from pyhisto.cli import Parser, positive, run
from pyhisto.features.descriptors import DESCRIPTORS, SPANHOL_2015
from pyhisto.preprocessing.images import Image, read_image

BREAKHIS = 7909
MINUTES = 60
"""Not more, for all of BreaKHis, on CORES."""
CORES = 2
EACH = 10
"""Images by which the descriptors are measured one by one."""


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__)
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--images", type=positive, default=100, help="default %(default)s")
    parser.add_argument("--workers", type=positive, default=CORES, help="default %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = make_images(folder, arguments.source, arguments.images)
        program = [sys.executable, ROOT / "tools/extract_features.py", "--manifest", folder / "manifest.csv"]
        before = _processor_seconds()
        wall = seconds(
            [*program, "--root", folder / "images", "--out", folder / "f.npz", "--workers", arguments.workers]
        )
        spent = _processor_seconds() - before
        images = [read_image(folder / "images" / row.path) for row in rows[:EACH]]
    count = len(rows)
    print(f"{count} images, {arguments.workers} processes, their start included: {wall:.0f} s by the clock,")
    print(f"  {spent:.0f} s of processor time, {spent / count:.3f} s an image")
    print(f"{BREAKHIS} images at this rate: {wall / count * BREAKHIS / 60:.0f} min by the clock;")
    minutes = spent / count * BREAKHIS / CORES / 60
    print(f"  by processor time, {CORES} cores: {minutes:.0f} min (at most {MINUTES} wanted)")
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        for name in SPANHOL_2015:
            print(f"  {name:5} {1000 * _each(DESCRIPTORS[name].describe, images):6.1f} ms of processor time an image")
        print(f"  PFTAS by mahotas {1000 * _each(_mahotas, images):.1f} ms")


def _mahotas(image: Image) -> None:
    for channel in (2, 1, 0):
        mahotas.features.pftas(image[..., channel])


def _each(work: Callable[[Image], object], images: Sequence[Image]) -> float:
    began = time.process_time()
    for image in images:
        work(image)
    return (time.process_time() - began) / len(images)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run(main)
