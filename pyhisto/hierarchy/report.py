"""Tables, figures and report.html of a tree's predictions, beside the paper's numbers and the flat network's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhisto.evaluation.folds import to_percent
from pyhisto.evaluation.remarks import SYNTHETIC
from pyhisto.files import write_text
from pyhisto.hierarchy.decide import PAPERS_ROUTING
from pyhisto.hierarchy.drawings import confusion_drawing, tree_drawing
from pyhisto.hierarchy.predictions import TreePredictions
from pyhisto.hierarchy.systems import Choice, SystemScore, discordant, score_node
from pyhisto.hierarchy.tree import FLAT, LEAVES, NODES
from pyhisto.study.paper.printed import Printed, read_printed
from pyhisto.tables.drawing import save_drawing
from pyhisto.tables.formats import write_tables
from pyhisto.tables.outputs import replaced_report
from pyhisto.tables.pages import Block, Page, Paragraph, Picture, Section, TableBlock, tabulate_seconds, to_html
from pyhisto.tables.table import Cell, Column, Table

TABLE_1 = Printed("kone2018_table1", "Table 1 of Kone & Boulmane 2018", None)
SIGNIFICANT = 0.05

GAP = (
    "The paper reports an accuracy of 0.99 on its own validation images and of 0.81 on the competition's: 1% and 19% "
    "of errors. Its split is image-wise, and BACH's photos name no patient, so that pictures of one patient, or of one "
    "slide, may lie on both sides; where the specialised networks start from was chosen on the very images that the "
    "0.99 is of; and its authors suspect overfitting themselves. Whatever is measured here on validation images has "
    "the same faults."
)

SPLITS = {
    "patient": "split by patient: nobody is on two sides",
    "slide": "split by slide, as no patient is known: the two sides may share patients",
    "image": "split image-wise, as in the paper: the two sides may share slides and patients, and the rates are those "
    "of images much like the training's",
}


@dataclass(frozen=True)
class Evaluation:
    """What a report is made of."""

    scores: Sequence[SystemScore]
    choices: Sequence[Choice]
    predictions: TreePredictions
    validation: TreePredictions | None
    split: str
    """Of the predictions: test, or val, which is what the paper reports."""


def write_report(folder: Path, evaluation: Evaluation, settings: Mapping[str, Any]) -> tuple[Path, list[Table]]:
    """Write tables/, figures/ and report.html under `folder`; returns the report's path and its tables.

    `settings` (run.json): title, data (a sentence), synthetic, dataset ("bach": the paper's numbers are put beside),
    seconds (step -> seconds); the rest is shown as it is.
    """
    tables = all_tables(evaluation, beside_paper=settings.get("dataset") == "bach" and not settings.get("synthetic"))
    trees = [score for score in evaluation.scores if score.system.is_tree and score.routing == PAPERS_ROUTING]
    drawn = [*map(tree_drawing, trees), *([confusion_drawing(evaluation.scores)] if evaluation.scores else [])]
    with replaced_report(folder) as made:
        write_tables(made, tables)
        figures = [Picture(save_drawing(drawing, made), drawing.caption) for drawing in drawn]
        write_text(made / "report.html", to_html(_make_page(evaluation, settings, tables, figures)))
    return folder / "report.html", tables


def _make_page(
    evaluation: Evaluation, settings: Mapping[str, Any], tables: Sequence[Table], figures: Sequence[Picture]
) -> Page:
    """What stands in which section of the report."""
    synthetic = bool(settings.get("synthetic"))
    by_name: dict[str, Block] = {table.name: TableBlock(table) for table in tables}
    not_compared = Paragraph(
        "Not compared: the data are synthetic."
        if synthetic
        else 'Not compared: run.json does not say "dataset": "bach".'
    )

    def present(*names: str) -> list[Block]:
        return [by_name[name] for name in names if name in by_name]

    results = [*present("tree_systems"), *map(Paragraph, verdicts(evaluation.scores))]
    gap = [Paragraph(text) for text in (GAP, split_sentence(evaluation)) if text]
    return Page(
        title=str(settings.get("title", "The tree of Kone & Boulmane 2018")),
        banner=SYNTHETIC if synthetic else "" if evaluation.split == "test" else VALIDATION,
        lead=[str(settings["data"])] if settings.get("data") else [],
        sections=[
            Section("result", "Result", results),
            Section("gap", "0.99 and 0.81", gap),
            Section("paper", "Beside the paper", present("tree_table1") or [not_compared]),
            Section("figures", "Figures", figures),
            Section("networks", "Every network", present("tree_networks", "tree_choices")),
            Section("time", "Time", tabulate_seconds(settings.get("seconds"))),
        ],
        settings=settings,
        program="tools/evaluate_tree.py",
    )


VALIDATION = (
    "These are validation images, as in the paper: networks were chosen by them, and the rates are better than those "
    "of images that nobody has seen."
)


def all_tables(evaluation: Evaluation, beside_paper: bool) -> list[Table]:
    """The tables for which there are data, the summary first."""
    tables = [*([systems_table(evaluation)] if evaluation.scores else []), networks_table(evaluation)]
    if evaluation.choices:
        tables.append(choices_table(evaluation.choices))
    if beside_paper:
        tables.append(table_1(evaluation.scores))
    return [*tables, *map(confusion_table, evaluation.scores)]


def systems_table(evaluation: Evaluation) -> Table:
    """One row a system: the whole system's rates, and each node's."""
    columns = [
        *(Column(name) for name in ("system", "routing", "images", "patients", "majority", "accuracy", "patient mean")),
        Column("kappa", 3),
        *(Column(node) for node in NODES),
    ]
    rows: list[list[Cell]] = []
    for score in evaluation.scores:
        nodes = {node.node: to_percent(node.rate, node.interval) for node in score.nodes}
        rows.append(
            [
                score.system.name,
                score.routing if score.system.is_tree else None,
                score.images,
                len(set(score.patients.tolist())),
                100 * score.majority,
                to_percent(score.rate, score.interval),
                to_percent(score.patient_rate, score.patient_interval),
                score.kappa,
                *(nodes.get(node) for node in NODES),
            ]
        )
    kinds = Counter(evaluation.predictions.pathologies)
    notes = [
        f"{evaluation.split} images: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()) + ".",
        "Percent, kappa as it is. majority: naming the most frequent of the four classes each time. In brackets, 95% "
        "intervals: Wilson's, which takes images as independent; of the patients' mean, a bootstrap over patients.",
        "routing path: each node's more probable answer says who asks next, as in the paper; product: probabilities "
        "along a way are multiplied. Carci, NorBe, InvIs: the node's own accuracy over the images that it has a class "
        "for.",
    ]
    if kinds.get("Malignant"):
        notes.append("An image that is only known to be malignant is right where a carcinoma is named.")
    return Table("tree_systems", "Whole systems", columns, rows, notes)


def networks_table(evaluation: Evaluation) -> Table:
    """One row a network: its accuracy on validation images and on those that are reported."""
    columns = [Column(name) for name in ("node", "network", "images", "majority", "accuracy", "validation accuracy")]
    rows: list[list[Cell]] = []
    for (node, model), answers in evaluation.predictions.answers.items():
        score = score_node(node, answers, evaluation.predictions)
        known = evaluation.validation.answers.get((node, model)) if evaluation.validation else None
        on_validation = None
        if known is not None and evaluation.validation is not None:
            own = score_node(node, known, evaluation.validation)
            on_validation = to_percent(own.rate, own.interval)
        rows.append(
            [node, model, score.images, 100 * score.majority, to_percent(score.rate, score.interval), on_validation]
        )
    note = "Percent, with Wilson's 95% interval. A network that was trained on the validation images has no rate there."
    return Table("tree_networks", "Every network by itself", columns, rows, [note])


def choices_table(choices: Sequence[Choice]) -> Table:
    """What the validation images decided."""
    columns = [Column("node"), Column("candidate"), Column("validation accuracy"), Column("loss", 3), Column("chosen")]
    rows: list[list[Cell]] = [
        [choice.node, model, 100 * rate, loss, "chosen" if model == choice.chosen else None]
        for choice in dict.fromkeys(choices)
        for model, rate, loss in choice.candidates
    ]
    note = "The network that is more accurate on the validation images (section 2.1); a tie goes to the smaller loss."
    return Table("tree_choices", "Where the specialised networks start from", columns, rows, [note])


def table_1(scores: Sequence[SystemScore]) -> Table:
    """The paper's Table 1, and our systems beside it."""
    trees = [score for score in scores if score.system.is_tree]
    printed = ("init_accuracy", "init_plus_ext_accuracy", "competition_accuracy")
    columns = [
        Column("model"),
        *(Column(f"paper {name}", 3) for name in ("Init.", "Init. + Ext.", "Competition")),
        *(Column(score.label, 3) for score in trees),
    ]
    rows: list[list[Cell]] = []
    for record in read_printed(TABLE_1):
        ours: list[Cell] = []
        for score in trees:
            rates = {node.node: node.rate for node in score.nodes}
            ours.append(rates.get(record["model"], score.rate))
        rows.append([record["model"], *(float(record[name]) if record[name] else None for name in printed), *ours])
    note = "Init.: BACH; Ext.: BISQUE. The printed Init. and Init. + Ext. are of validation images."
    return Table("tree_table1", TABLE_1.title, columns, rows, [note])


def confusion_table(score: SystemScore) -> Table:
    """A system's confusion matrix."""
    columns = [Column("true"), *(Column(leaf) for leaf in LEAVES)]
    rows: list[list[Cell]] = [[leaf, *map(int, counts)] for leaf, counts in zip(LEAVES, score.table, strict=True)]
    return Table(f"tree_confusion_{score.file_name}", f"Confusion matrix of {score.label}", columns, rows)


def verdicts(scores: Sequence[SystemScore]) -> list[str]:
    """A sentence for each tree about it and the flat network, on the same images."""
    flat = next((score for score in scores if not score.system.is_tree), None)
    if flat is None:
        return []
    lines = []
    for score in scores:
        if score.system.is_tree:
            only_tree, only_flat, p = discordant(score, flat)
            if p >= SIGNIFICANT:
                verdict = "no difference that these images can show"
            else:
                verdict = "better than flat" if only_tree > only_flat else "worse than flat"
            count = sum(map(len, score.models.values()))
            lines.append(
                f"{score.label} ({count} networks) against {FLAT.lower()} training of the same network: "
                f"{100 * score.rate:.1f} and {100 * flat.rate:.1f}%; {only_tree} images only the tree decides rightly, "
                f"{only_flat} only the flat network (McNemar's exact p = {p:.2g}, images taken as "
                f"independent): {verdict}."
            )
    return lines


def split_sentence(evaluation: Evaluation) -> str:
    """How the images of this report were kept apart from the training's."""
    kinds = Counter(evaluation.predictions.split_by)
    said = "; ".join(f"{count} images {SPLITS[kind]}" for kind, count in kinds.items() if kind in SPLITS)
    return f"This report's {evaluation.split} images: {said}." if said else ""
