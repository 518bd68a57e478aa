"""The `caffe` program: where it is, in which environment it runs, and what a user's own may not be able to do."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyhisto
from pyhisto.errors import InputError


def find_caffe() -> Path:
    """The `caffe` program: on the PATH, else beside this Python (in its virtual environment). InputError if missing."""
    found = shutil.which("caffe") or shutil.which("caffe", path=str(Path(sys.executable).parent))
    if found is None:
        raise InputError("Caffe is missing: no program `caffe`; run `make setup`, or put yours on the PATH")
    return Path(found)


def caffe_environment() -> dict[str, str]:
    """The environment in which Caffe is run: it logs everything, to stderr alone, and finds `pyhisto.layers`."""
    root = str(Path(pyhisto.__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "GLOG_logtostderr": "1",
        "GLOG_minloglevel": "0",
        "PYTHONPATH": root + (os.pathsep + path if path else ""),
    }


WEIGHTS_PROBE = """\
net_param {
  layer { name: "input" type: "DummyData" top: "input" dummy_data_param { shape { dim: 1 } } }
  layer { name: "loss" type: "Reduction" bottom: "input" top: "loss" loss_weight: 1 }
}
base_lr: 0 lr_policy: "fixed" max_iter: 1 snapshot_after_train: false solver_mode: CPU
"""


def starts_from_weights(caffe: Path) -> bool:
    """Whether `caffe train --weights` starts from them. Some forks parse the option and start from noise, silently.

    Tried with a network that needs no data and weights that are not there: only a Caffe that looks for them fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        solver = Path(folder, "solver.prototxt")
        solver.write_text(WEIGHTS_PROBE, encoding="utf-8")

        def fails(*options: str) -> bool:
            command = [str(caffe), "train", f"--solver={solver}", *options]
            return subprocess.run(command, capture_output=True, check=False).returncode != 0

        # One that cannot train at all is for others to complain of.
        return fails() or fails(f"--weights={folder}/missing.caffemodel")
