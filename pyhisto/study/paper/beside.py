"""The paper's printed numbers, ours beside them, and where the paper contradicts itself."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhisto.evaluation.metrics import majority_rate
from pyhisto.evaluation.strategies import PRINTED
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored, groups, over_folds
from pyhisto.tables.table import Cell, Column, Spread, Table, central

FOLDER = Path(__file__).parent / "tables"
"""The printed tables, transcribed: one CSV a table."""

BESIDE_NOTE = (
    "Mean ± standard deviation over folds (ours: n - 1); of one fold its value, IL and PL with their 95% intervals. "
    "diff: ours minus paper's."
)

MAGNIFICATIONS = ("40", "100", "200", "400")

MAJORITY = "majority rate"
BENIGN_PPV = "PPV (benign)"
MEASURE_OF = {BENIGN_PPV: "NPV"}
"""Rows that stand beside the printed numbers of another name; see CONTRADICTIONS."""


@dataclass(frozen=True)
class Printed:
    """One of the paper's tables."""

    name: str
    title: str
    ratio: float | None
    """The pruning ratio of the networks in it."""


BREAKHIS = (
    Printed("table3_breakhis", "Table 3: BreaKHis, before pruning", 0),
    Printed("table4_breakhis_f1", "Table 4: F1, precision and recall on BreaKHis, before pruning", 0),
    Printed("table5_pruned50", "Table 5: BreaKHis, 50% of the channels pruned", 0.5),
    Printed("table6_pruned50_f1", "Table 6: F1, precision and recall, 50% of the channels pruned", 0.5),
)
BACH = Printed("table2_bach", "Table 2: BACH", 0)
ASSEMBLING = Printed("table9_bach_assembling", "Table 9: BACH, five models", 0)
COST = Printed("table7_cost", "Table 7: weights and FLOPs", None)
LOOPS = Printed("fig10_loops", "Fig. 10: accuracy over loops", 0.8)

CONTRADICTIONS = (
    (
        "PPV and precision",
        "Eq. 12 defines PPV as TP / (TP + FP), which is precision. Yet Tables 3 and 4 print different numbers for "
        "the two, up to 12 points apart (73.4 and 85.2 in strategy 1, 200X). IL, precision and recall together give "
        "the confusion matrix, and its TN / (TN + FN) is within 2.5 points of Table 3's PPV in all twelve cells: "
        "Table 3 takes benign as the positive class, Table 4 malignant. Here PPV is eq. 12 with malignant positive, "
        "and the negative predictive value (NPV) stands beside Table 3 as well.",
    ),
    (
        "1856 or 2384 channels",
        "Table 1 gives the tail 1856 channels: 832 + 512 + 512, the blocks 4e, 4b and 4c. Its note says that it joins "
        "4c to 4e with 4d, whose 528 channels cannot be in that sum; the authors' published network joins 4e, 4b, 4c "
        "and 4d: 2384. Both can be generated (variants paper and released).",
    ),
    (
        "Table 1's parameters",
        "The Params column of Table 1 does not follow from the shapes beside it. Table 7 does: its 3.77 M weights and "
        "2920.3 M FLOPs are reproduced exactly.",
    ),
    (
        "Eq. 6 and its text",
        "TH = mean + standard deviation + k: a larger k gives a higher threshold. The text says that a lower k does.",
    ),
    (
        "Table 7's row of [11]",
        "Its 0.55 M weights are the 32x32 network's size in MiB (145,058 numbers of 4 bytes are 0.553 MiB), while the "
        "3.77 M of the paper's own network are a number; the 64x64 network has more weights, and the same 0.55 is "
        "printed. Its 47.4 and 188.5 M FLOPs are 1.9 times what the networks cost; none of the 82,944 readings that "
        "benchmarks/table7_compared.py tries gives them.",
    ),
    (
        "More loops, better accuracy",
        "The text says that accuracy rises with the loops R. Fig. 10 shows 85.1, 87.8, 87.7 and 88.3% for R = 1 .. 4: "
        "from 2 to 3 it falls, and the steps after the first are below the spread over folds in Table 3.",
    ),
    (
        "Cancer images",
        "Eq. 9 and 11 speak of the number of cancer images. Taken at their word they would be recall. The share of "
        "malignant images that follows from the printed IL, precision and recall is that of the data set (two thirds) "
        "only if IL counts benign images too; so it does here.",
    ),
    (
        "Learning rate",
        'It "decreases exponentially every 10000 iterations": by how much is not printed. The solvers here use 0.1.',
    ),
)
"""(heading, text): what does not agree with itself in the paper, and what is done here."""


