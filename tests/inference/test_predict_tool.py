"""tools/predict.py, with OpenCV (and, where it is there, Caffe)."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pyhisto.evaluation.predictions import read_predictions
from pyhisto.files import sha256
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import opencv_engine
from pyhisto.lmdb_folder import Provenance
from pyhisto.manifest import read_manifest, write_manifest
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.patches import IDS
from pyhisto.preprocessing.recipe import Preprocessing

Pair = tuple[Path, Path]


def predict(root: Path, images: Path, small: Pair, branch: str, *more: object) -> subprocess.CompletedProcess[str]:
    arguments: dict[object, object] = {
        "--model": small[0],
        "--weights": small[1],
        "--engine": "opencv",
        "--manifest": images / "manifest.csv",
        "--root": images,
        "--branch": branch,
        "--preprocessing": images / branch,
        "--out": images / f"{branch}.csv",
    }
    flags = [] if len(more) % 2 == 0 else [str(more[-1])]
    arguments.update(zip(more[::2], more[1::2], strict=False))
    flat = [str(part) for pair in arguments.items() for part in pair] + flags
    command = [sys.executable, str(root / "tools" / "predict.py"), *flat]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_both_branches_give_every_image_its_own_probabilities(root: Path, images: Path, small: Pair) -> None:
    for branch in ("global", "local"):
        done = predict(root, images, small, branch, "--batch-size", 4)  # 5 and 75 inputs: both leave a smaller batch
        assert done.returncode == 0, done.stderr
    read = read_predictions([images / "global.csv", images / "local.csv"])
    tests = [row for row in read_manifest(images / "manifest.csv") if row.split == "test"]
    assert read.images == tuple(row.path for row in tests) and len(tests) == 5
    assert read.patients == tuple(row.patient for row in tests)
    assert list(read.labels) == [row.label for row in tests]
    one = opencv_engine(read_deploy(*small))
    for branch, found in (("global", read.whole["model"][:, None]), ("local", read.local["model"])):
        recipe = Preprocessing.load(images / branch)
        for row, probabilities in zip(tests, found, strict=True):
            inputs = sorted(recipe.inputs(read_image(images / row.path)), key=lambda pair: pair[0])
            alone = np.concatenate([one(recipe.blob([pixels])) for _, pixels in inputs])
            assert_allclose(probabilities, alone, atol=1e-5)
    trail = json.loads((images / "local.json").read_text())
    assert trail["sha256"]["weights"] == sha256(small[1]) and trail["images"] == 5
    with open(images / "local.csv") as file:
        assert [row["patch"] for row in csv.DictReader(file)][:15] == list(IDS)


def test_patches_merged_are_what_the_rules_make_of_them(root: Path, images: Path, small: Pair) -> None:
    command: list[object] = ["--batch-size", 7, "--out"]
    assert predict(root, images, small, "local", *command, images / "patches.csv").returncode == 0
    done = predict(root, images, small, "local", *command, images / "merged.csv", "--merge")
    assert done.returncode == 0, done.stderr
    every = read_predictions([images / "patches.csv"]).local["model"]
    by_rule = read_predictions([images / "merged.csv"]).local["model"]
    assert every.shape == (5, 15, 2) and by_rule.shape == (5, 3, 2)
    by_max, by_product, by_sum = by_rule.swapaxes(0, 1)  # patches in the order of their names
    assert_allclose(by_sum, every.mean(axis=1), atol=1e-7)
    assert_allclose(by_max[:, 1], every[:, :, 1].max(axis=1) / every.max(axis=1).sum(axis=1), atol=1e-7)
    odds = np.exp(np.log(every[:, :, 1] / every[:, :, 0]).sum(axis=1))
    assert_allclose(by_product[:, 1], odds / (1 + odds), atol=1e-6)


def test_random_patches_are_merged_or_refused(root: Path, images: Path, small: Pair) -> None:
    (images / "random").mkdir()
    Preprocessing("random", size=16, random_patches=20).save(images / "random")
    done = predict(root, images, small, "random")
    assert done.returncode == 2 and "give --merge" in done.stderr
    assert predict(root, images, small, "random", "--merge").returncode == 0
    assert read_predictions([images / "random.csv"]).local["model"].shape == (5, 3, 2)


@pytest.mark.caffe
def test_engines_agree(root: Path, images: Path, small: Pair) -> None:
    tables = []
    for engine in ("opencv", "caffe"):
        done = predict(root, images, small, "local", "--engine", engine, "--out", images / f"{engine}.csv")
        assert done.returncode == 0, done.stderr
        tables.append(read_predictions([images / f"{engine}.csv"]).local["model"])
    assert_allclose(tables[0], tables[1], atol=1e-5)


def test_the_preprocessing_beside_the_manifest_is_the_default(root: Path, images: Path, small: Pair) -> None:
    (images / "test").mkdir()
    for folder in (images, images / "test"):
        (folder / "preprocessing.json").write_bytes((images / "global" / "preprocessing.json").read_bytes())
        command = [sys.executable, str(root / "tools" / "predict.py"), "--model", small[0], "--weights", small[1]]
        command += ["--engine", "opencv", "--manifest", images / "manifest.csv", "--root", images]
        command += ["--branch", "global", "--out", folder / "out.csv"]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (images / "preprocessing.json").unlink(missing_ok=True)
    assert (images / "out.csv").read_bytes() == (images / "test/out.csv").read_bytes()


def test_patients_that_were_trained_on_are_refused(root: Path, images: Path, small: Pair) -> None:
    lmdb = images / "lmdb"
    lmdb.mkdir()
    (lmdb / "preprocessing.json").write_bytes((images / "global" / "preprocessing.json").read_bytes())
    rows = read_manifest(images / "manifest.csv")
    write_manifest(lmdb / "manifest.csv", [type(rows[-1])(**{**vars(row), "split": "train"}) for row in rows[-1:]])
    done = predict(root, images, small, "global", "--preprocessing", lmdb / "preprocessing.json")
    assert done.returncode == 2 and "1 patients to predict were trained on: p3" in done.stderr
    assert not (images / "global.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--split", "val"], "has no image of split val"),
        (["--preprocessing", "none.json"], "none.json: cannot be read"),
        (["--weights", "none.caffemodel"], "none.caffemodel: cannot be read"),
        (["--manifest", "none.csv"], "none.csv: cannot be read"),
        (["--root", "elsewhere"], "no such file; is elsewhere the root folder"),
        (["--gpu", "0"], "--gpu: the opencv engine runs on the CPU"),
        (["--batch-size", "0"], "0 is below 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    root: Path, images: Path, small: Pair, arguments: list[str], complaint: str
) -> None:
    done = predict(root, images, small, "global", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and "Traceback" not in done.stderr
    assert not (images / "global.csv").exists()


def test_what_does_not_belong_together(root: Path, images: Path, small: Pair) -> None:
    wrong_branch = predict(root, images, small, "local", "--preprocessing", images / "global" / "preprocessing.json")
    assert wrong_branch.returncode == 2 and "that of the global branch, not the local one" in wrong_branch.stderr
    Preprocessing("global", size=32).save(images / "global" / "preprocessing.json")
    wrong_size = predict(root, images, small, "global")
    assert wrong_size.returncode == 2
    assert "its input is 3 x 16 x 16, the preprocessing makes 3 x 32 x 32" in wrong_size.stderr
    four = Provenance(images={"train": {0: 5, 1: 5, 2: 5, 3: 5}})
    Preprocessing("global", size=16, provenance=four).save(images / "global" / "preprocessing.json")
    classes = predict(root, images, small, "global")
    assert classes.returncode == 2 and "has 2 classes, the training data 4" in classes.stderr


def test_an_image_that_does_not_decode(root: Path, images: Path, small: Pair) -> None:
    data = (images / "images/5.png").read_bytes()
    (images / "images/5.png").write_bytes(data[:2000])
    done = predict(root, images, small, "global")
    assert done.returncode == 2 and "images/5.png" in done.stderr and not (images / "global.csv").exists()


def test_images_that_are_links_are_predicted_if_asked_for(
    root: Path, images: Path, small: Pair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert predict(root, images, small, "global").returncode == 0
    expected = (images / "global.csv").read_text()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "images"
    (images / "images").rename(elsewhere)
    (images / "images").symlink_to(elsewhere)
    (images / "global.csv").unlink()
    refused = predict(root, images, small, "global")
    assert refused.returncode == 2 and "leads outside the root folder" in refused.stderr
    done = predict(root, images, small, "global", "--follow-links")
    assert done.returncode == 0, done.stderr
    assert (images / "global.csv").read_text() == expected
