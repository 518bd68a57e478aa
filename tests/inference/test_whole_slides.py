"""Whole slides: tiles where they should be, files that others read, runs that go on after a kill, bounded memory."""

import csv
import json
import re
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import psutil
import pytest
import tifffile
from geojson_pydantic import FeatureCollection, Polygon
from numpy.testing import assert_allclose, assert_array_equal

from pyhisto.bundle import open_bundle
from pyhisto.errors import InputError
from pyhisto.inference.model import Model
from pyhisto.inference.slide_run import STAINS, SlideSettings, diagnose_slide
from pyhisto.inference.tiles import Grid, blocks, make_grid, read_tile, read_tiles, tissue_tiles
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.reinhard import Reinhard, measure, pooled
from pyhisto.preprocessing.slide import Slide, is_slide


def tissue(width: int, height: int, seed: int = 0) -> Image:
    """RGB: glass with two pink islands of some texture."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 80, (height // 16, width // 16, 3), np.uint8), (width, height))
    image = np.full((height, width, 3), 244, np.uint8)
    for x, y in ((0.3, 0.4), (0.75, 0.6)):
        mask = np.zeros((height, width), np.uint8)
        cv2.ellipse(mask, (int(x * width), int(y * height)), (width // 6, height // 4), 20, 0, 360, 1, -1)
        image[mask > 0] = (np.array([225, 120, 190]) - coarse[mask > 0] * np.array([0.6, 1.0, 0.5])).astype(np.uint8)
    return image


def write_pyramid(path: Path, image: Image, mpp: float | None = 0.25, tile: int | None = 256) -> Path:
    """A TIFF with two coarser levels as sub-images of reduced resolution."""
    scale: dict[str, Any] = {"resolution": (10_000 / mpp, 10_000 / mpp), "resolutionunit": "CENTIMETER"} if mpp else {}
    options: dict[str, Any] = {
        "photometric": "rgb",
        "compression": "jpeg",
        "compressionargs": {"level": 92},
        "metadata": None,
    }
    if tile:
        options["tile"] = (tile, tile)
    else:
        options |= {"rowsperstrip": 64, "compression": "zlib", "compressionargs": {}}
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4, 16):
            part = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
            own: dict[str, Any] = {k: ((v[0] / factor,) * 2 if k == "resolution" else v) for k, v in scale.items()}
            writer.write(part, subfiletype=int(factor > 1), **options, **own)
    return path


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2560 x 1920 pixels of 0.25 um: tiles of the toy bundle, 90 x 60 of 0.5 um, are 180 x 120."""
    return write_pyramid(tmp_path_factory.mktemp("slides") / "made.tif", tissue(2560, 1920))


def run(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools/diagnose.py", *arguments]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


def test_tiles_of_tissue_by_hand() -> None:
    grid = Grid(40, 20, 3, 2, 0, 1.0, (40, 20))
    mask = np.zeros((5, 13), np.uint8)  # 10 level-0 pixels a pixel: the slide is 130 x 50
    mask[0, 0:4] = 1  # half of tile 0
    mask[2:4, 5:8] = 1  # 6 of 8 of tile 4
    assert tissue_tiles(grid, mask, 10.0, 0.5) == [0, 4]
    assert tissue_tiles(grid, mask, 10.0, 0.6) == [4]
    assert [grid.corner(tile) for tile in (0, 2, 4)] == [(0, 0), (80, 0), (40, 20)]


def test_a_tile_is_the_same_alone_and_in_its_block(slide: Path) -> None:
    """At level 0, and at the level of factor 4 (1 um), whose pixels the tiles' borders keep; 5% finer reads it, too."""
    opened = Slide(slide)
    for microns, level in ((0.5, 0), (0.94, 0), (0.97, 1), (1.1, 1)):
        grid = make_grid(opened, (90, 60), microns)
        assert grid.level == level and grid.is_whole
        assert abs(grid.width * opened.microns_per_pixel / 90 - microns) < 0.02 * microns
        tiles = list(range(grid.columns * grid.rows))
        groups = blocks(grid, tiles)
        assert sorted(tile for group in groups for tile in group) == tiles
        for tile, pixels in zip(groups[0], read_tiles(opened, grid, groups[0]), strict=True):
            assert_array_equal(pixels, read_tile(opened, grid, tile))
    opened.close()


def test_what_openslide_does_not_read_tifffile_does(slide: Path, tmp_path: Path) -> None:
    striped = write_pyramid(tmp_path / "strips.tif", tissue(2560, 1920), tile=None)
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(striped)
    opened = Slide(striped)
    assert (opened.width, opened.height, opened.microns_per_pixel) == (2560, 1920, 0.25)
    assert_allclose(opened.factors, [1, 4, 16])
    image = cv2.cvtColor(tissue(2560, 1920), cv2.COLOR_RGB2BGR)
    assert_array_equal(opened.read_level(700, 650, 0, (300, 200)), image[650:850, 700:1000])
    outside = opened.read_level(2500, 1900, 0, (100, 40))
    assert_array_equal(outside[:20, :60], image[1900:, 2500:])
    assert (outside[20:] == 255).all() and (outside[:, 60:] == 255).all()
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    assert_array_equal(opened.read_level(400, 400, 1, (50, 50)), small[100:150, 100:150])
    opened.close()
    assert is_slide(striped) and is_slide(slide)


@pytest.mark.parametrize("colours", [{"photometric": "rgb"}, {"photometric": "ycbcr", "subsampling": (2, 2)}])
def test_a_plain_tiff_is_read_to_openslide_s_own_pixels(tmp_path: Path, colours: dict[str, Any]) -> None:
    image, path = tissue(1280, 960), tmp_path / "plain.tif"
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4):
            part = np.ascontiguousarray(image[::factor, ::factor])
            scale: dict[str, Any] = {"resolution": (40_000 / factor,) * 2, "resolutionunit": "CENTIMETER"}
            writer.write(part, subfiletype=int(factor > 1), compression="jpeg", tile=(256, 256), **scale, **colours)
    opened = Slide(path)
    with openslide.OpenSlide(path) as peer:
        assert (opened.width, opened.height) == peer.dimensions and opened.factors == list(peer.level_downsamples)
        assert opened.said == peer.properties["openslide.mpp-x"]
        for x, y, level, shape in ((0, 0, 0, (1280, 960)), (200, 120, 0, (300, 417)), (400, 80, 1, (101, 90))):
            expected = np.asarray(peer.read_region((x, y), level, shape))[:, :, 2::-1]
            assert_array_equal(opened.read_level(x, y, level, shape), expected)
    opened.close()


