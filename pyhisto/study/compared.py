"""The methods that the paper compares with, and a control, from a results folder to the rows of Tables 7, 8 and 9.

<experiment>/compared/<method>/
    method.json             label; selected: the row that stands for the method in Table 8 (a model, or "Max fusion";
                            absent where there is one model); fusions: how its models are merged, none if absent
    **/predictions*.csv     of one or more models
    **/cost.json            of one or more networks
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import Scores, mean_and_spread
from pyhisto.evaluation.predictions import Predictions, read_predictions
from pyhisto.evaluation.strategies import FUSIONS, scores_of
from pyhisto.files import read_json
from pyhisto.study.paper.beside import (
    ASSEMBLING,
    BESIDE_NOTE,
    COST,
    MAGNIFICATIONS,
    Printed,
    majority_row,
    read_printed,
)
from pyhisto.study.results import LEVELS, Results
from pyhisto.study.scores import INTERVALS, MEASURES, Scored
from pyhisto.tables.drawing import COLOURS, Drawing, grid
from pyhisto.tables.table import (
    MAIN_COLUMNS,
    SCORE_NOTES,
    Cell,
    Column,
    Estimate,
    Spread,
    Table,
    central,
    main_cells,
    percent,
)

PLACES = Printed("table8_breakhis_comparison", "Table 8: BreaKHis, methods compared", None)

PRINTED_AS = {
    "spanhol2015": "spanhol2015 [9]",
    "bayramoglu2016_single": "bayramoglu2016 [17]",
    "bayramoglu2016_multi": "bayramoglu2016 [17]",
    "spanhol2016": "spanhol2016 [11]",
}
"""A method's folder -> what the printed tables call it, in Table 8's order."""

COSTS_AS = {"32": "spanhol2016_32x32", "64": "spanhol2016_64x64", "bayramoglu2016": "bayramoglu2016"}
"""How a network's folder begins -> its row in Table 7."""

CONTROL = "colour"
"""The folder of what no paper compares with: how far the images' colour alone goes."""

CONTROL_NOTE = (
    "The control is a logistic regression on the mean and deviation of an image's L, a and b, which Reinhard's stain "
    "normalisation makes equal. What saw images as they are and is no better may have learnt the slides' colours."
)

HYBRID = "Zhu 2019, hybrid before pruning"
PATCH_RULE = "sum"
"""The rule that merges patches wherever only one is shown: the plain average."""

COST_NOTES = (
    "Millions; one forward pass of one patch or image. Table 7's 0.55 of [11] is not its number of weights: 145,058 "
    "numbers of 4 bytes are 0.553 MiB (32x32; the 64x64 network has 1.30), while its own 3.77 M are numbers. "
    "47.4 and 188.5 are 1.9 times its FLOPs; no reading that was tried gives them (benchmarks/table7_compared.py).",
    "The widths of [17] are not printed by the paper: those of the network of Levi & Hassner 2015 are taken, "
    "which has the same three kernels.",
)


@dataclass(frozen=True)
class Method:
    """One method's folder in one experiment."""

    name: str
    """The folder's."""
    label: str
    selected: str | None
    fusions: tuple[str, ...]
    levels: Mapping[str, str]
    """fold, magnification, bag: as far as the experiment has them."""
    predictions: tuple[Path, ...]
    costs: Mapping[str, tuple[int, int]]
    """A network's folder -> its weights and FLOPs."""


@dataclass(frozen=True)
class Judged:
    """A method's scores in one experiment."""

    method: Method
    patients: frozenset[str]
    rows: Mapping[str, Scores]
    """By model, and by fusion of the models ("Max fusion")."""
    by_rule: Mapping[str, Scores]
    """By model and rule, where patches were merged by other rules than PATCH_RULE."""

    @property
    def selected(self) -> Scores:
        """What stands for the method."""
        return self.rows[self.method.selected or next(iter(self.rows))]


