from pathlib import Path

import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import PredictionRow, read_predictions, write_predictions

HEADER = "image,patient,label,branch,model,patch,p0,p1\n"


def rows(
    images: int = 4, models: tuple[str, ...] = ("m",), patches: tuple[str, ...] = ("11", "12")
) -> list[PredictionRow]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(images):
        for model in models:
            for branch, patch in [("global", ""), *(("local", p) for p in patches)]:
                malignant = float(np.float32(rng.random()))
                made.append(
                    PredictionRow(f"i{i}.png", f"p{i // 2}", i % 2, branch, model, patch, (1 - malignant, malignant))
                )
    return made


def test_files_of_both_branches_merge_into_one_table(tmp_path: Path) -> None:
    made = rows()
    write_predictions(tmp_path / "g.csv", [r for r in made if r.branch == "global"], 2)
    # The order of the rows and of the files does not count.
    write_predictions(tmp_path / "l.csv", [r for r in reversed(made) if r.branch == "local"], 2)
    read = read_predictions([tmp_path / "l.csv", tmp_path / "g.csv"])
    assert read.images == ("i0.png", "i1.png", "i2.png", "i3.png")
    assert read.patients == ("p0", "p0", "p1", "p1")
    assert list(read.labels) == [0, 1, 0, 1] and read.classes == 2 and read.models == ("m",)
    assert list(read.patient_numbers) == [0, 0, 1, 1]
    assert read.whole["m"].shape == (4, 2) and read.local["m"].shape == (4, 2, 2)
    expected = {(r.image, r.patch): r.probabilities for r in made}
    for i, image in enumerate(read.images):
        np.testing.assert_allclose(read.whole["m"][i], expected[image, ""], rtol=1e-8)
        for j, patch in enumerate(["11", "12"]):
            np.testing.assert_allclose(read.local["m"][i, j], expected[image, patch], rtol=1e-8)


def test_a_float32_comes_back_exactly(tmp_path: Path) -> None:
    value = np.float32(0.1) / np.float32(3)
    row = PredictionRow("a", "p", 0, "global", "m", "", (1 - float(value), float(value)))
    write_predictions(tmp_path / "f.csv", [row], 2)
    assert np.float32(read_predictions([tmp_path / "f.csv"]).whole["m"][0, 1]) == value


def test_names_with_commas_and_quotes(tmp_path: Path) -> None:
    name = 'a, "b".png'
    write_predictions(tmp_path / "f.csv", [PredictionRow(name, "p,1", 0, "global", "m", "", (0.5, 0.5))], 2)
    read = read_predictions([tmp_path / "f.csv"])
    assert read.images == (name,) and read.patients == ("p,1",)


GOOD = "a.png,p1,1,global,m,,0.25,0.75\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a predictions file"),
        ("image,patient\n", "not a predictions file"),
        (HEADER, "holds no prediction"),
        (HEADER + "a.png,p1,1,global,m,,0.25\n", "line 2: 7 fields, the header 8"),
        (HEADER + "a.png,p1,1,global,m,,x,0.75\n", "line 2: a probability is not a number"),
        (HEADER + GOOD + "b.png,p1,1,global,m,,nan,0.75\n", "line 3: nan, 0.75 are not probabilities"),
        (HEADER + "a.png,p1,1,global,m,,1.5,-0.5\n", "line 2: 1.5, -0.5 are not probabilities"),
        (HEADER + "a.png,p1,1,global,m,,0.5,0.75\n", "line 2: 0.5, 0.75 are not probabilities"),
        (HEADER + "a.png,p1,2,global,m,,0.25,0.75\n", "label '2' is not a class"),
        (HEADER + "a.png,p1,-1,global,m,,0.25,0.75\n", "label '-1' is not a class"),
        (HEADER + f"a.png,p1,{'9' * 5000},global,m,,0.25,0.75\n", "label '99999999999999999999' is not a class"),
        (HEADER + "a.png,p1,1,whole,m,,0.25,0.75\n", "branch 'whole'"),
        (HEADER + "a.png,p1,1,global,m,11,0.25,0.75\n", "patch '11' in the global branch"),
        (HEADER + "a.png,p1,1,local,m,,0.25,0.75\n", "patch '' in the local branch"),
        (HEADER + "a.png,p1,1,global,,,0.25,0.75\n", "no model's name"),
        (HEADER + GOOD + GOOD, "a.png, global branch, model m: predicted twice"),
        (HEADER + GOOD + "a.png,p2,1,local,m,11,0.25,0.75\n", "a.png is patient p2, label 1 here, but patient p1"),
        (HEADER + GOOD + "b.png,p1,1,local,m,11,0.25,0.75\n", "missing, as are 1 more"),
        (HEADER + 'a.png,"p1\n', "not valid CSV"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_predictions([tmp_path / "bad.csv"])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_predictions([tmp_path / "none.csv"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a UTF-8 text file"):
        read_predictions([tmp_path / "binary.csv"])
    (tmp_path / "two.csv").write_text(HEADER + GOOD)
    (tmp_path / "three.csv").write_text(HEADER[:-1] + ",p2\nb.png,p,0,global,n,,0.5,0.25,0.25\n")
    with pytest.raises(InputError, match=r"three.csv: has 3 classes, the files before it 2"):
        read_predictions([tmp_path / "two.csv", tmp_path / "three.csv"])
