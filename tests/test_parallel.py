"""Jobs in threads: their order, their faults, and how far they run ahead."""

import threading
import time
from collections.abc import Generator, Iterator
from typing import cast

import pytest

from pyhisto.errors import InputError
from pyhisto.parallel import AHEAD, threaded_map


def test_results_come_in_the_jobs_order() -> None:
    def slower_first(job: int) -> tuple[int, int]:
        time.sleep(0.02 * (3 - job % 4))
        return job, threading.get_ident()

    found = list(threaded_map(slower_first, range(12), 3))
    assert [job for job, _ in found] == list(range(12))
    assert 1 < len({thread for _, thread in found}) <= 3
    assert {thread for _, thread in threaded_map(slower_first, range(2), 1)} == {threading.get_ident()}


def test_a_fault_comes_at_its_place_and_what_is_behind_it_is_given_up() -> None:
    begun = []

    def third_fails(job: int) -> int:
        begun.append(job)
        if job == 2:
            raise InputError("the third")
        return job

    results = threaded_map(third_fails, range(1000), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match="the third"):
        next(results)
    assert max(begun) <= 2 + 2 * AHEAD


def test_only_so_many_jobs_are_taken_ahead() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(100):
            taken.append(job)
            yield job

    results = threaded_map(abs, jobs(), 2)
    next(results)
    assert len(taken) == 2 * AHEAD + 1
    cast("Generator[int]", results).close()
