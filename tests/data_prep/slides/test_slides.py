"""Whole slides: a real Aperio slide, labels that overwrite one another, places that keep promises, bounded memory."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from data_prep.slides.annotations import Region
from data_prep.slides.slide import HEIGHT, WIDTH, choose_places, label_map
from pyhisto.errors import InputError
from pyhisto.manifest import read_manifest
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.slide import Slide
from pyhisto.preprocessing.tissue import coarser, tissue_mask


def box(label: int, left: int, top: int, right: int, bottom: int) -> Region:
    return Region(label, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float))


def xml(*regions: Region) -> str:
    words = ("", "Benign", "Carcinoma in situ", "Invasive")
    bodies = (
        f'<Region Text="{words[region.label]}"><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in region.points)
        + "</Vertices></Region>"
        for region in regions
    )
    layer = f'<Annotation MicronsPerPixel="0.5"><Regions>{"".join(bodies)}</Regions></Annotation>'
    return f"<Annotations>{layer}</Annotations>"


def cut(root: Path, slides: Path, out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(root / "data_prep/make_slide_samples.py"), "--root", str(slides), "--out", str(out)]
    return subprocess.run([*program, *map(str, arguments)], check=False, capture_output=True, text=True)


def test_later_regions_overwrite_earlier_ones() -> None:
    labels = label_map((20, 20), 10.0, [box(1, 0, 0, 100, 100), box(3, 50, 50, 150, 150)])
    assert (labels[2, 2], labels[7, 7], labels[12, 12], labels[18, 18]) == (1, 3, 3, 0)


def test_tissue_is_colour_and_glass_is_not() -> None:
    picture = np.full((60, 80, 3), 243, np.uint8)
    assert not tissue_mask(picture).any()
    picture[10:50, 20:60] = (180, 120, 200)
    assert tissue_mask(picture)[12:48, 22:58].all()
    assert tissue_mask(picture).sum() < 1700  # 40 x 40, give or take the smoothing
    assert coarser(tissue_mask(picture), 10).tolist()[2] == [0, 0, 1, 1, 1, 1, 0, 0]


def test_places_lie_in_their_class_and_apart() -> None:
    labels = label_map((200, 300), 1.0, [box(3, 0, 0, 150, 199), box(1, 200, 100, 240, 140)])
    tissue = np.ones_like(labels)
    tissue[:, 260:] = 0
    places = choose_places(labels, tissue, 1.0, (24.0, 16.0), (10, 10, 10, 30), 0, "A01")
    counts = [sum(place.label == label for place in places) for label in range(4)]
    # Benign has 40 x 40 pixels: one or two samples of 24 x 16 side by side, in three rows at most.
    assert counts[2] == 0
    assert counts[3] == 30
    assert 1 <= counts[1] <= 6
    assert 1 <= counts[0] <= 10
    taken = np.zeros_like(labels)
    for place in places:
        here = np.s_[place.y : place.y + 16, place.x : place.x + 24]
        assert labels[here].size == 24 * 16
        assert not taken[here].any()
        taken[here] = 1
        assert ((labels[here] == place.label) & (tissue[here] > 0)).mean() >= 0.5
        assert place.label != 0 or not labels[here].any()
    assert places == choose_places(labels, tissue, 1.0, (24.0, 16.0), (10, 10, 10, 30), 0, "A01")
    assert places != choose_places(labels, tissue, 1.0, (24.0, 16.0), (10, 10, 10, 30), 1, "A01")


def test_real_aperio_slide(root: Path, shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    source = shared_data / "slides/CMU-1-Small-Region.svs"
    (tmp_path / "slides/A01.svs").write_bytes(source.read_bytes())
    (tmp_path / "slides/A01.xml").write_text(xml(box(3, 900, 300, 2000, 1500), box(2, 100, 100, 1000, 900)))
    options = ["--mpp", 0.25, "--samples", 12, "--balance", "1,0,1,1", "--classes", 4, "--workers", 1]
    done = cut(root, tmp_path / "slides", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    rows = read_manifest(tmp_path / "out/manifest.csv")
    assert {row.label for row in rows} <= {0, 2, 3}
    assert {0, 3} <= {row.label for row in rows}
    assert {(row.slide, row.extra["mpp"]) for row in rows} == {("A01", "0.25")}
    slide = Slide(source)
    assert slide.microns_per_pixel == pytest.approx(0.499)
    for row in rows:
        sample = read_image(tmp_path / "out" / row.path)
        assert sample.shape == (512, 768, 3)
        # 0.25 um a pixel on a slide of 0.499: 768 pixels of the sample are 384.8 of the slide
        whole = slide.read(int(row.extra["x"]), int(row.extra["y"]), 385, 257, (WIDTH, HEIGHT))
        assert np.array_equal(sample, whole)
    assert read_image(tmp_path / "out/overview/A01.png").shape == (1600, 1197, 3)  # 2967 x 2220, 1600 long


def test_a_total_is_reached_or_refused_before_anything_is_cut(root: Path, shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    source = shared_data / "slides/CMU-1-Small-Region.svs"
    for name in ("A01", "A02"):
        (tmp_path / f"slides/{name}.svs").write_bytes(source.read_bytes())
    (tmp_path / "slides/A02.xml").write_text(xml(box(3, 900, 300, 2000, 1500)))
    options = ["--mpp", 0.25, "--workers", 1]
    done = cut(root, tmp_path / "slides", tmp_path / "out", *options, "--total", 20, "--of-slides", "A02=7")
    assert done.returncode == 0, done.stderr
    slides = [row.slide for row in read_manifest(tmp_path / "out/manifest.csv")]
    assert (slides.count("A01"), slides.count("A02")) == (13, 7)
    many = cut(root, tmp_path / "slides", tmp_path / "many", *options, "--total", 500)
    assert many.returncode == 2 and not (tmp_path / "many").exists()
    said = many.stderr.replace("\r", "\n").splitlines()[-1]
    room = re.search(r"500 samples are wanted, and there is room for (\d+) that do not overlap more", said)
    assert room and 20 <= int(room[1]) < 500
    fewer = cut(root, tmp_path / "slides", tmp_path / "fewer", *options, "--total", 500, "--allow-fewer")
    assert fewer.returncode == 0 and "note: 500 samples are wanted" in fewer.stdout
    assert len(read_manifest(tmp_path / "fewer/manifest.csv")) == int(room[1])


def test_outside_of_the_slide_is_white(shared_data: Path) -> None:
    slide = Slide(shared_data / "slides/CMU-1-Small-Region.svs")
    assert (slide.read(slide.width + 100, 0, 50, 50, (50, 50)) == 255).all()


def test_bad_slides_are_one_line(root: Path, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    assert "no such folder" in cut(root, slides, tmp_path / "out").stderr
    slides.mkdir()
    assert "holds no slide" in cut(root, slides, tmp_path / "out").stderr
    (slides / "A01.svs").write_bytes(b"not a slide")
    options = ["--workers", 1]
    for change, complaint in (
        (None, "A01.svs: OpenSlide cannot read it"),
        ("<Annotations", "A01.xml: not valid XML"),
        ('<!DOCTYPE x [<!ENTITY a "a">]><Annotations/>', "A01.xml: declares entities"),
    ):
        if change:
            (slides / "A01.xml").write_text(change)
        done = cut(root, slides, tmp_path / "out", *options)
        assert done.returncode == 2
        assert complaint in done.stderr.replace("\r", "\n").splitlines()[-1]
    assert "give four numbers" in cut(root, slides, tmp_path / "out", "--balance", "1,2").stderr
    with pytest.raises(InputError, match="no such file"):
        Slide(tmp_path / "none.svs")
    assert {path.name for path in tmp_path.iterdir()} == {"slides"}


def write_tiff(path: Path, source: Path, microns_per_pixel: float | None) -> None:
    """Tissue of a real slide as a tiled TIFF that says so many micrometres per pixel, or nothing."""
    tissue = Slide(source).read(500, 500, 1200, 1000, (1200, 1000))[:, :, ::-1]
    said: dict[str, Any] = {}
    if microns_per_pixel is not None:
        said = {"resolution": (1e4 / microns_per_pixel,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, tissue, tile=(256, 256), photometric="rgb", **said)


@pytest.mark.parametrize("said", [None, 896.0, 25400 / 300, 0.001])  # the third: 300 dots an inch
def test_slide_mpp_counts_where_the_file_says_nothing_or_nonsense(
    root: Path, shared_data: Path, tmp_path: Path, said: float | None
) -> None:
    (tmp_path / "slides").mkdir()
    write_tiff(tmp_path / "slides/A01.tif", shared_data / "slides/CMU-1-Small-Region.svs", said)
    options = ["--mpp", 0.5, "--samples", 2, "--balance", "1,0,0,0", "--workers", 1]
    without = cut(root, tmp_path / "slides", tmp_path / "out", *options)
    assert without.returncode == 2
    assert "A01.tif: " in without.stderr and "(believed: 0.05 to 10); give --slide-mpp" in without.stderr
    done = cut(root, tmp_path / "slides", tmp_path / "out", *options, "--slide-mpp", 0.499)
    assert done.returncode == 0, done.stderr
    assert ("which no slide has; 0.499 taken" in done.stdout) == (said is not None)
    assert len(read_manifest(tmp_path / "out/manifest.csv")) >= 1
    assert "give 0.05 to 10" in cut(root, tmp_path / "slides", tmp_path / "o", "--slide-mpp", 896).stderr


def test_what_a_slide_says_and_can_have_is_believed(shared_data: Path, tmp_path: Path) -> None:
    assert Slide(shared_data / "slides/CMU-1-Small-Region.svs", 0.25).microns_per_pixel == pytest.approx(0.499)
    write_tiff(tmp_path / "a.tif", shared_data / "slides/CMU-1-Small-Region.svs", 896.0)
    assert Slide(tmp_path / "a.tif", None, 0.3).microns_per_pixel == 0.3
    assert Slide(tmp_path / "a.tif", 0.0, 0.3).microns_per_pixel == 0.3


def test_an_unreadable_slide_stops_the_folder_or_is_named(root: Path, shared_data: Path, tmp_path: Path) -> None:
    slides, source = tmp_path / "slides", shared_data / "slides/CMU-1-Small-Region.svs"
    slides.mkdir()
    (slides / "A01.svs").write_bytes(b"not a slide")
    write_tiff(slides / "A02.tif", source, 896.0)
    (slides / "A03.svs").write_bytes(source.read_bytes())
    data = bytearray(source.read_bytes())
    data[300_000:400_000] = bytes(100_000)  # opens, and is damaged where its pixels are
    (slides / "A04.svs").write_bytes(data)
    options = ["--mpp", 0.5, "--samples", 3, "--balance", "1,0,0,0", "--workers", 1]
    done = cut(root, slides, tmp_path / "out", *options)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert "A01.svs: OpenSlide cannot read it" in done.stderr
    assert f"(2 of 4 slides under {slides} cannot be used; mend or remove them, or give --allow-unr" in done.stderr
    assert not (tmp_path / "out").exists()

    done = cut(root, slides, tmp_path / "out", *options, "--allow-unreadable")
    assert done.returncode == 0, done.stderr
    left_out = [line for line in done.stdout.splitlines() if line.startswith("note: left out: ")]
    assert [Path(line.split(": ")[2]).name for line in left_out] == ["A01.svs", "A02.tif", "A04.svs"]
    assert {row.slide for row in read_manifest(tmp_path / "out/manifest.csv")} == {"A03"}
    assert [path.name for path in (tmp_path / "out/images").iterdir()] == ["A03"]
    assert [path.name for path in (tmp_path / "out/overview").iterdir()] == ["A03.png"]

    for name in ("A02.tif", "A03.svs", "A04.svs"):
        (slides / name).unlink()
    done = cut(root, slides, tmp_path / "none", *options, "--allow-unreadable")
    assert done.returncode == 2
    assert "1 of 1 slides" in done.stderr


def write_pyramid(path: Path, width: int, height: int, tile: Any, *, microns_per_pixel: float) -> None:
    """A tiled pyramid TIFF, JPEG, of one tile over and over: levels of 1, 1/4 and 1/16."""

    def tiles(columns: int, rows: int, one: Any) -> Iterator[bytes]:
        tissue, glass = (
            bytes(imagecodecs.jpeg_encode(pixels, colorspace="RGB", outcolorspace="YCBCR", subsampling="444"))
            for pixels in (np.ascontiguousarray(one), np.full_like(one, 243))
        )
        for row in range(rows):
            for column in range(columns):
                yield tissue if 0.2 < row / rows < 0.8 and 0.2 < column / columns < 0.8 else glass

    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level in range(3):
            shape = (height >> (2 * level), width >> (2 * level), 3)
            side = tile.shape[0]
            columns, rows = -(-shape[1] // side), -(-shape[0] // side)
            small = cv2.resize(tile, None, fx=0.25**level, fy=0.25**level, interpolation=cv2.INTER_AREA)
            one = np.tile(small, (4**level, 4**level, 1))
            per_cm = 1e4 / microns_per_pixel / 4**level
            file.write(
                tiles(columns, rows, one), shape=shape, dtype=np.uint8, tile=(side, side), compression="jpeg",
                photometric="rgb", subfiletype=1 if level else 0, resolution=(per_cm,) * 2, resolutionunit="CENTIMETER",
            )  # fmt: skip


@pytest.mark.slow
def test_memory_is_bounded_on_large_slides(root: Path, tmp_path: Path) -> None:
    """Two slides of 40000 x 60000 (7.2 GB of pixels each) in parallel: no process takes more than 600 MB."""
    (tmp_path / "slides").mkdir()
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.normal(0, 60, (512, 512, 3)).astype(np.float32), (0, 0), 3)
    tile = np.clip(np.array([200, 140, 190]) + 3 * noise, 0, 255).astype(np.uint8)
    write_pyramid(tmp_path / "slides/A01.tif", 40_000, 60_000, tile, microns_per_pixel=0.467)
    (tmp_path / "slides/A02.tif").hardlink_to(tmp_path / "slides/A01.tif")
    for name in ("A01", "A02"):
        (tmp_path / f"slides/{name}.xml").write_text(xml(box(3, 10_000, 20_000, 20_000, 40_000)))
    options = ["--root", tmp_path / "slides", "--out", tmp_path / "out", "--samples", 20, "--workers", 2]
    process = subprocess.Popen([sys.executable, str(root / "data_prep/make_slide_samples.py"), *map(str, options)])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    assert usage.ru_maxrss // 1024 < 600  # of the program and its workers, the largest
    rows = read_manifest(tmp_path / "out/manifest.csv")
    assert {(row.slide, row.label) for row in rows} == {("A01", 0), ("A01", 1), ("A02", 0), ("A02", 1)}
