"""A whole slide through a bundle: tissue, tiles, probabilities; what is done stays done if the run is killed."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import local
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import pyhisto
from pyhisto.errors import InputError
from pyhisto.files import exclusive, read_object, write_text
from pyhisto.inference.model import Inputs, Model, Preparation
from pyhisto.inference.tiles import Grid, blocks, make_grid, read_tiles, tissue_tiles
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.reinhard import Reinhard, ReinhardOfSource, pooled
from pyhisto.preprocessing.slide import Slide
from pyhisto.preprocessing.tissue import coloured_pixels, tissue_mask

Stains: TypeAlias = Literal["tile", "slide"]
STAINS: tuple[Stains, ...] = ("tile", "slide")
"""Whose statistics the normalisation takes: `tile`, each tile's own, is what training did with each image, so that the
networks are shown what they know. `slide`: the slide's tissue as a whole, for networks that were trained without
normalisation and a slide of other colours; networks that were trained with it then see differences between tiles that
every training image had lost."""
MEASURED = 200
"""Tiles of which the slide's colours are taken."""
JOB_BYTES = 1 << 25
"""Of network inputs that a worker prepares at a time."""


@dataclass(frozen=True)
class SlideSettings:
    """How a slide is read."""

    microns_per_pixel: float | None = None
    """Of level 0, if the file does not say it."""
    least_tissue: float = 0.5
    """Part of a tile that must be tissue."""
    stain: Stains = "tile"
    workers: int = 1


@dataclass(frozen=True)
class SlideFinding:
    """What is said of a slide."""

    path: Path
    width: int
    height: int
    microns_per_pixel: float
    grid: Grid
    tiles: tuple[int, ...]
    """Those with tissue, in the order of the grid."""
    probabilities: NDArray[np.float32]
    """tiles x classes, the hybrid's, calibrated."""
    overview: Image
    scale: float
    """Level-0 pixels per pixel of the overview."""


def diagnose_slide(path: Path, model: Model, settings: SlideSettings, folder: Path) -> SlideFinding:
    """The probabilities of a slide's tiles. `folder` keeps what is done, so that a killed run goes on; the same bytes.

    Raises InputError for a slide that cannot be read or whose scale is not known, and a bundle that does not say its
    own; and if another run works in `folder`.
    """
    description = model.bundle.description
    if description.microns_per_pixel is None:
        raise InputError(
            f"{model.bundle.path}: does not say the scale of its training images, so that a slide cannot be cut as "
            "they were; make the bundle with --mpp"
        )
    slide = Slide(path, settings.microns_per_pixel, option="--mpp")
    try:
        overview, scale = slide.overview()
        grid = make_grid(slide, description.image, description.microns_per_pixel)
        tiles = tissue_tiles(grid, tissue_mask(overview), scale, settings.least_tissue)
        if not tiles:
            raise InputError(f"{path}: shows no tissue, of which a tile has to have {settings.least_tissue:.0%}")
        preparation = model.preparation
        if settings.stain == "slide":
            preparation = _of_slide(model, slide, grid, tiles)
        jobs = _jobs(blocks(grid, tiles), preparation)
        order = [tile for job in jobs for tile in job]
        key = _key(path, model, settings, grid, tiles, slide.microns_per_pixel)
        with exclusive(folder, print), _Progress(folder, key, len(description.classes)) as progress:
            done = progress.whole_jobs(jobs)
            read = partial(
                _read_job, path=path, scale=settings.microns_per_pixel, grid=grid, preparation=preparation
            )  # fmt: skip
            answers = model.overlapped(read, partial(_rows, model), jobs[done:], settings.workers)
            with tqdm(total=len(order), initial=sum(map(len, jobs[:done])), desc=path.name, unit=" tiles") as bar:
                for rows in answers:
                    progress.add(rows)
                    bar.update(len(rows))
            found = progress.rows()
        place = {tile: row for row, tile in enumerate(order)}
        probabilities = found[[place[tile] for tile in tiles]]
        return SlideFinding(
            path, slide.width, slide.height, slide.microns_per_pixel, grid, tuple(tiles), probabilities, overview, scale
        )
    finally:
        slide.close()


