"""What a config asks for: which experiments, which images, how they are split. The Snakefile's rules read it."""

import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from cards import on_gpu

from pyhisto.errors import InputError

BRANCHES = ("global", "local")
DATA_SETS = ("breakhis", "bach", "bisque")


class Study:
    """A config, with what the command line's --config puts over it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.results = f"runs/{config['name']}"
        self.data = config["data"]
        self.synthetic = self.data.get("synthetic")
        # --config breakhis=... (or bach, bisque, slides) goes before the file's.
        self.slides = config.get("slides", self.data.get("slides"))
        self.data_set = next((name for name in DATA_SETS if name in self.data or name in config), "breakhis")
        self.compressions = config["compressions"]
        self.stages = ["before", *self.compressions]

    @cached_property
    def levels(self) -> dict[str, tuple[str, list[int]]]:
        """What the study runs over: level -> its folders as a pattern, and their numbers."""
        config = self.config
        every = {
            "fold": ("fold{fold}", config.get("folds", [])),
            "magnification": ("{magnification}X", config.get("magnifications", [])),
            "bag": ("bag{bag}", list(range(1, config.get("bags", 0) + 1))),
        }
        return {level: (folder, list(numbers)) for level, (folder, numbers) in every.items() if numbers}

    @property
    def gpu(self) -> int:
        """How many cards a job on the networks takes, but for their training: 1, or 0 on the CPU."""
        return on_gpu(self.config["solver"])

    @cached_property
    def cards(self) -> int:
        """How many cards a training of the networks takes: the config's `cards`. Raises InputError."""
        cards = self.config.get("cards", 1)
        if not isinstance(cards, int) or cards < 1:
            raise InputError(f"cards: {cards}: give the number of cards that one training takes")
        if cards == 1:
            return self.gpu
        if not self.gpu:
            raise InputError(f"cards: {cards}: solver-mode is not GPU: there are no cards to train on")
        if self.config["network"].get("sep") != "native":
            raise InputError(f"cards: {cards}: a Python layer does not run on several cards: say sep: native")
        for name, settings in self.compressions.items():
            if settings.get("method") == "DNS" or settings.get("criterion") == "slimming":
                raise InputError(
                    f"cards: {cards}: {name} trains in pycaffe, on one card: leave it out, or take one card"
                )
        return cards

    @property
    def experiment(self) -> str:
        """The folder of one experiment, as a pattern."""
        return "/".join([self.results, *(folder for folder, _ in self.levels.values())])

    @property
    def experiments(self) -> list[str]:
        """The folders of all experiments."""
        return [self.experiment.format(**place) for place in self.places]

    @property
    def places(self) -> list[dict[str, int]]:
        """Level -> number, of each experiment."""
        numbers = itertools.product(*(numbers for _, numbers in self.levels.values()))
        return [dict(zip(self.levels, each, strict=True)) for each in numbers]

    @property
    def tree(self) -> str:
        """The folder that the manifests' paths count from."""
        if self.synthetic:
            return f"{self.results}/data/BreaKHis_v1"
        if self.slides:
            return f"{self.results}/data"
        return str(self.config.get(self.data_set, self.data.get(self.data_set)))

    @property
    def folds(self) -> str | None:
        """The folder of BreaKHis's official folds."""
        if self.synthetic:
            return f"{self.results}/data/breakhis_folds"
        return None if self.slides else self.config.get("folds_dir", self.data.get("folds"))

    @property
    def data_used(self) -> dict[str, Any]:
        """The config's section `data` with the folders that are really read, whatever names them."""
        used = dict(self.data)
        if self.slides:
            used["slides"] = self.slides
        elif not self.synthetic:
            used[self.data_set] = self.tree
            if self.folds:
                used["folds"] = self.folds
        return used

    def splits(self, place: Mapping[str, Any]) -> list[str]:
        """Which images, and how they are split: make_manifest.py's options for an experiment, or for all of a level."""
        words = ["--manifest", f"{self.tree}/manifest.csv"] if self.slides else ["--dataset", self.data_set]
        words += ["--root", self.tree]
        if self.folds:
            words += ["--folds", self.folds]
        if "kfold" in self.data:
            words += ["--kfold", str(self.data["kfold"])]
        if self.data.get("allow_missing"):
            words += ["--allow-missing"]
        if "bags" in self.config:
            words += ["--bags", str(self.config["bags"])]
        for level in (level for level in self.levels if level in place.keys()):  # noqa: SIM118 - Snakemake's wildcards
            words += [f"--{level}", str(place[level])]
        return words
