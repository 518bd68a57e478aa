"""A damaged LMDB is one line of the program that reads it, not the end of its process."""

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from data_prep.lmdbs.writer import decode_record
from pyhisto.errors import InputError
from pyhisto.lmdb_folder import Augmentation, LmdbFolder, Provenance
from pyhisto.proto import Datum

RECORDS = 200
NET = """
layer {{
  name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "{}" batch_size: 4 backend: LMDB }}
}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An LMDB of several pages: 200 records of 8 x 8 x 3."""
    out = tmp_path / "train"
    out.mkdir()
    with lmdb.open(str(out), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for number in range(RECORDS):
            datum = Datum(channels=3, height=8, width=8, data=bytes(192), label=number % 2)
            transaction.put(b"%010d_a.png_" % number, datum.SerializeToString())
    return out


def spoil(folder: Path, change: str) -> None:
    """Cut data.mdb at a page, or put noise into the heads of all pages but the two that say where the root is."""
    file = folder / "data.mdb"
    data = bytearray(file.read_bytes())
    if change == "cut":
        data = data[: len(data) // 2 // 4096 * 4096]
    else:
        rng = random.Random(change)
        for page in range(2, len(data) // 4096):
            for place in range(16):
                data[page * 4096 + place] = rng.randrange(256)
    file.write_bytes(data)


def test_a_whole_one_is_counted_and_read(folder: Path) -> None:
    assert LmdbFolder(folder).records() == RECORDS
    assert len(list(LmdbFolder(folder).items())) == RECORDS


def test_one_that_is_cut_short_or_not_there_is_named(folder: Path) -> None:
    spoil(folder, "cut")
    with (
        pytest.raises(InputError, match=r"train: the LMDB is cut short, \d+ bytes are wanted"),
        LmdbFolder(folder).open(),
    ):
        pass
    (folder / "data.mdb").write_bytes(b"x" * 10_000)
    with pytest.raises(InputError, match="train: not an LMDB, or damaged"), LmdbFolder(folder).open():
        pass
    (folder / "data.mdb").unlink()
    with pytest.raises(InputError, match="train: holds no LMDB"), LmdbFolder(folder).open():
        pass


@pytest.mark.parametrize("change", ["cut", "noise 1", "noise 2", "noise 3"])
@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("data_prep/show_lmdb.py", ["--lmdb", "train", "--out", "out.png"]),
        ("data_prep/label_lmdb.py", ["--lmdb", ".", "--column", "subtype"]),
        ("tools/lint.py", ["net.prototxt"]),
    ],
)
def test_the_programs_that_read_one_say_so_in_one_line(
    root: Path, folder: Path, program: str, arguments: list[str], change: str
) -> None:
    place = folder.parent
    spoil(folder, change)
    (place / "net.prototxt").write_text(NET.format("train"))
    (place / "manifest.csv").write_text("path,label,patient,slide,magnification,subtype,split\na.png,0,,,,A,train\n")
    command = [sys.executable, str(root / program), *arguments]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if program == "tools/lint.py":  # what it can say without the data it says
        assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr
    else:
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"{Path(program).name}: train: " in done.stderr
    assert {path.name for path in place.iterdir()} <= {"train", "net.prototxt", "manifest.csv"}
    assert {path.name for path in folder.iterdir()} <= {"data.mdb", "lock.mdb"}


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (b"\xff\xff\xff", "is not a Datum"),
        (Datum(data=b"\xff\xd8\xff\xe0 nothing", encoded=True).SerializeToString(), "not an image"),
        (Datum(data=b"", encoded=True).SerializeToString(), "not an image"),
        (Datum(channels=3, height=8, width=8, data=bytes(191)).SerializeToString(), "holds 191 bytes of a picture"),
        (Datum(channels=-3, height=-8, width=8, data=bytes(192)).SerializeToString(), "holds 192 bytes of a picture"),
    ],
)
def test_a_damaged_record_is_named(record: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=f"record 7: .*{complaint}"):
        decode_record(record, "record 7")


PROVENANCE = Provenance(
    seed=3,
    augmentation=Augmentation(copies=8, max_shear=0.15, zoom=(0.85, 1.2)),
    images={"train": {0: 30, 1: 10}, "val": {0: 5, 1: 15}},
    records={"train": 320, "val": 20},
    manifest_sha256="ab" * 32,
    pyhisto="1.0",
    others={"what a later version says": [1]},
)


def write_recipe(folder: Path, content: object) -> LmdbFolder:
    folder.mkdir()
    (folder / "preprocessing.json").write_text(json.dumps(content))
    return LmdbFolder(folder)


def test_the_provenance_comes_through_a_file_with_what_it_does_not_know(tmp_path: Path) -> None:
    lmdb = write_recipe(tmp_path / "val", {"mean": [1, 2.5, 3], "provenance": PROVENANCE.to_json()})
    assert lmdb.provenance == PROVENANCE
    assert list(PROVENANCE.to_json())[:6] == [
        "seed",
        "augmentation",
        "images",
        "records",
        "manifest_sha256",
        "pyhisto",
    ]  # fmt: skip - the order decides the file's bytes, and these what a training resumes from
    assert (lmdb.mean, lmdb.split, lmdb.shares()) == ((1, 2.5, 3), "val", (0.25, 0.75))


def test_an_lmdb_of_another_program_says_nothing(folder: Path) -> None:
    lmdb = LmdbFolder(folder)
    assert lmdb.provenance == Provenance() and lmdb.provenance.to_json() == {}
    assert (lmdb.mean, lmdb.split, lmdb.shares()) == (None, None, ())
    assert lmdb.exists and not LmdbFolder(folder.parent).exists


def test_the_recipe_stands_for_the_content_and_without_one_the_size_does(folder: Path) -> None:
    alone = LmdbFolder(folder).sha256()
    assert alone == hashlib.sha256(str((folder / "data.mdb").stat().st_size).encode()).hexdigest()
    (folder / "preprocessing.json").write_text('{"mean": [0, 0, 0]}')
    assert LmdbFolder(folder).sha256() == hashlib.sha256(b'{"mean": [0, 0, 0]}').hexdigest()


@pytest.mark.parametrize(
    "provenance",
    [
        [],
        {"images": [1]},
        {"images": {"train": 5}},
        {"images": {"train": {"0": -1}}},
        {"images": {"train": {"benign": 1}}},
        {"records": {"train": "many"}},
        {"seed": 1.5},
        {"augmentation": {"max_shear": 0.1}},
        {"augmentation": {"copies": 8, "max_shear": 0.1, "zoom": [1]}},
    ],
)
def test_a_provenance_that_is_none_is_one_line(tmp_path: Path, provenance: object) -> None:
    lmdb = write_recipe(tmp_path / "val", {"mean": [1, 2, 3], "provenance": provenance})
    with pytest.raises(InputError, match=r"val/preprocessing\.json: .*(provenance|augmentation)"):
        lmdb.shares()
    assert lmdb.mean == (1, 2, 3)
