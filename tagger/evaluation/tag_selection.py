"""Choice of the tags that a model says: calibrated on typical photos, kept if they are right.

Photos of single things show what a tag looks like, but not how often it is right on the photos that
people have. So each tag's logits are calibrated for typical photos, those that the model is made
for: their negatives, and the share of them that has the tag. A tag without enough typical photos
borrows its positives from the other ones. Then each tag has to earn its place: cross-fitted, over
all validation photos, enough of what is said has to be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betainc

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.inference.decision import to_probabilities

MIN_TYPICAL = 8  # typical photos with a tag, from which on no others are needed
MIN_PRESENT = 4  # photos with a tag, below which it cannot be calibrated
THRESHOLDS = (0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)  # that are tried
# Without evidence for a lower one, the lowest threshold
USUAL_THRESHOLD = 0.5
BORROWED_THRESHOLD = 0.8  # of a tag whose positives were borrowed
THING_THRESHOLD = 0.95  # of a thing: people notice one that is not there
SURE_PRECISION = 0.95  # of many predictions: evidence for a lower threshold
SURE_PREDICTIONS = 30  # on typical photos
SURE_CONFIDENCE = 0.75
CONFIDENCE = 0.6  # that the least precision is reached
MIN_PREDICTED = 5  # photos: said of fewer, nobody knows how right a tag is, so none may be wrong
RARE_THRESHOLD = 0.8  # of a tag that is said of fewer, and is no thing
MIN_PHOTOS = 20  # validation photos to choose tags by
PRIOR_PREDICTIONS = 3.0  # at the precision that is asked for, more than there are
SLOPE_WEIGHT = 0.02  # of the prior that calibration leaves the slope as it is
PREVALENCE_PRIOR = 0.25  # photos with the tag, and as many without it, more than there are
FOLDS, REPEATS = 5, 4


@dataclass(frozen=True, eq=False)
class TagSelection:
    """Calibration of C tags and which of them are kept.

    A calibrated logit is `slopes * logit + shifts`; all arrays are `(C,)`. Infinite `thresholds`
    are those of tags that are not kept. `predicted` and `precisions` are cross-fitted counts and
    shares on the validation photos.
    """

    slopes: NDArray[np.float64]
    shifts: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    predicted: NDArray[np.int64]
    precisions: NDArray[np.float64]

    @property
    def kept(self) -> NDArray[np.int64]:
        """The numbers of the tags that are kept."""
        return np.flatnonzero(np.isfinite(self.thresholds))


@dataclass(frozen=True)
class _Calibration:
    slope: float = 1.0
    shift: float = 0.0


def select_tags(
    logits: NDArray[np.float32],
    cells: NDArray[np.int8],
    doubtful: NDArray[np.bool_],
    typical: NDArray[np.bool_],
    prevalences: NDArray[np.float64],
    things: NDArray[np.bool_],
    least_precision: float,
    seed: int,
) -> TagSelection:
    """Calibrate tags by the `logits (N, C)` and `cells (N, C)` of validation photos.

    `doubtful (N, C)` are unseen cells of which somebody said that the photo has the tag; to say it
    there is not wrong. `typical (N,)` are the photos that the model is made for, `prevalences (C,)`
    the share of such photos that has each tag, and `things (C,)` the tags of single things.
    """
    rng = np.random.default_rng(seed)
    choices = []
    for tag, share in enumerate(prevalences.tolist()):
        scores, states = logits[:, tag].astype(np.float64), cells[:, tag]
        usual = USUAL_THRESHOLD
        positives = typical & (states == PRESENT)
        if positives.sum() < MIN_TYPICAL:
            positives, usual = states == PRESENT, BORROWED_THRESHOLD
        usual = max(usual, THING_THRESHOLD) if things[tag] else usual
        negatives = typical & (states == ABSENT)
        fit = _calibrate(scores[positives], scores[negatives], share)
        probabilities = np.zeros(len(scores))
        for _ in range(REPEATS):
            folds = _stratified_folds(2 * states.astype(np.int64) + typical, rng)
            for fold in range(FOLDS):
                held_out = folds == fold
                present, absent = positives & ~held_out, negatives & ~held_out
                part = _calibrate(scores[present], scores[absent], share)
                if part is not None:
                    calibrated = part.slope * scores[held_out] + part.shift
                    probabilities[held_out] += to_probabilities(calibrated, "multi") / REPEATS
        evidence = _Evidence(states == PRESENT, states == ABSENT, doubtful[:, tag], typical)
        choice = _choose_threshold(probabilities, evidence, usual, least_precision)
        choices.append((fit or _Calibration(), *choice))
    fits, thresholds, predicted, precisions = zip(*choices, strict=True)
    return TagSelection(
        slopes=np.array([fit.slope for fit in fits]),
        shifts=np.array([fit.shift for fit in fits]),
        thresholds=np.array(thresholds),
        predicted=np.array(predicted),
        precisions=np.array(precisions),
    )


@dataclass(frozen=True)
class _Count:
    """How many photos a tag is predicted for where somebody looked, and right for."""

    predicted: int
    right: int

    def reaches(self, precision: float, confidence: float) -> bool:
        """Whether the precision is that high, with a confidence in [0, 1].

        The prior is a beta distribution around that precision.
        """
        prior = PRIOR_PREDICTIONS * precision
        wrong = self.predicted - self.right + PRIOR_PREDICTIONS - prior
        return bool(1 - betainc(self.right + prior, wrong, precision) >= confidence)


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What is known of a tag in each photo; all arrays are bool `(N,)`."""

    present: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    typical: NDArray[np.bool_]

    def count(self, predicted: NDArray[np.bool_]) -> tuple[_Count, _Count]:
        """The counts of all photos, and of typical ones; there a doubtful tag is right."""
        right, wrong = predicted & self.present, predicted & self.absent
        of_typical = predicted & self.typical
        fitting = of_typical & (self.present | self.doubtful)
        every = _Count(int((right | wrong).sum()), int(right.sum()))
        judged = fitting | (of_typical & self.absent)
        return every, _Count(int(judged.sum()), int(fitting.sum()))


