"""A model as one thing: a folder (or a .zip of it) with all that a prediction needs, checked when it is opened.

    bundle.json      classes, lambda, temperature, the images' size and scale, what training images look like, results
    MODEL_CARD.md    the same for people
    SHA256SUMS       of every file but itself, as `sha256sum -c` reads it
    <network>/       deploy.prototxt, model.caffemodel, model.onnx, preprocessing.json; one folder a network

A network is one branch of one member; a model has one member, or as many as it has bags.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pyhisto.errors import InputError
from pyhisto.files import read_object, reading, sha256
from pyhisto.inference.condition import Reference
from pyhisto.inference.deploy import Deploy, read_deploy
from pyhisto.inference.predict import check_shape
from pyhisto.lmdb_folder import RECIPE
from pyhisto.manifest import check_relative
from pyhisto.preprocessing.recipe import BRANCHES, Preprocessing

FORMAT = 1
DESCRIPTION, CARD, SUMS = "bundle.json", "MODEL_CARD.md", "SHA256SUMS"
DEPLOY, WEIGHTS, ONNX = "deploy.prototxt", "model.caffemodel", "model.onnx"
MOST_BYTES = 1 << 31
"""A zip that unpacks to more is refused; the paper's two networks with their ONNX files take 60 MB."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in a zip, so that the same bundle gives the same bytes."""


@dataclass(frozen=True)
class BundledNetwork:
    """One branch of one member."""

    member: str
    branch: str
    folder: Path
    deploy: Deploy
    preprocessing: Preprocessing

    @property
    def onnx(self) -> Path:
        """Its ONNX file."""
        return self.folder / ONNX


