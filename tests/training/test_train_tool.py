"""tools/train.py on real Caffe."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from pyhisto.caffe_program import caffe_environment, find_caffe
from pyhisto.learning_curve import read_points
from pyhisto.proto import Datum, layer_blobs, read_weights
from tests.windows import windows_of

pytestmark = pytest.mark.caffe


def test_trains_records_and_finishes_once(toy: Any) -> None:
    done = toy.train()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "snap/net_iter_100.caffemodel\n"
    assert "iteration 100 of 100" in done.stderr
    folder = toy.folder / "snap/net_training"
    points = read_points(folder / "metrics.jsonl")
    assert [p.iteration for p in points if p.phase == "train"] == list(range(0, 101, 10))
    assert [p.iteration for p in points if p.phase == "test"] == list(range(0, 101, 20))
    first, last = points[0].loss, points[-1].loss
    assert first is not None and last is not None and last < first
    assert (folder / "learning_curve.png").is_file() and "Optimization Done" in (folder / "caffe.log").read_text()

    before = (toy.folder / "snap/net_iter_100.caffemodel").stat().st_mtime_ns
    again = toy.train()
    assert (again.returncode, again.stdout) == (0, done.stdout) and "finished already" in again.stderr
    assert (toy.folder / "snap/net_iter_100.caffemodel").stat().st_mtime_ns == before


def test_the_trained_network_is_tested_whatever_the_interval(toy: Any) -> None:
    toy.solver(test_interval="30", display="0", snapshot="0")  # Caffe itself tests at 0, 30, 60 and 90 of 100
    done = toy.train()
    assert done.returncode == 0, done.stderr
    metrics = toy.folder / "snap/net_training/metrics.jsonl"
    points = read_points(metrics)
    assert [point.iteration for point in points] == [0, 30, 60, 90, 100]
    last = points[-1]
    assert last.accuracy is not None
    assert f"test loss {last.loss:.4f}, test {100 * last.accuracy:.1f}%" in done.stderr.splitlines()[-1]
    assert "iteration 100 of 100" in done.stderr.splitlines()[-1]
    assert (last.accuracy, last.loss) == pytest.approx(scores_by_caffe(toy, "snap/net_iter_100.caffemodel"), abs=1e-4)
    assert len(list((toy.folder / "snap").glob("*.solverstate"))) == 1

    # Killed before that test: the same command makes up for it, once.
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    for _ in range(2):
        again = toy.train()
        assert again.returncode == 0 and "finished already" in again.stderr
        assert [replace(point, seconds=0) for point in read_points(metrics)] == [
            replace(point, seconds=0) for point in points
        ]


def scores_by_caffe(toy: Any, weights: str) -> tuple[float, float]:
    """Accuracy and loss that `caffe test` reports over the 60 validation images."""
    command = [str(find_caffe()), "test", "--model=net.prototxt", f"--weights={weights}", "--iterations=6"]
    said = subprocess.run(
        command, cwd=toy.folder, capture_output=True, text=True, env=caffe_environment(), check=True
    ).stderr
    accuracy, loss = (re.findall(rf"\] {name} = (\S+)", said)[-1] for name in ("accuracy", "loss"))
    return float(accuracy), float(loss)


def test_a_solver_without_tests_stays_without(toy: Any) -> None:
    toy.solver(test_iter=None, test_interval=None, max_iter="10")
    done = toy.train()
    assert done.returncode == 0, done.stderr
    assert {point.phase for point in read_points(toy.folder / "snap/net_training/metrics.jsonl")} == {"train"}


def test_resumes_from_the_newest_whole_snapshot_to_the_same_weights(toy: Any) -> None:
    assert toy.train().returncode == 0
    straight = layer_blobs(read_weights(toy.folder / "snap/net_iter_100.caffemodel"))
    metrics = toy.folder / "snap/net_training/metrics.jsonl"
    reported = [(p.iteration, p.phase) for p in read_points(metrics)]
    for name in ("net_iter_100.solverstate", "net_iter_80.caffemodel"):  # killed while writing 80
        path = toy.folder / "snap" / name
        path.write_bytes(path.read_bytes()[:50])
    resumed = toy.train()
    assert resumed.returncode == 0, resumed.stderr
    assert "passed over: snap/net_iter_100.solverstate" in resumed.stderr
    assert "resuming from snap/net_iter_40.solverstate" in resumed.stderr
    assert json.loads((metrics.parent / "run.json").read_text())["resumed_from_iteration"] == 40
    # Each point once; the data layer starts from its first image again, so that only the schedule can be the same.
    assert [(p.iteration, p.phase) for p in read_points(metrics)] == reported
    again = layer_blobs(read_weights(toy.folder / "snap/net_iter_100.caffemodel"))
    assert again.keys() == straight.keys()


def test_restart_begins_anew(toy: Any) -> None:
    toy.train()
    done = toy.train("--restart")
    assert done.returncode == 0 and "removed snap/net_iter_40.solverstate" in done.stderr
    assert read_points(toy.folder / "snap/net_training/metrics.jsonl")[0].iteration == 0


def test_hdf5_snapshots_resume_too(toy: Any) -> None:
    toy.solver(snapshot_format="HDF5", max_iter="40")
    assert toy.train().stdout == "snap/net_iter_40.caffemodel.h5\n"
    toy.solver(snapshot_format="HDF5", max_iter="60")
    done = toy.train()
    assert done.stdout == "snap/net_iter_60.caffemodel.h5\n" and "resuming from snap/net_iter_40" in done.stderr
    # Where it stopped, not where it began: a Caffe that does not read the weights goes on from noise.
    points = read_points(toy.folder / "snap/net_training/metrics.jsonl")
    tests = [(point.iteration, point.loss) for point in points if point.phase == "test" and point.loss is not None]
    first, stopped = (next(loss for iteration, loss in tests if iteration == wanted) for wanted in (0, 40))
    resumed = [loss for iteration, loss in tests if iteration == 40][-1]
    assert abs(resumed - stopped) < 0.1 * abs(first - stopped)


def test_weights_to_start_from(toy: Any) -> None:
    toy.solver(max_iter="10")
    toy.train()
    toy.solver(max_iter="20", snapshot_prefix='"fine/net"')
    done = toy.train("--weights", "snap/net_iter_10.caffemodel", "--out", "log")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fine/net_iter_20.caffemodel\n" and "starting from snap/net_iter_10" in done.stderr
    other = toy.train("--weights", "fine/net_iter_20.caffemodel", "--out", "log")
    assert other.returncode == 2 and "the weights to start from changed since" in other.stderr
    toy.solver(max_iter="30", snapshot_prefix='"fine/net"')
    assert toy.train("--out", "log").stdout == "fine/net_iter_30.caffemodel\n"  # need not be said again to resume
    net = toy.folder / "net.prototxt"
    net.write_text(net.read_text().replace('"conv"', '"conv9"').replace('name: "ip"', 'name: "ip9"'))
    none = toy.train("--weights", "snap/net_iter_10.caffemodel", "--restart")
    assert none.returncode == 2 and "has no layer in common with net.prototxt" in none.stderr


def test_the_weights_are_those_that_the_training_begins_with(toy: Any) -> None:
    toy.solver(max_iter="30")
    toy.train()
    given = layer_blobs(read_weights(toy.folder / "snap/net_iter_30.caffemodel"))
    toy.solver(max_iter="1", base_lr="0", snapshot_prefix='"still/net"')
    assert toy.train("--weights", "snap/net_iter_30.caffemodel").returncode == 0
    kept = layer_blobs(read_weights(toy.folder / "still/net_iter_1.caffemodel"))
    assert all((old == new).all() for name in given for old, new in zip(given[name], kept[name], strict=True))
    # The first test, of iteration 0, is of the weights too.
    first, last = (read_points(toy.folder / name / "net_training/metrics.jsonl") for name in ("still", "snap"))
    assert first[0].phase == "test" and first[0].loss != next(p.loss for p in last if p.phase == "test")


def first_losses(log: str) -> tuple[float, float]:
    """The test loss and the training loss that Caffe logs for iteration 0."""
    test = re.search(r"Iteration 0, Testing net.*?loss = (\S+)", log, re.DOTALL)
    train = re.search(r"Iteration 0 \(.*?loss = (\S+)", log)
    assert test and train
    return float(test[1]), float(train[1])


@pytest.mark.parametrize("suffix", ["caffemodel", "caffemodel.h5"])
def test_caffe_train_by_hand_starts_from_the_loss_of_the_given_weights(toy: Any, suffix: str) -> None:
    toy.solver(max_iter="30", snapshot_format="HDF5" if suffix.endswith("h5") else "BINARYPROTO")
    toy.train()
    weights = f"snap/net_iter_30.{suffix}"
    given = layer_blobs(read_weights(toy.folder / weights))
    solver = toy.solver(max_iter="1", snapshot_prefix='"fine/net"')
    (toy.folder / "fine").mkdir()
    command = ["caffe", "train", f"--solver={solver.name}", f"--weights={weights}"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
    done = subprocess.run(command, cwd=toy.folder, capture_output=True, text=True, env=environment, check=True)
    # The loss of the first batch of each LMDB (training) and of the whole of it (test), by numpy.
    assert first_losses(done.stderr) == pytest.approx(
        (loss(toy, given, "val", 60), loss(toy, given, "train", 10)), abs=1e-5
    )


def loss(toy: Any, blobs: Any, lmdb_name: str, count: int) -> float:
    """The toy network's mean loss over the first images of an LMDB: 3x3 convolution, inner product, softmax."""
    (kernels, bias), (matrix, offset) = blobs["conv"], blobs["ip"]
    losses = []
    with lmdb.open(str(toy.folder / lmdb_name), readonly=True) as database, database.begin() as transaction:
        for _, value in itertools.islice(transaction.cursor(), count):
            datum = Datum.FromString(value)
            image = np.frombuffer(datum.data, np.uint8).reshape(3, 8, 8).astype(np.float64) * 0.01
            windows = windows_of(image, 3)
            features = np.einsum("ocij,cyxij->oyx", kernels, windows) + bias[:, None, None]
            scores = matrix @ features.ravel() + offset
            losses.append(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[datum.label])
    return float(np.mean(losses))


