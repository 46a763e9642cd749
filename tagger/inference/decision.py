"""The decision rule: logits and features → labels, or "unknown" with its reason. NumPy only.

Two tests must pass. Familiar: the photo's features lie near training features (`Reference`).
Certain: the calibrated probability reaches the label's threshold. Softmax alone does not detect
unknown photos: it gives a face the confidence of a dog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.labels import Kind

Floats = NDArray[np.floating[Any]]
Reason = Literal["unfamiliar", "uncertain"]

DEFAULT_THRESHOLD = 0.70  # probability; used with too few photos to fit thresholds
MIN_TEMPERATURE = 1e-6  # logits divided by it are finite
# Chosen by bench/ood_study.py:
NEIGHBOURS = 3
GUIDANCE = 0.01  # cosine distance per unit of margin
MAX_MARGIN = 10.0  # of calibrated logits


@dataclass(frozen=True)
class Reference:
    """Training features to compare photos with, and the OOD distances of validation photos.

    `vectors` (R, D) are cluster centres of the training features, of unit length; `scale` (D,)
    divides features before the comparison. `validation_distances` (V,) are sorted; a photo with
    an OOD distance above `threshold` is unfamiliar. Raises OptionError for unusable arrays.
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
        numbers = (self.vectors, self.scale, self.validation_distances, self.threshold)
        if not all(np.isfinite(each).all() for each in numbers):
            raise OptionError("a reference has numbers that are not finite")
        distances = self.validation_distances
        if distances.ndim != 1 or (distances[1:] < distances[:-1]).any():
            raise OptionError("the distances of validation photos are no sorted list")

    def distance(self, features: Floats) -> Floats:
        """Mean cosine distance `(N,)` in [0, 2] from `features (N, D)` to the nearest vectors."""
        return neighbour_distance(unit_vectors(features / self.scale), self.vectors)

    def ood_score(self, ood_distance: Floats) -> Floats:
        """OOD scores `(N,)` in [0, 1]: the share of validation photos with a smaller distance."""
        return np.searchsorted(self.validation_distances, ood_distance) / len(
            self.validation_distances
        )


@dataclass(frozen=True)
class Decision:
    """The decision for one photo, with label indices.

    `best` is the likeliest label; `tags` are the labels that pass both tests, best first.
    `reason` is None unless `tags` is empty. `ood_score` in [0, 1] is None for a model without a
    reference. `probabilities` is (C,).
    """

    best: int
    tags: tuple[int, ...]
    reason: Reason | None
    ood_score: float | None
    probabilities: Floats


@dataclass(frozen=True)
class DecisionRule:
    """Temperature, a threshold for each label `(C,)`, and the reference for familiarity.

    Raises OptionError for a temperature or threshold out of range.
    """

    kind: Kind
    temperature: float
    thresholds: tuple[float, ...]
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if not MIN_TEMPERATURE <= self.temperature < np.inf:
            raise OptionError(
                f"temperature {self.temperature}: give a number of {MIN_TEMPERATURE} or more"
            )
        if len(self.thresholds) < (2 if self.kind == "single" else 1):
            raise OptionError(f"{len(self.thresholds)} thresholds: a {self.kind} rule needs more")
        for threshold in self.thresholds:
            check_threshold(threshold)

    def decide(
        self, logits: Floats, features: Floats, threshold: float | None = None
    ) -> list[Decision]:
        """Decisions for N photos from `logits (N, C)` and `features (N, D)`.

        `threshold` in [0, 1] replaces every label's own; familiarity still applies. Raises
        OptionError for a threshold out of range or another number of logits.
        """
        if logits.shape[1] != len(self.thresholds):
            raise OptionError(f"{logits.shape[1]} logits for {len(self.thresholds)} thresholds")
        thresholds = np.asarray(self.thresholds)
        if threshold is not None:
            check_threshold(threshold)
            thresholds = np.full(len(self.thresholds), threshold)
        probabilities = to_probabilities(logits, self.kind, self.temperature)
        if self.reference is None:
            return [_decide(p, thresholds, self.kind, None, True) for p in probabilities]
        distances = self.ood_distance(logits, features)
        scores = self.reference.ood_score(distances)
        familiar = distances <= self.reference.threshold
        return [
            _decide(p, thresholds, self.kind, float(score), bool(is_familiar))
            for p, score, is_familiar in zip(probabilities, scores, familiar, strict=True)
        ]

    def ood_distance(self, logits: Floats, features: Floats) -> Floats:
        """Guided distance `(N,)` of photos from the training photos.

        Raises OptionError for a rule without a reference.
        """
        if self.reference is None:
            raise OptionError("this model has no reference, so it cannot detect unfamiliar photos")
        return guided_distance(
            self.reference.distance(features), logits / self.temperature, self.kind
        )


def join_decisions(decisions: Sequence[Decision], kind: Kind) -> Decision:
    """One decision for a photo of which several parts were looked at.

    For "multi", the tags of all parts, with their highest probabilities. For "single", or where no
    part has a tag, the decision for one part: a label before none, "uncertain" before "unfamiliar",
    and among these the most probable.
    """
    tagged = [decision for decision in decisions if decision.tags]
    if kind == "single" or len(tagged) < 2:
        return max(
            decisions,
            key=lambda d: (bool(d.tags), d.reason == "uncertain", d.probabilities[d.best]),
        )
    probabilities: Floats = np.max([decision.probabilities for decision in tagged], axis=0)
    tags = {tag for decision in tagged for tag in decision.tags}
    ranked = sorted(tags, key=lambda tag: (-probabilities[tag], tag))
    scores = [decision.ood_score for decision in tagged if decision.ood_score is not None]
    best = int(probabilities.argmax())
    return Decision(best, tuple(ranked), None, min(scores, default=None), probabilities)


def check_threshold(threshold: float) -> None:
    """Raise OptionError unless `threshold` is in [0, 1]."""
    if not 0 <= threshold <= 1:
        raise OptionError(f"threshold {threshold}: give a probability from 0 to 1")


def to_probabilities(logits: Floats, kind: Kind, temperature: float = 1.0) -> Floats:
    """Probabilities `(N, C)` of `logits (N, C)`: softmax for "single", sigmoid for "multi".

    The logits are divided by the temperature first (Guo et al., "On Calibration of Modern Neural
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
    """Mean cosine distance `(N,)` from `points (N, D)` to the NEIGHBOURS nearest `vectors (R, D)`.

    Both are of unit length (Sun et al., "Out-of-Distribution Detection with Deep Nearest
    Neighbors", 2022, arXiv:2204.06507).
    """
    count = min(NEIGHBOURS, len(vectors))
    nearest = np.partition(points @ vectors.T, -count, axis=1)[:, -count:]
    distances: Floats = 1 - nearest.mean(axis=1)
    return distances


def guided_distance(distance: Floats, logits: Floats, kind: Kind) -> Floats:
    """OOD distance `(N,)`: the neighbour distance less a bounded share of the logits' margin.

    Guiding the neighbours by the head's confidence follows Park et al., "Nearest Neighbor Guidance
    for Out-of-Distribution Detection", 2023, arXiv:2309.14888. The margin of calibrated
    `logits (N, C)` is between the two likeliest labels, or of the likeliest tag above even odds.
    """
    ranked = np.sort(logits, axis=1)
    margin = np.maximum(ranked[:, -1], 0) if kind == "multi" else ranked[:, -1] - ranked[:, -2]
    ood_distance: Floats = distance - GUIDANCE * np.minimum(margin, MAX_MARGIN)
    return ood_distance


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
