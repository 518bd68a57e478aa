"""The study of the faulty re-run of ref. [11], as a table and a figure; `pyhisto.study.collapse_training` runs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyhisto.errors import InputError
from pyhisto.files import read_object
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels
from pyhisto.tables.formats import to_text
from pyhisto.tables.table import Cell, Column, Table

FILE = Path("collapse", "collapse.json")
"""Where the study's result lies in a results folder."""

NOTES = (
    "Zhu et al. re-ran method [11], and nearly every test image was called cancer: 63.8%, with every filler and "
    "activation that they tried. Their prototxts pool in place and use weight decays of 0.9, 0.09 and 0.0009. Here "
    "their network runs with each fault alone, in Caffe on the CPU.",
    "in place, as on a GPU: not run on one. By Caffe's source a GPU's forward pass mostly survives, but the backward "
    "pass (on the CPU too) erases the gradient that it is to pass on: the convolutions decay and never learn. Here: a "
    "top of its own for each pooling, and the gradient stopped above them. Their two solvers with a decay of 0.0009 "
    "are not explained by it.",
    "untrained answers: how many different scores the network gives before any training; with poolings in place the "
    "first pooling overwrites what it has not read yet, and next to nothing of the image is left.",
    "spread: standard deviation over the patches of malignant's score less benign's. NaN: the first updates make it.",
    "mean weight: of the absolute weights after training, in parts of that before it.",
)


def read_collapse(folder: Path) -> Mapping[str, Any] | None:
    """The study in a results folder; None if there is none. Raises InputError if it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    content = read_object(path)
    if not content.get("forms"):
        raise InputError(f"{path}: holds no form; run tools/collapse_study.py again")
    try:  # what can be shown is sound
        to_text(collapse_table(content))
        draw_collapse(content)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        raise InputError(f"{path}: not what tools/collapse_study.py writes; run it again") from None
    return content


def collapse_table(content: Mapping[str, Any]) -> Table:
    """One row per form of the network."""
    columns = [*map(Column, ("pooling", "weight decay")), Column("patches"), Column("untrained answers")]
    columns += [Column("answers"), Column("spread", 4), Column("malignant"), Column("right"), Column("majority")]
    columns += [Column("mean weight", 2)]
    rows: list[list[Cell]] = []
    for form in content["forms"]:
        before, after = form["untrained"], form["trained"]
        start, end = form["mean_weight"]
        rows.append(
            [
                form["pooling"],
                f"{form['weight_decay']:g}",
                after["patches"],
                "NaN" if before["answers"] is None else before["answers"],
                "NaN" if after["answers"] is None else after["answers"],
                after["spread"],
                None if after["malignant"] is None else 100 * after["malignant"],
                None if after["right"] is None else 100 * after["right"],
                100 * after["majority"],
                end / start if end is not None else None,
            ]
        )
    title = f"Why the re-run of [11] named one class ({content['iterations']} iterations)"
    return Table("collapse", title, columns, rows, NOTES)


def draw_collapse(content: Mapping[str, Any]) -> Drawing:
    """One panel per form: malignant's score less benign's of each patch, before and after training, by class."""
    forms: Sequence[Mapping[str, Any]] = content["forms"]
    figure, panels = make_panels(len(forms), 2, 4.6, 2.7)
    generator = np.random.default_rng(0)
    for form, panel in zip(forms, panels, strict=True):
        for stage, when in enumerate(("untrained", "trained")):
            for label, colour in enumerate((COLOURS[1], COLOURS[2])):
                values = [value for value, own in form[when]["scores"] if own == label and value is not None]
                spread = 3 * stage + label + generator.uniform(-0.3, 0.3, len(values))
                name = ("benign patches", "malignant patches")[label] if stage == 0 else None
                panel.scatter(spread, values, s=6, alpha=0.6, color=colour, linewidths=0, label=name)
            if form[when]["answers"] is None:
                panel.text(3 * stage + 0.5, 0, "NaN", ha="center", va="center", fontsize="large", color=COLOURS[0])
        panel.axhline(0, color="#9ca3af", linewidth=1)
        panel.set_yscale("symlog", linthresh=0.01)
        panel.set_ylim(-100, 100)
        panel.set_yticks([-100, -1, -0.01, 0.01, 1, 100])
        panel.set_xticks([0.5, 3.5], ["untrained", "trained"])
        panel.set_xlim(-0.8, 4.8)
        panel.set_title(f"pooling {form['pooling']}, weight decay {form['weight_decay']:g}", fontsize="medium")
        panel.set_ylabel("malignant - benign", fontsize="small")
        panel.grid(axis="y", alpha=0.25)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize="small", frameon=False
    )
    caption = (
        "The patch network of [11] as Zhu et al. wrote it (poolings in place) and without that fault, with two weight "
        "decays: scores of validation patches. A network that works tells the classes apart; one that has collapsed "
        "says the same of every patch."
    )
    return Drawing("collapse", caption, figure)
