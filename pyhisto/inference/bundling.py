"""Making a bundle of trained networks: files, proof, the training images' looks, temperature, test results, card."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyhisto
from pyhisto.bundle import (
    CARD,
    DEPLOY,
    ONNX,
    WEIGHTS,
    Bundle,
    BundledNetwork,
    Description,
    check_network,
    write_description,
    write_sums,
)
from pyhisto.cost import layer_costs
from pyhisto.errors import InputError
from pyhisto.evaluation.metrics import wilson
from pyhisto.files import whole_folder
from pyhisto.graph import Graph
from pyhisto.inference import condition
from pyhisto.inference.calibration import calibration_error, fit_temperature, log_loss, reliability, tempered
from pyhisto.inference.deploy import Deploy, read_deploy
from pyhisto.inference.evidence import find_head
from pyhisto.inference.model import Model, Preparation, preparation
from pyhisto.inference.pages import render
from pyhisto.inference.reliability import draw_reliability
from pyhisto.lmdb_folder import RECIPE
from pyhisto.manifest import SPLITS, Row, check_disjoint, class_counts, read_manifest, resolve
from pyhisto.onnx.export import export, write_model
from pyhisto.onnx.packages import load
from pyhisto.onnx.proof import prove
from pyhisto.parallel import with_progress
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.proof.demand import demand

MOST_MEASURED = 1000
"""Training images of which colours and sharpness are measured, evenly over the manifest."""
CHUNK = 64
"""Images that go through the networks together."""
RELIABILITY = "reliability.png"


@dataclass(frozen=True)
class Source:
    """A trained network: its files, and the folder that build_lmdb.py made, for preprocessing and manifest."""

    branch: str
    model: Path
    weights: Path
    lmdb: Path


@dataclass(frozen=True)
class About:
    """What no file says."""

    name: str
    purpose: str
    classes: tuple[str, ...]
    weight: float
    microns_per_pixel: float | None
    data: str
    licence: str
    caution: str
    notes: str = ""


def make_bundle(sources: Sequence[Source], root: Path, about: About, workers: int, out: Path) -> Description:
    """Make the folder `out`, whole or not at all; `root` is that of the manifests' images.

    The n-th network of a branch belongs to the n-th member. Raises InputError for networks that do not belong
    together, as an image that one member tests and another trains on; and if the ONNX form cannot be proved.
    """
    named = _members(sources)
    manifests = {member: read_manifest(own[0].lmdb / "manifest.csv") for member, own in named.items()}
    for member, own in named.items():
        for source in own[1:]:
            if _splits(read_manifest(source.lmdb / "manifest.csv")) != _splits(manifests[member]):
                raise InputError(f"{source.lmdb}: its manifest is not that of {own[0].lmdb}; bundle one training")
    first = next(iter(manifests.values()))
    check_disjoint(first)
    tests = [{row.path for row in rows if row.split == "test"} for rows in manifests.values()]
    if any(test != tests[0] for test in tests):
        raise InputError(f"{sources[0].lmdb}: the members have different test images; bundle bags of one test set")
    if max(row.label for row in first) >= len(about.classes):
        raise InputError(f"--classes: names {len(about.classes)}, the manifest has class {max(r.label for r in first)}")
    with whole_folder(out) as folder:
        networks = [
            _add_network(folder, source, member, len(named) > 1, about.classes)
            for member, own in named.items()
            for source in own
        ]
        prepare = preparation(Bundle(out, _unfinished(about, networks, folder), tuple(networks), ""))
        train = [row for row in first if row.split == "train"]
        sample = train[:: max(1, -(-len(train) // MOST_MEASURED))]
        measured = partial(_measure, root=root, prepare=prepare)
        found = list(with_progress("training images", measured, sample, workers))
        description = replace(
            _unfinished(about, networks, folder),
            image=max({size for size, _ in found}, key=[size for size, _ in found].count),
            reference=condition.reference([one for _, one in found]),
        )
        model = Model(Bundle(out, description, tuple(networks), ""))
        validation, temperature = _validate(model, manifests, root, workers)
        test = _test(model, first, root, workers, temperature, about.classes, folder / RELIABILITY)
        results = {
            "data": about.data,
            "licence": about.licence,
            "images": {s: class_counts(row for row in first if row.split == s) for s in SPLITS},
            "patients": {s: len({row.group for row in first if row.split == s}) for s in SPLITS},
            "patients_known": any(row.patient or row.slide for row in first),
            "validation": validation,
            "test": test,
            "cost": [_cost(network, folder) for network in networks],
        }
        description = replace(description, temperature=temperature, results=results)
        write_description(folder, description)
        (folder / CARD).write_text(_card(description, about), encoding="utf-8")
        write_sums(folder)
    return description


def _members(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """Member's name, from 1 -> its networks."""
    by_branch: dict[str, list[Source]] = {}
    for source in sources:
        by_branch.setdefault(source.branch, []).append(source)
    counts = {branch: len(own) for branch, own in by_branch.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"--network: {counts} networks; every member needs one of each branch")
    return {str(number): list(own) for number, own in enumerate(zip(*by_branch.values(), strict=True), 1)}


