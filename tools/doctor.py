#!/usr/bin/env python3
"""Say what is installed, what works, and what to do about what does not. Exits 1 where something does not work."""

import sys

from pyhisto.cli import Parser, run
from pyhisto.doctor import examine


def main() -> None:
    """Examine and print."""
    Parser(description=__doc__).parse_args()
    healthy = True
    for finding in examine():
        healthy &= finding.works
        print(f"{'ok ' if finding.works else 'BAD'}  {finding.what:24}{finding.detail}", flush=True)
    if not healthy:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
