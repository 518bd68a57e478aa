#!/usr/bin/env python3
"""Say what is installed, what works, and what to do about what does not. Exits 1 if something does not work.

With --versions: print, as JSON, what every run.json carries, so that two runs or two machines can be compared.
"""

import json
import sys

from pyhisto.cli import Parser, run
from pyhisto.doctor import examine
from pyhisto.versions import versions


def main() -> None:
    """Examine and print."""
    parser = Parser(description=__doc__)
    parser.add_argument("--versions", action="store_true", help="print versions as JSON, and examine nothing")
    if parser.parse_args().versions:
        print(json.dumps(versions(), indent=2))
        return
    healthy = True
    for finding in examine():
        healthy &= finding.works
        print(f"{'ok ' if finding.works else 'BAD'}  {finding.what:24}{finding.detail}", flush=True)
    if not healthy:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
