"""The measures of the paper (eq. 9-13) and their intervals, over arrays with one entry per image.

Class 1 (malignant) is the positive class. A measure that is undefined (a division by zero: no image of a class, no
image called positive) is NaN, never 0. Rates are fractions; tables turn them into percent.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pyhisto.arrays import Floats, Ints

POSITIVE = 1
"""The class that counts as positive: malignant, cancer."""

CONFIDENCE = 0.95
RESAMPLES = 10_000
"""Bootstrap samples; the interval's ends then move by about a tenth of a point between seeds."""


@dataclass(frozen=True)
class Interval:
    """Both ends of a confidence interval, as fractions."""

    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """Every measure of one set of decisions; fractions, NaN if undefined.

    Attributes:
        images, patients: how many were counted.
        majority: the image level rate of always naming the most frequent class.
        il, il_interval: image level rate (eq. 11) and its Wilson interval.
        pl, pl_interval: patient level rate (eq. 9, 10) and its patient-wise bootstrap interval.
        kappa: Cohen's kappa (eq. 13).
        balanced: balanced accuracy, the mean of the classes' recalls, of the classes that have images.
        ppv, f1, recall, specificity, auc: of class 1 against class 0; PPV (eq. 12) is precision by another name.
        npv: the share of the images called benign that are benign. (What Table 3 prints as PPV.)
    """

    images: int
    patients: int
    majority: float
    il: float
    il_interval: Interval
    pl: float
    pl_interval: Interval
    kappa: float
    ppv: float
    npv: float
    f1: float
    recall: float
    specificity: float
    auc: float
    balanced: float = math.nan

    @property
    def precision(self) -> float:
        """Precision is eq. 12."""
        return self.ppv


def score(labels: Ints, predicted: Ints, positive: Floats, patients: Ints, classes: int, seed: int = 0) -> Scores:
    """All measures of one set of decisions.

    Args:
        labels: the true class of each image, shape (n,), 0 .. classes - 1.
        predicted: the class named for each image, shape (n,).
        positive: how much each image looks like class 1, shape (n,); any scale, only its order counts (for AUC).
        patients: the number of each image's patient, shape (n,).
        classes: how many classes there are. With more than two, the two-class measures are NaN.
        seed: of the bootstrap.
    """
    table = confusion(labels, predicted, classes)
    correct = labels == predicted
    two = classes == 2
    return Scores(
        images=len(labels),
        patients=len(np.unique(patients)),
        majority=majority_rate(labels),
        il=image_level(table),
        il_interval=wilson(int(correct.sum()), len(labels)),
        pl=patient_level(correct, patients),
        pl_interval=patient_bootstrap(correct, patients, seed),
        kappa=kappa(table),
        ppv=ppv(table) if two else math.nan,
        npv=npv(table) if two else math.nan,
        f1=f1(table) if two else math.nan,
        recall=recall(table) if two else math.nan,
        specificity=specificity(table) if two else math.nan,
        auc=auc(labels, positive) if two else math.nan,
        balanced=balanced(table),
    )


