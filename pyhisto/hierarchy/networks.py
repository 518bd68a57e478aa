"""The networks of a tree: checked against their nodes, and run over images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.hierarchy.predictions import NodePredictionRow
from pyhisto.hierarchy.tree import FLAT, NODES, class_count, class_in, pathology_of
from pyhisto.inference.deploy import Deploy, read_deploy
from pyhisto.inference.engines import ENGINES
from pyhisto.inference.inputs import check_split, images_of_split
from pyhisto.inference.merging import average_patches
from pyhisto.inference.predict import check_agreement, predict
from pyhisto.manifest import Row
from pyhisto.preprocessing.recipe import Preprocessing


@dataclass(frozen=True)
class NodeNetwork:
    """A network that answers a node's question, checked."""

    node: str
    name: str
    deploy: Deploy
    preprocessing: Preprocessing
    recipe: Path
    """What the preprocessing was read from."""


def images_with_pathologies(manifest: Path, split: str) -> list[Row]:
    """A manifest's images of a split, each with a pathology as its subtype. Raises InputError."""
    return [
        replace(image, subtype=pathology_of(image.subtype, f"{manifest}: {image.path}"))
        for image in images_of_split(manifest, split)
    ]


def read_network(words: Sequence[str], images: Sequence[Row], split: str) -> NodeNetwork:
    """Check a network against its node, its preprocessing and what it was trained on. Raises InputError.

    `words` are the node, a name, the deploy prototxt, the caffemodel and the preprocessing.json or its folder.
    """
    node, name, (model, weights, recipe) = words[0], words[1], map(Path, words[2:])
    if node not in (*NODES, FLAT):
        raise InputError(f"--network {node}: not a node; give {', '.join((*NODES, FLAT))}")
    deploy, preprocessing = read_deploy(model, weights), Preprocessing.load(recipe)
    labels = [(image, class_in(node, image.subtype)) for image in images]
    own = [replace(image, label=label) for image, label in labels if label is not None]
    check_agreement(deploy, preprocessing, preprocessing.branch, own or [replace(images[0], label=0)])
    if deploy.classes != class_count(node):
        raise InputError(f"{model}: has {deploy.classes} classes, {node} asks for {class_count(node)}")
    check_split(images, split, recipe)
    return NodeNetwork(node, name, deploy, preprocessing, recipe)


def answer(
    network: NodeNetwork, images: Sequence[Row], root: Path, engine: str, batch_size: int, done: Callable[[], object]
) -> Iterator[NodePredictionRow]:
    """A network's answer to every image, the mean over its crops; `done` is called after each."""
    run = ENGINES[engine](network.deploy, None)
    predictions = predict(images, root, network.preprocessing, run, batch_size)
    for image, _, probabilities in average_patches(predictions):
        done()
        split_by = image.extra.get("split_by", "patient" if image.patient else "image")
        yield NodePredictionRow(
            image.path, image.group, image.subtype, split_by, network.node, network.name, probabilities
        )
