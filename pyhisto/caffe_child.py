"""Questions to pycaffe that are asked in a process of its own: what Caffe refuses, it refuses by ending the process.

A question is a function of this module. It gets and gives what JSON can hold.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyhisto.caffe_program import caffe_environment
from pyhisto.glog import failure

Answer = TypeVar("Answer")


class ChildEndedError(Exception):
    """The process ended without an answer; the text is what it, or Caffe in it, said last."""


def run_in_child(question: Callable[..., Answer], *arguments: Any) -> Answer:
    """What question(*arguments) gives in a new process. Raises ChildEndedError."""
    command = [sys.executable, "-m", __name__, question.__name__, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=caffe_environment(), check=False)
    if done.returncode:
        raise ChildEndedError(failure(done.stderr.splitlines()))
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def has_nccl() -> bool | None:
    """Whether Caffe was built with NCCL, which several cards need; None: it is too old to say."""
    import caffe

    return bool(caffe.has_nccl()) if hasattr(caffe, "has_nccl") else None


def use_cards(numbers: Sequence[int]) -> None:
    """Set Caffe to each of these cards in turn."""
    import caffe

    for number in numbers:
        caffe.set_device(number)
        caffe.set_mode_gpu()


def open_solver(path: str, cards: Sequence[int]) -> None:
    """Make the solver of a prototxt, with its networks, on these cards; on the CPU if there are none."""
    import caffe

    use_cards(cards)
    caffe.get_solver(path)


def describe() -> tuple[str, str, int]:
    """Pycaffe's folder, its version, and how many layer types it has."""
    from pathlib import Path

    import caffe

    return str(Path(caffe.__file__).parent), str(caffe.__version__), len(caffe.layer_type_list())


if __name__ == "__main__":
    QUESTIONS = {function.__name__: function for function in (has_nccl, use_cards, open_solver, describe)}
    print(json.dumps(QUESTIONS[sys.argv[1]](*json.loads(sys.argv[2]))))
