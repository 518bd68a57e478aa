"""The command `pyhisto`: its list, its verbs, and what it says of packages that are not there."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pyhisto.extras import EXTRAS, what_to_install
from pyhisto.verbs import GROUPS, description, find_verbs

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))  # importing one fails
sys.argv = ["pyhisto", *{arguments!r}]
from pyhisto.verbs import main
main()
"""


def pyhisto(*arguments: object, columns: int = 200) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyhisto", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_every_program_of_the_checkout_is_a_verb_in_a_group(root: Path) -> None:
    programs = {
        str(path.relative_to(root))
        for folder in ("tools", "data_prep", "prototxt")
        for path in (root / folder).rglob("*.py")
        if "run(main)" in path.read_text(encoding="utf-8")
    }
    verbs = find_verbs()
    assert {f"{name.removeprefix('pyhisto.').replace('.', '/')}.py" for name in verbs.values()} == programs
    assert verbs["to-onnx"] == "pyhisto.tools.to_onnx" and verbs["generate"] == "pyhisto.prototxt.generate"
    assert sorted(verb for members in GROUPS.values() for verb in members) == sorted(verbs)


def test_the_list_has_a_line_for_each_and_imports_none(root: Path) -> None:
    done = pyhisto()
    assert done.returncode == 0 and done.stdout == pyhisto("--help").stdout
    lines = dict(re.findall(r"^  (\S+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert lines["cost"] == (root / "tools/cost.py").read_text().split('"""')[1].splitlines()[0]
    for verb, module in find_verbs().items():
        assert lines[verb] == description(module)
        assert lines[verb].endswith("."), f"{module}: its description's first line is no sentence"
    assert max(map(len, pyhisto(columns=80).stdout.splitlines())) <= 80
    code = "import sys; from pyhisto.verbs import find_verbs, listing; listing(find_verbs()); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pyhisto.tools.prune"} & set(loaded)


def test_a_verb_is_the_program(root: Path) -> None:
    model = root / "prototxt/inception_sep_paper/deploy.prototxt"
    program = subprocess.run(
        [sys.executable, root / "tools/cost.py", "--model", model], capture_output=True, text=True, check=True
    )
    verb = pyhisto("cost", "--model", model)
    assert verb.returncode == 0 and verb.stdout == program.stdout
    assert pyhisto("prune", "--help").stdout.startswith("usage: pyhisto prune [-h] --model F.prototxt")
    wrong = pyhisto("cost", "--model", "nowhere.prototxt")
    assert wrong.returncode == 2 and wrong.stderr.startswith("pyhisto cost: nowhere.prototxt: ")
    wrong = pyhisto("to-onnx")
    assert wrong.returncode == 2 and wrong.stderr.startswith("pyhisto to-onnx: the following arguments are required")


def test_an_unknown_verb_is_one_line() -> None:
    done = pyhisto("prun", "--model", "f")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pyhisto: no verb 'prun'; prune? (pyhisto lists them all)\n"


def extras(root: Path) -> dict[str, list[str]]:
    """Extra -> its distributions, as pyproject.toml names them."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    return {extra: [re.split(r"[<>=\[]", entry)[0] for entry in entries] for extra, entries in table.items()}


def test_extras_are_those_of_pyproject(root: Path) -> None:
    # No code of ours imports what `cluster` brings: Snakemake does.
    own = {extra: packages for extra, packages in extras(root).items() if extra not in ("all", "cluster")}
    of = {package: extra for extra, packages in own.items() for package in packages}
    of.pop("pyhisto")
    of.pop("openslide-bin")  # openslide-python's library
    distributions = importlib.metadata.packages_distributions()
    names = {name: [re.sub(r"[-_.]+", "-", found).lower() for found in distributions[name]] for name in EXTRAS}
    found = {name: next(filter(of.get, installed)) for name, installed in names.items()}
    assert {name: of[package] for name, package in found.items()} == EXTRAS
    assert sorted(found.values()) == sorted(of)


@pytest.mark.parametrize("verb", sorted(find_verbs()))
def test_a_package_that_is_not_there_is_one_line_which_names_the_extra(root: Path, verb: str) -> None:
    """Each program with nothing but what is always installed: it works, or says what to install, as the docs do."""
    absent = sorted({*EXTRAS, "scipy", "torch", "caffe"})
    code = WITHOUT.format(absent=absent, arguments=[verb, "--help"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        assert done.returncode == 2
        pattern = rf"pyhisto {verb}: needs the package (\w+), which is not installed: pip install 'pyhisto\[(\w+)\]'\n"
        said = re.fullmatch(pattern, done.stderr)
        assert said, done.stderr
        assert EXTRAS[said[1]] == said[2]
        programs = (root / "docs/programs.md").read_text(encoding="utf-8")
        assert re.search(rf"^\| `{verb}` \|.*\| [^|]*`{said[2]}`[^|]* \|$", programs, re.MULTILINE)
    else:
        assert done.stdout.startswith(f"usage: pyhisto {verb} ")


def test_pruning_and_its_like_need_no_extra() -> None:
    for verb in ("prune", "cost", "lint", "generate", "convert-snapshot"):
        code = WITHOUT.format(absent=sorted({*EXTRAS, "caffe"}), arguments=[verb, "--help"])
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0, verb


def test_a_package_of_no_extra_stays_an_error() -> None:
    assert what_to_install(ModuleNotFoundError("no module", name="matplotlib.figure")) == (
        "needs the package matplotlib, which is not installed: pip install 'pyhisto[report]'"
    )
    assert what_to_install(ModuleNotFoundError("no module", name="pyhisto.nowhere")) is None
