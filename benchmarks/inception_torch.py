"""The paper's network (Zhu et al. 2019, Table 1) in PyTorch, for benchmarks to compare with. Needs torch alone."""

import torch
from torch import Tensor, nn

BLOCKS = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
}
TAIL = ("4e", "4b", "4c")


def scaled(channels: int, width: float) -> int:
    """How many channels stand for so many of the full network."""
    return max(1, round(channels * width))


def unit(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Block(nn.Module):  # type: ignore[misc]
    """An Inception block and the Squeeze-Excitation block behind it."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, projection = widths
        self.outputs = one + three + five + projection
        self.one = unit(inputs, one)
        self.three = nn.Sequential(unit(inputs, reduce3), unit(reduce3, three, 3))
        self.five = nn.Sequential(unit(inputs, reduce5), unit(reduce5, five, 5))
        self.projection = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(inputs, projection))
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(self.outputs, max(1, self.outputs // 16), 1), nn.ReLU(inplace=True),
            nn.Conv2d(max(1, self.outputs // 16), self.outputs, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H x W."""
        x = torch.cat([self.one(x), self.three(x), self.five(x), self.projection(x)], 1)
        return x * self.gate(x)


class InceptionSEP(nn.Module):  # type: ignore[misc]
    """The paper's network (Table 1), `width` times as wide."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        first, reduce, inputs = (scaled(channels, width) for channels in (64, 64, 192))
        self.stem = nn.Sequential(unit(3, first, 7, 2), pool, unit(first, reduce), unit(reduce, inputs, 3), pool)
        self.pool = pool
        self.blocks = nn.ModuleDict()
        for name, widths in BLOCKS.items():
            self.blocks[name] = Block(inputs, tuple(scaled(channels, width) for channels in widths))
            inputs = self.blocks[name].outputs
        self.classifier = nn.Linear(sum(self.blocks[name].outputs for name in TAIL), 2)

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x H x W to N x 2."""
        x = self.stem(x)
        made = {}
        for name, block in self.blocks.items():
            x = made[name] = block(x)
            if name == "3b":
                x = self.pool(x)
        x = self.pool(torch.cat([made[name] for name in TAIL], 1))
        return self.classifier(x.mean((2, 3)))
