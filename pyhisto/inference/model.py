"""A bundle that runs: images through every network of it, and what they say together."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from pyhisto.arrays import Floats
from pyhisto.bundle import Bundle, BundledNetwork
from pyhisto.errors import InputError
from pyhisto.evaluation.voting import average, hybrid
from pyhisto.inference.calibration import tempered
from pyhisto.inference.engines import AUTO, ENGINES, SHARED, Engine, fastest_engine, onnx_file_engine
from pyhisto.inference.evidence import LinearHead, contributions, find_head, occlusion
from pyhisto.lmdb_folder import Provenance
from pyhisto.parallel import JobT, ResultT, ordered_map, threaded_map
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.recipe import Preprocessing

PreparedT = TypeVar("PreparedT")
Inputs = list[list[tuple[str, Image]]]
"""For each of a preparation's recipes: (patch, pixels) pairs."""

POSITIVE = 1
"""The class that probabilities are sorted by and evidence is drawn for: malignant, tumour."""


@dataclass(frozen=True)
class Preparation:
    """From an image to what the networks are shown; each way of cutting once, however many networks share it."""

    recipes: tuple[Preprocessing, ...]
    of_network: tuple[int, ...]
    """For every network of the bundle, which of the recipes is its own."""

    def __call__(self, image: Image) -> Inputs:
        """The network inputs of an image, as `Preprocessing.inputs` gives them."""
        normalised = {first: self.recipes[first].normalise(image) for first in set(self._same_stain)}
        return [
            recipe.inputs_of_normalised(normalised[first])
            for recipe, first in zip(self.recipes, self._same_stain, strict=True)
        ]

    @cached_property
    def _same_stain(self) -> tuple[int, ...]:
        """For every recipe the first of the same normalisation, through which an image then goes once."""
        stains = [None if recipe.stain is None else json.dumps(recipe.stain.to_json()) for recipe in self.recipes]
        return tuple(map(stains.index, stains))

    @property
    def finest(self) -> int:
        """The recipe that shows the image in most detail."""
        return max(range(len(self.recipes)), key=lambda index: self.recipes[index].patches_per_image)


@dataclass(frozen=True)
class EvidenceMaps:
    """One branch's evidence of an image: means over the members."""

    maps: Floats
    """What each position adds to each class's score: patches x classes x height x width."""
    bias: Floats
    """One a class: what a score is without any of it."""


@dataclass(frozen=True)
class Outcome:
    """What the networks say of one image."""

    patches: Mapping[str, list[str]]
    """Branch -> the patches' names."""
    probabilities: Mapping[str, Floats]
    """Branch -> members x patches x classes."""
    weight: float
    """lambda."""
    temperature: float
    evidence: Mapping[str, EvidenceMaps] = field(default_factory=dict)

    def branch(self, name: str) -> Floats:
        """A branch's probabilities, the mean over members and patches: one a class."""
        return np.asarray(self.probabilities[name].mean(axis=(0, 1)))

    @property
    def members(self) -> Floats:
        """Every member's hybrid (eq. 1), or its only branch: members x classes."""
        parts = {name: average(values) for name, values in self.probabilities.items()}
        return hybrid(parts["local"], parts["global"], self.weight) if len(parts) == 2 else next(iter(parts.values()))

    @property
    def hybrid(self) -> Floats:
        """The mean over members: one probability a class."""
        return np.asarray(self.members.mean(axis=0))

    @property
    def calibrated(self) -> Floats:
        """That at the bundle's temperature."""
        return tempered(self.hybrid, self.temperature)

    @property
    def named(self) -> int:
        """The class with the largest probability."""
        return int(self.hybrid.argmax())

    @property
    def spread(self) -> float | None:
        """The deviation of the members' probabilities of the named class; None for one member."""
        return float(self.members[:, self.named].std()) if len(self.members) > 1 else None


