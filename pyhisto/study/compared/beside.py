"""The paper's tables of the compared methods, ours beside them: Table 8 (BreaKHis) and Table 9 (BACH)."""

from collections.abc import Iterator, Sequence

from pyhisto.evaluation.folds import mean_majority, spread_over_folds, summarize_folds
from pyhisto.study.compared.scores import PRINTED_AS, MethodFolds, ScoredMethod
from pyhisto.study.paper.beside import BESIDE_NOTE, beside_cells, beside_columns, majority_row
from pyhisto.study.paper.printed import ASSEMBLING, COMPARISON, MAGNIFICATIONS, read_at, read_printed
from pyhisto.study.results import Results
from pyhisto.tables.table import Cell, Column, Table

NOTES = (f"{BESIDE_NOTE} Dashes: not printed, or not run.",)
SPANHOL_2016 = "spanhol2016"


def compare_with_paper(
    results: Results, methods: Sequence[ScoredMethod], rows: Sequence[MethodFolds]
) -> Iterator[Table]:
    """The paper's tables of accuracy for which there is something; never for synthetic data."""
    dataset = None if results.settings.get("synthetic") else results.settings.get("dataset")
    if dataset == "breakhis":
        yield table_8(rows)
    if dataset == "bach" and any(each.method.name == SPANHOL_2016 for each in methods):
        yield table_9(methods)


def table_8(rows: Sequence[MethodFolds]) -> Table:
    """Table 8 (BreaKHis) beside the paper: PL and IL of every method at every magnification."""
    by_key = {(row.magnification, row.name): row for row in rows}
    present = [magnification for magnification in MAGNIFICATIONS if any(r.magnification == magnification for r in rows)]
    columns = [Column("measure"), Column("method"), *beside_columns(present)]
    printed = {(record["metric"], record["method"]): record for record in read_printed(COMPARISON)}
    cells: list[list[Cell]] = [majority_row([_majority(rows, magnification) for magnification in present])]
    for measure in ("PL", "IL"):
        for name, label in dict.fromkeys((row.name, row.label) for row in rows if row.name in PRINTED_AS):
            record = printed.get((measure, PRINTED_AS[name]))
            line: list[Cell] = [measure, label]
            for magnification in present:
                row = by_key.get((magnification, name))
                paper = None if record is None else read_at(record, magnification)
                line += beside_cells(None if row is None else summarize_folds(row.scores, measure), paper)
            cells.append(line)
    return Table(COMPARISON.name, f"{COMPARISON.title}, beside the paper", columns, cells, NOTES)


def table_9(methods: Sequence[ScoredMethod]) -> Table:
    """Table 9 (BACH) beside the paper: the four models of [11], and Max fusion of them; Sum and Product are ours."""
    columns = [Column("measure"), Column("strategy"), Column("ours"), Column("paper"), Column("diff")]
    printed = {record["strategy"]: record for record in read_printed(ASSEMBLING)}
    folds = [each for each in methods if each.method.name == SPANHOL_2016]
    cells: list[list[Cell]] = []
    for measure in ("PL", "IL", "kappa", "PPV"):
        for strategy in dict.fromkeys(row for each in folds for row in each.rows):
            ours = [each.rows[strategy] for each in folds if strategy in each.rows]
            paper = float(printed[strategy][measure]) if strategy in printed else None
            cells.append([measure, strategy, *beside_cells(spread_over_folds(ours, measure), paper)])
    kappa = frozenset(number for number, row in enumerate(cells) if row[0] == "kappa")
    title = f"{ASSEMBLING.title}: method [11], beside the paper"
    return Table("table9_spanhol2016", title, columns, cells, NOTES, kappa)


def _majority(rows: Sequence[MethodFolds], magnification: str) -> float | None:
    """That of the methods' test images at a magnification: they are the same."""
    scores = [s for row in rows if row.magnification == magnification for s in row.scores]
    return mean_majority(scores) if scores else None
