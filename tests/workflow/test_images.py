"""workflow/images.py: how many images a run has, before anything is built."""

from pathlib import Path

import pytest
import yaml
from images import Images, count_images
from study import Study

from pyhisto.errors import InputError


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Ten files that are called as BACH's slides."""
    folder = tmp_path / "WSI"
    folder.mkdir()
    for number in range(1, 11):
        (folder / f"A{number:02}.svs").touch()
    return folder


def count(root: Path, name: str, folder: Path, **change: object) -> Images:
    config = yaml.safe_load((root / "workflow" / "config" / f"{name}.yaml").read_text())
    return count_images(Study({**config, **change}), folder)


@pytest.mark.parametrize("name", ["bach_paper", "bach_by_slide"])
def test_the_samples_of_the_authors_lists(root: Path, name: str, slides: Path, tmp_path: Path) -> None:
    found = count(root, name, tmp_path, slides=str(slides))
    # 10,270 samples, 70 + 610 + 552 + 1083 + 330 of them to test on; a fifth of the others validates.
    assert (found.train, found.val, found.test, found.made) == (6100, 1525, 2645, 10270)


def test_synthetic_images_are_counted_by_patient(root: Path, tmp_path: Path) -> None:
    found = count(root, "demo", tmp_path)
    # 12 patients of each class: 4 to test on (0.3), of the other 8 a fifth, 2, to validate on; 8 images each.
    assert (found.train, found.val, found.test, found.made) == (96, 32, 64, 192)
    assert found.seconds > 0 and found.size > 100_000 and found.example.is_file()


def test_numbers_of_slides_that_are_none(root: Path, slides: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((root / "workflow" / "config" / "bach_paper.yaml").read_text())
    data = {**config["data"], "samples": {**config["data"]["samples"], "of-slides": ["A03=many"]}}
    with pytest.raises(InputError, match="of-slides"):
        count(root, "bach_paper", tmp_path, data=data, slides=str(slides))
