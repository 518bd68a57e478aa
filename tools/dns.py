#!/usr/bin/env python3
"""Dynamic Network Surgery: cut single weights while the network trains on, and let those return that are missed.

Writes OUT/model.caffemodel (W*T: cut weights are 0), OUT/model.sparse (bitmap and values), OUT/sparsity.json (its
bytes, and the weights kept in each layer), and metrics.jsonl, learning_curve.png, run.json and snapshots/. The solver's
snapshot_prefix is not used. Ctrl-C (or SIGTERM) writes a snapshot; the same command then goes on from it.

Cutting shifts what BatchNorm sees: give it time for its moving averages to follow, some 3 / (1 - their fraction)
iterations, which is 3000 with Caffe's 0.999 and 60 with 0.95.
"""

import argparse
import json
import sys
from pathlib import Path

from pyhisto.cli import Parser, natural, positive, ratio, run
from pyhisto.cli.training import add_run_options, run_of, train_to_the_end
from pyhisto.files import whole_files, write_text
from pyhisto.proto import read_weights
from pyhisto.pruning.sparse import write_sparse
from pyhisto.training.dns import DynamicNetworkSurgery, SurgerySettings
from pyhisto.training.solver import check_solver


def main() -> None:
    """Train with surgery; print what was kept, and where it is."""
    args = _parser().parse_args()
    iterations = args.iterations or check_solver(args.solver).max_iter
    settings = SurgerySettings(
        iterations // 2 if args.iter_stop is None else args.iter_stop,
        args.sparsity, args.c_rate, args.gamma, args.power, args.seed, tuple(args.layers),
    )  # fmt: skip
    surgery = DynamicNetworkSurgery(settings)
    model = train_to_the_end(run_of(args), surgery, iterations)
    with whole_files(args.out / "model.sparse", args.out / "sparsity.json") as (sparse, summary):
        size = write_sparse(sparse, read_weights(model))
        numbers = {"method": "DNS", "bytes": size, **surgery.summary(), "settings": surgery.settings}
        write_text(summary, json.dumps(numbers, indent=1) + "\n")
    print(
        f"{numbers['kept']:,} of {numbers['weights']:,} weights kept; {size:,} bytes as sparse weights", file=sys.stderr
    )
    print(model)


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=Path, required=True, metavar="F", help="solver.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="caffemodel of the trained network")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--sparsity", type=ratio, metavar="S", help="share of each layer's weights to cut at the start")
    amount.add_argument("--c-rate", type=float, metavar="C", help="cut below mean + C * deviation of |W|, by layer")
    parser.add_argument("--gamma", type=float, default=0.001, help="masks change less often (default %(default)s)")
    parser.add_argument("--power", type=float, default=1.0, help="the same (default %(default)s)")
    parser.add_argument("--iter-stop", type=natural, metavar="N", help="masks stay from then on (default: half way)")
    parser.add_argument("--seed", type=natural, default=0, help="of when masks change")
    parser.add_argument("--layers", nargs="+", default=[], metavar="LAYER",
                        help="default: every convolution and inner product")  # fmt: skip
    parser.add_argument("--iterations", type=positive, metavar="N", help="default: the solver's max_iter")
    add_run_options(parser)
    return parser


if __name__ == "__main__":
    run(main)