def _of_slide(model: Model, slide: Slide, grid: Grid, tiles: Sequence[int]) -> Preparation:
    """The preparation whose normalisation takes the slide's statistics."""
    sample = tiles[:: max(1, -(-len(tiles) // MEASURED))]
    parts = [part for tile in sample for part in read_tiles(slide, grid, [tile])]
    recipes = []
    for recipe in model.preparation.recipes:
        if recipe.stain is None:  # to the training images' own colours
            mean, std = model.bundle.description.reference.lab
            transfer = Reinhard(mean, std, source="the training images' tissue")
        elif isinstance(recipe.stain, Reinhard):
            transfer = recipe.stain
        else:
            raise InputError(f"--stain slide: not for networks normalised by {recipe.stain.method}; use --stain tile")
        statistics = pooled(parts, [coloured_pixels(part) for part in parts], transfer.method)
        stain: ReinhardOfSource = transfer.of_source(*statistics)
        recipes.append(replace(recipe, stain=stain))
    return replace(model.preparation, recipes=tuple(recipes))


def _jobs(groups: Sequence[Sequence[int]], preparation: Preparation) -> list[list[int]]:
    """Blocks, divided so that a job's inputs stay within JOB_BYTES."""
    size = sum(recipe.patches_per_image * recipe.size**2 * 3 for recipe in preparation.recipes)
    most = max(1, JOB_BYTES // size)
    return [list(group[start : start + most]) for group in groups for start in range(0, len(group), most)]


def _read_job(
    tiles: Sequence[int], path: Path, scale: float | None, grid: Grid, preparation: Preparation
) -> list[Inputs]:
    return [preparation(pixels) for pixels in read_tiles(_opened(path, scale), grid, tiles)]


def _rows(model: Model, inputs: Sequence[Inputs]) -> NDArray[np.floating]:
    return np.stack([outcome.calibrated for outcome in model(inputs)])


_of_thread = local()


def _opened(path: Path, scale: float | None) -> Slide:
    """The slide, once a thread: what one job has decoded, the next may share."""
    if getattr(_of_thread, "opened", None) != (path, scale):
        _of_thread.slide = Slide(path, scale, option="--mpp")
        _of_thread.opened = path, scale
    slide: Slide = _of_thread.slide
    return slide


def _key(
    path: Path, model: Model, settings: SlideSettings, grid: Grid, tiles: Sequence[int], microns_per_pixel: float
) -> str:
    """What the probabilities depend on: another value, and nothing of an earlier run counts."""
    file = path.stat()
    facts: list[Any] = [
        path.name, file.st_size, file.st_mtime_ns, model.bundle.version, pyhisto.__version__, model.engine_names,
        model.batch_size, settings.stain, microns_per_pixel, repr(grid), list(tiles),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class _Progress:
    """The rows of finished jobs, one after the other in a file; what a kill cut off is cut away."""

    def __init__(self, folder: Path, key: str, classes: int) -> None:
        self.file, self.note, self.key, self.classes = folder / "rows.f32", folder / "key.json", key, classes

    def __enter__(self) -> "_Progress":
        same = self.note.is_file() and self.file.is_file() and read_object(self.note).get("key") == self.key
        if not same:
            self.file.unlink(missing_ok=True)
            write_text(self.note, json.dumps({"key": self.key}) + "\n")
        self.handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
        self.done = 0
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def whole_jobs(self, jobs: Sequence[Sequence[int]]) -> int:
        """How many jobs are done; rows of one that is not are removed."""
        row = 4 * self.classes
        left, done = self.file.stat().st_size // row, 0
        for job in jobs:
            if len(job) > left:
                break
            left, done, self.done = left - len(job), done + 1, self.done + len(job)
        os.truncate(self.handle, self.done * row)
        return done

    def add(self, rows: NDArray[np.floating]) -> None:
        """Add a job's rows, at their place."""
        data = rows.astype("<f4").tobytes()
        if os.pwrite(self.handle, data, self.done * 4 * self.classes) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))
        os.fsync(self.handle)
        self.done += len(rows)

    def rows(self) -> NDArray[np.float32]:
        """All of them."""
        return np.fromfile(self.file, "<f4").reshape(-1, self.classes)


def named_tiles(finding: SlideFinding) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """x, y of every tile's corner in level-0 pixels, and its probabilities."""
    for tile, values in zip(finding.tiles, finding.probabilities, strict=True):
        yield *finding.grid.corner(tile), values
