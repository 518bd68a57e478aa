"""Our scores and costs beside the paper's printed numbers."""

from collections.abc import Sequence

from pyhisto.evaluation.folds import mean_majority, summarize_folds
from pyhisto.evaluation.strategies import PRINTED
from pyhisto.study.paper.printed import (
    ASSEMBLING,
    BACH,
    BREAKHIS,
    COST,
    MAGNIFICATIONS,
    Printed,
    read_at,
    read_printed,
)
from pyhisto.study.results import Results, pruning_ratio
from pyhisto.study.scores import Scored, find_scores, group_folds
from pyhisto.tables.table import Cell, Column, Estimate, Spread, Table, central_value

BESIDE_NOTE = (
    "Mean ± standard deviation over folds (ours: n - 1); of one fold its value, IL and PL with their 95% intervals. "
    "diff: ours minus paper's."
)

MAJORITY = "majority rate"
BENIGN_PPV = "PPV (benign)"
MEASURE_OF = {BENIGN_PPV: "NPV"}
"""Rows that stand beside the printed numbers of another name; see CONTRADICTIONS."""


def compare_with_paper(results: Results, scored: Sequence[Scored], assembled: Sequence[Scored]) -> list[Table]:
    """Our values beside the printed ones, for the paper's data sets; never for synthetic data.

    `assembled` are the scores of several bags' models merged.
    """
    if results.settings.get("synthetic"):
        return []
    dataset = results.settings.get("dataset")
    tables = []
    if dataset == "breakhis":
        tables = [_breakhis_table(printed, _find_folds(scored, printed, results)) for printed in BREAKHIS]
    elif dataset == "bach":
        tables = [
            _bach_table(_find_folds(scored, BACH, results).get(None, [])),
            _assembling_table(_find_folds([*scored, *assembled], ASSEMBLING, results).get(None, [])),
        ]
    tables.append(_cost_table(results, scored))
    return [table for table in tables if table.rows]


def beside_cells(ours: Estimate | Spread | None, paper: Spread | float | None) -> list[Cell]:
    """Ours, the paper's, and the difference; each None if there is no such value."""
    printed = paper.mean if isinstance(paper, Spread) else paper
    return [ours, paper, None if ours is None or printed is None else central_value(ours) - printed]


def beside_columns(magnifications: Sequence[str]) -> list[Column]:
    """The columns of `beside_cells` at each magnification."""
    return [Column(f"{name}X{which}") for name in magnifications for which in ("", " paper", " diff")]


def majority_row(rates: Sequence[float | None]) -> list[Cell]:
    """The row of a table beside the paper that no network is needed for; the paper prints none."""
    return [MAJORITY, None, *(cell for rate in rates for cell in (rate, None, None))]


def _find_folds(scored: Sequence[Scored], printed: Printed, results: Results) -> dict[str | None, list[Scored]]:
    """Magnification -> the folds of the first stage whose pruning ratio is that of the printed table."""
    found: dict[str | None, list[Scored]] = {}
    for magnification, _, folds in group_folds(scored):
        if pruning_ratio(folds[0].stage, results) == printed.ratio:
            found.setdefault(magnification, folds)
    return found


def _breakhis_table(printed: Printed, folds: dict[str | None, list[Scored]]) -> Table:
    present = [magnification for magnification in MAGNIFICATIONS if magnification in folds]
    rows: list[list[Cell]] = []
    for record in _with_benign_ppv(read_printed(printed)):
        measure, strategy = record["metric"], record["strategy"]
        ours = [_summarize(folds[magnification], strategy, measure) for magnification in present]
        if any(cell is not None for cell in ours):
            pairs = [
                beside_cells(cell, read_at(record, magnification) if cell is not None else None)
                for cell, magnification in zip(ours, present, strict=True)
            ]
            rows.append([measure, strategy, *(cell for pair in pairs for cell in pair)])
    if any(row[0] == "IL" for row in rows):
        rows.insert(0, majority_row([_mean_majority(folds[magnification]) for magnification in present]))
    return _finish(printed, [Column("measure"), Column("strategy"), *beside_columns(present)], rows)


