"""All that a report shows, before it is a page: tables, figures, and what a reader must know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.roots import FollowedRoot
from pyhisto.study.breakdown import Mistake, count_confusions, find_mistakes, judge_patients
from pyhisto.study.breakdown_figures import draw_confusion, draw_mistakes
from pyhisto.study.breakdown_tables import confusion_table, mistakes_table, patient_table
from pyhisto.study.calibration import calibration_table, draw_calibration, read_calibration
from pyhisto.study.collapse import collapse_table, draw_collapse, read_collapse
from pyhisto.study.compared.comparison import compare_methods
from pyhisto.study.compression_figures import draw_compression
from pyhisto.study.figures import MAX_STAGES, draw_figures
from pyhisto.study.importance import importance_table, remark_on_importance
from pyhisto.study.paper.beside import compare_with_paper
from pyhisto.study.paper.eva import eva_table
from pyhisto.study.paper.orderings import orderings_table
from pyhisto.study.paper.protocol import protocol_table
from pyhisto.study.remarks import (
    remark_on_missing,
    remark_on_paper,
    remark_on_rates,
    remark_on_splits,
    remark_on_stains,
    remark_on_times,
)
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored, has_several_folds, score_assembled
from pyhisto.study.splits_tables import missing_table, splits_table
from pyhisto.study.steps import remark_on_steps, score_steps, steps_table
from pyhisto.study.summary_tables import assembled_table, mean_table, score_table, summary_table
from pyhisto.study.variants import Variant, remark_on_variants, variants_table
from pyhisto.tables.drawing import Drawing
from pyhisto.tables.table import Table


@dataclass(frozen=True)
class Content:
    """Tables, figures and remarks, by the part of the report in which they stand."""

    main: Sequence[Table]
    steps: Sequence[Table]
    """Of pruning."""
    data: Sequence[Table]
    beside: Sequence[Table]
    orderings: Sequence[Table]
    breakdown: Sequence[Table]
    details: Sequence[Table]
    figures: Sequence[Drawing]
    mistakes: Sequence[Drawing]
    """Figures of the wrong decisions."""
    remarks: Mapping[str, Sequence[str]]
    """Section -> what a reader is to know before its figures; "" is the whole page."""

    @property
    def tables(self) -> list[Table]:
        """All tables, the summary first."""
        return [*self.main, *self.steps, *self.orderings, *self.data, *self.breakdown, *self.details, *self.beside]


def gather_content(
    results: Results, scored: Sequence[Scored], root: Path | None, other: Variant | None = None
) -> Content:
    """Everything for which the results folder has the data.

    `root` is where the test images lie, if not where run.json says. `other` is a run under another protocol, to stand
    beside this one. Raises InputError if a file is at fault, or an image is not under `root`.
    """
    assembled = score_assembled(results)
    variants = [Variant(results, scored, assembled), other] if other is not None else []
    compared = compare_methods(results, scored)
    steps = score_steps(results)
    collapse, calibration = read_collapse(results.folder), read_calibration(results.folder)
    beside = [*compare_with_paper(results, scored, assembled), *compared.beside]
    protocol = protocol_table(results) if beside else None
    matrices, mistakes = count_confusions(scored), list(find_mistakes(scored))
    first_stages = list(dict.fromkeys(one.stage.label for one in scored))[:MAX_STAGES]
    sheet, no_pictures = _draw_sheet(mistakes, results, root)
    return Content(
        main=_present(
            summary_table(scored),
            assembled_table(scored, assembled) if assembled else None,
            variants_table(variants) if variants else None,
            eva_table(results, scored),
            *compared.main,
        ),
        steps=_present(steps_table(steps, scored)),
        data=_present(missing_table(results), splits_table(results)),
        beside=_present(protocol, *beside),
        orderings=_present(orderings_table(results, scored)),
        breakdown=[
            confusion_table(matrices, results),
            patient_table(judge_patients(scored), results),
            mistakes_table(mistakes, results),
        ],
        details=_present(
            score_table(scored),
            mean_table(scored) if has_several_folds(scored) else None,
            *compared.details,
            collapse_table(collapse) if collapse else None,
            calibration_table(calibration) if calibration else None,
            importance_table(results),
        ),
        figures=[
            *compared.drawings,
            *draw_compression(results, scored),
            *draw_figures(results, scored),
            *([draw_collapse(collapse)] if collapse else []),
            *([draw_calibration(calibration)] if calibration else []),
        ],
        mistakes=[
            draw_confusion([one for one in matrices if one.stage in first_stages], results),
            *([sheet] if sheet else []),
        ],
        remarks={
            "": [*remark_on_missing(results)],
            "result": [
                *remark_on_rates(scored),
                *(remark_on_variants(variants) if variants else ()),
                *remark_on_times(scored),
            ],
            "steps": [*remark_on_steps(steps)],
            "data": [*remark_on_stains(results), *remark_on_splits(results)],
            "figures": [*remark_on_importance(results)],
            "paper": [*remark_on_paper(beside, scored, protocol is not None)],
            "wrong": no_pictures,
        },
    )


def _present(*tables: Table | None) -> list[Table]:
    """The tables that there are."""
    return [table for table in tables if table is not None]


def _draw_sheet(mistakes: Sequence[Mistake], results: Results, root: Path | None) -> tuple[Drawing | None, list[str]]:
    """Pictures of the first stage's mistakes, or why there are none."""
    first = [mistake for mistake in mistakes if mistake.stage == mistakes[0].stage]
    named = results.settings.get("root")
    kind = FollowedRoot if results.settings.get("follow_links") is True else Path
    if not first:
        return None, []
    if root is None and not isinstance(named, str):
        return None, ["No pictures of the mistakes: give tools/report.py --root, the folder of the images."]
    try:
        return draw_mistakes(first, results, root or kind(str(named))), []
    except InputError as error:
        if root is not None:
            raise
        return None, [f"No pictures of the mistakes: {error}. Give tools/report.py --root, the folder of the images."]
