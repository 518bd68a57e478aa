"""Files: an input that cannot be read is named; outputs, written aside and renamed, appear whole or not at all.

Of two processes that write one output, the second is refused: whoever writes `NAME` holds the lock `.NAME.lock` beside
it, and fills `.NAME.<random>.partial`. Both go when it is done. What a killed process left is removed by the next one
that writes `NAME`.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pyhisto import watched
from pyhisto.errors import InputError

BUSY = "another process is writing it; wait for that one, or choose another output"


@contextmanager
def reading(path: object) -> Iterator[None]:
    """While it lasts, a file that the system will not read is an InputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


@contextmanager
def writing(path: object, *through: Path) -> Iterator[None]:
    """While it lasts, an OSError of no file in particular, as a full disk gives, is one of `path`.

    So is one of what is in `through`, which a user does not know: where `path` is made.
    """
    try:
        yield
    except OSError as error:
        hidden = any(Path(str(error.filename)).is_relative_to(place) for place in through)
        if error.errno is not None and (error.filename is None or hidden):
            error.filename, error.filename2 = str(path), None
        raise


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises InputError if it cannot be read, is no JSON, or holds what no file can hold."""
    try:
        with reading(path):
            data = Path(path).read_bytes()
    except ValueError as error:  # a path that no file can have
        raise InputError(f"{path}: cannot be read: {error}") from None
    return parse_json(data, path)


def parse_json(data: bytes, path: object, *, constants: bool = False) -> Any:
    """What a JSON file of these bytes holds. Raises InputError, which names `path`; see `read_json`.

    With `constants` NaN and Infinity, which JSON lacks and Python writes, are read too.
    """
    try:
        text = data.decode("utf-8")
        parse_constant = float if constants else _refuse
        content = json.loads(text, parse_constant=parse_constant, parse_int=_integer, parse_float=_float)
        if "\\ud" in text.lower():  # half of a character, which no file name and no output can hold
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except RecursionError:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {' '.join(str(error).split())}") from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant[:40]} is no number that is used here")


def _integer(text: str) -> int:
    return int(text) if len(text) < 19 else int(_refuse(text))  # of 18 digits: fits 64 bits, and a float's range


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises InputError if it cannot be read or is none."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object")
    return value


@contextmanager
def claimed(path: Path, complaint: str | None = None) -> Iterator[None]:
    """While it lasts, no other process is in such a block of the same `path`.

    Raises InputError, at once, if one is: with the `complaint`, or saying that another process is writing it.

    What a process that was killed in such a block left of `path` is removed. Folders are made for `path`, and removed
    again if the block fails.
    """
    with _folders_for(path):
        descriptor, stale = _lock(_lock_of(path))
        if descriptor is None:
            raise InputError(complaint or f"{path}: {BUSY}")
        watched.left(_lock_of(path), "lock")
        try:
            if stale:
                for partial in _partials(path):
                    discard(partial)
            yield
        finally:
            _lock_of(path).unlink(missing_ok=True)
            os.close(descriptor)
            watched.gone(_lock_of(path))


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `path` only when the block ends without an exception."""
    with whole_files(path) as (partial,):
        yield partial


