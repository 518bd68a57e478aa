"""A process that watches over the one that does the work, and says in one line how it ended if a library ended it.

Caffe, LMDB and HDF5 do not complain of a damaged file or a full disk, they end the process: by abort, SIGBUS or
SIGSEGV. The program therefore runs in a child, forked after its imports, which takes some milliseconds. What libraries
write to stderr is kept back, as the only place where they say why; the program's own stderr is as it was.
"""

import ctypes
import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import IO

from pyhisto import watched
from pyhisto.files import discard
from pyhisto.glog import failure

BY_LIBRARIES = (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
SAID = 1 << 16
"""Bytes of what a library said that are looked at."""


def watch(program: str) -> int | None:
    """Fork. In the child, which does the work, None; in the parent, when the child has ended, the exit status.

    Signals to the parent reach the child; one that ends the child ends the parent.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    said = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lasts
    watched.begin()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until each of the two is ready for them
    child = os.fork()
    if not child:
        _begin_work(parent, said)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    code = _wait(child, before)
    _, unfinished = watched.notes()
    for path, kind in unfinished:
        discard(path, kind)
    if code >= 0:
        if code == 1:  # the program's own fault: all that there is may help
            sys.stderr.write(_read(said))
        return code
    number = signal.Signals(-code)
    if number in BY_LIBRARIES or number == signal.SIGKILL:
        line = "\n" if watched.line_is_open() else ""
        print(f"{line}{program}: {_sentence(number, _read(said))}", file=sys.stderr)
        return 2
    signal.signal(number, signal.SIG_DFL)
    os.kill(parent, number)
    return 128 + number


class _Stderr(io.TextIOWrapper):
    """The program's own stderr, which notes whether a line is open."""

    def write(self, text: str) -> int:
        """Write, at once, and note."""
        watched.wrote(text)
        return super().write(text)


def _begin_work(parent: int, said: IO[bytes]) -> None:
    """In the child: end with the parent, and keep what libraries write to stderr."""
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # that a terminal may hold against a process of another group
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
    own = open(os.dup(2), "wb", buffering=0)  # noqa: SIM115 - for as long as the process lasts
    sys.stderr = _Stderr(own, encoding=sys.stderr.encoding, errors="backslashreplace", write_through=True)
    os.dup2(said.fileno(), 2)


def _wait(child: int, mask: Iterable[int]) -> int:
    """Wait for the child, passing signals on to it. Its exit status; below 0 the signal that ended it."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    def stop(number: int, _: FrameType | None) -> None:
        pass_on(signal.SIGSTOP, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        pass_on(signal.SIGCONT, None)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGTSTP, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _, status = os.waitpid(child, 0)
    for number in (*PASSED_ON, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(status)


def _sentence(number: signal.Signals, said: str) -> str:
    """What to tell the user when a library, or the system for want of memory, ended the work."""
    at, _ = watched.notes()
    if number == signal.SIGKILL or "bad_alloc" in said:
        what = f"{at.file}: " if at else ""
        return f"{what}the memory did not suffice (ended by {number.name}); give the machine more, or less to do"
    why = f"{failure(said.splitlines())} ({number.name})" if said.strip() else number.name
    if at is None:
        return f"a library ended the program: {why}; are all files that it was given whole?"
    return f"{at.file}: {at.fault}: {why}; {at.remedy}"


def _read(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - SAID))
    return said.read().decode(errors="replace")
