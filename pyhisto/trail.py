"""The trail of an output: a JSON file beside it that says which program made it, and from what."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyhisto
from pyhisto.files import sha256, write_text
from pyhisto.lmdb_folder import RECIPE


def write_trail(path: Path, program: str, facts: Mapping[str, Any]) -> None:
    """Write the trail of what `program` made, whole or not at all; `facts` are its settings and sources, as JSON."""
    trail = {"program": program, "pyhisto": pyhisto.__version__, **facts}
    write_text(path, json.dumps(trail, indent=2) + "\n")


def checksums(sources: Mapping[str, Path]) -> dict[str, str]:
    """The SHA-256 of each file; a folder stands for its preprocessing.json. Raises InputError if one is missing."""
    return {name: sha256(path / RECIPE if path.is_dir() else path) for name, path in sources.items()}
