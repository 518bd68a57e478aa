"""The colours that all images are moved to: one rule for every data set, for the programs and for the workflow."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from data_prep.datasets import breakhis
from pyhisto.errors import InputError
from pyhisto.manifest import Row, resolve
from pyhisto.parallel import with_progress
from pyhisto.preprocessing import stain as stains
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.preprocessing.stain import Stain, Statistics
from pyhisto.roots import files_under

AUTHORS = "authors"
"""The image to whose colours Zhu et al. moved all others (breakhis.STAIN_TARGET); if it is not there, MEAN."""
MEAN = "mean"
"""The mean statistics of the training images."""


def choose(choice: str, method: stains.StainMethod, rows: Sequence[Row], root: Path, workers: int) -> Stain:
    """The normalisation by `method` to a target, whose `source` says in words where it comes from.

    Args:
        choice: AUTHORS, MEAN, or a file: an image, or a preprocessing.json with such a target in it.
        method: a method of stain normalisation.
        rows: the images, split.
        root: the folder that the rows' paths count from; the authors' image is looked for in all of it.
        workers: processes that measure the training images.

    Raises InputError if the file cannot be read, holds no such target, or has no tissue.
    """
    if choice == MEAN:
        return training_mean(method, rows, root, workers)
    if choice == AUTHORS:
        found = [path for path in files_under(root) if path.name == breakhis.STAIN_TARGET]
        if not found:
            instead = f", in place of the authors' {breakhis.STAIN_TARGET}, which is not there"
            return training_mean(method, rows, root, workers, instead)
        return of_image(found[0], method)
    path = Path(choice)
    if path.suffix != ".json":
        return of_image(path, method)
    stain = Preprocessing.load(path).stain
    if stain is None or stain.method != method:
        raise InputError(f"{path}: holds no stain target of method {method}")
    return stain


def of_image(path: Path, method: stains.StainMethod) -> Stain:
    """The normalisation to one image's statistics."""
    return stains.target([stains.measure(read_image(path), method)], method, path.name)


def training_mean(
    method: stains.StainMethod, rows: Sequence[Row], root: Path, workers: int, instead: str = ""
) -> Stain:
    """The normalisation to the mean statistics of the training images; `instead` is added to its source."""
    paths = [resolve(root, row.path) for row in rows if row.split == "train"]
    statistics = with_progress("stain target", partial(_measure, method=method), paths, workers)
    return stains.target(list(statistics), method, f"mean of {len(paths)} training images{instead}")


def _measure(path: Path, method: stains.StainMethod) -> Statistics | None:
    return stains.measure(read_image(path), method)
