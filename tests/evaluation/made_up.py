"""Made-up stages of a results folder."""

import json
from pathlib import Path

from pyhisto.evaluation.predictions import Row, write_predictions
from pyhisto.learning_curve import Point, to_line

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
                Row(f"i{number}", f"p{number // 2}", label, branch, model, patch, (1 - malignant, malignant))
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
