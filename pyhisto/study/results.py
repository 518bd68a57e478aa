"""A results folder: what is in it, before anything is computed.

run.json                        settings of the whole run, free-form; see `Results.settings`
[fold<k>/][<magnification>X/][bag<k>/][seed<k>/]   a study has many experiments; a single one lies in the folder itself
    manifest.csv, .json         its images and splits; how many the data set has, and what else make_manifest.py noted
    recipe/global/ local/       preprocessing.json: how the images became network input; both may lie above the seeds,
                                whose networks learn from the same images
    before/ after/ ...          stages: the network as trained, pruned and retrained, ...
        stage.json              optional: label, ratio, loops, method, recalibrated_over
        global/ local/          predictions*.csv, metrics.jsonl, cost.json, time.json, importance.json
            steps/              masked.csv, cut.csv, recalibrated.csv: predictions at the steps of the pruning
    loops/<stage>_<r>/          the same of a stage's loops before its last one
examples/*.png                  example patches; a file's name is its caption
bundle/bundle.json              optional: of what tools/bundle.py made of a stage's networks, its calibration
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pyhisto.errors import InputError
from pyhisto.evaluation.predictions import BRANCHES
from pyhisto.evaluation.voting import LAMBDA
from pyhisto.files import read_object
from pyhisto.learning_curve import Point, read_points
from pyhisto.lmdb_folder import RECIPE
from pyhisto.manifest import Row, read_manifest
from pyhisto.preprocessing.recipe import Preprocessing


@dataclass(frozen=True)
class TimingConditions:
    """How a forward time was measured; None: not noted."""

    rounds: tuple[float, ...] = ()
    """Milliseconds of each round; between two of them the other networks had their turns."""
    cores: int | None = None
    others: float | None = None
    """How many of the machine's cores other processes used meanwhile, on average."""


@dataclass(frozen=True)
class Branch:
    """One network of one stage; what the folder does not have is None, or empty."""

    predictions: tuple[Path, ...]
    points: tuple[Point, ...]
    """The learning curve."""
    weights: int | None
    flops: int | None
    """Of one forward pass of one image."""
    caffemodel_bytes: int | None
    sparse_bytes: int | None
    """Of the same weights if a zero takes one bit."""
    forward_ms: float | None
    """A forward pass of one batch, as `caffe time` measures it."""
    timing: TimingConditions
    """How that was measured."""
    batch: int | None
    importance: Mapping[str, list[float]]
    """SEP block -> mean activation factor of each channel."""


STEPS = ("masked", "cut", "recalibrated")
"""The steps of a pruning before its network is trained on."""
RETRAINED = "retrained"


@dataclass(frozen=True)
class Loop:
    """One loop of a pruning."""

    number: int
    """From 1."""
    steps: Mapping[str, tuple[Path, ...]]
    """STEPS and RETRAINED, those that are there -> the predictions files of the branches."""


@dataclass(frozen=True)
class Stage:
    """One state of an experiment's networks."""

    name: str
    settings: Mapping[str, Any]
    branches: Mapping[str, Branch]
    loops: tuple[Loop, ...] = ()
    """Of a pruning of whose steps there are predictions."""

    @property
    def label(self) -> str:
        """What tables call it."""
        return str(self.settings.get("label", self.name))

    @property
    def predictions(self) -> list[Path]:
        """The predictions files of all branches."""
        return [path for branch in self.branches.values() for path in branch.predictions]


@dataclass(frozen=True)
class Missing:
    """How much of a data set is there."""

    expected: int
    """Images of the whole data set, at the experiment's magnification."""
    missing: int

    @property
    def found(self) -> int:
        """How many are there."""
        return self.expected - self.missing


