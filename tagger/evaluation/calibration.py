"""Fitting the decision rule to what the shipped network puts out on photos it did not train on.

Everything here is fitted on validation photos; where those are few, on out-of-fold training
photos too. What is reported was decided by a rule fitted without the photo (`cross_decide`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.cluster import KMeans
from sklearn.model_selection import KFold, StratifiedKFold

from tagger.datasets.splits import ABSENT, PRESENT, UNSEEN
from tagger.evaluation.metrics import f1, log_loss
from tagger.evaluation.outputs import LabelledOutputs
from tagger.inference.decision import (
    DEFAULT_THRESHOLD,
    Decision,
    DecisionRule,
    Reference,
    guided_distance,
    neighbour_distance,
    to_probabilities,
    unit_vectors,
)
from tagger.labels import Kind
from tagger.models.heads import UNSEEN_WEIGHT, LinearHead, fit_logistic, fit_tags, prior_correction

FAMILIAR_SHARE = 0.99  # of validation photos, kept by the familiarity test
CERTAIN_SHARE = 0.99  # of a label's rightly named photos, kept by its threshold
THRESHOLD_RANGE = (0.5, 0.95)  # of a fitted threshold
MIN_FOR_THRESHOLD = 100  # rightly named photos of a label, before its threshold is fitted
DEFAULT_TAG_THRESHOLD = 0.5  # of a tag's probability, unless a fitted one is clearly better
MIN_GAIN = 0.01  # of F1, by which a fitted threshold has to be better: on other photos it is worse
TAG_THRESHOLD_RANGE = (0.2, 0.9)
MIN_FOR_TAG_THRESHOLD = 8  # photos with a tag, and without it
MIN_VALIDATION = 100  # photos, before they are enough on their own
REFERENCE_SIZE = 512  # vectors; more did not separate better (bench/ood_study.py)
MAX_REFERENCE_PHOTOS = 20_000  # that the vectors are drawn from
DEVIATION_FLOOR = 0.05  # share of the mean: a feature that hardly varies says little
TEMPERATURE_RANGE = (0.3, 10.0)
FOLDS = 5
MAX_SCORES = 1_001  # validation photos' strangeness kept in the file, beyond that as quantiles


@dataclass(frozen=True)
class _Evidence:
    """Photos a rule may be fitted on, with their distance to training features."""

    logits: NDArray[np.float32]
    labels: NDArray[Any]
    distances: NDArray[np.float32]

    def take(self, rows: NDArray[np.integer]) -> _Evidence:
        return _Evidence(self.logits[rows], self.labels[rows], self.distances[rows])

    def joined(self, other: _Evidence) -> _Evidence:
        return _Evidence(
            np.concatenate([self.logits, other.logits]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.distances, other.distances]),
        )

    @property
    def kind(self) -> Kind:
        return "single" if self.labels.ndim == 1 else "multi"

    def strangeness(self, temperature: float) -> NDArray[np.floating[Any]]:
        return guided_distance(self.distances, self.logits / temperature, self.kind)


@dataclass(frozen=True)
class Calibration:
    """The rule that ships, and how rules like it decide the validation photos they did not see."""

    rule: DecisionRule
    decisions: list[Decision]
    probabilities: NDArray[np.floating]  # (N, C), calibrated, of those decisions
    out_of_fold: int  # training photos that helped to fit it


def calibrate(train: LabelledOutputs, validation: LabelledOutputs, seed: int) -> Calibration:
    """Fit the rule, and decide each validation photo by a rule fitted without it."""
    scale, vectors = summarise(train.features, seed)
    distances = neighbour_distance(unit_vectors(validation.features / scale), vectors)
    held_out = _Evidence(validation.logits, validation.labels, distances)
    extra = _out_of_fold(train, seed) if len(validation) < MIN_VALIDATION else None
    rule = _fit(held_out, extra, scale, vectors)
    decisions = _cross_decide(held_out, extra, validation, scale, vectors, seed)
    probabilities = np.stack([decision.probabilities for decision in decisions])
    return Calibration(rule, decisions, probabilities, len(extra.labels) if extra else 0)


def summarise(
    features: NDArray[np.float32], seed: int, size: int = REFERENCE_SIZE
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scale `(D,)` of `features (N, D)`, and at most `size` unit vectors that stand for them.

    The scale is the square root of each feature's deviation: dividing by the whole of it, or by
    nothing, separates less well (bench/ood_study.py).
    """
    rng = np.random.default_rng(seed)
    if len(features) > MAX_REFERENCE_PHOTOS:
        features = features[rng.choice(len(features), MAX_REFERENCE_PHOTOS, replace=False)]
    deviation = features.std(axis=0)
    floor = max(float(deviation.mean()) * DEVIATION_FLOOR, 1e-6)
    scale = np.sqrt(deviation + floor).astype(np.float16).astype(np.float32)  # as the file keeps it
    points = unit_vectors(features / scale)
    return scale, cluster(points, size, seed).astype(np.float16).astype(np.float32)


