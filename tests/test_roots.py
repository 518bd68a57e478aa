"""Roots: which links are followed, and which are not."""

import argparse
import pickle
from pathlib import Path

import pytest

from pyhisto.errors import InputError
from pyhisto.manifest import resolve
from pyhisto.roots import FollowedRoot, add_root_options, files_under


@pytest.mark.parametrize("words", ["--root a/b --follow-links", "--follow-links --root a/b"])
def test_the_flag_makes_another_root(words: str) -> None:
    parser = argparse.ArgumentParser()
    add_root_options(parser, "images")
    arguments = parser.parse_args(words.split())
    assert isinstance(arguments.root, FollowedRoot) and str(arguments.root) == "a/b"
    plain = parser.parse_args(["--root", "a/b"])
    assert not isinstance(plain.root, FollowedRoot) and plain.root == Path("a/b")


def test_a_root_keeps_what_it_may() -> None:
    root = FollowedRoot("a")
    assert isinstance(root / "b", FollowedRoot) and isinstance(pickle.loads(pickle.dumps(root)), FollowedRoot)
    assert not isinstance(Path(root), FollowedRoot)


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """farm/own.png, and links to images elsewhere: a file, a folder twice, a circle, and one that leads nowhere."""
    elsewhere, farm = tmp_path / "elsewhere", tmp_path / "farm"
    for folder in (elsewhere / "deep", farm):
        folder.mkdir(parents=True)
    for file in (elsewhere / "a.png", elsewhere / "deep/b.png", farm / "own.png"):
        file.touch()
    (farm / "a.png").symlink_to(elsewhere / "a.png")
    (farm / "first").symlink_to(elsewhere / "deep")
    (farm / "second").symlink_to(elsewhere / "deep")
    (elsewhere / "deep/back").symlink_to(farm)
    (farm / "nowhere.png").symlink_to("gone")
    return farm


def found(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_under(root)]


def test_linked_folders_are_entered_once_and_only_if_asked_for(farm: Path) -> None:
    assert found(farm) == ["a.png", "nowhere.png", "own.png"]
    assert found(FollowedRoot(farm)) == ["a.png", "first/b.png", "nowhere.png", "own.png"]


def test_a_folder_that_is_linked_and_lies_in_the_root_is_found_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.png").touch()
    (tmp_path / "a").symlink_to("b")
    assert found(tmp_path) == ["b/x.png"]


def test_a_root_that_is_a_link_is_no_way_out_of_itself(farm: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(farm)
    root = tmp_path / "link"
    assert found(root) == found(farm)
    assert resolve(root, "own.png") == root / "own.png"
    with pytest.raises(InputError, match=r"link/a\.png: leads outside the root folder .*--follow-links$"):
        resolve(root, "a.png")


def test_links_are_followed_only_if_asked_for_and_dots_never_are(farm: Path) -> None:
    for path in ("a.png", "first/b.png"):
        with pytest.raises(InputError, match="leads outside"):
            resolve(farm, path)
        assert resolve(FollowedRoot(farm), path) == farm / path
    for path, complaint in (
        ("../elsewhere/a.png", "not inside"),
        ("/etc/passwd", "not inside"),
        ("nowhere.png", "no such"),
    ):
        with pytest.raises(InputError, match=complaint):
            resolve(FollowedRoot(farm), path)