def test_what_is_written_about_a_slide(root: Path, bundle: Path, slide: Path, tmp_path: Path) -> None:
    done = run(root, slide, "--bundle", bundle, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out/made"
    assert {file.name for file in folder.iterdir()} == {
        "tiles.csv", "tiles.geojson", "heatmap.png", "slide.html", "run.json"
    }  # fmt: skip
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"made"}
    with open(folder / "tiles.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["minx", "miny", "width", "height", "prob_plain", "prob_spotted", "model"]
    assert all(re.fullmatch("toy [0-9a-f]{12}, for research only", row["model"]) for row in rows)
    read = json.loads((folder / "tiles.geojson").read_text())
    collection: FeatureCollection[Any] = FeatureCollection.model_validate(read)
    assert len(collection.features) == len(rows) > 20
    assert len({feature["id"] for feature in read["features"]}) == len(rows)
    picture = read_image(folder / "heatmap.png")
    assert picture.shape == (1536 + 64, 2048, 3)
    page = (folder / "slide.html").read_text()
    assert "For research only" in page and 'type="range"' in page and not re.search(r"(src|href)=\"(?!data:)", page)
    assert "toy" in json.loads((folder / "run.json").read_text())["notice"]
    with open_bundle(bundle) as opened, openslide.OpenSlide(slide) as peer:
        model = Model(opened)
        for feature, valid, row in list(zip(read["features"], collection.features, rows, strict=True))[::7]:
            assert isinstance(valid.geometry, Polygon) and uuid.UUID(feature["id"]).version == 5
            ring = feature["geometry"]["coordinates"][0]
            assert ring[0] == ring[-1] and len(ring) == 5
            (x, y), (right, bottom) = ring[0], ring[2]
            assert [int(row[name]) for name in ("minx", "miny", "width", "height")] == [x, y, right - x, bottom - y]
            # The tile that the file names, read by OpenSlide alone, gives what the file says.
            region = np.asarray(peer.read_region((x, y), 0, (right - x, bottom - y)))[:, :, 2::-1]
            small = cv2.resize(np.ascontiguousarray(region), (90, 60), interpolation=cv2.INTER_AREA)
            tile = np.asarray(small, np.uint8)
            (outcome,) = model([model.preparation(tile)])
            said = feature["properties"]["measurements"]
            assert_allclose([said["prob_plain"], said["prob_spotted"]], outcome.calibrated, atol=2e-6)
            assert feature["properties"]["objectType"] == "tile"
            name = feature["properties"]["classification"]["name"]
            assert name == opened.description.classes[outcome.calibrated.argmax()]


def test_killed_three_times_and_the_same_bytes(root: Path, bundle: Path, slide: Path, tmp_path: Path) -> None:
    options = ["--bundle", bundle, "--workers", 1, "--batch-size", 4]
    assert run(root, slide, *options, "--out", tmp_path / "whole").returncode == 0
    command = [sys.executable, root / "tools/diagnose.py", slide, *options, "--out", tmp_path / "killed"]
    rows = tmp_path / "killed/.made.progress/rows.f32"
    sizes = [0]
    for _ in range(3):
        process = subprocess.Popen(list(map(str, command)), start_new_session=True, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while not (rows.exists() and rows.stat().st_size > sizes[-1]) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.002)
        if process.poll() is not None:
            break  # it was finished before the kill
        for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
                one.wait()
        if not rows.exists():
            break
        with open(rows, "ab") as file:
            file.write(b"xyz")  # as if it had been killed in the middle of a row
        sizes.append(rows.stat().st_size)
    done = run(root, slide, *options, "--out", tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert len(sizes) > 1 and sizes == sorted(sizes)
    for whole in (tmp_path / "whole/made").iterdir():
        assert whole.read_bytes() == (tmp_path / "killed/made" / whole.name).read_bytes(), whole.name


def test_other_settings_begin_anew(bundle: Path, slide: Path, tmp_path: Path) -> None:
    with open_bundle(bundle) as opened:
        model = Model(opened)
        every = diagnose_slide(slide, model, SlideSettings(least_tissue=0.1), tmp_path / "work")
        some = diagnose_slide(slide, model, SlideSettings(least_tissue=0.9), tmp_path / "work")
        again = diagnose_slide(slide, model, SlideSettings(least_tissue=0.9, workers=2), tmp_path / "other")
    assert len(some.tiles) < len(every.tiles)
    assert_array_equal(some.probabilities, again.probabilities)
    place = [every.tiles.index(tile) for tile in some.tiles]
    assert_allclose(every.probabilities[place], some.probabilities, atol=1e-6)


def test_the_same_whoever_reads(bundle: Path, slide: Path, tmp_path: Path) -> None:
    with open_bundle(bundle) as opened:
        alone, threads, processes = (
            diagnose_slide(
                slide, Model(opened, engine, callers=workers), SlideSettings(workers=workers), tmp_path / place
            )
            for engine, workers, place in (("onnx", 1, "one"), ("onnx", 3, "threads"), ("opencv", 2, "processes"))
        )
    assert_array_equal(alone.probabilities, threads.probabilities)
    assert_allclose(alone.probabilities, processes.probabilities, atol=1e-5)


def test_parts_by_the_statistics_of_the_whole_are_parts_of_the_whole() -> None:
    image = np.random.default_rng(4).integers(90, 230, (40, 60, 3)).astype(np.uint8)
    transfer = Reinhard((170.0, 150.0, 120.0), (30.0, 8.0, 9.0))
    parts = [image[:, :25], image[:, 25:]]
    statistics = pooled(parts, [np.ones(part.shape[:2], np.uint8) for part in parts], "reinhard")
    assert_allclose(statistics, measure(image, "reinhard"), atol=1e-6)
    moved = [transfer.of_source(*statistics)(part) for part in parts]
    assert_array_equal(np.hstack(moved), transfer(image))
    assert not np.array_equal(np.hstack([transfer(part) for part in parts]), transfer(image))


def test_the_slide_s_own_statistics_are_another_answer(bundle: Path, slide: Path, tmp_path: Path) -> None:
    with open_bundle(bundle) as opened:
        model = Model(opened)
        tile, whole = (
            diagnose_slide(slide, model, SlideSettings(stain=stain), tmp_path / "work") for stain in STAINS
        )  # fmt: skip
    assert tile.tiles == whole.tiles
    assert np.abs(tile.probabilities - whole.probabilities).max() > 1e-3


def test_bad_slides_and_bundles_are_one_line(root: Path, bundle: Path, slide: Path, tmp_path: Path) -> None:
    silent = write_pyramid(tmp_path / "silent.tif", tissue(1280, 960), mpp=None)
    data = slide.read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.svs").write_text("no slide")
    glass = write_pyramid(tmp_path / "glass.tif", np.full((960, 1280, 3), 244, np.uint8))
    for path, options, complaint in (
        (silent, (), "does not say its micrometres per pixel (believed: 0.05 to 10); give --mpp"),
        (silent, ("--mpp", "70"), "70 is not from 0.05 to 10"),
        (silent, ("--mpp", "0.001"), "0.001 is not from 0.05 to 10"),
        (tmp_path / "cut.tif", (), "cut.tif"),
        (tmp_path / "text.svs", (), "text.svs: OpenSlide cannot read it"),
        (glass, (), "shows no tissue"),
        (slide, ("--gpu", "99"), "--gpu"),
    ):
        done = run(root, path, "--bundle", bundle, *options, "--out", tmp_path / "out", "--workers", 1)
        last = done.stderr.replace("\r", "\n").strip().splitlines()[-1]
        assert (done.returncode, complaint in last, "Traceback" in done.stderr) == (2, True, False), last
    assert run(root, silent, "--bundle", bundle, "--mpp", "0.5", "--out", tmp_path / "out").returncode == 0
    with open_bundle(bundle) as opened:
        nameless = replace(opened, description=replace(opened.description, microns_per_pixel=None))
        with pytest.raises(InputError, match="does not say the scale of its training images"):
            diagnose_slide(slide, Model(nameless), SlideSettings(), tmp_path / "work")


def test_the_real_slide(root: Path, bundle: Path, tmp_path: Path, shared_data: Path) -> None:
    done = run(root, shared_data / "slides/CMU-1-Small-Region.svs", "--bundle", bundle, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "out/CMU-1-Small-Region/run.json").read_text())
    assert (said["width"], said["height"], said["mpp"]) == (2220, 2967, 0.499)
