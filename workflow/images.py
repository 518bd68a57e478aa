"""How many images a config's run has, before anything is built, and what one of them is like."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from dry_run import last_line
from measured import ROOT, whole_number
from speeds import seconds_of
from study import Study

from data_prep.build_lmdb import MONITOR_IMAGES
from data_prep.make_slide_samples import SUFFIXES
from data_prep.slides.slide import HEIGHT, WIDTH
from data_prep.synthetic import breakhis as synthetic
from pyhisto.errors import InputError
from pyhisto.manifest import read_manifest

DRAWN = 4
"""How many synthetic images are drawn, to know what one takes."""
SLIDES_TESTED = 0.25
"""Of samples of slides, if the config does not say which slides are tested."""


@dataclass(frozen=True)
class Images:
    """Of one experiment."""

    train: int
    val: int
    """Those that networks are tested on while they learn: of the training part (monitor), if no image validates."""
    test: int
    example: Path
    name: str
    """The example's, as a manifest has it."""
    made: int = 0
    """How many the run itself makes."""
    seconds: float = 0.0
    """Of making one."""
    size: float = 0.0
    """Bytes of one that is made."""

    @property
    def all(self) -> int:
        """Images of all splits."""
        return self.train + self.test + self.val


def count_images(study: Study, folder: Path) -> Images:
    """The images of the first experiment. Raises InputError."""
    if study.synthetic:
        return _synthetic(study.synthetic, study, folder)
    if study.slides and not Path(study.tree).exists():
        return _samples(study, folder)
    manifest = folder / "manifest.csv"
    command = [sys.executable, str(ROOT / "data_prep/make_manifest.py"), *study.splits(study.places[0])]
    done = subprocess.run([*command, "--out", str(manifest)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(last_line(done.stderr))
    rows = read_manifest(manifest)
    split = {name: sum(row.split == name for row in rows) for name in ("train", "val", "test")}
    split["val"] = split["val"] or min(MONITOR_IMAGES, split["train"])
    return Images(**split, example=Path(study.tree, rows[0].path), name=rows[0].path)


def _synthetic(settings: Any, study: Study, folder: Path) -> Images:
    patients, each = whole_number(settings, "patients", 16), whole_number(settings, "images", 8)
    classes = patients // 2, patients - patients // 2
    parts = [_split(size, max(1, round(synthetic.TEST_FRACTION * size)), study) for size in classes]
    train, val, test = map(sum, zip(*parts, strict=True))
    samples = synthetic.make_samples(synthetic.make_patients(DRAWN, 0), 1, 100)
    paths = [folder / f"{number}.png" for number in range(len(samples))]
    seconds = seconds_of(
        lambda: [cv2.imwrite(str(path), synthetic.draw(each, 0)) for path, each in zip(paths, samples, strict=True)]
    )
    size = sum(path.stat().st_size for path in paths) / len(paths)
    return Images(
        train * each,
        val * each,
        test * each,
        paths[0],
        str(samples[0].path),
        patients * each,
        seconds / len(paths),
        size,
    )


def _samples(study: Study, folder: Path) -> Images:
    slides = [path for path in Path(str(study.slides)).rglob("*") if path.suffix.lower() in SUFFIXES]
    if not slides:
        raise InputError(f"{study.slides}: holds no slide; say where they are: --config slides=DIR")
    samples = study.data.get("samples") or {}
    total = whole_number(samples, "total", len(slides) * whole_number(samples, "samples", 100))
    train, val, test = _split(total, _tested(study, total, total // len(slides)), study)
    image = cv2.resize(
        synthetic.draw(synthetic.make_samples(synthetic.make_patients(1, 0), 1, 100)[0], 0), (WIDTH, HEIGHT)
    )
    path = folder / "sample.png"
    seconds = seconds_of(lambda: cv2.imwrite(str(path), image))
    return Images(train, val, test, path, "A01/A01_0001.png", total, seconds, path.stat().st_size)


def _tested(study: Study, total: int, each: int) -> int:
    """How many samples are of test slides; `each` is what a slide has of which the config names no number."""
    named = study.data.get("test-slides")
    if not isinstance(named, list):
        return round(SLIDES_TESTED * total)
    wanted = (study.data.get("samples") or {}).get("of-slides", [])
    try:
        numbers = {slide: int(number) for slide, _, number in (str(word).partition("=") for word in wanted)}
    except (TypeError, ValueError):
        raise InputError(f"the config's of-slides: {str(wanted)[:60]!r} is not a list of SLIDE=NUMBER") from None
    return sum(numbers.get(slide, each) for slide in named)


def _split(total: int, test: int, study: Study) -> tuple[int, int, int]:
    """Training, validation and test part: of what is not tested a fifth validates, or a bag's share, or none does."""
    bags = study.config.get("bags", 0)
    share = 1 / bags if bags else study.data.get("val-fraction", 0.2)
    val = round(share * (total - test))
    return total - test - val, val, test
