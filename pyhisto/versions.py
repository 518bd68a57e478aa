"""What a result depends on besides data and settings: so that two runs, perhaps of two machines, can be compared."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pyhisto
from pyhisto import faster_caffe
from pyhisto.errors import InputError
from pyhisto.files import read_object

COMMIT_VARIABLE = "PYHISTO_COMMIT"
"""Where an image, which has no .git, says what it was made of."""

KEYS = {"key", "sources", "architectures", "packages"}
"""What a build.json of ours holds."""

DRIVER = Path("/proc/driver/nvidia/version")


def versions() -> dict[str, Any]:
    """Everything that a run.json carries, ready for JSON. What is not there, or cannot be known, is None or empty.

    pyhisto, commit, python, system, machine, gpu_driver: a text each. caffe: what its build.json says (key: of all that
    the build depends on; sources: name and version -> sha256; architectures: compute capabilities times ten; packages:
    distribution packages whose libraries it loads, CUDA's among them), or the folder of a Caffe that has none.
    cpu_layers: whose code computes Caffe's layers on the CPU.
    python_packages and system_packages (those of caffe.packages): name -> version.
    """
    caffe = caffe_build()
    return {
        "pyhisto": pyhisto.__version__,
        "commit": commit(Path(pyhisto.__file__).resolve().parent.parent),
        "python": platform.python_version(),
        "system": _system(),
        "machine": platform.machine(),
        "gpu_driver": DRIVER.read_text(encoding="utf-8").splitlines()[0] if DRIVER.is_file() else None,
        "caffe": caffe,
        "cpu_layers": faster_caffe.layers(),
        "python_packages": {
            name: version
            for name, version in sorted((found.name, found.version) for found in importlib.metadata.distributions())
        },
        "system_packages": system_packages(caffe["packages"] if caffe and "packages" in caffe else []),
    }


def caffe_build() -> dict[str, Any] | None:
    """What the Caffe that would be imported says of its build, as docker/caffe/install.sh writes it; None: no Caffe.

    A Caffe that says nothing, or in a build.json of another make, is known by its folder alone.
    """
    spec = importlib.util.find_spec("caffe")
    if spec is None or spec.origin is None:
        return None
    prefix = Path(spec.origin).resolve().parents[2]
    try:
        description = read_object(prefix / "build.json")
    except InputError:
        description = {}
    return description if description.keys() >= KEYS else {"folder": str(prefix)}


def commit(root: Path) -> str | None:
    """The commit of the checkout at `root`, with "-dirty" if tracked files differ from it; an image knows its own."""
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE)
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return _output(command).strip() or None


def system_packages(names: list[str]) -> dict[str, str]:
    """The versions of Debian's packages, of those names that are installed."""
    if not names:
        return {}
    lines = _output(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]).splitlines()
    return dict(sorted(line.split(" ", 1) for line in lines))


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _output(command: list[str]) -> str:
    """What a program prints; nothing if it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
