"""Findings as a table, as JSON and as one page that needs nothing else."""

import base64
import csv
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import numpy as np
from markupsafe import Markup

from pyhisto.arrays import Floats
from pyhisto.bundle import Bundle
from pyhisto.inference.diagnosis import ImageFinding, Unreadable
from pyhisto.inference.drawing import css_colour, jpeg, overlay
from pyhisto.inference.evidence import margins, mosaic, rank_correlation
from pyhisto.inference.model import POSITIVE
from pyhisto.inference.pages import render, source
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.patches import patch_box

Order: TypeAlias = Literal["probability", "uncertainty"]
DIGITS = 6
"""Of a probability, in files."""


def shown_class(finding: ImageFinding) -> int:
    """The class whose probability is drawn: the positive one of two, else the one that is named."""
    return POSITIVE if len(finding.outcome.hybrid) == 2 else finding.outcome.named


def uncertainty(finding: ImageFinding) -> float:
    """How much the calibrated probabilities leave to other classes than the likeliest."""
    return float(1 - finding.outcome.calibrated.max())


def in_order(findings: Sequence[ImageFinding], order: Order) -> list[ImageFinding]:
    """The most probable of the positive class first, or the least certain."""
    if order == "uncertainty":
        return sorted(findings, key=lambda one: -uncertainty(one))
    return sorted(findings, key=lambda one: -one.outcome.calibrated[POSITIVE])


def as_csv(findings: Sequence[ImageFinding], bundle: Bundle) -> str:
    """One row an image. `<what>_p<c>` is the probability of class c: calibrated, the hybrid's, each branch's."""
    kinds = ["calibrated", "hybrid", *bundle.branches]
    classes = range(len(bundle.description.classes))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    probabilities = [f"{kind}_p{c}" for kind in kinds for c in classes]
    writer.writerow(
        ["image", "width", "height", "class", *probabilities, "spread", "tissue", "sharpness", "colour_distance",
         "flags", "model"]
    )  # fmt: skip
    for one in findings:
        values = [value for kind in kinds for value in _probabilities(one, kind)]
        spread = "" if one.outcome.spread is None else f"{one.outcome.spread:.{DIGITS}f}"
        distance = bundle.description.reference.colour_distance(one.condition)
        writer.writerow(
            [one.path, one.width, one.height, bundle.description.classes[one.outcome.named],
             *(f"{value:.{DIGITS}f}" for value in values), spread, f"{one.condition.tissue:.4f}",
             f"{one.condition.sharpness:.4f}", f"{distance:.3f}", "; ".join(one.flags),
             bundle.label]
        )  # fmt: skip
    return out.getvalue()


