#!/usr/bin/env python3
"""Generate networks and solvers as prototxts.

Without a network's name, or with names of committed folders: regenerate what is committed beside this file.
With a network's name and --out: write a network of your own settings.
"""

import argparse
import math
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeAlias

from pyhisto.cli import Parser, positive, run
from pyhisto.devices.check import usable
from pyhisto.errors import InputError
from pyhisto.files import write_texts
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.nets.files import even_batch_size, network_files
from pyhisto.nets.inception_sep import FROZEN, InceptionSEP
from pyhisto.nets.magnification_cnn import MagnificationCNN
from pyhisto.nets.patch_cnn import PATCHES, PatchCNN
from pyhisto.nets.resnext import ResNeXt
from pyhisto.nets.solvers import BAYRAMOGLU_2016, KONE_2018, SPANHOL_2016, ZHU_2019, SolverSettings
from pyhisto.nets.widths import take_widths
from pyhisto.proto import Net

HERE = Path(__file__).resolve().parent

COMMITTED: dict[str, list[str]] = {
    "inception_sep_paper": ["inception-sep", "--variant", "paper"],
    "inception_sep_paper_native": ["inception-sep", "--variant", "paper", "--sep", "native"],
    "inception_sep_released": ["inception-sep", "--variant", "released"],
    "patch_cnn_32": ["patch-cnn", "--patch", "32"],
    "patch_cnn_64": ["patch-cnn", "--patch", "64"],
    "patch_cnn_32_in_place": ["patch-cnn", "--variant", "in-place", "--weight-decay", "0.9"],
    "magnification_cnn_single": ["magnification-cnn", "--task", "single"],
    "magnification_cnn_multi": ["magnification-cnn", "--task", "multi"],
    "resnext50_paper": ["resnext", "--head", "paper"],
    "resnext50_standard": ["resnext", "--head", "standard", "--num-classes", "1000"],
}
"""The committed folders, and the command line that makes each. They say GPU, as was published, on every machine."""


@dataclass(frozen=True)
class Data:
    """What a network's Data layers read."""

    train: str
    val: str
    """Folders of LMDBs, as they are to stand in the prototxts; they need not exist yet."""
    batch_size: int
    """Of an iteration, on all cards together."""
    val_batch_size: int
    cards: int

    @property
    def card_batch_size(self) -> int:
        """What the training network's file says: Caffe gives every card a batch of that size (tools/caffe.cpp)."""
        return self.batch_size // self.cards


GeneratedNetwork: TypeAlias = InceptionSEP | ResNeXt | PatchCNN | MagnificationCNN


@dataclass(frozen=True)
class NetworkKind:
    """A network on the command line. What all have in common (data, solver, --out) is not said here."""

    help: str
    model: type[GeneratedNetwork]
    options: Callable[[ArgumentParser], None]
    """Adds the network's own options: fields of `model`."""
    solver: SolverSettings
    """The published settings."""
    batch_size: int

    def prototxts(self, arguments: Namespace, data: Data) -> Mapping[str, Net]:
        """File name without ending -> network. The mean is the training LMDB's where that says it."""
        given = {field.name: getattr(arguments, field.name) for field in fields(self.model) if field.name in arguments}
        if mean := LmdbFolder(Path(data.train)).mean:
            given["mean"] = mean
        model = self.model(**given)
        nets = {
            "train_val": model.train_val(data.train, data.val, data.card_batch_size, data.val_batch_size),
            "deploy": model.deploy(),
        }
        if isinstance(model, InceptionSEP):
            nets["statistics"] = model.statistics(data.train, data.batch_size)
        if pruned := getattr(arguments, "widths_of", None):
            for net in nets.values():
                take_widths(net, pruned)
        return nets


