"""New images, without labels, through a bundle: findings, one an image, as data; pages are made elsewhere."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.inference import condition
from pyhisto.inference.condition import Condition
from pyhisto.inference.drawing import thumbnail
from pyhisto.inference.model import Inputs, Model, Outcome, Preparation
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.slide import SLIDE_SUFFIXES, is_slide

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
CHUNK = 16
"""Images that go through the networks together."""
LIKE = 1.1
"""Proportions of an image may differ from the training images' by that factor, and its size by SIZES, unflagged."""
SIZES = 2.0
KEPT = 384
"""Longer side of the picture that is kept of an image, pixels."""


@dataclass(frozen=True)
class PreparedImage:
    """An image, read and cut."""

    path: Path
    width: int
    height: int
    picture: Image
    """The image, KEPT pixels long."""
    condition: Condition
    inputs: Inputs


@dataclass(frozen=True)
class ImageFinding:
    """What is said of one image."""

    path: Path
    width: int
    height: int
    picture: Image
    condition: Condition
    flags: list[str]
    outcome: Outcome
    occlusion: Mapping[str, Floats] = field(default_factory=dict)
    """Branch -> the control of its evidence, if it was asked for: see `Model.occlusion`."""


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, and why."""

    path: Path
    fault: str


def find_files(places: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The images and the whole slides that files, folders (searched through) and globs name, each once, in order.

    Raises InputError for what names nothing.
    """
    images: dict[Path, None] = {}
    slides: dict[Path, None] = {}
    for place in places:
        path = Path(place)
        if path.is_dir():
            wanted = (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES)
            found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in wanted and file.is_file()]
        elif path.is_file():
            found = [path]
        else:
            found = [Path(name) for name in sorted(glob.glob(place, recursive=True)) if Path(name).is_file()]
        if not found:
            raise InputError(f"{place}: no such file, or no image in it ({' '.join(IMAGE_SUFFIXES)}, or a whole slide)")
        for file in found:
            (slides if is_slide(file) else images).setdefault(file)
    return list(images), list(slides)


def diagnose(
    paths: Sequence[Path], model: Model, workers: int = 1, allow_unreadable: bool = False, occlude: bool = False
) -> Iterator[ImageFinding | Unreadable]:
    """The findings of images, in their order; reading and preparing overlap with the networks if `workers` > 1.

    With `occlude`, evidence has its slow control beside it. Raises InputError for an image that cannot be read, unless
    `allow_unreadable`.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    prepare = partial(_prepare_chunk, preparation=model.preparation)
    answer = partial(_conclude_chunk, model=model, occlude=occlude)
    with tqdm(total=len(paths), desc="diagnose", unit=" images", mininterval=1) as bar:
        for found in model.overlapped(prepare, answer, chunks, workers):
            for one in found:
                if isinstance(one, Unreadable) and not allow_unreadable:
                    raise InputError(f"{one.fault} (--allow-unreadable goes on without it)")
                yield one
            bar.update(len(found))


def _prepare_chunk(paths: Sequence[Path], preparation: Preparation) -> list[PreparedImage | Unreadable]:
    return [prepare_file(path, preparation) for path in paths]


def _conclude_chunk(
    chunk: Sequence[PreparedImage | Unreadable], model: Model, occlude: bool
) -> list[ImageFinding | Unreadable]:
    findings = iter(conclude([one for one in chunk if isinstance(one, PreparedImage)], model, occlude))
    return [one if isinstance(one, Unreadable) else next(findings) for one in chunk]


def conclude(images: Sequence[PreparedImage], model: Model, occlude: bool = False) -> list[ImageFinding]:
    """What the networks say of prepared images; with `occlude`, the control of their evidence, too."""
    if not images:
        return []
    outcomes = model([image.inputs for image in images])
    reference = model.bundle.description.reference
    return [
        ImageFinding(
            image.path,
            image.width,
            image.height,
            image.picture,
            image.condition,
            shape_flags((image.width, image.height), model.bundle.description.image) + reference.flags(image.condition),
            outcome,
            model.occlusion(image.inputs) if occlude else {},
        )
        for image, outcome in zip(images, outcomes, strict=True)
    ]


def shape_flags(size: tuple[int, int], usual: tuple[int, int]) -> list[str]:
    """What is unusual about an image's width and height, beside those of the training images."""
    (width, height), (wide, high) = size, usual
    words = f"{width} x {height}, training images {wide} x {high}"
    stretch = (width / height) / (wide / high)
    if not 1 / LIKE <= stretch <= LIKE:
        return [f"of another shape than the training images, so that it is shown distorted ({words})"]
    if not 1 / SIZES <= width / wide <= SIZES:
        return [f"of another size than the training images, so that its scale may differ ({words})"]
    return []


def prepare_file(path: Path, preparation: Preparation) -> PreparedImage | Unreadable:
    """Read and prepare one file."""
    try:
        image = read_image(path)
    except InputError as error:
        return Unreadable(path, str(error))
    return prepare_image(path, image, preparation)


def prepare_image(path: Path, image: Image, preparation: Preparation) -> PreparedImage:
    """Prepare an image that was read; `path` is what it is called."""
    inputs = preparation(image)
    shown = [pixels for _, pixels in inputs[preparation.finest]]
    height, width = image.shape[:2]
    return PreparedImage(path, width, height, thumbnail(image, KEPT), condition.measure(image, shown), inputs)
