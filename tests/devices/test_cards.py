"""Which cards there are: the CUDA driver's own word."""

import os
from collections.abc import Callable, Mapping

import pytest

from pyhisto.devices.cards import Card, Cards, find_cards

Environment = Callable[..., Mapping[str, str]]


@pytest.fixture
def in_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    def enter(environment: Mapping[str, str]) -> None:
        for name in set(os.environ) - set(environment):
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return enter


def test_the_driver_s_cards(stand_in: Environment, in_environment: Callable[..., None]) -> None:
    in_environment(stand_in(cards=2))
    first, second = find_cards().found
    # 40 is the stand-in's handle of card 0, which it also repeats sixteen times as its UUID: 0x28.
    assert first == Card(0, "Stand-in 0", (6, 1), 11 * 2**30, "28" * 16)
    assert (second.number, second.uuid) == (1, "29" * 16)
    assert str(second) == "card 1 (Stand-in 1, compute capability 6.1, 11.0 GiB)"


@pytest.mark.parametrize(
    ("cards", "error", "reason"),
    [
        (0, 0, "the NVIDIA driver shows none"),
        (2, 100, "the NVIDIA driver says: no CUDA-capable device is detected (100)"),
        (2, 999, "the NVIDIA driver says: unknown error (999)"),
    ],
)
def test_no_card_has_a_reason(
    stand_in: Environment, in_environment: Callable[..., None], cards: int, error: int, reason: str
) -> None:
    in_environment(stand_in(cards=cards, error=error))
    assert find_cards() == Cards((), reason)


def test_this_machine_has_cards_or_a_reason() -> None:
    found = find_cards()
    assert bool(found.found) != bool(found.reason)
