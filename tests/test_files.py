"""Inputs that cannot be read are named; outputs appear whole or not at all."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.files import (
    claimed,
    exclusive,
    filled_folder,
    read_object,
    reading,
    sha256,
    whole_file,
    whole_files,
    whole_folder,
    write_text,
    write_texts,
)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^net: cannot be read: Is a directory$"), reading("net"):
        tmp_path.read_bytes()
    with pytest.raises(UnicodeDecodeError), reading("net"):
        b"\xff".decode()


@pytest.mark.parametrize(
    "content", [b"[1]", b"3", b"{", b"\xff", b"[" * 100_000, b'{"a": 1e999}', b'{"a": ' + b"1" * 400 + b"}"]
)
def test_what_is_no_json_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": {"b": 1}}')
    assert read_object(path) == {"a": {"b": 1}}
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: not (a JSON object|valid JSON|UTF-8)"):
        read_object(path)
    with pytest.raises(InputError, match=r"b\.json: cannot be read: No such file"):
        read_object(tmp_path / "b.json")


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with whole_file(path) as partial:
        partial.write_text("abc")
        assert not path.exists()
    assert path.read_text() == "abc"
    # The digest of "abc" is printed in FIPS 180-2.
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(ValueError, match="stop"), whole_file(path) as partial:
        partial.write_text("new")
        raise ValueError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_at_the_end_and_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(ValueError, match="stop"), whole_folder(folder) as partial:
        (partial / "a").write_text("a")
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".folder.lock").touch()  # so far a killed process had come
    (tmp_path / ".folder.x1y2z3_4.partial").mkdir()
    (tmp_path / ".folder.x1y2z3_4.partial" / "half").touch()
    other = tmp_path / ".folder.b.x1y2z3_4.partial"  # of another output, folder.b
    other.mkdir()
    with whole_folder(folder) as partial:
        (partial / "a").write_text("a")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert {path.name for path in tmp_path.iterdir()} == {"folder", other.name}
    with pytest.raises(InputError, match="exists already"), whole_folder(folder):
        pass
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="exists already"), whole_folder(tmp_path / "link"):
        pass


def test_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    one, two = tmp_path / "deep" / "one", tmp_path / "two"
    with pytest.raises(ValueError, match="stop"), whole_files(one, two) as (first, second):
        first.write_text("1")
        second.write_text("2")
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    one.mkdir(parents=True)  # is found to be in the way before anything is written
    with pytest.raises(InputError, match="one: is there and not a file"):
        write_texts({two: "2", one: "1"})
    assert not two.exists()
    one.rmdir()
    write_texts({two: "2", one: "1"})
    assert (one.read_text(), two.read_text()) == ("1", "2")


def test_a_filled_folder_keeps_what_it_held(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with pytest.raises(ValueError, match="stop"), filled_folder(folder) as made:
        write_text(made / "tables" / "a.csv", "new")
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    for number in range(2):
        with filled_folder(folder) as made:
            write_text(made / "tables" / "a.csv", f"{number}")
            write_text(made / f"{number}.json", "{}")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == {"tables/a.csv", "0.json", "1.json"}
    assert (folder / "tables" / "a.csv").read_text() == "1"
    (folder / "b").mkdir()
    with pytest.raises(InputError, match="b: is a folder where a file is to be"), filled_folder(folder) as made:
        write_text(made / "0.json", "other")
        write_text(made / "b", "")
    assert (folder / "0.json").read_text() == "{}"


@pytest.mark.parametrize("writes", [whole_file, whole_folder, filled_folder, claimed])
def test_a_second_writer_is_refused_at_once_and_takes_nothing_away(
    tmp_path: Path, writes: Callable[[Path], AbstractContextManager[Path | None]]
) -> None:
    out = tmp_path / "out"
    with writes(out) as made:
        with pytest.raises(InputError, match="another process is writing it"), writes(out):
            pass
        if made is not None and made.is_dir():
            (made / "a").touch()
    with writes(tmp_path / "other"):  # nothing of the first is in the way
        pass


def test_a_full_disk_is_named_by_the_output(tmp_path: Path) -> None:
    shell = ["bash", "-c", 'ulimit -f 8; exec "$@"', "_", sys.executable, "-c"]
    script = (
        "import sys; from pathlib import Path; from pyhisto.cli import run; from pyhisto.files import *\n"
        "def main():\n    with {}(Path('out')) as made: open(made{}, 'w').write('x' * 10**6)\nrun(main)"
    )
    for writes, inside in (("whole_file", ""), ("whole_folder", " / 'a'"), ("filled_folder", " / 'a'")):
        command = [*shell, script.format(writes, inside)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "-c: out: File too large\n")
        assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_another_run_works_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    with (
        exclusive(folder, pytest.fail),
        pytest.raises(InputError, match="training: another run works in it"),
        exclusive(folder, pytest.fail),
    ):
        pass


def test_a_locked_folder_is_waited_for_while_a_child_that_inherited_the_lock_lives(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    with exclusive(folder, pytest.fail) as lock:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    notes: list[str] = []
    entered = threading.Event()

    def enter() -> None:
        with exclusive(folder, notes.append):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    child.kill()
    child.wait()
    assert entered.wait(20)
    thread.join()
    assert notes == [f"waiting: another process still works in {folder}"]
