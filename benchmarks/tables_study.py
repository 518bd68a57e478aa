"""Rebuild all tables of a five-fold, four-magnification study from prediction files: time and memory.

Made-up predictions: in each of five folds all 7,909 images of BreaKHis (the sizes of its four magnifications), 16 rows
an image: 632,720 rows. (The official folds test about a third of the images each: this is the harder case.) Measures
`tools/report.py`, the program that a user starts, figures and report.html included. Claim: 10 s and 500 MB at most.
"""

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pyhisto.evaluation.predictions import LAYOUT
from pyhisto.preprocessing.patches import IDS

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"40": (625, 1370), "100": (644, 1437), "200": (623, 1390), "400": (588, 1232)}
"""Magnification -> benign and malignant images."""
FOLDS, PATIENTS = 5, 82
MAX_SECONDS, MAX_MEGABYTES = 10.0, 500.0


def main() -> None:
    """Write the study, measure the report, print both against the claim; exit 1 where it does not hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_study(folder)
        began = time.monotonic()
        subprocess.run(
            [sys.executable, str(ROOT / "tools" / "report.py"), "--results", str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.monotonic() - began
        tables = len(list((folder / "tables").glob("*.csv")))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    megabytes, processor = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
    print(f"{rows} rows, {tables} tables: {seconds:.1f} s ({processor:.1f} s of processor time), {megabytes:.0f} MB")
    print(f"claim: at most {MAX_SECONDS:g} s and {MAX_MEGABYTES:g} MB")
    sys.exit(seconds > MAX_SECONDS or megabytes > MAX_MEGABYTES)


def write_study(folder: Path) -> int:
    """Write the prediction files; returns the number of rows."""
    rng = np.random.default_rng(0)
    patient_bias = rng.normal(0, 1, PATIENTS)
    rows = 0
    for fold in range(1, FOLDS + 1):
        for magnification, (benign, malignant) in IMAGES.items():
            labels = np.repeat([0, 1], [benign, malignant])
            patients = np.arange(len(labels)) % PATIENTS
            evidence = 1.5 * (2 * labels - 1) + patient_bias[patients]
            for branch, patches in (("global", ("",)), ("local", IDS)):
                noise = rng.normal(0, 1.5, (len(labels), len(patches)))
                probabilities = 1 / (1 + np.exp(-(evidence[:, None] + noise)))
                path = folder / f"fold{fold}" / f"{magnification}X" / "before" / branch / "predictions.csv"
                path.parent.mkdir(parents=True)
                with open(path, "w", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow([*LAYOUT.columns, "p0", "p1"])
                    for image, (label, patient) in enumerate(zip(labels, patients, strict=True)):
                        head = [
                            f"SOB/14-{patient}/{magnification}X/{image:04}.png",
                            f"14-{patient}",
                            label,
                            branch,
                            "model",
                        ]
                        for patch, p in zip(patches, probabilities[image], strict=True):
                            writer.writerow([*head, patch, f"{1 - p:.9g}", f"{p:.9g}"])
                rows += probabilities.size
    (folder / "run.json").write_text(json.dumps({"dataset": "breakhis", "data": "Made up."}))
    return rows


if __name__ == "__main__":
    main()
