"""From a network's outputs to an answer, or to "unknown" and why. NumPy alone.

Two tests, and both must pass. *Familiar?* the photo's features must lie near training features
(`Reference`). *Certain?* the calibrated probability must reach the label's threshold. A softmax
alone cannot say "unknown": it is as sure of a face as of a dog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.labels import Kind

Floats = NDArray[np.floating[Any]]
Reason = Literal["unfamiliar", "uncertain"]

DEFAULT_THRESHOLD = 0.70  # of probability, until there are photos enough to fit one
NEIGHBOURS = 3  # these three were chosen by bench/ood_study.py
GUIDANCE = 0.01  # of cosine distance for each unit of margin
MAX_MARGIN = 10.0  # of calibrated logits


@dataclass(frozen=True)
class Reference:
    """What is familiar: training features, and how strange validation photos are beside them.

    `vectors` is (R, D) of unit length and stands for all training features; `scale` (D,) divides
    features before they are compared; `validation` holds the sorted strangeness of validation
    photos (V,), `threshold` the strangeness beyond which a photo is unfamiliar.
    """

    vectors: Floats
    scale: Floats
    validation_distances: Floats
    threshold: float

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not len(self.vectors) or not len(self.validation_distances):
            raise OptionError("a reference needs training features and validation photos")
        if self.scale.shape != self.vectors.shape[1:] or not (self.scale > 0).all():
            raise OptionError("a reference needs one scale above 0 for each feature")

    def distance(self, features: Floats) -> Floats:
        """`(N,)` in [0, 2], of `features (N, D)` to the nearest reference vectors."""
        return neighbour_distance(unit_vectors(features / self.scale), self.vectors)

    def ood_score(self, ood_distance: Floats) -> Floats:
        """`(N,)` in [0, 1], higher is stranger: the share of validation photos less strange."""
        return np.searchsorted(self.validation_distances, ood_distance) / len(
            self.validation_distances
        )


@dataclass(frozen=True)
class Decision:
    """One photo's answer, with labels as indices.

    `tags` are the labels decided, best first; `best` the likeliest label whether decided or not;
    `ood_score` is None for a model without a reference; `probabilities` is (C,).
    """

    best: int
    tags: tuple[int, ...]
    reason: Reason | None
    ood_score: float | None
    probabilities: Floats


@dataclass(frozen=True)
class DecisionRule:
    """How a model decides: temperature, a threshold for each label `(C,)`, what is familiar."""

    kind: Kind
    temperature: float
    thresholds: tuple[float, ...]
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise OptionError(f"temperature {self.temperature}: give a number above 0")
        if len(self.thresholds) < (2 if self.kind == "single" else 1):
            raise OptionError(f"{len(self.thresholds)} thresholds: a {self.kind} rule needs more")
        for threshold in self.thresholds:
            check_threshold(threshold)

    def decide(
        self, logits: Floats, features: Floats, threshold: float | None = None
    ) -> list[Decision]:
        """Decide for each of N photos from `logits (N, C)` and `features (N, D)`.

        `threshold` in [0, 1] replaces every label's own; familiarity still applies.
        """
        if logits.shape[1] != len(self.thresholds):
            raise OptionError(f"{logits.shape[1]} logits for {len(self.thresholds)} thresholds")
        if threshold is not None:
            check_threshold(threshold)
        thresholds = (
            np.full(len(self.thresholds), threshold)
            if threshold is not None
            else (np.asarray(self.thresholds))
        )
        probabilities = to_probabilities(logits, self.kind, self.temperature)
        if self.reference is None:
            return [_decide(p, thresholds, self.kind, None, True) for p in probabilities]
        strangeness = self.ood_distance(logits, features)
        scores = self.reference.ood_score(strangeness)
        familiar = strangeness <= self.reference.threshold
        return [
            _decide(p, thresholds, self.kind, float(score), bool(near))
            for p, score, near in zip(probabilities, scores, familiar, strict=True)
        ]

    def ood_distance(self, logits: Floats, features: Floats) -> Floats:
        """`(N,)`, higher is stranger. Raises OptionError for a rule without a reference."""
        if self.reference is None:
            raise OptionError("this model has no reference, so it cannot tell what is strange")
        return guided_distance(
            self.reference.distance(features), logits / self.temperature, self.kind
        )


def check_threshold(threshold: float) -> None:
    """OptionError unless in [0, 1]."""
    if not 0 <= threshold <= 1:
        raise OptionError(f"threshold {threshold}: give a probability from 0 to 1")


def to_probabilities(logits: Floats, kind: Kind, temperature: float = 1.0) -> Floats:
    """`(N, C)` probabilities: softmax for "single", sigmoid for "multi".

    The temperature divides the logits first (Guo et al., "On Calibration of Modern Neural
    Networks", 2017, arXiv:1706.04599).
    """
    scaled = logits.astype(np.float64) / temperature
    if kind == "multi":
        return 1 / (1 + np.exp(-np.clip(scaled, -500, 500)))
    exponentials: Floats = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def unit_vectors(features: Floats) -> Floats:
    """`features (N, D)` scaled to length 1 as float32; a zero vector stays zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: Floats = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def neighbour_distance(points: Floats, vectors: Floats) -> Floats:
    """Mean cosine distance `(N,)` of unit `points (N, D)` to the nearest of `vectors (R, D)`.

    The nearest `NEIGHBOURS` (Sun et al., "Out-of-Distribution Detection with Deep Nearest
    Neighbors", 2022, arXiv:2204.06507).
    """
    count = min(NEIGHBOURS, len(vectors))
    nearest = np.partition(points @ vectors.T, -count, axis=1)[:, -count:]
    distances: Floats = 1 - nearest.mean(axis=1)
    return distances


def guided_distance(distance: Floats, logits: Floats, kind: Kind) -> Floats:
    """The distance `(N,)` less a little where calibrated `logits (N, C)` leave no doubt.

    The head's confidence guides the neighbours, as in Park et al., "Nearest Neighbor Guidance for
    Out-of-Distribution Detection", 2023, arXiv:2309.14888; here as a bounded difference. The
    margin is that between the two likeliest labels, or of the likeliest tag above even odds.
    """
    ranked = np.sort(logits, axis=1)
    margin = np.maximum(ranked[:, -1], 0) if kind == "multi" else ranked[:, -1] - ranked[:, -2]
    strangeness: Floats = distance - GUIDANCE * np.minimum(margin, MAX_MARGIN)
    return strangeness


def _decide(
    probabilities: Floats,
    thresholds: Floats,
    kind: Kind,
    ood_score: float | None,
    familiar: bool,
) -> Decision:
    best = int(probabilities.argmax())
    order = np.argsort(-probabilities, kind="stable").tolist()
    passed = [index for index in order if probabilities[index] >= thresholds[index]]
    if kind == "single":
        passed = [index for index in passed if index == best]
    reason: Reason | None = None if passed else "uncertain"
    if not familiar:
        reason, passed = "unfamiliar", []
    return Decision(best, tuple(passed), reason, ood_score, probabilities)
