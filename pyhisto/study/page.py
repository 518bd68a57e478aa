"""The page of a study's report: what stands in which section."""

from collections.abc import Sequence
from pathlib import Path

from pyhisto.evaluation.remarks import SYNTHETIC
from pyhisto.study.content import Content
from pyhisto.study.paper.contradictions import CONTRADICTIONS
from pyhisto.study.results import Results
from pyhisto.study.scores import Scored
from pyhisto.tables.pages import Block, Gallery, Page, Paragraph, Picture, Section, TableBlock, tabulate_seconds
from pyhisto.tables.table import Table

MAX_EXAMPLES = 24
PATCH = 400
"""An example image of more pixels a side is a sheet of several."""


def make_page(
    results: Results,
    scored: Sequence[Scored],
    content: Content,
    figures: Sequence[Picture],
    mistakes: Sequence[Picture],
) -> Page:
    """The report; `figures` and `mistakes` are the content's drawings, saved."""
    settings, remarks = results.settings, content.remarks
    synthetic = bool(settings.get("synthetic"))
    not_compared = Paragraph(
        "Not compared: the data are synthetic."
        if synthetic
        else 'Not compared: run.json does not say "dataset": "breakhis" or "bach".'
    )
    contradictions = [Paragraph(each.text, each.heading) for each in CONTRADICTIONS]
    return Page(
        title=str(settings.get("title", "Results")),
        banner=SYNTHETIC if synthetic else "",
        lead=_describe_data(results, scored),
        sections=[
            Section("result", "Result", _show(content.main), remarks["result"]),
            Section("steps", "The steps of pruning", _show(content.steps), remarks["steps"]),
            Section("data", "Data", _fold(content.data), remarks["data"]),
            Section("paper", "Beside the paper", _show(content.beside) or [not_compared], remarks["paper"]),
            Section("orderings", "The paper's orderings", _show(content.orderings)),
            Section("wrong", "What was named wrongly", [*mistakes, *_fold(content.breakdown)], remarks["wrong"]),
            Section("figures", "Figures", figures),
            Section("examples", "Example patches", _show_examples(results.examples)),
            Section("strategies", "All measures", _fold(content.details)),
            Section("contradictions", "Contradictions in the paper", contradictions),
            Section("time", "Time", tabulate_seconds(settings.get("seconds"))),
        ],
        settings=settings,
        program="tools/report.py",
        remarks=remarks[""],
    )


def _show(tables: Sequence[Table]) -> list[Block]:
    return [TableBlock(table) for table in tables]


def _fold(tables: Sequence[Table]) -> list[Block]:
    return [TableBlock(table, folded=True) for table in tables]


def _describe_data(results: Results, scored: Sequence[Scored]) -> list[str]:
    """What data, how much of it, and which kind of patient."""
    first: dict[tuple[str | None, str | None], Scored] = {}
    for one in scored:
        first.setdefault((one.experiment.fold, one.experiment.magnification), one)
    images = sum(len(one.labels) for one in first.values())
    patients = len(frozenset().union(*(one.patients for one in first.values())))
    runs = f" in {len(first)} folds and magnifications" if len(first) > 1 else ""
    kind = _to_sentence(str(results.settings.get("patients", "patients as the manifest names them")))
    data = _to_sentence(str(results.settings.get("data", "")))
    return [*([data] if data else []), f"Tested on {images} images of {patients} patients{runs}. {kind}"]


def _to_sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text and text[0].upper() + text[1:].rstrip(".") + "."


def _show_examples(paths: Sequence[Path]) -> list[Block]:
    """Single patches side by side; whole sheets of them as wide as the page."""
    small = [path for path in paths if _read_width(path) <= PATCH]
    large = [path for path in paths if path not in small]
    blocks: list[Block] = []
    if small:
        blocks.append(Gallery([Picture(path, _caption(path)) for path in small[:MAX_EXAMPLES]]))
    if len(small) > MAX_EXAMPLES:
        blocks.append(Paragraph(f"{len(small) - MAX_EXAMPLES} more are in the folder examples."))
    return [*blocks, *(Picture(path, _caption(path)) for path in large)]


def _caption(path: Path) -> str:
    return path.stem.replace("_", " ")


def _read_width(png: Path) -> int:
    """A PNG's width in pixels: the first field of its first chunk."""
    with open(png, "rb") as file:
        return int.from_bytes(file.read(20)[16:20])
