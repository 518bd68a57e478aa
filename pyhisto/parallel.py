"""A function over many jobs in worker processes or threads: results in order, and only so many in memory at once."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

import cv2
from tqdm import tqdm

from pyhisto.errors import InputError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

MOST = 4
"""Workers per core: more only take memory, and their time to start."""
AHEAD = 2
"""Jobs in flight or waiting to be taken, per worker."""


class WorkerDiedError(InputError):
    """A worker process ended in the middle of a job."""


def ordered_map(function: Callable[[JobT], ResultT], jobs: Iterable[JobT], workers: int) -> Iterator[ResultT]:
    """Yield function(job) in order. What comes out does not depend on `workers`; one worker means this process.

    An exception in a job comes out at its place, and the jobs behind it are given up. Raises WorkerDiedError.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    workers = _at_most(workers)
    # Spawned, not forked: a fork would copy OpenCV's threads and an open LMDB in whatever state they are.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        try:
            yield from _in_order(pool, function, jobs, workers)
        except BrokenProcessPool:
            raise WorkerDiedError(
                f"one of {workers} worker processes was killed (out of memory?); use fewer --workers"
            ) from None


def threaded_map(function: Callable[[JobT], ResultT], jobs: Iterable[JobT], workers: int) -> Iterator[ResultT]:
    """`ordered_map` in threads: nothing is copied between processes, and none has to start.

    For work that decoders, OpenCV or an engine do, which let go of Python's lock meanwhile.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    workers = _at_most(workers)
    with ThreadPoolExecutor(workers) as pool:
        yield from _in_order(pool, function, jobs, workers)


def _at_most(workers: int) -> int:
    return min(workers, MOST * (os.cpu_count() or 1))


def _in_order(
    pool: Executor, function: Callable[[JobT], ResultT], jobs: Iterable[JobT], workers: int
) -> Iterator[ResultT]:
    waiting: deque[Future[ResultT]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def with_progress(
    what: str,
    function: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    workers: int,
    unit: str = "images",
    per_job: int = 1,
) -> Iterator[ResultT]:
    """`ordered_map` with a progress bar on stderr: done, rate and remaining time; a job is `per_job` units."""
    results = ordered_map(function, jobs, workers)
    yield from tqdm(results, what, len(jobs), unit=f" {unit}", unit_scale=per_job, mininterval=1)


def _begin_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says once that it was interrupted
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers, and they would wait for its next job for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