def read_methods(folder: Path) -> list[Method]:
    """The methods in a results folder, sorted by place. Raises InputError where a file is damaged."""
    return [_read_method(folder, path) for path in sorted(Path(folder).rglob("compared/*/method.json"))]


def _read_method(results: Path, path: Path) -> Method:
    place = path.parent
    levels = {
        level: match[1]
        for part in place.relative_to(results).parts
        for level, pattern in LEVELS.items()
        if (match := re.fullmatch(pattern, part))
    }
    try:
        content = read_json(path)
        costs = {cost.parent.name: _cost(read_json(cost)) for cost in sorted(place.rglob("cost.json"))}
        fusions = tuple(content.get("fusions", ()))
        label, selected = str(content["label"]), content.get("selected")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(f"{path}: it, or a cost.json under it, is not what the tools write; remove it") from None
    if unknown := [fusion for fusion in fusions if fusion not in FUSIONS]:
        raise InputError(f"{path}: fusion {unknown[0]!r} is none of {', '.join(FUSIONS)}")
    return Method(place.name, label, selected, fusions, levels, tuple(sorted(place.rglob("predictions*.csv"))), costs)


def _cost(content: Mapping[str, Any]) -> tuple[int, int]:
    return int(content["total"]["weights"]), int(content["total"]["flops"])


def judge(method: Method) -> Judged:
    """Score a method's models and their fusions. Raises InputError where a predictions file is at fault."""
    if not method.predictions:
        raise InputError(f"compared method {method.label}: has no predictions.csv; run it again")
    predictions = read_predictions(method.predictions)
    by_model = {model: _image_level(predictions, model, PATCH_RULE) for model in predictions.models}
    rows = {model: scores_of(predictions, values) for model, values in by_model.items()}
    for fusion in method.fusions if len(by_model) > 1 else ():
        rows[fusion_name(fusion)] = scores_of(predictions, FUSIONS[fusion](list(by_model.values())))
    if method.selected is not None and method.selected not in rows:
        raise InputError(f"compared method {method.label}: selected is {method.selected!r}, which was not predicted")
    by_rule = {
        f"{model}, patches by {rule}": scores_of(predictions, _image_level(predictions, model, rule))
        for model, patches in predictions.patches.items()
        for rule in FUSIONS
        if rule in patches and rule != PATCH_RULE
    }
    return Judged(method, frozenset(predictions.patients), rows, by_rule)


def fusion_name(fusion: str) -> str:
    """What tables call a fusion: Table 9's "Max fusion"."""
    return f"{fusion.capitalize()} fusion"


def _image_level(predictions: Predictions, model: str, rule: str) -> NDArray[np.floating]:
    """A model's probabilities of each image, shape (n, c): as they are, or its patches merged by a rule."""
    if model in predictions.whole:
        return predictions.whole[model]
    patches = predictions.patches[model]
    if rule in patches:
        return predictions.local[model][:, patches.index(rule)]
    return FUSIONS[rule](list(predictions.local[model].swapaxes(0, 1)))


@dataclass(frozen=True)
class Line:
    """One row of the comparison: a method (or the hybrid network) at a magnification, over its folds."""

    magnification: str | None
    name: str
    label: str
    decision: str | None
    """Which of the method's models, or which fusion of them."""
    scores: tuple[Scores, ...]
    """One a fold, or a bag of one."""
    images: int
    """Different ones: the bags of a fold are tested on the same."""
    patients: int