def _splits(rows: Sequence[Row]) -> dict[str, tuple[int, str]]:
    return {row.path: (row.label, row.split) for row in rows}


def _add_network(folder: Path, source: Source, member: str, several: bool, classes: Sequence[str]) -> BundledNetwork:
    """Copy a network's files into the bundle, and write its ONNX form with the blobs of its evidence map."""
    place = folder / (f"member{member}/{source.branch}" if several else source.branch)
    place.mkdir(parents=True)
    shutil.copyfile(source.model, place / DEPLOY)
    shutil.copyfile(source.weights, place / WEIGHTS)
    recipe = Preprocessing.load(source.lmdb if (source.lmdb / RECIPE).is_file() else source.lmdb / "train")
    recipe.save(place)
    deploy = read_deploy(place / DEPLOY, place / WEIGHTS)
    network = BundledNetwork(member, source.branch, place, deploy, recipe)
    check_network(network, classes, str(source.model))
    _write_onnx(deploy, place / ONNX, source.model)
    return network


def _write_onnx(deploy: Deploy, path: Path, source: Path) -> None:
    onnx = load("onnx")
    graph = Graph.build(deploy.net, source=source)
    exported = export(graph, deploy.blobs, source)
    demand(lambda: prove(exported, deploy.blobs, source), source)
    try:
        head = find_head(deploy)
    except InputError:
        head = None  # such a network can be bundled, and gives no maps
    present = {output.name for output in exported.model.graph.output}
    for name in (head.features, head.logits) if head is not None else ():
        shape = graph.blob(name).shape
        if name not in present and shape is not None:
            made = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape[1:]])
            exported.model.graph.output.append(made)
    onnx.checker.check_model(exported.model, full_check=True)
    write_model(path, exported.model)


def _unfinished(about: About, networks: Sequence[BundledNetwork], folder: Path) -> Description:
    nothing = condition.Reference(0, 0.0, (0.0,) * 6, ((0.0,) * 6,) * 6, 0.0)
    entries = tuple((n.member, n.branch, n.folder.relative_to(folder).as_posix()) for n in networks)
    return Description(
        about.name, about.purpose, about.classes, about.weight, 1.0, (1, 1), about.microns_per_pixel, nothing, entries,
        pyhisto=pyhisto.__version__,
    )  # fmt: skip


def _measure(row: Row, root: Path, prepare: Preparation) -> tuple[tuple[int, int], condition.Condition]:
    """An image's width and height, and its condition."""
    image = read_image(resolve(root, row.path))
    inputs = [pixels for _, pixels in prepare(image)[prepare.finest]]
    return (image.shape[1], image.shape[0]), condition.measure(image, inputs)


def _prepare(row: Row, root: Path, prepare: Preparation) -> Any:
    return prepare(read_image(resolve(root, row.path)))