def inception_sep_options(parser: ArgumentParser) -> None:
    """The options of inception-sep."""
    parser.add_argument("--variant", choices=["paper", "released"], default="paper", help="tail and auxiliary heads")
    parser.add_argument(
        "--sep",
        choices=["python", "native"],
        default="python",
        help="the gate in train_val: a Python SEP layer or none",
    )
    parser.add_argument(
        "--frozen",
        choices=list(FROZEN),
        default="none",
        help="convolutions that do not learn: none, as the paper says, or those of the authors' published file (conv1 "
        "to 3a and 3b/1x1), for a training that starts from a GoogLeNet's weights (default %(default)s)",
    )
    parser.add_argument("--num-classes", type=int, default=2)
    parser.add_argument("--input-size", type=int, default=224, help="side of the input in pixels")
    widths = parser.add_mutually_exclusive_group()
    widths.add_argument("--width", type=float, default=1.0, help="multiplies every width but the classifier's")
    widths.add_argument(
        "--widths-of", type=Path, metavar="F", help="deploy.prototxt of such a network, pruned: as wide as that is"
    )
    parser.add_argument(
        "--batch-norm-fraction", type=float, default=0.999, help="of the running statistics; lower it for short runs"
    )


def resnext_options(parser: ArgumentParser) -> None:
    """The options of resnext."""
    parser.add_argument(
        "--head", choices=["paper", "standard"], default="paper", help="that of the paper, or one layer"
    )
    parser.add_argument("--num-classes", type=int, default=2)
    parser.add_argument("--input-size", type=int, default=224, help="side of the input in pixels")
    parser.add_argument("--depths", type=int, nargs=4, default=[3, 4, 6, 3], metavar="N", help="blocks of each stage")
    parser.add_argument("--width", type=int, default=64, help="channels of the stem; a stage has 4 to 32 times as many")
    parser.add_argument("--groups", type=int, default=32, help="of the 3x3 convolutions: the cardinality")
    parser.add_argument("--group-width", type=int, default=4, help="channels of a group in the first stage")
    parser.add_argument(
        "--rates", type=float, nargs=3, default=[1.0, 1.0, 1.0], metavar=("FIRST", "MIDDLE", "LAST"),
        help="learning-rate multipliers: stem and stages 1 and 2; stages 3 and 4; head. 0 freezes, statistics too",
    )  # fmt: skip
    parser.add_argument("--batch-norm-fraction", type=float, default=0.9, help="of the running statistics")


def patch_cnn_options(parser: ArgumentParser) -> None:
    """The options of patch-cnn."""
    parser.add_argument(
        "--variant",
        choices=["published", "in-place", "repaired"],
        default="published",
        help="or Zhu et al.'s faulty re-run of it, or that without the fault",
    )
    parser.add_argument("--patch", type=int, choices=PATCHES, default=32, help="side of the input in pixels")
    parser.add_argument("--num-classes", type=int, default=2)


def magnification_cnn_options(parser: ArgumentParser) -> None:
    """The options of magnification-cnn."""
    parser.add_argument("--task", choices=["single", "multi"], default="single", help="multi: the magnification too")
    parser.add_argument("--num-classes", type=int, default=2)
    parser.add_argument("--magnifications", type=int, default=4, help="classes of the second task")
    parser.add_argument("--input-size", type=int, default=227, help="side of the input in pixels")
    parser.add_argument("--width", type=float, default=1.0, help="multiplies every width but the classifiers'")


NETWORKS = {
    "inception-sep": NetworkKind(
        "Inception + SEP, Zhu et al. 2019", InceptionSEP, inception_sep_options, ZHU_2019, batch_size=10
    ),
    "resnext": NetworkKind("ResNeXt, Kone & Boulmane 2018", ResNeXt, resnext_options, KONE_2018, batch_size=10),
    "patch-cnn": NetworkKind(
        "patches of images, Spanhol et al. 2016", PatchCNN, patch_cnn_options, SPANHOL_2016, batch_size=100
    ),
    "magnification-cnn": NetworkKind(
        "all magnifications together, for Bayramoglu et al. 2016: the network of Levi & Hassner 2015",
        MagnificationCNN,
        magnification_cnn_options,
        BAYRAMOGLU_2016,
        batch_size=50,
    ),
}