class Model:
    """A bundle's networks, each in an engine."""

    def __init__(
        self,
        bundle: Bundle,
        engine: str = AUTO,
        gpu: int | None = None,
        evidence: bool = False,
        batch_size: int = 32,
        callers: int = 1,
    ) -> None:
        """Make an engine for every network; with `evidence`, one that gives the maps too.

        `callers` threads share the cores when they call it at once (`overlapped`).
        Raises InputError if an engine cannot run a network, or a network has no exact evidence map.
        """
        self.bundle, self.batch_size = bundle, batch_size
        self.heads: list[LinearHead | None] = [find_head(n.deploy) if evidence else None for n in bundle.networks]
        made = [_engine(n, engine, gpu, head, callers) for n, head in zip(bundle.networks, self.heads, strict=True)]
        self.engines: list[Engine] = [one for _, one, _ in made]
        self.engine_names = sorted({name for name, _, _ in made})
        self.why = next((why.rstrip("; ") for _, _, why in made if why), "")
        """Why it is no faster engine."""
        self.preparation = preparation(bundle)

    def __call__(self, images: Sequence[Inputs]) -> list[Outcome]:
        """The outcomes of prepared images, together: batches run over the borders of images."""
        runs = [self._run(number, images) for number in range(len(self.engines))]
        return [self._outcome([run[index] for run in runs], images[index]) for index in range(len(images))]

    def overlapped(
        self,
        prepare: Callable[[JobT], PreparedT],
        answer: Callable[[PreparedT], ResultT],
        jobs: Iterable[JobT],
        workers: int,
    ) -> Iterator[ResultT]:
        """Yield answer(prepare(job)) in order; `answer` calls this model, and other jobs are prepared meanwhile.

        Each of the workers, threads, does both where the engines can be shared: no core waits for another, and no
        pixels pass from process to process. Elsewhere they are processes that prepare.
        """
        if set(self.engine_names) <= set(SHARED):
            return threaded_map(lambda job: answer(prepare(job)), jobs, workers)
        return map(answer, ordered_map(prepare, jobs, workers))

    def occlusion(self, image: Inputs) -> dict[str, Floats]:
        """The slow control of an image's evidence: branch -> patches x classes x height x width, the members' mean.

        Takes some forward passes a position. The model has to be one with `evidence`.
        """
        found: dict[str, list[Floats]] = {}
        networks = zip(self.bundle.networks, self.engines, self.heads, self.preparation.of_network, strict=True)
        for network, engine, head, own in networks:
            assert head is not None
            batch = network.preprocessing.blob([pixels for _, pixels in image[own]])
            found.setdefault(network.branch, []).append(occlusion(engine, head, batch))
        return {branch: np.mean(maps, axis=0) for branch, maps in found.items()}

    def _run(self, number: int, images: Sequence[Inputs]) -> list[tuple[Floats, Floats]]:
        """Of each image by one network: probabilities, patches x classes; and maps, patches x classes x h x w."""
        network, engine, head = self.bundle.networks[number], self.engines[number], self.heads[number]
        own = self.preparation.of_network[number]
        pixels = [pixels for inputs in images for _, pixels in inputs[own]]
        probabilities, maps = [], []
        for start in range(0, len(pixels), self.batch_size):
            batch = network.preprocessing.blob(pixels[start : start + self.batch_size])
            if head is None:
                probabilities.append(engine(batch))
            else:
                found, features = engine.with_blobs(batch, head.features)
                probabilities.append(found)
                maps.append(contributions(head, features).astype(np.float32))
        ends = np.cumsum([len(inputs[own]) for inputs in images])[:-1]
        parts = np.split(np.concatenate(probabilities), ends)
        return list(zip(parts, np.split(np.concatenate(maps), ends) if maps else parts, strict=True))

    def _outcome(self, runs: Sequence[tuple[Floats, Floats]], inputs: Inputs) -> Outcome:
        patches, probabilities, evidence = {}, {}, {}
        for branch in self.bundle.branches:
            ours = [number for number, network in enumerate(self.bundle.networks) if network.branch == branch]
            patches[branch] = [patch for patch, _ in inputs[self.preparation.of_network[ours[0]]]]
            probabilities[branch] = np.stack([runs[number][0] for number in ours]).astype(np.float64)
            heads = [head for number in ours if (head := self.heads[number]) is not None]
            if heads:
                maps = np.mean([runs[number][1] for number in ours], axis=0)
                evidence[branch] = EvidenceMaps(maps, np.mean([head.bias for head in heads], axis=0))
        description = self.bundle.description
        return Outcome(patches, probabilities, description.weight, description.temperature, evidence)


def preparation(bundle: Bundle) -> Preparation:
    """The preparation for all networks of a bundle."""
    recipes: dict[str, Preprocessing] = {}
    keys = []
    for network in bundle.networks:
        shared = replace(network.preprocessing, mean=(0.0, 0.0, 0.0), provenance=Provenance())
        keys.append(json.dumps(shared.to_json(), sort_keys=True))
        recipes.setdefault(keys[-1], shared)
    return Preparation(tuple(recipes.values()), tuple(list(recipes).index(key) for key in keys))


def _engine(
    network: BundledNetwork, name: str, gpu: int | None, head: LinearHead | None, callers: int
) -> tuple[str, Engine, str]:
    blobs = (head.features, head.logits) if head is not None else ()
    if name == AUTO:
        return fastest_engine(network.deploy, gpu, blobs, network.onnx, callers)
    if name == "onnx":
        return name, onnx_file_engine(network.deploy, network.onnx, gpu, blobs, callers), ""
    if name not in ENGINES:
        raise InputError(f"engine '{name}' is none of {', '.join([AUTO, *ENGINES])}")
    return name, ENGINES[name](network.deploy, gpu, blobs, callers), ""
