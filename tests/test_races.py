"""Two runs of a program into one --out at the same moment: one wins, its output is whole, the other is refused.

The two differ in a setting, so that a mixture shows. PYHISTO_RACES says how many pairs of each (CI: 2).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.fuzz_corpus import TREE, make_corpus

PAIRS = int(os.environ.get("PYHISTO_RACES", "2"))
MODEL = "--model net/deploy.prototxt --weights net.caffemodel"
MANIFEST = f"--manifest manifest.csv --root {TREE}"

pytestmark = [pytest.mark.slow, pytest.mark.caffe]

COMMANDS = {
    "tools/prune.py": (f"{MODEL} --also net/train_val.prototxt --criterion l1 --out out --ratio", ("0.3", "0.6")),
    "data_prep/build_lmdb.py": (f"{MANIFEST} --branch global --size 32 --workers 1 --out out --augment", ("1", "2")),
    "tools/train.py": ("--out out --solver", ("net/solver.prototxt", "net/other.prototxt")),
    "tools/predict.py": (f"{MODEL} --manifest lmdb/manifest.csv --root {TREE} --branch global --out out/p.csv --name",
                         ("one", "other")),
    "tools/evaluate.py": ("--predictions predictions.csv --out out --lambda", ("0.25", "0.75")),
    "tools/bundle.py": (f"--network global net/deploy.prototxt net.caffemodel lmdb --root {TREE} --purpose p "
                        "--classes a b --workers 1 --out out --name", ("one", "other")),
    "prototxt/generate.py": ("inception-sep --out out --width", ("0.25", "0.5")),
    "tools/to_onnx.py": (f"{MODEL} --out out/net.onnx", ("", "--no-proof")),
}  # fmt: skip
"""Program -> what both runs have in common, and where they differ."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("races") / "corpus"
    make_corpus(folder)
    solver = (folder / "net/solver.prototxt").read_text() + "random_seed: 1\n"
    (folder / "net/solver.prototxt").write_text(solver)
    other = solver.replace("base_lr: 0.0004", "base_lr: 0.0008").replace("net/snapshot", "net/other")
    assert other.count("0.0008") == 1 and "net/other" in other
    (folder / "net/other.prototxt").write_text(other)
    return folder


def clean(folder: Path) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    for path in (folder / "net").glob("*_iter_*"):
        path.unlink()


def digest(folder: Path) -> dict[str, str]:
    """What `out` holds, but for what is another each time: the time, and a lock."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and path.name not in ("lock.mdb", ".lock", "caffe.log", "learning_curve.png"):
            data = path.read_bytes()
            if path.name == "metrics.jsonl":
                points = [json.loads(line) for line in data.splitlines()]
                data = json.dumps([{**point, "seconds": 0} for point in points]).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


@pytest.mark.parametrize("program", COMMANDS)
def test_of_two_runs_into_one_output_one_wins(
    corpus: Path, root: Path, program: str, record_property: Callable[[str, object], None]
) -> None:
    common, settings = COMMANDS[program]
    commands = [[sys.executable, str(root / program), *common.split(), *setting.split()] for setting in settings]
    alone = []
    for command in commands:
        clean(corpus)
        done = subprocess.run(command, cwd=corpus, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        alone.append(digest(corpus))
    ends: Counter[str] = Counter()
    for _ in range(PAIRS):
        clean(corpus)
        pair = [
            subprocess.Popen(command, cwd=corpus, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for command in commands
        ]
        said = [process.communicate()[1] for process in pair]
        codes = [process.returncode for process in pair]
        winners = [whole for whole, code in zip(alone, codes, strict=True) if code == 0]
        assert digest(corpus) in winners, (codes, said)
        assert not [path for path in corpus.rglob(".?*.*") if path.suffix in (".lock", ".partial")]
        if codes == [0, 0]:  # one had ended before the other began, which then wrote the same names again
            ends["one after the other"] += 1
            continue
        assert sorted(codes) == [0, 2], said
        loser = said[codes.index(2)].replace("\r", "\n").strip("\n").splitlines()[-1]
        assert loser.startswith(f"{Path(program).name}: out"), loser
        assert any(words in loser for words in ("another process is writing", "exists already", "another run works"))
        ends["refused"] += 1
    print(f"\n| {program} | {PAIRS} | {ends['refused']} | {ends['one after the other']} |")
