"""Calibration: fit the decision rule to photos that the network was not trained on.

Temperature, thresholds and the reference's limit are fitted on validation photos; where those are
few, the limit also on training photos out of fold. Reported decisions are cross-fitted: each
validation photo is decided by a rule that was fitted without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.cluster import KMeans
from sklearn.model_selection import KFold, StratifiedKFold

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN, to_targets
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

IN_DISTRIBUTION_SHARE = 0.99  # of validation photos that the reference accepts
SELECTED_SHARE = 0.98  # the same where tags were chosen: few photos have none of many tags
CERTAIN_SHARE = 0.99  # of a label's correctly predicted photos that reach its threshold
THRESHOLD_RANGE = (0.5, 0.95)  # of a fitted threshold
MIN_FOR_THRESHOLD = 100  # correctly predicted photos of a label, before one is fitted
DEFAULT_TAG_THRESHOLD = 0.5  # unless a fitted one is clearly better
MIN_GAIN = 0.01  # of F1 over the default: a smaller one does not carry over to new photos
TAG_THRESHOLD_RANGE = (0.2, 0.9)
MIN_FOR_TAG_THRESHOLD = 8  # photos with the tag, and as many without it
MIN_VALIDATION = 100  # photos, below which out-of-fold training photos are added
REFERENCE_SIZE = 512  # vectors; more did not separate better (bench/ood_study.py)
MAX_REFERENCE_PHOTOS = 20_000  # that the vectors are drawn from
DEVIATION_FLOOR = 0.05  # added to each deviation, as a share of their mean
TEMPERATURE_RANGE = (0.3, 10.0)
FOLDS = 5
MAX_SCORES = 1_001  # validation distances in the model file; of more, their quantiles


@dataclass(frozen=True)
class _FitPhotos:
    """N photos to fit a rule on; `distances (N,)` to the nearest reference vectors."""

    logits: NDArray[np.float32]
    labels: NDArray[Any]
    distances: NDArray[np.float32]

    def take(self, rows: NDArray[np.integer]) -> _FitPhotos:
        return _FitPhotos(self.logits[rows], self.labels[rows], self.distances[rows])

    @property
    def kind(self) -> Kind:
        return "single" if self.labels.ndim == 1 else "multi"

    def ood_distance(self, temperature: float) -> NDArray[np.floating[Any]]:
        return guided_distance(self.distances, self.logits / temperature, self.kind)


@dataclass(frozen=True)
class Calibration:
    """The rule that ships, and a cross-fitted decision for each validation photo.

    `out_of_fold` is the number of training photos that helped to fit the rule.
    """

    rule: DecisionRule
    decisions: list[Decision]
    out_of_fold: int


def calibrate(
    train: LabelledOutputs,
    validation: LabelledOutputs,
    seed: int,
    tag_thresholds: tuple[float, ...] | None = None,
) -> Calibration:
    """Fit the decision rule, and decide each validation photo by a rule fitted without it.

    With `tag_thresholds`, logits are calibrated already, and only the reference is fitted.
    """
    scale, vectors = fit_reference_vectors(train.features, seed)
    distances = neighbour_distance(unit_vectors(validation.features / scale), vectors)
    held_out = _FitPhotos(validation.logits, validation.labels, distances)
    extra = _out_of_fold(train, seed) if len(validation) < MIN_VALIDATION else None
    rule = _fit(held_out, extra, scale, vectors, tag_thresholds)
    decisions: dict[int, Decision] = {}
    for rest, fold in _folds(validation.labels, seed):
        fold_rule = _fit(held_out.take(rest), extra, scale, vectors, tag_thresholds)
        part = validation.take(fold)
        fold_decisions = fold_rule.decide(part.logits, part.features)
        decisions.update(zip(fold.tolist(), fold_decisions, strict=True))
    in_order = [decisions[row] for row in range(len(validation))]
    return Calibration(rule, in_order, len(extra.labels) if extra else 0)


def fit_reference_vectors(
    features: NDArray[np.float32], seed: int, size: int = REFERENCE_SIZE
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scale `(D,)` of `features (N, D)`, and at most `size` unit vectors `(R, D)` for them.

    The scale is the square root of each feature's deviation: the deviation itself, or no scale,
    separates less well (bench/ood_study.py).
    """
    rng = np.random.default_rng(seed)
    if len(features) > MAX_REFERENCE_PHOTOS:
        features = features[rng.choice(len(features), MAX_REFERENCE_PHOTOS, replace=False)]
    deviation = features.std(axis=0)
    floor = max(float(deviation.mean()) * DEVIATION_FLOOR, 1e-6)
    scale = np.sqrt(deviation + floor).astype(np.float16).astype(np.float32)  # as stored
    points = unit_vectors(features / scale)
    return scale, cluster(points, size, seed).astype(np.float16).astype(np.float32)


