import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.proto import (
    NetParameter,
    SolverState,
    blob_array,
    set_blob,
    write_binary,
    write_weights,
)
from pyhisto.solver_state import read_state, write_state
from pyhisto.training.snapshots import newest_whole, read_snapshot, remove_older, solver_states


def snapshot(prefix: Path, iteration: int, value: float = 1.0) -> Path:
    net = NetParameter()
    set_blob(net.layer.add(name="ip").blobs.add(), np.full((2, 300), value, np.float32))
    weights = Path(f"{prefix}_iter_{iteration}.caffemodel")
    write_weights(weights, net)
    state = SolverState(iter=iteration, learned_net=str(weights), current_step=0)
    set_blob(state.history.add(), np.zeros((2, 300), np.float32))
    path = Path(f"{prefix}_iter_{iteration}.solverstate")
    write_binary(path, state)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def nothing(note: str) -> None:
    raise AssertionError(note)


def test_the_newest_by_number_and_not_by_name(tmp_path: Path) -> None:
    prefix = tmp_path / "net"
    states = [snapshot(prefix, iteration) for iteration in (900, 1000, 100)]
    snapshot(tmp_path / "net_2", 2000)  # another prefix
    assert solver_states(str(prefix)) == [states[2], states[0], states[1]]
    newest = newest_whole(str(prefix), nothing)
    assert newest is not None and (newest.iteration, newest.state) == (1000, states[1])
    assert newest.weights == Path(f"{prefix}_iter_1000.caffemodel")


def test_none(tmp_path: Path) -> None:
    assert newest_whole(str(tmp_path / "net"), nothing) is None
    assert newest_whole(str(tmp_path / "gone" / "net"), nothing) is None


@pytest.mark.parametrize("ending", ["solverstate", "caffemodel"])
def test_a_truncated_newest_falls_back_to_the_older(tmp_path: Path, ending: str) -> None:
    prefix = tmp_path / "net"
    for iteration in (10, 20):
        snapshot(prefix, iteration)
    cut(Path(f"{prefix}_iter_20.{ending}"))
    notes: list[str] = []
    newest = newest_whole(str(prefix), notes.append)
    assert newest is not None and newest.iteration == 10
    assert len(notes) == 1 and f"net_iter_20.{ending}" in notes[0]


def test_weights_that_are_gone_or_diverged(tmp_path: Path) -> None:
    state = snapshot(tmp_path / "net", 10)
    Path(f"{tmp_path}/net_iter_10.caffemodel").unlink()
    with pytest.raises(InputError, match=r"its weights .*net_iter_10.caffemodel are not there"):
        read_snapshot(state)
    with pytest.raises(InputError, match="layer 'ip' holds nan or inf"):
        read_snapshot(snapshot(tmp_path / "net", 20, float("nan")))


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = snapshot(tmp_path / "net", 10)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_snapshot(path)


def test_hdf5(tmp_path: Path) -> None:
    net = NetParameter()
    set_blob(net.layer.add(name="ip").blobs.add(), np.ones((2, 3), np.float32))
    weights, state = tmp_path / "net_iter_10.caffemodel.h5", tmp_path / "net_iter_10.solverstate.h5"
    write_weights(weights, net)
    with h5py.File(state, "w") as file:
        file["iter"], file["learned_net"], file["current_step"] = 10, str(weights), 0
        file["history/0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
    newest = newest_whole(str(tmp_path / "net"), nothing)
    assert newest is not None and (newest.iteration, newest.weights) == (10, weights)
    assert np.array_equal(blob_array(read_state(state).history[0]), np.arange(6).reshape(2, 3))
    cut(state)
    with pytest.raises(InputError, match="not an HDF5 solver state"):
        read_snapshot(state)


def test_a_state_that_names_another_iteration_s_weights_is_refused(tmp_path: Path) -> None:
    older, newer = snapshot(tmp_path / "net", 10), snapshot(tmp_path / "net", 20)
    state = read_state(newer)
    state.learned_net = str(tmp_path / "net_iter_10.caffemodel")
    write_state(newer, state)
    with pytest.raises(InputError, match=r"net_iter_20.solverstate: is of iteration 20, but its weights are called"):
        read_snapshot(newer)
    notes: list[str] = []
    newest = newest_whole(str(tmp_path / "net"), notes.append)
    assert newest is not None and newest.state == older
    assert len(notes) == 1 and "which of the two is meant?" in notes[0]
    shutil.copy(older, newer)  # whole, of iteration 10, under the other's name
    with pytest.raises(InputError, match="is of iteration 10, but it is called"):
        read_snapshot(newer)


def test_an_hdf5_state_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    net = NetParameter()
    set_blob(net.layer.add(name="ip").blobs.add(), np.ones((2, 3), np.float32))
    weights, state = tmp_path / "net_iter_10.caffemodel", tmp_path / "net_iter_10.solverstate.h5"
    write_weights(weights, net)
    for name, claim in (
        ("history/0", {"shape": (10**7, 10**6), "dtype": "f4"}),
        ("iter", {"shape": (10**6,), "dtype": "i4"}),
        ("learned_net", {"shape": (), "dtype": "S1000000000"}),
    ):
        with h5py.File(state, "w") as file:
            file["iter"], file["learned_net"], file["current_step"] = 10, str(weights), 0
            file["history/0"] = np.zeros((2, 3), np.float32)
            del file[name]
            file.create_dataset(name, **claim)
        assert state.stat().st_size < 20_000
        with pytest.raises(InputError, match="not an HDF5 solver state"):
            read_snapshot(state)


def test_the_newest_two_whole_ones_stay(tmp_path: Path) -> None:
    prefix = tmp_path / "net"
    for iteration in (10, 20, 30, 40, 100):
        snapshot(prefix, iteration)
    other = snapshot(tmp_path / "net_2", 5)
    (tmp_path / "net_iter_20.state").touch()  # a method's own
    cut(Path(f"{prefix}_iter_40.caffemodel"))
    gone = remove_older(str(prefix), 2)
    # 100 and 30 are whole; 40, which is not, is newer than the older of them.
    names = [f"net_iter_{n}.{ending}" for n in (10, 20) for ending in ("caffemodel", "solverstate", "state")]
    assert sorted(path.name for path in gone) == sorted(set(names) - {"net_iter_10.state"})
    assert [state.name for state in solver_states(str(prefix))] == [f"net_iter_{n}.solverstate" for n in (30, 40, 100)]
    assert other.exists() and not any(path.exists() for path in gone)
    assert remove_older(str(prefix), 3) == []  # there are but two whole ones
