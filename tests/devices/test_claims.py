"""Cards for programs side by side: each has its own, and a card is free when its program is gone."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pyhisto.devices.cards import Card
from pyhisto.devices.claims import claim, visible
from pyhisto.errors import InputError

CARDS = tuple(Card(number, "made up", (6, 1), 2**30, f"{number:032x}") for number in range(3))


def silent(text: str) -> None:
    raise AssertionError(text)


def test_each_gets_its_own_and_gives_it_back(tmp_path: Path) -> None:
    first = claim(CARDS, 1, tmp_path, silent)
    second = claim(CARDS, 2, tmp_path, silent)
    assert [card.number for card in (*first.cards, *second.cards)] == [0, 1, 2]
    os.close(first.locks[0])
    third = claim(CARDS, 1, tmp_path, silent)
    assert third.cards == first.cards
    for lock in (*second.locks, *third.locks):
        os.close(lock)


def test_more_than_there_are_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 cards are asked for, and there are 3"):
        claim(CARDS, 4, tmp_path, silent)


@pytest.mark.parametrize(
    ("variable", "shown"), [(None, "0,2"), ("4,5,6", "4,6"), ("GPU-1a, MIG-2b ,GPU-3c", "GPU-1a,GPU-3c")]
)
def test_a_program_sees_its_cards_by_the_names_that_this_one_has(
    variable: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible((CARDS[0], CARDS[2])) == shown


@pytest.fixture
def on_card(
    root: Path, tmp_path: Path, stand_in: Callable[..., Mapping[str, str]]
) -> Callable[..., "subprocess.Popen[str]"]:
    """Start tools/on_card.py on a machine of two cards; its locks are this test's own."""
    environment = {**stand_in(cards=2), "TMPDIR": str(tmp_path)}

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(root / "tools/on_card.py"), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    return start


SHOW = ("sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"; read line; exit 7')


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_commands_run_on_two_cards_and_the_third_waits(on_card: Callable[..., "subprocess.Popen[str]"]) -> None:
    two = [on_card(*SHOW), on_card("--cards", "1", *SHOW)]
    assert sorted(map(first_line, two)) == ["0", "1"]
    third = on_card(*SHOW)
    assert third.stderr is not None
    assert third.stderr.readline() == "waiting: fewer than 1 of the 2 cards are free\n"
    two[1].send_signal(signal.SIGKILL)  # however it ends, its card is free
    assert first_line(third) in ("0", "1")
    assert third.communicate("\n")[1] == "" and third.returncode == 7  # the command's own status
    two[0].communicate("\n")


def test_two_commands_of_two_cards_each_follow_one_another(on_card: Callable[..., "subprocess.Popen[str]"]) -> None:
    script = ("sh", "-c", 'date +%s.%N; sleep 0.3; date +%s.%N; echo "$CUDA_VISIBLE_DEVICES"')
    spans = []
    for process in [on_card("--cards", "2", *script) for _ in range(3)]:
        began, ended, cards = process.communicate(timeout=60)[0].split()
        assert cards == "0,1"
        spans.append((float(began), float(ended)))
    spans.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give a COMMAND"),
        (("--cards", "3", "true"), "3 cards are asked for, and there are 2"),
        (("/nowhere/program",), "/nowhere/program: cannot be run"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    on_card: Callable[..., "subprocess.Popen[str]"], arguments: tuple[str, ...], complaint: str
) -> None:
    process = on_card(*arguments)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2 and complaint in said and said.count("\n") == 1


def test_the_lock_is_not_left_behind_by_a_killed_command(on_card: Callable[..., "subprocess.Popen[str]"]) -> None:
    process = on_card("--cards", "2", *SHOW)
    assert first_line(process) == "0,1"
    process.kill()
    process.wait()
    began = time.monotonic()
    after = on_card("--cards", "2", *SHOW)
    assert first_line(after) == "0,1" and time.monotonic() - began < 20
    after.communicate("\n")
