"""What is asked of pycaffe in a process of its own: an answer, or what Caffe said when it ended the process."""

from pathlib import Path

import pytest

from pyhisto.caffe_child import ChildEndedError, describe, has_nccl, open_solver, run_in_child, use_cards

pytestmark = pytest.mark.caffe
caffe = pytest.importorskip("caffe")


def test_an_answer_comes_back() -> None:
    folder, version, layers = run_in_child(describe)
    assert (Path(folder), version) == (Path(caffe.__file__).parent, caffe.__version__)
    assert layers == len(caffe.layer_type_list())
    assert run_in_child(has_nccl) is caffe.has_nccl()


def test_caffes_last_words_come_back(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net: "gone.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1 solver_mode: CPU\n')
    with pytest.raises(ChildEndedError, match=r"Check failed: .*gone\.prototxt"):
        run_in_child(open_solver, str(solver), [])


def test_no_card_is_set_if_none_is_asked_for() -> None:
    assert run_in_child(use_cards, []) is None