def _bach_table(folds: list[Scored]) -> Table:
    columns = [Column("measure"), Column("strategy"), Column("ours"), Column("paper"), Column("diff")]
    rows: list[list[Cell]] = []
    for measure in ("IL", "PL", "kappa", "PPV"):
        for record in read_printed(BACH):
            ours = _summarize(folds, record["strategy"], measure)
            if ours is not None:
                paper = Spread(float(record[measure]), float(record[f"{measure}_std"]))
                rows.append([measure, record["strategy"], *beside_cells(ours, paper)])
    if rows:
        rows.insert(0, majority_row([_mean_majority(folds)]))
    return _finish(BACH, columns, rows)


def _assembling_table(folds: list[Scored]) -> Table:
    columns = [Column("measure"), Column("fusion"), Column("ours"), Column("paper"), Column("diff")]
    rows: list[list[Cell]] = []
    for record in read_printed(ASSEMBLING):
        fusion = {"hybrid + assembling (Sum)": "sum", "hybrid + assembling (Max)": "max"}.get(record["strategy"])
        for measure in ("PL", "IL", "kappa", "PPV") if fusion else ():
            ours = _summarize(folds, "3", measure, fusion)
            if ours is not None:
                rows.append([measure, fusion, *beside_cells(ours, Spread(float(record[measure]), float("nan")))])
    return _finish(ASSEMBLING, columns, rows)


def _cost_table(results: Results, scored: Sequence[Scored]) -> Table:
    """Table 7: of the full-width network, one branch, which is what it counts."""
    printed = {float(record["pruning_ratio"]): record for record in read_printed(COST) if record["pruning_ratio"]}
    names = ("weights", "paper weights", "weights diff", "FLOPs", "paper FLOPs", "FLOPs diff")
    columns = [Column("pruning ratio", 2), *(Column(name, 2 if "weights" in name else 1) for name in names)]
    rows: list[list[Cell]] = []
    for one in scored if results.settings.get("width") == 1 else ():
        ratio = pruning_ratio(one.stage, results)
        branch = next((b for b in one.stage.branches.values() if b.weights and b.flops), None)
        if ratio in printed and branch is not None and all(row[0] != ratio for row in rows):
            cells: list[Cell] = [ratio]
            for ours, name in ((branch.weights, "weights_M"), (branch.flops, "flops_M")):
                millions, paper = float(ours or 0) / 1e6, float(printed[ratio][name])
                cells += [millions, paper, millions - paper]
            rows.append(cells)
    return Table(COST.name, f"{COST.title}, beside the paper", columns, rows, ["Millions; one branch."])


def _summarize(
    folds: Sequence[Scored], strategy: str, measure: str, fusion: str | None = None
) -> Estimate | Spread | None:
    """Ours of a printed strategy and measure; None if no fold has it."""
    names = {printed: name for name, printed in PRINTED.items()}
    scores = find_scores(folds, names.get(strategy, strategy), fusion)
    return summarize_folds(scores, MEASURE_OF.get(measure, measure)) if scores else None


def _mean_majority(folds: Sequence[Scored]) -> float:
    """The same for all strategies: that of the test images."""
    return mean_majority([one.results[0].scores for one in folds])


def _with_benign_ppv(records: list[dict[str, str]]) -> list[dict[str, str]]:
    return records + [{**record, "metric": BENIGN_PPV} for record in records if record["metric"] == "PPV"]


def _finish(printed: Printed, columns: list[Column], rows: list[list[Cell]]) -> Table:
    """The table, kappa with three decimals, as it is printed."""
    notes = [BESIDE_NOTE]
    if any(row[0] == MAJORITY for row in rows):
        notes.append("majority rate: IL of always naming the most frequent class of the test images.")
    if any(row[0] == BENIGN_PPV for row in rows):
        notes.append(f"{BENIGN_PPV}: our TN / (TN + FN) beside the PPV that is printed; see the contradictions.")
    kappa = frozenset(number for number, row in enumerate(rows) if row[0] == "kappa")
    return Table(printed.name, f"{printed.title}, beside the paper", columns, rows, notes, kappa)
