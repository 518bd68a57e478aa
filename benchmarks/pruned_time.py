#!/usr/bin/env python3
"""How much faster Caffe runs the paper's full network pruned at 0.5: `caffe time`, forward, the two taking turns.

Pruned as the paper prunes: by SEP (a made-up, random importance), ranked over each block's channels. Prints the ratio
of the forward times beside that of the FLOPs. A busy machine distorts the clock, so that a second measurement counts
CPU time, each layer's least in some rounds of pycaffe; its table says, by layer type, where the time goes. One BLAS
thread.
"""

import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"}

import caffe
import numpy as np

from pyhisto.cli import Parser, ratio, run
from pyhisto.files import sha256
from pyhisto.graph import Graph
from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, set_blob, to_text, write_weights
from pyhisto.pruning.importance import Importance
from pyhisto.pruning.pruner import LoadedNetwork, Pruned, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule
from pyhisto.training.timing import Timing, caffe_time

TARGET = 0.70
STEM = ("conv1/", "pool1/", "conv2/", "pool2/")
"""What comes before the first SEP block, and is not pruned."""


def main() -> None:
    """Measure and print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=2, help="of `caffe time`, a round")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--ratio", type=ratio, default=0.5, metavar="O")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, pruned = prune_at_random(folder, arguments.batch, arguments.ratio)
        models = (model, folder / "pruned" / model.name)
        timings: tuple[list[Timing], list[Timing]] = ([], [])
        for round_number in range(arguments.rounds):
            for which in (0, 1) if round_number % 2 else (1, 0):
                timings[which].append(caffe_time(models[which], arguments.batch, arguments.iterations))
                print(
                    f"round {round_number + 1}: {('original', 'pruned')[which]} {timings[which][-1].forward_ms:.0f} ms"
                )
        cpu = _cpu_by_type(models, arguments.rounds)
    before, after = (statistics.median(timing.forward_ms for timing in side) for side in timings)
    pairs = [after.forward_ms / before.forward_ms for before, after in zip(*timings, strict=True)]
    print(
        f"caffe time, medians of {len(pairs)} rounds: {before:.0f} ms -> {after:.0f} ms, ratio {after / before:.3f}",
        end="",
    )
    print(f" (the rounds' own ratios: {min(pairs):.3f} to {max(pairs):.3f})")
    original, smaller = (side.total() for side in cpu)
    print(f"CPU time: {original:.0f} ms -> {smaller:.0f} ms, ratio {smaller / original:.3f}")
    flops = pruned.after.flops / pruned.before.flops
    activations = pruned.after.activation_bytes / pruned.before.activation_bytes
    print(f"target: at most {TARGET:.2f}; of the FLOPs {flops:.3f} are left, of the activations {activations:.3f}")
    print(f"{'type':18}{'ms':>8}{'pruned':>8}{'ratio':>8}{'share of pruned':>17}")
    for kind, milliseconds in cpu[0].most_common():
        if milliseconds >= 0.01 * original:
            left = cpu[1][kind]
            print(f"{kind:18}{milliseconds:8.1f}{left:8.1f}{left / milliseconds:8.3f}{left / smaller:17.1%}")


def prune_at_random(folder: Path, batch: int, share: float, everywhere: bool = False) -> tuple[Path, Pruned]:
    """Write the network with random weights, and pruned in the folder `pruned`.

    As the paper prunes it, the SEP blocks' outputs alone; or `everywhere`, the stem and the reductions too.
    """
    generator = np.random.default_rng(0)
    net = InceptionSEP("paper").deploy()
    net.layer[0].input_param.shape[0].dim[0] = batch
    model, caffemodel = folder / "deploy.prototxt", folder / "random.caffemodel"
    model.write_text(to_text(net), encoding="utf-8")
    weights = NetParameter()
    for node in Graph.build(net).nodes:
        if node.param_shapes:
            layer = weights.layer.add(name=node.name, type=node.type)
            for shape in node.param_shapes:
                set_blob(layer.blobs.add(), generator.normal(size=shape).astype(np.float32))
    write_weights(caffemodel, weights)
    network = LoadedNetwork.read(model, [], caffemodel, {})
    blocks = {name: generator.random(len(gate.channels)) for name, gate in network.dependencies.gates.items()}
    importance = Importance(blocks, samples=1, weights_sha256=sha256(caffemodel))
    if everywhere:
        removed = plan_pruning(network, "random", Schedule(share), None, seed=0)
    else:
        removed = plan_pruning(network, "sep", Schedule(share, scope="block"), importance, seed=0)
    pruned = cut_network(network, removed, {"ratio": share})
    write(network, pruned, None, folder / "pruned")
    return model, pruned


def _cpu_by_type(models: tuple[Path, Path], rounds: int) -> tuple[Counter[str], Counter[str]]:
    """Milliseconds of CPU in a forward pass by layer type, the stem's layers apart; the networks take turns."""
    nets = tuple(caffe.Net(str(model), caffe.TEST) for model in models)
    least: tuple[dict[int, float], dict[int, float]] = ({}, {})
    for _ in range(rounds):
        for net, seconds in zip(nets, least, strict=True):
            for index in range(len(net.layers)):
                start = time.thread_time()
                net._forward(index, index)
                spent = time.thread_time() - start
                seconds[index] = min(spent, seconds.get(index, spent))
    total: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for net, seconds, counter in zip(nets, least, total, strict=True):
        for index, spent in seconds.items():
            kind = net.layers[index].type + ", stem" * net._layer_names[index].startswith(STEM)
            counter[kind] += spent * 1000  # type: ignore[assignment]
    return total


if __name__ == "__main__":
    run(main)
