"""What the encoding of an LMDB's records does to a trained network's decisions, to their size and to their speed.

Every network input of a manifest's images is given to the network as it is, and as each encoding gives it back. Printed
for each: size of a record, milliseconds of processor to encode and to decode it, the largest and mean difference of a
level, decisions (the class of the largest probability) that differ from those on the pixels as they are, with the
largest difference of a probability, and the accuracy.
"""

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import ENGINES, Engine
from pyhisto.manifest import SPLITS, read_manifest, resolve
from pyhisto.preprocessing.images import Image, read_image
from pyhisto.preprocessing.recipe import Preprocessing

FULL_COLOUR = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
ENCODINGS: dict[str, tuple[str, list[int]]] = {
    **{f"JPEG 4:2:0, quality {q}": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, q]) for q in (95, 100)},
    **{f"JPEG 4:4:4, quality {q}": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, q, *FULL_COLOUR]) for q in (95, 98, 99, 100)},
    "PNG": (".png", []),
}
"""Name -> file name ending and parameters of OpenCV's imencode."""
BATCH = 15


def main() -> None:
    """Predict on each form of the inputs; print a table."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F")
    parser.add_argument("--preprocessing", type=Path, required=True, metavar="F")
    parser.add_argument("--manifest", type=Path, required=True, metavar="F")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--split", choices=SPLITS, nargs="+", default=["val", "test"], help="default: val test")
    parser.add_argument("--engine", choices=list(ENGINES), default="caffe")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    recipe = Preprocessing.load(args.preprocessing)
    engine = ENGINES[args.engine](read_deploy(args.model, args.weights), None)
    rows = [row for row in read_manifest(args.manifest) if row.split in args.split]
    if not rows:
        raise InputError(f"{args.manifest}: has no image of {', '.join(args.split)}")
    inputs, labels = [], []
    for row in rows:
        pixels = [patch for _, patch in recipe.cut(recipe.normalise(read_image(resolve(args.root, row.path))))]
        inputs += pixels
        labels += [row.label] * len(pixels)
    truth = np.array(labels)
    began = time.process_time()
    clean = probabilities(engine, recipe, inputs)
    forward = 1e3 * (time.process_time() - began) / len(inputs)
    print(f"{len(rows)} images, {len(inputs)} inputs of {recipe.size} pixels, {forward:.1f} ms each in the network;")
    print(f"as they are: {right(clean, truth)} right. Records of this network's training LMDB: {recipe.record}")
    print("| records | kB | encode, ms | decode, ms | largest, mean difference | decisions that differ |"
          " largest difference of a probability | right |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name, (ending, parameters) in ENCODINGS.items():
        print(f"| {name} | {measured(engine, recipe, inputs, truth, clean, ending, parameters)} |")


def measured(
    engine: Engine, recipe: Preprocessing, inputs: list[Image], truth: NDArray[np.int_], clean: NDArray[np.float32],
    ending: str, parameters: list[int],
) -> str:  # fmt: skip
    """The cells of one encoding's line."""
    began = time.process_time()
    files = [cv2.imencode(ending, pixels, parameters)[1] for pixels in inputs]
    encoded = time.process_time()
    back = [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8) for file in files]
    decoded = time.process_time()
    apart = [np.abs(one.astype(int) - other) for one, other in zip(back, inputs, strict=True)]
    found = probabilities(engine, recipe, back)
    differ = np.count_nonzero(found.argmax(1) != clean.argmax(1))
    cells = [
        f"{np.mean([len(file) for file in files]) / 1e3:.1f}",
        f"{1e3 * (encoded - began) / len(inputs):.2f}",
        f"{1e3 * (decoded - encoded) / len(inputs):.2f}",
        f"{max(int(difference.max()) for difference in apart)}, {np.mean([d.mean() for d in apart]):.2f}",
        f"{differ} ({differ / len(inputs):.1%})",
        f"{np.abs(found - clean).max():.3f}",
        right(found, truth),
    ]
    return " | ".join(cells)


def probabilities(engine: Engine, recipe: Preprocessing, inputs: list[Image]) -> NDArray[np.float32]:
    """N x classes."""
    starts = tqdm(range(0, len(inputs), BATCH), unit="batch", leave=False)
    return np.concatenate([engine(recipe.blob(inputs[start : start + BATCH])) for start in starts])


def right(found: NDArray[np.float32], truth: NDArray[np.int_]) -> str:
    """Accuracy of the inputs taken one by one."""
    return f"{np.mean(found.argmax(1) == truth):.1%}"


if __name__ == "__main__":
    run(main)
