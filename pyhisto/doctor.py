"""What is installed, what works, and what to do about what does not."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyhisto import faster_caffe
from pyhisto.caffe_child import ChildEndedError, describe, run_in_child
from pyhisto.caffe_program import find_caffe, starts_from_weights
from pyhisto.devices.caffe_build import find_build
from pyhisto.devices.cards import find_cards
from pyhisto.errors import InputError
from pyhisto.extras import EXTRAS

PACKAGES = ("numpy", "protobuf", "opencv-python-headless", "lmdb", "h5py")
"""Of those that every program may need; EXTRAS has the others."""

SETUP = "run `make setup`"
SETUP_GPU = "`make setup GPU=1` builds one that has"

SOLVER = """\
net_param {
  layer { name: "data" type: "Data" top: "data" top: "label"
          data_param { source: "LMDB" backend: LMDB batch_size: 2 } }
  layer { name: "gate" type: "Flatten" bottom: "data" top: "gate" }
  layer { name: "sep" type: "Python" bottom: "gate" top: "sep"
          param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }
          python_param { module: "pyhisto.layers.sep" layer: "SEPLayer" param_str: '{"stage": "statistics"}' } }
  layer { name: "score" type: "InnerProduct" bottom: "sep" top: "score"
          inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
}
base_lr: 0.01 lr_policy: "fixed" max_iter: 3 snapshot_prefix: "PREFIX" solver_mode: CPU
"""
"""Everything at once: opens an LMDB, imports the SEP layer as `caffe` does, and runs forward and backward passes."""


@dataclass(frozen=True)
class CheckResult:
    """One line of the examination."""

    what: str
    works: bool
    detail: str
    """What was found, or what to do."""


def examine() -> Iterator[CheckResult]:
    """Try everything that the project needs, one thing after another."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(
        "Python", sys.version_info >= (3, 11), version if sys.version_info >= (3, 11) else f"{version}; needs 3.11"
    )
    for package in PACKAGES:
        try:
            yield CheckResult(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield CheckResult(package, False, f"not installed; {SETUP}")
    yield from _extras()
    for what, check in CHECKS.items():
        try:
            yield CheckResult(what, True, check())
        except Exception as error:
            yield CheckResult(what, False, " ".join(str(error).split()) or type(error).__name__)
    yield from _cards()


def _extras() -> Iterator[CheckResult]:
    """Whether the packages are there that only some programs need."""
    for extra in sorted(set(EXTRAS.values())):
        packages = [package for package, of in EXTRAS.items() if of == extra]
        absent = [package for package in packages if importlib.util.find_spec(package) is None]
        detail = (
            f"not installed: {', '.join(absent)}; pip install 'pyhisto[{extra}]'" if absent else ", ".join(packages)
        )
        yield CheckResult(f"extra {extra}", not absent, detail)


def _cards() -> Iterator[CheckResult]:
    """Whether Caffe was built for cards; the cards; and a training on the first, if it can be."""
    what = "Caffe on cards"
    try:
        build = find_build()
    except InputError as error:
        yield CheckResult(what, False, f"{error}; {SETUP}")
        return
    cards = find_cards()
    none = "" if cards.found else f"; no card is to be had here, as {cards.reason}"
    yield CheckResult(what, True, f"built {build}{none}")
    for card in cards.found:
        runs = build.runs_on(card.capability) if build.gpu else False
        verdict = {True: "Caffe has code for it", None: "whether Caffe has code for it is not known"}.get(
            runs, f"Caffe has no code for it; {SETUP_GPU}"
        )
        # To have a card and a Caffe that leaves it alone is no fault.
        yield CheckResult(f"card {card.number}", not build.gpu or runs is not False, f"{card}: {verdict}")
    if build.gpu and cards.found:
        try:
            yield CheckResult("caffe train, card 0", True, _training("GPU"))
        except InputError as error:
            yield CheckResult("caffe train, card 0", False, str(error))


def _opencv_reads_caffe() -> str:
    import cv2

    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        raise InputError(f"OpenCV {cv2.__version__} has no Caffe reader; install opencv-python-headless 4")
    return "reads Caffe models: predictions and pruning proofs work without Caffe"


def _caffe_program() -> str:
    program = find_caffe()
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{program} does not start: {_last_line(done.stderr)}; {SETUP}")
    return f"{program}, {_last_line(done.stdout + done.stderr)}"


def _pycaffe() -> str:
    try:  # in a process of its own: a library that does not fit may end it
        folder, version, layers = run_in_child(describe)
    except ChildEndedError as error:
        raise InputError(f"`import caffe` fails: {error}; {SETUP}") from None
    return f"{version} with {layers} layer types, {folder}; on the CPU {faster_caffe.layers()} computes"


def _training(mode: str = "CPU") -> str:
    from pyhisto.layers.activation_statistics import SAMPLES
    from pyhisto.proto import layer_blobs, read_weights

    with tempfile.TemporaryDirectory() as folder:
        _write_lmdb(Path(folder, "lmdb"), records=4)
        solver = Path(folder, "solver.prototxt")
        prefix = Path(folder, "doctor")
        text = SOLVER.replace('LMDB"', f'{folder}/lmdb"').replace("PREFIX", str(prefix)).replace("CPU", mode)
        solver.write_text(text, encoding="utf-8")
        done = subprocess.run([find_caffe(), "train", "--solver", solver], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"`caffe train` with a SEP layer fails: {_last_line(done.stderr)}; {SETUP}")
        seen = layer_blobs(read_weights(Path(f"{prefix}_iter_3.caffemodel")))["sep"][SAMPLES][0]
        if seen != 6:
            raise InputError(f"the SEP layer saw {seen:g} of 6 samples; {SETUP}")
    return "reads an LMDB, imports the SEP layer, runs forward and backward passes, snapshots"


def _weights() -> str:
    if not starts_from_weights(find_caffe()):
        raise InputError(f"ignored without a word: such a training starts from noise; unset CAFFE_ROOT and {SETUP}")
    return "a training starts from them"


def _write_lmdb(folder: Path, records: int) -> None:
    import lmdb

    from pyhisto.proto import Datum

    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        for index in range(records):
            datum = Datum(channels=3, height=2, width=2, data=bytes([index] * 12), label=index % 2)
            transaction.put(b"%010d" % index, datum.SerializeToString())


CHECKS: dict[str, Callable[[], str]] = {
    "OpenCV": _opencv_reads_caffe,
    "caffe": _caffe_program,
    "pycaffe": _pycaffe,
    "caffe train": _training,
    "caffe train --weights": _weights,
}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
