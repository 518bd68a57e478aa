#!/usr/bin/env python3
"""Table 7 again, by the pruner: weights and FLOPs of the paper's network at its six ratios.

With the ranking over a branch every branch loses the same proportion, and each ratio gives one network: it has to be
within 2.1% of the row. With the ranking over a block, as the method does it, the importance decides which branch
loses more: a random importance a seed shows how far single prunings scatter. Prints both; draws the scatter as a PNG.
"""

import csv
import importlib.resources
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from pyhisto.cli import Parser, run
from pyhisto.cost import Cost
from pyhisto.files import sha256, whole_file
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, set_blob, to_text, write_weights
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning
from pyhisto.pruning.schedule import Schedule, Scope

ALLOWED = 0.021
"""The largest deviation from the paper's rows, with the ranking over a branch."""

BLOCK, BRANCH, PAPER = "#0891b2", "#1d4ed8", "#c2410c"


def main() -> None:
    """Prune, print, draw."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/table7_scatter.png"))
    arguments = parser.parse_args()
    paper = paper_rows()
    with tempfile.TemporaryDirectory() as folder:
        network = full_network(Path(folder))
        branch = {ratio: pruned_cost(network, ratio, "branch", 0) for ratio in paper}
        block = {
            ratio: [pruned_cost(network, ratio, "block", seed) for seed in range(arguments.seeds)]
            for ratio in tqdm(paper, desc="ratios", disable=None)
        }
    print_rows(paper, branch, block)
    with whole_file(arguments.out) as partial:
        draw(paper, branch, block).savefig(partial, format="png", dpi=120, metadata={"Software": None})
    print(arguments.out)
    if any(abs(share) > ALLOWED for ratio in paper for share in deviations(branch[ratio], paper[ratio])):
        sys.exit(f"a branch-wise pruning is further than {ALLOWED:.1%} from Table 7")


def paper_rows() -> dict[float, tuple[float, float]]:
    """Ratio -> weights and FLOPs in millions, as Table 7 prints them, without the unpruned row."""
    text = importlib.resources.files("pyhisto.study.paper").joinpath("tables/table7_cost.csv").read_text()
    rows = [row for row in csv.DictReader(text.splitlines()) if row["method"] == "ours"]
    values = {float(row["pruning_ratio"]): (float(row["weights_M"]), float(row["flops_M"])) for row in rows}
    return {ratio: value for ratio, value in values.items() if ratio > 0}


def full_network(folder: Path) -> LoadedNetwork:
    """The paper's network with random weights, read as the pruner reads it."""
    net = InceptionSEP("paper").deploy()
    model, weights = folder / "deploy.prototxt", folder / "net.caffemodel"
    model.write_text(to_text(net), encoding="utf-8")
    generator = np.random.default_rng(0)
    content = NetParameter()
    for node in Graph.build(net).nodes:
        if node.param_shapes:
            layer = content.layer.add(name=node.name)
            for shape in node.param_shapes:
                set_blob(layer.blobs.add(), generator.standard_normal(shape, np.float32))
    write_weights(weights, content)
    return LoadedNetwork.read(model, [], weights, {})


def pruned_cost(network: LoadedNetwork, ratio: float, scope: Scope, seed: int) -> Cost:
    """What is left after a pruning by SEP with a random importance."""
    generator = np.random.default_rng(seed)
    factors = {name: generator.random(len(gate.channels)) for name, gate in network.dependencies.gates.items()}
    importance = Importance(factors, 1, sha256(network.weights_path))
    removed = plan_pruning(network, "sep", Schedule(ratio, scope=scope), importance, seed)
    return cut_network(network, removed, {}).after


def deviations(cost: Cost, row: tuple[float, float]) -> tuple[float, float]:
    """Of weights and FLOPs from the paper's."""
    return cost.weights / (1e6 * row[0]) - 1, cost.flops / (1e6 * row[1]) - 1


def print_rows(
    paper: dict[float, tuple[float, float]], branch: dict[float, Cost], block: Mapping[float, Sequence[Cost]]
) -> None:
    """The numbers: ours, Table 7's, and the scatter as mean, standard deviation, least and most."""
    for what, index, key in (("weights", 0, "weights"), ("FLOPs", 1, "flops")):
        print(f"{what}, M   Table 7   branch           block: mean     std     min     max   from Table 7")
        for ratio, row in paper.items():
            values = np.array([getattr(cost, key) for cost in block[ratio]]) / 1e6
            share = deviations(branch[ratio], row)[index]
            low, high = values.min() / row[index] - 1, values.max() / row[index] - 1
            print(
                f"O = {ratio:<6g} {row[index]:9.2f} {getattr(branch[ratio], key) / 1e6:9.3f} ({share:+.1%})"
                f" {values.mean():13.3f} {values.std():7.3f} {values.min():7.3f} {values.max():7.3f}"
                f"   {low:+.1%} to {high:+.1%}"
            )


def draw(
    paper: dict[float, tuple[float, float]], branch: dict[float, Cost], block: Mapping[float, Sequence[Cost]]
) -> Figure:
    """Deviations from Table 7 in percent: one dot a seed, the branch-wise pruning, and the allowed band."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    generator = np.random.default_rng(0)
    for index, (axes, what) in enumerate(zip(figure.subplots(2, 1, sharex=True), ("weights", "FLOPs"), strict=True)):
        axes.axhspan(-100 * ALLOWED, 100 * ALLOWED, color="#e5e7eb", zorder=0, label=f"within {ALLOWED:.1%}")
        axes.axhline(0, color=PAPER, linewidth=1.2, label="Table 7")
        for place, ratio in enumerate(paper):
            shares = [100 * deviations(cost, paper[ratio])[index] for cost in block[ratio]]
            spread = place + generator.uniform(-0.18, 0.18, len(shares))
            own = 100 * deviations(branch[ratio], paper[ratio])[index]
            axes.scatter(spread, shares, s=9, color=BLOCK, alpha=0.5, linewidths=0,
                         label=f"ranked over a block, {len(shares)} seeds" if place == 0 else None)  # fmt: skip
            axes.scatter([place], [own], s=50, marker="D", color=BRANCH, zorder=3,
                         label="ranked over a branch" if place == 0 else None)  # fmt: skip
        axes.set_ylabel(f"{what}: deviation from Table 7, %")
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(range(len(paper)), [f"O = {ratio:g}\n{w:g} M / {f:g} M" for ratio, (w, f) in paper.items()])
    axes.set_xlim(-0.6, len(paper) - 0.4)
    axes.set_xlabel("target pruning ratio, and Table 7's weights / FLOPs")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize="small", frameon=False)
    return figure


if __name__ == "__main__":
    run(main)
