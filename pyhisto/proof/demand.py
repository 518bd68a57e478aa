"""The proof that a program asks for before it writes, and what it says if there can be none."""

from collections.abc import Callable
from pathlib import Path

from pyhisto import watched
from pyhisto.errors import InputError
from pyhisto.proof.comparison import Proof


def demand(prove: Callable[[], Proof | None], model: Path) -> Proof:
    """What `prove` finds. Raises InputError, naming `model`, if no engine can run the network, and as `prove` does.

    An engine that ends the process does so over `model`, too. The programs that call this have the option --no-proof.
    """
    with watched.at(model, "Caffe, or OpenCV, cannot run it", "correct it, or write without running it (--no-proof)"):
        proof = prove()
    if proof is None:
        raise InputError(
            f"{model}: neither pycaffe nor OpenCV can run this network, so nothing proves the result; install one that "
            "can, or write it all the same with --no-proof"
        )
    return proof
