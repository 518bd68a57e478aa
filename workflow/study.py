"""What a config asks for: which experiments, which images, how they are split. The Snakefile's rules read it."""

import itertools
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal

from cards import on_gpu

from pyhisto.errors import InputError
from pyhisto.manifest import MONITOR
from pyhisto.study.methods import STARTED

BRANCHES: tuple[Literal["global", "local"], ...] = ("global", "local")
DATA_SETS = ("breakhis", "breakhis-eva", "bach", "bisque", "folder")


SECTIONS = ("data", "lmdb", "network", "solver", "compressions")
NUMBERS = ("folds", "magnifications", "seeds")
NAME = re.compile(r"\w(?:[\w .+-]*[\w.+-])?")
"""What may name a folder of results, a stage or a model: it stands in paths and in Snakemake's patterns."""


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Settings as command-line options; a list gives one option several values."""
    words: list[str] = []
    for name, value in settings.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def options(settings: Mapping[str, Any]) -> str:
    """Settings as command-line options, quoted for a shell."""
    return shlex.join(option_words(settings))


def check_names(names: Iterable[object], what: str) -> None:
    """Raise InputError if a name is not one: letters, digits, spaces and . _ - +, a letter or a digit first."""
    for name in names:
        if not NAME.fullmatch(str(name)):
            raise InputError(
                f"{what}: {str(name)[:60]!r} cannot name a folder; give letters, digits, spaces and . _ - +"
            )


def check_sections(config: object, sections: Iterable[str]) -> None:
    """Raise InputError unless a config has a name and these sections, each of them of `name: value` lines."""
    if not isinstance(config, Mapping):
        raise InputError("the config holds no `name: value` lines; begin with one of workflow/config")
    if missing := [name for name in ("name", "title", *sections) if name not in config]:
        raise InputError(f"the config has no {', '.join(missing)}; begin with one of workflow/config")
    for name in sections:
        check_mapping(config[name], name)
    check_names([config["name"]], "the config's name")


def check_mapping(value: object, what: str) -> None:
    """Raise InputError unless a part of a config consists of `name: value` lines."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InputError(f"the config's {what}: {str(value)[:60]!r} is not a list of `name: value`")


class Study:
    """A config, with what the command line's --config puts over it. Raises InputError where it is not one."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        _check(config)
        self.config = config
        self.results = f"runs/{config['name']}"
        self.data = config["data"]
        self.synthetic = self.data.get("synthetic")
        # --config breakhis=... (or bach, bisque, folder, slides) goes before the file's.
        self.slides = _text(config.get("slides", self.data.get("slides")))
        self.data_set = next((name for name in DATA_SETS if name in self.data or name in config), "breakhis")
        # Weights that the first training starts from, layers matched by name: a GoogLeNet's, for the paper's network.
        self.pretrained = _text(config.get("pretrained") or None)
        self.beside = _text(config.get("beside"))
        # Whether links in the data set's folder may lead out of it.
        self.follow_links = self.data.get("follow-links", False)
        # Of how many experiments the LMDBs may exist at a time.
        self.at_once = config.get("experiments-at-once", 2)
        self.compressions = config["compressions"]
        self.stages = ["before", *self.compressions]
        self.branches = tuple(config.get("branches", BRANCHES))

    @cached_property
    def levels(self) -> dict[str, tuple[str, list[int]]]:
        """What the study runs over: level -> its folders as a pattern, and their numbers."""
        config = self.config
        every = {
            "fold": ("fold{fold}", config.get("folds", [])),
            "magnification": ("{magnification}X", config.get("magnifications", [])),
            "bag": ("bag{bag}", list(range(1, config.get("bags", 0) + 1))),
            # Of the networks alone: all seeds' learn from the same images.
            "seed": ("seed{seed}", config.get("seeds", [])),
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
    def images(self) -> str:
        """The folder of an experiment's images, which its seeds share, as a pattern."""
        return "/".join([self.results, *(folder for level, (folder, _) in self.levels.items() if level != "seed")])

    @property
    def together(self) -> str:
        """The folder of what all magnifications of an experiment share, as a pattern."""
        folders = (folder for level, (folder, _) in self.levels.items() if level not in ("magnification", "seed"))
        return "/".join([self.results, *folders, "all"])

    @property
    def experiments(self) -> list[str]:
        """The folders of all experiments."""
        return [self.experiment.format(**place) for place in self.places]

    @property
    def every_images(self) -> list[str]:
        """The folders of all experiments' images."""
        return list(dict.fromkeys(self.images.format(**place) for place in self.places))

    def learning_from(self, images: str) -> list[str]:
        """The folders of the experiments whose images are in this one."""
        return [self.experiment.format(**place) for place in self.places if self.images.format(**place) == images]

    @property
    def places(self) -> list[dict[str, int]]:
        """Level -> number, of each experiment."""
        numbers = itertools.product(*(numbers for _, numbers in self.levels.values()))
        return [dict(zip(self.levels, each, strict=True)) for each in numbers]

    def before(self, place: Mapping[str, Any], at_once: int | None = None) -> str | None:
        """The images whose LMDBs have to go before those of `place` are built; None for the first ones."""
        index = self.every_images.index(self.images.format(**place)) - (at_once or self.at_once)
        return self.every_images[index] if index >= 0 else None

    @property
    def validation(self) -> str:
        """The LMDB that the networks are tested on while they learn: val, or monitor if no image validates."""
        whole = self.data.get("val-fraction") == 0 or self.data_set == "breakhis-eva"
        return MONITOR if whole and not self.config.get("bags") else "val"

    @property
    def started(self) -> dict[str, str]:
        """Stages that compress nothing: networks trained as the first, each from the weights in its file."""
        return {name: str(s["weights"]) for name, s in self.compressions.items() if s.get("method") == STARTED}

    @property
    def prunings(self) -> list[str]:
        """The compressions that cut channels; the others are Dynamic Network Surgery, or train without cutting."""
        return [name for name, settings in self.compressions.items() if "method" not in settings]

    @property
    def loops(self) -> list[str]:
        """The stages that are a loop of a pruning: the last of them bears its name, those before lie in loops/."""
        numbers = {name: self.compressions[name].get("loops", 1) for name in self.prunings}
        return [
            name if loop == loops else f"loops/{name}_{loop}"
            for name, loops in numbers.items()
            for loop in range(1, loops + 1)
        ]

    @property
    def tree(self) -> str:
        """The folder that the manifests' paths count from."""
        if self.synthetic:
            return f"{self.results}/data/BreaKHis_v1"
        if self.slides:
            return f"{self.results}/data"
        return _text(self.config.get(self.data_set, self.data.get(self.data_set))) or ""

    @property
    def folds(self) -> str | None:
        """The folder of BreaKHis's official folds."""
        if self.synthetic:
            return f"{self.results}/data/breakhis_folds"
        return None if self.slides else _text(self.config.get("folds_dir", self.data.get("folds")))

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

    @property
    def patients(self) -> str | None:
        """Who counts as a patient, of samples of slides; None for other data."""
        if not self.slides:
            return None
        if number := self.data.get("pseudo-patients"):
            return f"Made-up patients, {number} a test slide, samples dealt to them in turn: neither people nor slides"
        return "Whole slides count as patients"

    def splits(self, place: Mapping[str, Any]) -> list[str]:
        """Which images, and how they are split: make_manifest.py's options for an experiment, or for all of a level."""
        words = ["--manifest", f"{self.tree}/manifest.csv"] if self.slides else ["--dataset", self.data_set]
        words += ["--root", self.tree, *(["--follow-links"] if self.follow_links else [])]
        if self.folds:
            words += ["--folds", self.folds]
        if "kfold" in self.data:
            words += ["--kfold", str(self.data["kfold"])]
        if self.data.get("allow_missing"):
            words += ["--allow-missing"]
        if "val-fraction" in self.data:
            words += ["--val-fraction", str(self.data["val-fraction"])]
        for name in ("test-slides", "bag-by", "pseudo-patients", "patient-pattern", "patients"):
            if name in self.data:
                words += option_words({name: self.data[name]})
        if "bags" in self.config:
            words += ["--bags", str(self.config["bags"])]
        levels = [level for level in self.levels if level != "seed"]
        for level in (level for level in levels if level in place.keys()):  # noqa: SIM118 - Snakemake's wildcards
            words += [f"--{level}", str(place[level])]
        return words


