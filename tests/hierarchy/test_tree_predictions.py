"""The predictions file of a tree: what is written is read; a damaged one is named."""

from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.hierarchy.predictions import NodePredictionRow, read_predictions, write_predictions

ROWS = [
    NodePredictionRow(image, patient, kind, "patient", node, "m", numbers)
    for image, patient, kind in (("b.tif", "p2", "Malignant"), ("a.tif", "p1", "Normal"))
    for node, numbers in (("Carci", (0.25, 0.75)), ("Flat", (0.1, 0.2, 0.3, 0.4)))
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", ROWS)
    read = read_predictions(tmp_path / "p.csv")
    assert (read.images, read.patients) == (("a.tif", "b.tif"), ("p1", "p2"))
    assert read.pathologies == ("Normal", "Malignant")
    assert read.models("Carci") == ["m"]
    assert read.answers["Flat", "m"].tolist() == [[0.1, 0.2, 0.3, 0.4]] * 2
    assert read.patient_numbers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("0.25,0.75", "0.25,0.65"), "line 2: 0.25, 0.65 are not probabilities that sum to 1"),
        (("0.25,0.75", "nan,0.75"), "line 2: nan, 0.75 are not probabilities"),
        (("0.25,0.75", "-0.25,1.25"), "line 2: -0.25, 1.25 are not probabilities"),
        (("0.25,0.75", "x,0.75"), "line 2: a probability is not a number"),
        (("Carci,m,0.25,0.75,,", "Carci,m,0.25,0.75"), "line 2: 8 fields, the header 10"),
        (("Carci,m,0.25,0.75,,", "Carci,m,0.25,0.25,0.5,"), "line 2: Carci m needs 2 probabilities"),
        (("Carci,m,0.25,0.75,,", "Carci,m,1,,,"), "line 2: Carci m needs 2 probabilities"),
        (("Malignant", "Lobular"), "pathology 'Lobular' is none of"),
        (("Flat", "Root"), "node 'Root' is none of"),
        (
            ("b.tif,p2,Malignant,patient,Flat", "b.tif,p3,Malignant,patient,Flat"),
            "b.tif is patient p3, .* here, but patient p2",
        ),
        (("a.tif,p1,Normal,patient,Carci", "b.tif,p2,Malignant,patient,Carci"), "b.tif, Carci m: predicted twice"),
        (("a.tif,p1,Normal,patient,Carci", "c.tif,p1,Normal,patient,Carci"), "a.tif, Carci m: missing"),
        (("image,", "picture,"), "not a tree's predictions file"),
        (("b.tif,p2,Malignant,patient,Carci", '"b.tif'), "not valid CSV"),
    ],
)
def test_what_is_damaged_is_named(change: tuple[str, str], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, ROWS)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(InputError, match=complaint) as error:
        read_predictions(path)
    assert ("p.csv" in str(error.value)) == ("line" in str(error.value) or "not a tree's" in str(error.value))


def test_an_empty_and_a_missing_file_are_named(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", [])
    for path in (tmp_path / "p.csv", tmp_path / "no.csv"):
        with pytest.raises(InputError, match=str(path)):
            read_predictions(path)