def lines(judged: Sequence[Judged], scored: Sequence[Scored]) -> list[Line]:
    """The hybrid network before pruning, and every compared method, at each magnification."""
    found: dict[tuple[str | None, str], list[tuple[str, str | None, str | None, Scores, frozenset[str]]]] = {}
    for one in scored:
        result = one.result("3")
        if one.stage.name == "before" and result is not None:
            row = (HYBRID, None, one.experiment.fold, result.scores, one.patients)
            found.setdefault((one.experiment.magnification, "hybrid"), []).append(row)
    for each in judged:
        key = (each.method.levels.get("magnification"), each.method.name)
        fold = each.method.levels.get("fold")
        found.setdefault(key, []).append((each.method.label, each.method.selected, fold, each.selected, each.patients))
    return [
        Line(
            magnification,
            name,
            folds[0][0],
            # [9] selects anew in every fold: then no one model stands for it.
            folds[0][1] if len({decision for _, decision, *_ in folds}) == 1 else "selected per fold",
            tuple(scores for *_, scores, _ in folds),
            sum({fold: scores.images for _, _, fold, scores, _ in folds}.values()),
            len(frozenset().union(*(patients for *_, patients in folds))),
        )
        for (magnification, name), folds in sorted(found.items(), key=lambda item: _order(*item[0]))
    ]


def _order(magnification: str | None, name: str) -> tuple[int, int, str]:
    """Magnifications by their size; methods as Table 8 has them, the hybrid last, others after it."""
    known = [*PRINTED_AS, "hybrid"]
    return int(magnification or 0), known.index(name) if name in known else len(known), name


def compared_table(rows: Sequence[Line]) -> Table:
    """Every method beside the hybrid network, on the same images."""
    columns = [
        *map(Column, ("magnification", "method", "decision", "folds", "images", "patients", "majority", "IL", "PL")),
        Column("kappa", 3),
        Column("PPV"),
    ]
    cells: list[list[Cell]] = [
        [
            line.magnification,
            line.label,
            line.decision,
            len(line.scores) if len(line.scores) > 1 else None,
            line.images,
            line.patients,
            float(np.mean([100 * s.majority for s in line.scores])),
            _over_folds(line, lambda s: percent(s.il, s.il_interval)),
            _over_folds(line, lambda s: percent(s.pl, s.pl_interval)),
            *(_mean(line, measure) for measure in ("kappa", "PPV")),
        ]
        for line in rows
    ]
    several = any(len(line.scores) > 1 for line in rows)
    notes = [
        "kappa as it is, the rest in percent; the same test images for all methods. "
        + ("Mean ± standard deviation over folds." if several else SCORE_NOTES[2]),
        SCORE_NOTES[1],
        *([CONTROL_NOTE] if any(line.name == CONTROL for line in rows) else []),
    ]
    return Table("compared", "Compared methods on the same images", columns, cells, notes).without_empty_columns()


def models_table(judged: Sequence[Judged]) -> Table:
    """Every model of every method in every fold, its fusions, and its patches by every rule."""
    columns = [*map(Column, ("magnification", "fold", "bag", "method", "model")), *MAIN_COLUMNS]
    columns += [Column("PPV"), Column("F1"), Column("AUC", 3)]
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
        for each in judged
        for model, s in {**each.rows, **each.by_rule}.items()
    ]
    notes = [f"Patches are merged by {PATCH_RULE} where nothing else is said.", *SCORE_NOTES]
    return Table("compared_models", "Compared methods: every model", columns, cells, notes).without_empty_columns()


def table_8(rows: Sequence[Line]) -> Table:
    """Table 8 (BreaKHis) beside the paper: PL and IL of every method at every magnification."""
    present = [magnification for magnification in MAGNIFICATIONS if any(r.magnification == magnification for r in rows)]
    columns = [Column("measure"), Column("method")]
    for magnification in present:
        columns += [Column(f"{magnification}X"), Column(f"{magnification}X paper"), Column(f"{magnification}X diff")]
    printed = {(record["metric"], record["method"]): record for record in read_printed(PLACES)}
    names = PRINTED_AS | {"hybrid": "zhu2019 compact hybrid"}
    cells: list[list[Cell]] = [majority_row([_majority(rows, magnification) for magnification in present])]
    for measure in ("PL", "IL"):
        for name, label in dict.fromkeys((line.name, line.label) for line in rows if line.name in names):
            record = printed.get((measure, names[name]))
            row: list[Cell] = [measure, label]
            for magnification in present:
                line = next((r for r in rows if (r.magnification, r.name) == (magnification, name)), None)
                paper = None if record is None else Spread(*_printed_at(record, magnification))
                row += _beside(line, measure, paper)
            cells.append(row)
    return Table(PLACES.name, f"{PLACES.title}, beside the paper", columns, cells, _BESIDE_NOTES)


