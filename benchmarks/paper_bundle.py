"""The paper's two networks with random weights, pruned at 0.5, as a bundle: what they answer means nothing."""

from pathlib import Path

from benchmarks.lmdb_images import make_images
from benchmarks.toolchains import paper_networks
from pyhisto.inference.bundling import About, Source, make_bundle
from pyhisto.manifest import Row, write_manifest
from pyhisto.preprocessing.recipe import BRANCHES, Preprocessing
from pyhisto.preprocessing.reinhard import Reinhard

MEAN = (180.0, 140.0, 190.0)
STAIN = Reinhard((170.0, 150.0, 120.0), (35.0, 10.0, 9.0), source="made up")
MICRONS_PER_PIXEL = 0.5
"""About BreaKHis's at 100X."""


def make_paper_bundle(folder: Path, workers: int) -> Path:
    """Write it into `folder`, and what it is made of beside it; images are 700 x 460, 16 network inputs each."""
    folder.mkdir()
    model, weights = paper_networks(folder, softmax=True)["paper, pruned at 0.5"]
    rows = [
        Row(row.path, row.label, patient=row.patient, split=("train", "val", "test")[number // 2 % 3])
        for number, row in enumerate(make_images(folder, None, 12))
    ]
    sources = []
    for branch in BRANCHES:
        (folder / branch).mkdir()
        Preprocessing(branch, mean=MEAN, stain=STAIN, record="jpeg444").save(folder / branch)
        write_manifest(folder / branch / "manifest.csv", rows)
        sources.append(Source(branch, model, weights, folder / branch))
    about = About("random", "nothing", ("benign", "malignant"), 0.6, MICRONS_PER_PIXEL, "None", "none", "anything")
    make_bundle(sources, folder / "images", about, workers, folder / "bundle")
    return folder / "bundle"
