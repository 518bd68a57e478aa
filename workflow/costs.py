"""What each job of a run takes: a core's seconds, a card's, and bytes on the disk.

A job is a program that starts, and its work. The work is counted in images, records and iterations, whose times are
measured (`measured`, `speeds`); what a program takes beside it is counted in starts of a program of this project, whose
time on this machine is measured, too. A pruned network takes the share of the FLOPs and weights that Table 7 prints.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from dry_run import Job
from images import Images
from measured import Prepared, Trained, whole_number
from study import Study

from pyhisto.pruning.schedule import proportion
from pyhisto.study.collapse_training import DECAYS, POOLINGS
from pyhisto.study.paper.printed import COST, read_printed

SNAKEMAKE = 0.73
"""Starts of a program that Snakemake itself takes a job."""

STARTS = {
    "synthetic": 5.0, "samples": 4.0, "manifest": 0.5, "lmdb": 3.4, "features": 2.5, "colour": 7.8, "spanhol2015": 7.0,
    "network": 1.1, "train": 8.6, "slimming": 8.6, "surgery": 9.0, "importance": 3.3, "recalibrate": 3.8, "mask": 1.3,
    "prune": 5.6, "predict": 3.75, "predict_step": 3.75, "times": 4.0, "examples": 1.2, "bundle": 12.7,
    "report": 22.0, "stage": 0.6, "settings": 0.6, "patch_lmdb": 2.5, "patch_network": 0.9, "patch_predict": 3.4,
    "all_magnifications": 0.5, "all_magnifications_lmdb": 3.6, "magnification_network": 1.0,
    "magnification_predict": 3.3, "magnification_cost": 0.9, "bayramoglu2016": 0.6, "spanhol2016": 0.6,
    "train_compared": 4.65, "cost_compared": 0.9, "cost": 0.9, "collapse": 6.0, "surgery_network": 0.0,
    "continued_network": 1.1, "remove_lmdb": 0.0, "remove_patches": 0.0, "remove_all_magnifications_lmdb": 0.0,
}  # fmt: skip
"""Rule -> what a job takes beside its work, in starts of a program; as found with workflow/config/tiny.yaml."""

TIMED_PASSES = 5 * (10 + 1)
"""Forward and backward passes by which tools/caffe_time.py times a network."""
RECALIBRATED = 100
"""Batches on which BatchNorm is recalibrated."""
FIT = 0.08
"""Starts that the classifiers of Spanhol et al. 2015 take a training image and descriptor."""
SCORED = 1.5
"""Starts that the report takes for each stage of an experiment."""

RETRAINING = "retraining"
SNAPSHOTS = 2
"""How many stay."""
LOG = 9
"""How many times Caffe's log is as large as the prototxt of the network that trains."""
CURVE, TABLES, PICTURES, SHEET = 50e3, 150e3, 5.8e6, 1e6
"""Bytes of a learning curve; of a stage's cost, time and importance; of report and figures; of example patches."""
ROW = 50
"""Bytes of a row of predictions, beside the image's name."""


@dataclass(frozen=True)
class JobCost:
    """Of a job, or of several."""

    core: float = 0.0
    """Seconds that a core is at work."""
    card: float = 0.0
    """Seconds that a card is."""
    disk: float = 0.0
    """Bytes that stay."""

    def __add__(self, other: "JobCost") -> "JobCost":
        return JobCost(self.core + other.core, self.card + other.card, self.disk + other.disk)


