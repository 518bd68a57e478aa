"""What is written about a slide: WSInfer's table, GeoJSON for QuPath, a heat map, a page, and what it comes from."""

import base64
import csv
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from pyhisto.bundle import Bundle
from pyhisto.files import filled_folder
from pyhisto.inference.drawing import diverging, png, thumbnail
from pyhisto.inference.findings import data_uri, style
from pyhisto.inference.model import POSITIVE
from pyhisto.inference.pages import render
from pyhisto.inference.slide_run import SlideFinding, SlideSettings, named_tiles
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.tissue import Mask

TABLE, GEOJSON, HEAT, PAGE, RUN = "tiles.csv", "tiles.geojson", "heatmap.png", "slide.html", "run.json"
PICTURE = 2048
"""Longer side of heat map and overview on the page, pixels."""
PALETTE = ((70, 130, 180), (200, 0, 0), (240, 160, 0), (90, 160, 60), (130, 90, 190), (90, 90, 90))
"""Of the classes in QuPath, R, G, B."""
NAMESPACE = uuid.UUID("6f0c1f5e-4a52-5a0e-9a53-7d2b6f0d4c11")
"""Of the tiles' ids, which are a function of model, slide and place: the same run gives the same bytes."""


def write_slide(finding: SlideFinding, bundle: Bundle, engines: str, settings: SlideSettings, folder: Path) -> None:
    """Write all of it into a folder, together."""
    with filled_folder(folder) as place:
        _write_table(finding, bundle, place / TABLE)
        _write_geojson(finding, bundle, place / GEOJSON)
        (place / HEAT).write_bytes(png(heat_map(finding, bundle)))
        (place / PAGE).write_text(page(finding, bundle), encoding="utf-8")
        (place / RUN).write_text(_run(finding, bundle, engines, settings), encoding="utf-8")


def _write_table(finding: SlideFinding, bundle: Bundle, path: Path) -> None:
    """WSInfer's CSV: a row a tile, in level-0 pixels; its readers take the columns that they know by name."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [f"prob_{_word(name)}" for name in bundle.description.classes]
        writer.writerow(["minx", "miny", "width", "height", *names, "model"])
        for x, y, values in named_tiles(finding):
            probabilities = [f"{value:.6f}" for value in values]
            writer.writerow([x, y, finding.grid.width, finding.grid.height, *probabilities, bundle.label])


def _write_geojson(finding: SlideFinding, bundle: Bundle, path: Path) -> None:
    """Tiles as QuPath reads them; written feature by feature, as there may be hundreds of thousands."""
    classes = bundle.description.classes
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection",\n')
        file.write(f'"description": {json.dumps(bundle.notice, ensure_ascii=False)},\n"features": [')
        for number, (x, y, values) in enumerate(named_tiles(finding)):
            right, bottom = x + finding.grid.width, y + finding.grid.height
            named = int(values.argmax())
            feature = {
                "type": "Feature",
                "id": str(uuid.uuid5(NAMESPACE, f"{bundle.version}/{finding.path.name}/{x}/{y}")),
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]],
                },
                "properties": {
                    "objectType": "tile",
                    "classification": {"name": classes[named], "color": list(PALETTE[named % len(PALETTE)])},
                    "measurements": {
                        f"prob_{_word(name)}": round(float(value), 6)
                        for name, value in zip(classes, values, strict=True)
                    },
                },
            }
            file.write(("\n" if number == 0 else ",\n") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")


def heat_map(finding: SlideFinding, bundle: Bundle) -> Image:
    """The overview with the tiles' probabilities over it, a legend and the notice below."""
    picture = thumbnail(finding.overview, min(PICTURE, max(finding.overview.shape[:2])))
    colours, covered = _layer(finding, picture.shape[:2])
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    mixed = cv2.addWeighted(colours, 0.6, grey, 0.4, 0)
    picture = np.where(covered[..., np.newaxis] > 0, mixed, picture).astype(np.uint8)
    return np.vstack([picture, _legend(picture.shape[1], bundle.description.classes[_shown(bundle)], bundle)])


def page(finding: SlideFinding, bundle: Bundle) -> str:
    """The page with the overview and an opacity slider over the probabilities; self-contained."""
    classes = bundle.description.classes
    picture = thumbnail(finding.overview, min(PICTURE, max(finding.overview.shape[:2])))
    colours, covered = _layer(finding, picture.shape[:2])
    done, data = cv2.imencode(".png", np.dstack([colours, covered]))
    assert done
    named = finding.probabilities.argmax(axis=1)
    rows = [
        {
            "name": name,
            "tiles": int((named == index).sum()),
            "share": float((named == index).mean()),
            "mean": float(finding.probabilities[:, index].mean()),
            "largest": float(finding.probabilities[:, index].max()),
        }
        for index, name in enumerate(classes)
    ]
    summary = (
        f"{finding.width} x {finding.height} pixels at {finding.microns_per_pixel:.4g} um; {len(finding.tiles)} tiles "
        f"with tissue of {finding.grid.columns * finding.grid.rows}, each {finding.grid.width} x {finding.grid.height} "
        f"pixels, shown to the networks as {finding.grid.size[0]} x {finding.grid.size[1]}; probabilities calibrated"
    )
    return render(
        "slide.html",
        name=finding.path.name,
        model=bundle.description.name,
        notice=bundle.notice,
        summary=summary,
        shown=classes[_shown(bundle)],
        style=style(),
        overview=data_uri(picture),
        heat=f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode('ascii')}",
        width=picture.shape[1],
        height=picture.shape[0],
        rows=rows,
    )


def _layer(finding: SlideFinding, shape: Sequence[int]) -> tuple[Image, Mask]:
    """The tiles' colours on a picture of the slide, and where there are tiles (255)."""
    height, width = shape
    colours, covered = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    x_scale, y_scale = width / finding.width, height / finding.height
    shades = diverging(2 * finding.probabilities[:, POSITIVE].astype(np.float64) - 1)
    for (x, y, _), shade in zip(named_tiles(finding), shades, strict=True):
        rows = np.s_[round(y * y_scale) : max(round(y * y_scale) + 1, round((y + finding.grid.height) * y_scale))]
        columns = np.s_[round(x * x_scale) : max(round(x * x_scale) + 1, round((x + finding.grid.width) * x_scale))]
        colours[rows, columns], covered[rows, columns] = shade, 255
    return colours, covered


def _legend(width: int, shown: str, bundle: Bundle) -> Image:
    strip = np.full((64, width, 3), 255, np.uint8)
    ramp = diverging(np.linspace(-1, 1, min(300, max(1, width - 16))))
    strip[8:22, 8 : 8 + ramp.shape[0]] = ramp
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, f"0% to 100% {shown}, white 50%", (8, 38), font, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.putText(strip, bundle.label, (8, 56), font, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return strip


def _shown(bundle: Bundle) -> int:
    return min(POSITIVE, len(bundle.description.classes) - 1)


def _run(finding: SlideFinding, bundle: Bundle, engines: str, settings: SlideSettings) -> str:
    content = {
        "notice": bundle.notice,
        "model": bundle.description.name,
        "version": bundle.version,
        "engine": engines,
        "slide": finding.path.name,
        "width": finding.width,
        "height": finding.height,
        "mpp": finding.microns_per_pixel,
        "tile": asdict(finding.grid),
        "tiles": len(finding.tiles),
        "stain": settings.stain,
        "least_tissue": settings.least_tissue,
        "probabilities": "of the hybrid, mean of the members, at the bundle's temperature",
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _word(name: str) -> str:
    """A class's name as a part of a column's."""
    return re.sub(r"\W+", "_", name).strip("_")
