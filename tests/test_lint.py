"""Every rule: a file that springs the trap, and a near miss that does not."""

import json
import re
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.lint import RULES, lint
from pyhisto.proto import BlobProto, Datum, set_blob, write_binary
from tests.train_val import MEAN, SOLVER, trained


def found(text: str, folder: Path) -> list[str]:
    """`line rule message` of every finding in a file of this text, Caffe being started in `folder`."""
    file = folder / "file.prototxt"
    file.write_text(text)
    return [f"{finding.line} {finding.rule} {finding.message}" for finding in lint(file, folder)]


def write_lmdb(folder: Path, labels: list[int], size: int = 8) -> None:
    data = bytes(3 * size * size)
    with lmdb.open(str(folder), map_size=1 << 22) as database, database.begin(write=True) as transaction:
        for index, label in enumerate(labels):
            datum = Datum(channels=3, height=size, width=size, data=data, label=label)
            transaction.put(b"%05d" % index, datum.SerializeToString())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """train: labels 0 to 2, prepared with a mean of 1, 2, 3; val: 25 images, labels 0 and 1."""
    write_lmdb(tmp_path / "train", [0, 1, 2])
    write_lmdb(tmp_path / "val", [0, 1] * 12 + [0])
    (tmp_path / "train" / "preprocessing.json").write_text(json.dumps({"mean": [1, 2, 3]}))
    return tmp_path


INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 8 dim: 8 } } }\n'


# Networks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            INPUT + 'layer { name: "p" type: "Pooling" bottom: "data"\n top: "data" pooling_param { kernel_size: 2 } }',
            ["3 in-place layer 'p' (Pooling) writes over its own bottom 'data'"],
        ),
        (
            'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
            'layers { name: "p" type: POOLING bottom: "data" top: "data" pooling_param { kernel_size: 2 } }',
            ["2 in-place layer 'p' (Pooling) writes over its own bottom 'data'"],
        ),
        (INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 2 } }', []),
        (INPUT + 'layer { name: "r" type: "ReLU" bottom: "data" top: "data" }', []),
        (
            INPUT + 'layer { name: "r" type: "ReLU"\n bottom: "dat" top: "r" }',
            [
                "3 unknown-bottom in phase TRAIN nothing makes the bottom 'dat' of layer 'r'",
                "3 unknown-bottom in phase TEST nothing makes the bottom 'dat' of layer 'r'",
            ],
        ),
        (
            INPUT
            + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { phase: TRAIN } }\n'
            + 'layer { name: "b" type: "ReLU" bottom: "a" top: "b" }',
            ["3 unknown-bottom in phase TEST nothing makes the bottom 'a' of layer 'b'"],
        ),
        (
            INPUT + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { phase: TRAIN } }\n'
            'layer { name: "b" type: "ReLU" bottom: "a" top: "b" include { phase: TRAIN } }',
            [],
        ),
        (
            INPUT + 'layer { name: "r" type: "ReLU" bottom: "data" top: "a" }\n'
            'layer {\n name: "r" type: "TanH" bottom: "a" top: "b" }',
            [
                f"{line} duplicate-name 2 layers are named 'r' in phase {phase}"
                for line, phase in ((2, "TRAIN"), (2, "TEST"), (4, "TRAIN"), (4, "TEST"))
            ],
        ),
        (
            INPUT + 'layer { name: "r" type: "ReLU" bottom: "data" top: "a" include { phase: TRAIN } }\n'
            'layer { name: "r" type: "TanH" bottom: "data" top: "a" include { phase: TEST } }',
            [],
        ),
        (
            INPUT + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" top: "c" }',
            ["2 refused layer 's' (Slice): its 4 channels do not split evenly into 3 tops"],
        ),
        (INPUT + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" }', []),
    ],
)
def test_wiring(text: str, expected: list[str], tmp_path: Path) -> None:
    assert found(text, tmp_path) == expected


def test_a_file_for_one_phase_is_looked_at_in_that_phase(tmp_path: Path) -> None:
    text = INPUT.replace("input_param", "include { phase: TEST } input_param")
    assert found(text + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }', tmp_path) == []