def confusion(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """How many images of class i (row) were called class j (column); shape (classes, classes)."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def image_level(table: Ints) -> float:
    """Eq. 11: IL, the share of images that are classified correctly."""
    return _ratio(np.trace(table), table.sum())


def balanced(table: Ints) -> float:
    """Balanced accuracy: the mean, over the classes that have images, of the share that is classified correctly."""
    images = table.sum(axis=1)
    return float((np.diag(table)[images > 0] / images[images > 0]).mean()) if images.any() else math.nan


def patient_scores(correct: NDArray[np.bool_], patients: Ints) -> Floats:
    """Eq. 9: PS of every patient, the share of its images that are classified correctly; shape (patients,)."""
    _, number = np.unique(patients, return_inverse=True)
    return np.asarray(np.bincount(number, weights=correct) / np.bincount(number))


def patient_level(correct: NDArray[np.bool_], patients: Ints) -> float:
    """Eq. 10: PL, the mean of the patients' scores."""
    return float(patient_scores(correct, patients).mean()) if len(correct) else math.nan


def kappa(table: Ints) -> float:
    """Eq. 13: Cohen's kappa. NaN if truth and decisions are one and the same single class."""
    total = table.sum()
    if total == 0:
        return math.nan
    chance = float(table.sum(axis=0) @ table.sum(axis=1)) / float(total) ** 2
    return math.nan if chance == 1 else (image_level(table) - chance) / (1 - chance)


def ppv(table: Ints) -> float:
    """Eq. 12: positive predictive value, TP / (TP + FP); also called precision."""
    return _ratio(table[1, 1], table[:, 1].sum())


def npv(table: Ints) -> float:
    """Negative predictive value, TN / (TN + FN)."""
    return _ratio(table[0, 0], table[:, 0].sum())


def recall(table: Ints) -> float:
    """Recall, or sensitivity: TP / (TP + FN)."""
    return _ratio(table[1, 1], table[1].sum())


def specificity(table: Ints) -> float:
    """Specificity: TN / (TN + FP)."""
    return _ratio(table[0, 0], table[0].sum())


def f1(table: Ints) -> float:
    """F1: 2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * table[1, 1], table[1].sum() + table[:, 1].sum())


def majority_rate(labels: Ints) -> float:
    """The image level rate of a program that always names the most frequent class of these images."""
    return _ratio(np.bincount(labels).max(), len(labels)) if len(labels) else math.nan


def roc(labels: Ints, positive: Floats) -> tuple[Floats, Floats]:
    """The ROC curve of class 1 against the rest.

    Returns (false positive rate, true positive rate), from (0, 0) to (1, 1), one point per distinct score: images of
    equal score cross the threshold together. NaN if a class has no image.
    """
    order = np.argsort(-positive, kind="stable")
    truth = labels[order] == POSITIVE
    last = np.append(np.flatnonzero(np.diff(positive[order])), len(truth) - 1) if len(truth) else np.zeros(0, int)
    hits = np.concatenate(([0], np.cumsum(truth)[last]))
    alarms = np.concatenate(([0], np.cumsum(~truth)[last]))
    with np.errstate(invalid="ignore"):
        return alarms / np.float64(alarms[-1]), hits / np.float64(hits[-1])


def auc(labels: Ints, positive: Floats) -> float:
    """The area under the ROC curve."""
    alarms, hits = roc(labels, positive)
    return float(np.trapezoid(hits, alarms))


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95% score interval of a rate.

    It takes the trials as independent. Images of one patient are not, so that for IL it is the narrowest that can be
    claimed; PL's bootstrap over patients does not share this.
    """
    if trials == 0:
        return Interval(math.nan, math.nan)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # The formula is exact at both ends of the range; rounding is not, and could leave the rate outside its interval.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(low, high)


def patient_bootstrap(correct: NDArray[np.bool_], patients: Ints, seed: int = 0) -> Interval:
    """The 95% percentile interval of PL when the patients are drawn again, with replacement; the same for a seed."""
    if len(correct) == 0:
        return Interval(math.nan, math.nan)
    scores = patient_scores(correct, patients)
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // len(scores))  # in memory at a time; the draws are the same whatever the step
    for first in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - first)
        draws = rng.integers(len(scores), size=(count, len(scores)))
        means[first : first + count] = scores[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def difference_interval(differences: Ints, patients: Ints, seed: int = 0, trainings: Ints | None = None) -> Interval:
    """The 95% interval of a difference of two IL on the same images, for other patients and, if asked, other trainings.

    Patients are drawn again (a percentile bootstrap). If the same images were tested after several trainings, the mean
    of their differences is uncertain too, and their number small: its deviation is added to each draw, distributed as
    Student's t. What is left over when patients and trainings are set apart counts in both: the interval is a wide one.

    Args:
        differences: of each image, 1 if only the first decides rightly, -1 if only the second does, else 0.
        patients: the number of each image's patient; all images of a patient are drawn together.
        seed: of the bootstrap.
        trainings: the number of the training after which each image was tested; None: no other trainings are asked for.
    """
    if len(differences) == 0:
        return Interval(math.nan, math.nan)
    images = np.bincount(patients)
    sums, images = np.bincount(patients, weights=differences)[images > 0], images[images > 0]
    rng = np.random.default_rng(seed)
    # Patients who are alike are drawn as one: thousands of them are of few kinds.
    (sums, images), alike = np.unique([sums, images], axis=1, return_counts=True)
    draws = rng.multinomial(alike.sum(), alike / alike.sum(), size=RESAMPLES)
    drawn = (draws @ sums) / (draws @ images)
    if trainings is not None and len(counts := np.bincount(trainings)) > 1:
        means = np.bincount(trainings, weights=differences) / counts
        drawn += rng.standard_t(len(means) - 1, RESAMPLES) * means.std(ddof=1) / math.sqrt(len(means))
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def mean_and_spread(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation over folds, as the paper's tables print them.

    The deviation is the sample's (n - 1), the usual one for five folds (the paper does not say); NaN for one fold.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan
