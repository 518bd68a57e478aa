"""Published weights in Caffe compute what they compute in PyTorch."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyhisto.arrays import Floats
from pyhisto.errors import InputError
from pyhisto.nets.pretrained import convert, read_tensors
from pyhisto.nets.resnext import IMAGENET_MEAN, ResNeXt
from pyhisto.proto import Net, layer_blobs, read_weights, to_text, write_weights

pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "resnext_tiny.safetensors"
NETWORK = ResNeXt("standard", num_classes=5, input_size=64, depths=(1, 2, 1, 1), width=4, groups=2, group_width=2)
"""Of resnext_torch.TINY's shape."""
TOLERANCE = 1e-4


def run_in_caffe(net: Net, weights: Net, pixels: Floats, folder: Path) -> Floats:
    import caffe

    model, file = folder / "deploy.prototxt", folder / "net.caffemodel"
    model.write_text(to_text(net))
    write_weights(file, weights)
    loaded = caffe.Net(str(model), caffe.TEST, weights=str(file))
    loaded.blobs["data"].reshape(*pixels.shape)
    loaded.blobs["data"].data[...] = pixels - np.array(IMAGENET_MEAN, np.float32)[:, None, None]
    return np.array(loaded.forward()["prob"])


@pytest.mark.caffe
def test_outputs_equal_pytorchs_golden_ones(tmp_path: Path) -> None:
    golden = load_file(GOLDEN / "resnext_tiny_io.safetensors")
    weights = convert(NETWORK.deploy(), read_tensors(TINY), TINY)
    found = run_in_caffe(NETWORK.deploy(), weights, golden["pixels"].astype(np.float32), tmp_path)
    assert golden["probabilities"].std() > 0.05  # they say something
    assert np.abs(found - golden["probabilities"]).max() <= TOLERANCE


