"""The tables of the compared methods: beside the hybrid network, every model, and what they cost."""

from collections.abc import Sequence

from pyhisto.evaluation.folds import INTERVALS, SPREAD_NOTE, mean_majority, mean_over_folds, summarize_folds
from pyhisto.evaluation.score_tables import (
    INTERVAL_NOTE,
    MAIN_COLUMNS,
    MAJORITY_NOTE,
    SCORE_NOTES,
    main_cells,
    measure_column,
)
from pyhisto.study.compared.methods import Method
from pyhisto.study.compared.scores import PATCH_RULE, MethodFolds, ScoredMethod
from pyhisto.study.paper.printed import COST, read_printed
from pyhisto.tables.table import Cell, Column, Table

COSTS_AS = {"32": "spanhol2016_32x32", "64": "spanhol2016_64x64", "bayramoglu2016": "bayramoglu2016"}
"""How a network's folder begins -> its row in Table 7."""

CONTROL = "colour"
"""The folder of what no paper compares with: how far the images' colour alone goes."""

CONTROL_NOTE = (
    "The control is a logistic regression on the mean and deviation of an image's L, a and b, which Reinhard's stain "
    "normalisation makes equal. What saw images as they are and is no better may have learnt the slides' colours."
)

COST_NOTES = (
    "Millions; one forward pass of one patch or image. Table 7's 0.55 of [11] is not its number of weights: 145,058 "
    "numbers of 4 bytes are 0.553 MiB (32x32; the 64x64 network has 1.30), while its own 3.77 M are numbers. "
    "47.4 and 188.5 are 1.9 times its FLOPs; no reading that was tried gives them (benchmarks/table7_compared.py).",
    "The widths of [17] are not printed by the paper: those of the network of Levi & Hassner 2015 are taken, "
    "which has the same three kernels.",
)


def compared_table(rows: Sequence[MethodFolds]) -> Table:
    """Every method beside the hybrid network, on the same images."""
    columns = [
        *map(Column, ("magnification", "method", "decision", "folds", "images", "patients", "majority", "IL", "PL")),
        measure_column("kappa"),
        measure_column("PPV"),
    ]
    cells: list[list[Cell]] = [
        [
            row.magnification,
            row.label,
            row.decision,
            len(row.folds) if len(row.folds) > 1 else None,
            row.images,
            row.patients,
            mean_majority(row.scores),
            *(summarize_folds(row.scores, measure) for measure in INTERVALS),
            *(mean_over_folds(row.scores, measure) for measure in ("kappa", "PPV")),
        ]
        for row in rows
    ]
    several = any(len(row.folds) > 1 for row in rows)
    notes = [
        "kappa as it is, the rest in percent; the same test images for all methods. "
        + (SPREAD_NOTE if several else INTERVAL_NOTE),
        MAJORITY_NOTE,
        *([CONTROL_NOTE] if any(row.name == CONTROL for row in rows) else []),
    ]
    return Table("compared", "Compared methods on the same images", columns, cells, notes).without_empty_columns()


def models_table(methods: Sequence[ScoredMethod]) -> Table:
    """Every model of every method in every fold, its fusions, and its patches by every rule."""
    columns = [*map(Column, ("magnification", "fold", "bag", "method", "model")), *MAIN_COLUMNS]
    columns += [measure_column(measure) for measure in ("PPV", "F1", "AUC")]
    cells: list[list[Cell]] = [
        [
            *(each.method.levels.get(level) for level in ("magnification", "fold", "bag")),
            each.method.label,
            model,
            *main_cells(s),
            100 * s.ppv,
            100 * s.f1,
            s.auc,
        ]
        for each in methods
        for model, s in {**each.rows, **each.by_rule}.items()
    ]
    notes = [f"Patches are merged by {PATCH_RULE} if nothing else is said.", *SCORE_NOTES]
    return Table("compared_models", "Compared methods: every model", columns, cells, notes).without_empty_columns()


def cost_table(methods: Sequence[Method]) -> Table:
    """Weights and FLOPs of every compared network beside Table 7's rows."""
    columns = [Column("method"), Column("network"), Column("weights", 3), Column("paper weights", 2)]
    columns += [Column("FLOPs"), Column("paper FLOPs")]
    printed = {record["method"]: record for record in read_printed(COST) if not record["pruning_ratio"]}
    cells: dict[tuple[str, str], list[Cell]] = {}
    for method in methods:
        for folder, cost in method.costs.items():
            begins = folder.partition("_")[0]
            record = printed.get(COSTS_AS.get(begins, ""), {})
            network = f"{begins}x{begins}" if begins.isdigit() else None
            cells[method.label, begins] = [
                method.label,
                network,
                cost.weights / 1e6,
                float(record["weights_M"]) if record else None,
                cost.flops / 1e6,
                float(record["flops_M"]) if record else None,
            ]
    title = f"{COST.title} of the compared networks"
    return Table("table7_compared", title, columns, list(cells.values()), COST_NOTES).without_empty_columns()
