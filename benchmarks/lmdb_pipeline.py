"""The local branch's whole pipeline (Reinhard, 8 augmentations, 1120 x 672, 15 patches, JPEG), in one run:

build_lmdb.py, against a straightforward pipeline of scikit-image and torchstain that computes the same, and against the
bare OpenCV calls that the work cannot do without, each with the same number of processes.
"""

import io
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import PIL.Image
import skimage.io
import skimage.transform
from numpy.typing import NDArray
from torchstain.numpy.normalizers import NumpyReinhardNormalizer

from benchmarks.lmdb_images import build_command, make_images, seconds
from data_prep.lmdbs.augment import COPIES, random_map
from pyhisto.cli import Parser, run
from pyhisto.proto import Datum

scikit_image: Any = skimage  # has no types

SIZE, WIDTH, HEIGHT = 224, 1120, 672
SLOWER, BARE = 5.0, 0.8
"""At least so many times the straightforward pipeline, and at least this part of the bare calls' rate."""


def straightforward(path: Path, target: Path) -> list[bytes]:
    """One image as the libraries' manuals would have it."""
    normalizer = NumpyReinhardNormalizer()
    normalizer.fit(scikit_image.io.imread(target))
    image = normalizer.normalize(scikit_image.io.imread(path))
    records = []
    for index in range(COPIES):
        linear, centre = random_map(0, path.name, index), np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
        matrix = np.vstack([np.column_stack([linear, centre - linear @ centre]), [0, 0, 1]])
        inverse = scikit_image.transform.AffineTransform(np.linalg.inv(matrix))
        turned = scikit_image.transform.warp(image, inverse, order=1, mode="reflect")
        large = scikit_image.util.img_as_ubyte(scikit_image.transform.resize(turned, (HEIGHT, WIDTH), order=1))
        for left in range(0, WIDTH, SIZE):
            for top in range(0, HEIGHT, SIZE):
                out = io.BytesIO()
                PIL.Image.fromarray(large[top : top + SIZE, left : left + SIZE]).save(out, "JPEG", quality=95)
                records.append(bytes(Datum(data=out.getvalue(), label=0, encoded=True).SerializeToString()))
    return records


def bare_calls(path: Path, table: NDArray[np.uint8]) -> int:
    """The OpenCV calls alone: nothing is chosen, checked, kept or written."""
    cv2.setNumThreads(1)
    image = cv2.imread(str(path))
    assert image is not None
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    cv2.meanStdDev(lab)
    image = cv2.cvtColor(cv2.LUT(lab, table), cv2.COLOR_LAB2BGR)
    size, total = (image.shape[1], image.shape[0]), 0
    sums = np.zeros((SIZE, SIZE, 3), np.float32)
    matrix = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 100.0]])
    for _ in range(COPIES):
        turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        large = cv2.resize(turned, (WIDTH, HEIGHT))
        for left in range(0, WIDTH, SIZE):
            for top in range(0, HEIGHT, SIZE):
                patch = large[top : top + SIZE, left : left + SIZE]
                cv2.accumulate(patch, sums)
                total += len(cv2.imencode(".jpg", patch)[1])
    return total


def main() -> None:
    """Measure the three, print the rates and the ratios."""
    parser = Parser(description=__doc__)
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--images", type=int, default=600, help="for ours and the bare calls (default 600)")
    parser.add_argument("--slow-images", type=int, default=10, help="for the straightforward pipeline (default 10)")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = make_images(folder, arguments.source, arguments.images)
        paths = [folder / "images" / row.path for row in rows]
        straight = partial(straightforward, target=paths[0])
        slow = _rate(straight, paths[: arguments.slow_images], arguments.workers, folder / "straightforward")
        table = np.tile(np.arange(256, dtype=np.uint8)[:, np.newaxis], (1, 3))[np.newaxis]
        bare = _rate(partial(bare_calls, table=table), paths, arguments.workers, None)
        how = ["--branch", "local", "--stain-target", paths[0], "--record", "jpeg"]  # as the other two encode
        build = build_command(folder, "ours", arguments.workers, *how)
        ours = len(paths) / seconds(build)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"images a second, {arguments.workers} processes: build_lmdb.py {ours:.2f} (start, mean and LMDB included),")
    print(f"  scikit-image + torchstain {slow:.2f}, bare OpenCV calls {bare:.2f}; largest process {children:.0f} MB")
    print(f"ratio to scikit-image + torchstain {ours / slow:.1f} (at least {SLOWER} wanted)")
    print(f"ratio to the bare OpenCV calls {ours / bare:.2f} (at least {BARE} wanted)")


def _rate(work: Callable[[Path], object], paths: Sequence[Path], workers: int, out: Path | None) -> float:
    """Images a second in `workers` processes that have been started before; records go to an LMDB if asked."""
    with Pool(workers) as pool:
        pool.map(work, paths[:workers])
        began = time.perf_counter()
        results = pool.imap(work, paths)
        if out is None:
            for _ in results:
                pass
        else:
            with lmdb.open(str(out), map_size=1 << 36) as environment:
                for path, records in zip(paths, results, strict=True):
                    with environment.begin(write=True) as transaction:
                        for index, record in enumerate(records):  # type: ignore[arg-type,var-annotated]
                            transaction.put(f"{path.name}_{index}".encode(), record)
        return len(paths) / (time.perf_counter() - began)


if __name__ == "__main__":
    run(main)
