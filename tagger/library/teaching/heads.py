"""Heads: a tag that is learnt from a person's examples, as a linear function of photos' vectors.

Linear discriminant analysis with few examples: the direction from ordinary photos to the examples,
in the metric of the photos' covariance, which all heads share and which is shrunk towards a
multiple of the identity (Ledoit and Wolf, 2004). Where the model understands the tag's name, the
direction is drawn to that word as far as the examples agree with it. Photos that are said not to
have the tag turn it away from what sets them apart. NumPy only; learning one takes milliseconds.

Everything else in the library counts as a background that is mostly without the tag: a photo has
the tag from so many deviations above it; from fewer, if a gap is there, and from more, if answers
show that these are too few.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagger.inference.decision import Floats

MIN_EXAMPLES = 5  # before a head is learnt
THRESHOLD = 0.5  # of a head's scores
SHRINKAGE = 0.3  # of the covariance, measured by bench/examples.py
WORD_WEIGHT = 5.0  # examples that the word counts as
CAUTION = 10.0  # answers "no" that count half
DEVIATIONS = 5.0  # above the background, from which on a photo has the tag
LEAST_DEVIATIONS = 3.5  # the same, where a gap sets photos apart from the background
_GAP = 1.0  # deviations
_MOST_IN_GAP = 0.25  # of the photos above it
LEAST_PRECISION = 0.8  # of the answers above the threshold
# Quantiles of a normal distribution: the share of values below, and deviations from the mean.
_LOWEST, _LOW, _QUARTER, _MEDIAN = (0.02, -2.054), (0.05, -1.645), (0.25, -0.674), (0.5, 0.0)
_ROUNDS = 3  # in which photos that have the tag are taken out of the background
_MAX_LOGIT = 30.0


@dataclass(frozen=True, eq=False)
class Background:
    """Ordinary photos: their `vectors (N, D)`, and the `mean (D,)` and `precision (D, D)` of those.

    The precision is the inverse of the shrunk covariance.
    """

    vectors: NDArray[np.float32]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Background:
        """The background of these photos, at least one."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean.astype(np.float32)
        covariance = (centred.T @ centred).astype(np.float64) / len(vectors)
        dimensions = len(mean)
        spread = max(float(np.trace(covariance)) / dimensions, 1e-6)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(dimensions)
        return cls(vectors, mean, np.linalg.inv(shrunk))


@dataclass(frozen=True, eq=False)
class Head:
    """A learnt tag: the score of a photo is the logistic function of `vector @ weights + bias`.

    From THRESHOLD on a photo has the tag. Figures: how many `examples` and `counterexamples` it
    was learnt from, and how many of each it takes for the tag if they are left out of learning.
    """

    tag: str
    space: str
    weights: NDArray[np.float32]  # (D,)
    bias: float
    examples: int
    counterexamples: int
    examples_recognised: int
    counterexamples_mistaken: int

    def logits(self, vectors: Floats) -> NDArray[np.float32]:
        """Of `vectors (N, D)`; at 0 or above a photo has the tag."""
        return np.asarray(vectors @ self.weights + self.bias, np.float32)

    @cached_property
    def sha256(self) -> str:
        """The digest of what decides its answers."""
        digest = hashlib.sha256(f"{self.space} {self.tag} {self.bias!r}".encode())
        digest.update(self.weights.tobytes())
        return digest.hexdigest()


def score(logit: float) -> float:
    """The score in (0, 1) of a logit."""
    return float(1 / (1 + np.exp(-np.clip(logit, -_MAX_LOGIT, _MAX_LOGIT))))


def learn(
    tag: str,
    space: str,
    background: Background,
    examples: Floats,
    counterexamples: Floats,
    word: Floats | None = None,
) -> Head:
    """The head of a tag from vectors `(N, D)` of photos that have it, at least two, and have not.

    `word` is the vector `(D,)` of the tag's name, where the model understands it.
    """
    yes, no = examples - background.mean, counterexamples - background.mean
    towards = _mean_of_examples(yes.sum(axis=0)[None], len(yes), word)
    away = _mean_of_counterexamples(no.sum(axis=0)[None], len(no))
    weights = _combine(background, towards, away)[0]
    # Each is judged by what the others teach.
    without_each = _mean_of_examples(yes.sum(axis=0) - yes, len(yes) - 1, word)
    yes_scores = (_combine(background, without_each, away) * yes).sum(axis=1)
    without_each = _mean_of_counterexamples(no.sum(axis=0) - no, len(no) - 1)
    no_scores = (_combine(background, towards, without_each) * no).sum(axis=1)
    ordinary = (background.vectors - background.mean) @ weights
    centre, deviation = _measure_background(ordinary, float(yes_scores.mean()))
    lowest = _find_gap((ordinary - centre) / deviation, len(yes))
    threshold = _raise_threshold(centre + lowest * deviation, yes_scores, no_scores)
    return Head(
        tag=tag,
        space=space,
        weights=(weights / deviation).astype(np.float32),
        bias=-float(background.mean @ weights + threshold) / deviation,
        examples=len(yes),
        counterexamples=len(no),
        examples_recognised=int((yes_scores >= threshold).sum()),
        counterexamples_mistaken=int((no_scores >= threshold).sum()),
    )


