"""One whole input of every kind that the programs read, small, in one folder; commands are run in it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import tifffile

from pyhisto.evaluation.predictions import PredictionRow, write_predictions
from pyhisto.graph import Graph
from pyhisto.hierarchy.predictions import NodePredictionRow
from pyhisto.hierarchy.predictions import write_predictions as write_tree_predictions
from pyhisto.nets.resnext import ResNeXt
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proto import read_net, read_weights, to_text, write_weights
from tests.networks import IMAGE_NET, random_weights
from tests.study.made_up import write_stage

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "nets" / "golden" / "resnext_tiny.safetensors"
TREE = "tree/BreaKHis_v1"
XML = (
    '<Annotations><Annotation MicronsPerPixel="0.467"><Regions><Region Text="Invasive"><Vertices>{}</Vertices></Region>'
    "</Regions></Annotation></Annotations>"
)


def make_corpus(folder: Path) -> None:
    """Fill the folder. Takes about half a minute."""
    folder.mkdir(parents=True)

    def run(program: str, *arguments: object) -> None:
        command = [sys.executable, str(ROOT / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"

    run("data_prep/make_synthetic.py", "--out", "tree", "--patients", 12, "--images", 2, "--magnification", 100,
        "--workers", 1)  # fmt: skip
    for path in (folder / "tree").rglob("*.png"):
        cv2.imwrite(str(path), cv2.resize(read_image(path), (70, 46), interpolation=cv2.INTER_AREA))
    fold = ["--dataset", "breakhis", "--root", TREE, "--folds", "tree/breakhis_folds", "--fold", 1]
    run("data_prep/make_manifest.py", *fold, "--magnification", 100, "--out", "manifest.csv")
    run("data_prep/build_lmdb.py", "--manifest", "manifest.csv", "--root", TREE, "--branch", "global", "--size", 32,
        "--augment", 2, "--workers", 1, "--out", "lmdb")  # fmt: skip
    lmdbs = ["--train-lmdb", "lmdb/train", "--val-lmdb", "lmdb/val", "--batch-size", 4]
    run("prototxt/generate.py", "inception-sep", "--width", 0.05, "--input-size", 32, *lmdbs, "--max-iter", 2,
        "--test-interval", 2, "--display", 1, "--snapshot", 2, "--solver-mode", "CPU", "--out", "net")  # fmt: skip
    run("tools/train.py", "--solver", "net/solver.prototxt", "--out", "trained")
    shutil.copy(folder / "net/snapshot_iter_2.caffemodel", folder / "net.caffemodel")
    (folder / "net/snapshot_iter_2.solverstate").rename(folder / "net.solverstate")
    (folder / "net/snapshot_iter_2.caffemodel").unlink()
    write_weights(folder / "net.caffemodel.h5", read_weights(folder / "net.caffemodel"))
    run("tools/channel_importance.py", "--model", "net/statistics.prototxt", "--weights", "net.caffemodel", "--out",
        "importance.json")  # fmt: skip
    run("tools/prune.py", "--model", "net/deploy.prototxt", "--also", "net/train_val.prototxt", "net/solver.prototxt",
        "--weights", "net.caffemodel", "--criterion", "l1", "--ratio", 0.5, "--out", "smaller")  # fmt: skip
    run("tools/convert_snapshot.py", "--plan", "smaller/plan.json", "--snapshot", "net.solverstate", "--out",
        "net.solverstate.h5")  # fmt: skip
    shutil.copy(folder / "net.solverstate", folder / "kept.solverstate")
    run("tools/predict.py", "--model", "net/deploy.prototxt", "--weights", "net.caffemodel", "--manifest",
        "lmdb/manifest.csv", "--root", TREE, "--branch", "global", "--out", "global.csv")  # fmt: skip
    shutil.copy(folder / "net.caffemodel", folder / "snap_iter_2.caffemodel")
    shutil.copy(folder / "trained" / "metrics.jsonl", folder / "metrics.jsonl")
    run("tools/sensitivity.py", "--model", "net/deploy.prototxt", "--also", "net/train_val.prototxt", "--weights",
        "net.caffemodel", "--criterion", "l1", "--shares", 0.5, "--records", 4, "--out", "measured")  # fmt: skip
    run("tools/bundle.py", "--network", "global", "net/deploy.prototxt", "net.caffemodel", "lmdb", "--root", TREE,
        "--name", "net", "--purpose", "fuzz", "--classes", "benign", "malignant", "--mpp", 4.0, "--workers", 1, "--out",
        "bundle")  # fmt: skip
    _write_small(folder)
    run("tools/extract_features.py", "--manifest", "manifest.csv", "--root", TREE, "--descriptors", "Lab", "--workers",
        1, "--out", "features.npz")  # fmt: skip
    _write_predictions(folder)
    _write_results(folder)
    _write_images(folder)
    shutil.copy(GOLDEN, folder / "published.safetensors")
    network = ResNeXt("standard", num_classes=5, input_size=64, depths=(1, 2, 1, 1), width=4, groups=2, group_width=2)
    (folder / "resnext.prototxt").write_text(to_text(network.deploy()))
    (folder / "lr.json").write_text(json.dumps({"suggestion": 0.001}))
    (folder / "groups.json").write_text(json.dumps({"loss333/classifier": "last"}))
    shutil.copy(ROOT / "workflow" / "config" / "tiny.yaml", folder / "config.yaml")


def _write_small(folder: Path) -> None:
    """A network of 16 x 16 images that every engine runs, in small/."""
    (folder / "small").mkdir()
    (folder / "small" / "deploy.prototxt").write_text(IMAGE_NET)
    graph = Graph.build(read_net(folder / "small" / "deploy.prototxt"))
    for name in ("net.caffemodel", "net.caffemodel.h5"):
        write_weights(folder / "small" / name, random_weights([graph]))
    Preprocessing("global", size=16, mean=(120.5, 100.25, 110.0)).save(folder / "small")


def _write_predictions(folder: Path) -> None:
    rows = [
        PredictionRow(f"i{number}", f"p{number // 2}", number % 2, branch, "m", patch, (0.25, 0.75))
        for branch, patches in (("global", ("",)), ("local", ("11", "12")))
        for patch in patches
        for number in range(8)
    ]
    write_predictions(folder / "predictions.csv", rows, 2)
    (folder / "predictions.json").write_text('{"program": "predict"}')
    tree = [
        NodePredictionRow(f"{kind}{number}.tif", f"p{number}", kind, "patient", node, "m", numbers)
        for kind in ("Normal", "Benign", "InSitu", "Invasive")
        for number in range(2)
        for node, numbers in (("Carci", (0.25, 0.75)), ("NorBe", (0.5, 0.5)), ("InvIs", (0.9, 0.1)),
                              ("Flat", (0.1, 0.2, 0.3, 0.4)))
    ]  # fmt: skip
    write_tree_predictions(folder / "tree.csv", tree)
    write_tree_predictions(folder / "tree_val.csv", tree)
    (folder / "settings.json").write_text('{"title": "t", "dataset": "bach", "seconds": {"a": 1.5}}')


def _write_results(folder: Path) -> None:
    results = folder / "results"
    for number, stage in enumerate(("before", "after")):
        write_stage(results / stage, number)
    (results / "after" / "stage.json").write_text('{"label": "after", "ratio": 0.5, "loops": 1}')
    (results / "run.json").write_text('{"title": "t", "dataset": "breakhis", "lambda": 0.6, "seconds": {"a": 1.5}}')
    method = results / "compared" / "spanhol2015"
    method.mkdir(parents=True)
    (method / "method.json").write_text('{"label": "Spanhol 2015 [9]", "fusions": ["sum"], "selected": "m"}')
    shutil.copy(results / "before" / "global" / "predictions.csv", method / "predictions.csv")
    shutil.copy(results / "before" / "global" / "cost.json", method / "cost.json")
    form = {"pooling": "own top", "weight_decay": 0.004, "losses": [0.7, 0.6], "mean_weight": [0.1, 0.1]}
    scores = {"patches": 2, "majority": 0.5, "answers": 2, "malignant": 0.5, "right": 0.5, "spread": 0.1,
              "scores": [[0.1, 0], [0.2, 1]]}  # fmt: skip
    (results / "seconds").mkdir()
    (results / "seconds" / "train.tsv").write_text("s\th:m:s\n1.5\t0:00:01\n")
    (results / "collapse").mkdir()
    settings = {"patch": 32, "batch_size": 10, "iterations": 20, "seed": 0}
    content = {**settings, "forms": [{**form, "untrained": scores, "trained": scores}]}
    (results / "collapse" / "collapse.json").write_text(json.dumps(content))
    (results / "examples").mkdir()
    cv2.imwrite(str(results / "examples" / "a.png"), np.zeros((8, 8, 3), np.uint8))


def _write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, prefix in (("Normal", "n"), ("Benign", "b"), ("InSitu", "is"), ("Invasive", "iv")):
        for number in range(1, 4):
            path = folder / "bach" / "Photos" / kind / f"{prefix}{number:03d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (30, 40, 3), np.uint8))
    (folder / "bisque").mkdir()
    for number in range(4):
        for kind in ("benign", "malignant"):
            path = folder / "bisque" / f"ytma{number}_{kind}1_ccd.tif"
            cv2.imwrite(str(path), rng.integers(0, 256, (30, 40, 3), np.uint8))
    (folder / "slides").mkdir()
    picture = np.full((1500, 2000, 3), 243, np.uint8)
    picture[100:1400, 100:1900] = (180, 90, 200) + rng.integers(-40, 40, (1300, 1800, 1))
    tifffile.imwrite(folder / "slides" / "A01.tif", picture, tile=(256, 256), photometric="rgb", compression="deflate")
    corners = ((100, 100), (1900, 100), (1900, 1400), (100, 1400))
    points = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in corners)
    (folder / "slides" / "A01.xml").write_text(XML.format(points))