ZERO = "param { lr_mult: 0 }"


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("", []),
        (ZERO * 3, []),
        (ZERO, ["10 batch-norm-param BatchNorm layer 'bn' has 1 param fields instead of 0 or 3"]),
        (ZERO * 2 + "param { }", ["10 batch-norm-param an lr_mult of BatchNorm layer 'bn' is not 0"]),
        ("param { lr_mult: 1 }" * 2, ["10 batch-norm-param an lr_mult of BatchNorm layer 'bn' is not 0"]),
        (
            "batch_norm_param { use_global_stats: true }",
            ["10 global-stats BatchNorm layer 'bn' never updates its statistics in training"],
        ),
        (
            "batch_norm_param { use_global_stats: false }",
            ["10 global-stats BatchNorm layer 'bn' ignores its statistics in testing"],
        ),
        (
            "include { phase: TRAIN } batch_norm_param { use_global_stats: false }\n}\n"
            + """
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" include { phase: TEST }
  batch_norm_param { use_global_stats: true }""",
            [],
        ),
    ],
)
def test_batch_norm(norm: str, expected: list[str], tmp_path: Path) -> None:
    assert found(trained(norm=norm), tmp_path) == expected


def test_a_deploy_file_may_fix_its_statistics(tmp_path: Path) -> None:
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" batch_norm_param { use_global_stats: true } }'
    assert found(INPUT + norm, tmp_path) == []


@pytest.mark.parametrize(
    ("transform", "test_transform", "expected"),
    [
        (MEAN, "", []),
        (MEAN + " crop_size: 8", "", []),
        ("", "", ["3 mean layer 'data' does not subtract the mean of 'train': 1.00, 2.00, 3.00"]),
        (MEAN.replace("3", "4"), "", ["3 mean layer 'data' does not subtract the mean of 'train': 1.00, 2.00, 3.00"]),
        (
            "mean_value: 1 mean_value: 2",
            "",
            [
                "3 mean layer 'data' has 2 mean_values for 3 channels",
                "3 mean layer 'data' does not subtract the mean of 'train': 1.00, 2.00, 3.00",
                "7 mean layer 'data' has 2 mean_values for 3 channels",
            ],
        ),
        (
            MEAN + ' mean_file: "absent"',
            "",
            [
                "3 mean layer 'data' has both a mean_file and a mean_value",
                "7 mean layer 'data' has both a mean_file and a mean_value",
            ],
        ),
        (
            'mean_file: "small"',
            "",
            [f"{line} mean the mean file of layer 'data' is 3x7x7, its images are 3x8x8" for line in (3, 7)],
        ),
        ('mean_file: "right"', "", []),
        (MEAN, MEAN + " scale: 0.5", ["7 mean scale differs between TRAIN and TEST"]),
        (MEAN, MEAN.replace("2", "2.5"), ["7 mean mean_value differs between TRAIN and TEST"]),
        (
            MEAN + " crop_size: 9",
            "",
            [f"{line} crop layer 'data' crops 9x9 out of images of 8x8" for line in (3, 7)],
        ),
        (MEAN + " crop_size: 6", MEAN + " crop_size: 7", ["7 crop crop_size differs between TRAIN and TEST"]),
    ],
)
def test_mean_and_crop(transform: str, test_transform: str, expected: list[str], data: Path) -> None:
    for name, size in (("small", 7), ("right", 8)):
        mean = BlobProto()
        set_blob(mean, np.zeros((1, 3, size, size), np.float32))
        write_binary(data / name, mean)
    everything = found(trained(transform, test_transform, source="train", classes=3), data)
    assert [finding for finding in everything if " refused " not in finding] == expected


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (3, []),
        (2, ["15 labels layer 'loss': labels 0 to 2 in 'train' do not fit the 2 outputs of 'fc'"]),
        (1000, ["15 labels layer 'loss': no label in 'train' is above 2, for the 1000 outputs of 'fc'"]),
        (
            1,
            [
                "15 labels layer 'loss': the softmax of a single output is always 1, its loss always 0",
                "15 labels layer 'loss': labels 0 to 2 in 'train' do not fit the 1 outputs of 'fc'",
            ],
        ),
    ],
)
def test_labels(classes: int, expected: list[str], data: Path) -> None:
    assert found(trained(MEAN, classes=classes), data) == expected


def test_labels_of_many_records_are_sampled_from_beginning_to_end(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "train", [0] * 9000 + [1] * 3000, size=1)
    assert found(trained(classes=3), tmp_path) == []  # 2 may be the label of one that was not looked at
    (finding,) = found(trained(classes=1).replace("SoftmaxWithLoss", "HingeLoss"), tmp_path)
    assert finding == "15 labels layer 'loss': labels 0 to 1 in 'train' do not fit the 1 outputs of 'fc'"


def test_damaged_records_have_no_labels(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "train", [])
    with lmdb.open(str(tmp_path / "train")) as database, database.begin(write=True) as transaction:
        transaction.put(b"0", b"\xff no datum")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "data.mdb").write_bytes(b"no database")
    assert found(trained(), tmp_path) == []