def cluster(points: NDArray[np.float32], size: int, seed: int) -> NDArray[np.float32]:
    """At most `size` unit vectors (R, D) in the place of unit `points (N, D)`: their k-means."""
    if len(points) <= size:
        return points
    means = KMeans(size, n_init=1, max_iter=20, random_state=seed).fit(points)
    return unit_vectors(means.cluster_centers_)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """The temperature that makes the labels likeliest (Guo et al. 2017, arXiv:1706.04599).

    `labels` as in `LabelledOutputs`; of tags, over all cells that somebody looked at.
    """

    def loss(log_temperature: float) -> float:
        return log_loss(logits / np.float32(np.exp(log_temperature)), labels)

    low, high = np.log(TEMPERATURE_RANGE)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_thresholds(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[float, ...]:
    """For each label, the probability that `CERTAIN_SHARE` of its rightly named photos reach."""
    predicted = probabilities.argmax(axis=1)
    thresholds = []
    for label in range(probabilities.shape[1]):
        right = probabilities[(labels == label) & (predicted == label), label]
        if len(right) < MIN_FOR_THRESHOLD:
            thresholds.append(DEFAULT_THRESHOLD)
        else:
            fitted = np.quantile(right, 1 - CERTAIN_SHARE, method="lower")
            thresholds.append(float(np.clip(fitted, *THRESHOLD_RANGE)))
    return tuple(thresholds)


def fit_tag_thresholds(
    probabilities: NDArray[np.floating], known: NDArray[np.int8]
) -> tuple[float, ...]:
    """For each tag, the probability from which on saying it has the best F1.

    A photo in which nobody looked for it counts `UNSEEN_WEIGHT` of one without it. Fitted where
    `MIN_FOR_TAG_THRESHOLD` photos have the tag and as many lack it; between two photos, halfway.
    Others keep `DEFAULT_TAG_THRESHOLD`, and so do those that would gain less than `MIN_GAIN`.
    """
    pairs = zip(probabilities.T, known.T, strict=True)
    return tuple(_tag_threshold(scores, cells) for scores, cells in pairs)


def _tag_threshold(scores: NDArray[np.floating], cells: NDArray[np.int8]) -> float:
    """Of one tag: its probabilities `(N,)`, and what is known of it `(N,)`."""
    truth = cells == PRESENT
    if min(truth.sum(), (cells == ABSENT).sum()) < MIN_FOR_TAG_THRESHOLD:
        return DEFAULT_TAG_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    right = np.cumsum(truth[order])
    wrong = np.cumsum(np.select([truth, cells == UNSEEN], [0, UNSEEN_WEIGHT], 1)[order])
    scores_there = f1(right, wrong, truth.sum() - right)
    cuts = np.append(np.flatnonzero(ranked[:-1] > ranked[1:]), len(ranked) - 1)  # not in ties
    best = int(cuts[np.argmax(scores_there[cuts])])
    said = int((ranked >= DEFAULT_TAG_THRESHOLD).sum())
    usual = scores_there[said - 1] if said else 0.0
    if scores_there[best] - usual < MIN_GAIN:
        return DEFAULT_TAG_THRESHOLD
    fitted = (ranked[best] + ranked[min(best + 1, len(ranked) - 1)]) / 2
    return float(np.clip(fitted, *TAG_THRESHOLD_RANGE))


def _fit(
    held_out: _Evidence,
    extra: _Evidence | None,
    scale: NDArray[np.float32],
    vectors: NDArray[np.float32],
) -> DecisionRule:
    evidence = held_out if extra is None else held_out.joined(extra)
    # Out-of-fold logits come from other heads, so the temperature is of validation photos alone.
    temperature = fit_temperature(held_out.logits, held_out.labels)
    probabilities = to_probabilities(held_out.logits, held_out.kind, temperature)
    # With out-of-fold photos, the looser of the two limits: a fine-tuned network has trained on
    # them, so they lie closer to each other than new photos will.
    parts = [held_out] if extra is None else [held_out, extra]
    limits = [
        np.quantile(part.strangeness(temperature), FAMILIAR_SHARE, method="higher")
        for part in parts
    ]
    strangeness = np.sort(evidence.strangeness(temperature))
    if len(strangeness) > MAX_SCORES:
        strangeness = np.quantile(strangeness, np.linspace(0, 1, MAX_SCORES))
    reference = Reference(vectors, scale, strangeness, float(max(limits)))
    fit = fit_thresholds if held_out.kind == "single" else fit_tag_thresholds
    thresholds = fit(probabilities, held_out.labels)
    return DecisionRule(held_out.kind, temperature, thresholds, reference)


def _cross_decide(
    held_out: _Evidence,
    extra: _Evidence | None,
    validation: LabelledOutputs,
    scale: NDArray[np.float32],
    vectors: NDArray[np.float32],
    seed: int,
) -> list[Decision]:
    decisions: dict[int, Decision] = {}
    for rest, fold in _folds(validation.labels, seed):
        rule = _fit(held_out.take(rest), extra, scale, vectors)
        part = validation.take(fold)
        found = rule.decide(part.logits, part.features)
        decisions.update(zip(fold.tolist(), found, strict=True))
    return [decisions[index] for index in range(len(validation))]


def _out_of_fold(train: LabelledOutputs, seed: int) -> _Evidence:
    """Training photos as a head and a reference see them that were fitted without them."""
    logits = np.empty_like(train.logits)
    distances = np.empty(len(train), np.float32)
    for rest, fold in _folds(train.labels, seed):
        part = train.take(rest)
        if train.labels.ndim == 1:
            head = fit_logistic(part.features, part.labels, train.logits.shape[1], seed)
        else:
            head = fit_tags(part.features, part.labels, seed)
            head = LinearHead(head.weights, head.bias + prior_correction(part.labels))
        logits[fold] = head.logits(train.features[fold])
        scale, vectors = summarise(part.features, seed)
        distances[fold] = neighbour_distance(unit_vectors(train.features[fold] / scale), vectors)
    return _Evidence(logits, train.labels, distances)


def _folds(labels: NDArray[Any], seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rest, fold) rows; every label in every rest where the photos suffice."""
    if labels.ndim == 2:
        folds = KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed)
        return list(folds.split(np.zeros(len(labels))))
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    if rarest < 2:
        folds = KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed)
    else:
        folds = StratifiedKFold(min(FOLDS, rarest), shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(labels)), labels))
