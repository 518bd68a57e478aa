"""Bundles: complete, checked to the byte, alike as folder and zip, and honest about what they hold."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pyhisto.bundle import open_bundle, pack, write_sums
from pyhisto.errors import InputError
from pyhisto.inference.calibration import tempered
from pyhisto.inference.model import Model
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.reinhard import Reinhard


def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def test_everything_is_in_it_and_sha256sum_agrees(bundle: Path) -> None:
    names = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    own = {
        f"{branch}/{name}"
        for branch in ("global", "local")
        for name in ("deploy.prototxt", "model.caffemodel", "model.onnx", "preprocessing.json")
    }
    assert names == own | {"bundle.json", "MODEL_CARD.md", "SHA256SUMS", "reliability.png"}
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=bundle, check=False, capture_output=True)
    assert done.returncode == 0 and done.stdout.count(b": OK") == len(names) - 1
    with open_bundle(bundle) as opened:
        assert opened.branches == ("global", "local") and opened.members == ("1",)
        assert opened.description.image == (90, 60) and opened.description.classes == ("plain", "spotted")
        assert "For research only" in opened.notice and opened.version in opened.notice
    card = (bundle / "MODEL_CARD.md").read_text()
    assert card.startswith("**toy: telling made images apart.**") and "| test | 4 | 4 | 8 |" in card
    assert "Licence of the data: CC0" in card and "95% interval by Wilson" in card


def test_hybrid_and_temperature_by_hand(bundle: Path, training: Path) -> None:
    with open_bundle(bundle) as opened:
        model = Model(opened, "opencv", evidence=True)
        (outcome,) = model([model.preparation(read_image(training / "images/05.png"))])
        whole, patches = outcome.probabilities["global"][0], outcome.probabilities["local"][0]
        assert whole.shape == (1, 2) and patches.shape == (15, 2)
        assert_allclose(outcome.hybrid, 0.6 * patches.mean(axis=0) + 0.4 * whole[0])
        assert_allclose(outcome.calibrated, tempered(outcome.hybrid, opened.description.temperature))
        assert outcome.spread is None
        evidence = outcome.evidence["local"]
        scores = evidence.maps.sum(axis=(2, 3)) + evidence.bias
        assert_allclose(1 / (1 + np.exp(scores[:, 0] - scores[:, 1])), patches[:, 1], atol=1e-5)


def test_an_image_is_prepared_as_each_network_s_recipe_says(bundle: Path, training: Path) -> None:
    """One normalisation may serve several recipes; a recipe of another stain has its own."""
    image = read_image(training / "images/05.png")
    with open_bundle(bundle) as opened:
        plain = Model(opened, "opencv").preparation
    one, other = (
        Reinhard(mean, (20.0, 8.0, 9.0), source="x") for mean in ((170.0, 150.0, 120.0), (140.0, 150.0, 120.0))
    )
    for stains in ((None, None), (one, one), (one, other), (one, None)):
        recipes = tuple(replace(recipe, stain=stain) for recipe, stain in zip(plain.recipes, stains, strict=True))
        found = replace(plain, recipes=recipes)(image)
        for inputs, recipe in zip(found, recipes, strict=True):
            for (patch, pixels), (name, expected) in zip(inputs, recipe.inputs(image), strict=True):
                assert patch == name
                assert_array_equal(pixels, expected)


def test_a_bag_gives_its_spread(bag: Path, training: Path) -> None:
    with open_bundle(bag) as opened:
        assert opened.members == ("1", "2") and opened.networks[2].folder == bag / "member2/global"
        model = Model(opened)
        assert model.engine_names == ["onnx"] and len(model.preparation.recipes) == 2
        images = [read_image(training / f"images/{number:02d}.png") for number in (0, 1)]
        together = model([model.preparation(image) for image in images])
        alone = model([model.preparation(images[1])])[0]
        assert_allclose(together[1].members, alone.members, atol=1e-6)
        named = alone.members[:, alone.named]
        assert alone.spread == pytest.approx(abs(named[0] - named[1]) / 2)


def change_byte(folder: Path) -> None:
    data = bytearray((folder / "local/model.caffemodel").read_bytes())
    data[100] ^= 1
    (folder / "local/model.caffemodel").write_bytes(data)


def other_classes(folder: Path) -> None:
    described = json.loads((folder / "bundle.json").read_text())
    described["classes"].append("third")
    (folder / "bundle.json").write_text(json.dumps(described))
    write_sums(folder)


def swapped_branches(folder: Path) -> None:
    shutil.copy(folder / "local/preprocessing.json", folder / "global/preprocessing.json")
    write_sums(folder)


def outside(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("0" * 64 + "  ../x\n")


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (change_byte, "its file local/model.caffemodel has changed since the bundle was made"),
        (lambda folder: (folder / "global/model.onnx").unlink(), "its file global/model.onnx is missing"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "holds no SHA256SUMS; is it a bundle"),
        (other_classes, r"global: the network has 2 classes, the bundle names 3 \(plain, spotted, third\)"),
        (swapped_branches, "the preprocessing is of the local branch, not of the global one"),
        (outside, r"path '../x' is not inside the root folder"),
        (lambda folder: (folder / "SHA256SUMS").write_text("nonsense\n"), "line 1 is not a checksum and a file"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_one_line(
    bundle: Path, tmp_path: Path, harm: Callable[[Path], None], complaint: str
) -> None:
    folder = copy(bundle, tmp_path)
    harm(folder)
    with pytest.raises(InputError, match=complaint) as caught, open_bundle(folder):
        pass
    assert "\n" not in str(caught.value)


def test_a_zip_is_the_same_model_to_the_byte(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.zip")
    pack(bundle, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with open_bundle(bundle) as folder, open_bundle(tmp_path / "a.zip") as packed:
        assert folder.version == packed.version and folder.description == packed.description


def test_zips_that_are_none(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "climbing.zip", "w") as archive:
        archive.writestr("../out.txt", "x")
    pack(bundle, tmp_path / "cut.zip")
    data = (tmp_path / "cut.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    for name, complaint in (("text", "not a bundle"), ("climbing", "not inside"), ("cut", "not a bundle")):
        with pytest.raises(InputError, match=complaint), open_bundle(tmp_path / f"{name}.zip"):
            pass


def program(root: Path, training: Path, *more: object) -> subprocess.CompletedProcess[str]:
    place = training / "one/global"
    command = [sys.executable, root / "tools/bundle.py", "--root", training, "--name", "x", "--purpose", "y"]
    network = ["--network", "global", place / "deploy.prototxt", place / "w.caffemodel", place / "lmdb"]
    return subprocess.run([*map(str, [*command, *network, *more])], check=False, capture_output=True, text=True)


def test_the_program_makes_folder_and_zip_of_one_branch(root: Path, training: Path, tmp_path: Path) -> None:
    done = program(root, training, "--classes", "a", "b", "--out", tmp_path / "b", "--zip", tmp_path / "b.zip")
    assert done.returncode == 0, done.stderr
    assert "test: " in done.stdout and "x, version" in done.stdout
    with open_bundle(tmp_path / "b.zip") as opened:
        assert opened.branches == ("global",)


def test_the_program_refuses_in_one_line(root: Path, training: Path, tmp_path: Path) -> None:
    done = program(root, training, "--classes", "a", "b", "c", "--out", tmp_path / "b")
    assert done.returncode == 2 and "has 2 classes, the bundle names 3" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "b").exists()
    local = training / "one/local"
    further = ["--network", "global", local / "deploy.prototxt", local / "w.caffemodel", local / "lmdb"]
    done = program(root, training, "--classes", "a", "b", *further, "--out", tmp_path / "b")
    assert done.returncode == 2 and "the preprocessing is of the local branch" in done.stderr
