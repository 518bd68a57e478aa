"""The commands in README and docs/, as a reader would type them, and what stands in for the reader's own data."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PRELUDE = f"""
make() {{ command make -n -C "$CHECKOUT" "$@" > /dev/null; }}
python() {{ "{sys.executable}" "$@"; }}
"""
"""make's targets are looked up only: CI runs `make test` and `make lint`, and `make setup` runs before any test."""

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SETTING = re.compile(r'^(?:[A-Z]+=(?:"[^"]*"|\S+) *)+(?=#|$)', re.MULTILINE)
"""A line of a reader's own choices: NAME=value ..."""


def documents(root: Path) -> list[Path]:
    """Every Markdown file that has commands."""
    return [path for path in sorted([*root.glob("*.md"), *root.glob("docs/*.md")]) if commands(path)]


def commands(document: Path) -> list[str]:
    """Its ```bash blocks, in their order."""
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def prose(document: Path) -> str:
    """All but its ```bash blocks."""
    return BLOCK.sub("", document.read_text(encoding="utf-8"))


def with_settings(script: str, settings: Mapping[str, str]) -> str:
    """The commands with `settings` in the place of the reader's choices, which have to be just these."""
    named = {name for line in SETTING.findall(script) for name in re.findall(r"([A-Z]+)=", line)}
    assert named == settings.keys()
    return SETTING.sub(
        lambda line: " ".join(f"{name}={settings[name]}" for name in re.findall(r"([A-Z]+)=", line[0])) + " ", script
    )


def run_commands(script: str, folder: Path, root: Path, path: Path = Path(sys.executable).parent) -> str:
    """Run commands in a folder, with the programs of `path` first, until one fails; what they printed."""
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "CHECKOUT": str(root)}
    command = ["bash", "-euo", "pipefail", "-c", PRELUDE + "set -x\n" + script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
