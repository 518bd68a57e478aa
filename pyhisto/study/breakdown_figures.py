"""Pictures of the decisions taken apart: confusion matrices, and a sheet of the images that were named wrongly."""

from collections.abc import Sequence
from pathlib import Path

import cv2

from pyhisto.manifest import resolve
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.study.breakdown import Confusion, Mistake, select_surest
from pyhisto.study.results import Results
from pyhisto.study.scores import SUMMARY
from pyhisto.tables.drawing import COLOURS, Drawing, make_panels

MAX_MISTAKES = 24
THUMBNAIL = 280
"""The longer side of a picture on the sheet, pixels."""


def draw_confusion(found: Sequence[Confusion], results: Results) -> Drawing:
    """One panel per matrix: counts, shaded by the share of the true class."""
    figure, panels = make_panels(len(found), 3, 3.1, 2.9)
    for one, panel in zip(found, panels, strict=False):
        names = [results.class_name(label) for label in range(len(one.counts))]
        shares = one.counts / one.counts.sum(axis=1, keepdims=True).clip(min=1)
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, counts in enumerate(one.counts.tolist()):
            for column, number in enumerate(counts):
                colour = "white" if shares[row, column] > 0.6 else "#1f2933"
                text = f"{number}\n{100 * shares[row, column]:.0f}%"
                panel.text(column, row, text, ha="center", va="center", color=colour)
        panel.set_xticks(range(len(names)), names, fontsize="small")
        panel.set_yticks(range(len(names)), names, fontsize="small", rotation=90, va="center")
        panel.set(xlabel="named", ylabel="true")
        magnification = "" if one.magnification is None else f", {one.magnification}X"
        panel.set_title(f"{one.stage}{magnification}\n{SUMMARY[one.strategy]}", fontsize="medium")
    caption = "Confusion matrices: test images of all folds together, and their share of the true class."
    return Drawing("confusion", caption, figure)


def draw_mistakes(found: Sequence[Mistake], results: Results, root: Path) -> Drawing | None:
    """The surest mistakes of one stage, by patient, each over its true class, what it was named, and its patient.

    `root` is the folder that the images' names count from. None if there is no mistake. Raises InputError if an
    image is not there, or does not decode.
    """
    shown = select_surest(found, MAX_MISTAKES)
    if not shown:
        return None
    several = len({mistake.experiment.magnification for mistake in found}) > 1
    figure, panels = make_panels(len(shown), 4, 2.75, 2.4)
    for mistake, panel in zip(shown, panels, strict=False):
        panel.imshow(_thumbnail(resolve(root, mistake.image)))
        panel.set_xticks([])
        panel.set_yticks([])
        for edge in panel.spines.values():
            edge.set(color=COLOURS[1 + mistake.label % 5], linewidth=2)
        subtype = f" ({mistake.subtype})" if mistake.subtype else ""
        at = f", {mistake.experiment.magnification}X" if several else ""
        lines = (
            f"{results.class_name(mistake.label)}{subtype}",
            f"named {results.class_name(mistake.named)}, p = {mistake.probability:.2f}",
            f"patient {mistake.patient}{at}",
        )
        panel.set_title("\n".join(lines), fontsize="small", loc="left", pad=4)
    images, patients = len({m.image for m in found}), len({m.patient for m in found})
    some = f"{len(shown)} of the {images}" if len(shown) < images else f"The {images}"
    caption = (
        f"{some} test images that the hybrid (or the branch that there is) of stage '{found[0].stage}' named wrongly, "
        f"of {patients} patients: of each patient those about which it was surest. Over each its true class with the "
        "subtype, what it was named and with which probability, and the patient. tables/mistakes.csv lists all, of "
        "every stage."
    )
    return Drawing("mistakes", caption, figure)


def _thumbnail(path: Path) -> Image:
    """A small RGB picture of an image file."""
    image = read_image(path)
    scale = min(1.0, THUMBNAIL / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
