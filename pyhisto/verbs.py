"""The command `pyhisto`: every program of the project as a verb, `pyhisto prune` for tools/prune.py.

The programs are found where they lie, and only the one that is asked for is imported. Its main() is what runs: there is
no second command line.
"""

import ast
import difflib
import importlib
import importlib.util
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pyhisto
from pyhisto.cli import run
from pyhisto.extras import what_to_install

PACKAGES = ("pyhisto.prototxt", "pyhisto.tools", "data_prep")
"""What holds programs: the folders prototxt/, tools/ and data_prep/ of a checkout (see setup.py)."""

MAIN_GUARD = 'if __name__ == "__main__":'
"""The line by which a program differs from a module."""

GROUPS = {
    "Networks": ("generate", "lint", "cost", "to-onnx", "deploy", "convert-weights"),
    "Pruning": (
        "channel-importance", "sensitivity", "prune", "mask", "recalibrate", "compare", "convert-snapshot", "dns",
        "train-slimming",
    ),
    "Data": (
        "check-data", "make-manifest", "build-lmdb", "label-lmdb", "verify-lmdb", "show-lmdb", "make-slide-samples",
        "make-tree-manifests", "make-synthetic", "make-synthetic-bach",
    ),
    "Training": ("train", "find-lr", "train-phases", "best-snapshot"),
    "Answers": ("bundle", "diagnose", "serve"),
    "Prediction": ("predict", "predict-tree", "extract-features", "classify-features"),
    "Evaluation": ("evaluate", "evaluate-tree", "write-facts", "report", "collapse-study"),
    "This machine": ("doctor", "caffe-time", "on-card"),
}  # fmt: skip
"""In which order the verbs are listed. One that is missing here works, and stands at the end."""


def main() -> NoReturn:
    """Run the verb of the command line, or list them all."""
    verbs = find_verbs()
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print(listing(verbs))
        sys.exit(0)
    if verb == "--version":
        print(f"pyhisto {pyhisto.__version__}")
        sys.exit(0)
    if verb not in verbs:
        near = difflib.get_close_matches(verb, verbs)
        sys.exit(_refuse(f"pyhisto: no verb '{verb}'{f'; {near[0]}?' if near else ''} (pyhisto lists them all)"))
    sys.argv = [f"pyhisto {verb}", *sys.argv[2:]]
    try:
        module = importlib.import_module(verbs[verb])
    except ModuleNotFoundError as error:
        if (advice := what_to_install(error)) is None:
            raise
        sys.exit(_refuse(f"pyhisto {verb}: {advice}"))
    run(module.main)


def find_verbs() -> dict[str, str]:
    """Verb -> module of every program there is."""
    return {
        path.stem.replace("_", "-"): f"{package}.{path.stem}"
        for package in PACKAGES
        for path in sorted(_folder(package).glob("*.py"))
        if MAIN_GUARD in path.read_text(encoding="utf-8")
    }


def listing(verbs: Mapping[str, str]) -> str:
    """The verbs in GROUPS, each with the first line of its program's description, which a terminal's width may cut."""
    groups = {title: [verb for verb in members if verb in verbs] for title, members in GROUPS.items()}
    groups["Others"] = [verb for verb in verbs if not any(verb in members for members in GROUPS.values())]
    width = max(map(len, verbs))
    room = shutil.get_terminal_size((200, 24)).columns - width - 5
    lines = ["usage: pyhisto VERB ...    (pyhisto VERB --help: its options)"]
    for title, members in groups.items():
        if members:
            lines += ["", title]
            for verb in members:
                lines.append(
                    f"  {verb:{width}}  {textwrap.shorten(description(verbs[verb]), room, placeholder=' ...')}"
                )
    return "\n".join(lines)


def description(module: str) -> str:
    """The first line of a module's docstring, which is read and not imported."""
    package, _, name = module.rpartition(".")
    text = (_folder(package) / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package}; install pyhisto (pip install .)", name=package)
    return Path(spec.submodule_search_locations[0])


def _refuse(line: str) -> int:
    print(line, file=sys.stderr)
    return 2