def test_labels_in_an_image_list(data: Path) -> None:
    (data / "list.txt").write_text("a.png 0\nb.png 5\n")
    text = trained(MEAN).replace('data_param { source: "train" backend: LMDB', 'image_data_param { source: "list.txt"')
    text = text.replace('"Data"', '"ImageData"', 1)
    assert found(text, data) == ["15 labels layer 'loss': labels 0 to 5 in 'list.txt' do not fit the 3 outputs of 'fc'"]


def test_softmax_twice(tmp_path: Path) -> None:
    head = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
    assert found(trained(head=head), tmp_path) == [
        "15 softmax-twice layer 'loss' applies a second softmax to layer 'prob'"
    ]
    assert found(trained(head=head.replace("Softmax", "Dropout")), tmp_path) == []


def test_filler(tmp_path: Path) -> None:
    bare = trained().replace('weight_filler { type: "xavier" }', "")
    assert found(bare, tmp_path) == ["12 filler the weights of layer 'fc' start as 0"]
    fixed = bare.replace('top: "fc"', 'top: "fc" param { lr_mult: 0 }')
    assert found(fixed, tmp_path) == []
    deploy = bare[bare.index('layer { name: "bn"') : bare.index('layer { name: "loss"')]
    assert found(INPUT + deploy, tmp_path) == []  # nothing trains it


FORK = (
    INPUT
    + """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 2 kernel_size: 1
    %s weight_filler { type: "xavier" } } }
layer { name: "mine" type: "OfAFork" bottom: "c" top: "d" its_param { size: 2 } pad_param { what: EVER } }
"""
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("binary: true", ["4 unknown-field layer 'c': convolution_param.binary is no field of BVLC's Caffe"]),
        ("group: 1", []),
    ],
)
def test_a_fork_s_fields(field: str, expected: list[str], tmp_path: Path) -> None:
    assert found(FORK % field, tmp_path) == expected


# Solvers


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ('net: "net.prototxt"\n', "", ["1 net names 0 training networks (net is missing)"]),
        ('net: "net', 'train_net: "net.prototxt" net: "net', ["1 net names 2 training networks (net, train_net)"]),
        ("decay: 0.005", "decay: 0.9", ["10 weight-decay a weight_decay of 0.9 cannot work"]),
        ("decay: 0.005", "decay: 0.09", ["10 weight-decay a weight_decay of 0.09 cannot work"]),
        ("decay: 0.005", "decay: 0.009", []),  # the paper's
        ("decay: 0.005", "decay: -1e-3", ["10 weight-decay a weight_decay of -0.001 cannot work"]),
        ("weight_decay: 0.005", "", []),
        ("base_lr: 0.01", "", ["1 rate a base_lr of 0 learns nothing"]),
        ("lr: 0.01", "lr: 10", ["4 rate a base_lr of 10 diverges"]),
        ("lr: 0.01", "lr: 1", []),
        ("momentum: 0.9", "momentum: 1", ["9 rate a momentum of 1 diverges"]),
        ("max_iter: 1000", "", ["1 rate a max_iter of 0 trains nothing"]),
        (
            '"step"',
            '"cosine"',
            ["5 policy lr_policy 'cosine' is none of fixed, step, exp, inv, multistep, poly, sigmoid"],
        ),
        ("stepsize: 100", "", ["5 policy lr_policy step needs stepsize"]),
        ("stepsize: 100", "stepsize: 0", ["7 policy lr_policy step needs stepsize"]),
        ("gamma: 0.1", "", ["5 policy lr_policy step needs gamma"]),
        ("gamma: 0.1", "gamma: 10", ["6 policy a gamma of 10 lets the rate grow without end"]),
        ("stepsize: 100", "stepsize: 1000", ["7 policy the first step, at 1000, is not before max_iter 1000"]),
        ("stepsize: 100", "stepsize: 999", []),
        ('"step"', '"fixed"', []),
        ('"step"', '"poly"', ["5 policy lr_policy poly needs power"]),
        ('"step"', '"poly" power: 0.5', []),
        ('"step"', '"multistep"', ["5 policy lr_policy multistep needs stepvalue"]),
        ('"step"', '"multistep" stepvalue: 50 stepvalue: 900', []),
        (
            '"step"',
            '"multistep" stepvalue: 2000 stepvalue: 900',
            [
                "5 policy the stepvalues do not rise: the later ones come too late",
                "5 policy the first step, at 2000, is not before max_iter 1000",
            ],
        ),
        (
            "iter: 3",
            "iter: 2",
            ["2 test-iter 2 batches of 10 are 20 of the 25 images of 'val': 5 are never looked at"],
        ),
        ("iter: 3", "iter: 4", ["2 test-iter 4 batches of 10 are 40 of the 25 images of 'val': some count twice"]),
        ("test_interval: 100", "", ["1 test-iter test_iter is given, but no test_interval above 0: Caffe stops"]),
        ("test_iter: 3", 'test_net: "net.prototxt"', ["1 test-iter 1 test networks have 0 test_iter"]),
        ("test_iter: 3\ntest_interval: 100", "", []),
        ("snapshot: 100", "", ["1 snapshot without a snapshot interval only the end of training is kept"]),
        (
            "snapshot: 100",
            "snapshot_after_train: false",
            ["1 snapshot without a snapshot interval nothing is kept"],
        ),
        (
            "snapshot: 100",
            "snapshot: 1001",
            ["11 snapshot a snapshot every 1001 iterations never comes before max_iter 1000"],
        ),
        ("snapshot: 100", "snapshot: 1000", []),
        ('snapshot_prefix: "snapshot"', "", ["11 snapshot snapshot is given, but no snapshot_prefix: Caffe stops"]),
        (
            'prefix: "snapshot"',
            'prefix: "absent/snapshot"',
            ["12 snapshot the folder 'absent' of snapshot_prefix does not exist: Caffe stops"],
        ),
        (
            "momentum: 0.9",
            'momentum: 0.9 type: "Adam"',
            ["10 batch-norm-decay weight decay with Adam may spoil the statistics of BatchNorm layers"],
        ),
        (
            "momentum: 0.9",
            "momentum: 0.9 solver_type: RMSPROP",
            ["10 batch-norm-decay weight decay with RMSProp may spoil the statistics of BatchNorm layers"],
        ),
        (
            "weight_decay: 0.005",
            'weight_decay: 0.005 regularization_type: "L1"',
            ["10 batch-norm-decay weight decay with L1 may spoil the statistics of BatchNorm layers"],
        ),
        ("weight_decay: 0.005", 'weight_decay: 0 type: "Adam"', []),
        ("momentum: 0.9", 'momentum: 0.9 type: "Nesterov"', []),
        ("momentum: 0.9", "momentun: 0.9", ["9 unknown-setting momentun is no field of BVLC's Caffe"]),
    ],
)
def test_solvers(old: str, new: str, expected: list[str], data: Path) -> None:
    (data / "net.prototxt").write_text(trained(MEAN))
    assert old in SOLVER
    assert found(SOLVER.replace(old, new, 1), data) == expected