def test_a_caffe_that_ignores_the_weights_is_refused(toy: Any) -> None:
    toy.solver(max_iter="10")
    toy.train()
    toy.solver(max_iter="20", snapshot_prefix='"fine/net"')
    caffe = shutil.which("caffe", path=str(Path(sys.executable).parent))
    forgetful = toy.folder / "bin/caffe"
    forgetful.parent.mkdir()
    # Real Caffe, as forks of it are: the option is parsed, and then nobody looks at it.
    forgetful.write_text(
        f'#!/bin/bash\nargs=(); for a; do [[ $a == --weights=* ]] || args+=("$a"); done; exec {caffe} "${{args[@]}}"\n'
    )
    forgetful.chmod(0o755)
    environment = {**os.environ, "PATH": f"{forgetful.parent}:{os.environ['PATH']}"}
    done = toy.train("--weights", "snap/net_iter_10.caffemodel", env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "this Caffe ignores --weights and would start from noise" in done.stderr
    assert not (toy.folder / "fine").exists()
    assert toy.train(env=environment).returncode == 0  # without weights it is as good as any


def test_a_start_from_weights_that_left_no_snapshot_is_not_gone_on_from_noise(toy: Any) -> None:
    toy.solver(max_iter="10")
    toy.train()
    toy.solver(max_iter="20", snapshot_prefix='"fine/net"')
    assert toy.train("--weights", "snap/net_iter_10.caffemodel", "--out", "log").returncode == 0
    for snapshot in (toy.folder / "fine").iterdir():  # as if it had been killed before its first one
        snapshot.unlink()
    done = toy.train("--out", "log")
    assert done.returncode == 2 and "give --weights again" in done.stderr
    assert toy.train("--weights", "snap/net_iter_10.caffemodel", "--out", "log").returncode == 0


def test_snapshots_of_another_training_are_not_resumed_from(toy: Any) -> None:
    toy.solver(max_iter="40")
    toy.train()
    toy.solver(max_iter="60", base_lr="0.001", display="5")
    changed = toy.train()
    assert changed.returncode == 2 and changed.stderr.count("\n") == 1
    assert "the solver's settings changed since snap/net_training was trained: --restart begins" in changed.stderr
    goes_on = toy.train("--snapshot", "snap/net_iter_40.solverstate")
    assert goes_on.returncode == 0 and "resuming from snap/net_iter_40" in goes_on.stderr

    (toy.folder / "train/preprocessing.json").write_text("{}")  # built anew
    assert "the data train changed" in toy.train().stderr
    anew = toy.train("--restart-if-changed")
    assert anew.returncode == 0 and "removed snap/net_iter_40.solverstate" in anew.stderr
    assert read_points(toy.folder / "snap/net_training/metrics.jsonl")[0].iteration == 0
    assert "finished already" in toy.train("--restart-if-changed").stderr

    net = toy.folder / "net.prototxt"
    net.write_text("# a comment changes nothing\n" + net.read_text())
    assert "finished already" in toy.train().stderr
    net.write_text(net.read_text().replace("num_output: 4", "num_output: 5"))
    assert "the network net.prototxt changed" in toy.train().stderr


def test_divergence_stops_the_training(toy: Any) -> None:
    toy.solver(base_lr="1e30")
    done = toy.train()
    assert done.returncode == 2
    assert "the training diverged; lower base_lr" in done.stderr
    # Snapshots of weights that are not numbers, which Caffe may have written meanwhile, are not resumed from.
    again = toy.train()
    assert again.returncode == 2 and "the training diverged" in again.stderr


def test_a_network_that_does_not_learn_is_noticed(toy: Any) -> None:
    toy.solver(base_lr="0")
    done = toy.train()
    assert done.returncode == 0 and done.stderr.count("as if the network named one class for every image") == 1


def test_a_network_that_names_one_class_is_noticed_by_that_class_s_share(toy: Any) -> None:
    counts = {"provenance": {"images": {"val": {"0": 30, "1": 30}}}}
    (toy.folder / "val/preprocessing.json").write_text(json.dumps(counts))
    # Only the last bias learns, from labels that are all the same: it names class 1 from then on, which half of the
    # test images are.
    net = toy.folder / "net.prototxt"
    shape = "shape { dim: 10 dim: 3 dim: 8 dim: 8 }"
    dummy = f"dummy_data_param {{ {shape} shape {{ dim: 10 }} data_filler {{ }} data_filler {{ value: 1 }} }}"
    text = net.read_text().replace('type: "Data"', 'type: "DummyData"', 1)
    net.write_text(
        text.replace(
            'transform_param { scale: 0.01 } data_param { source: "train" batch_size: 10 backend: LMDB }', dummy, 1
        )
    )
    toy.solver(base_lr="1")
    done = toy.train()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("as if the network named class") == 1


def test_caffes_own_refusal_is_one_line(toy: Any) -> None:
    net = toy.folder / "net.prototxt"
    net.write_text(net.read_text().replace("kernel_size: 3", "kernel_size: 0"))
    done = toy.train()
    assert done.returncode == 2
    assert "caffe train failed: Check failed: " in done.stderr and "snap/net_training/caffe.log" in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_snapshots_and_the_same_command_goes_on(toy: Any, sent: signal.Signals) -> None:
    toy.solver(max_iter="1000000", test_interval="1000000", test_initialization="false", snapshot="1000000")
    with subprocess.Popen(toy.command(), cwd=toy.folder, stderr=subprocess.PIPE, text=True) as process:
        wait_for_points(toy.folder / "snap/net_training/metrics.jsonl", process)
        process.send_signal(sent)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    assert "stopped at iteration" in said and "run the same command to go on" in said
    states = list((toy.folder / "snap").glob("*.solverstate"))
    assert len(states) == 1
    reached = int(states[0].stem.rpartition("_")[2])
    toy.solver(max_iter=str(reached + 20), test_initialization="false", snapshot="1000000")
    done = toy.train()
    assert done.returncode == 0 and done.stdout == f"snap/net_iter_{reached + 20}.caffemodel\n"


def test_kill_9_and_the_same_command(toy: Any) -> None:
    toy.solver(max_iter="1000000", test_interval="1000000", snapshot="500")
    with subprocess.Popen(toy.command(), cwd=toy.folder, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        states = (toy.folder / "snap").glob
        while not list(states("*.solverstate")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    # Caffe is told to write a snapshot and end.
    deadline = time.monotonic() + 20
    while alive(toy.folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(toy.folder)
    reached = max(int(p.stem.rpartition("_")[2]) for p in (toy.folder / "snap").glob("*.solverstate"))
    toy.solver(max_iter=str(reached + 20), snapshot="500")
    done = toy.train()
    assert done.returncode == 0 and "resuming from" in done.stderr


def test_of_two_trainings_of_one_folder_the_second_is_refused(toy: Any) -> None:
    both = [subprocess.Popen(toy.command(), cwd=toy.folder, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.returncode: text for process, text in [(p, p.communicate()[1]) for p in both]}
    assert sorted(said) == [0, 2]
    assert (
        said[2] == "train.py: snap/net_training: another run works in it; wait for that one, or choose another output\n"
    )
    assert "finished already" in toy.train().stderr


def test_trainings_of_one_prefix_in_two_folders_do_not_mix(toy: Any) -> None:
    commands = [toy.command("--out", out) for out in ("one", "other")]
    both = [subprocess.Popen(command, cwd=toy.folder, stderr=subprocess.PIPE, text=True) for command in commands]
    said = {process.returncode: text for process, text in [(p, p.communicate()[1]) for p in both]}
    assert sorted(said) == [0, 2]
    assert "another run writes the snapshots snap/net_iter_*" in said[2] and said[2].count("\n") == 1


@pytest.mark.slow
def test_ten_times_kill_9_at_random_moments(toy: Any) -> None:
    toy.solver(max_iter="30000", test_interval="500", display="50", snapshot="200")
    rng = random.Random(0)
    metrics = toy.folder / "snap/net_training/metrics.jsonl"
    for number in range(10):
        with subprocess.Popen(toy.command(), cwd=toy.folder, stderr=subprocess.DEVNULL, text=True) as process:
            if number == 0:
                wait_for_points(metrics, process)  # on a machine so busy that it takes longer than what follows
            time.sleep(rng.uniform(0.5, 3))
            process.kill()
    reached = read_points(metrics)[-1].iteration
    toy.solver(max_iter=str(reached + 1000 - reached % 1000), test_interval="500", display="50", snapshot="200")
    done = toy.train()
    assert done.returncode == 0, done.stderr
    points = read_points(metrics)
    # Each report once, in order, to the end. Caffe may be some reports ahead of the reader that is killed, so a few
    # can be missing before a snapshot.
    for phase, step in (("train", 50), ("test", 500)):
        iterations = [p.iteration for p in points if p.phase == phase]
        assert iterations == sorted(set(iterations)) and all(iteration % step == 0 for iteration in iterations)
        assert iterations[0] == 0 and iterations[-1] == reached + 1000 - reached % 1000


def test_caffe_missing(toy: Any) -> None:
    program = "import sys, pyhisto.caffe_program as p; sys.executable = '/nowhere/python'; p.find_caffe()"
    environment = {**os.environ, "PATH": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert "InputError: Caffe is missing" in done.stderr and "make setup" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--weights", "none.caffemodel"], "none.caffemodel: cannot be read"),
        (["--weights", "net.prototxt"], "net.prototxt: not a NetParameter"),
        (["--snapshot", "net.prototxt"], "net.prototxt: not a SolverState"),
        (["--weights", "a", "--snapshot", "b"], "not allowed with argument"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(toy: Any, arguments: list[str], complaint: str) -> None:
    done = toy.train(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1


REFUSED = re.compile(
    r"solver\.prototxt: solver_mode is GPU, but (Caffe \(.*\) was built for the CPU alone|no card is to be had)"
)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("train", []),
        ("train", ["--out", "log"]),
        ("dns", ["--weights", "w", "--sparsity", "0.5", "--iterations", "4", "--out", "log"]),
        ("train_slimming", ["--out", "log"]),
        ("find_lr", ["--weights", "w", "--last", "ip", "--out", "log"]),
        ("train_phases", ["--weights", "w", "--last", "ip", "--lr", "0.1", "--out", "log"]),
    ],
)
def test_a_card_that_is_not_there_is_refused_before_anything_is_written(
    toy: Any, root: Path, program: str, arguments: list[str]
) -> None:
    toy.solver(solver_mode="GPU")
    before = sorted(toy.folder.rglob("*"))
    command = [sys.executable, str(root / f"tools/{program}.py"), "--solver", "solver.prototxt", *arguments]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=toy.folder, env=hidden, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and REFUSED.search(done.stderr), done.stderr
    assert "solver_mode: CPU" in done.stderr and sorted(toy.folder.rglob("*")) == before


def test_a_solver_without_a_mode_trains_on_the_cpu(toy: Any, root: Path) -> None:
    """As with `caffe train`, though the schema's default is GPU."""
    toy.solver(solver_mode=None, max_iter="4")
    assert toy.train().returncode == 0
    command = [sys.executable, str(root / "tools/dns.py"), "--solver", "solver.prototxt", "--sparsity", "0.5"]
    command += ["--weights", "snap/net_iter_4.caffemodel", "--out", "dns"]
    done = subprocess.run(command, cwd=toy.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_layers_do_not_train_on_several_cards(toy: Any) -> None:
    layer = 'layer { name: "sep" type: "Python" bottom: "data" top: "f" python_param { module: "m" layer: "L" } }'
    toy.net(layer, "f")
    done = toy.train("--gpu", "0,1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "net.prototxt: has the Python layer 'sep', which does not run on 2 cards" in done.stderr
    assert "--sep native" in done.stderr and not (toy.folder / "snap").exists()
    # Only the training net runs on every card.
    toy.net(layer.replace("bottom", "include { phase: TEST } bottom"), "data")
    assert "Python layer" not in toy.train("--gpu", "0,1").stderr


@pytest.mark.parametrize("cards", ["0,0", "-1", "all", "0,"])
def test_cards_are_numbers(toy: Any, cards: str) -> None:
    done = toy.train(f"--gpu={cards}")
    assert done.returncode == 2 and "argument --gpu" in done.stderr and done.stderr.count("\n") == 1


def wait_for_points(metrics: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not (metrics.is_file() and metrics.read_text()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def alive(folder: Path) -> bool:
    """Whether a caffe still runs in the folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder and (process / "comm").read_text().strip() == "caffe":
                return True
        except OSError:
            continue
    return False


def test_all_but_the_newest_snapshots_go_and_those_of_an_earlier_run_too(toy: Any) -> None:
    def states() -> list[str]:
        return sorted(path.name for path in (toy.folder / "snap").glob("net_iter_*"))

    toy.solver(snapshot="10", max_iter="50")
    assert toy.train().returncode == 0
    assert len(states()) == 2 * 5
    assert toy.train("--keep-snapshots", "3").returncode == 0  # finished already
    assert states() == [f"net_iter_{n}.{ending}" for n in (30, 40, 50) for ending in ("caffemodel", "solverstate")]
    toy.solver(snapshot="10", max_iter="80")
    done = toy.train("--keep-snapshots", "2")
    assert done.returncode == 0 and done.stdout == "snap/net_iter_80.caffemodel\n", done.stderr
    assert states() == [f"net_iter_{n}.{ending}" for n in (70, 80) for ending in ("caffemodel", "solverstate")]
