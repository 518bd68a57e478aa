"""Inputs that cannot be read are named; outputs appear whole or not at all."""

import subprocess
import threading
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.files import exclusive, read_object, reading, sha256, whole_file, whole_folder, write_text


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^net: cannot be read: Is a directory$"), reading("net"):
        tmp_path.read_bytes()
    with pytest.raises(UnicodeDecodeError), reading("net"):
        b"\xff".decode()


@pytest.mark.parametrize("content", [b"[1]", b"3", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": {"b": 1}}')
    assert read_object(path) == {"a": {"b": 1}}
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: not a JSON object"):
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
    (tmp_path / ".folder.partial").mkdir()
    (tmp_path / ".folder.partial" / "left by a killed process").touch()
    with whole_folder(folder) as partial:
        (partial / "a").write_text("a")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a"]
    with pytest.raises(InputError, match="exists already"), whole_folder(folder):
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