def as_json(findings: Sequence[ImageFinding], unreadable: Sequence[Unreadable], bundle: Bundle, engines: str) -> str:
    """Everything that is said, patches and members included."""
    content = {
        "notice": bundle.notice,
        "model": bundle.description.name,
        "version": bundle.version,
        "engine": engines,
        "classes": list(bundle.description.classes),
        "lambda": bundle.description.weight,
        "temperature": bundle.description.temperature,
        "images": [_json(one, bundle) for one in findings],
        "unreadable": [{"image": str(one.path), "fault": one.fault} for one in unreadable],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_page(
    findings: Sequence[ImageFinding], unreadable: Sequence[Unreadable], bundle: Bundle, engines: str, order: Order
) -> str:
    """The page of the findings, self-contained."""
    return render(
        "diagnosis.html",
        model=bundle.description.name,
        notice=bundle.notice,
        engines=engines,
        calibrated=bundle.description.temperature != 1,
        shown=bundle.description.classes[POSITIVE] if len(bundle.description.classes) == 2 else "the class named",
        order=order,
        style=style(),
        unreadable=unreadable,
        cards=[card(one, bundle) for one in in_order(findings, order)],
    )


def style() -> Markup:
    """The style sheet of pages with cards."""
    shared = (files("pyhisto.tables") / "templates/style.css").read_text(encoding="utf-8")
    return Markup(shared + source("cards.css"))


def card(finding: ImageFinding, bundle: Bundle) -> dict[str, Any]:
    """What the template shows of one finding."""
    outcome, classes = finding.outcome, bundle.description.classes
    shown = shown_class(finding)
    height, width = finding.picture.shape[:2]
    facts = [("hybrid" if len(bundle.branches) > 1 else "as the network says it", _percent(outcome.hybrid[shown]))]
    if len(bundle.branches) > 1:
        facts += [(branch, _percent(outcome.branch(branch)[shown])) for branch in bundle.branches]
    if outcome.spread is not None:
        facts.append(("spread of the members", f"{100 * outcome.spread:.1f} points"))
    facts.append(("size", f"{finding.width} x {finding.height}"))
    return {
        "name": str(finding.path),
        "class": classes[shown],
        "named": classes[outcome.named],
        "sure": float(outcome.calibrated[outcome.named]),
        "probability": round(float(outcome.calibrated[POSITIVE]), DIGITS),
        "uncertainty": round(uncertainty(finding), DIGITS),
        "width": width,
        "height": height,
        "picture": data_uri(finding.picture),
        "patches": _patches(finding, shown, width, height),
        "facts": facts,
        "flags": finding.flags,
        "maps": [drawn for branch in outcome.evidence for drawn in _maps(finding, branch, shown, classes[shown])],
    }


def evidence_map(finding: ImageFinding, branch: str, shown: int) -> tuple[Floats, float]:
    """The branch's map of the whole image, of the class's margin over the others, mean of its patches; and its bias.

    With the bias it sums to the mean over the patches of the score that decides.
    """
    evidence = finding.outcome.evidence[branch]
    bias = float(margins(evidence.bias[np.newaxis])[0, shown])
    return _whole(finding, branch, margins(evidence.maps)[:, shown]), bias


def occlusion_map(finding: ImageFinding, branch: str, shown: int) -> tuple[Floats, float]:
    """The control of that map, as it is made; and the rank correlation of the two, NaN if one is constant."""
    covered = _whole(finding, branch, finding.occlusion[branch][:, shown])
    return covered, rank_correlation(covered, evidence_map(finding, branch, shown)[0])


def _whole(finding: ImageFinding, branch: str, maps: Floats) -> Floats:
    """Maps of the patches, as one of the image: their mean's."""
    patches = finding.outcome.patches[branch]
    boxes = [patch_box(patch, 0) for patch in patches]
    return mosaic(list(zip(boxes, maps / len(patches), strict=True)))


def data_uri(image: Image) -> str:
    """An image as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(image)).decode('ascii')}"


def _maps(finding: ImageFinding, branch: str, shown: int, name: str) -> list[dict[str, Any]]:
    """What the template shows of a branch's evidence, and of its control if there is one."""
    values, bias = evidence_map(finding, branch, shown)
    total = float(values.sum())
    sums = f"positions {total:+.3g}, bias {bias:+.3g}: score {total + bias:+.3g}"
    drawn = [_drawn(finding, f"{branch} branch: for and against {name}", values, sums)]
    if branch in finding.occlusion:
        covered, correlation = occlusion_map(finding, branch, shown)
        control = (
            "how far the score falls if a position shows another part of the image; rank correlation with the map "
            f"{correlation:.2f}"
        )
        drawn.append(_drawn(finding, f"{branch} branch, control: for and against {name}", covered, control))
    return drawn


def _drawn(finding: ImageFinding, title: str, values: Floats, said: str) -> dict[str, Any]:
    most = float(np.abs(values).max()) or 1.0
    height, width = finding.picture.shape[:2]
    picture = data_uri(overlay(finding.picture, values / most))
    return {"title": title, "most": most, "said": said, "width": width, "height": height, "picture": picture}


def _patches(finding: ImageFinding, shown: int, width: int, height: int) -> list[dict[str, Any]]:
    """The finest branch's patches, each with its members' mean."""
    branch = max(finding.outcome.patches, key=lambda name: len(finding.outcome.patches[name]))
    means = finding.outcome.probabilities[branch].mean(axis=0)[:, shown]
    drawn = []
    for name, probability in zip(finding.outcome.patches[branch], means.tolist(), strict=True):
        left, top, right, bottom = patch_box(name, 0)
        drawn.append(
            {
                "name": f"patch {name}" if name else "the whole image",
                "probability": probability,
                "x": left * width,
                "y": top * height,
                "width": (right - left) * width,
                "height": (bottom - top) * height,
                "colour": css_colour(probability),
            }
        )
    return drawn


def _probabilities(finding: ImageFinding, kind: str) -> list[float]:
    outcome = finding.outcome
    if kind in ("calibrated", "hybrid"):
        return [float(value) for value in getattr(outcome, kind)]
    return [float(value) for value in outcome.branch(kind)]


def _json(finding: ImageFinding, bundle: Bundle) -> dict[str, Any]:
    outcome = finding.outcome
    return {
        "image": str(finding.path),
        "width": finding.width,
        "height": finding.height,
        "class": bundle.description.classes[outcome.named],
        "calibrated": _rounded(outcome.calibrated),
        "hybrid": _rounded(outcome.hybrid),
        "branches": {
            branch: {
                "mean": _rounded(outcome.branch(branch)),
                "patches": outcome.patches[branch],
                "probabilities": _rounded(outcome.probabilities[branch]),
            }
            for branch in bundle.branches
        },
        "members": _rounded(outcome.members),
        "spread": outcome.spread,
        "uncertainty": round(uncertainty(finding), DIGITS),
        "tissue": round(finding.condition.tissue, 4),
        "sharpness": round(finding.condition.sharpness, 4),
        "colour_distance": round(bundle.description.reference.colour_distance(finding.condition), 3),
        "flags": finding.flags,
        **({"evidence": _evidence_json(finding)} if outcome.evidence else {}),
    }


def _evidence_json(finding: ImageFinding) -> dict[str, Any]:
    """Branch -> the map of the shown class's margin over the image, its bias, and how its control ranks positions."""
    shown, said = shown_class(finding), {}
    for branch in finding.outcome.evidence:
        values, bias = evidence_map(finding, branch, shown)
        said[branch] = {"class": shown, "bias": round(bias, DIGITS), "map": _rounded(values)}
        if branch in finding.occlusion:
            covered, correlation = occlusion_map(finding, branch, shown)
            said[branch] |= {"occlusion": _rounded(covered), "rank_correlation": _number(correlation)}
    return said


def _number(value: float) -> float | None:
    """Rounded; None for what is none, which JSON has no word for."""
    return None if np.isnan(value) else round(value, DIGITS)


def _rounded(values: Any) -> Any:
    return np.round(values, DIGITS).tolist()


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
