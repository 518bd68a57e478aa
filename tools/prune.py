#!/usr/bin/env python3
"""Prune channels: a smaller network and its weights, with proof that it computes what the masked original does.

Writes OUT/ with every prototxt under its own name, the weights and plan.json. Solvers may be among --also.
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, input_shape, positive, ratio, run
from pyhisto.errors import InputError
from pyhisto.lenient import unknown_fields
from pyhisto.proof.demand import demand
from pyhisto.proto import NetParameter
from pyhisto.pruning.allocation import allocate
from pyhisto.pruning.criteria import CRITERIA
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.proof import prove
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, rank_atoms, write
from pyhisto.pruning.schedule import Schedule, proportion
from pyhisto.pruning.sensitivity import Sensitivity
from pyhisto.pruning.summary import table
from pyhisto.pruning.target import Removed, Target, uniform


def main() -> None:
    """Parse, prune, print."""
    arguments = _parser().parse_args()
    if arguments.out.exists() and not arguments.dry_run:
        raise InputError(f"{arguments.out}: exists already; remove it or choose another --out")
    if not 1 <= arguments.loop <= arguments.loops:
        raise InputError(f"--loop {arguments.loop}: there are {arguments.loops} loops; count from 1")
    if arguments.sensitivity and arguments.target_flops is None and arguments.target_weights is None:
        raise InputError("--sensitivity shares out a target: give --target-flops or --target-weights")
    network = LoadedNetwork.read(arguments.model, arguments.also, arguments.weights, dict(arguments.input_shape))
    for file in network.files:
        for unknown in unknown_fields(file.document, NetParameter.DESCRIPTOR):
            print(f"Left as it is: {file.path}:{unknown.line}: {unknown.path}")
    for note in network.notes:
        print(note)
    if arguments.dry_run:
        print(network.dependencies.describe(), end="\n\n")
    removed, chosen = _choose(network, arguments)
    settings = {
        "criterion": arguments.criterion, "ratio": arguments.ratio, "loops": arguments.loops, "loop": arguments.loop,
        "threshold_k": arguments.threshold_k, "scope": arguments.scope, "se_hidden": arguments.se_hidden,
        "multiple": arguments.multiple, "keep": arguments.keep, "seed": arguments.seed, **chosen,
    }  # fmt: skip
    pruned = cut_network(network, removed, settings)
    for layer, (channels, kept) in pruned.plan.layers.items():
        print(f"{layer}: {channels} -> {len(kept)} channels")
    print("\n".join([*table(network, pruned), *pruned.not_counted]))
    proof = None
    if arguments.proof:
        proof = demand(lambda: prove(network, pruned), arguments.model)
        print(proof.describe("the masked original"))
    else:
        print("No proof was asked for; the plan says so")
    if not arguments.dry_run:
        write(network, pruned, proof, arguments.out)
        print(arguments.out)


def _choose(network: LoadedNetwork, arguments: argparse.Namespace) -> tuple[Removed, dict[str, object]]:
    """Which atoms go, and what the plan notes of how they were chosen."""
    share = None if arguments.ratio is None else proportion(arguments.ratio, arguments.loops)
    schedule = Schedule(
        share, arguments.threshold_k, arguments.scope, arguments.se_hidden, arguments.multiple, tuple(arguments.keep)
    )
    importance = Importance.load(arguments.importance) if arguments.importance else None
    given = arguments.target_flops, arguments.target_weights
    if given == (None, None):
        removed = plan_pruning(network, arguments.criterion, schedule, importance, arguments.seed)
        return removed, {"proportion": share}
    target = Target("weights", given[1]) if given[0] is None else Target("flops", given[0])
    noted: dict[str, object] = {f"target_{target.quantity}": target.share}
    scores = rank_atoms(network, arguments.criterion, importance, arguments.seed)
    target = target.of_one_loop(arguments.loops)
    if arguments.sensitivity is None:
        found, removed = uniform(network, scores, schedule, target)
        return removed, {**noted, "proportion": found}
    sensitivity = Sensitivity.load(arguments.sensitivity)
    settings = {"criterion": arguments.criterion, "seed": arguments.seed, "se_hidden": arguments.se_hidden}
    sensitivity.check_of(settings, network.weights_path, arguments.sensitivity)
    shares, removed = allocate(network, scores, schedule, sensitivity, target, arguments.sensitivity)
    return removed, {**noted, "shares": shares}


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, metavar="F.prototxt", help="the network, best its deploy file"
    )
    parser.add_argument("--also", type=Path, nargs="+", default=[], metavar="F.prototxt",
                        help="its other files, cut alike: train_val, statistics, solvers")  # fmt: skip
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel, binary or HDF5")
    parser.add_argument("--criterion", choices=CRITERIA, required=True)
    parser.add_argument("--importance", type=Path, metavar="F", help="for sep: from tools/channel_importance.py")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--ratio", type=ratio, metavar="O", help="target pruning ratio, after all loops (eq. 7)")
    amount.add_argument(
        "--threshold-k", type=float, metavar="K", help="prune below mean + deviation + K instead (eq. 6)"
    )
    amount.add_argument("--target-flops", type=ratio, metavar="T",
                        help="prune until this share of the FLOPs is left, after all loops")  # fmt: skip
    amount.add_argument("--target-weights", type=ratio, metavar="T", help="the same for weights")
    parser.add_argument("--sensitivity", type=Path, metavar="F",
                        help="with a target: from tools/sensitivity.py; each group has a share of its own")  # fmt: skip
    parser.add_argument("--loops", type=positive, default=1, metavar="R", help="training loops to reach O in (eq. 8)")
    parser.add_argument(
        "--loop", type=positive, default=1, metavar="r", help="which of them this is; noted in the plan"
    )
    parser.add_argument("--scope", choices=["branch", "block", "network"], default="block", help="rank channels within")
    parser.add_argument("--se-hidden", choices=["rescale", "keep"], default="rescale",
                        help="hidden units of SE blocks: keep their reduction r, or their width")  # fmt: skip
    parser.add_argument(
        "--multiple", type=positive, default=1, metavar="M", help="branches keep a multiple of M channels"
    )
    parser.add_argument("--keep", nargs="+", default=[], metavar="LAYER", help="layers that keep all their channels")
    parser.add_argument("--input-shape", type=input_shape, nargs="+", default=[], metavar="data=1x3x224x224",
                        help="instead of what the files say, if they do")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="for the criterion random")
    parser.add_argument(
        "--no-proof", dest="proof", action="store_false", help="write without comparing the two networks"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the groups of channels and the plan; write nothing"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="must not exist yet")
    return parser


if __name__ == "__main__":
    run(main)
