"""One method under two protocols, side by side: what the splits and the kind of patient make of its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyhisto.evaluation.folds import spread_over_folds, to_percent
from pyhisto.manifest import Row
from pyhisto.study.results import Results
from pyhisto.study.scores import SUMMARY, Scored, find_scores, score_assembled, score_results
from pyhisto.tables.table import Cell, Column, Table


@dataclass(frozen=True)
class Variant:
    """A run, and what of its splits a reader has to know."""

    results: Results
    scored: Sequence[Scored]
    assembled: Sequence[Scored]

    @property
    def name(self) -> str:
        """What tables call it: its folder."""
        return self.results.folder.resolve().name

    @property
    def shared(self) -> int:
        """How many slides have images in training and in validation, of the first experiment."""
        rows = self.results.experiments[0].manifest
        return len(slides(rows, "train") & slides(rows, "val"))

    @property
    def patients(self) -> str:
        """Who counts as a patient, as run.json says."""
        return str(self.results.settings.get("patients", "patients as the manifest names them"))


def slides(rows: Sequence[Row], split: str) -> set[str]:
    """The slides of a split, whether a split regards them (`slide`) or not (the column `slide_id`)."""
    return {row.slide or row.extra.get("slide_id", "") for row in rows if row.split == split} - {""}


def score_variant(results: Results) -> Variant:
    """A run with its scores. Raises InputError if a predictions file is at fault."""
    return Variant(results, score_results(results), score_assembled(results))


def variants_table(variants: Sequence[Variant]) -> Table:
    """Every strategy of the first stage: all bags' models merged by Sum; a single model, and its validation."""
    rows: list[list[Cell]] = []
    for each in variants:
        stage = each.scored[0].stage.name
        singles = [one for one in each.scored if one.stage.name == stage]
        merged = [one for one in each.assembled if one.stage.name == stage]
        for strategy, name in SUMMARY.items():
            results = [result for one in merged if (result := one.result(strategy)) is not None]
            if results:
                s = results[0].scores
                measures: list[Cell] = [to_percent(s.il, s.il_interval), to_percent(s.pl, s.pl_interval)]
                models = f"Sum of {len(results[0].models)}"
                rows.append([each.name, name, models, s.patients, *measures, None])
            alone = find_scores(singles, strategy)
            measures = [spread_over_folds(alone, measure) if alone else None for measure in ("IL", "PL")]
            patients = len(frozenset().union(*(one.patients for one in singles)))
            rows.append([each.name, name, "one", patients, *measures, _validation(singles, strategy)])
    columns = [Column(name) for name in ("run", "strategy", "models", "patients", "IL", "PL", "validation")]
    notes = [
        "Of the stage before pruning; percent. one: mean ± standard deviation (n - 1) over the models of all bags. "
        "validation: what these models reached on their own validation images at the end of training, of one branch."
    ]
    return Table("protocols", "One method under two protocols", columns, rows, notes).without_empty_columns()


def remark_on_variants(variants: Sequence[Variant]) -> Iterator[str]:
    """What a difference between the runs means."""
    kinds = "; ".join(f"{each.name}: {each.patients}" for each in variants)
    shared = "; ".join(
        f"{each.name}: {each.shared} slides in training and in validation" if each.shared else
        f"{each.name}: no slide in both" for each in variants
    )  # fmt: skip
    yield (
        f"The runs differ in what training and validation share ({shared}) and in who counts as a patient ({kinds}). "
        "If samples of one slide learn and validate, the validation figure says how well a model knows these slides, "
        "and nothing of a slide that it has not seen: by how much it lies above the figure of slides kept apart, it "
        "is too good. PL of made-up patients is that of as many random parts of each slide: it lies near IL whatever "
        "the differences between patients are."
    )


def _validation(singles: Sequence[Scored], strategy: str) -> Cell:
    """The mean of the last validation accuracies of a branch's networks; None if it is not known, or of the hybrid."""
    branch = {"1": "global", "2": "local"}.get(strategy, "")
    networks = [one.stage.branches[branch] for one in singles if branch in one.stage.branches]
    found = [
        [point.accuracy for point in network.points if point.split == "val" and point.accuracy is not None]
        for network in networks
    ]
    return float(np.mean([100 * rates[-1] for rates in found])) if found and all(found) else None