@dataclass(frozen=True)
class Experiment:
    """One fold at one magnification, or one bag of it, or one seed of the networks that learn from it."""

    fold: str | None
    magnification: str | None
    bag: str | None
    """Of the paper's bagging: the bags of a fold are tested on the same images."""
    stages: tuple[Stage, ...]
    manifest: tuple[Row, ...] = field(default=(), compare=False, repr=False)
    """Its images and splits; empty if the folder has no manifest.csv."""
    missing: Missing | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What else was noted when its manifest was made."""
    stains: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Branch -> its stain normalisation and the target's source, in words; the branches of which that is known."""
    seed: str | None = None
    """Of its networks; the seeds of a study learn from the same images, and are tested on the same."""

    @property
    def images_key(self) -> tuple[str | None, str | None, str | None]:
        """Which images it has, among those of a study."""
        return self.fold, self.magnification, self.bag

    @property
    def key(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Which one it is among the experiments of a study."""
        return *self.images_key, self.seed


@dataclass(frozen=True)
class Results:
    """A results folder.

    `settings` is run.json. Keys that the report understands: title; data and patients (a sentence each: what data,
    which kind of patient is counted); synthetic (true or false); dataset (breakhis or bach: the paper's tables are put
    beside); classes (their names, from class 0); root (the folder that the manifests' paths count from, for pictures)
    and follow_links (true: links in it may lead elsewhere);
    stages (their names, in the order in which they are shown); magnification; lambda; width; ratio; seconds
    (step -> seconds); settings (the sections lmdb, network and solver of the config: what differs from the paper). It
    also carries versions, what two runs are compared by; see `pyhisto.versions`.
    """

    folder: Path
    settings: Mapping[str, Any]
    experiments: tuple[Experiment, ...]
    examples: tuple[Path, ...]

    @property
    def of_one_seed(self) -> list[Experiment]:
        """The experiments, of each set of images the first."""
        return list({experiment.images_key: experiment for experiment in reversed(self.experiments)}.values())[::-1]

    @property
    def weight(self) -> float:
        """Lambda of eq. 1."""
        value = self.settings.get("lambda", LAMBDA)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"{self.folder / 'run.json'}: lambda is {value!r}, not a number from 0 to 1")
        return value

    def class_name(self, label: int) -> str:
        """What a class is called: as run.json says, else benign and malignant for 0 and 1, else by its number."""
        names = self.settings.get("classes", ["benign", "malignant"])
        return str(names[label]) if isinstance(names, list) and label < len(names) else f"class {label}"


def pruning_ratio(stage: Stage, results: Results) -> float | None:
    """A stage's pruning ratio O: its own setting; else 0 before, and the run's ratio after pruning."""
    named: Mapping[str, object] = {"before": 0.0, "after": results.settings.get("ratio")}
    value = stage.settings.get("ratio", named.get(stage.name))
    return float(value) if isinstance(value, int | float) else None


def read_results(folder: Path) -> Results:
    """Read a results folder. Raises InputError if there is none, or a file in it is damaged."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the results folder of a run")
    settings = _read_object(folder / "run.json")
    magnification = settings.get("magnification")
    top = Experiment(None, None if magnification is None else str(magnification), None, ())
    stages = settings.get("stages")
    names = [str(name) for name in stages] if isinstance(stages, list) else ["before", "after"]
    experiments = tuple(_find_experiments(folder, top, names))
    if not any(stage.predictions for experiment in experiments for stage in experiment.stages):
        raise InputError(f"{folder}: has no <stage>/global/predictions.csv or <stage>/local/predictions.csv")
    return Results(folder, settings, experiments, tuple(sorted((folder / "examples").glob("*.png"))))


LEVELS = {"magnification": r"(\d+)X", "fold": r"fold(\w+)", "bag": r"bag(\w+)", "seed": r"seed(\w+)"}
"""Attribute of Experiment -> the folders that stand for it."""

OF_IMAGES = ("lmdb", "recipe")
"""Folders that have branches as stages have, and are none."""


def _find_experiments(folder: Path, levels: Experiment, names: Sequence[str]) -> Iterator[Experiment]:
    """The experiments in a folder, whose own levels are known, and in its folders that stand for further levels.

    Stages come in the order of `names`, then those that are not among them. Images that a folder does not name are
    those of the folder above.
    """

    def order(path: Path) -> tuple[int, list[tuple[int, int | str]]]:
        return names.index(path.name) if path.name in names else len(names), _natural(path)

    levels = replace(levels, stains=_read_stains(folder) or levels.stains, **_read_manifest(folder / "manifest.csv"))
    stages = [
        path
        for path in folder.iterdir()
        if path.name not in OF_IMAGES and any((path / branch).is_dir() for branch in BRANCHES)
    ]
    if stages:
        yield replace(levels, stages=tuple(_read_stage(path) for path in sorted(stages, key=order)))
    for path in sorted(folder.iterdir(), key=_natural):
        for level, pattern in LEVELS.items():
            if path.is_dir() and (match := re.fullmatch(pattern, path.name)):
                yield from _find_experiments(path, replace(levels, **{level: match[1]}), names)  # type: ignore[arg-type]


def _read_stains(folder: Path) -> dict[str, str]:
    """Branch -> its stain normalisation, in words."""
    recipes = {name: folder / "recipe" / name / RECIPE for name in BRANCHES}
    stains = {name: Preprocessing.load(path).stain for name, path in recipes.items() if path.is_file()}
    return {name: f"{stain.method} to {stain.source}" if stain else "none" for name, stain in stains.items()}


def _read_manifest(path: Path) -> dict[str, Any]:
    """What an experiment has of its manifest: fields of Experiment."""
    if not path.is_file():
        return {}
    noted = path.with_suffix(".json")
    facts = _read_object(noted)
    try:
        expected, missing = _number(facts.get("expected"), int), int(facts.get("missing", 0))
        if expected is not None and not 0 <= missing <= expected:
            raise ValueError
        notes = tuple(map(str, facts.get("notes", ())))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{noted}: not what make_manifest.py writes; make the manifest again") from None
    return {
        "manifest": tuple(read_manifest(path)),
        "missing": None if expected is None else Missing(expected, missing),
        "notes": notes,
    }


def _read_stage(folder: Path) -> Stage:
    branches: dict[str, Branch] = {name: _read_branch(folder / name) for name in BRANCHES if (folder / name).is_dir()}
    return Stage(folder.name, _read_object(folder / "stage.json"), branches, tuple(_read_loops(folder)))


def _read_loops(stage: Path) -> Iterator[Loop]:
    """The loops of which a stage's folder, or one beside it in loops/, has predictions at a step before the last."""
    named = re.compile(re.escape(stage.name) + "_[0-9]+")
    earlier = sorted((path for path in stage.parent.glob("loops/*") if named.fullmatch(path.name)), key=_natural)
    for number, folder in enumerate([*earlier, stage], 1):
        files = {step: [folder / branch / "steps" / f"{step}.csv" for branch in BRANCHES] for step in STEPS}
        files[RETRAINED] = [folder / branch / "predictions.csv" for branch in BRANCHES]
        there = {step: tuple(filter(Path.is_file, paths)) for step, paths in files.items()}
        if any(there[step] for step in STEPS):
            yield Loop(number, {step: paths for step, paths in there.items() if paths})


def _read_branch(folder: Path) -> Branch:
    cost, time = _read_object(folder / "cost.json"), _read_object(folder / "time.json")
    importance = _read_object(folder / "importance.json")
    metrics = folder / "metrics.jsonl"
    try:
        total = cost.get("total", {})
        return Branch(
            predictions=tuple(sorted(folder.glob("predictions*.csv"), key=_natural)),
            points=tuple(read_points(metrics)) if metrics.is_file() else (),
            weights=_number(total.get("weights"), int),
            flops=_number(total.get("flops"), int),
            caffemodel_bytes=_number(cost.get("caffemodel_bytes"), int),
            sparse_bytes=_number(cost.get("sparse_bytes"), int),
            forward_ms=_number(time.get("forward_ms"), float),
            timing=TimingConditions(
                tuple(map(float, time.get("forward_ms_rounds", ()))),
                _number(time.get("cores"), int),
                _number(time.get("cores_used_by_others"), float),
            ),
            batch=_number(time.get("batch"), int),
            importance={
                str(name): [float(factor) for factor in factors]
                for name, factors in importance.get("blocks", {}).items()
            },
        )
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise InputError(f"{folder}: cost.json, time.json or importance.json is not what the tools write") from None


def _number(value: Any, kind: Any) -> Any:
    return None if value is None else kind(value)


def _read_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is no file."""
    return read_object(path) if path.is_file() else {}


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Order names as people do: fold2 before fold10."""
    parts = re.split(r"([0-9]{1,18})", path.name)
    return [(0, int(part)) if number % 2 else (1, part) for number, part in enumerate(parts) if part]
