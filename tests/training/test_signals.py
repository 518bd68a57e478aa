"""The first SIGINT or SIGTERM asks a training to stop."""

import os
import signal

import pytest

from pyhisto.training.signals import catch_stop


def test_a_first_signal_stops_and_later_ones_abort() -> None:
    done: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with catch_stop(lambda: done.append("stop"), lambda: done.append("abort")) as received:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert done == ["stop", "abort", "abort"]
    assert received == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_an_abort_the_second_signal_acts_as_before() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        with pytest.raises(KeyboardInterrupt), catch_stop() as received:
            os.kill(os.getpid(), signal.SIGINT)
            assert received == [signal.SIGINT]
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
