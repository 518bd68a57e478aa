"""BreaKHis as kaiko-ai/eva poses it: our balanced accuracy beside that of the foundation models on its leaderboard."""

from collections.abc import Sequence

from pyhisto.evaluation.folds import mean_over_folds
from pyhisto.study.results import Results
from pyhisto.study.scores import SUMMARY, Scored, find_scores, group_folds
from pyhisto.tables.table import Cell, Column, Table

DATASET = "breakhis-eva"

PUBLISHED = {"UNI2-h": 85.9, "ViT-L14": 83.7, "Virchow2": 82.1, "UNI": 78.5, "Phikon": 71.7}
"""Foundation model -> balanced accuracy in percent, of a linear probe on its frozen features (eva's leaderboard)."""


def eva_table(results: Results, scored: Sequence[Scored]) -> Table | None:
    """Every stage and strategy, and the published models; None for another data set."""
    if results.settings.get("dataset") != DATASET:
        return None
    rows: list[list[Cell]] = [
        [f"{group.label}, {name}", mean_over_folds(found, "balanced"), mean_over_folds(found, "IL"), None]
        for group in group_folds(scored)
        for strategy, name in SUMMARY.items()
        if (found := find_scores(group.folds, strategy))
    ]
    rows += [[f"{model} (published)", rate, None, "linear probe"] for model, rate in PUBLISHED.items()]
    columns = [Column("model"), Column("balanced"), Column("IL"), Column("how")]
    notes = [
        "Balanced accuracy and IL in percent, on the 339 images that eva calls validation. The published models learnt "
        "features of millions of other images and a linear classifier of these 1132; the networks here learnt of the "
        "1132 alone, if no published weights are named."
    ]
    return Table("eva", "Beside foundation models (kaiko-ai/eva)", columns, rows, notes)