def table_9(judged: Sequence[Judged]) -> Table:
    """Table 9 (BACH) beside the paper: the four models of [11], and Max fusion of them; Sum and Product are ours."""
    columns = [Column("measure"), Column("strategy"), Column("ours"), Column("paper"), Column("diff")]
    printed = {record["strategy"]: record for record in read_printed(ASSEMBLING)}
    folds = [each for each in judged if each.method.name == "spanhol2016"]
    cells: list[list[Cell]] = []
    for measure in ("PL", "IL", "kappa", "PPV"):
        for strategy in dict.fromkeys(row for each in folds for row in each.rows):
            ours = [MEASURES[measure](each.rows[strategy]) for each in folds if strategy in each.rows]
            paper = float(printed[strategy][measure]) if strategy in printed else None
            spread = Spread(*mean_and_spread(np.array(ours)))
            cells.append([measure, strategy, spread, paper, None if paper is None else spread.mean - paper])
    kappa = frozenset(number for number, row in enumerate(cells) if row[0] == "kappa")
    title = f"{ASSEMBLING.title}: method [11], beside the paper"
    return Table("table9_spanhol2016", title, columns, cells, _BESIDE_NOTES, kappa)


def cost_table(methods: Sequence[Method]) -> Table:
    """Weights and FLOPs of every compared network beside Table 7's rows."""
    columns = [Column("method"), Column("network"), Column("weights", 3), Column("paper weights", 2)]
    columns += [Column("FLOPs"), Column("paper FLOPs")]
    printed = {record["method"]: record for record in read_printed(COST) if not record["pruning_ratio"]}
    cells: dict[tuple[str, str], list[Cell]] = {}
    for method in methods:
        for folder, (weights, flops) in method.costs.items():
            begins = folder.partition("_")[0]
            record = printed.get(COSTS_AS.get(begins, ""), {})
            network = f"{begins}x{begins}" if begins.isdigit() else None
            cells[method.label, begins] = [
                method.label,
                network,
                weights / 1e6,
                float(record["weights_M"]) if record else None,
                flops / 1e6,
                float(record["flops_M"]) if record else None,
            ]
    title = f"{COST.title} of the compared networks"
    return Table("table7_compared", title, columns, list(cells.values()), COST_NOTES).without_empty_columns()


def compared_drawing(rows: Sequence[Line]) -> Drawing | None:
    """IL and PL of every method, a panel a magnification."""
    by_magnification: dict[str | None, list[Line]] = {}
    for line in rows:
        by_magnification.setdefault(line.magnification, []).append(line)
    panels = {magnification: own for magnification, own in by_magnification.items() if len(own) > 1}
    if not panels:
        return None
    most = max(map(len, panels.values()))
    figure, axes = grid(len(panels), 2, 6.4, 1.2 + 0.5 * most)
    for (magnification, own), place in zip(panels.items(), axes, strict=False):
        for index, (measure, colour) in enumerate((("IL", COLOURS[1]), ("PL", COLOURS[2]))):
            for height, line in enumerate(reversed(own)):
                value, low, high = _bar(line, measure)
                error = [[value - low], [high - value]]
                place.errorbar(
                    value, height + 0.12 - 0.24 * index, xerr=error, fmt="o", markersize=5, capsize=3, color=colour,
                    label=measure if height == 0 else None,
                )  # fmt: skip
        majority = float(np.mean([100 * s.majority for line in own for s in line.scores]))
        place.axvline(majority, color=COLOURS[0], linestyle="--", linewidth=1, label="always the larger class")
        place.set_yticks(range(len(own)), [line.label for line in reversed(own)], fontsize="small")
        place.set_ylim(-0.6, len(own) - 0.4)
        place.set(title="" if magnification is None else f"{magnification}X", xlabel="%", xlim=(0, 102))
        place.grid(axis="x", alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize="small", frameon=False)
    bars = "standard deviation over folds" if any(len(line.scores) > 1 for line in rows) else "95% interval"
    return Drawing("compared", f"The compared methods on the same test images; bars: {bars}.", figure)


