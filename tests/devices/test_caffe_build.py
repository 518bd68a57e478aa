"""What Caffe was built for: its record, and CUDA's rule of which code runs where."""

import json
import sys
from pathlib import Path

import pytest

from pyhisto.devices.caffe_build import CaffeBuild, find_build
from pyhisto.errors import InputError

PAPER, TURING, HOPPER = (6, 1), (7, 5), (9, 0)


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        ((61, 90), PAPER, True),
        ((61, 90), HOPPER, True),
        ((61, 90), TURING, True),  # the oldest one's PTX, compiled by the driver
        ((61,), (12, 0), True),
        ((61,), (6, 0), False),
        ((70, 61), (6, 0), False),
        ((), PAPER, None),
    ],
)
def test_which_code_runs_on_which_card(
    architectures: tuple[int, ...], capability: tuple[int, int], runs: bool | None
) -> None:
    assert CaffeBuild(Path("caffe"), True, architectures).runs_on(capability) is runs


def program(folder: Path, text: str, status: int) -> None:
    """A `caffe` that says `text` and ends with `status`, as a shell program."""
    path = folder / "caffe"
    path.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit {status}\n")
    path.chmod(0o755)


CPU_ONLY = "F1125 00:32:08 24244 common.cpp:66] Cannot use GPU in CPU-only Caffe: check mode."
NO_CARD = "F1125 10:00:00 1 common.cpp:152] Check failed: error == cudaSuccess (100 vs. 0)  no CUDA-capable device"
"""What Caffe's two kinds say (common.cpp): the first as this machine's Caffe said it, the second by CUDA_CHECK."""


def test_its_record_says_for_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python/caffe").mkdir(parents=True)
    (tmp_path / "python/caffe/__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "python")
    monkeypatch.delitem(sys.modules, "caffe", raising=False)  # another test's
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, NO_CARD, 134)
    assert str(find_build()) == "for cards (of which compute capability is not known)"
    record = tmp_path / "build.json"
    build = {
        "key": "0123456789abcdef",
        "sources": {"brocolli-caffe==3.0.0": "sha256:0", "nvidia-cudnn-cu11==8.9.6.50": "sha256:1"},
        "architectures": [61, 90],
        "packages": ["libcudart11.0"],
    }
    record.write_text(json.dumps(build))
    assert str(find_build()) == "for cards of compute capability 6.1, 9.0 with cudnn 8.9.6.50"
    for other in ("", "[]", "{}", '{"architectures": 61}', "[" * 100_000):
        record.write_text(other)
        assert find_build().architectures == ()
    program(tmp_path, CPU_ONLY, 134)
    assert str(find_build()) == "for the CPU alone"


def test_a_caffe_that_does_not_start_is_no_caffe_for_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, "caffe: error while loading shared libraries: libcudart.so.11.0: cannot open", 127)
    with pytest.raises(InputError, match=r"caffe does not start: .*libcudart\.so\.11\.0"):
        find_build()


@pytest.mark.caffe
def test_this_caffe(tmp_path: Path) -> None:
    build = find_build()
    assert build.program.is_file() and (build.gpu or str(build) == "for the CPU alone")


@pytest.mark.parametrize(("gpu_build", "gpu"), [("0", False), ("1", True)])
def test_the_wrapper_of_our_builds_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, gpu_build: str, gpu: bool
) -> None:
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists():
        pytest.skip("the wrapper lets a machine with a card through")
    text = (root / "docker/caffe/wrapper.sh").read_text()
    wrapper = tmp_path / "caffe"
    wrapper.write_text(text.replace("@VENV@", str(tmp_path)).replace("@PROGRAM@", "none").replace("@GPU@", gpu_build))
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_build().gpu is gpu
