"""tools/cost.py as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto.proto import NetParameter, set_blob, write_weights


def cost(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "cost.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def paper(root: Path) -> str:
    return str(root / "prototxt" / "inception_sep_paper" / "deploy.prototxt")


def test_table_7_s_first_row(root: Path, paper: str) -> None:
    table = cost(root, "--model", paper)
    assert table.returncode == 0
    assert table.stdout.splitlines()[-1].startswith("3.770 M weights, 2920.3 M FLOPs")
    total = json.loads(cost(root, "--model", paper, "--json").stdout)["total"]
    assert (total["weights"], total["flops"]) == (3_770_274, 2_920_262_208)


def test_bytes_on_disk(root: Path, paper: str, tmp_path: Path) -> None:
    weights = NetParameter()
    values = np.zeros((4, 8), np.float32)
    values[0, :3] = 1
    set_blob(weights.layer.add(name="ip", type="InnerProduct").blobs.add(), values)
    model = tmp_path / "m.caffemodel"
    write_weights(model, weights)
    sizes = json.loads(cost(root, "--model", paper, "--weights", str(model), "--json").stdout)
    assert sizes["caffemodel_bytes"] == model.stat().st_size
    # 9 of magic and version, 4 of the count of layers, 2 + 2 of the name, 2 of the count of blobs; the blob: 2 of kind
    # and axes, 8 of shape, 32 bits, 3 numbers of 4.
    assert sizes["sparse_bytes"] == 9 + 4 + 4 + 2 + 2 + 8 + 4 + 12
    last = cost(root, "--model", paper, "--weights", str(model)).stdout.splitlines()[-1]
    assert last == f"{model.stat().st_size} bytes as caffemodel, 45 as sparse weights"
    absent = cost(root, "--model", paper, "--weights", str(tmp_path / "absent.caffemodel"))
    assert absent.returncode == 2 and absent.stderr.count("\n") == 1 and not absent.stdout


def test_bad_input_is_one_line_and_exit_2(root: Path, tmp_path: Path) -> None:
    broken, train_val = tmp_path / "broken.prototxt", tmp_path / "train_val.prototxt"
    broken.write_text("layer {")
    train_val.write_text('layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" } }')
    for model in (broken, train_val, tmp_path / "absent.prototxt"):
        answer = cost(root, "--model", str(model))
        assert answer.returncode == 2
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 1 and str(model) in answer.stderr
    assert cost(root).returncode == 2


@pytest.mark.parametrize("tool", ["cost.py", "lint.py", "to_onnx.py", "prune.py"])
def test_public_models_with_fields_of_forks_are_read(root: Path, shared_data: Path, tool: str, tmp_path: Path) -> None:
    """waifu2x's fork has a CropCenter layer, OpenCV's detector a PriorBox, which ONNX lacks."""
    for folder, prototxt in (("waifu2x_upresnet10", "scale2.0x_model"), ("opencv_res10_ssd", "deploy")):
        model = shared_data / "models" / folder / f"{prototxt}.prototxt"
        (weights,) = model.parent.glob("*.caffemodel")
        every: dict[str, list[object]] = {
            "cost.py": ["--model", model],
            "lint.py": [model],
            "to_onnx.py": ["--model", model, "--weights", weights, "--out", tmp_path / "x.onnx"],
            "prune.py": ["--model", model, "--weights", weights, "--criterion", "l1", "--ratio", "0.3", "--no-proof",
                         "--out", tmp_path / folder],
        }  # fmt: skip
        command = [sys.executable, root / "tools" / tool, *every[tool]]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert (
            "Traceback" not in done.stderr and "not a valid" not in done.stderr and "deploy prototxt" not in done.stderr
        )
        if tool == "to_onnx.py" and folder == "opencv_res10_ssd":
            assert done.returncode == 2 and "(PriorBox): has no counterpart in ONNX" in done.stderr
        elif tool == "lint.py":
            assert done.returncode in (0, 1) and "unknown-field" not in done.stdout
        else:
            assert done.returncode == 0, done.stderr
            assert "Not counted: " not in done.stdout
