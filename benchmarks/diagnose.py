"""How much of the networks' own speed is left when images and slides are read, normalised, cut and written, too.

Images of 700 x 460, and a made pyramid TIFF: tools/diagnose.py's library by the clock, beside the engines alone on the
same network inputs, which lie in memory; and the most memory that a program of its own took for the slide.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import tifffile

from benchmarks.lmdb_images import ROOT, make_images
from pyhisto.bundle import default_bundle, open_bundle
from pyhisto.cli import Parser, positive, run
from pyhisto.inference.diagnosis import diagnose
from pyhisto.inference.model import Inputs, Model
from pyhisto.inference.slide_run import Settings, diagnose_slide
from pyhisto.inference.tiles import blocks, read_tiles
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.slide import Slide

KEPT = 400
"""Images or tiles by which the engines are measured alone."""
STRIP = 2048


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__)
    parser.add_argument("--bundle", type=Path, metavar="B", help="default: the one that ships")
    parser.add_argument("--images", type=positive, default=1000, help="default %(default)s")
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--width", type=positive, default=40_000, help="of the slide (default %(default)s)")
    parser.add_argument("--height", type=positive, default=30_000, help="default %(default)s")
    parser.add_argument("--workers", type=positive, default=2, help="default %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, open_bundle(args.bundle or default_bundle()) as bundle:
        folder, model = Path(place), Model(bundle)
        images(folder / "images", model, args.images, args.source, args.workers)
        slide = write_slide(folder / "made.tif", args.width, args.height)
        tiles(slide, model, args.workers, folder)
        memory(slide, args.bundle or default_bundle(), args.workers, folder)


def images(folder: Path, model: Model, count: int, source: Path | None, workers: int) -> None:
    """Images a second, whole and by the engines alone."""
    folder.mkdir()
    paths = [folder / "images" / row.path for row in make_images(folder, source, count)]
    began = time.perf_counter()
    found = sum(1 for _ in diagnose(paths, model, workers))
    whole = found / (time.perf_counter() - began)
    prepared = [model.preparation(read_image(path)) for path in paths[:KEPT]]
    alone = engines_alone(model, prepared)
    print(f"{count} images of 700 x 460: {whole:.1f} a second, the engines alone {alone:.1f} ({whole / alone:.2f})")


def tiles(path: Path, model: Model, workers: int, folder: Path) -> None:
    """Tiles a second, whole and by the engines alone on the same tiles."""
    began = time.perf_counter()
    finding = diagnose_slide(path, model, Settings(workers=workers), folder / "work")
    whole = len(finding.tiles) / (time.perf_counter() - began)
    slide = Slide(path)
    chosen = [tile for group in blocks(finding.grid, finding.tiles) for tile in group][:KEPT]
    prepared = [
        model.preparation(pixels)
        for group in blocks(finding.grid, chosen)
        for pixels in read_tiles(slide, finding.grid, group)
    ]
    alone = engines_alone(model, prepared)
    size = f"{finding.width} x {finding.height}"
    print(
        f"a slide of {size}, {len(finding.tiles)} tiles: {whole:.1f} tiles a second, the engines alone {alone:.1f} "
        f"({whole / alone:.2f})"
    )


def engines_alone(model: Model, prepared: list[Inputs]) -> float:
    """Images a second by the networks alone, over all of them in chunks as large as a slide's jobs."""
    model(prepared[:100])
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        for start in range(0, len(prepared), 100):
            model(prepared[start : start + 100])
        best = max(best, len(prepared) / (time.perf_counter() - began))
    return best


def memory(path: Path, bundle: Path, workers: int, folder: Path) -> None:
    """The most memory of the largest process that diagnoses the slide."""
    command = [sys.executable, ROOT / "tools/diagnose.py", path, "--bundle", bundle, "--workers", workers]
    subprocess.run(list(map(str, [*command, "--out", folder / "out"])), check=True, capture_output=True)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"the largest process of tools/diagnose.py on the slide: {most:.0f} MiB")


def write_slide(path: Path, width: int, height: int) -> Path:
    """A pyramid TIFF of 0.25 um per pixel, of tissue and glass, written strip by strip."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 40, (STRIP, STRIP, 3)), (0, 0), 1.5) * 3
    options = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 85}, "tile": (256, 256)}

    def strips(factor: int):  # type: ignore[no-untyped-def]
        rows, columns = height // factor, width // factor
        wide = np.tile(texture, (1, -(-columns // STRIP), 1))[:, :columns]
        x = (np.arange(columns) - columns / 2) / (columns / 2.2)
        for top in range(0, rows, 256):
            y = (np.arange(top, min(top + 256, rows)) - rows / 2) / (rows / 2.2)
            inside = (x[np.newaxis] ** 2 + y[:, np.newaxis] ** 2 < 1)[..., np.newaxis]
            tissue = np.clip(np.array([205, 120, 180]) + wide[: len(y)], 0, 255)
            strip = np.full((256, columns, 3), 244, np.uint8)
            strip[: len(y)] = np.where(inside, tissue, 244).astype(np.uint8)
            for left in range(0, columns, 256):
                tile = np.full((256, 256, 3), 244, np.uint8)
                part = strip[:, left : left + 256]
                tile[:, : part.shape[1]] = part
                yield tile

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for factor in (1, 4, 16):
            writer.write(
                strips(factor), shape=(height // factor, width // factor, 3), dtype=np.uint8, metadata=None,
                subfiletype=int(factor > 1), resolution=(40_000 / factor, 40_000 / factor),
                resolutionunit="CENTIMETER", **options,
            )  # fmt: skip
    return path


if __name__ == "__main__":
    run(main)
