"""SIGINT and SIGTERM while a training runs: the first one asks it to stop, with a snapshot."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def catch_stop(
    stop: Callable[[], object] = lambda: None, abort: Callable[[], object] | None = None
) -> Iterator[list[int]]:
    """While it lasts, a first SIGINT or SIGTERM calls `stop`, later ones `abort`; yields the list of those received.

    Without `abort` a second signal acts as it did before.
    """
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            if abort is not None:
                abort()
            return
        if abort is None:
            restore()
        stop()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        restore()
