"""The two programs, from image files to a predictions file that evaluate.py takes."""

import csv
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.manifest import Row, write_manifest


def call(root: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / f"{program}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine noise is class 0, coarse noise class 1; six training, two validation, four test patients of two images."""
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for patient in range(12):
        split = "train" if patient < 6 else "val" if patient < 8 else "test"
        for number in range(2):
            name, label = f"p{patient}-{number}.png", patient % 2
            pixels = np.random.default_rng([patient, number]).integers(0, 256, (48, 64, 3), np.uint8)
            cv2.imwrite(str(folder / name), cv2.GaussianBlur(pixels, (0, 0), 2) if label else pixels)
            rows.append(Row(name, label, patient=f"p{patient}", split=split))
    write_manifest(folder / "manifest.csv", rows)
    return folder


@pytest.fixture(scope="module")
def features(root: Path, images: Path) -> Path:
    out = images / "features.npz"
    done = call(
        root, "extract_features", "--manifest", images / "manifest.csv", "--root", images, "--out", out,
        "--descriptors", "LBP", "PFTAS", "--workers", 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "24 images, LBP 10, PFTAS 162" in done.stdout
    return out


def test_workers_and_twice_named_manifests_change_nothing(root: Path, images: Path, features: Path) -> None:
    again, manifest = images / "again.npz", images / "manifest.csv"
    options = ("--root", images, "--out", again, "--descriptors", "PFTAS", "LBP", "--workers", 1)
    assert call(root, "extract_features", "--manifest", manifest, manifest, *options).returncode == 0
    assert again.read_bytes() == features.read_bytes()
    trail = json.loads(again.with_suffix(".json").read_text())
    assert trail["dimensions"] == {"LBP": 10, "PFTAS": 162}
    assert trail["images"] == 24


def test_predictions(root: Path, images: Path, features: Path, tmp_path: Path) -> None:
    options = ("--features", features, "--manifest", images / "manifest.csv")
    done = call(root, "classify_features", *options, "--classifiers", "1-NN", "SVM", "--out", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    assert "4 models, 16 training and 8 test images" in done.stdout
    predictions = read_predictions([tmp_path / "one" / "predictions.csv"])
    assert predictions.models == ("LBP + 1-NN", "LBP + SVM", "PFTAS + 1-NN", "PFTAS + SVM")
    assert len(predictions.images) == 8
    assert not predictions.local
    assert np.array_equal(predictions.whole["PFTAS + 1-NN"].argmax(axis=1), predictions.labels)
    method = json.loads((tmp_path / "one" / "method.json").read_text())
    assert method["label"] == "Spanhol 2015 [9]"
    assert method["models"]["PFTAS + 1-NN"] == {"parameters": {}, "training_patient_score": 1.0}
    assert method["models"][method["selected"]]["training_patient_score"] == 1.0
    assert set(method["models"]["LBP + SVM"]["parameters"]) == {"c", "gamma"}

    repeat = call(root, "classify_features", *options, "--classifiers", "1-NN", "SVM", "--out", tmp_path / "two")
    assert repeat.returncode == 0, repeat.stderr
    for name in ("predictions.csv", "method.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    scored = call(root, "evaluate", "--predictions", tmp_path / "one" / "predictions.csv")
    assert scored.returncode == 0, scored.stderr


def test_labels_of_test_images_are_not_looked_at(root: Path, images: Path, features: Path, tmp_path: Path) -> None:
    """Every test image with the other class: the same probabilities."""
    probabilities = []
    text = (images / "manifest.csv").read_text().splitlines()
    swapped = [line.replace(",0,", ",x,").replace(",1,", ",0,").replace(",x,", ",1,") for line in text]
    for name, lines in (
        ("true", text),
        ("swapped", [b if ",test" in a else a for a, b in zip(text, swapped, strict=True)]),
    ):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        options = ("--features", features, "--manifest", tmp_path / f"{name}.csv", "--descriptors", "LBP")
        done = call(root, "classify_features", *options, "--classifiers", "QDA", "SVM", "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        with open(tmp_path / name / "predictions.csv", newline="") as file:
            probabilities.append([(row["image"], row["model"], row["p1"]) for row in csv.DictReader(file)])
    assert probabilities[0] == probabilities[1]


def test_a_fault_is_one_line_and_exit_2(root: Path, images: Path, features: Path, tmp_path: Path) -> None:
    options = ("--features", features, "--manifest", images / "manifest.csv", "--out", tmp_path / "out")
    done = call(root, "classify_features", *options, "--descriptors", "ORB")
    assert done.returncode == 2
    assert done.stderr == f"classify_features.py: {features}: holds no ORB; run extract_features.py with it\n"
    assert not (tmp_path / "out").exists()


Refused = Callable[..., str]


@pytest.fixture
def refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """The complaint of a program about its options, without a process of its own."""

    def complaint(program: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(InputError) as caught:
            runpy.run_path(str(root / "tools" / f"{program}.py"))["main"]()
        return str(caught.value)

    return complaint


def test_what_classify_refuses(images: Path, features: Path, tmp_path: Path, refused: Refused) -> None:
    manifest, out = images / "manifest.csv", tmp_path / "out"
    text = manifest.read_text()

    def complaint(change: tuple[str, str], *options: object, file: Path = features) -> str:
        (tmp_path / "m.csv").write_text(text.replace(*change))
        given = ("--features", file, "--manifest", tmp_path / "m.csv", "--out", out)
        return refused("classify_features", *given, *options)

    assert "--seed -1: give 0 or more" in complaint(("", ""), "--seed", -1)
    assert "not a features file" in complaint(("", ""), file=manifest)
    assert "q.png: no features of it (1 such images)" in complaint(("p3-1.png", "q.png"))
    assert "16 training, 0 test images" in complaint((",test", ","))
    assert "a class that no training image has" in complaint(("p8-0.png,0", "p8-0.png,2"))
    assert "patients in more than one split: p3 in train and test" in complaint((",p8,", ",p3,"))
    assert not out.exists()


def test_what_extract_refuses(images: Path, tmp_path: Path, refused: Refused) -> None:
    given = ("--out", tmp_path / "f.npz", "--workers", 1, "--manifest")
    assert "no such file" in refused("extract_features", *given, images / "manifest.csv", "--root", tmp_path)
    cv2.imwrite(str(tmp_path / "s.png"), np.zeros((8, 8, 3), np.uint8))
    write_manifest(tmp_path / "small.csv", [Row("s.png", 0)])
    complaint = refused("extract_features", *given, tmp_path / "small.csv", "--root", tmp_path)
    assert "s.png: 8 x 8 pixels, too small" in complaint
    assert not (tmp_path / "f.npz").exists()
