"""Builds that are killed, run out of disk, or are altered afterwards: never an LMDB that looks finished and is not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmdb
import pytest

from data_prep.lmdbs.montage import CAPTION, CELL, draw_montage, sample_records
from data_prep.lmdbs.verify import verify
from data_prep.lmdbs.writer import decode_record, encode_record
from pyhisto.errors import InputError
from pyhisto.lmdb_folder import LmdbFolder


def command(root: Path, tree: Path, out: Path, *arguments: str) -> list[str]:
    folders = ["--root", str(tree / "BreaKHis_v1"), "--folds", str(tree / "breakhis_folds")]
    which = ["--dataset", "breakhis", "--fold", "1", "--magnification", "100", *folders]
    how = ["--branch", "local", "--size", "32", "--augment", "2", "--workers", "1", "--out", str(out)]
    return [sys.executable, str(root / "data_prep/build_lmdb.py"), *which, *how, *arguments]


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock.mdb"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def children(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(status.parent.name))
    return found


@pytest.mark.slow
def test_killed_at_any_moment(root: Path, tree: Path, tmp_path: Path) -> None:
    """kill -9 at 50 random moments: the output is not there, or whole; a rerun cleans up and gives the same bytes."""
    subprocess.run(command(root, tree, tmp_path / "whole"), check=True, capture_output=True)
    began = time.monotonic()
    subprocess.run(command(root, tree, tmp_path / "timed"), check=True, capture_output=True)
    length, expected = time.monotonic() - began, contents(tmp_path / "whole")
    rng, out = random.Random(0), tmp_path / "out"
    for _ in range(50):
        process = subprocess.Popen(command(root, tree, out), stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 1.1) * length)
        process.kill()
        process.wait()
        if out.exists():
            assert contents(out) == expected
            shutil.rmtree(out)
    subprocess.run(command(root, tree, out, "--workers", "2"), check=True, capture_output=True)
    assert contents(out) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"data", "whole", "timed", "out"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_end_with_their_parent(root: Path, tree: Path, tmp_path: Path) -> None:
    script = (
        "import time\nfrom pyhisto.parallel import ordered_map\n"
        "if __name__ == '__main__':\n    for _ in ordered_map(time.sleep, [0.01] * 10**6, 2): pass\n"
    )
    (tmp_path / "work.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "work.py")], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    deadline = time.monotonic() + 30
    while len(workers := children(process.pid)) < 3 and time.monotonic() < deadline:  # two, and the resource tracker
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers) and time.monotonic() < deadline + 10:
        time.sleep(0.1)
    assert len(workers) == 3
    assert not [worker for worker in workers if Path(f"/proc/{worker}/exe").exists()]


@pytest.mark.parametrize("kilobytes", [4, 200])
def test_file_system_that_takes_no_more(root: Path, tree: Path, tmp_path: Path, kilobytes: int) -> None:
    """A limit on the size of files stands for a full disk: the spool (4 kB) or the LMDB (200 kB) does not fit."""
    shell = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "_"]
    out = tmp_path / "out"
    build = [*shell, *command(root, tree, out, "--record", "png")]
    done = subprocess.run(build, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr.replace("\r", "\n").splitlines()[-1]
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.caffe
def test_verify_accepts_what_was_built_and_finds_what_was_altered(root: Path, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(command(root, tree, out, "--verify"), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("as Caffe reads them, are what their images give") == 3
    images = tree / "BreaKHis_v1"
    # 2 training patients x 2 images x 2 copies x 15 patches
    assert verify(out / "train", images, 1) == 120
    (key, record), *_ = LmdbFolder(out / "val").items()
    pixels, label = decode_record(record)
    darker = pixels.copy()
    darker[:8, :8] //= 2
    for altered in (encode_record(pixels, 1 - label, "png"), encode_record(darker, label, "png"), None):
        with lmdb.open(str(out / "val")) as environment, environment.begin(write=True) as transaction:
            transaction.put(key.encode(), altered) if altered else transaction.delete(key.encode())
        with pytest.raises(InputError, match="build the LMDB again"):
            verify(out / "val", images, 1)
    (out / "test/manifest.csv").write_text((out / "test/manifest.csv").read_text() + "x.png,0,,,,,\n")
    with pytest.raises(InputError, match="not the manifest that the LMDB was built from"):
        verify(out / "test", images, 1)


def test_montage(root: Path, tree: Path, tmp_path: Path) -> None:
    subprocess.run(command(root, tree, tmp_path / "out"), check=True, capture_output=True)
    records = sample_records(tmp_path / "out/train", 20, 0)
    assert len(records) == 20
    assert records == sorted(records, key=lambda record: record[0])
    assert draw_montage(records).shape == (3 * (CELL + CAPTION), 8 * CELL, 3)  # 20 pictures, 8 a row
    program = [sys.executable, str(root / "data_prep/show_lmdb.py"), "--lmdb"]
    done = subprocess.run(
        [*program, str(tree), "--out", str(tmp_path / "x.png")], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    subprocess.run(
        [*program, str(tmp_path / "out/val"), "--out", str(tmp_path / "x.png")], check=True, capture_output=True
    )
    assert (tmp_path / "x.png").stat().st_size > 10_000