def _mean_of_examples(sums: Floats, count: int, word: Floats | None) -> NDArray[np.float64]:
    """Means `(N, D)` of examples by their `sums`, drawn to the word as far as they agree."""
    means = np.asarray(sums / max(count, 1), np.float64)
    if word is None:
        return means
    agreement = np.maximum(means @ word, 0)[:, None]
    return (count * means + WORD_WEIGHT * agreement * word) / (count + WORD_WEIGHT)


def _mean_of_counterexamples(sums: Floats, count: int) -> NDArray[np.float64]:
    """Means `(N, D)` of photos without the tag by their `sums`; the fewer, the nearer to 0."""
    return np.asarray(sums / (max(count, 0) + CAUTION), np.float64)


def _combine(background: Background, towards: Floats, away: Floats) -> NDArray[np.float64]:
    """Weights `(N, D)` towards the examples and away from the counterexamples, means `(1 or N, D)`.

    Counterexamples look like examples: only what sets them apart counts, as the part of `away` that
    is orthogonal to `towards` in the background's metric.
    """
    lengths = ((towards @ background.precision) * towards).sum(axis=1, keepdims=True)
    shared = ((away @ background.precision) * towards).sum(axis=1, keepdims=True)
    apart = away - shared / np.maximum(lengths, 1e-12) * towards
    weights: NDArray[np.float64] = (towards - apart) @ background.precision
    return weights


def _measure_background(scores: Floats, mean_of_examples: float) -> tuple[float, float]:
    """The centre and deviation of the background's scores `(N,)`.

    They are of a normal distribution with the lower quantiles, since the upper ones are of photos
    that have the tag. Where these are many, they are taken out: they are beyond the middle between
    the background and the examples.
    """
    centre, deviation = _fit_normal(scores, _LOWEST, _QUARTER)
    for _ in range(_ROUNDS):
        limit = max((centre + mean_of_examples) / 2, centre + 2 * deviation)
        centre, deviation = _fit_normal(scores[scores < limit], _LOW, _MEDIAN)
    return centre, deviation


def _fit_normal(scores: Floats, *quantiles: tuple[float, float]) -> tuple[float, float]:
    """Mean and deviation of the normal distribution through two quantiles of scores.

    Each is a share, and where it lies in deviations from the mean.
    """
    (low_share, low), (high_share, high) = quantiles
    low_score, high_score = np.quantile(scores, (low_share, high_share)).tolist()
    deviation = max((high_score - low_score) / (high - low), 1e-6)
    return high_score - high * deviation, deviation


def _find_gap(deviations: Floats, examples: int) -> float:
    """The deviations from which on a photo has the tag, of all photos' `deviations (N,)`.

    That is DEVIATIONS, or less where there are hardly any photos between those above and the rest.
    Those above do not count if they may be the `examples` themselves.
    """
    for lowest in np.arange(LEAST_DEVIATIONS, DEVIATIONS, 0.1).tolist():
        above = int((deviations >= lowest + _GAP / 2).sum()) - examples
        within = int((np.abs(deviations - lowest) < _GAP / 2).sum())
        if above >= MIN_EXAMPLES and within <= _MOST_IN_GAP * above:
            return float(lowest)
    return DEVIATIONS


def _raise_threshold(threshold: float, yes_scores: Floats, no_scores: Floats) -> float:
    """The lowest threshold, from `threshold` on, with LEAST_PRECISION of the answers above."""
    if not len(no_scores):
        return threshold
    scores = np.concatenate([yes_scores, no_scores])
    is_yes = np.arange(len(scores)) < len(yes_scores)
    order = np.argsort(-scores, kind="stable")
    scores, is_yes = scores[order], is_yes[order]
    above = scores >= threshold
    if not above.any():
        return threshold
    precision = np.cumsum(is_yes) / np.arange(1, len(scores) + 1)
    if precision[above.sum() - 1] >= LEAST_PRECISION:
        return threshold
    enough = scores[above & (precision >= LEAST_PRECISION)]
    return float(enough.min()) if len(enough) else float(np.nextafter(scores[0], np.inf))
