#!/usr/bin/env python3
"""Draws what a pruned detector finds beside what the original finds, on photos; by OpenCV.

For networks whose output is that of SSD's DetectionOutput (image, class, confidence, left, top, right, bottom). Each
photo is one row: left the original, right the network pruned by --ratio (l1, within blocks), not retrained.
"""

import tempfile
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pyhisto.cli import Parser, ratio, run
from pyhisto.errors import InputError
from pyhisto.files import whole_file
from pyhisto.pruning.pruner import LoadedNetwork, cut_network, plan_pruning, write
from pyhisto.pruning.schedule import Schedule

Image: TypeAlias = NDArray[np.uint8]
Boxes: TypeAlias = NDArray[np.float32]
"""Confidence, left, top, right, bottom, as shares of the image; one row a box."""

HEIGHT = 320
COLOUR = (40, 220, 40)


def main() -> None:
    """Prune, run both, draw, and print how the boxes overlap."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, metavar="F.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F")
    parser.add_argument("--images", type=Path, nargs="+", required=True, metavar="F")
    parser.add_argument("--mean", type=float, nargs=3, default=[104, 117, 123], metavar="B", help="blue, green, red")
    parser.add_argument("--ratio", type=ratio, default=0.1, metavar="O")
    parser.add_argument("--confidence", type=float, default=0.5, metavar="P", help="draw boxes from this one on")
    parser.add_argument("--out", type=Path, required=True, metavar="F.png")
    arguments = parser.parse_args()
    network = LoadedNetwork.read(arguments.model, [], arguments.weights, {})
    pruned = cut_network(network, plan_pruning(network, "l1", Schedule(arguments.ratio), None, 0), {})
    shape = network.model.inputs[0].shape
    if shape is None or len(shape) != 4:
        raise InputError(f"{arguments.model}: its first input is not an image")
    with tempfile.TemporaryDirectory() as folder:
        write(network, pruned, None, Path(folder, "out"))
        files = [
            (arguments.model, arguments.weights),
            (Path(folder, "out", arguments.model.name), Path(folder, "out", arguments.weights.name)),
        ]
        nets = [cv2.dnn.readNetFromCaffe(str(model), str(weights)) for model, weights in files]
    rows = []
    for path in arguments.images:
        image = cv2.imread(str(path))
        if image is None:
            raise InputError(f"{path}: cannot be read as an image")
        found = [_detect(net, image, shape[2:], arguments.mean, arguments.confidence) for net in nets]
        overlaps = ", ".join(f"{_best_overlap(box, found[1]):.2f}" for box in found[0])
        print(f"{path.name}: {len(found[0])} boxes before, {len(found[1])} after; overlaps: {overlaps or 'none'}")
        rows.append(np.hstack([_draw(image, boxes) for boxes in found]))
    width = max(row.shape[1] for row in rows)
    sheet = np.vstack([np.pad(row, ((0, 8), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])
    with whole_file(arguments.out) as partial:
        partial.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
    left = pruned.after.flops / pruned.before.flops
    print(f"{arguments.out}: {arguments.ratio:.0%} of the channels pruned, {left:.0%} of the FLOPs left")


def _detect(net: cv2.dnn.Net, image: Image, size: tuple[int, ...], mean: list[float], confidence: float) -> Boxes:
    height, width = size
    net.setInput(cv2.dnn.blobFromImage(image, 1.0, (width, height), mean))
    boxes = net.forward().reshape(-1, 7)
    return np.asarray(boxes[boxes[:, 2] >= confidence, 2:], np.float32)


def _best_overlap(box: NDArray[np.float32], others: Boxes) -> float:
    """The largest share that a box's intersection with one of the others has of their union."""
    if not len(others):
        return 0.0
    low, high = np.maximum(box[1:3], others[:, 1:3]), np.minimum(box[3:5], others[:, 3:5])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(others[:, 3:5] - others[:, 1:3], axis=1) + np.prod(box[3:5] - box[1:3])
    return float((both / (area - both)).max())


def _draw(image: Image, boxes: Boxes) -> Image:
    scale = HEIGHT / image.shape[0]
    drawn = cv2.resize(image, (round(image.shape[1] * scale), HEIGHT), interpolation=cv2.INTER_AREA)
    sides = np.array([drawn.shape[1], drawn.shape[0]] * 2)
    for confidence, *corners in boxes:
        left, top, right, bottom = (int(value) for value in np.array(corners) * sides)
        cv2.rectangle(drawn, (left, top), (right, bottom), COLOUR, 2)
        cv2.putText(drawn, f"{confidence:.2f}", (left, max(top - 4, 12)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, COLOUR, 1)
    return np.asarray(drawn, np.uint8)


if __name__ == "__main__":
    run(main)
