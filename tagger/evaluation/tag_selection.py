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
from sklearn.model_selection import KFold

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.inference.decision import to_probabilities

MIN_TYPICAL = 8  # typical photos with a tag, from which on no others are needed
MIN_PRESENT = 4  # validation photos with a tag, below which it cannot be calibrated
MIN_PREDICTED = 5  # times: from here on a tag's precision is taken as it is
MIN_RIGHT = (
    2  # times: said less often than MIN_PREDICTED, a tag has to be right so often and never wrong
)
THRESHOLDS = (0.6, 0.7, 0.8, 0.9)  # probabilities from which on a tag may be said, lowest first
BORROWED_THRESHOLD = 0.8  # the lowest for a tag whose positives were borrowed
SLOPE_WEIGHT = 0.02  # of the prior that calibration leaves the slope as it is
PREVALENCE_PRIOR = 0.25  # photos with the tag, and as many without it, more than there are
FOLDS = 5


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


@dataclass(frozen=True, eq=False)
class _Fit:
    slope: float = 1.0
    shift: float = 0.0
    threshold: float = np.inf  # the lowest


def select_tags(
    logits: NDArray[np.float32],
    cells: NDArray[np.int8],
    typical: NDArray[np.bool_],
    prevalences: NDArray[np.float64],
    least_precision: float,
    seed: int,
) -> TagSelection:
    """Calibrate tags by the `logits (N, C)` and `cells (N, C)` of validation photos.

    `typical (N,)` are the photos that the model is made for, `prevalences (C,)` the share of such
    photos that has each tag.
    """
    folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(logits))
    choices = []
    for tag, share in enumerate(prevalences.tolist()):
        scores, states = logits[:, tag].astype(np.float64), cells[:, tag]
        fit = _fit(scores, states, typical, share)
        probabilities = np.zeros(len(scores))
        for rest, fold in folds:
            part = _fit(scores[rest], states[rest], typical[rest], share)
            if part.threshold < np.inf:
                calibrated = part.slope * scores[fold] + part.shift
                probabilities[fold] = to_probabilities(calibrated, "multi")
        choices.append((fit, *_choose_threshold(probabilities, states, fit, least_precision)))
    fits, thresholds, predicted, precisions = zip(*choices, strict=True)
    return TagSelection(
        slopes=np.array([fit.slope for fit in fits]),
        shifts=np.array([fit.shift for fit in fits]),
        thresholds=np.array(thresholds),
        predicted=np.array(predicted),
        precisions=np.array(precisions),
    )


def _choose_threshold(
    probabilities: NDArray[np.float64],
    cells: NDArray[np.int8],
    fit: _Fit,
    least_precision: float,
) -> tuple[float, int, float]:
    """The lowest threshold at which a tag earns its place, its predictions and its precision.

    The threshold is infinite where there is none.
    """
    predicted, precision = 0, 0.0
    for threshold in THRESHOLDS:
        if threshold < fit.threshold:
            continue
        is_predicted = (probabilities >= threshold) & (cells != UNSEEN)
        predicted = int(is_predicted.sum())
        right = int((is_predicted & (cells == PRESENT)).sum())
        precision = right / max(predicted, 1)
        if (predicted >= MIN_PREDICTED and precision >= least_precision) or (
            predicted == right >= MIN_RIGHT
        ):
            return threshold, predicted, precision
    return np.inf, predicted, precision


def prevalence(cells: NDArray[np.int8]) -> NDArray[np.float64]:
    """The share `(C,)` of photos that has each tag, by `cells (N, C)` of typical photos."""
    present, looked_at = (cells == PRESENT).sum(axis=0), (cells != UNSEEN).sum(axis=0)
    return np.asarray((present + PREVALENCE_PRIOR) / (looked_at + 2 * PREVALENCE_PRIOR))


def _fit(
    logits: NDArray[np.float64],
    cells: NDArray[np.int8],
    typical: NDArray[np.bool_],
    prevalence: float,
) -> _Fit:
    """Logistic calibration of a tag (Platt 1999), weighted to its prevalence in typical photos."""
    present = logits[typical & (cells == PRESENT)]
    threshold = THRESHOLDS[0]
    if len(present) < MIN_TYPICAL:
        present, threshold = logits[cells == PRESENT], BORROWED_THRESHOLD
    absent = logits[typical & (cells == ABSENT)]
    if len(present) < MIN_PRESENT or not len(absent):
        return _Fit()
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
    return _Fit(float(np.exp(result.x[0])), float(result.x[1]), threshold)
