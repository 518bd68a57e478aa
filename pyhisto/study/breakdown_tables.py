"""Tables of the decisions taken apart: confusion matrices, patients, single mistakes."""

from collections.abc import Iterable, Sequence

from pyhisto.study.breakdown import Confusion, JudgedPatient, Mistake
from pyhisto.study.results import LEVELS, Results
from pyhisto.study.scores import SUMMARY
from pyhisto.tables.table import Cell, Column, Table

STANDS = "Decisions of the hybrid; of the branch that there is if there is no hybrid."


def confusion_table(found: Sequence[Confusion], results: Results) -> Table:
    """One row per true class."""
    classes = max(one.counts.shape[0] for one in found)
    columns = [*map(Column, ("magnification", "stage", "strategy", "true class", "images"))]
    columns += [Column(f"named {results.class_name(label)}") for label in range(classes)]
    columns.append(Column("right, %"))
    rows: list[list[Cell]] = []
    for one in found:
        for label, named in enumerate(one.counts.tolist()):
            total = sum(named)
            right = 100 * named[label] / total if total else None
            head: list[Cell] = [one.magnification, one.stage, SUMMARY[one.strategy], results.class_name(label), total]
            rows.append([*head, *named, *[None] * (classes - len(named)), right])
    notes = ["Test images of all folds, bags and seeds together."]
    return Table("confusion", "Confusion matrices", columns, rows, notes).without_empty_columns()


def patient_table(found: Sequence[JudgedPatient], results: Results) -> Table:
    """One row per patient, one column per stage."""
    stages = list(dict.fromkeys(stage for one in found for stage in one.right))
    columns = [*map(Column, ("magnification", "patient", "class", "subtypes", "images"))]
    columns += [Column(f"{stage}, right %") for stage in stages]
    rows: list[list[Cell]] = [
        [
            one.magnification,
            one.patient,
            results.class_name(one.label),
            ", ".join(one.subtypes) or None,
            one.images,
            *(100 * one.right[stage] if stage in one.right else None for stage in stages),
        ]
        for one in found
    ]
    notes = [
        STANDS,
        "images: of all folds, bags and seeds together; one that several of them tested counts as often.",
        "The patient level rate PL is the mean over a fold's patients (eq. 9, 10).",
    ]
    return Table("patients", "Every tested patient", columns, rows, notes).without_empty_columns()


def mistakes_table(found: Iterable[Mistake], results: Results) -> Table:
    """One row per image that was named wrongly."""
    columns = [*map(Column, (*LEVELS, "stage", "image", "patient", "subtype", "true class"))]
    columns += [Column("named"), Column("probability", 3)]
    rows: list[list[Cell]] = [
        [
            *(getattr(one.experiment, level) for level in LEVELS),
            one.stage,
            one.image,
            one.patient,
            one.subtype or None,
            results.class_name(one.label),
            results.class_name(one.named),
            one.probability,
        ]
        for one in found
    ]
    notes = [STANDS, "probability: of the class that was named."]
    return Table("mistakes", "Every wrongly named test image", columns, rows, notes).without_empty_columns()
