"""Cut samples of 512 x 768 out of whole slides with ImageScope annotations (BACH's A01.svs and A01.xml).

Writes OUT/images/<slide>/*.png, OUT/overview/<slide>.png (regions and samples drawn on the slide), OUT/manifest.csv.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from data_prep.annotations import CLASSES, read_annotations
from data_prep.dataset import table
from data_prep.parallel import with_progress
from data_prep.slides import (
    MAP_ROWS,
    Slide,
    choose_places,
    coarser,
    draw_overview,
    label_map,
    read_samples,
    sample_window,
    tissue_mask,
)
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import whole_folder
from pyhisto.manifest import Row, write_manifest

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


def main() -> None:
    """Parse, cut, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="slides with their XML beside them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--mpp", type=float, default=0.467, help="micrometres per pixel of a sample (default 0.467, BACH's)"
    )
    parser.add_argument("--slide-mpp", type=float, help="of slides that do not say it, nor their XML")
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
    settings = Settings(
        arguments.mpp,
        arguments.slide_mpp,
        _wanted(arguments.samples, arguments.balance),
        arguments.classes,
        arguments.seed,
    )
    if not arguments.root.is_dir():
        raise InputError(f"{arguments.root}: no such folder; give the folder of the slides")
    paths = sorted(path for path in arguments.root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{arguments.root}: holds no slide ({' '.join(SUFFIXES)})")
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        raise InputError(f"{arguments.root}: two slides have one name; samples are named after their slides")
    with whole_folder(arguments.out) as folder:
        work = partial(_cut, folder=folder, settings=settings)
        done = list(with_progress("cutting", work, paths, arguments.workers, "slides"))
        rows = [row for rows, _ in done for row in rows]
        if not rows:
            raise InputError(f"{arguments.root}: no slide has tissue for a sample")
        write_manifest(folder / "manifest.csv", rows)
    for line in [*(f"note: {note}" for _, notes in done for note in notes), *table(rows, {})]:
        print(line)


def _cut(path: Path, folder: Path, settings: Settings) -> tuple[list[Row], list[str]]:
    """All samples of one slide: written under `folder`; their rows, and notes."""
    xml, regions, scale, notes = path.with_suffix(".xml"), [], settings.slide_mpp, []
    if xml.exists():
        found = read_annotations(xml)
        regions, scale = found.regions, found.microns_per_pixel or scale
        if found.skipped:
            notes.append(f"{xml.name}: {found.skipped} regions without a label or an area left out")
    else:
        notes.append(f"{path.name}: no {xml.name} beside it; all its tissue is Normal")
    slide = Slide(path, scale)
    try:
        picture, per_pixel = slide.overview()
        window = sample_window(slide, settings.microns_per_pixel)
        coarse = max(per_pixel, window[1] / MAP_ROWS)
        tissue = coarser(tissue_mask(picture), coarse / per_pixel)
        labels = label_map(tissue.shape, coarse, regions)
        places = choose_places(labels, tissue, coarse, window, settings.wanted, settings.seed, path.stem)
        overview = draw_overview(picture, per_pixel, regions, places, window)
        _write_png(folder / "overview" / f"{path.stem}.png", overview)
        rows = []
        for place, sample in read_samples(slide, places, settings.microns_per_pixel):
            kind = CLASSES[place.label]
            name = Path("images") / path.stem / f"{path.stem}_{kind}_x{place.x}_y{place.y}.png"
            _write_png(folder / name, sample)
            label = place.label // 2 if settings.classes == 2 else place.label
            where = {"x": str(place.x), "y": str(place.y), "mpp": str(settings.microns_per_pixel)}
            rows.append(Row(name.as_posix(), label, slide=path.stem, subtype=kind, extra=where))
    finally:
        slide.close()
    return rows, notes


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
