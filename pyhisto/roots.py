"""The folder that images' paths count from, and whether links under it may lead out of it.

A root may itself be a link, wherever it leads. A link below it that leads elsewhere is followed only if the user says
so: a manifest may be somebody else's, and is to reach no file but those of the data set.
"""

import argparse
import os
from pathlib import Path
from typing import Any


class FollowedRoot(type(Path())):  # type: ignore[misc]
    """A root whose links are followed, wherever they lead. What is made of it by `/` is one, too; Path(it) is not."""


def add_root_options(parser: argparse.ArgumentParser, what: str, required: bool = True) -> None:
    """Add --root (a Path; if links are to be followed, a FollowedRoot) and --follow-links."""
    parser.add_argument("--root", type=Path, required=required, metavar="DIR", action=_Root, help=what)
    parser.add_argument(
        "--follow-links", nargs=0, default=False, action=_Root, help="under the root, also those that lead out of it"
    )


class _Root(argparse.Action):
    """Makes one value of both options, whichever comes first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values or True)
        if namespace.root is not None and namespace.follow_links:
            namespace.root = FollowedRoot(namespace.root)


def files_under(root: Path) -> list[Path]:
    """Everything at any depth but folders, in order of the paths; linked folders are entered under a FollowedRoot."""
    follow = isinstance(root, FollowedRoot)
    seen = {os.path.realpath(root)}
    found: list[Path] = []
    for place, folders, files in os.walk(root, followlinks=follow):
        if follow:  # links can go round in a circle
            folders[:] = [name for name in sorted(folders) if _is_new(os.path.realpath(Path(place, name)), seen)]
        found += [Path(place, name) for name in files]
    return sorted(found)


def _is_new(folder: str, seen: set[str]) -> bool:
    new = folder not in seen
    seen.add(folder)
    return new
