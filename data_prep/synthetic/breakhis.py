"""Synthetic H&E images in BreaKHis's shape, for a demonstration and for tests: no patient, no download, no licence.

Each patient has tissue (`synthetic_tissue`) and a stain of its own. The classes differ in what a pathologist looks at:
benign tissue is glands, lined by small, regular nuclei around an open lumen; malignant tissue is sheets and strands of
large, crowded nuclei of uneven size and shape, with hardly a lumen left.

`difficulty`, from 0 to 1, takes that away: the nuclei of both classes go that part of the way to what lies between
them, and half that part of a patient's images show the other class's architecture. At 1 the classes are the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.tissue import Patient, draw_glands, draw_sheets, paint
from pyhisto.preprocessing.images import Image

TYPES = {
    0: (("A", "adenosis"), ("F", "fibroadenoma"), ("PT", "phyllodes_tumor"), ("TA", "tubular_adenoma")),
    1: (
        ("DC", "ductal_carcinoma"),
        ("LC", "lobular_carcinoma"),
        ("MC", "mucinous_carcinoma"),
        ("PC", "papillary_carcinoma"),
    ),
}
FOLDS = 5
TEST_FRACTION = 0.3
"""Of the patients, as in the official folds."""

HEMATOXYLIN = np.array([0.29, 0.70, 0.65])
EOSIN = np.array([0.40, 0.90, 0.13])
"""Optical density of the two stains in B, G, R; between the vectors of Ruifrok (2001) and of Macenko (2009)."""


@dataclass(frozen=True)
class Sample:
    """One image to draw, and the name of its file under the tree."""

    patient: Patient
    number: int
    magnification: int

    @property
    def file_name(self) -> str:
        """As BreaKHis names it."""
        letter = "BM"[self.patient.label]
        return f"SOB_{letter}_{self.patient.subtype}-{self.patient.name}-{self.magnification}-{self.number:03d}.png"

    @property
    def path(self) -> Path:
        """As BreaKHis places it, from BreaKHis_v1 on."""
        patient, letter = self.patient, "BM"[self.patient.label]
        kind = Path("histology_slides/breast") / ("benign", "malignant")[patient.label] / "SOB" / patient.folder
        return kind / f"SOB_{letter}_{patient.subtype}_{patient.name}" / f"{self.magnification}X" / self.file_name


NUCLEI = {  # ranges of a patient's value, benign and malignant
    "nuclear_radius": ((4.6, 5.6), (7.2, 9.0)),
    "size_variation": ((0.08, 0.14), (0.24, 0.34)),
    "irregularity": ((0.02, 0.05), (0.12, 0.20)),
    "crowding": ((0.75, 0.85), (0.70, 0.82)),
    "cellularity": ((0.30, 0.45), (0.55, 0.75)),
}


def make_patients(count: int, seed: int, difficulty: float = 0.0) -> list[Patient]:
    """`count` patients, benign and malignant in turn, the same for the same seed."""
    return [_make_patient(index, seed, difficulty) for index in range(count)]


def _make_patient(index: int, seed: int, difficulty: float) -> Patient:
    rng = stream(seed, "patient", index)
    label, subtype = index % 2, TYPES[index % 2][index // 2 % 4]

    def stain(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = vector + rng.normal(0, 0.05, 3)
        strength: float = rng.uniform(0.75, 1.25)
        return np.maximum(turned, 0.02) / float(np.linalg.norm(turned)) * strength

    nuclei = {}
    for name, ranges in NUCLEI.items():
        own = rng.uniform(*ranges[label])
        nuclei[name] = own + difficulty * (float(np.mean(ranges)) - own)
    return Patient(
        name=f"16-{10001 + index}",
        label=label,
        subtype=subtype[0],
        folder=subtype[1],
        difficulty=difficulty,
        **nuclei,
        stroma_angle=rng.uniform(0, 180),
        hematoxylin=stain(HEMATOXYLIN),
        eosin=stain(EOSIN),
        light=np.array([rng.uniform(225, 245), rng.uniform(230, 245), rng.uniform(230, 248)]),
    )


def make_samples(patients: Sequence[Patient], images: int, magnification: int) -> list[Sample]:
    """`images` images of each patient."""
    return [Sample(patient, number, magnification) for patient in patients for number in range(1, images + 1)]


def fold_lines(samples: Sequence[Sample], fold: int, seed: int) -> Iterator[str]:
    """One fold in the official form, `file|magnification|fold|role`: 30% of each class's patients are its test."""
    test: set[str] = set()
    for label in TYPES:
        names = sorted({sample.patient.name for sample in samples if sample.patient.label == label})
        order = stream(seed, "fold", fold, label).permutation(len(names))
        test.update(names[index] for index in order[: max(1, round(TEST_FRACTION * len(names)))])
    for sample in samples:
        role = "test" if sample.patient.name in test else "train"
        yield f"{sample.file_name}|{sample.magnification}|{fold}|{role}"


def draw(sample: Sample, seed: int) -> Image:
    """The image, HEIGHT x WIDTH x 3, a function of (seed, sample) alone."""
    atypical = stream(seed, "atypical", sample.file_name).random() < sample.patient.difficulty / 2
    epithelium = draw_sheets if (sample.patient.label == 1) != atypical else draw_glands
    rng = stream(seed, "image", sample.file_name)
    return paint(sample.patient, sample.magnification / 100, epithelium, rng)


def stream(seed: int, *what: object) -> np.random.Generator:
    """A stream of its own for everything that has a name."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