def _members_probabilities(
    model: Model, rows: Sequence[Row], root: Path, workers: int, what: str
) -> NDArray[np.floating]:
    """members x images x classes, without the temperature."""
    work = partial(_prepare, root=root, prepare=model.preparation)
    prepared: Iterator[Any] = with_progress(what, work, rows, workers)
    found = []
    while chunk := list(islice(prepared, CHUNK)):
        found += [outcome.members for outcome in model(chunk)]
    return np.stack(found, axis=1)


def _validate(
    model: Model, manifests: dict[str, list[Row]], root: Path, workers: int
) -> tuple[dict[str, float] | None, float]:
    """Fit the temperature to what every member says of its own validation images, on which it was not trained."""
    own = [
        (number, row) for number, rows in enumerate(manifests.values()) for row in rows if row.split == "val"
    ]  # fmt: skip
    if not own:
        return None, 1.0
    rows = list({row.path: row for _, row in own}.values())
    place = {row.path: index for index, row in enumerate(rows)}
    found = _members_probabilities(model, rows, root, workers, "validation images")
    probabilities = np.stack([found[member, place[row.path]] for member, row in own])
    labels = np.array([row.label for _, row in own])
    temperature = fit_temperature(probabilities, labels)
    return {"images": len(rows), **_calibration(probabilities, labels, temperature)}, temperature


def _calibration(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], temperature: float
) -> dict[str, float]:
    after = tempered(probabilities, temperature)
    return {
        "log_loss_before": log_loss(probabilities, labels),
        "log_loss": log_loss(after, labels),
        "ece_before": calibration_error(reliability(probabilities, labels)),
        "ece": calibration_error(reliability(after, labels)),
    }


def _test(
    model: Model, rows: Sequence[Row], root: Path, workers: int, temperature: float, classes: Sequence[str], drawn: Path
) -> dict[str, Any] | None:
    rows = [row for row in rows if row.split == "test"]
    if not rows:
        return None
    probabilities = _members_probabilities(model, rows, root, workers, "test images").mean(axis=0)
    labels = np.array([row.label for row in rows])
    right = probabilities.argmax(axis=1) == labels
    interval = wilson(int(right.sum()), len(rows))
    before, after = (reliability(values, labels) for values in (probabilities, tempered(probabilities, temperature)))
    draw_reliability(before, after).savefig(drawn, dpi=100, metadata={"Software": None})
    return {
        "images": len(rows),
        "right": int(right.sum()),
        "accuracy": float(right.mean()),
        "low": interval.low,
        "high": interval.high,
        "majority": max(class_counts(rows).values()) / len(rows),
        "recall": {classes[label]: float(right[labels == label].mean()) for label in sorted(set(labels.tolist()))},
        **_calibration(probabilities, labels, temperature),
        "reliability": {"before": [asdict(part) for part in before], "after": [asdict(part) for part in after]},
    }


def _cost(network: BundledNetwork, folder: Path) -> dict[str, Any]:
    costs = [layer.cost for layer in layer_costs(Graph.build(network.deploy.net, source=network.deploy.model))]
    return {
        "folder": network.folder.relative_to(folder).as_posix(),
        "weights": sum(cost.weights for cost in costs),
        "flops": sum(cost.flops for cost in costs),
        "caffemodel_bytes": (network.folder / WEIGHTS).stat().st_size,
        "onnx_bytes": network.onnx.stat().st_size,
    }


def _card(description: Description, about: About) -> str:
    results = description.results
    parts = [
        {
            "split": split,
            "images": [results["images"][split].get(label, 0) for label in range(len(about.classes))],
            "patients": results["patients"][split],
        }
        for split in SPLITS
    ]
    return render(
        CARD,
        name=about.name,
        purpose=about.purpose,
        classes=about.classes,
        image=description.image,
        mpp=about.microns_per_pixel,
        members=len({member for member, _, _ in description.networks}),
        branches=list(dict.fromkeys(branch for _, branch, _ in description.networks)),
        weight=about.weight,
        pyhisto=description.pyhisto,
        data=about.data,
        licence=about.licence,
        parts=parts,
        patients_known=results["patients_known"],
        test=results["test"],
        validation=results["validation"],
        temperature=description.temperature,
        networks=results["cost"],
        caution=about.caution,
        notes=about.notes,
    )
