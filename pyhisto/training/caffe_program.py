"""Where the `caffe` program is."""

import os
import shutil
import sys
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
