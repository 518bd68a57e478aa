"""Damaged and hostile prototxts: whatever they say, an InputError of one line, little time and little memory."""

import random
import resource
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pyhisto.cost import as_json, as_table, layer_costs
from pyhisto.errors import InputError
from pyhisto.graph import Graph, check_weights
from pyhisto.lint import lint
from pyhisto.proto import TEST, TRAIN, NetParameter, read_net
from pyhisto.prototext import Document
from tests.layer_cases import CASES
from tests.mutations import MUTATIONS
from tests.old_formats import V0, V1
from tests.train_val import MEAN, SOLVER, trained

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")  # protobuf's own, on strings like "\\;"


def exercise(file: Path) -> None:
    """Everything that reads a prototxt."""
    document = Document.read(file)
    assert document.text().encode() == file.read_bytes()
    lint(file, file.parent)
    net = read_net(file)
    for phase in (TRAIN, TEST):
        graph = Graph.build(net, phase, data_root=file.parent, source=file)
        costs = layer_costs(graph)
        as_json(costs)
        list(as_table(costs))
        check_weights(graph, NetParameter(layer=net.layer), file)


def run(cases: int, seed: int, folder: Path, bases: list[str]) -> int:
    """Mutate and exercise; how many were accepted as they were."""
    chance = random.Random(seed)
    file = folder / "net.prototxt"
    accepted = 0
    for _ in range(cases):
        text = chance.choice(bases)
        for _ in range(chance.randrange(1, 5)):
            text = chance.choice(MUTATIONS)(chance, text)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        begun = time.perf_counter()
        try:
            exercise(file)
            accepted += 1
        except InputError as error:
            assert "\n" not in str(error) and str(error), text
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}, for\n{text}") from error
        assert time.perf_counter() - begun < 5, text
    return accepted


@pytest.fixture
def bases(root: Path) -> list[str]:
    small = [case[1] for case in CASES] + [V0, V1, trained(MEAN), SOLVER]
    generated = [file.read_text() for file in sorted((root / "prototxt").rglob("*.prototxt"))]
    return small * 10 + generated


def test_a_few_damaged_files(tmp_path: Path, bases: list[str]) -> None:
    accepted = run(300, 1, tmp_path, bases)
    assert 0 < accepted < 300  # neither all nor nothing: the mutations reach deep


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path: Path, bases: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(10_000, 2, tmp_path, bases)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024  # KiB


@pytest.mark.parametrize(
    "text",
    [
        "layer {" * 100_000,
        "layer { name: " + '"a" ' * 100_000 + "}",
        "layer { loss_weight: [" + "1," * 100_000 + "1] }",
        "#" * 1_000_000,
        "[" * 100_000,
        "name: '" + "\\" * 100_001,
        " " * 1_000_000,
    ],
)
def test_monsters(text: str, tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(text)
    with suppress(InputError):
        exercise(file)
