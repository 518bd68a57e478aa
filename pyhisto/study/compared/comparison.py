"""What a report shows of the compared methods."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyhisto.study.compared.beside import compare_with_paper
from pyhisto.study.compared.figure import draw_compared
from pyhisto.study.compared.methods import read_methods
from pyhisto.study.compared.scores import group_methods, score_method
from pyhisto.study.compared.tables import compared_table, cost_table, models_table
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored
from pyhisto.tables.drawing import Drawing
from pyhisto.tables.table import Table


@dataclass(frozen=True)
class Comparison:
    """Tables and figures, by the part of a report in which they stand."""

    main: Sequence[Table] = ()
    details: Sequence[Table] = ()
    beside: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()


def compare_methods(results: Results, scored: Sequence[Scored]) -> Comparison:
    """Tables and figures of the compared methods in a results folder; empty if there are none."""
    methods = read_methods(results.folder)
    if not methods:
        return Comparison()
    scored_methods = [score_method(method) for method in methods]
    rows = group_methods(scored_methods, scored)
    drawing = draw_compared(rows)
    beside, cost = list(compare_with_paper(results, scored_methods, rows)), cost_table(methods)
    return Comparison(
        [compared_table(rows)],
        [models_table(scored_methods), *([cost] if cost.rows and not beside else [])],
        [*beside, *([cost] if cost.rows and beside else [])],
        [] if drawing is None else [drawing],
    )