@pytest.mark.caffe
@pytest.mark.parametrize("side", [64, 65, 96])
def test_outputs_equal_pytorchs(side: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.nets import resnext_torch

    for seed, depths in enumerate([(1, 1, 1, 1), (2, 1, 3, 1)]):
        shape: dict[str, Any] = {"depths": depths, "width": 8, "groups": 4, "group_width": 2, "num_classes": 3}
        network = ResNeXt("standard", input_size=side, **shape).deploy()
        peer = resnext_torch.random_network(seed, **shape)
        tensors = {name: value.numpy() for name, value in peer.state_dict().items() if value.ndim}
        pixels = resnext_torch.pixels(seed, 2, side)
        found = run_in_caffe(network, convert(network, tensors, Path("peer")), pixels, tmp_path)
        assert np.abs(found - resnext_torch.outputs(peer, pixels)).max() <= TOLERANCE


@pytest.mark.caffe
@pytest.mark.slow
def test_the_full_network_equals_pytorchs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tests.nets import resnext_torch

    shape = {"depths": (3, 4, 6, 3), "width": 64, "groups": 32, "group_width": 4, "num_classes": 1000}
    peer = resnext_torch.random_network(0, **shape)
    file = tmp_path / "published.pth"
    torch.save(peer.state_dict(), file)
    network = ResNeXt("standard", num_classes=1000).deploy()
    pixels = resnext_torch.pixels(0, 1, 224)
    found = run_in_caffe(network, convert(network, read_tensors(file), file), pixels, tmp_path)
    assert np.abs(found - resnext_torch.outputs(peer, pixels)).max() <= TOLERANCE
    assert (tmp_path / "net.caffemodel").stat().st_size < 128 << 20


def test_torchvisions_own_names() -> None:
    """Where torchvision is installed: its names, and the parameters of the peer, are what we say."""
    pytest.importorskip("torchvision")
    from torchvision.models import resnext50_32x4d

    from tests.nets import resnext_torch

    peer = resnext_torch.ResNeXt(depths=(3, 4, 6, 3), width=64, groups=32, group_width=4, num_classes=1000)
    own = {name: value.shape for name, value in peer.state_dict().items()}
    assert own == {name: value.shape for name, value in resnext50_32x4d().state_dict().items()}


def test_the_papers_head_takes_all_but_the_classifier() -> None:
    network = ResNeXt("paper", input_size=64, depths=(1, 2, 1, 1), width=4, groups=2, group_width=2).deploy()
    with pytest.raises(InputError, match="without-classifier"):
        convert(network, read_tensors(TINY), TINY)
    weights = convert(network, read_tensors(TINY), TINY, without_classifier=True)
    names = {layer.name for layer in weights.layer}
    assert {"conv1", "bn_conv1", "scale_conv1", "res5a_branch2c", "scale5a_branch1"} <= names
    assert not any("head" in name or name == "classifier" for name in names)
    blobs = layer_blobs(weights)
    tensors = read_tensors(TINY)
    assert np.array_equal(blobs["res3b_branch2b"][0], tensors["layer2.1.conv2.weight"])
    assert np.array_equal(blobs["bn2a_branch1"][1], tensors["layer1.0.downsample.1.running_var"])
    assert blobs["bn2a_branch1"][2].tolist() == [1]
    # conv1, first weight of the blue channel: the published last channel, over 255 x 0.225.
    expected = tensors["conv1.weight"][0, 2, 0, 0] / (255 * 0.225)
    assert blobs["conv1"][0][0, 0, 0, 0] == pytest.approx(expected)


def changed(change: Callable[[dict[str, NDArray[Any]]], object], path: Path) -> Path:
    tensors = load_file(TINY)
    change(tensors)
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("layer2.1.bn2.running_var"), "no tensor 'layer2.1.bn2.running_var'"),
        (lambda t: t.pop("fc.bias"), "no tensor 'fc.bias'"),
        (lambda t: t.update({"layer2.2.conv1.weight": np.zeros((8, 32, 1, 1), np.float32)}), "'layer2.2.conv1.weight'"),
        (lambda t: t.update({"fc.weight": np.zeros((1000, 128), np.float32)}), "'fc.weight' is 1000x128"),
        (
            lambda t: t.update({"conv1.weight": np.full((4, 3, 7, 7), np.nan, np.float32)}),
            "'conv1.weight' is not of fin",
        ),
        (lambda t: t.update({"conv1.weight": np.zeros((4, 3, 7, 7), np.int32)}), "'conv1.weight' is not of finite"),
        (lambda t: t.update({"conv1.weight": np.full((4, 3, 7, 7), 1e300)}), "'conv1.weight' is not of finite"),
    ],
)
def test_every_tensor_is_accounted_for(
    change: Callable[[dict[str, NDArray[Any]]], object], named: str, tmp_path: Path
) -> None:
    file = changed(change, tmp_path / "changed.safetensors")
    with pytest.raises(InputError, match=named) as error:
        convert(NETWORK.deploy(), read_tensors(file), file)
    assert str(file) in str(error.value)


def test_counters_may_be_absent_and_half_precision_is_read(tmp_path: Path) -> None:
    tensors = {name: value.astype(np.float16) for name, value in load_file(TINY).items() if "num_batches" not in name}
    save_file(tensors, tmp_path / "half.safetensors")
    weights = convert(NETWORK.deploy(), read_tensors(tmp_path / "half.safetensors"), TINY)
    assert all(values.dtype == np.float32 for values in layer_blobs(weights)["res2a_branch2a"])


def test_a_type_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    header = b'{"conv1.weight": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}'
    file = tmp_path / "bf16.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match="bfloat16"):
        read_tensors(file)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"\x80\x02}q\x00.", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_is_no_weights_file_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"bad{suffix}"
    file.write_bytes(content)
    with pytest.raises(InputError, match=str(file)):
        read_tensors(file)


def convert_tool(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "convert_weights.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_program_writes_a_caffemodel_or_one_line(root: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "deploy.prototxt", tmp_path / "out.caffemodel"
    model.write_text(to_text(NETWORK.deploy()))
    done = convert_tool(root, "--weights", TINY, "--model", model, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "103.53 116.28 123.675" in done.stdout
    assert layer_blobs(read_weights(out))["classifier"][0].shape == (5, 128)
    out.unlink()
    cut = tmp_path / "cut.safetensors"
    shutil.copy(TINY, cut)
    with open(cut, "r+b") as file:
        file.truncate(100_000)
    done = convert_tool(root, "--weights", cut, "--model", model, "--out", out)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert not out.exists()
