"""The page to drop an image on: answers, refusals, headers, and the whole of it in a browser."""

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from flask.testing import FlaskClient

from pyhisto.bundle import open_bundle
from pyhisto.inference.model import Model
from pyhisto.inference.serving import LOOPBACK, make_app
from pyhisto.preprocessing.images import Image
from tests.inference.browser import Browser, program
from tests.inference.made_images import spotted

BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + bytes(20)


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[FlaskClient]:
    with open_bundle(bundle) as opened:
        yield make_app(Model(opened, "opencv", evidence=True), 1, LOOPBACK).test_client()


def send(client: FlaskClient, name: str, data: bytes) -> tuple[int, str]:
    answer = client.post("/", data={"image": (io.BytesIO(data), name)}, content_type="multipart/form-data")
    return answer.status_code, answer.text


def png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def test_an_image_gets_its_class_patches_and_maps(client: FlaskClient) -> None:
    status, page = send(client, "<b>a.png", png(spotted(1, 30)))
    assert status == 200 and page.count("<rect") == 15 and page.count('class="map"') == 2
    assert re.search(r"<strong>(plain|spotted)</strong>, \d+\.\d% calibrated", page)
    assert "&lt;b&gt;a.png" in page and "<b>a" not in page and "For research only" in page
    assert "<script" not in page and not re.search(r"(src|href)=\"(?!data:)", page)


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("a.png", b"text", 415, "a.png: not an image, or its header is damaged"),
        ("a.png", png(spotted(1, 3))[:-30], 415, "cut short or damaged"),
        ("a.png", BOMB, 415, "too large for an image"),
        ("a.png", bytes(2 << 20), 413, "larger than 1 MB"),
        ("", b"", 400, "No image was sent"),
    ],
)
def test_what_is_refused(client: FlaskClient, name: str, data: bytes, status: int, words: str) -> None:
    found, page = send(client, name, data)
    assert (found, words in page) == (status, True) and 'role="alert"' in page


def test_other_sites_and_other_addresses_get_nothing(client: FlaskClient) -> None:
    assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 403
    assert client.get("/", headers={"Host": "[::1]:8765"}).status_code == 200
    assert client.get("/etc/passwd").status_code == 404
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Cache-Control"] == "no-store"


def test_nothing_is_written(client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    large = png(np.random.default_rng(0).integers(0, 256, (440, 640, 3), np.uint8))  # beyond what would stay in memory
    assert 512 << 10 < len(large) < 1 << 20 and send(client, "a.png", large)[0] == 200
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def address(root: Path, bundle: Path) -> Iterator[str]:
    """A running server's."""
    command = [sys.executable, root / "tools/serve.py", "--bundle", bundle, "--port", "0", "--most", "1"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline(), server.stdout.readline()]
        try:
            assert "For research only" in lines[0]
            yield re.findall(r"http://\S+", lines[1])[0]
        finally:
            server.terminate()


CHROMIUM = pytest.mark.skipif(program() is None, reason="needs a Chromium: apt-get install chromium")


def check_readable(page: Browser) -> None:
    """A language, one main part, headings in steps, enough contrast in light and dark, and a name for what one uses."""
    assert page.value("document.documentElement.lang") == "en"
    assert page.value("document.querySelectorAll('main').length") == 1
    levels = page.value("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1 and all(deeper <= level + 1 for level, deeper in pairwise(levels))
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        assert page.low_contrast() == []
    told = page.accessible()
    assert all(name for role, name in told if role in ("button", "image", "link", "region", "slider", "radio"))


@pytest.mark.slow
@CHROMIUM
def test_a_pale_text_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<body style='background: #fff'><p style='color: #bbb'>pale<p>dark")
    with Browser() as browser:
        browser.open((tmp_path / "a.html").as_uri())
        # 0xbb is 0.497 in linear light: 1.05 / 0.547.
        assert browser.low_contrast() == ["P 1.92: pale"]


@pytest.mark.slow
@CHROMIUM
def test_pages_of_images_and_slides_are_readable(root: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(spotted(1, 30)))
    options: dict[str, Any] = {
        "resolution": (20_000, 20_000),
        "resolutionunit": "CENTIMETER",
        "tile": (256, 256),
        "metadata": None,
    }
    with tifffile.TiffWriter(tmp_path / "slide.tif") as writer:
        image = spotted(2, 90, (480, 640))[..., ::-1].copy()
        image[:, :240] = 244  # glass
        for factor in (1, 2):
            part = np.ascontiguousarray(image[::factor, ::factor])
            writer.write(part, photometric="rgb", subfiletype=int(factor > 1), **options)
    command = [sys.executable, root / "tools/diagnose.py", tmp_path / "a.png", tmp_path / "slide.tif", "--occlusion"]
    command += ["--bundle", bundle, "--workers", 1, "--out", tmp_path / "out"]
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Browser() as browser:
        for page in ("diagnosis.html", "slide/slide.html"):
            browser.open((tmp_path / "out" / page).as_uri())
            check_readable(browser)
            assert "For research only" in browser.value("document.querySelector('footer').textContent")
        assert ("slider", "Opacity of the probabilities of spotted") in browser.accessible()
        browser.value("document.getElementById('opacity').focus()")
        browser.press("ArrowRight")
        assert browser.value("document.getElementById('heat').style.opacity") == "0.61"
        assert all(url.startswith(("file:", "data:")) for url in browser.requests)


@pytest.mark.slow
@CHROMIUM
def test_in_a_browser(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(spotted(1, 30)))
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "large.png").write_bytes(bytes(3 << 20))
    with Browser() as browser:
        browser.open(address)
        check_readable(browser)
        assert any(role == "button" and name.startswith("An image: PNG") for role, name in browser.accessible())
        browser.choose("#image", tmp_path / "a.png")
        browser.press("Tab")
        assert browser.value("document.activeElement.id") == "image"
        browser.press("Tab")
        assert browser.value("document.activeElement.tagName") == "BUTTON"
        browser.press("Enter")
        browser.wait_loaded()
        assert browser.value("document.querySelector('.verdict').textContent").endswith("calibrated")
        width = "Math.min(...[...document.querySelectorAll('figure.map img')].map(one => one.naturalWidth))"
        assert browser.value(width) == 384
        assert browser.value("document.querySelectorAll('svg rect').length") == 15
        check_readable(browser)
        for name, words in (("text.png", "not an image"), ("large.png", "larger than 1 MB")):
            browser.open(address)
            browser.choose("#image", tmp_path / name)
            browser.value("document.querySelector('button').click()")
            browser.wait_loaded()
            assert words in browser.value("document.querySelector('[role=alert]').textContent")
            check_readable(browser)
        assert all(url.startswith((address, "data:")) for url in browser.requests)
