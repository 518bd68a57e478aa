"""tools/prune.py on the full ResNeXt-50 with the paper's head, as it is committed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pyhisto.graph import Graph
from pyhisto.proto import read_net, write_weights
from tests.networks import random_weights


@pytest.mark.slow
@pytest.mark.caffe
def test_the_full_network_is_pruned_with_proof(root: Path, tmp_path: Path) -> None:
    files = root / "prototxt" / "resnext50_paper"
    weights = tmp_path / "net.caffemodel"
    write_weights(weights, random_weights([Graph.build(read_net(files / "deploy.prototxt"))]))
    command = [
        sys.executable, root / "tools" / "prune.py", "--model", files / "deploy.prototxt", "--also",
        files / "train_val.prototxt", files / "solver.prototxt", "--weights", weights, "--criterion", "l1",
        "--ratio", "0.3", "--out", tmp_path / "pruned",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "pruned" / "plan.json").read_text())
    assert plan["proof"]["largest_difference"] <= 1e-4
    layers = {layer.name: layer for layer in read_net(tmp_path / "pruned" / "train_val.prototxt").layer}
    # 0.3 x 32 = 9.6: 10 of the 32 groups go, 22 of 4 channels in stage 2 and of 32 in stage 5 are left.
    for block, group_width in (("2a", 4), ("5c", 32)):
        grouped = layers[f"res{block}_branch2b"].convolution_param
        assert (grouped.group, grouped.num_output) == (22, 22 * group_width)
    # 0.7 x 512 = 358.4 of the head's hidden units.
    assert layers["head_hidden"].inner_product_param.num_output == 358
