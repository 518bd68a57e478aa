#!/usr/bin/env python3
"""Generate networks and solvers as prototxts.

Without a network's name, or with names of committed folders: regenerate what is committed beside this file.
With a network's name and --out: write a network of your own settings.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.files import write_text
from pyhisto.nets.files import LmdbFolder, network_files
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.nets.solvers import PaperSolver

HERE = Path(__file__).resolve().parent

COMMITTED: dict[str, list[str]] = {
    "inception_sep_paper": ["inception-sep", "--variant", "paper"],
    "inception_sep_paper_native": ["inception-sep", "--variant", "paper", "--sep", "native"],
    "inception_sep_released": ["inception-sep", "--variant", "released"],
}
"""The committed folders, and the command line that makes each."""


def main() -> None:
    """Parse, generate, write or compare."""
    if len(sys.argv) > 1 and sys.argv[1] in NETWORKS:
        arguments = _own_parser().parse_args()
        for name, text in generate(arguments, arguments.out).items():
            write_text(arguments.out / name, text)
            print(arguments.out / name)
        return
    arguments = _committed_parser().parse_args()
    names = arguments.names or list(COMMITTED)
    if unknown := [name for name in names if name not in COMMITTED]:
        raise InputError(
            f"{unknown[0]}: neither a network ({', '.join(NETWORKS)}) nor a committed folder ({', '.join(COMMITTED)})"
        )
    stale = []
    for folder in names:
        own = _own_parser().parse_args([*COMMITTED[folder], "--out", folder])
        # Caffe resolves paths against the working directory: the repository's root.
        for name, text in generate(own, Path("prototxt") / folder).items():
            path = HERE / folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(f"{folder}/{name}")
                if not arguments.check:
                    write_text(path, text)
                    print(f"prototxt/{folder}/{name}")
    if arguments.check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run prototxt/generate.py")


def inception_sep(arguments: argparse.Namespace, out: Path) -> Mapping[str, str]:
    """The files of an Inception + SEP network."""
    train, val = LmdbFolder(arguments.train_lmdb), LmdbFolder(arguments.val_lmdb)
    names = ("variant", "sep", "num_classes", "input_size", "width", "batch_norm_fraction")
    settings = {name: getattr(arguments, name) for name in names}
    if mean := train.mean():
        settings["mean"] = mean
    network = InceptionSEP(**settings)
    solver = PaperSolver(
        **{
            name: getattr(arguments, name)
            for name in PaperSolver.__dataclass_fields__
            if getattr(arguments, name) is not None
        }
    )
    val_batch = val.even_batch_size(arguments.batch_size)
    return network_files(
        out,
        {
            "train_val": network.train_val(train.source, val.source, arguments.batch_size, val_batch),
            "deploy": network.deploy(),
            "statistics": network.statistics(train.source, arguments.batch_size),
        },
        solver,
        test_iter=math.ceil(val.records(default=1000) / val_batch),
        command=_command(arguments),
    )


NETWORKS = {"inception-sep": inception_sep}


def generate(arguments: argparse.Namespace, out: Path) -> Mapping[str, str]:
    """File name -> text of the network that the command line asks for, to lie in `out`."""
    return NETWORKS[arguments.network](arguments, out)


def _command(arguments: argparse.Namespace) -> str:
    """The command line that makes the same files again: only what differs from the defaults."""
    words = ["prototxt/generate.py", arguments.network]
    defaults = _own_parser().parse_args([arguments.network, "--out", "."])
    for name, value in vars(arguments).items():
        if name not in ("network", "out") and value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _committed_parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                    epilog=f"Networks: {', '.join(NETWORKS)} (NETWORK --help lists its options).")  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"committed folders: {', '.join(COMMITTED)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a committed file is stale")
    return parser


def _own_parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = parser.add_subparsers(dest="network", required=True, parser_class=Parser)
    sub = networks.add_parser("inception-sep", help="Inception + SEP, Zhu et al. 2019")
    sub.add_argument("--variant", choices=["paper", "released"], default="paper", help="tail and auxiliary heads")
    sub.add_argument(
        "--sep",
        choices=["python", "native"],
        default="python",
        help="the gate in train_val: a Python SEP layer or none",
    )
    sub.add_argument("--num-classes", type=int, default=2)
    sub.add_argument("--input-size", type=int, default=224, help="side of the input in pixels")
    sub.add_argument("--width", type=float, default=1.0, help="multiplies every width but the classifier's")
    sub.add_argument(
        "--batch-norm-fraction", type=float, default=0.999, help="of the running statistics; lower it for short runs"
    )
    sub.add_argument("--train-lmdb", default="data/train", help="LMDB folder; its preprocessing.json gives the mean")
    sub.add_argument("--val-lmdb", default="data/val", help="LMDB folder; its size gives test_iter")
    sub.add_argument("--batch-size", type=int, default=10)
    sub.add_argument("--out", type=Path, required=True, metavar="DIR")
    solver = sub.add_argument_group("solver", "defaults: the paper's")
    for name, field in PaperSolver.__dataclass_fields__.items():
        option = f"--{name.replace('_', '-')}"
        if name == "solver_mode":
            solver.add_argument(option, choices=["CPU", "GPU"])
        elif name == "random_seed":
            solver.add_argument(option, type=int)
        else:
            solver.add_argument(option, type=type(field.default))
    return parser


if __name__ == "__main__":
    run(main)
