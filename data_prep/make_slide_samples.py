"""Cut samples of 512 x 768 out of whole slides with ImageScope annotations (BACH's A01.svs and A01.xml).

With --total the slides are looked through first: what one lacks another gives, and if there is not room enough for
all together, that is said before anything is cut.

Writes OUT/images/<slide>/*.png, OUT/overview/<slide>.png (regions and samples drawn on the slide), OUT/manifest.csv.
"""

import argparse
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from data_prep.datasets.dataset import table
from data_prep.slides.annotations import CLASSES, Region, read_annotations
from data_prep.slides.sharing import SampleCounts, share, shortage
from data_prep.slides.slide import (
    MAP_ROWS,
    THOROUGH,
    TRIES,
    Place,
    choose_places,
    draw_overview,
    label_map,
    read_samples,
    sample_window,
)
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.manifest import Row, write_manifest
from pyhisto.parallel import with_progress
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.slide import SCALES, Slide, is_scale
from pyhisto.preprocessing.tissue import coarser, tissue_mask

SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif")


@dataclass(frozen=True)
class SampleSettings:
    """What is cut."""

    microns_per_pixel: float
    slide_mpp: float | None
    samples: int
    """Samples a slide, if it has room."""
    balance: tuple[float, ...]
    """Parts of each of CLASSES."""
    overlap: float
    classes: int
    seed: int
    allow_unreadable: bool


