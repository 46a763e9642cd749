"""Which tags of models are likely mistakes: what a check of a tag asks first.

Measured on 903 ordinary photos and eight tags (dog, person, water, child, clothing, grass,
mountain, man), as tags among the first 24 of each that nobody of five people mentions: the score
alone finds 34 in sum, a head from twelve answers alone 23, both together 36.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tagger.inference.decision import Floats

SCORE_WEIGHT = 2.0  # of the score, beside a head's weight of 1
_MOST_DEVIATIONS = 30.0


def measure_doubt(margins: Floats, logits: Floats | None = None) -> NDArray[np.float64]:
    """How likely each of N tags is a mistake `(N,)`: any number, the higher the likelier.

    `margins (N,)` say how far a score is above its threshold, in log-odds, NaN where either is
    missing; `logits (N,)` are those of a head that learnt the tag from a person's answers, NaN for
    photos without a vector. A photo is in doubt if the model was hardly sure of it, and also if the
    model was, but it looks unlike the person's examples. Both are compared with those of the other
    photos.
    """
    doubt: NDArray[np.float64] = SCORE_WEIGHT * np.exp(-_standardize(margins))
    return doubt if logits is None else doubt + np.exp(-_standardize(logits))


def measure_margin(score: float | None, threshold: float | None) -> float:
    """How far a tag's score is above its threshold, in log-odds; NaN where either is missing."""
    if score is None or threshold is None:
        return math.nan
    return log_odds(score) - log_odds(threshold)


def log_odds(score: float) -> float:
    """The log-odds of a score in [0, 1], kept finite."""
    clipped = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))


def _standardize(values: Floats) -> NDArray[np.float64]:
    """Deviations from the mean; 0 where a value is missing."""
    numbers = np.asarray(values, np.float64)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return np.zeros_like(numbers)
    deviations = (numbers - present.mean()) / max(float(present.std()), 1e-9)
    limited: NDArray[np.float64] = np.clip(deviations, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return np.nan_to_num(limited)
