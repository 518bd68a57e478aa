"""The papers' printed tables, transcribed: one CSV per table."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyhisto.tables.table import Spread

FOLDER = Path(__file__).parent / "tables"

MAGNIFICATIONS = ("40", "100", "200", "400")


@dataclass(frozen=True)
class Printed:
    """One of the papers' tables."""

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
COMPARISON = Printed("table8_breakhis_comparison", "Table 8: BreaKHis, methods compared", None)
ASSEMBLING = Printed("table9_bach_assembling", "Table 9: BACH, five models", 0)
COST = Printed("table7_cost", "Table 7: weights and FLOPs", None)
LOOPS = Printed("fig10_loops", "Fig. 10: accuracy over loops", 0.8)


def read_printed(printed: Printed) -> list[dict[str, str]]:
    """The rows of one of the papers' tables, as text."""
    with open(FOLDER / f"{printed.name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_at(record: Mapping[str, str], magnification: str) -> Spread:
    """What a row prints at a magnification."""
    return Spread(float(record[f"{magnification}X"]), float(record[f"{magnification}X_std"]))
