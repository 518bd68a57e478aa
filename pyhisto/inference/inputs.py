"""What a prediction is made of: the images of a split, and the recipe that turns them into network input."""

from collections.abc import Iterable
from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.inference.predict import check_unseen
from pyhisto.lmdb_folder import RECIPE, LmdbFolder
from pyhisto.manifest import Row, read_manifest


def images_of_split(manifest: Path, split: str) -> list[Row]:
    """A manifest's images of a split, at least one. Raises InputError."""
    rows = [row for row in read_manifest(manifest) if row.split == split]
    if not rows:
        raise InputError(f"{manifest}: has no image of split {split}")
    return rows


def find_recipe(manifest: Path, split: str) -> Path:
    """The preprocessing.json of the LMDBs that a manifest came with: beside it, or in the split's folder beside it."""
    places = [manifest.parent / RECIPE, manifest.parent / split / RECIPE]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{places[0]}: no such file; give --preprocessing the one that the network was trained with")


def check_split(rows: Iterable[Row], split: str, recipe: Path) -> None:
    """Raise InputError if a patient to predict was trained on, by the manifest beside the training's recipe.

    Args:
        rows: the images to predict.
        split: which they are of; those of `train` may well have been trained on.
        recipe: the preprocessing.json that the network was trained with, or its folder.
    """
    trained_on = LmdbFolder.of_recipe(recipe).manifest
    if split != "train" and trained_on.is_file():
        check_unseen(rows, read_manifest(trained_on))
