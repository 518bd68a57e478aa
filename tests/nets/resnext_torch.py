"""A ResNeXt in PyTorch whose tensors have torchvision's and timm's names: the peer of the Caffe network. Needs torch.

Run as a program it writes the golden files: golden/resnext_tiny.safetensors and golden/resnext_tiny_io.safetensors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # R, G, B
GOLDEN = Path(__file__).parent / "golden"
TINY = {"depths": (1, 2, 1, 1), "width": 4, "groups": 2, "group_width": 2, "num_classes": 5}
TINY_SIDE = 64


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, groups: int, project: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if project:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNeXt(nn.Module):
    def __init__(self, depths: Sequence[int], width: int, groups: int, group_width: int, num_classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                inner, outputs = groups * group_width << stage, 4 * width << stage
                blocks.append(Bottleneck(inputs, inner, outputs, stride, groups, index == 0))
                inputs = outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.softmax(self.fc(x.mean((2, 3))), 1)


def random_network(seed: int, **shape: object) -> ResNeXt:
    """A network of random weights and random running statistics, for evaluation."""
    torch.manual_seed(seed)
    network = ResNeXt(**shape)  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(network.fc.weight, 0, 0.3)
    network.eval()
    return network


def outputs(network: nn.Module, bgr: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probabilities for N x 3 x H x W pixels, BGR from 0 to 255, prepared as the published networks want them."""
    rgb = torch.from_numpy(bgr[:, ::-1].copy()) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    with torch.no_grad():
        probabilities: NDArray[np.float32] = network((rgb - mean) / std).numpy()
    return probabilities


def pixels(seed: int, count: int, side: int) -> NDArray[np.float32]:
    """Random whole pixel values."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side)).astype(np.float32)


if __name__ == "__main__":
    from safetensors.numpy import save_file

    GOLDEN.mkdir(exist_ok=True)
    tiny, images = random_network(0, **TINY), pixels(0, 2, TINY_SIDE)
    save_file({name: value.numpy() for name, value in tiny.state_dict().items()}, GOLDEN / "resnext_tiny.safetensors")
    arrays: dict[str, NDArray[Any]] = {"pixels": images.astype(np.uint8), "probabilities": outputs(tiny, images)}
    save_file(arrays, GOLDEN / "resnext_tiny_io.safetensors")
