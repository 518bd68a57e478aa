"""tools/lint.py as a user starts it."""

import subprocess
import sys
from pathlib import Path


def lint(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "lint.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


def test_clean_files_say_nothing(root: Path, tmp_path: Path) -> None:
    folder = Path("prototxt") / "inception_sep_paper"
    solver = tmp_path / "solver.prototxt"  # for the CPU, which every machine has
    solver.write_text((root / folder / "solver.prototxt").read_text().replace("GPU", "CPU"))
    answer = lint(root, str(folder / "train_val.prototxt"), str(solver))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_a_finding_is_a_line_and_exit_1(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(
        'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "p" type: "Pooling" bottom: "data" top: "data" pooling_param { kernel_size: 2 } }\n'
    )
    answer = lint(root, str(file))
    assert answer.returncode == 1
    assert answer.stdout == f"{file}:2: in-place: layer 'p' (Pooling) writes over its own bottom 'data'\n"


def test_bad_input_is_one_line_and_exit_2(root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.prototxt"
    broken.write_text("layer {\n")
    for arguments in ([str(broken)], [str(tmp_path / "absent")], [], ["--explain", "nonsense"]):
        answer = lint(root, *arguments)
        assert answer.returncode == 2
        assert answer.stdout == "" and answer.stderr.count("\n") == 1


def test_a_rule_is_explained(root: Path) -> None:
    answer = lint(root, "--explain", "in-place")
    assert answer.returncode == 0
    assert answer.stdout.startswith("in-place (error): ") and "BVLC/caffe issue 2015" in answer.stdout