def _text(path: Any) -> str | None:
    """A path from a config: YAML takes a folder called 2020 for a number."""
    return None if path is None else str(path)


def _check(config: Any) -> None:
    """Raise InputError where the workflow could not even say what there is to do."""
    check_sections(config, SECTIONS)
    check_names(config["compressions"], "the config's compressions")
    check_mapping(config.get("compared", {}), "compared")
    for section in ("compressions", "compared"):
        for name, settings in config.get(section, {}).items():
            check_mapping(settings, f"{section}: {name}")
    for name, settings in config["compressions"].items():
        _check_compression(name, settings)
    for name in ("retraining", "importance", "pruning"):
        check_mapping(config.get(name, {}), name)
    for name in ("synthetic", "samples"):
        check_mapping(config["data"].get(name) or {}, f"data: {name}")
    for name in NUMBERS:
        numbers = config.get(name, [])
        if not isinstance(numbers, list) or not all(type(number) is int and number > 0 for number in numbers):
            raise InputError(f"the config's {name}: {str(numbers)[:60]!r} is not a list of whole numbers, as [1, 2]")
    branches = config.get("branches", list(BRANCHES))
    if not isinstance(branches, list) or not branches or not set(branches) <= set(BRANCHES):
        raise InputError(f"the config's branches: {str(branches)[:60]!r} is not a list of global and local")
    at_once = config.get("experiments-at-once", 2)
    if type(at_once) is not int or at_once < 1:
        raise InputError(f"the config's experiments-at-once: {str(at_once)[:60]!r} is not a whole number from 1 on")
    fraction = config["data"].get("val-fraction", 0.2)
    if type(fraction) not in (int, float) or not 0 <= fraction < 1:
        raise InputError(f"the config's val-fraction: {str(fraction)[:60]!r} is not a number from 0 to 1")
    if type(follow := config["data"].get("follow-links", False)) is not bool:
        raise InputError(f"the config's follow-links: {str(follow)[:60]!r} is not true or false")
    bags = config.get("bags", 0)
    if type(bags) is not int or not 0 <= bags <= 100:
        raise InputError(f"the config's bags: {str(bags)[:60]!r} is not a whole number up to 100")
    if config["data"].get("synthetic") and not config.get("magnifications"):
        raise InputError("the config's magnifications: synthetic images need one, as [100]")


def _check_compression(name: str, settings: Mapping[str, Any]) -> None:
    """Raise InputError where a compression's amount is no number."""
    loops, ratio = settings.get("loops", 1), settings.get("ratio", 0.5)
    if type(loops) is not int or loops < 1:
        raise InputError(
            f"the config's compressions: {name}: loops: {str(loops)[:60]!r} is not a whole number from 1 on"
        )
    if settings.get("method") == STARTED and not settings.get("weights"):
        raise InputError(f"the config's compressions: {name}: {STARTED}: say which: weights: FILE")
    if type(ratio) not in (int, float) or not 0 < ratio < 1:
        raise InputError(f"the config's compressions: {name}: ratio: {str(ratio)[:60]!r} is not between 0 and 1")
