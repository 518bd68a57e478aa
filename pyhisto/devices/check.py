"""Whether Caffe can use cards here, asked before anything is written: Caffe itself finds out late, and aborts."""

from collections.abc import Sequence

from pyhisto.caffe_child import ChildEndedError, has_nccl, run_in_child
from pyhisto.devices.caffe_build import find_build
from pyhisto.devices.cards import Card, find_cards
from pyhisto.errors import InputError


def require_cards(numbers: Sequence[int], asked: str, instead: str) -> None:
    """Raise InputError if Caffe cannot use the cards of these numbers.

    Args:
        numbers: as Caffe's --gpu takes them; none: nothing is required.
        asked: what asks for cards, such as `solver.prototxt: solver_mode is GPU`.
        instead: what to do to run without, such as `write solver_mode: CPU`.
    """
    if numbers and (found := fault(numbers)):
        what, remedy = found
        raise InputError(f"{asked}, but {what}: {remedy}, or {instead}")


def usable() -> bool:
    """Whether Caffe is there and can use a card."""
    try:
        return fault((0,)) is None
    except InputError:  # there is no Caffe
        return False


def fault(numbers: Sequence[int]) -> tuple[str, str] | None:
    """Why Caffe cannot use the cards of these numbers, and what to do; None: it can.

    Raises InputError if there is no Caffe, or it does not start.
    """
    build = find_build()
    if not build.gpu:
        return f"Caffe ({build.program}) was built for the CPU alone", "build it for cards (make setup GPU=1)"
    cards = find_cards()
    if not cards.found:
        return f"no card is to be had here, as {cards.reason}", "use a machine with one"
    by_number = {card.number: card for card in cards.found}
    for number in numbers:
        if number not in by_number:
            return f"there is no card {number}, but {_listed(cards.found)}", "name one that is there"
        if build.runs_on(by_number[number].capability) is False:
            return (
                f"Caffe ({build.program}), built {build}, has no code for {by_number[number]}",
                "build it for that one",
            )
    if len(numbers) > 1 and not _has_nccl():
        return "Caffe was built without NCCL, which several cards need", "build it with NCCL (make setup GPU=1)"
    return None


def _has_nccl() -> bool:
    """False if pycaffe says so; a Caffe that cannot be asked may have it."""
    try:
        return run_in_child(has_nccl) is not False
    except ChildEndedError:
        return True


def _listed(cards: Sequence[Card]) -> str:
    return f"card {cards[0].number} alone" if len(cards) == 1 else f"cards 0 to {len(cards) - 1}"