@dataclass(frozen=True)
class Comparison:
    """What a report shows of the compared methods."""

    main: Sequence[Table] = ()
    details: Sequence[Table] = ()
    beside: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()


def compare(results: Results, scored: Sequence[Scored]) -> Comparison:
    """Tables and figures of the compared methods in a results folder; empty where there are none."""
    methods = read_methods(results.folder)
    if not methods:
        return Comparison()
    judged = [judge(method) for method in methods]
    rows = lines(judged, scored)
    drawing = compared_drawing(rows)
    beside, cost = list(_beside_tables(results, judged, rows)), cost_table(methods)
    return Comparison(
        [compared_table(rows)],
        [models_table(judged), *([cost] if cost.rows and not beside else [])],
        [*beside, *([cost] if cost.rows and beside else [])],
        [] if drawing is None else [drawing],
    )


def _beside_tables(results: Results, judged: Sequence[Judged], rows: Sequence[Line]) -> Iterator[Table]:
    """The paper's tables of accuracy; never for synthetic data."""
    dataset = None if results.settings.get("synthetic") else results.settings.get("dataset")
    if dataset == "breakhis":
        yield table_8(rows)
    if dataset == "bach" and any(each.method.name == "spanhol2016" for each in judged):
        yield table_9(judged)


_BESIDE_NOTES = (f"{BESIDE_NOTE} Dashes: not printed, or not run.",)


def _printed_at(record: Mapping[str, str], magnification: str) -> tuple[float, float]:
    return float(record[f"{magnification}X"]), float(record[f"{magnification}X_std"])


def _beside(line: Line | None, measure: str, paper: Spread | None) -> list[Cell]:
    ours = None if line is None else _over_folds(line, INTERVALS[measure])
    return [ours, paper, None if ours is None or paper is None else central(ours) - paper.mean]


def _majority(rows: Sequence[Line], magnification: str) -> float | None:
    """That of the methods' test images at a magnification: they are the same."""
    rates = [s.majority for line in rows if line.magnification == magnification for s in line.scores]
    return 100 * float(np.mean(rates)) if rates else None


def _spread(line: Line, measure: str) -> Spread:
    return Spread(*mean_and_spread(np.array([MEASURES[measure](s) for s in line.scores])))


def _mean(line: Line, measure: str) -> Cell:
    return float(np.mean([MEASURES[measure](s) for s in line.scores]))


def _over_folds(line: Line, of: Callable[[Scores], Estimate]) -> Estimate | Spread:
    """One fold: the value with its interval; several: mean and spread."""
    estimates = [of(s) for s in line.scores]
    if len(estimates) == 1:
        return estimates[0]
    return Spread(*mean_and_spread(np.array([estimate.value for estimate in estimates])))


def _bar(line: Line, measure: str) -> tuple[float, float, float]:
    """A dot and the ends of its bar."""
    if len(line.scores) > 1:
        spread = _spread(line, measure)
        return spread.mean, max(0.0, spread.mean - spread.std), min(100.0, spread.mean + spread.std)
    (s,) = line.scores
    estimate = percent(s.il, s.il_interval) if measure == "IL" else percent(s.pl, s.pl_interval)
    return estimate.value, estimate.low, estimate.high