@dataclass(frozen=True)
class Description:
    """What a bundle.json says."""

    name: str
    purpose: str
    """What it was trained for, in a sentence."""
    classes: tuple[str, ...]
    weight: float
    """lambda of eq. 1, the local branch's part."""
    temperature: float
    """Fitted on validation images; 1 if there were none."""
    image: tuple[int, int]
    """Width and height of a training image, pixels."""
    microns_per_pixel: float | None
    """Of the training images; None: not known, and slides cannot be read."""
    reference: Reference
    networks: tuple[tuple[str, str, str], ...]
    """Member, branch, folder."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Data, cost and scores, as the card tells them."""
    pyhisto: str = ""
    """The version that made it."""

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "format": FORMAT,
            "name": self.name,
            "purpose": self.purpose,
            "pyhisto": self.pyhisto,
            "classes": list(self.classes),
            "lambda": self.weight,
            "temperature": self.temperature,
            "image": {"width": self.image[0], "height": self.image[1], "mpp": self.microns_per_pixel},
            "networks": [dict(zip(("member", "branch", "folder"), network, strict=True)) for network in self.networks],
            "reference": self.reference.to_json(),
            "results": dict(self.results),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> "Description":
        """Read back what `to_json` gave; `where` is what an InputError names."""
        if value.get("format") != FORMAT:
            raise InputError(f"{where}: is of format {value.get('format')!r}, this program reads {FORMAT}")
        try:
            image = value["image"]
            made = cls(
                name=str(value["name"]),
                purpose=str(value["purpose"]),
                classes=tuple(map(str, value["classes"])),
                weight=float(value["lambda"]),
                temperature=float(value["temperature"]),
                image=(int(image["width"]), int(image["height"])),
                microns_per_pixel=None if image["mpp"] is None else float(image["mpp"]),
                reference=Reference.from_json(value["reference"], where),
                networks=tuple((str(n["member"]), str(n["branch"]), str(n["folder"])) for n in value["networks"]),
                results=dict(value["results"]),
                pyhisto=str(value["pyhisto"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{where}: not a bundle's description: {type(error).__name__} {error}") from None
        fault = made._fault()
        if fault:
            raise InputError(f"{where}: {fault}")
        return made

    def _fault(self) -> str:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            return "names fewer than two classes, or one twice"
        if not 0 <= self.weight <= 1 or not self.temperature > 0 or min(self.image) < 1:
            return "lambda is from 0 to 1, temperature and image size are above 0"
        if self.microns_per_pixel is not None and not self.microns_per_pixel > 0:
            return "mpp is above 0, or null"
        branches: dict[str, list[str]] = {}
        for member, branch, _ in self.networks:
            branches.setdefault(member, []).append(branch)
        if not branches or any(set(own) - set(BRANCHES) or len(set(own)) < len(own) for own in branches.values()):
            return f"networks are of the branches {' and '.join(BRANCHES)}, each once a member"
        if len({tuple(sorted(own)) for own in branches.values()}) > 1:
            return "its members do not have the same branches"
        return ""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, all of it checked."""

    path: Path
    description: Description
    networks: tuple[BundledNetwork, ...]
    version: str
    """The first 12 digits of the SHA-256 of its SHA256SUMS: of every byte in it."""

    @property
    def members(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(dict.fromkeys(network.member for network in self.networks))

    @property
    def branches(self) -> tuple[str, ...]:
        """Its branches, global before local."""
        return tuple(branch for branch in BRANCHES if any(network.branch == branch for network in self.networks))

    @property
    def label(self) -> str:
        """The notice where there is little room: in a cell of a table, in a picture."""
        return f"{self.description.name} {self.version}, for research only"

    @property
    def notice(self) -> str:
        """What every output says in one line."""
        return (
            f"For research only, not for decisions about patients. Model: {self.description.name}, version "
            f"{self.version} (pyhisto {self.description.pyhisto}), trained for: {self.description.purpose}"
        )


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open a bundle's folder or zip, and check every file of it.

    Raises InputError, in one line, for a file that is missing or has changed, a network that is not one of the
    described branch, size and number of classes.
    """
    path = Path(path)
    if path.is_dir():
        yield _read(path, path)
        return
    with reading(path), TemporaryDirectory() as place:
        _unpack(path, Path(place))
        yield _read(Path(place), path)


def default_bundle() -> Path:
    """The bundle that ships: in the package if it was installed from a wheel, else in the checkout.

    Raises InputError if this installation has none.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "models/pcam", package.parent / "models/pcam"):
        if (folder / SUMS).is_file():
            return folder
    raise InputError(f"{folder}: the model that ships with the project is not there; give --bundle")


def write_sums(folder: Path) -> None:
    """Write a finished bundle's SHA256SUMS."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != SUMS)
    lines = [f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def write_description(folder: Path, description: Description) -> None:
    """Write a bundle's bundle.json."""
    text = json.dumps(description.to_json(), indent=1, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def pack(folder: Path, target: Path) -> None:
    """Write a bundle as a zip; the same bundle gives the same bytes."""
    names = [SUMS, *_read_sums(folder / SUMS, folder)]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes())


def _unpack(path: Path, place: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise InputError(f"{path}: unpacks to more than {MOST_BYTES >> 30} GiB; that is no bundle")
            for entry in entries:
                check_relative(entry.filename, str(path))
            archive.extractall(place, [entry.filename for entry in entries])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(f"{path}: not a bundle's folder or zip, or damaged: {error}") from None


def _read(folder: Path, shown: Path) -> Bundle:
    sums = _read_sums(folder / SUMS, shown)
    for name, expected in sums.items():
        if not (folder / name).is_file():
            raise InputError(f"{shown}: its file {name} is missing; fetch the bundle again")
        if sha256(folder / name) != expected:
            raise InputError(f"{shown}: its file {name} has changed since the bundle was made; fetch the bundle again")
    if DESCRIPTION not in sums:
        raise InputError(f"{shown}: {SUMS} does not list {DESCRIPTION}; is it a bundle?")
    description = Description.from_json(read_object(folder / DESCRIPTION), f"{shown}: {DESCRIPTION}")
    networks = tuple(_network(folder, shown, sums, description, *entry) for entry in description.networks)
    return Bundle(shown, description, networks, sha256(folder / SUMS)[:12])


def _read_sums(path: Path, shown: Path) -> dict[str, str]:
    """File -> SHA-256, as SHA256SUMS lists them."""
    if not path.is_file():
        raise InputError(f"{shown}: holds no {SUMS}; is it a bundle (tools/bundle.py)?")
    sums = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64:
            raise InputError(f"{shown}: {SUMS} line {number} is not a checksum and a file; fetch the bundle again")
        check_relative(name, f"{shown}: {SUMS} line {number}")
        sums[name] = digest
    return sums


def _network(
    folder: Path, shown: Path, sums: Mapping[str, str], description: Description, member: str, branch: str, name: str
) -> BundledNetwork:
    check_relative(name, f"{shown}: {DESCRIPTION}")
    unlisted = [file for file in (DEPLOY, WEIGHTS, ONNX, RECIPE) if (PurePosixPath(name) / file).as_posix() not in sums]
    if unlisted:
        raise InputError(f"{shown}: {SUMS} does not list {name}/{unlisted[0]}; bundle the model again")
    place = folder / name
    network = BundledNetwork(
        member, branch, place, read_deploy(place / DEPLOY, place / WEIGHTS), Preprocessing.load(place)
    )  # fmt: skip
    check_network(network, description.classes, f"{shown}: {name}")
    return network


def check_network(network: BundledNetwork, classes: Sequence[str], where: str) -> None:
    """Raise InputError unless a network is of its branch, of its preprocessing's size, and of so many classes."""
    if network.preprocessing.branch != network.branch:
        raise InputError(f"{where}: the preprocessing is of the {network.preprocessing.branch} branch, not of "
                         f"the {network.branch} one")  # fmt: skip
    check_shape(network.deploy, network.preprocessing)
    if network.deploy.classes != len(classes):
        raise InputError(
            f"{where}: the network has {network.deploy.classes} classes, the bundle names {len(classes)} "
            f"({', '.join(classes)}); bundle networks of one training"
        )
