"""The training of Kone & Boulmane 2018, section 2.2: the head alone, then middle and last layers, in SGDR's cycles.

Before it comes the choice of a learning rate (`lr_finder`). A phase is a training of its own: it starts from the
weights of the phase before it with an empty history, as a `fit` of fastai does, and resumes by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pyhisto.errors import InputError
from pyhisto.files import whole_file, write_text
from pyhisto.graph import layers_in_phase
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.proto import TRAIN, Net, read_net, read_solver, to_text
from pyhisto.training.groups import FIRST, LAST, MIDDLE, Groups, Shares, with_shares
from pyhisto.training.schedules import WarmRestarts

NETWORK, SOLVER = "train_val.prototxt", "phase.prototxt"

COLOURS = {FIRST: "#6b7280", MIDDLE: "#0891b2", LAST: "#c2410c"}


@dataclass(frozen=True)
class Phase:
    """One phase; the numbers of epochs are passes over the training images."""

    name: str
    shares: Shares
    cycles: int
    cycle_epochs: int = 1
    cycle_mult: int = 1

    def schedule(self, rate: float, epoch: int) -> WarmRestarts:
        """Its learning rates; `epoch` is the number of iterations of one."""
        return WarmRestarts(rate, self.cycle_epochs * epoch, self.cycle_mult)


def head(epochs: int) -> Phase:
    """Only the last layers learn; a cycle an epoch (section 2.2: 3 epochs)."""
    return Phase("head", {FIRST: 0, MIDDLE: 0, LAST: 1}, epochs)


def fine(middle_share: float, cycles: int, cycle_epochs: int, cycle_mult: int) -> Phase:
    """Middle and last layers learn, the middle ones at a share of the rate; the first layers stay as they are.

    Cycles and share are the caller's: section 2.2 leaves the cycles open and calls its share arbitrary.
    """
    return Phase("fine", {FIRST: 0, MIDDLE: middle_share, LAST: 1}, cycles, cycle_epochs, cycle_mult)


def save_schedule(path: Path, phases: Sequence[Phase], rate: float, epoch: int) -> None:
    """Draw the groups' learning rates over the phases' iterations as a PNG; `epoch` is the iterations of one."""
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.subplots()
    begin = 0
    for number, phase in enumerate(phases):
        schedule = phase.schedule(rate, epoch)
        iterations = range(schedule.end(phase.cycles))
        for group, share in phase.shares.items():
            if share:
                axes.plot(
                    [(begin + iteration) / epoch for iteration in iterations],
                    [share * schedule.rate(iteration) for iteration in iterations],
                    color=COLOURS[group], linewidth=1.5, label=f"{group} layers" if number == len(phases) - 1 else None,
                )  # fmt: skip
        axes.text(begin / epoch, 1.04 * rate, f" {phase.name}", va="bottom")
        axes.axvline(begin / epoch, color="#6b7280", linewidth=0.8)
        begin += len(iterations)
    axes.set(xlabel="epoch", ylabel="learning rate", ylim=(0, 1.15 * rate), xlim=(0, begin / epoch))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside upper right", ncols=3, fontsize="small", frameon=False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})


def read_training_net(solver_path: Path) -> tuple[Net, str]:
    """The network that a solver trains, and its file. Raises InputError where it is not in a file of its own."""
    solver = read_solver(solver_path)
    file = solver.train_net or solver.net
    if not file or solver.HasField("train_state"):
        raise InputError(f'{solver_path}: learning-rate groups need net: "F", and no train_state')
    return read_net(Path(file)), file


def epoch_iterations(solver_path: Path) -> int:
    """The iterations of an epoch: as many records as there are training images, whatever was made of each.

    Of an LMDB of data_prep's with 8 augmented forms of an image an epoch takes an eighth, another one the next time: so
    counts fastai, which augments anew whenever it reads. Of another LMDB it takes all. The last iteration perhaps takes
    a few of the next epoch's. Raises InputError where the images are not in an LMDB.
    """
    net, file = read_training_net(solver_path)
    for layer, _ in layers_in_phase(net, TRAIN, source=file):
        if layer.type == "Data" and layer.data_param.backend == layer.data_param.LMDB:
            batch = layer.data_param.batch_size * read_solver(solver_path).iter_size
            return -(-training_images(LmdbFolder(Path(layer.data_param.source))) // int(batch))
    raise InputError(f"{file}: trains on no LMDB, so that the length of an epoch is not known; give it in iterations")


def training_images(lmdb: LmdbFolder) -> int:
    """How many images an LMDB was made of, by the preprocessing.json in it; its records, if it does not say that."""
    records = lmdb.records()
    try:
        images = sum(lmdb.provenance.images.get(lmdb.path.name, {}).values())
    except InputError:
        return records
    return images if 0 < images <= records else records


def write_phase(solver_path: Path, groups: Groups, shares: Shares, weights: Path, folder: Path, **fields: Any) -> Path:
    """Write folder/train_val.prototxt, whose groups learn at their shares, and a solver for it; the solver's path.

    `fields` are set in the solver. `weights` are those that the training will start from.
    """
    solver = read_solver(solver_path)
    net, file = read_training_net(solver_path)
    write_text(folder / NETWORK, to_text(with_shares(net, groups, shares, weights, file)))
    setattr(solver, "train_net" if solver.train_net else "net", str(folder / NETWORK))
    for name, value in fields.items():
        setattr(solver, name, value)
    write_text(folder / SOLVER, to_text(solver))
    return folder / SOLVER
