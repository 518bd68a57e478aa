#!/usr/bin/env python3
"""How much a network loses where each group of its channels is masked, alone, at a ladder of shares. Needs Caffe.

Runs the validation LMDB of the network's train_val.prototxt. Writes OUT/sensitivity.json, which tools/prune.py
--sensitivity reads, sensitivity.png (a curve a group) and measured.jsonl, from which a run that was stopped goes on.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from pyhisto.cli import Parser, positive, ratio, run
from pyhisto.files import sha256, whole_file
from pyhisto.pruning.criteria import CRITERIA
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.pruner import LoadedNetwork, rank_atoms
from pyhisto.pruning.schedule import Schedule
from pyhisto.pruning.sensitivity_curves import draw_curves
from pyhisto.pruning.sensitivity_measure import SHARES, MaskedGroup, measure


def main() -> None:
    """Parse, measure, write."""
    arguments = _parse()
    network = LoadedNetwork.read(arguments.model, arguments.also, arguments.weights, {})
    importance = Importance.load(arguments.importance) if arguments.importance else None
    scores = rank_atoms(network, arguments.criterion, importance, arguments.seed)
    schedule = Schedule(None, se_hidden=arguments.se_hidden, keep=tuple(arguments.keep))
    settings = {
        "criterion": arguments.criterion, "seed": arguments.seed, "se_hidden": arguments.se_hidden,
        "keep": arguments.keep, "importance_sha256": arguments.importance and sha256(arguments.importance),
    }  # fmt: skip
    found = measure(
        network, scores, schedule, arguments.shares, settings, arguments.out, _bar, tqdm.write, arguments.records,
        arguments.gpu,
    )  # fmt: skip
    with whole_file(arguments.out / "sensitivity.png") as partial:
        draw_curves(found).savefig(partial, format="png", dpi=110, metadata={"Software": None})
    path = arguments.out / "sensitivity.json"
    found.save(path)
    accuracy = "" if found.whole.accuracy is None else f", accuracy {found.whole.accuracy:.4f}"
    print(f"{len(found.groups)} groups on {found.records} records; whole: loss {found.whole.loss:.4f}{accuracy}")
    print(path)


def _bar(masks: Sequence[MaskedGroup]) -> Iterable[MaskedGroup]:
    bar = tqdm(masks, "groups", unit=" masks", mininterval=1)
    for mask in bar:
        bar.set_postfix_str(mask.name, refresh=False)
        yield mask


def _parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="F.prototxt", help="as for tools/prune.py")
    parser.add_argument("--also", type=Path, nargs="+", default=[], metavar="F.prototxt",
                        help="its other files, as for tools/prune.py; one reads the validation LMDB")  # fmt: skip
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel, binary or HDF5")
    parser.add_argument("--criterion", choices=CRITERIA, required=True, help="which channels of a group go first")
    parser.add_argument("--importance", type=Path, metavar="F", help="for sep: from tools/channel_importance.py")
    parser.add_argument("--shares", type=ratio, nargs="+", default=list(SHARES), metavar="S",
                        help="of a group's channels, to mask (default %(default)s)")  # fmt: skip
    parser.add_argument("--records", type=positive, metavar="N", help="only N of the LMDB's, spread evenly over it")
    parser.add_argument("--se-hidden", choices=["rescale", "keep"], default="rescale", help="as for tools/prune.py")
    parser.add_argument("--keep", nargs="+", default=[], metavar="LAYER", help="layers that keep all their channels")
    parser.add_argument("--seed", type=int, default=0, help="for the criterion random")
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this card")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; a stopped run goes on in it")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
