"""A pruned solver state resumes where the masked, unpruned run would be: real training, real snapshots."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest

from pyhisto.caffe_program import caffe_environment
from pyhisto.errors import InputError
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import Datum, read_net, read_weights, to_text, write_weights
from pyhisto.pruning.plan import Parameter, Plan
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.snapshot import convert, pruned_weights
from pyhisto.pruning.surgery import mask_blob, rewrite_weights
from pyhisto.solver_state import read_state, write_state
from tests.networks import RandomNetwork, save

SOLVER = """net: "{net}" base_lr: 0.002 lr_policy: "fixed" max_iter: {last} weight_decay: 0.001 display: 1
snapshot_prefix: "{prefix}" random_seed: 7 solver_mode: CPU type: "{kind}" {more} snapshot_format: {format}
"""

LOSS = re.compile(r"Iteration (\d+)[ ,].*?loss = ([0-9.e+-]+)")


def train(solver: Path, *more: object) -> dict[int, float]:
    """Run `caffe train`; the loss at every iteration.

    With one thread: more of them share out the sums of a whole and of a pruned network otherwise, and a unit of an SE
    block that is about to be cut off by its ReLU then goes either way, a few iterations later.
    """
    command = [Path(sys.executable).parent / "caffe", "train", "--solver", solver, *more]
    environment = {**caffe_environment(), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return {int(iteration): float(loss) for iteration, loss in LOSS.findall(done.stderr)}


def write_solver(path: Path, net: Path, last: int, kind: str, form: str) -> Path:
    more = "momentum: 0.9" if kind in ("SGD", "Nesterov", "Adam", "AdaDelta") else ""
    if kind == "Adam":
        # A bias in front of BatchNorm has no gradient but rounding, of which Adam with delta 1e-8 makes whole steps.
        more += " delta: 0.0001"
    path.write_text(
        SOLVER.format(net=net, last=last, prefix=path.with_suffix(""), kind=kind, more=more, format=form),
        encoding="utf-8",
    )
    return path


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("kind", "form"),
    [("SGD", "BINARYPROTO"), ("SGD", "HDF5"), ("Nesterov", "BINARYPROTO"), ("AdaGrad", "BINARYPROTO"),
     ("RMSProp", "BINARYPROTO"), ("AdaDelta", "BINARYPROTO"), ("Adam", "BINARYPROTO")],
)  # fmt: skip
def test_training_goes_on_where_the_masked_run_would(tmp_path: Path, kind: str, form: str) -> None:
    generator = np.random.default_rng(0)
    with lmdb.open(str(tmp_path / "lmdb")) as environment, environment.begin(write=True) as transaction:
        for index in range(8):
            datum = Datum(channels=3, height=32, width=32, label=index % 2)
            datum.data = generator.integers(100, 256, (3, 32, 32), np.uint8).tobytes()
            transaction.put(b"%010d" % index, datum.SerializeToString())
    network = InceptionSEP(width=0.0625, input_size=32)
    net = network.train_val(str(tmp_path / "lmdb"), str(tmp_path / "lmdb"), 4, 4)
    # Caffe cannot write HDF5 snapshots of layers, or of the Splits it adds behind blobs, with a slash in their names.
    for layer in net.layer:
        layer.name = layer.name.replace("/", "-")
        layer.bottom[:] = [name.replace("/", "-") for name in layer.bottom]
        layer.top[:] = [name.replace("/", "-") for name in layer.top]
    original = tmp_path / "train_val.prototxt"
    original.write_text(to_text(net), encoding="utf-8")
    suffix = ".h5" if form == "HDF5" else ""
    first = write_solver(tmp_path / "first.prototxt", original, 4, kind, form)
    train(first)
    weights, state = (tmp_path / f"first_iter_4.{what}{suffix}" for what in ("caffemodel", "solverstate"))

    read = LoadedNetwork.read(original, [], weights, {})
    removed = plan_pruning(read, "l1", Schedule(0.5), None, 0)
    pruned = cut_network(read, removed, {})
    out = tmp_path / "pruned"
    write(read, pruned, None, out)
    plan = Plan.load(out / "plan.json")
    assert len(plan.parameters) * (2 if kind in ("AdaDelta", "Adam") else 1) == len(read_state(state).history)

    command = [sys.executable, Path(__file__).parents[2] / "tools" / "convert_snapshot.py", "--plan", out / "plan.json",
               "--snapshot", state, "--out", out / f"on.solverstate{suffix}"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    second = write_solver(out / "second.prototxt", out / "train_val.prototxt", 8, kind, form)
    continued = train(second, "--snapshot", out / f"on.solverstate{suffix}")

    # The same with the original network, its removed channels masked in weights and history.
    masked = tmp_path / "masked"
    masked.mkdir()
    name = str(masked / f"net.caffemodel{suffix}")
    write_weights(Path(name), rewrite_weights(read_weights(weights), pruned.cut, mask=True))
    write_state(masked / f"on.solverstate{suffix}", convert(read_state(state), plan, name, state, mask_blob))
    third = write_solver(masked / "third.prototxt", original, 8, kind, form)
    expected = train(third, "--snapshot", masked / f"on.solverstate{suffix}")

    assert sorted(continued) == sorted(expected) == [4, 5, 6, 7, 8]
    for iteration, loss in expected.items():
        assert continued[iteration] == pytest.approx(loss, abs=1e-4)


def state_of(*shapes: tuple[int, ...]):  # type: ignore[no-untyped-def]
    from pyhisto.proto import SolverState, set_blob

    state = SolverState(iter=3)
    for shape in shapes:
        set_blob(state.history.add(), np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    return state


def test_each_history_blob_is_cut_as_its_weights() -> None:
    plan = Plan({}, {}, (Parameter("a", 0, (3, 2), ((0, 2), None)), Parameter("a", 1, (3,), ((0, 2),))))
    for rounds in (1, 2):
        converted = convert(state_of(*[(3, 2), (3,)] * rounds), plan, "new.caffemodel", "s")
        assert (converted.iter, converted.learned_net) == (3, "new.caffemodel")
        histories = [np.frombuffer(blob.data, np.float32).tolist() for blob in converted.history]
        assert histories == [[0, 1, 4, 5], [0, 2]] * rounds


def test_an_hdf5_state_s_string_ends_as_caffe_wants_it(tmp_path: Path) -> None:
    state = state_of((2,))
    state.learned_net = "net.caffemodel.h5"
    write_state(tmp_path / "s.solverstate.h5", state)
    with h5py.File(tmp_path / "s.solverstate.h5") as file:
        # 17 characters and the zero byte, without which Caffe reads on into whatever lies behind.
        assert file["learned_net"].dtype == "S18"
    assert read_state(tmp_path / "s.solverstate.h5").learned_net == "net.caffemodel.h5"


def test_states_of_other_networks_are_refused(tmp_path: Path) -> None:
    plan = Plan({}, {}, (Parameter("a", 0, (3, 2), ((0, 2), None)), Parameter("a", 1, (3,), ((0, 2),))))
    with pytest.raises(InputError, match="3 history blobs"):
        convert(state_of((3, 2), (3,), (1,)), plan, "w", "s")
    with pytest.raises(InputError, match="layer 'a' blob 1"):
        convert(state_of((3, 2), (4,)), plan, "w", "s")
    with pytest.raises(InputError, match="no training network"):
        convert(state_of((3, 2)), Plan({}, {}), "w", "s")
    for name in ("x.solverstate", "x.solverstate.h5"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(InputError):
            read_state(tmp_path / name)


def test_a_state_of_other_weights_is_refused(root: Path, tmp_path: Path) -> None:
    model, weights = save(tmp_path, RandomNetwork(0).net)
    network = LoadedNetwork.read(model, [], weights, {})
    write(
        network, cut_network(network, plan_pruning(network, "l1", Schedule(0.5), None, 0), {}), None, tmp_path / "out"
    )
    other = tmp_path / "other.caffemodel"
    shutil.copy(weights, other)
    other.write_bytes(other.read_bytes() + b"\x0a\x00")
    state = state_of((3, 2))
    state.learned_net = str(other)
    write_state(tmp_path / "s.solverstate", state)
    done = subprocess.run(
        [sys.executable, root / "tools" / "convert_snapshot.py", "--plan", tmp_path / "out" / "plan.json",
         "--snapshot", tmp_path / "s.solverstate", "--out", tmp_path / "on.solverstate"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pruned other weights" in done.stderr
    assert not (tmp_path / "on.solverstate").exists()
    assert read_net(model).name


def written_plan(folder: Path) -> Path:
    """The plan of a pruning of a network that trains, which names its weights."""
    net = RandomNetwork(0).net
    net.layer.add(name="label", type="DummyData", top=["label"], dummy_data_param={"shape": [{"dim": [2]}]})
    last = next(layer.top[0] for layer in reversed(net.layer) if layer.type == "InnerProduct")
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=[last, "label"], top=["loss"])
    model, weights = save(folder, net)
    network = LoadedNetwork.read(model, [], weights, {})
    removed = plan_pruning(network, "l1", Schedule(0.5), None, 0)
    write(network, cut_network(network, removed, {}), None, folder / "out")
    return folder / "out" / "plan.json"


def test_the_weights_that_a_plan_names_are_looked_at(tmp_path: Path) -> None:
    path = written_plan(tmp_path)
    plan = Plan.load(path)
    assert plan.parameters
    weights = path.parent / "deploy.caffemodel"
    assert pruned_weights(plan, path) == weights
    moved = path.parent.rename(tmp_path / "moved") / "plan.json"
    assert pruned_weights(plan, moved) == moved.parent / "deploy.caffemodel"
    for outputs, complaint in (
        ({}, "names no pruned weights"),
        ({"weights": "a\nb"}, "names no pruned weights"),
        ({"weights": "gone/other.caffemodel"}, "are not there, nor beside it"),
        ({"weights": str(tmp_path / "deploy.caffemodel")}, "another pruning's weights"),  # the unpruned ones
        ({"weights": str(tmp_path / "deploy.prototxt")}, "not a NetParameter"),
    ):
        with pytest.raises(InputError, match=complaint):
            pruned_weights(replace(plan, outputs=outputs), moved)


def test_fields_that_nobody_knows_stay_in_a_solver_state() -> None:
    plan = Plan({}, {}, (Parameter("a", 0, (3, 2), ((0, 2), None)),))
    state = state_of((3, 2))
    state = type(state).FromString(state.SerializeToString() + b"\xba\x3e\x05hello")  # field 999
    converted = convert(state, plan, "new.caffemodel", "s")
    assert b"\xba\x3e\x05hello" in converted.SerializeToString()
