#!/usr/bin/env python3
"""How much of the networks' own speed is left when images and slides are read, normalised, cut and written, too.

Images of 700 x 460, and a made slide: the library of tools/diagnose.py beside the engines alone on network inputs of
the same images or tiles, which lie in memory, called by as many threads; the two take turns. Two ratios: of the rates
by the clock, which other work on the machine distorts, and of the seconds of processor, all processes together.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.lmdb_images import make_images
from benchmarks.made_slide import write_slide
from benchmarks.paper_bundle import make_paper_bundle
from pyhisto.bundle import default_bundle, open_bundle
from pyhisto.cli import Parser, positive, run
from pyhisto.inference.diagnosis import diagnose
from pyhisto.inference.model import Inputs, Model
from pyhisto.inference.slide_run import SlideFinding, SlideSettings, diagnose_slide
from pyhisto.inference.tiles import blocks, read_tiles
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.slide import Slide

KEPT = 320
"""Network inputs by which the engines are measured alone."""


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, metavar="B", help="default: the one that ships")
    parser.add_argument("--paper", action="store_true", help="in its place the paper's networks, pruned at 0.5")
    parser.add_argument("--images", type=positive, default=1000, help="default %(default)s")
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--slide", type=Path, metavar="F", help="default: a made one of 40000 x 30000")
    parser.add_argument("--workers", type=positive, default=2, help="default %(default)s")
    parser.add_argument("--rounds", type=positive, default=5, help="default %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = make_paper_bundle(folder / "paper", args.workers) if args.paper else args.bundle or default_bundle()
        with open_bundle(path) as bundle:
            model = Model(bundle, callers=args.workers)
            (folder / "new").mkdir()
            paths = [folder / "new/images" / row.path for row in make_images(folder / "new", args.source, args.images)]
            images(paths, model, args.workers, args.rounds)
            slide = args.slide or write_slide(folder / "made.tif", 40_000, 30_000)
            tiles(slide, model, args.workers, args.rounds, folder)


def images(paths: Sequence[Path], model: Model, workers: int, rounds: int) -> None:
    """Images a second, whole and by the engines alone."""
    prepared = [model.preparation(read_image(path)) for path in paths[: kept(model)]]

    def whole() -> int:
        return sum(1 for _ in diagnose(paths, model, workers))

    compare(f"{len(paths)} images of 700 x 460", "images", rounds, whole, lambda: alone(model, prepared, workers))


def tiles(path: Path, model: Model, workers: int, rounds: int, folder: Path) -> None:
    """Tiles a second, whole and by the engines alone on tiles of the same slide."""
    found: list[SlideFinding] = []

    def whole() -> int:
        place = folder / f"round{len(found)}"
        found.append(diagnose_slide(path, model, SlideSettings(workers=workers), place))
        return len(found[-1].tiles)

    whole()
    grid, slide = found[0].grid, Slide(path)
    every = (pixels for group in blocks(grid, found[0].tiles) for pixels in read_tiles(slide, grid, group))
    prepared = [model.preparation(pixels) for pixels in islice(every, kept(model))]
    name = f"a slide of {found[0].width} x {found[0].height}, {len(found[0].tiles)} tiles"
    compare(name, "tiles", rounds, whole, lambda: alone(model, prepared, workers))


@dataclass(frozen=True)
class Spent:
    """What one measurement took, for one image or tile."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{1000 * self.wall:.2f} ms, {1000 * self.processor:.2f} of processor"


def compare(name: str, unit: str, rounds: int, whole: Callable[[], int], engines: Callable[[], int]) -> None:
    """Measure both in turns, and print the medians."""
    engines()
    pairs = []
    for number in range(1, rounds + 1):
        pairs.append((spend(whole), spend(engines)))
        print(f"{name}, round {number}: whole {pairs[-1][0]}, engines {pairs[-1][1]}", file=sys.stderr, flush=True)
    rates = [statistics.median(1 / pair[side].wall for pair in pairs) for side in (0, 1)]
    costs = [statistics.median(1000 * pair[side].processor for pair in pairs) for side in (0, 1)]
    by_clock = sorted(pair[1].wall / pair[0].wall for pair in pairs)
    by_processor = sorted(pair[1].processor / pair[0].processor for pair in pairs)
    print(
        f"{name}: {rates[0]:.1f} {unit} a second, the engines alone {rates[1]:.1f}, ratio "
        f"{statistics.median(by_clock):.2f} ({by_clock[0]:.2f} to {by_clock[-1]:.2f}); {costs[0]:.2f} ms of processor, "
        f"the engines alone {costs[1]:.2f}, ratio {statistics.median(by_processor):.2f} ({by_processor[0]:.2f} to "
        f"{by_processor[-1]:.2f})",
        flush=True,
    )


def spend(work: Callable[[], int]) -> Spent:
    """What a piece of work takes for each of the images or tiles whose number it returns."""
    began, before = time.perf_counter(), processor()
    count = work()
    return Spent((time.perf_counter() - began) / count, (processor() - before) / count)


def processor() -> float:
    """Seconds of processor of this process and of its children that have ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def kept(model: Model) -> int:
    """So many images or tiles have about KEPT network inputs."""
    return max(1, KEPT // sum(recipe.patches_per_image for recipe in model.preparation.recipes))


def alone(model: Model, prepared: Sequence[Inputs], workers: int) -> int:
    """The networks alone, over all that is prepared, a part for each worker."""
    parts = [prepared[first::workers] for first in range(min(workers, len(prepared)))]
    return sum(map(len, model.overlapped(list, model, parts, workers)))


if __name__ == "__main__":
    run(main)
