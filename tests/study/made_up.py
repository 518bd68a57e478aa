"""Made-up stages of a results folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.learning_curve import Point, to_line
from pyhisto.manifest import Row, write_manifest

COST = {"weights": 3770274, "flops": 2920262208}


def write_stage(
    folder: Path,
    wrong: int,
    *,
    images: int = 10,
    models: tuple[str, ...] = ("m",),
    cost: bool = True,
    sparse_bytes: int = 15081096,
) -> None:
    """A stage of `images` images of images / 2 patients, half malignant, of which the first `wrong` are misjudged."""
    for branch, patches in (("global", ("",)), ("local", ("11", "12", "13"))):
        rows = []
        for number in range(images):
            label = number % 2
            right = 0.2 if number < wrong else 0.8
            malignant = right if label else 1 - right
            rows += [
                PredictionRow(f"i{number}", f"p{number // 2}", label, branch, model, patch, (1 - malignant, malignant))
                for model in models
                for patch in patches
            ]
        (folder / branch).mkdir(parents=True)
        write_predictions(folder / branch / "predictions.csv", rows, 2)
        if cost:
            sizes = {"caffemodel_bytes": 15096340, "sparse_bytes": sparse_bytes}
            (folder / branch / "cost.json").write_text(json.dumps({"total": COST, "layers": [], **sizes}))
            time = {"forward_ms": 12.5, "batch": 10}
            (folder / branch / "time.json").write_text(json.dumps(time))
            blocks = {"inception_3a_scale": [0.1, 0.5, 0.6], "inception_3b_scale": [0.4, 0.5]}
            (folder / branch / "importance.json").write_text(
                json.dumps({"samples": 3, "weights_sha256": "0", "blocks": blocks})
            )
            points = [Point(0, "train", 0.7, 0.01), Point(0, "test", 0.7, None, 0.5), Point(10, "test", 0.5, None, 0.8)]
            (folder / branch / "metrics.jsonl").write_text("".join(map(to_line, points)))


def write_splits(experiment: Path, facts: Mapping[str, Any] | None = None, *, images: int = 10) -> list[Row]:
    """The manifest of `write_stage`'s images, which are the test part, and of three others: two train, one validates.

    Malignant images are DC; benign ones A in test, F in training. Of the two training images one is malignant.
    """
    rows = [Row(f"i{n}", n % 2, f"p{n // 2}", subtype=("A", "DC")[n % 2], split="test") for n in range(images)]
    rows += [Row("t0", 0, "q0", subtype="F", split="train"), Row("t1", 1, "q1", subtype="DC", split="train")]
    rows += [Row("v0", 0, "q2", subtype="F", split="val")]
    experiment.mkdir(parents=True, exist_ok=True)
    write_manifest(experiment / "manifest.csv", rows)
    if facts is not None:
        (experiment / "manifest.json").write_text(json.dumps(facts))
    return rows


def write_images(root: Path, rows: list[Row]) -> Path:
    """A grey picture for every row; returns the folder."""
    root.mkdir()
    for number, row in enumerate(rows):
        (root / row.path).write_bytes(
            cv2.imencode(".png", np.full((46, 70, 3), 10 * number % 256, np.uint8))[1].tobytes()
        )
    return root
