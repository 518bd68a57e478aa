"""Cut samples of 512 x 768 out of whole slides with ImageScope annotations (BACH's A01.svs and A01.xml).

Writes OUT/images/<slide>/*.png, OUT/overview/<slide>.png (regions and samples drawn on the slide), OUT/manifest.csv.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from data_prep.datasets.dataset import table
from data_prep.slides.annotations import CLASSES, Region, read_annotations
from data_prep.slides.slide import (
    MAP_ROWS,
    SCALES,
    Slide,
    choose_places,
    coarser,
    draw_overview,
    is_scale,
    label_map,
    read_samples,
    sample_window,
    tissue_mask,
)
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.manifest import Row, write_manifest
from pyhisto.parallel import with_progress

SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif")


@dataclass(frozen=True)
class Settings:
    """What is cut."""

    microns_per_pixel: float
    slide_mpp: float | None
    wanted: tuple[int, ...]
    """Samples a slide of each of CLASSES."""
    classes: int
    seed: int
    allow_unreadable: bool


@dataclass(frozen=True)
class Cut:
    """What one slide gave."""

    rows: list[Row]
    notes: list[str]
    fault: str = ""
    """Why it gave nothing."""


def main() -> None:
    """Parse, cut, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="slides with their XML beside them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--mpp", type=float, default=0.467, help="micrometres per pixel of a sample (default 0.467, BACH's)"
    )
    parser.add_argument(
        "--slide-mpp", type=float,
        help=f"of slides that do not say it, nor their XML, or say what no slide has ({SCALES[0]:g} to {SCALES[1]:g})",
    )  # fmt: skip
    parser.add_argument(
        "--allow-unreadable", action="store_true", help="leave out slides that cannot be read, and name them"
    )
    parser.add_argument(
        "--samples", type=int, default=100, metavar="N", help="samples a slide, if it has room (default 100)"
    )
    parser.add_argument(
        "--balance",
        default="1,1,1,1",
        metavar="N,B,S,I",
        help="parts of Normal, Benign, InSitu, Invasive (default 1,1,1,1)",
    )
    parser.add_argument(
        "--classes", type=int, choices=(2, 4), default=2, help="2: benign and cancer, as the paper (default)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="slides at once (default: one a core)")
    arguments = parser.parse_args()
    if not 0.05 <= arguments.mpp <= 50:
        raise InputError(f"--mpp {arguments.mpp}: give 0.05 to 50")
    if arguments.slide_mpp is not None and not is_scale(arguments.slide_mpp):
        raise InputError(f"--slide-mpp {arguments.slide_mpp:g}: give {SCALES[0]:g} to {SCALES[1]:g}")
    settings = Settings(
        arguments.mpp,
        arguments.slide_mpp,
        _wanted(arguments.samples, arguments.balance),
        arguments.classes,
        arguments.seed,
        arguments.allow_unreadable,
    )
    if not arguments.root.is_dir():
        raise InputError(f"{arguments.root}: no such folder; give the folder of the slides")
    paths = sorted(path for path in arguments.root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{arguments.root}: holds no slide ({' '.join(SUFFIXES)})")
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        raise InputError(f"{arguments.root}: two slides have one name; samples are named after their slides")
    check_readable(arguments.root, paths, settings)
    with whole_folder(arguments.out) as folder:
        work = partial(_cut, folder=folder, settings=settings)
        done = list(with_progress("cutting", work, paths, arguments.workers, "slides"))
        rows = [row for cut in done for row in cut.rows]
        if not rows:
            raise InputError(f"{arguments.root}: no slide has tissue for a sample")
        write_manifest(folder / "manifest.csv", rows)
    for cut in done:
        for note in [*cut.notes, *([f"left out: {cut.fault}"] if cut.fault else [])]:
            print(f"note: {note}")
    for line in table(rows, {}):
        print(line)


def check_readable(root: Path, paths: Sequence[Path], settings: Settings) -> None:
    """Open every slide and its XML: better now than after hours of cutting.

    Raises InputError if one cannot be read, or, if that is allowed, if none can.
    """
    faults = []
    for path in paths:
        try:
            _open(path, settings)[0].close()
        except InputError as error:
            faults.append(str(error))
    if not faults or (settings.allow_unreadable and len(faults) < len(paths)):
        return
    way_out = "" if settings.allow_unreadable else "; mend or remove them, or give --allow-unreadable"
    raise InputError(f"{faults[0]} ({len(faults)} of {len(paths)} slides under {root} cannot be used{way_out})")


def _open(path: Path, settings: Settings) -> tuple[Slide, list[Region], list[str]]:
    """A slide, its regions, and notes on both."""
    xml, regions, scale, notes = path.with_suffix(".xml"), [], None, []
    if xml.exists():
        found = read_annotations(xml)
        regions, scale = found.regions, found.microns_per_pixel
        if found.skipped:
            notes.append(f"{xml.name}: {found.skipped} regions without a label or an area left out")
    else:
        notes.append(f"{path.name}: no {xml.name} beside it; all its tissue is Normal")
    slide = Slide(path, scale, settings.slide_mpp)
    if slide.said and not slide.is_believed:
        taken = f"{slide.microns_per_pixel:g} taken"
        notes.append(f"{path.name}: says {slide.said} micrometres per pixel, which no slide has; {taken}")
    return slide, regions, notes


def _cut(path: Path, folder: Path, settings: Settings) -> Cut:
    """All samples of one slide, written under `folder`; nothing of it, if it cannot be read and that is allowed."""
    try:
        slide, regions, notes = _open(path, settings)
        try:
            return Cut(_write_samples(slide, regions, folder, settings), notes)
        finally:
            slide.close()
    except InputError as error:
        if not settings.allow_unreadable:
            raise
        shutil.rmtree(folder / "images" / path.stem, ignore_errors=True)
        (folder / "overview" / f"{path.stem}.png").unlink(missing_ok=True)
        return Cut([], [], str(error))


def _write_samples(slide: Slide, regions: Sequence[Region], folder: Path, settings: Settings) -> list[Row]:
    """Write a slide's overview and samples; their rows."""
    name = slide.path.stem
    picture, per_pixel = slide.overview()
    window = sample_window(slide, settings.microns_per_pixel)
    coarse = max(per_pixel, window[1] / MAP_ROWS)
    tissue = coarser(tissue_mask(picture), coarse / per_pixel)
    labels = label_map(tissue.shape, coarse, regions)
    places = choose_places(labels, tissue, coarse, window, settings.wanted, settings.seed, name)
    overview = draw_overview(picture, per_pixel, regions, places, window)
    _write_png(folder / "overview" / f"{name}.png", overview)
    rows = []
    for place, sample in read_samples(slide, places, settings.microns_per_pixel):
        kind = CLASSES[place.label]
        file = Path("images") / name / f"{name}_{kind}_x{place.x}_y{place.y}.png"
        _write_png(folder / file, sample)
        label = place.label // 2 if settings.classes == 2 else place.label
        where = {"x": str(place.x), "y": str(place.y), "mpp": str(settings.microns_per_pixel)}
        rows.append(Row(file.as_posix(), label, slide=name, subtype=kind, extra=where))
    return rows


def _write_png(path: Path, image: cv2.typing.MatLike) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def _wanted(samples: int, balance: str) -> tuple[int, ...]:
    try:
        parts = [float(part) for part in balance.split(",")]
    except ValueError:
        parts = []
    if len(parts) != len(CLASSES) or not all(0 <= part < 1e6 for part in parts) or sum(parts) == 0:
        raise InputError(f"--balance {balance}: give four numbers, 0 or more, for {', '.join(CLASSES)}")
    if not 1 <= samples <= 100_000:
        raise InputError(f"--samples {samples}: give 1 to 100000")
    return tuple(round(samples * part / sum(parts)) for part in parts)


if __name__ == "__main__":
    run(main)
