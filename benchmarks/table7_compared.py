#!/usr/bin/env python3
"""Table 7's rows of the compared methods: our counts, and whether any reading of the descriptions gives the printed.

[11]: 0.55 M weights, 47.4 M and 188.5 M FLOPs at 32 and 64 pixels. Its network is Caffe's cifar10_quick, whose weights
and FLOPs are certain. A search over sides, widths, kernels, pads, poolings left out, inner products, and FLOPs counted
once or twice a multiply-add looks for a network of three convolutions that costs 47.4 and 188.5 M.

[17]: 13.5 M weights, 8521 M FLOPs. Of its network three convolutions of 7x7, 5x5 and 3x3 are known. The search goes
over input sizes, strides, pads, poolings, widths and inner products, and reads 13.5 as millions of numbers and as MiB.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from pyhisto.cli import Parser, run
from pyhisto.cost import Cost, layer_costs, total_cost
from pyhisto.graph import Graph
from pyhisto.nets.builder import conv_side, pool_side
from pyhisto.nets.magnification_cnn import MagnificationCNN
from pyhisto.nets.patch_cnn import PATCHES, PatchCNN
from pyhisto.proto import Net

SPANHOL_WEIGHTS, SPANHOL_FLOPS = 0.55, {32: 47.4, 64: 188.5}
BAYRAMOGLU_WEIGHTS, BAYRAMOGLU_FLOPS = 13.5, 8521.0
MIB = 2**20


@dataclass(frozen=True)
class Reading:
    """A network of three convolutions and inner products, as a description may be read."""

    sides: tuple[int, int]
    """Height and width of the input."""
    kernels: tuple[int, int, int]
    widths: tuple[int, int, int]
    stride: int
    """Of the first convolution."""
    padded: bool
    """Whether the convolutions keep the size (apart from the stride)."""
    pooled: tuple[bool, ...]
    """After which convolutions a 3x3 pooling of stride 2 stands."""
    hidden: tuple[int, ...]
    """The inner products before the classifier."""

    def cost(self) -> tuple[int, int] | None:
        """Weights with biases, and multiply-adds; None where nothing is left of the input."""
        height, width = self.sides
        channels, weights, products = 3, 0, 0
        for index, (kernel, out, pools) in enumerate(zip(self.kernels, self.widths, self.pooled, strict=True)):
            stride, pad = (self.stride if index == 0 else 1), (kernel // 2 if self.padded else 0)
            height, width = (conv_side(side, kernel, stride, pad) for side in (height, width))
            if min(height, width) < 3:
                return None
            size = out * channels * kernel**2
            weights, products, channels = weights + size + out, products + size * height * width, out
            if pools:
                height, width = (pool_side(side, 3, 2) for side in (height, width))
        inputs = channels * height * width
        for out in (*self.hidden, 2):
            weights, products, inputs = weights + inputs * out + out, products + inputs * out, out
        return weights, products


def main() -> None:
    """Count ours; search; print."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.parse_args()
    for patch in PATCHES:
        cost = count(PatchCNN(patch=patch).deploy())
        print(
            f"[11] {patch}x{patch}: {cost.weights:,} weights ({cost.weights / 1e6:.3f} M; {4 * cost.weights / MIB:.3f} "
            f"MiB of float32), {cost.flops / 1e6:.1f} M FLOPs; printed {SPANHOL_WEIGHTS} and {SPANHOL_FLOPS[patch]}, "
            f"{SPANHOL_FLOPS[patch] * 1e6 / cost.flops:.3f} times ours"
        )
    small = 4 * count(PatchCNN(patch=32).deploy()).weights / MIB
    print(f"     0.55 is the size of the 32x32 network's weights in MiB ({small:.3f}), not their number.")
    report("[11] 47.4 and 188.5 M FLOPs", spanhol_readings(), spanhol_hit)
    cost = count(MagnificationCNN().deploy())
    print(
        f"[17] widths of Levi & Hassner at 227 pixels: {cost.weights / 1e6:.2f} M weights, "
        f"{cost.flops / 1e6:.1f} M FLOPs; printed {BAYRAMOGLU_WEIGHTS} and {BAYRAMOGLU_FLOPS:g}"
    )
    report("[17] 13.5 M (or MiB) weights and 8521 M FLOPs", bayramoglu_readings(), bayramoglu_hit)