def test_a_network_that_cannot_be_read(tmp_path: Path) -> None:
    (finding,) = found(SOLVER, tmp_path)
    assert finding.startswith("1 net ") and "net.prototxt: cannot be read" in finding


def test_the_authors_faults_are_caught(tmp_path: Path) -> None:
    """Their files pool in place, and decay the weights by 0.9 and 0.09."""
    pool = (
        'layer { name: "pool3" type: "Pooling" bottom: "data" top: "data" pooling_param { kernel_size: 3 stride: 2 } }'
    )
    assert [finding.split()[1] for finding in found(INPUT + pool, tmp_path)] == ["in-place"]
    (tmp_path / "net.prototxt").write_text(trained())
    for decay in ("0.9", "0.09"):
        assert "10 weight-decay" in found(SOLVER.replace("0.005", decay), tmp_path)[0]


def test_what_is_committed_is_clean(root: Path) -> None:
    files = sorted((root / "prototxt").rglob("*.prototxt"))
    broken = [file for file in files if file.parent.name == "patch_cnn_32_in_place"]  # the re-run of ref. [11]
    assert broken and len(files) > len(broken)
    # Whether the solvers' GPU is to be had is the machine's business.
    found = {file: [finding for finding in lint(file, root) if finding.rule != "solver-mode"] for file in files}
    assert [str(finding) for file in files if file not in broken for finding in found[file]] == []
    assert {finding.rule for file in broken for finding in found[file]} == {"in-place", "weight-decay"}


@pytest.mark.caffe
def test_a_card_that_caffe_cannot_use(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (data / "net.prototxt").write_text(trained(MEAN))
    assert found(SOLVER + "solver_mode: CPU\n", data) == []
    (finding,) = found(SOLVER + "solver_mode: GPU\n", data)
    line = len(SOLVER.splitlines()) + 1
    assert re.match(rf"{line} solver-mode GPU, but (Caffe \(.*\) was built for the CPU alone|no card is to)", finding)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")  # no Caffe: nothing can be said
    assert found(SOLVER + "solver_mode: GPU\n", data) == []


@pytest.mark.parametrize("text", ["", "name: 'x'", "layer {", "force_backward: true"])
def test_what_is_neither_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file\.prototxt"):
        found(text, tmp_path)


def test_every_rule_says_why_and_where() -> None:
    for rule in RULES.values():
        assert len(rule.reason) > 100 and rule.pointer and rule.severity in ("error", "warning")