def main() -> None:
    """Parse, generate, write or compare."""
    if len(sys.argv) > 1 and sys.argv[1] in NETWORKS:
        arguments = _own_parser().parse_args()
        asked = arguments.solver_mode
        arguments.solver_mode = asked or ("GPU" if arguments.cards > 1 or usable() else "CPU")
        files = {arguments.out / name: text for name, text in generate(arguments, arguments.out).items()}
        write_texts(files)
        print(*files, sep="\n")
        if asked is None and arguments.solver_mode == "CPU":
            print("solver_mode is CPU, as Caffe can use no card here; --solver-mode GPU is for a machine where it can",
                  file=sys.stderr)  # fmt: skip
        return
    parser = _committed_parser()
    arguments = parser.parse_args()
    if not any((HERE / folder).is_dir() for folder in COMMITTED):  # installed, not in a checkout
        parser.error(f"no committed networks are here, only in a checkout; name a network: {', '.join(NETWORKS)}")
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
                    write_texts({path: text})
                    print(f"prototxt/{folder}/{name}")
    if arguments.check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run prototxt/generate.py")


def generate(arguments: Namespace, out: Path) -> Mapping[str, str]:
    """File name -> text of the network that the command line asks for, to lie in `out`."""
    network = NETWORKS[arguments.network]
    check_cards(arguments)
    val = LmdbFolder(Path(arguments.val_lmdb))
    val_records = val.records() if val.exists else 0
    val_batch_size = even_batch_size(val_records, arguments.batch_size)
    data = Data(arguments.train_lmdb, arguments.val_lmdb, arguments.batch_size, val_batch_size, arguments.cards)
    given = {field.name: getattr(arguments, field.name) for field in fields(SolverSettings)}
    return network_files(
        out,
        network.prototxts(arguments, data),
        replace(network.solver, **{name: value for name, value in given.items() if value is not None}),
        test_iter=math.ceil((val_records if val.exists else 1000) / data.val_batch_size),
        command=_command(arguments),
        note=several_cards(data) if data.cards > 1 else "",
    )


def check_cards(arguments: Namespace) -> None:
    """Raise InputError where a network cannot be trained on the cards that are asked for."""
    cards, batch = arguments.cards, arguments.batch_size
    if cards == 1:
        return
    if batch % cards:
        raise InputError(f"--cards {cards}: does not divide the batch of {batch}: each card takes an equal part of it")
    if "sep" in arguments and arguments.sep == "python":
        raise InputError(
            f"--cards {cards}: a Python layer does not run on several cards from the command line: give --sep native"
        )
    if arguments.solver_mode == "CPU":
        raise InputError(f"--cards {cards}: solver-mode CPU has none: leave one of the two out")


def several_cards(data: Data) -> str:
    """What the solver of a network for several cards says of itself."""
    numbers = ",".join(map(str, range(data.cards)))
    return (
        f"For {data.cards} cards: caffe train --gpu {numbers}; each takes {data.card_batch_size} images an iteration, "
        f"{data.batch_size} in all"
    )


def _command(arguments: Namespace) -> str:
    """The command line that makes the same files again: only what differs from the defaults."""
    words = ["prototxt/generate.py", arguments.network]
    defaults = _own_parser().parse_args([arguments.network, "--out", "."])
    for name, value in vars(arguments).items():
        if name not in ("network", "out") and value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
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
    for name, network in NETWORKS.items():
        sub = networks.add_parser(name, help=network.help, description=network.help)
        network.options(sub)
        sub.add_argument("--train-lmdb", default="data/train", help="its preprocessing.json gives the mean")
        sub.add_argument("--val-lmdb", default="data/val", help="its size gives test_iter")
        sub.add_argument("--batch-size", type=int, default=network.batch_size, help="of all cards together")
        sub.add_argument("--cards", type=positive, default=1, metavar="N",
                         help="to train on, with `caffe train --gpu 0,1,..`; N has to divide the batch")  # fmt: skip
        sub.add_argument("--out", type=Path, required=True, metavar="DIR")
        solver = sub.add_argument_group("solver", "defaults: the published settings, as far as there are any")
        for field in fields(SolverSettings):
            option, value = f"--{field.name.replace('_', '-')}", getattr(network.solver, field.name)
            if field.name == "solver_mode":
                solver.add_argument(option, choices=["CPU", "GPU"], help="default: GPU if Caffe can use a card here")
            elif value is None:
                solver.add_argument(option, type=int)
            else:
                solver.add_argument(option, type=type(value), help=f"default {value:g}")
    return parser


if __name__ == "__main__":
    run(main)
