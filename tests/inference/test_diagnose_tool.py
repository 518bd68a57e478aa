"""tools/diagnose.py on images: what it says, in which forms, and what it refuses."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from pyhisto.bundle import open_bundle, write_sums
from pyhisto.inference.diagnosis import CHUNK, ImageFinding, Unreadable, diagnose, find_files, shape_flags
from pyhisto.inference.evidence import rank_correlation
from pyhisto.inference.findings import as_json, evidence_map
from pyhisto.inference.model import Model
from tests.inference.made_images import spotted


def run(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools/diagnose.py", *arguments]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A JPEG, a PNG and a TIFF, one larger than the training images, and a text beside them."""
    place = tmp_path / "new <images>"
    place.mkdir()
    cv2.imwrite(str(place / "a.png"), spotted(1, 0))
    cv2.imwrite(str(place / "b.JPG"), spotted(2, 40))
    cv2.imwrite(str(place / "c.tif"), spotted(3, 200, (300, 450)))
    (place / "notes.txt").write_text("no image")
    return place


def test_table_json_and_page_say_the_same(root: Path, bundle: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(root, folder, folder / "*.tif", "--bundle", bundle, "--evidence", "--workers", 2, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "For research only" in done.stdout and "diagnosis.html: 3 images" in done.stdout
    with open(out / "diagnosis.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    said = json.loads((out / "diagnosis.json").read_text())
    assert [Path(row["image"]).name for row in rows] == ["a.png", "b.JPG", "c.tif"]
    assert (rows[2]["width"], rows[2]["height"]) == ("450", "300") and "another size" in rows[2]["flags"]
    for row, image in zip(rows, said["images"], strict=True):
        local, whole = (np.array([float(row[f"{kind}_p{c}"]) for c in (0, 1)]) for kind in ("local", "global"))
        hybrid = [float(row["hybrid_p0"]), float(row["hybrid_p1"])]
        assert_allclose(hybrid, 0.6 * local + 0.4 * whole, atol=2e-6)
        assert_allclose(image["hybrid"], hybrid, atol=1e-9)
        assert_allclose(np.mean(image["branches"]["local"]["probabilities"], axis=(0, 1)), local, atol=2e-6)
        assert row["class"] == said["classes"][int(hybrid[1] > hybrid[0])] and row["spread"] == ""
        assert said["version"] in row["model"] and "for research only" in row["model"]
    page = (out / "diagnosis.html").read_text()
    assert "new &lt;images&gt;" in page and "new <images>" not in page
    assert page.count("<article") == 3 and page.count('class="map"') == 6 and page.count("<rect") == 45
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "https://" not in page
    assert said["notice"] in page.replace("&#39;", "'")
    shown = [float(value) for value in re.findall(r'data-probability="([^"]+)"', page)]
    assert shown == sorted(shown, reverse=True)


def test_the_map_of_an_image_adds_up_to_its_mean_score(bundle: Path, folder: Path) -> None:
    with open_bundle(bundle) as opened:
        model = Model(opened, "opencv", evidence=True)
        (finding,) = diagnose([folder / "b.JPG"], model)
        assert isinstance(finding, ImageFinding)
        for branch, grid in (("global", (12, 12)), ("local", (36, 60))):
            values, bias = evidence_map(finding, branch, 1)
            assert values.shape == grid
            probabilities = finding.outcome.probabilities[branch][0]
            scores = np.log(probabilities[:, 1] / probabilities[:, 0])
            # With two classes the margin is the difference of the scores: the log odds.
            assert values.sum() + bias == pytest.approx(scores.mean(), abs=1e-4)


def test_the_slow_control_stands_beside_the_map(root: Path, bundle: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(root, folder / "a.png", "--bundle", bundle, "--occlusion", "--out", out)
    assert done.returncode == 0, done.stderr
    (image,) = json.loads((out / "diagnosis.json").read_text())["images"]
    page = (out / "diagnosis.html").read_text()
    with open_bundle(bundle) as opened:
        model = Model(opened, evidence=True)
        (found,) = diagnose([folder / "a.png"], model)
        assert isinstance(found, ImageFinding)
        for branch, grid in (("global", (12, 12)), ("local", (36, 60))):
            said = image["evidence"][branch]
            assert_allclose(said["map"], evidence_map(found, branch, 1)[0], atol=1e-6)
            assert np.shape(said["occlusion"]) == np.shape(said["map"]) == grid
            assert said["rank_correlation"] == pytest.approx(
                rank_correlation(np.array(said["map"]), np.array(said["occlusion"])), abs=1e-3
            )
            assert f"rank correlation with the map {said['rank_correlation']:.2f}" in page
    assert page.count('class="map"') == 4


def test_sorted_by_uncertainty(root: Path, bag: Path, folder: Path, tmp_path: Path) -> None:
    done = run(root, folder, "--bundle", bag, "--sort", "uncertainty", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/diagnosis.html").read_text()
    shown = [float(value) for value in re.findall(r'data-uncertainty="([^"]+)"', page)]
    assert shown == sorted(shown, reverse=True) and "spread of the members" in page
    with open(tmp_path / "out/diagnosis.csv", newline="") as file:
        assert all(0 <= float(row["spread"]) <= 0.5 for row in csv.DictReader(file))


def test_every_engine_says_the_same(root: Path, bundle: Path, folder: Path, tmp_path: Path) -> None:
    tables = []
    for engine in ("onnx", "opencv"):
        assert run(root, folder, "--bundle", bundle, "--engine", engine, "--out", tmp_path / engine).returncode == 0
        said = json.loads((tmp_path / engine / "diagnosis.json").read_text())
        tables.append([image["hybrid"] for image in said["images"]])
    assert_allclose(tables[0], tables[1], atol=1e-5)


def test_bad_input_is_one_line(root: Path, bundle: Path, folder: Path, tmp_path: Path, shared_data: Path) -> None:
    (folder / "text.png").write_text("not a picture")
    whole = next((shared_data / "bisque/benign").glob("*.tif")).read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: len(whole) // 2])
    broken = Path(shutil.copytree(bundle, tmp_path / "broken"))
    weights = bytearray((broken / "global/model.caffemodel").read_bytes())
    weights[len(weights) // 2] ^= 1
    (broken / "global/model.caffemodel").write_bytes(weights)
    more = Path(shutil.copytree(bundle, tmp_path / "more"))
    description = json.loads((more / "bundle.json").read_text())
    description["classes"].append("a third")
    (more / "bundle.json").write_text(json.dumps(description))
    write_sums(more)
    for arguments, complaint in (
        ([folder], "text.png: not an image, or its header is damaged"),
        ([cut], "cut.tif"),
        ([tmp_path / "nowhere*"], "no such file, or no image in it"),
        ([folder / "a.png", "--bundle", broken], "global/model.caffemodel has changed since the bundle was made"),
        ([folder / "a.png", "--bundle", more], "has 2 classes, the bundle names 3"),
        ([folder / "a.png", "--bundle", tmp_path / "no"], "no: "),
        ([folder / "a.png", "--bundle", folder], "holds no SHA256SUMS"),
        ([folder / "a.png", "--gpu", "99"], "--gpu"),
    ):
        given = ["--bundle", bundle, *arguments] if "--bundle" not in arguments else arguments
        done = run(root, *given, "--workers", 1, "--out", tmp_path / "out")
        assert done.returncode == 2, done.stdout
        last = done.stderr.replace("\r", "\n").strip().splitlines()[-1]
        assert complaint in last and last.startswith("diagnose.py: "), last
        assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_unreadable_images_are_named_and_left_out_if_allowed(
    root: Path, bundle: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "b.png").write_text("not a picture")
    done = run(root, folder, "--bundle", bundle, "--allow-unreadable", "--out", tmp_path / "out")
    assert done.returncode == 0 and "left out: " in done.stderr
    said = json.loads((tmp_path / "out/diagnosis.json").read_text())
    assert len(said["images"]) == 3 and said["unreadable"][0]["image"].endswith("b.png")
    assert "left out: " in (tmp_path / "out/diagnosis.html").read_text()


def test_the_same_whoever_reads(bundle: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02d}.png" for number in range(2 * CHUNK + 3)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), spotted(number, 40 * (number % 2)))
    paths[20].write_text("no image")
    texts = []
    with open_bundle(bundle) as opened:
        for workers in (1, 3):
            found = list(diagnose(paths, Model(opened, callers=workers), workers, allow_unreadable=True))
            findings = [one for one in found if isinstance(one, ImageFinding)]
            texts.append(as_json(findings, [one for one in found if isinstance(one, Unreadable)], opened, "any"))
    assert len(findings) == len(paths) - 1
    assert texts[0] == texts[1]


def test_files_are_found_once(folder: Path) -> None:
    images, slides = find_files([str(folder / "a.png"), str(folder), str(folder / "*.png")])
    assert [path.name for path in images] == ["a.png", "b.JPG", "c.tif"] and slides == []


def test_shapes_by_hand() -> None:
    assert shape_flags((700, 460), (700, 460)) == shape_flags((1050, 690), (700, 460)) == []
    assert "shown distorted (96 x 192, training images 96 x 96)" in shape_flags((96, 192), (96, 96))[0]
    assert "scale may differ" in shape_flags((300, 300), (96, 96))[0]
