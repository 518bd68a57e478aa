"""How far the probabilities of a study's bundle can be believed, before and after its temperature."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhisto.bundle import DESCRIPTION, Description
from pyhisto.errors import InputError
from pyhisto.files import read_object
from pyhisto.inference.calibration import Bin
from pyhisto.inference.reliability import draw_reliability
from pyhisto.tables.drawing import Drawing
from pyhisto.tables.table import Cell, Column, Table

FILE = Path("bundle", DESCRIPTION)
"""Where a results folder has what tools/bundle.py measured."""


@dataclass(frozen=True)
class Fit:
    """Expected calibration error and log loss over images of one split, before and after the temperature."""

    split: str
    images: int
    error: tuple[float, float]
    log_loss: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """What a bundle says of its calibration."""

    temperature: float
    fits: tuple[Fit, ...]
    before: tuple[Bin, ...]
    """Of the test images."""
    after: tuple[Bin, ...]


def read_calibration(folder: Path) -> Calibration | None:
    """That of the bundle in a results folder; None without a bundle, or if it was tried on no test images."""
    path = folder / FILE
    if not path.is_file():
        return None
    description = Description.from_json(read_object(path), str(path))
    test, validation = description.results.get("test"), description.results.get("validation")
    if test is None:
        return None
    try:
        fits = [_fit("val", validation)] if validation is not None else []
        before, after = (tuple(Bin(**part) for part in test["reliability"][when]) for when in ("before", "after"))
        return Calibration(description.temperature, (*fits, _fit("test", test)), before, after)
    except (LookupError, TypeError, ValueError):
        raise InputError(f"{path}: not what tools/bundle.py writes; bundle the networks again") from None


def calibration_table(calibration: Calibration) -> Table:
    """One row a split."""
    columns = [Column("split"), Column("images"), Column("error before"), Column("error after")]
    columns += [Column("log loss before", 3), Column("log loss after", 3)]
    rows: list[list[Cell]] = [
        [fit.split, fit.images, *(100 * error for error in fit.error), *fit.log_loss] for fit in calibration.fits
    ]
    notes = (
        f"error: the expected calibration error, percent, over {len(calibration.before)} bins of confidence. before: "
        "as the networks say it; after: at the temperature.",
        f"The temperature, {calibration.temperature:g}, has the smallest log loss on the images of split val."
        if len(calibration.fits) > 1
        else "No images validate, so that no temperature was fitted: it is 1.",
        "Of the hybrid of the networks in the folder bundle; of several folds and magnifications, the first.",
    )
    return Table("calibration", "How far the bundle's probabilities can be believed", columns, rows, notes)


def draw_calibration(calibration: Calibration) -> Drawing:
    """The reliability diagram."""
    images = calibration.fits[-1].images
    caption = (
        f"Reliability of the bundle's probabilities on {images} test images: the share that is right (bars), and the "
        "mean confidence in each bin (dots); on the dashed line both agree. At the foot, images a bin."
    )
    return Drawing("reliability", caption, draw_reliability(calibration.before, calibration.after))


def _fit(split: str, said: Mapping[str, Any]) -> Fit:
    return Fit(
        split,
        int(said["images"]),
        (float(said["ece_before"]), float(said["ece"])),
        (float(said["log_loss_before"]), float(said["log_loss"])),
    )
