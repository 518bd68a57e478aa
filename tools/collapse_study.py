"""Why the re-run of ref. [11] by Zhu et al. called every image cancer: its faults, one by one, on the same patches.

Trains the patch network as they wrote it (poolings in place) and with a top of its own for each pooling, each with
cifar10_quick's weight decay and with theirs of 0.9, and looks at what they say of the validation patches, before and
after training. Writes OUT/collapse.json, which tools/report.py shows if it lies in a results folder as
collapse/collapse.json. pyhisto/study/collapse_training.py says what a GPU does otherwise.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, run
from pyhisto.files import write_text
from pyhisto.nets.patch_cnn import PATCHES
from pyhisto.study.collapse_training import CollapseSettings, TrainingForm, describe_form, study_collapse


def main() -> None:
    """Train and look at all forms."""
    args = parse()
    settings = CollapseSettings(
        args.train_lmdb, args.val_lmdb, args.patch, args.batch_size, args.iterations, args.seed
    )  # fmt: skip
    content = study_collapse(settings, progress)
    write_text(args.out / "collapse.json", json.dumps(content, indent=1) + "\n")
    for form in content["forms"]:
        print(describe_form(form))
    print(args.out / "collapse.json")


def progress(forms: Sequence[TrainingForm]) -> Iterable[TrainingForm]:
    """A bar over the forms."""
    bar: Iterable[TrainingForm] = tqdm(forms, "forms", disable=None)
    return bar


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-lmdb", required=True, metavar="DIR", help="patches, from build_lmdb.py")
    parser.add_argument("--val-lmdb", required=True, metavar="DIR")
    parser.add_argument("--patch", type=int, choices=PATCHES, default=32, help="default %(default)s")
    parser.add_argument("--batch-size", type=positive, default=50, metavar="N", help="default %(default)s")
    parser.add_argument("--iterations", type=positive, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
