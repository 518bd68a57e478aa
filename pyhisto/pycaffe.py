"""pycaffe, imported quietly and only where it is needed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from pyhisto import watched
from pyhisto.caffe_child import ChildEndedError, run_in_child, use_cards
from pyhisto.devices.check import require_cards
from pyhisto.errors import InputError

CaffeNet: TypeAlias = Any
"""A pycaffe Net; `net.params[layer][index].data` and `.diff` are float32 arrays in Caffe's own memory."""


def load() -> Any:
    """The module `caffe`. Raises InputError if it is missing."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # or it prints whole networks
    try:
        import caffe
    except ImportError as error:
        raise InputError(f"Caffe is missing: cannot import caffe ({error}); run `make setup`") from None
    return caffe


def load_for(gpu: int | None) -> Any:
    """The module `caffe`, set to the GPU of that number, or to the CPU. Raises InputError if it cannot be."""
    caffe = load()
    if gpu is None:
        caffe.set_mode_cpu()
        return caffe
    require_cards((gpu,), f"--gpu {gpu}", "leave out --gpu")
    # In a process of its own first: if the card is taken, or ill, Caffe ends the process.
    try:
        run_in_child(use_cards, [gpu])
    except ChildEndedError as error:
        raise InputError(f"--gpu {gpu}: Caffe cannot use it: {error}") from None
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return caffe


@contextmanager
def runs(file: object, fault: str = "Caffe refuses it", remedy: str = "correct it") -> Iterator[None]:
    """Around what Caffe does with a user's `file`: that it ends the process, or complains, is the file's fault."""
    with watched.at(file, fault, remedy):
        try:
            yield
        except SystemError:  # Caffe has printed the exception itself, and lost it
            raise InputError(f"{file}: {fault}: a Python layer of it cannot be made; {remedy}") from None
        except (RuntimeError, ValueError, IndexError) as error:
            raise InputError(f"{file}: {fault}: {' '.join(str(error).split())}; {remedy}") from None
