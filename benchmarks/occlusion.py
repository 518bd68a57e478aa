#!/usr/bin/env python3
"""Do the exact evidence map and its slow control, occlusion, rank the positions of an image alike?

For each of some images the rank correlation (Spearman's) of the two; for a network before and after pruning, given as
two bundles, also that of both maps. Prints quartiles over the images, and what a map costs.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.bundle import default_bundle, open_bundle
from pyhisto.cli import Parser, positive, run
from pyhisto.inference.diagnosis import ImageFinding, diagnose, find_files
from pyhisto.inference.evidence import rank_correlation
from pyhisto.inference.findings import evidence_map, occlusion_map
from pyhisto.inference.model import POSITIVE, Model


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR", help="images of the bundles' kind")
    parser.add_argument("--most", type=positive, default=500, help="so many of them, evenly (default %(default)s)")
    parser.add_argument("--bundle", type=Path, nargs="+", metavar="B", help="default: the one that ships")
    args = parser.parse_args()
    every, _ = find_files([args.images])
    paths = every[:: -(-len(every) // args.most)]
    found = [measure(path, paths) for path in args.bundle or [default_bundle()]]
    for branch in found[0] if len(found) == 2 else ():
        pairs = zip(*(one[branch] for one in found), strict=True)
        print(f"{branch}, the map before and after: {quartiles([rank_correlation(*pair) for pair in pairs])}")


def measure(path: Path, paths: Sequence[Path]) -> dict[str, list[Floats]]:
    """Print a bundle's correlations; branch -> every image's map."""
    with open_bundle(path) as bundle:
        model = Model(bundle, evidence=True)
        seconds, found = [], []
        for occlude in (False, True):
            began = time.process_time()
            found = [one for one in diagnose(paths, model, occlude=occlude) if isinstance(one, ImageFinding)]
            seconds.append((time.process_time() - began) / len(found))
        for branch in bundle.branches:
            own = [occlusion_map(one, branch, POSITIVE)[1] for one in found]
            print(
                f"{bundle.description.name} {bundle.version}, {branch}, {len(found)} images: {quartiles(own)}; "
                f"{1000 * seconds[0]:.1f} ms of processor an image with the map, {1000 * seconds[1]:.1f} with both",
                flush=True,
            )
        return {branch: [evidence_map(one, branch, POSITIVE)[0] for one in found] for branch in bundle.branches}


def quartiles(values: Sequence[float]) -> str:
    """The median and the quartiles of what is a number."""
    low, middle, high = np.nanquantile(values, (0.25, 0.5, 0.75))
    return f"rank correlation {middle:.2f} (quartiles {low:.2f} and {high:.2f})"


if __name__ == "__main__":
    run(main)