def _choose_threshold(
    probabilities: NDArray[np.float64], evidence: _Evidence, usual: float, least_precision: float
) -> tuple[float, int, float]:
    """The threshold at which a tag earns its place, its predictions and its precision.

    It is the lowest at which enough predictions are right, and at least the `usual` one, unless
    SURE_PRECISION is reached, on all photos and on typical ones. It is infinite if there is none.
    """
    has_evidence = False  # at this threshold or a lower one, which has more predictions
    predicted, precision = 0, 0.0
    for threshold in THRESHOLDS:
        every, typical = evidence.count(probabilities >= threshold)
        predicted, precision = every.predicted, every.right / max(every.predicted, 1)
        is_right = every.reaches(least_precision, CONFIDENCE) and (
            not typical.predicted or typical.reaches(least_precision, CONFIDENCE)
        )
        has_evidence |= is_right and predicted >= MIN_PREDICTED
        may_be_rare = usual < THING_THRESHOLD and threshold >= RARE_THRESHOLD
        is_rare = may_be_rare and 0 < predicted == every.right
        is_sure = (
            typical.predicted >= SURE_PREDICTIONS
            and every.reaches(SURE_PRECISION, SURE_CONFIDENCE)
            and typical.reaches(SURE_PRECISION, SURE_CONFIDENCE)
        )
        if (usual <= threshold or is_sure) and is_right and (has_evidence or is_rare):
            return threshold, predicted, precision
    return np.inf, predicted, precision


def prevalence(cells: NDArray[np.int8]) -> NDArray[np.float64]:
    """The share `(C,)` of photos that has each tag, by `cells (N, C)` of typical photos."""
    present, looked_at = (cells == PRESENT).sum(axis=0), (cells != UNSEEN).sum(axis=0)
    return np.asarray((present + PREVALENCE_PRIOR) / (looked_at + 2 * PREVALENCE_PRIOR))


def _stratified_folds(strata: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold `(N,)` of each photo; each has its part of every one of the `strata (N,)`."""
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(len(strata), np.int64)
    folds[order] = np.arange(len(strata)) % FOLDS
    return folds


def _calibrate(
    present: NDArray[np.float64], absent: NDArray[np.float64], prevalence: float
) -> _Calibration | None:
    """Logistic calibration (Platt 1999) of the logits of photos with a tag and without.

    It is weighted to the tag's prevalence. None if there are too few photos.
    """
    if len(present) < MIN_PRESENT or not len(absent):
        return None
    weight = len(absent) * prevalence / (1 - prevalence) / len(present)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, shift = np.exp(parameters[0]), parameters[1]
        of_present, of_absent = -(slope * present + shift), slope * absent + shift
        value = weight * np.logaddexp(0, of_present).sum() + np.logaddexp(0, of_absent).sum()
        down = -weight / (1 + np.exp(-of_present))
        up = 1 / (1 + np.exp(-of_absent))
        gradient = [
            slope * ((down * present).sum() + (up * absent).sum())
            + 2 * SLOPE_WEIGHT * parameters[0],
            down.sum() + up.sum(),
        ]
        return float(value + SLOPE_WEIGHT * parameters[0] ** 2), np.array(gradient)

    start: NDArray[Any] = np.array([0.0, np.log(prevalence / (1 - prevalence))])
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-3, 3), (-60, 60)])
    return _Calibration(float(np.exp(result.x[0])), float(result.x[1]))
