#!/usr/bin/env python3
"""How stages of studies over folds do on patients that no network saw, beside colour alone; as a table in Markdown.

    transfer.py runs/breakhis_transfer runs/breakhis_transfer_unnormalised

Patients are tested in several folds, and after several trainings. All test images count together in IL and in balanced
accuracy; PL is the mean over patients. The 95% intervals draw patients again, all images of a patient together; of
several seeds the spread of their trainings is added. Differences are of IL on the same images.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import (
    Interval,
    balanced,
    confusion,
    difference_interval,
    majority_rate,
    patient_bootstrap,
    patient_level,
)
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.study.results import read_results
from pyhisto.study.scores import score_results


@dataclass(frozen=True)
class Tested:
    """The test images of all folds and seeds, one after the other."""

    images: NDArray[np.str_]
    """Fold, and path."""
    patients: NDArray[np.str_]
    seeds: NDArray[np.str_]
    labels: NDArray[np.int64]
    decided: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each is named rightly."""
        return self.labels == self.decided

    def interval(self, values: NDArray[np.int64]) -> Interval:
        """Of the mean of a value of each image."""
        return difference_interval(values, _numbers(self.patients), trainings=_numbers(self.seeds))


def main() -> None:
    """Print a row for the control, and for each run and stage."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="results folders of the workflow")
    runs = parser.parse_args().runs
    colour = read_control(runs[0])
    print("| | IL | PL | balanced | minus colour | minus the first |\n|---|---|---|---|---|---|")
    print(row("colour alone", colour, colour, None))
    first = None
    for folder in runs:
        for stage, tested in read_stages(folder).items():
            first = first or tested
            print(row(f"{folder.name}: {stage}", tested, colour, first))
    majority = 100 * majority_rate(colour.labels)
    print(
        f"\n{len(colour.labels)} images, {len(set(colour.patients))} patients; always the larger class: {majority:.1f}"
    )


def read_stages(folder: Path) -> dict[str, Tested]:
    """Every stage of a run, in its order; what stands for it is the hybrid, or the one branch that there is."""
    parts: dict[str, list[Tested]] = {}
    for one in score_results(read_results(folder)):
        fold, seed, count = one.experiment.fold or "", one.experiment.seed or "", len(one.images)
        tested = Tested(
            np.array([f"{fold} {image}" for image in one.images]),
            np.array(one.patient_of),
            np.array([seed] * count),
            one.labels,
            one.decided[one.best],
        )
        parts.setdefault(one.stage.label, []).append(tested)
    return {stage: together(found) for stage, found in parts.items()}


def read_control(folder: Path) -> Tested:
    """The logistic regression on six numbers of colour, of every fold."""
    parts = []
    for path in sorted(folder.glob("fold*/*X/compared/colour/predictions.csv")):
        found = read_predictions([path])
        fold = path.relative_to(folder).parts[0].removeprefix("fold")
        decided = next(iter(found.whole.values())).argmax(axis=1)
        images = np.array([f"{fold} {image}" for image in found.images])
        parts.append(Tested(images, np.array(found.patients), np.array([""] * len(images)), found.labels, decided))
    if not parts:
        raise InputError(
            f"{folder}: has no predictions of the colour control; give a study whose config compares with it"
        )
    return together(parts)


def together(parts: list[Tested]) -> Tested:
    """The images of several parts."""
    names = ("images", "patients", "seeds", "labels", "decided")
    return Tested(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def row(name: str, tested: Tested, colour: Tested, first: Tested | None) -> str:
    """A row of the table, in percent."""
    right, patients = tested.right, _numbers(tested.patients)
    cells = [
        _percent(right.mean(), tested.interval(right.astype(int))),
        _percent(patient_level(right, patients), patient_bootstrap(right, patients)),
        f"{100 * balanced(confusion(tested.labels, tested.decided, 2)):.1f}",
        *(_difference(tested, other) for other in (colour, first)),
    ]
    return f"| {' | '.join([name, *cells])} |"


def _difference(one: Tested, other: Tested | None) -> str:
    """What one has more in IL than the other on the same images, seeds in pairs if both have them."""
    if other is None or one is other:
        return ""
    paired = set(one.seeds) == set(other.seeds)
    theirs = {
        (image, seed): right
        for image, seed, right in zip(other.images, other.seeds if paired else other.images, other.right, strict=True)
    }
    keys = zip(one.images, one.seeds if paired else one.images, strict=True)
    differences = one.right.astype(int) - np.array([theirs[key] for key in keys])
    return _percent(differences.mean(), one.interval(differences))


def _percent(rate: float, interval: Interval) -> str:
    return f"{100 * rate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.asarray(np.unique(names, return_inverse=True)[1])


if __name__ == "__main__":
    run(main)
