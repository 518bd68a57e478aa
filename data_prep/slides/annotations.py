"""Regions that a pathologist drew in Aperio ImageScope (BACH's slides have them), read without expanding entities."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import reading

CLASSES = ("Normal", "Benign", "InSitu", "Invasive")
"""BACH's classes; a region is one of the last three, and Normal is tissue outside of all regions."""
WORDS = {"benign": 1, "in situ": 2, "invasive": 3}
FARTHEST = 10_000_000
"""Pixels; a coordinate beyond it is a damaged file."""


@dataclass(frozen=True)
class Region:
    """A labelled polygon."""

    label: int
    """Index into CLASSES."""
    points: NDArray[np.float64]
    """N x 2, (x, y) in pixels of level 0."""


@dataclass(frozen=True)
class Annotations:
    """One slide's regions, in the order of the file: if two overlap, the later one counts."""

    regions: list[Region]
    microns_per_pixel: float | None
    skipped: int
    """Regions without one of the three labels, or with fewer than three points."""


def read_annotations(path: Path) -> Annotations:
    """Read an ImageScope XML file.

    A region's label is its Attributes/Attribute@Value, or else its @Text, if that contains `benign`, `in situ` or
    `invasive`. Raises InputError for a file that is not such XML, or defines entities.
    """
    try:
        with reading(path):
            root = parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException:
        raise InputError(
            f"{path}: declares entities or a document type, which ImageScope never does; refused"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not valid XML: {error}") from None
    if root is None or root.tag != "Annotations":
        raise InputError(f"{path}: no ImageScope annotation file (its root is not Annotations)")
    scales = [_number(value, path) for layer in root.iter("Annotation") if (value := layer.get("MicronsPerPixel"))]
    regions, skipped = [], 0
    for element in root.iter("Region"):
        label = _label(element)
        vertices = [(_number(v.get("X"), path), _number(v.get("Y"), path)) for v in element.findall("Vertices/Vertex")]
        if label is None or len(vertices) < 3:
            skipped += 1
        else:
            regions.append(Region(label, np.array(vertices)))
    return Annotations(regions, next((scale for scale in scales if scale > 0), None), skipped)


def _label(region: Element) -> int | None:
    values = [attribute.get("Value", "") for attribute in region.findall("Attributes/Attribute")]
    for text in [*values, region.get("Text", "")]:
        for word, label in WORDS.items():
            if word in text.lower():
                return label
    return None


def _number(text: str | None, path: Path) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST:  # a NaN is not, either
        raise InputError(f"{path}: '{text}' is not a coordinate or a scale")
    return value
