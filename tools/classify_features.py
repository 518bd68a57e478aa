"""Predict test images from hand-crafted features: descriptors x classifiers, those of Spanhol et al. 2015 or others.

The manifest's splits train and val are both trained on: parameters are chosen by cross-validation over their patients.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pyhisto.arrays import Floats
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import WHOLE, PredictionRow, write_predictions
from pyhisto.features.classifiers import CLASSIFIERS, SPANHOL_2015, TrainedClassifier, train
from pyhisto.features.descriptors import DESCRIPTORS
from pyhisto.features.store import read_features
from pyhisto.files import filled_folder
from pyhisto.manifest import Row, check_disjoint, read_manifest
from pyhisto.trail import checksums, write_trail

LABEL = "Spanhol 2015 [9]"


def main() -> None:
    """Parse, train, predict, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, metavar="F", help="from extract_features.py")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="F", help="classes, patients and splits; its images count"
    )
    parser.add_argument(
        "--descriptors", nargs="+", choices=[*DESCRIPTORS], metavar="D",
        help=f"of {', '.join(DESCRIPTORS)}; default: all that the file holds",
    )  # fmt: skip
    parser.add_argument(
        "--classifiers", nargs="+", choices=[*CLASSIFIERS], default=[*SPANHOL_2015], metavar="C",
        help=f"of {', '.join(CLASSIFIERS)}; default the publication's: {', '.join(SPANHOL_2015)}",
    )  # fmt: skip
    parser.add_argument("--label", default=LABEL, help="what the report calls the method; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the random forests; default %(default)s")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="predictions.csv, one model a combination ('PFTAS + SVM'); method.json says from what and what was chosen",
    )  # fmt: skip
    args = parser.parse_args()
    if args.seed < 0:
        raise InputError(f"--seed {args.seed}: give 0 or more")
    features = read_features(args.features)
    if absent := [name for name in args.descriptors or () if name not in features.values]:
        raise InputError(f"{args.features}: holds no {', '.join(absent)}; run extract_features.py with it")
    rows = read_manifest(args.manifest)
    check_disjoint(rows)
    seen = [row for row in rows if row.split in ("train", "val")]
    unseen = [row for row in rows if row.split == "test"]
    if not seen or not unseen:
        raise InputError(f"{args.manifest}: {len(seen)} training, {len(unseen)} test images; give the images splits")
    labels = np.array([row.label for row in seen], np.int64)
    classes = int(labels.max()) + 1
    if any(row.label >= classes for row in unseen):
        raise InputError(f"{args.manifest}: test images have a class that no training image has; split again")

    names = [name for name in DESCRIPTORS if name in (args.descriptors or features.values)]
    values = {name: [features.rows(name, [row.path for row in part]) for part in (seen, unseen)] for name in names}
    models: dict[str, TrainedClassifier] = {}
    predictions: list[PredictionRow] = []
    for descriptor, classifier in tqdm([*product(names, args.classifiers)], "classifying", unit=" models"):
        name = f"{descriptor} + {classifier}"
        known, new = values[descriptor]
        models[name] = train(classifier, known, labels, [row.group for row in seen], args.seed)
        predictions += predicted(name, unseen, models[name], new)

    with filled_folder(args.out) as out:
        write_trail(out / "method.json", "classify_features", method(args, models))
        write_predictions(out / "predictions.csv", predictions, classes)
    print(f"{args.out}: {len(models)} models, {len(seen)} training and {len(unseen)} test images")


def predicted(name: str, rows: Sequence[Row], model: TrainedClassifier, values: Floats) -> Iterator[PredictionRow]:
    """One model's rows of the predictions file."""
    for row, probabilities in zip(rows, model.probabilities(values), strict=True):
        yield PredictionRow(row.path, row.group, row.label, "global", name, WHOLE, probabilities.tolist())


def method(args: argparse.Namespace, models: Mapping[str, TrainedClassifier]) -> dict[str, object]:
    """From what the predictions come, what was chosen, and which combination the training patients would choose."""
    scores = {name: model.patient_score for name, model in models.items() if not math.isnan(model.patient_score)}
    return {
        "label": args.label,
        "libraries": {library: version(library) for library in ("numpy", "scikit-learn")},
        "sha256": checksums({"manifest": args.manifest, "features": args.features}),
        "seed": args.seed,
        "selected": max(scores, key=lambda name: scores[name]) if scores else None,
        "models": {
            name: {"parameters": model.parameters, "training_patient_score": scores.get(name)}
            for name, model in models.items()
        },
    }


if __name__ == "__main__":
    run(main)
