"""Tables of a study's images: how many are there, and how they are split."""

from collections.abc import Mapping

from pyhisto.study.results import Experiment, Results
from pyhisto.study.splits import Count, count_parts, find_missing
from pyhisto.tables.table import Cell, Column, Table

NOTES = (
    "patients: whom the manifest names; slides if it names none. In brackets, the patients of a subtype.",
    "train: what the networks learnt from; val: held out of it, for the learning curves; test: what all rates count.",
)


def missing_table(results: Results) -> Table | None:
    """How many images the data set has and how many are there; None if no manifest says so."""
    rows: list[list[Cell]] = []
    for (magnification, there), experiments in find_missing(results).items():
        folds = sorted({experiment.fold for experiment in experiments if experiment.fold is not None})
        rows.append(
            [
                magnification,
                ", ".join(folds) or None,
                there.expected,
                there.found,
                there.missing,
                100 * there.missing / there.expected if there.expected else None,
            ]
        )
    if not rows:
        return None
    columns = [*map(Column, ("magnification", "folds", "data set", "found", "missing", "missing, %"))]
    notes = ["data set: the images that it has when it is complete, at this magnification."]
    return Table("missing", "Images of the data set", columns, rows, notes).without_empty_columns()


def splits_table(results: Results) -> Table | None:
    """Images, patients and subtypes of each class in each split; None if no experiment has a manifest."""
    rows = [
        [experiment.magnification, experiment.fold, experiment.bag, *row]
        for experiment in results.of_one_seed
        for row in _rows(experiment, results)
    ]
    if not rows:
        return None
    columns = [*map(Column, ("magnification", "fold", "bag", "split", "class", "images", "patients", "subtypes"))]
    return Table("splits", "Images and patients of each split", columns, rows, NOTES).without_empty_columns()


def _rows(experiment: Experiment, results: Results) -> list[list[Cell]]:
    return [
        [
            part.split,
            results.class_name(part.label),
            part.count.images,
            part.count.patients,
            _subtypes(part.subtypes) or None,
        ]
        for part in count_parts(experiment.manifest)
    ]


def _subtypes(subtypes: Mapping[str, Count]) -> str:
    return ", ".join(f"{name} {own.images} ({own.patients})" for name, own in subtypes.items())
