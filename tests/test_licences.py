"""What the project is under, and what its dependencies are under."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

PERMISSIVE = (
    "MIT|BSD|Apache|PSF|Python Software Foundation|HPND|ISC|Zlib|OLDAP|CMU|Unlicense|blessing|libpng|libtiff|IJG"
    "|Public.Domain"
)
WEAK_COPYLEFT = "LGPL|MPL|Mozilla"
"""Changes of such a package have to be published; programs that use it unchanged are free."""

WITHOUT_METADATA = {
    "conda-inject": "MIT",
    "matplotlib": "PSF",
    "snakemake-interface-common": "MIT",
    "snakemake-interface-logger-plugins": "MIT",
    "snakemake-interface-report-plugins": "MIT",
    "snakemake-interface-scheduler-plugins": "MIT",
    "snakemake-interface-storage-plugins": "MIT",
}
"""Licences that the package's own text names, and its metadata does not."""


def pinned(root: Path) -> list[str]:
    return re.findall(r"^([A-Za-z0-9_.-]+)==", (root / "requirements.txt").read_text(), re.MULTILINE)


def licence(package: str) -> str:
    """What the metadata says: the SPDX expression, else the classifiers, else the first line of the free text."""
    if package in WITHOUT_METADATA:
        return WITHOUT_METADATA[package]
    metadata = importlib.metadata.metadata(package)
    classifiers = [text.rpartition("::")[2] for text in metadata.get_all("Classifier") or [] if "License ::" in text]
    expression, text = (next(iter(metadata.get_all(key) or []), "") for key in ("License-Expression", "License"))
    return expression or " or ".join(classifiers) or text.split("\n")[0]


def test_every_dependency_is_permissive_or_weak_copyleft(root: Path) -> None:
    found = {}
    for package in pinned(root):
        try:
            found[package] = licence(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # another platform's
    assert len(found) > 20
    other = {name: text for name, text in found.items() if not re.search(f"{PERMISSIVE}|{WEAK_COPYLEFT}", text)}
    assert not other
    # An "or" leaves the choice; anything that is GPL alone would bind the whole.
    strict = {
        name: text for name, text in found.items() if re.search(r"(?<!L)GPL", text) and " or " not in text.lower()
    }
    assert not strict


def test_the_project_says_its_licence_alike_everywhere(root: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = (root / "LICENSE").read_text()
    assert text.startswith("BSD 2-Clause License")
    assert yaml.safe_load((root / "CITATION.cff").read_text())["license"] == "BSD-2-Clause"
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["license"] == "BSD-2-Clause"
