"""A function over many jobs in worker processes: results in the jobs' order, and only so many in memory at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

import cv2

from pyhisto.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 2
"""Jobs in flight or waiting to be taken, per worker."""


def ordered_map(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Yield function(job) in order. What comes out does not depend on `workers`; one worker means this process.

    An exception in a job comes out at its place, and the jobs behind it are given up.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    # Spawned, not forked: a fork would copy OpenCV's threads and an open LMDB in whatever state they are.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(function, job))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise InputError(
                f"one of {workers} worker processes was killed (out of memory?); use fewer --workers"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    cv2.setNumThreads(1)