@dataclass(frozen=True)
class Costs:
    """The costs of a config's jobs."""

    study: Study
    images: Images
    start: float
    """Seconds of the start of a program."""
    cuts: Mapping[str, Prepared]
    """Of the branches, of the patches of [11] as `32_random`, of all magnifications together as `all`."""
    networks: Mapping[str, Trained]
    """Of the branches, of pruned ones as `retraining`, of [11] as `32_random`, of [17] as its tasks."""
    features: tuple[float, int]
    """Of an image: seconds, and how many numbers they are."""

    def of(self, job: Job) -> JobCost:
        """What a job takes."""
        work = self._work.get(job.rule)
        started = JobCost(core=self.start * (STARTS.get(job.rule, 1.0) + SNAKEMAKE))
        return started + work(job.wildcards) if work else started

    def passing(self) -> float:
        """Bytes of the LMDBs that are there at a time, at the most, with the records of one that is being built."""
        lmdbs = {name: self._records(name) * cut.record for name, cut in self.cuts.items()}
        patches = [name for name in lmdbs if name not in (*self.study.branches, "all")]
        together: int = min(self.study.at_once, len(self.study.every_images))
        there = together * sum(lmdbs[branch] for branch in self.study.branches)
        there += sum(lmdbs[name] for name in patches) + lmdbs.get("all", 0)
        return there + max(lmdbs.values())

    @cached_property
    def _work(self) -> Mapping[str, Callable[[Mapping[str, str]], JobCost]]:
        return {
            "synthetic": lambda w: self._made,
            "samples": lambda w: self._made,
            "lmdb": lambda w: self._built(w["branch"]),
            "patch_lmdb": lambda w: self._built(f"{w['patch']}_{w['cut']}"),
            "all_magnifications_lmdb": lambda w: self._built("all"),
            "network": lambda w: JobCost(disk=self.networks[w["branch"]].files),
            "patch_network": lambda w: JobCost(disk=self.networks[_patch(w)].files),
            "magnification_network": lambda w: JobCost(disk=self.networks[w["task"]].files),
            "surgery_network": lambda w: JobCost(disk=self.networks[w["branch"]].files),
            "continued_network": lambda w: JobCost(
                disk=self.networks[w["branch"]].files + self.networks[w["branch"]].learned
            ),
            "train": lambda w: self._training(w["branch"], w["stage"]),
            "slimming": self._slimming,
            "surgery": self._surgery,
            "prune": self._prune,
            "importance": self._importance,
            "recalibrate": lambda w: self._forward(
                w["branch"], RECALIBRATED * self.networks[w["branch"]].batch, w["stage"]
            ),
            "predict": lambda w: self._predicted(w["branch"], w["branch"], w["stage"]),
            "predict_step": lambda w: self._predicted(w["branch"], w["branch"], w["stage"]),
            "patch_predict": lambda w: replace(
                self._predicted(_patch(w), _patch(w)), disk=3 * self.images.test * self._row
            ),
            "magnification_predict": lambda w: self._predicted(w["task"], "all"),
            "times": lambda w: self._timed,
            "cost": lambda w: JobCost(disk=TABLES),
            "examples": lambda w: JobCost(disk=SHEET),
            "features": lambda w: self._described,
            "spanhol2015": lambda w: self._classified,
            "train_compared": lambda w: self._compared(w["place"]),
            "collapse": lambda w: self._collapse,
            "bundle": lambda w: self._bundled,
            "report": lambda w: JobCost(
                core=self.start * SCORED * len(self.study.stages) * len(self.study.experiments), disk=PICTURES
            ),
        }  # fmt: skip

    # Data

    @property
    def _made(self) -> JobCost:
        return JobCost(core=self.images.made * self.images.seconds, disk=self.images.made * self.images.size)

    def _built(self, name: str) -> JobCost:
        """An LMDB that goes again: its images' time alone."""
        cut, times = self.cuts[name], self._magnifications if name == "all" else 1
        return JobCost(core=times * (self.images.train * cut.train + self.images.val * cut.plain))

    def _records(self, name: str, val: bool = True) -> float:
        """How many records the LMDBs of a cut hold."""
        cut, times = self.cuts[name], self._magnifications if name == "all" else 1
        return times * cut.patches * (self.images.train * cut.copies + (self.images.val if val else 0))

    @property
    def _magnifications(self) -> int:
        return len(self.study.config.get("magnifications", [])) or 1

    # Networks

    def _training(self, branch: str, stage: str, iterations: int | None = None) -> JobCost:
        first = stage == "before" or stage in self.study.started
        network = self.networks[branch if first else RETRAINING]
        flops, weights = self._left(stage)
        records = self.images.val * self.cuts[branch].patches
        return self._trained(network, records, flops, weights, iterations)

    def _trained(
        self, network: Trained, tested: float, flops: float = 1.0, weights: float = 1.0, iterations: int | None = None
    ) -> JobCost:
        share = 1.0 if iterations is None else iterations / network.iterations
        seconds = share * (
            network.iterations * network.times.iteration + network.tests * tested * network.times.forward
        )
        stored = weights * network.learned + network.layers
        snapshots = min(SNAPSHOTS, network.snapshots) * (2 * weights * network.learned + network.layers)
        return self._where(network, flops * seconds) + JobCost(
            disk=snapshots + stored + LOG * network.train_val + CURVE
        )

    def _slimming(self, w: Mapping[str, str]) -> JobCost:
        """Its own iterations, and no log of Caffe's."""
        trained = self._training(w["branch"], w["stage"], int(w["iterations"]))
        return trained + JobCost(disk=-LOG * self.networks[w["branch"]].train_val)

    def _surgery(self, w: Mapping[str, str]) -> JobCost:
        """DNS writes no log, but masks, the weights once more, and what is left of them."""
        settings = self.study.compressions[w["stage"]]
        network, (_, weights) = self.networks[w["branch"]], self._left(w["stage"])
        trained = self._training(w["branch"], w["stage"], settings.get("iterations"))
        more = 2 * (weights * network.learned + network.layers) - LOG * network.train_val
        return trained + JobCost(disk=more)

    def _prune(self, w: Mapping[str, str]) -> JobCost:
        network, (_, weights) = self.networks[w["branch"]], self._left(w["stage"])
        return JobCost(disk=1.25 * network.files + weights * network.learned + network.layers)

    def _importance(self, w: Mapping[str, str]) -> JobCost:
        records = self._records(w["branch"], val=False)
        samples = whole_number(self.study.config.get("importance", {}), "samples", int(records))
        return self._forward(w["branch"], min(samples, records), w["stage"])

    def _forward(self, name: str, inputs: float, stage: str = "before") -> JobCost:
        network, (flops, _) = self.networks[name], self._left(stage)
        return self._where(network, flops * inputs * network.times.forward)

    def _predicted(self, name: str, cut: str, stage: str = "before") -> JobCost:
        prepared, images = self.cuts[cut], self.images.test
        rows = images * prepared.patches
        return self._forward(name, rows, stage) + JobCost(core=images * prepared.plain, disk=rows * self._row)

    @property
    def _row(self) -> int:
        return len(self.images.name) + ROW

    @property
    def _timed(self) -> JobCost:
        """All networks of an experiment, on the CPU."""
        once = sum(self._left(stage)[0] for stage in self.study.stages)
        here = [self.networks[branch].times_here for branch in self.study.branches]
        return JobCost(core=TIMED_PASSES * once * sum(times.iteration for times in here if times is not None))

    def _where(self, network: Trained, seconds: float) -> JobCost:
        return JobCost(card=seconds) if network.on_card else JobCost(core=seconds)

    def _left(self, stage: str) -> tuple[float, float]:
        """The shares of FLOPs and weights that a stage's networks have of the first one's."""
        name = _stage(stage)
        settings = self.study.compressions.get(name)
        if settings is None:
            return 1.0, 1.0
        if "method" in settings:
            return self._left(settings.get("of", "before"))
        loops = settings.get("loops", 1)
        number = int(stage.rpartition("_")[2]) if stage.startswith("loops/") else loops
        ratio = settings.get("ratio", 0.5)
        return shares_left(1 - (1 - proportion(ratio, loops)) ** number)

    # The rest

    @property
    def _described(self) -> JobCost:
        seconds, numbers = self.features
        images = self._magnifications * self.images.all
        return JobCost(core=images * seconds, disk=4 * images * numbers)

    @property
    def _classified(self) -> JobCost:
        settings = self.study.config["compared"]["spanhol2015"]
        descriptors, classifiers = len(settings["descriptors"]), len(settings["classifiers"])
        rows = descriptors * classifiers * self.images.test
        fits = self.start * FIT * self.images.train * descriptors * classifiers / 4
        return JobCost(core=fits, disk=rows * self._row)

    def _compared(self, place: str) -> JobCost:
        name = place.rpartition("/")[2]
        cut = name if name in self.cuts else "all"
        times = self._magnifications if cut == "all" else 1
        return self._trained(self.networks[name], times * self.images.val * self.cuts[cut].patches)

    @property
    def _collapse(self) -> JobCost:
        settings = self.study.config["compared"]["collapse"]
        network = self.networks[f"{settings['patch']}_{settings['cut']}"]
        inputs = len(POOLINGS) * len(DECAYS) * settings["iterations"] * settings["batch-size"]
        return self._where(network, inputs * network.times.iteration / network.batch)

    @property
    def _bundled(self) -> JobCost:
        """Of each branch, and of each bag, a caffemodel and an ONNX file."""
        bags = max(1, self.study.config.get("bags", 0))
        _, weights = self._left(self.study.config["bundle"]["stage"])
        return JobCost(disk=bags * sum(2.2 * weights * self.networks[branch].learned for branch in self.study.branches))


def total(costs: Iterable[JobCost]) -> JobCost:
    """The sum."""
    return sum(costs, JobCost())


def shares_left(ratio: float) -> tuple[float, float]:
    """The shares of FLOPs and weights that Table 7 has at a pruning ratio O; between its rows along straight lines."""
    rows = [row for row in read_printed(COST) if row["pruning_ratio"]]
    points = [(float(row["pruning_ratio"]), float(row["flops_M"]), float(row["weights_M"])) for row in rows]
    whole = points[0]
    for before, after in pairwise([*points, (1.0, points[-1][1], points[-1][2])]):
        if ratio <= after[0]:
            part = (ratio - before[0]) / (after[0] - before[0])
            flops, weights = (a + part * (b - a) for a, b in zip(before[1:], after[1:], strict=True))
            return flops / whole[1], weights / whole[2]
    return points[-1][1] / whole[1], points[-1][2] / whole[2]


def _stage(stage: str) -> str:
    """The compression that a stage, or one of its loops, belongs to."""
    return stage.removeprefix("loops/").rpartition("_")[0] if stage.startswith("loops/") else stage


def _patch(w: Mapping[str, str]) -> str:
    return f"{w['patch']}_{w['cut']}"
