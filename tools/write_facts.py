"""Write what a results folder says of itself, as JSON: given facts, how long each step took, the versions in use.

    write_facts.py --facts '{"label": "DNS 60%"}' --out runs/study/fold1/dns60/stage.json

Steps are timed by Snakemake's benchmark files, <DIR>/.../seconds/<step>.tsv; a step is called by its path.
"""

import csv
import json
from pathlib import Path
from typing import Any

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import parse_json, reading, write_text
from pyhisto.versions import versions


def main() -> None:
    """Parse, collect, write."""
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--facts", default="{}", metavar="JSON", help="an object that is written as it is")
    parser.add_argument("--seconds", type=Path, metavar="DIR", help="add the seconds of each step timed below it")
    parser.add_argument("--versions", action="store_true", help="add the versions of the programs in use")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="the JSON file")
    args = parser.parse_args()
    facts = parse_json(args.facts.encode(), "--facts")
    if not isinstance(facts, dict):
        raise InputError(f"--facts {args.facts[:60]}: not a JSON object")
    if args.seconds is not None:
        facts["seconds"] = read_seconds(args.seconds)
    if args.versions:
        facts["versions"] = versions()
    write_text(args.out, json.dumps(facts, indent=1) + "\n")


def read_seconds(folder: Path) -> dict[str, float]:
    """Step -> seconds, by the benchmark files under a folder. Raises InputError for one that is none."""
    found: dict[str, float] = {}
    for path in sorted(folder.rglob("seconds/**/*.tsv")):
        words = [part for part in path.relative_to(folder).with_suffix("").parts if part != "seconds"]
        try:
            with reading(path):
                lines = path.read_text(encoding="utf-8").splitlines()
            rows: list[dict[str, Any]] = list(csv.DictReader(lines, delimiter="\t"))
            found[" ".join(words).replace("_", " ")] = float(rows[0]["s"])
        except (IndexError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: not a benchmark of Snakemake's; remove it") from None
    return found


if __name__ == "__main__":
    run(main)