def read_printed(printed: Printed) -> list[dict[str, str]]:
    """The rows of one of the paper's tables, as text."""
    with open(FOLDER / f"{printed.name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def comparisons(results: Results, scored: Sequence[Scored], assembled: Sequence[Scored]) -> list[Table]:
    """Our values beside the printed ones, for the paper's data sets; never for synthetic data.

    `assembled` are the scores of several bags' models merged.
    """
    if results.settings.get("synthetic"):
        return []
    dataset = results.settings.get("dataset")
    tables = []
    if dataset == "breakhis":
        tables = [_by_magnification(printed, _folds(scored, printed, results)) for printed in BREAKHIS]
    elif dataset == "bach":
        tables = [
            _bach(_folds(scored, BACH, results).get(None, [])),
            _assembling(_folds([*scored, *assembled], ASSEMBLING, results).get(None, [])),
        ]
    tables.append(_cost(results, scored))
    return [table for table in tables if table.rows]


def pruning_ratio(one: Scored, settings: Mapping[str, object]) -> float | None:
    """A stage's pruning ratio O: its own setting; else 0 before, and the run's ratio after pruning."""
    named: Mapping[str, object] = {"before": 0.0, "after": settings.get("ratio")}
    value = one.stage.settings.get("ratio", named.get(one.stage.name))
    return float(value) if isinstance(value, int | float) else None


def _folds(scored: Sequence[Scored], printed: Printed, results: Results) -> dict[str | None, list[Scored]]:
    """Magnification -> the folds of the first stage whose pruning ratio is that of the printed table."""
    found: dict[str | None, list[Scored]] = {}
    for magnification, _, folds in groups(scored):
        if pruning_ratio(folds[0], results.settings) == printed.ratio:
            found.setdefault(magnification, folds)
    return found


def _by_magnification(printed: Printed, folds: dict[str | None, list[Scored]]) -> Table:
    present = [magnification for magnification in MAGNIFICATIONS if magnification in folds]
    columns = [Column("measure"), Column("strategy")]
    rows: list[list[Cell]] = []
    for record in _with_benign_ppv(read_printed(printed)):
        measure, strategy = record["metric"], record["strategy"]
        cells = []
        for magnification in present:
            paper = Spread(float(record[f"{magnification}X"]), float(record[f"{magnification}X_std"]))
            cells += _beside(folds[magnification], strategy, measure, paper)
        if any(cell is not None for cell in cells[::3]):
            rows.append([measure, strategy, *cells])
    if any(row[0] == "IL" for row in rows):
        rows.insert(0, majority_row([mean_majority(folds[magnification]) for magnification in present]))
    for magnification in present:
        columns += [
            Column(f"{magnification}X"),
            Column(f"{magnification}X paper"),
            Column(f"{magnification}X diff"),
        ]
    return _finished(printed, columns, rows)


def _bach(folds: list[Scored]) -> Table:
    columns = [Column("measure"), Column("strategy"), Column("ours"), Column("paper"), Column("diff")]
    rows: list[list[Cell]] = []
    for measure in ("IL", "PL", "kappa", "PPV"):
        for record in read_printed(BACH):
            paper = Spread(float(record[measure]), float(record[f"{measure}_std"]))
            cells = _beside(folds, record["strategy"], measure, paper)
            if cells[0] is not None:
                rows.append([measure, record["strategy"], *cells])
    if rows:
        rows.insert(0, majority_row([mean_majority(folds)]))
    return _finished(BACH, columns, rows)


def _assembling(folds: list[Scored]) -> Table:
    columns = [Column("measure"), Column("fusion"), Column("ours"), Column("paper"), Column("diff")]
    rows: list[list[Cell]] = []
    for record in read_printed(ASSEMBLING):
        fusion = {"hybrid + assembling (Sum)": "sum", "hybrid + assembling (Max)": "max"}.get(record["strategy"])
        for measure in ("PL", "IL", "kappa", "PPV") if fusion else ():
            cells = _beside(folds, "3", measure, Spread(float(record[measure]), float("nan")), fusion)
            if cells[0] is not None:
                rows.append([measure, str(fusion), *cells])
    return _finished(ASSEMBLING, columns, rows)


def _cost(results: Results, scored: Sequence[Scored]) -> Table:
    """Table 7: of the full-width network, one branch, which is what it counts."""
    printed = {float(record["pruning_ratio"]): record for record in read_printed(COST) if record["pruning_ratio"]}
    names = ("weights", "paper weights", "weights diff", "FLOPs", "paper FLOPs", "FLOPs diff")
    columns = [Column("pruning ratio", 2), *(Column(name, 2 if "weights" in name else 1) for name in names)]
    rows: list[list[Cell]] = []
    for one in scored if results.settings.get("width") == 1 else ():
        ratio = pruning_ratio(one, results.settings)
        branch = next((b for b in one.stage.branches.values() if b.weights and b.flops), None)
        if ratio in printed and branch is not None and all(row[0] != ratio for row in rows):
            cells: list[Cell] = [ratio]
            for ours, name in ((branch.weights, "weights_M"), (branch.flops, "flops_M")):
                millions, paper = float(ours or 0) / 1e6, float(printed[ratio][name])
                cells += [millions, paper, millions - paper]
            rows.append(cells)
    return Table(COST.name, f"{COST.title}, beside the paper", columns, rows, ["Millions; one branch."])


def _beside(
    folds: Sequence[Scored], strategy: str, measure: str, paper: Spread, fusion: str | None = None
) -> list[Cell]:
    """Ours, the paper's, and the difference; all None where we have no such value."""
    names = {printed: name for name, printed in PRINTED.items()}
    ours = over_folds(folds, names.get(strategy, strategy), MEASURE_OF.get(measure, measure), fusion)
    return [None, None, None] if ours is None else [ours, paper, central(ours) - paper.mean]


def mean_majority(folds: Sequence[Scored]) -> float:
    """The mean over folds of what always naming the most frequent class reaches, in percent."""
    return 100 * float(np.mean([majority_rate(one.labels) for one in folds]))


def majority_row(rates: Sequence[float | None]) -> list[Cell]:
    """The row of a table beside the paper that no network is needed for; the paper prints none."""
    return [MAJORITY, None, *(cell for rate in rates for cell in (rate, None, None))]


def _with_benign_ppv(records: list[dict[str, str]]) -> list[dict[str, str]]:
    return records + [{**record, "metric": BENIGN_PPV} for record in records if record["metric"] == "PPV"]


def _finished(printed: Printed, columns: list[Column], rows: list[list[Cell]]) -> Table:
    """The table, kappa with three decimals, as it is printed."""
    notes = [BESIDE_NOTE]
    if any(row[0] == MAJORITY for row in rows):
        notes.append("majority rate: IL of always naming the most frequent class of the test images.")
    if any(row[0] == BENIGN_PPV for row in rows):
        notes.append(f"{BENIGN_PPV}: our TN / (TN + FN) beside the PPV that is printed; see the contradictions.")
    kappa = frozenset(number for number, row in enumerate(rows) if row[0] == "kappa")
    return Table(printed.name, f"{printed.title}, beside the paper", columns, rows, notes, kappa)
