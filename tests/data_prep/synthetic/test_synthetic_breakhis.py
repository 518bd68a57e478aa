"""The synthetic tree: deterministic, in BreaKHis's shape, with the differences between classes that it promises."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.datasets import breakhis
from data_prep.datasets.splits import carve_validation
from data_prep.synthetic.breakhis import Sample, draw, fold_lines, make_patients, make_samples
from pyhisto.preprocessing.images import read_image


def test_same_seed_same_image_and_another_seed_another() -> None:
    sample = Sample(make_patients(2, 0)[1], 1, 100)
    image = draw(sample, 0)
    assert image.shape == (460, 700, 3)
    assert np.array_equal(image, draw(sample, 0))
    assert not np.array_equal(image, draw(sample, 1))


def test_more_patients_do_not_change_the_first() -> None:
    few, many = make_patients(12, 5), make_patients(20, 5)
    assert [patient.nuclear_radius for patient in few] == [patient.nuclear_radius for patient in many[:12]]


def test_malignant_has_more_hematoxylin_and_benign_more_lumen() -> None:
    shares: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
    for patient in make_patients(6, 0):
        image = draw(Sample(patient, 1, 100), 0)
        nuclei = float(np.mean(image[:, :, 2] < 0.66 * patient.light[2]))  # hematoxylin absorbs red, eosin hardly
        empty = float(np.mean(image.min(axis=2) > 205))
        shares[patient.label].append((nuclei, empty))
    assert min(nuclei for nuclei, _ in shares[1]) > max(nuclei for nuclei, _ in shares[0])
    assert np.mean([empty for _, empty in shares[0]]) > 2 * np.mean([empty for _, empty in shares[1]])


def test_difficulty_moves_the_nuclei_to_the_middle_and_mixes_the_architectures() -> None:
    for easy, half in zip(make_patients(4, 0), make_patients(4, 0, 0.5), strict=True):
        # the middle of 4.6 to 5.6 and 7.2 to 9.0 is (4.6 + 5.6 + 7.2 + 9.0) / 4 = 6.6
        assert half.nuclear_radius == pytest.approx((easy.nuclear_radius + 6.6) / 2)
        assert np.array_equal(half.hematoxylin, easy.hematoxylin)
    hardest = make_patients(2, 0, 1.0)
    assert [patient.nuclear_radius for patient in hardest] == [pytest.approx(6.6)] * 2
    for patient in hardest:
        # glands have open lumina, sheets hardly any: half of either class's images show each
        empty = [np.mean(draw(sample, 0).min(axis=2) > 205) for sample in make_samples([patient], 16, 100)]
        assert 4 <= sum(share > 0.03 for share in empty) <= 12


def test_folds_are_stratified_by_patient() -> None:
    samples = make_samples(make_patients(16, 0), 2, 100)
    tests = []
    for fold in range(1, 6):
        roles = [line.split("|") for line in fold_lines(samples, fold, 0)]
        patients = {
            (breakhis.parse(Path(name)).label, breakhis.parse(Path(name)).patient): role for name, _, _, role in roles
        }
        # 8 patients of each class, 30% of them: 2
        assert [sum(role == "test" for (kind, _), role in patients.items() if kind == label) for label in (0, 1)] == [
            2,
            2,
        ]
        tests.append(frozenset(name for name, role in patients.items() if role == "test"))
    assert len(set(tests)) == 5


@pytest.mark.slow
def test_program_writes_a_tree_that_the_reader_takes(tmp_path: Path, root: Path) -> None:
    program = [sys.executable, str(root / "data_prep/make_synthetic.py"), "--patients", "12", "--images", "1"]
    for name, workers in (("a", "1"), ("b", "2")):
        subprocess.run([*program, "--out", str(tmp_path / name), "--workers", workers], check=True, capture_output=True)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 12 + 5  # images and folds
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    for fold in breakhis.FOLDS:
        data = breakhis.load(tmp_path / "a/BreaKHis_v1", tmp_path / "a/breakhis_folds", fold, 100)
        assert data.notes == []
        assert {row.split for row in carve_validation(data.rows, 0.2, 0)[0]} == {"train", "val", "test"}
    assert read_image(next((tmp_path / "a").rglob("*.png"))).shape == (460, 700, 3)
    again = subprocess.run([*program, "--out", str(tmp_path / "a")], check=False, capture_output=True, text=True)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "exists already" in again.stderr
