"""Tables, figures and report.html of a results folder, from its prediction files and records (no network is run)."""

from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, run
from pyhisto.roots import add_root_options
from pyhisto.study.report import write_report
from pyhisto.study.results import Stage
from pyhisto.tables.formats import to_text


def main() -> None:
    """Write the report; print its summary."""
    parser = Parser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="see pyhisto/study/results.py")
    add_root_options(parser, "folder of the images, for pictures of mistakes (default: run.json's)", required=False)
    parser.add_argument(
        "--beside", type=Path, metavar="DIR", help="results of the same method under another protocol, to show both"
    )
    arguments = parser.parse_args()
    path, tables = write_report(arguments.results, progress, arguments.root, arguments.beside)
    print(to_text(tables[0]))
    print(path)


def progress(stages: Iterable[Stage]) -> Iterable[Stage]:
    """A bar over the stages whose predictions are read."""
    bar: Iterable[Stage] = tqdm(stages, desc="score", unit=" stages", disable=None)
    return bar


if __name__ == "__main__":
    run(main)