@contextmanager
def whole_files(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Yield a path to write to for each of `paths`; together they become them when the block ends without an exception.

    The temporary files lie beside them, so that a rename is atomic, and are synced before the first of them. Raises
    InputError if another process writes one of them, or there is a folder in its place.
    """
    targets = [Path(path) for path in paths]
    with ExitStack() as stack:
        for path in sorted(targets):
            stack.enter_context(claimed(path))
        for path in targets:
            if path.exists() and not path.is_file():
                raise InputError(f"{path}: is there and not a file; choose another output")
        partials: list[Path] = []
        try:
            for path in targets:
                handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
                os.close(handle)
                partials.append(Path(name))
                watched.left(partials[-1], "file")
            with writing(targets[0], *partials):
                yield tuple(partials)
            for path, partial in zip(targets, partials, strict=True):
                with writing(path):
                    partial.chmod(0o666 & ~_umask())  # mkstemp makes it private
                    _sync(partial)
            for path, partial in zip(targets, partials, strict=True):
                partial.replace(path)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)
                watched.gone(partial)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it becomes `path` only when the block ends without an exception.

    Raises InputError if `path` exists, or another process makes it: nothing finished is ever overwritten.
    """
    path = Path(path)
    refuse_existing(path)
    with claimed(path), _private_folder(path, path.parent) as partial:
        refuse_existing(path)  # another process may have finished it before the lock was ours
        with writing(path, partial):
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
            partial.chmod(0o777 & ~_umask())
            _take_name(partial, path)


@contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; its files go into `folder`, together, when the block ends without an exception.

    What `folder` holds already stays, but for files of the same names. Raises InputError if another process fills it.
    """
    folder = Path(folder)
    inside = folder / folder.name  # lock and private folder lie in `folder`: it may be a file system of its own
    with claimed(inside, f"{folder}: {BUSY}"), _private_folder(inside, folder) as partial:
        with writing(folder, partial):
            yield partial
        files = [file for file in sorted(partial.rglob("*")) if file.is_file()]
        targets = [folder / file.relative_to(partial) for file in files]
        for file, target in zip(files, targets, strict=True):
            if target.is_dir():
                raise InputError(f"{target}: is a folder where a file is to be; choose another output")
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                _sync(file)
        for file, target in zip(files, targets, strict=True):
            file.replace(target)


@contextmanager
def exclusive(folder: Path, note: Callable[[str], None]) -> Iterator[int]:
    """While it lasts, no other process works in `folder`. Raises InputError, at once, if another one like this does.

    Yields a lock's descriptor: a child that inherits it keeps that lock for as long as it lives, whatever becomes of
    this process. Such a child of an earlier process is waited for; `note` is told.
    """
    with claimed(folder / "run", f"{folder}: another run works in it; wait for that one, or choose another output"):
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note(f"waiting: another process still works in {folder}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write text files, all of them whole or none at all."""
    with whole_files(*texts) as partials:
        for path, partial in zip(texts, partials, strict=True):
            with writing(path):
                partial.write_text(texts[path], encoding="utf-8")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_existing(path: Path) -> None:
    """Raise InputError if there is anything at `path`, be it a link to nothing."""
    if os.path.lexists(path):
        raise InputError(f"{path}: exists already; remove it or choose another output")


def leftovers(path: Path) -> list[Path]:
    """What is left of an unfinished `path`: nothing, unless the disk took no orders any more."""
    return _partials(path)


def discard(path: Path, kind: watched.Kind = "tree") -> None:
    """Remove what an unfinished output left, as far as it can be removed."""
    with suppress(OSError):
        if kind == "lock":
            descriptor, _ = _lock(path)
            if descriptor is not None:
                path.unlink(missing_ok=True)
                os.close(descriptor)
        elif kind == "empty":
            path.rmdir()
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _private_folder(path: Path, parent: Path) -> Iterator[Path]:
    """A folder of this process alone in `parent`, under the claim on `path`; at the end removed if still there."""
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=parent))
    watched.left(partial, "tree")
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        watched.gone(partial)


def _take_name(partial: Path, path: Path) -> None:
    """Rename a folder to a free name. (It could replace an empty folder and nothing else, so that nothing is lost.)"""
    try:
        partial.rename(path)
    except OSError:
        refuse_existing(path)
        raise


@contextmanager
def _folders_for(path: Path) -> Iterator[None]:
    """Make the folders in which `path` lies; if the block fails, those that were made go, unless they are in use."""
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in reversed(made):
        watched.left(folder, "empty")
    try:
        yield
    except BaseException:
        for folder in made:
            discard(folder, "empty")
        raise
    finally:
        for folder in made:
            watched.gone(folder)


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _partials(path: Path) -> list[Path]:
    """What processes that write `path`, or were killed at it, have made of it."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.partial")
    with suppress(FileNotFoundError):
        return [other for other in path.parent.iterdir() if name.fullmatch(other.name)]
    return []


def _lock(path: Path) -> tuple[int | None, bool]:
    """Lock a file, made if need be, without waiting. The descriptor, or None if another process has it locked; and
    whether it was there: then its last holder was killed. (False, too, where the file system knows no locks.)
    """
    while True:
        there = path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None, False
        except OSError:
            return descriptor, False
        if os.fstat(descriptor).st_nlink:
            return descriptor, there
        os.close(descriptor)  # its holder removed it between our two calls


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
