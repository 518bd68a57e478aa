"""A library that ends the process ends the program in one line; signals and exit statuses pass as before."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, os, signal, sys, time
from pathlib import Path
from pyhisto import watched
from pyhisto.cli import run
from pyhisto.errors import InputError
from pyhisto.files import whole_file, whole_folder

def main():
{body}

run(main)
"""
CRASHES = {
    "os.abort()": "SIGABRT",
    "ctypes.string_at(0)": "SIGSEGV",
    "os.kill(os.getpid(), signal.SIGBUS)": "SIGBUS",
}


def program(folder: Path, body: str) -> list[str]:
    path = folder / "work.py"
    path.write_text(PROGRAM.format(body="".join(f"    {line}\n" for line in body.splitlines())))
    return [sys.executable, str(path)]


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(folder, body), cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_is_one_line_that_names_the_file_and_leaves_nothing(tmp_path: Path, crash: str) -> None:
    body = f"""
with whole_folder(Path("deep/out")) as out, whole_file(Path("table.csv")) as table:
    (out / "half").write_text("a")
    with watched.at("net.h5", "HDF5 cannot read it", "give a whole file"):
        os.write(2, b"F1121 21:47:38.000000 123 x.cpp:9] Check failed: it is bad\\n    @ 0x7f stack\\n")
        {crash}
""".strip()
    done = run(tmp_path, body)
    assert done.returncode == 2
    assert done.stderr == (
        f"work.py: net.h5: HDF5 cannot read it: Check failed: it is bad ({CRASHES[crash]}); give a whole file\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["work.py"]


def test_a_crash_at_nothing_in_particular(tmp_path: Path) -> None:
    done = run(tmp_path, "os.abort()")
    assert (done.returncode, done.stderr) == (
        2, "work.py: a library ended the program: SIGABRT; are all files that it was given whole?\n",
    )  # fmt: skip


def test_a_crash_under_a_progress_bar_has_a_line_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "from tqdm import tqdm\nfor _ in tqdm(range(2)): os.abort()")
    assert done.stderr.splitlines()[-1].startswith("work.py: a library ended the program")
    assert "0/2" in done.stderr.splitlines()[-2]


def test_want_of_memory_is_said(tmp_path: Path) -> None:
    killed = run(tmp_path, "with watched.at('a.png', 'x', 'y'):\n    os.kill(os.getpid(), signal.SIGKILL)")
    assert (killed.returncode, killed.stderr.count("\n")) == (2, 1)
    assert "work.py: a.png: the memory did not suffice" in killed.stderr
    numpy = run(tmp_path, "import numpy\nnumpy.ones((10**9, 10**6))")
    assert (numpy.returncode, numpy.stderr.count("\n")) == (2, 1)
    assert "the memory did not suffice: Unable to allocate" in numpy.stderr


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("print('done')", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise InputError('a.csv: bad; mend it')", 2, "work.py: a.csv: bad; mend it\n"),
        ("raise KeyboardInterrupt", 130, "work.py: interrupted\n"),
        ("os.write(2, b'libpng warning: iCCP'); print('ours', file=sys.stderr)", 0, "ours\n"),
    ],
)
def test_what_does_not_crash_is_as_without_a_guard(tmp_path: Path, body: str, code: int, said: str) -> None:
    done = run(tmp_path, body)
    assert (done.returncode, done.stderr) == (code, said)


def test_a_fault_of_our_own_keeps_its_traceback_and_what_libraries_said(tmp_path: Path) -> None:
    done = run(tmp_path, "os.write(2, b'libfoo: look here\\n')\n1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "libfoo: look here" in done.stderr


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that has begun a file, notes signals, and sleeps."""
    body = """
received = []
signal.signal(signal.SIGINT, lambda number, _: received.append(number))
with whole_file(Path("table.csv")) as table:
    print(os.getpid(), flush=True)
    while not received:
        time.sleep(0.05)
    time.sleep(0.3)
    table.write_text(f"{len(received)} signal")
"""
    process = subprocess.Popen(
        program(tmp_path, body.strip()), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def worker(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_signal_reaches_the_work_once(sleeper: "subprocess.Popen[str]", tmp_path: Path) -> None:
    worker(sleeper)
    sleeper.send_signal(signal.SIGINT)
    assert sleeper.wait(20) == 0
    assert (tmp_path / "table.csv").read_text() == "1 signal"


def test_a_signal_that_ends_the_work_ends_the_program_and_nothing_is_left(
    sleeper: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    worker(sleeper)
    sleeper.terminate()
    assert sleeper.wait(20) == -signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["work.py"]


def test_the_work_ends_with_a_program_that_is_killed(sleeper: "subprocess.Popen[str]") -> None:
    number = worker(sleeper)
    sleeper.kill()
    sleeper.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{number}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{number}/exe").exists()


def test_the_programs_own_stderr_is_a_terminal_where_it_was_one(tmp_path: Path) -> None:
    import pty

    main, side = pty.openpty()
    body = "print(sys.stderr.isatty(), file=sys.stderr)"
    done = subprocess.run(program(tmp_path, body), stdout=subprocess.DEVNULL, stderr=side, check=False)
    os.close(side)
    assert (done.returncode, os.read(main, 100).strip()) == (0, b"True")
    os.close(main)