def cluster(points: NDArray[np.float32], size: int, seed: int) -> NDArray[np.float32]:
    """At most `size` unit vectors `(R, D)`: k-means of unit `points (N, D)`."""
    if len(points) <= size:
        return points
    means = KMeans(size, n_init=1, max_iter=20, random_state=seed).fit(points)
    return unit_vectors(means.cluster_centers_)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """The temperature of the least log loss (Guo et al. 2017, arXiv:1706.04599).

    `labels` as in `LabelledOutputs`; for tags, over all annotated cells.
    """

    def loss(log_temperature: float) -> float:
        return log_loss(logits / np.float32(np.exp(log_temperature)), labels)

    low, high = np.log(TEMPERATURE_RANGE)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_thresholds(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[float, ...]:
    """The probability that `CERTAIN_SHARE` of each label's correctly predicted photos reach."""
    predicted = probabilities.argmax(axis=1)
    thresholds = []
    for label in range(probabilities.shape[1]):
        correct = probabilities[(labels == label) & (predicted == label), label]
        if len(correct) < MIN_FOR_THRESHOLD:
            thresholds.append(DEFAULT_THRESHOLD)
        else:
            fitted = np.quantile(correct, 1 - CERTAIN_SHARE, method="lower")
            thresholds.append(float(np.clip(fitted, *THRESHOLD_RANGE)))
    return tuple(thresholds)


def fit_tag_thresholds(
    probabilities: NDArray[np.floating], cells: NDArray[np.int8]
) -> tuple[float, ...]:
    """The threshold of the best F1 for each tag, halfway between two photos' probabilities.

    A cell that is not annotated counts `UNSEEN_WEIGHT` of an absent one. A tag keeps
    `DEFAULT_TAG_THRESHOLD` where it is present or absent in fewer than `MIN_FOR_TAG_THRESHOLD`
    photos, or where F1 would gain less than `MIN_GAIN`.
    """
    columns = zip(probabilities.T, cells.T, strict=True)
    return tuple(_fit_tag_threshold(scores, tag_cells) for scores, tag_cells in columns)


def _fit_tag_threshold(scores: NDArray[np.floating], cells: NDArray[np.int8]) -> float:
    """The threshold of one tag, from its probabilities `(N,)` and cells `(N,)`."""
    present = cells == PRESENT
    if min(present.sum(), (cells == ABSENT).sum()) < MIN_FOR_TAG_THRESHOLD:
        return DEFAULT_TAG_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    weights = np.select([present, cells == UNSEEN], [0, UNSEEN_WEIGHT], 1)
    true_positives, false_positives = np.cumsum(present[order]), np.cumsum(weights[order])
    f1_at = f1(true_positives, false_positives, present.sum() - true_positives)
    cuts = np.append(np.flatnonzero(ranked[:-1] > ranked[1:]), len(ranked) - 1)  # not in ties
    best = int(cuts[np.argmax(f1_at[cuts])])
    positives = int((ranked >= DEFAULT_TAG_THRESHOLD).sum())
    default_f1 = f1_at[positives - 1] if positives else 0.0
    if f1_at[best] - default_f1 < MIN_GAIN:
        return DEFAULT_TAG_THRESHOLD
    fitted = (ranked[best] + ranked[min(best + 1, len(ranked) - 1)]) / 2
    return float(np.clip(fitted, *TAG_THRESHOLD_RANGE))


def _fit(
    held_out: _FitPhotos,
    extra: _FitPhotos | None,
    scale: NDArray[np.float32],
    vectors: NDArray[np.float32],
    tag_thresholds: tuple[float, ...] | None,
) -> DecisionRule:
    # Out-of-fold logits come from other heads, so the temperature is of validation photos alone.
    temperature = 1.0
    if tag_thresholds is None:
        temperature = fit_temperature(held_out.logits, held_out.labels)
    probabilities = to_probabilities(held_out.logits, held_out.kind, temperature)
    # With out-of-fold photos, the looser of the two limits: a fine-tuned network has trained on
    # them, so they lie closer to each other than new photos will.
    parts = [held_out] if extra is None else [held_out, extra]
    distances = [part.ood_distance(temperature) for part in parts]
    share = SELECTED_SHARE if tag_thresholds else IN_DISTRIBUTION_SHARE
    limits = [np.quantile(part, share, method="higher") for part in distances]
    validation = np.sort(np.concatenate(distances))
    if len(validation) > MAX_SCORES:
        validation = np.quantile(validation, np.linspace(0, 1, MAX_SCORES))
    reference = Reference(vectors, scale, validation, float(max(limits)))
    fit = fit_thresholds if held_out.kind == "single" else fit_tag_thresholds
    thresholds = tag_thresholds or fit(probabilities, held_out.labels)
    return DecisionRule(held_out.kind, temperature, thresholds, reference)


def _out_of_fold(train: LabelledOutputs, seed: int) -> _FitPhotos:
    """Training photos, each with logits and a distance fitted without its fold."""
    logits = np.empty_like(train.logits)
    distances = np.empty(len(train), np.float32)
    for rest, fold in _folds(train.labels, seed):
        part = train.take(rest)
        if train.labels.ndim == 1:
            head = fit_logistic(part.features, part.labels, train.logits.shape[1], seed)
        else:
            targets = to_targets(part.labels)
            head = fit_tags(part.features, targets, seed)
            head = LinearHead(head.weights, head.bias + prior_correction(targets))
        logits[fold] = head.logits(train.features[fold])
        scale, vectors = fit_reference_vectors(part.features, seed)
        distances[fold] = neighbour_distance(unit_vectors(train.features[fold] / scale), vectors)
    return _FitPhotos(logits, train.labels, distances)


def _folds(labels: NDArray[Any], seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows `(rest, fold)` of each fold, stratified where every label has two photos."""
    rarest = np.unique(labels, return_counts=True)[1].min() if labels.ndim == 1 else 0
    if rarest < 2:
        folds = KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed)
    else:
        folds = StratifiedKFold(min(FOLDS, int(rarest)), shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(labels)), labels))
