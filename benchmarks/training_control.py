"""A control of what Caffe's training reaches: the same network in PyTorch, on the same records in the same order.

    training_control.py --net runs/pcam_study/seed1/before/global/net --lmdb runs/pcam_study/lmdb/global \\
        --predictions runs/pcam_study/seed1/before/global/predictions.csv --root PATH/pcam --torch-python F

Fillers, BatchNorm, rates, decay and the number of images seen are those of the network's folder; the test images are
those of the predictions file, prepared as the records' recipe says. Prints IL of both, and their difference with its
95% interval over images. Claim: PyTorch's is within 1.5 points. `--torch-python` names a Python that has torch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray

from pyhisto.evaluation.metrics import difference_interval
from pyhisto.evaluation.predictions import read_predictions
from pyhisto.manifest import resolve
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import Datum, read_net, read_solver

POINTS = 1.5
TORCH = Path(__file__).resolve().parent / "training_control_torch.py"


def main() -> None:
    """Gather what Caffe saw, train in PyTorch, compare; exit 1 where the claim does not hold."""
    args = parse()
    settings = read_settings(args.net)
    predictions = read_predictions([args.predictions])
    caffe = next(iter(predictions.whole.values())).argmax(axis=1)
    recipe = Preprocessing.load(args.lmdb / "train" / "preprocessing.json")
    settings["mean"] = list(recipe.mean)
    train, labels = read_records(args.lmdb / "train", settings["batch_size"] * settings["max_iter"])
    pixels = [part for image in predictions.images for _, part in recipe.inputs(read_image(resolve(args.root, image)))]
    with tempfile.TemporaryDirectory() as name:
        arrays, out = Path(name, "arrays.npz"), Path(name, "out.npy")
        np.savez(arrays, train=train, labels=labels, test=np.stack(pixels).transpose(0, 3, 1, 2))
        command = [args.torch_python, str(TORCH), str(arrays), json.dumps(settings), str(out)]
        subprocess.run(command, check=True)
        torch = np.load(out).argmax(axis=1)
    right = {"Caffe": caffe == predictions.labels, "PyTorch": torch == predictions.labels}
    for who, correct in right.items():
        print(f"{who}: IL {100 * correct.mean():.1f} on {len(correct)} images")
    _, patients = np.unique(predictions.patients, return_inverse=True)
    interval = difference_interval(right["PyTorch"].astype(int) - right["Caffe"], patients)
    difference = 100 * float(right["PyTorch"].mean() - right["Caffe"].mean())
    print(f"PyTorch minus Caffe: {difference:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]")
    print(f"claim: at most {POINTS} apart")
    sys.exit(abs(difference) > POINTS)


def read_settings(net: Path) -> dict[str, Any]:
    """What the network's folder says of the training."""
    solver, train_val = read_solver(net / "solver.prototxt"), read_net(net / "train_val.prototxt")
    layers = {layer.name: layer for layer in reversed(train_val.layer)}  # of the two data layers the training's
    fields = ("base_lr", "stepsize", "gamma", "momentum", "weight_decay", "max_iter", "display")
    return {
        **{field: getattr(solver, field) for field in fields},
        "seed": solver.random_seed,
        "batch_size": layers["data"].data_param.batch_size,
        "width": layers["conv1/7x7_s2"].convolution_param.num_output / 64,
        "batch_norm_fraction": layers["conv1/bn"].batch_norm_param.moving_average_fraction,
    }


def read_records(folder: Path, most: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The first records of an LMDB, decoded: shape (n, 3, H, W), BGR; and their labels."""
    images, labels = [], []
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        for _, value in transaction.cursor():
            datum = Datum.FromString(value)
            images.append(cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_COLOR).transpose(2, 0, 1))
            labels.append(datum.label)
            if len(images) == most:
                break
    return np.stack(images), np.array(labels)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", type=Path, required=True, metavar="DIR", help="train_val.prototxt and solver.prototxt")
    parser.add_argument("--lmdb", type=Path, required=True, metavar="DIR", help="what build_lmdb.py wrote")
    parser.add_argument("--predictions", type=Path, required=True, metavar="F", help="of the network by Caffe")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--torch-python", required=True, metavar="F", help="a Python that has torch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
