"""What every command-line program of the project does alike: usage errors, bad input, interruption."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from typing import NoReturn

from pyhisto.errors import InputError
from pyhisto.extras import what_to_install
from pyhisto.guard import watch


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one line on stderr and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def run(main: Callable[[], None]) -> NoReturn:
    """Run a program's main and exit: 0 on success, 2 with one line on stderr if the input is at fault.

    It runs in a process of its own, so that a library that ends the process ends in one line, too; see `guard`.
    """
    program = os.path.basename(sys.argv[0])
    status = watch(program)
    if status is not None:
        sys.exit(status)
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if (advice := what_to_install(error)) is None:
            raise
        print(f"{program}: {advice}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away: `| head`
        _give_up_stdout()
        sys.exit(1)
    except OSError as error:  # a full disk, a folder where a file should be, a missing permission
        file = error.filename or f"standard output, or a temporary file in {tempfile.gettempdir()}"
        print(f"{program}: {file}: {error.strerror or error}", file=sys.stderr)
        _give_up_stdout()
        sys.exit(2)
    except MemoryError as error:
        print(f"{program}: the memory did not suffice{f': {error}' if str(error) else ''}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _give_up_stdout() -> None:
    """What standard output did not take it will not take when the program ends, either, and Python would say so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ratio(text: str) -> float:
    """argparse type: a number strictly between 0 and 1."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, both excluded")
    return value


def share(text: str) -> float:
    """argparse type: a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def positive(text: str) -> int:
    """argparse type: a whole number of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def natural(text: str) -> int:
    """argparse type: a whole number of 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """argparse type: the name of an input and its shape, `data=1x3x224x224`."""
    name, _, dims = text.partition("=")
    try:
        shape = tuple(int(dim) for dim in dims.split("x"))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form data=1x3x224x224")
    return name, shape
