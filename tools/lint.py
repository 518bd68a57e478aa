#!/usr/bin/env python3
"""Look for known traps in networks' and solvers' prototxts. Exit status: 0 clean, 1 traps found, 2 bad input."""

import sys
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.lint import RULES, lint


def main() -> None:
    """Parse, look, print."""
    parser = Parser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a network's or a solver's prototxt")
    parser.add_argument(
        "--explain", choices=RULES, metavar="RULE", help="say what a rule is about, and where Caffe shows it"
    )
    arguments = parser.parse_args()
    if arguments.explain:
        rule = RULES[arguments.explain]
        print(f"{rule.id} ({rule.severity}): {rule.reason}\nSee {rule.pointer}.")
        return
    if not arguments.files:
        parser.error("name a FILE, or a rule to --explain: " + ", ".join(RULES))
    findings = [finding for file in arguments.files for finding in lint(file)]
    for finding in findings:
        print(finding)
    if findings:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