def count(net: Net) -> Cost:
    """A network's whole cost, as tools/cost.py counts."""
    return total_cost(layer_costs(Graph.build(net)))


def report(what: str, readings: Sequence[Reading], hit: Callable[[Reading], Iterator[str]]) -> None:
    """Try every reading; print those that give the printed numbers."""
    found = [text for reading in tqdm(readings, what, unit=" readings", disable=None) for text in hit(reading)]
    print(f"{what}: {len(found)} of {len(readings):,} readings give them")
    for text in found:
        print(f"     {text}")


def spanhol_readings() -> list[Reading]:
    """Around cifar10_quick."""
    widths = (16, 32, 48, 64, 96, 128)
    return [
        Reading((32, 32), kernels, (w1, w2, w3), 1, padded, pooled, hidden)
        for kernels in ((5, 5, 5), (3, 3, 3), (5, 5, 3), (5, 3, 3))
        for w1, w2, w3 in itertools.product(widths, repeat=3)
        for padded in (True, False)
        for pooled in itertools.product((True, False), repeat=3)
        for hidden in ((), (64,), (128,), (256,), (500,), (1024,))
    ]


def spanhol_hit(reading: Reading) -> Iterator[str]:
    """Whether it costs what is printed at both sizes, each to its last digit."""
    costs = [replace(reading, sides=(side, side)).cost() for side in PATCHES]
    for per_product in (1, 2):
        if all(
            cost is not None and abs(per_product * cost[1] / 1e6 - SPANHOL_FLOPS[side]) < 0.05
            for cost, side in zip(costs, PATCHES, strict=True)
        ):
            yield f"{reading}: {per_product} a multiply-add"


def bayramoglu_readings() -> list[Reading]:
    """7x7, 5x5 and 3x3, widths of networks of the time, square inputs and BreaKHis's 700x460 at several scales."""
    widths = (
        (32, 64, 128), (48, 128, 192), (64, 128, 128), (64, 128, 256), (64, 128, 512), (64, 192, 384),
        (96, 128, 256), (96, 192, 384), (96, 256, 256), (96, 256, 384), (96, 256, 512), (128, 256, 512),
    )  # fmt: skip
    squares = [(side, side) for side in (100, 112, 128, 150, 200, 224, 227, 230, 256, 299, 300, 350, 400, 448, 460)]
    oblongs = [(round(460 * scale / 20), round(700 * scale / 20)) for scale in range(3, 21)]
    return [
        Reading(sides, (7, 5, 3), width, stride, padded, pooled, hidden)
        for sides in squares + oblongs
        for width in widths
        for stride in (1, 2, 3, 4)
        for padded in (True, False)
        for pooled in ((True, True, True), (True, True, False))
        for hidden in ((256,), (512,), (1024,), (4096,), (256, 256), (512, 512), (1024, 1024), (4096, 4096))
    ]


def bayramoglu_hit(reading: Reading) -> Iterator[str]:
    """Whether both numbers come out, each to its last digit."""
    cost = reading.cost()
    for per_product in (1, 2) if cost else ():
        for unit, bytes_each in ((1e6, 1), (MIB, 4)):
            weights, products = cost or (0, 0)
            right = abs(weights * bytes_each / unit - BAYRAMOGLU_WEIGHTS) < 0.05
            if right and abs(per_product * products / 1e6 - BAYRAMOGLU_FLOPS) < 0.5:
                yield f"{reading}: {per_product} a multiply-add, weights in {'MiB' if bytes_each == 4 else 'millions'}"


if __name__ == "__main__":
    run(main)