@dataclass(frozen=True)
class SlideSamples:
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
        "--total", type=int, metavar="N",
        help="samples of all slides together, instead of --samples: equal numbers, what one lacks from those with room",
    )  # fmt: skip
    parser.add_argument(
        "--of-slides", nargs="+", type=_of_slide, default=[], metavar="SLIDE=N",
        help="with --total: so many of these slides; what one of them lacks the others of them give",
    )  # fmt: skip
    parser.add_argument(
        "--allow-fewer", action="store_true", help="with --total: go on with what there is room for, and say so"
    )
    parser.add_argument(
        "--overlap", type=float, default=0, metavar="F",
        help="part of its side by which a sample may lie on another one (default 0)",
    )  # fmt: skip
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
    if not 0 <= arguments.overlap <= 0.9:
        raise InputError(f"--overlap {arguments.overlap:g}: give 0 to 0.9")
    if arguments.total is not None and not 1 <= arguments.total <= 1_000_000:
        raise InputError(f"--total {arguments.total}: give 1 to a million")
    if arguments.total is None and (arguments.of_slides or arguments.allow_fewer):
        raise InputError("--of-slides and --allow-fewer go with --total: give it, or leave them out")
    if not 1 <= arguments.samples <= 100_000:
        raise InputError(f"--samples {arguments.samples}: give 1 to 100000")
    settings = SampleSettings(
        arguments.mpp,
        arguments.slide_mpp,
        arguments.samples,
        _balance(arguments.balance),
        arguments.overlap,
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
    counts = None
    if arguments.total is not None:
        counts, notes = shared_out(paths, dict(arguments.of_slides), arguments, settings)
        for note in notes:
            print(f"note: {note}")
    with whole_folder(arguments.out) as folder:
        work = partial(_cut, folder=folder, settings=settings, counts=counts)
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


def shared_out(
    paths: Sequence[Path], of_slides: dict[str, int], arguments: argparse.Namespace, settings: SampleSettings
) -> tuple[SampleCounts, list[str]]:
    """How many samples each slide gives of each class, and notes; the named slides and the others each by themselves.

    Raises InputError if a named slide is not there, or if there is not room enough and that is not allowed.
    """
    if absent := sorted(set(of_slides) - {path.stem for path in paths}):
        raise InputError(f"--of-slides {absent[0]}: {arguments.root} holds no slide of that name")
    work = partial(_room, settings=settings)
    found = with_progress("looking for room", work, paths, arguments.workers, "slides")
    room = {path.stem: counts for path, counts in zip(paths, found, strict=True)}
    rest = [slide for slide in room if slide not in of_slides]
    left = arguments.total - sum(of_slides.values())
    if left < 0 or (left and not rest):
        together = sum(of_slides.values())
        raise InputError(f"--total {arguments.total}: --of-slides asks for {together}; give another total")
    equal = {slide: left // len(rest) + (number < left % len(rest)) for number, slide in enumerate(rest)}
    counts: SampleCounts = {}
    notes = []
    for wanted in filter(None, (of_slides, equal)):
        part = {slide: room[slide] for slide in wanted}
        if lacking := shortage(part, sum(wanted.values())):
            if not arguments.allow_fewer:
                raise InputError(f"{arguments.root}: {lacking}; ask for fewer, or give --overlap or --allow-fewer")
            notes.append(lacking)
        counts |= share(part, wanted, settings.balance)
    return counts, notes


def _room(path: Path, settings: SampleSettings) -> list[int]:
    """How many samples of each of CLASSES a slide has; none, if it cannot be read and that is allowed."""
    try:
        slide, regions, _ = _open(path, settings)
        try:
            picture, per_pixel = slide.overview()
            places = _places(slide, picture, per_pixel, regions, None, settings)
        finally:
            slide.close()
    except InputError:
        if not settings.allow_unreadable:
            raise
        return [0] * len(CLASSES)
    return [sum(place.label == label for place in places) for label in range(len(CLASSES))]


def _places(
    slide: Slide,
    picture: Image,
    per_pixel: float,
    regions: Sequence[Region],
    wanted: Sequence[int] | None,
    settings: SampleSettings,
) -> list[Place]:
    """The places of a slide's samples, up to so many of each class; None: all for which room is found."""
    window = sample_window(slide, settings.microns_per_pixel)
    coarse = max(per_pixel, window[1] / MAP_ROWS)
    tissue = coarser(tissue_mask(picture), coarse / per_pixel)
    labels = label_map(tissue.shape, coarse, regions)
    most, tries = ((math.inf,) * len(CLASSES), THOROUGH) if wanted is None else (wanted, TRIES)
    name = slide.path.stem
    return choose_places(labels, tissue, coarse, window, most, settings.seed, name, settings.overlap, tries)


def check_readable(root: Path, paths: Sequence[Path], settings: SampleSettings) -> None:
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


def _open(path: Path, settings: SampleSettings) -> tuple[Slide, list[Region], list[str]]:
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


def _cut(path: Path, folder: Path, settings: SampleSettings, counts: SampleCounts | None) -> SlideSamples:
    """All samples of one slide, written under `folder`; nothing of it, if it cannot be read and that is allowed."""
    try:
        slide, regions, notes = _open(path, settings)
        try:
            wanted = None if counts is None else counts[path.stem]
            return SlideSamples(_write_samples(slide, regions, folder, settings, wanted), notes)
        finally:
            slide.close()
    except InputError as error:
        if not settings.allow_unreadable:
            raise
        shutil.rmtree(folder / "images" / path.stem, ignore_errors=True)
        (folder / "overview" / f"{path.stem}.png").unlink(missing_ok=True)
        return SlideSamples([], [], str(error))


def _write_samples(
    slide: Slide, regions: Sequence[Region], folder: Path, settings: SampleSettings, wanted: Sequence[int] | None
) -> list[Row]:
    """Write a slide's overview and samples; their rows."""
    name = slide.path.stem
    picture, per_pixel = slide.overview()
    window = sample_window(slide, settings.microns_per_pixel)
    if wanted is None:
        equal = [round(settings.samples * part / sum(settings.balance)) for part in settings.balance]
        places = _places(slide, picture, per_pixel, regions, equal, settings)
    else:  # the same places as when their number was found out
        every = _places(slide, picture, per_pixel, regions, None, settings)
        by_class = [[place for place in every if place.label == label] for label in range(len(CLASSES))]
        places = [place for found, number in zip(by_class, wanted, strict=True) for place in found[:number]]
    places.sort(key=lambda place: (place.label, place.y, place.x))
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


def _of_slide(text: str) -> tuple[str, int]:
    slide, equals, number = text.rpartition("=")
    if not equals or not slide or not number.isdecimal() or len(number) > 7:
        raise argparse.ArgumentTypeError(f"{text}: give a slide's name and a number, as A03=70")
    return slide, int(number)


def _balance(balance: str) -> tuple[float, ...]:
    try:
        parts = [float(part) for part in balance.split(",")]
    except ValueError:
        parts = []
    if len(parts) != len(CLASSES) or not all(0 <= part < 1e6 for part in parts) or sum(parts) == 0:
        raise InputError(f"--balance {balance}: give four numbers, 0 or more, for {', '.join(CLASSES)}")
    return tuple(parts)


if __name__ == "__main__":
    run(main)
