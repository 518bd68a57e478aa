"""The faster layers against Berkeley's: the same random layers, inputs and gradients through both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyhisto import faster_caffe
from pyhisto.arrays import Floats

pytestmark = [
    pytest.mark.caffe,
    pytest.mark.skipif(not os.path.isfile(faster_caffe.LIBRARY), reason="needs libpyhisto_cpu: run `make setup`"),
]

Results = dict[str, Floats]
COUNT = 60
"""Random layers of each kind."""


def run_layers(out: Path, seed: int, threads: int, stock: bool = False) -> Results:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "PYHISTO_STOCK_CAFFE": str(int(stock))}
    script = Path(__file__).with_name("run_layers.py")
    done = subprocess.run(
        [sys.executable, script, out, str(seed), str(COUNT)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_layers(tmp_path_factory.mktemp("stock") / "out.npz", seed=1, threads=1, stock=True)


@pytest.fixture(scope="module")
def faster(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_layers(tmp_path_factory.mktemp("faster") / "out.npz", seed=1, threads=2)


def same_bits(one: Floats, other: Floats) -> bool:
    """Equal to the bit; NaN equals NaN, whatever its payload."""
    nan = np.isnan(one)
    return bool((nan == np.isnan(other)).all() and np.where(nan, 0, one).tobytes() == np.where(nan, 0, other).tobytes())


@pytest.mark.parametrize("kind", ["pooling", "relu"])
def test_pooling_and_relu_are_berkeleys_to_the_bit(stock: Results, faster: Results, kind: str) -> None:
    names = [name for name in stock if name.startswith(f"{kind} ") and not name.endswith("text")]
    assert len(names) > 4 * COUNT
    different = [name for name in names if not same_bits(stock[name], faster[name])]
    assert not different, stock[" ".join(different[0].split()[:2]) + " text"]


@pytest.mark.parametrize("kind", ["batch_norm", "scale", "scale_by_blob", "convolution", "convolution_3x3"])
def test_the_others_are_within_1e_5(stock: Results, faster: Results, kind: str) -> None:
    names = [name for name in stock if name.startswith(f"{kind} ") and not name.endswith("text")]
    assert len(names) > 6 * COUNT and names == [
        n for n in faster if n.startswith(f"{kind} ") and not n.endswith("text")
    ]
    for name in names:
        allowed = 1e-5 * np.abs(stock[name]).max(initial=0)
        worst = np.abs(stock[name] - faster[name]).max(initial=0)
        assert worst <= allowed, (name, worst, allowed, stock[" ".join(name.split()[:2]) + " text"])


def test_as_many_threads_give_the_same_bytes(faster: Results, tmp_path: Path) -> None:
    again = run_layers(tmp_path / "again.npz", seed=1, threads=2)
    assert [name for name in faster if faster[name].tobytes() != again[name].tobytes()] == []


def test_what_changes_with_the_number_of_threads(faster: Results, tmp_path: Path) -> None:
    alone = run_layers(tmp_path / "alone.npz", seed=1, threads=1)
    different = {name for name in faster if faster[name].tobytes() != alone[name].tobytes()}
    # Parameters' gradients are summed in parts, one per thread; of a single image the outputs are shared out.
    explained = {name for name in different if "gradient" in name or len(faster[name]) == 1}
    assert different == explained and all(name.startswith("convolution") for name in different)
    assert different


@pytest.mark.slow
def test_a_training_ends_where_berkeleys_with_other_seeds_do() -> None:
    def train(seed: int, stock: bool) -> float:
        """The mean loss of the last 50 of 200 iterations."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYHISTO_STOCK_CAFFE": str(int(stock))}
        command = [sys.executable, Path(__file__).with_name("train_narrow.py"), str(seed), "200"]
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return float(np.mean(json.loads(done.stdout)[-50:]))

    ours, theirs = train(1, stock=False), [train(seed, stock=True) for seed in (1, 2, 3)]
    spread = max(theirs) - min(theirs)
    assert min(theirs) - spread <= ours <= max(theirs) + spread, (ours, theirs)
    assert ours < 0.3  # it learnt: at the beginning it is ln 2


IMPORT = "import caffe; print('libpyhisto_cpu' in open('/proc/self/maps').read())"


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "GLOG_minloglevel": "2", "PYHISTO_STOCK_CAFFE": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plain_import_has_the_library_unless_told_otherwise() -> None:
    assert python(IMPORT) == "True"
    assert python(IMPORT, PYHISTO_STOCK_CAFFE="1") == "False"


def test_another_caffe_stays_as_it_is(tmp_path: Path) -> None:
    # A package of the same name at another place is not the Caffe that the library was built for.
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").write_text("from caffe._caffe import x\n")
    (tmp_path / "caffe" / "_caffe.py").write_text("x = 1\n")
    assert python(IMPORT, PYTHONPATH=str(tmp_path)) == "False"


SOLVER = """\
net_param {
  layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }
  layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }
  layer { name: "loss" type: "Reduction" bottom: "data" top: "loss" loss_weight: 1 }
}
base_lr: 0 lr_policy: "fixed" max_iter: 1 snapshot_after_train: false solver_mode: CPU
"""


@pytest.mark.parametrize("stock", [False, True])
def test_the_program_says_which_layers_compute(tmp_path: Path, stock: bool) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(SOLVER)
    environment = {**os.environ, "PYHISTO_STOCK_CAFFE": str(int(stock)), "GLOG_minloglevel": "0"}
    caffe = Path(sys.executable).with_name("caffe")
    done = subprocess.run(
        [caffe, "train", f"--solver={solver}"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert ("libpyhisto_cpu computes" in done.stderr) == (not stock)


def test_what_caffe_starts_does_not_inherit_the_library() -> None:
    done = subprocess.run(
        ["sh", "-c", "echo [$LD_PRELOAD]"],
        env={**os.environ, "LD_PRELOAD": f"{faster_caffe.LIBRARY}:libm.so.6"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[libm.so.6]\n"


FORK = """\
import os, tempfile
import numpy as np
import caffe
file = tempfile.NamedTemporaryFile("w", suffix=".prototxt")
file.write('''
layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 4 dim: 16 dim: 32 dim: 32 } } }
layer { name: "convolution" type: "Convolution" bottom: "in" top: "out"
        convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "xavier" } } }''')
file.flush()
net = caffe.Net(file.name, caffe.TEST)
net.blobs["in"].data[...] = np.random.default_rng(0).normal(size=(4, 16, 32, 32))
before = net.forward()["out"].copy()
child = os.fork()
if not child:
    os._exit(0 if (net.forward()["out"] == before).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_computes_on() -> None:
    assert python(FORK, OPENBLAS_NUM_THREADS="2") == "0"
