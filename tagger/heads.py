"""The linear head on frozen features: multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tagger.decision import to_probabilities

MAX_HEAD_PHOTOS = 50_000  # a random sample of more: 256 MB of features
REGULARISATION = (0.001, 0.01, 0.1)  # scikit-learn's C; the default is the middle one

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]  # features (N, D), labels (N,)


@dataclass(frozen=True)
class LinearHead:
    """`logits = features @ weights + bias`: `weights (D, C)`, `bias (C,)`."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(N, C)` of `features (N, D)`."""
        return features @ self.weights + self.bias


def choose_logistic(train: Labelled, held_out: Labelled, label_count: int, seed: int) -> LinearHead:
    """The head whose regularisation serves the held-out photos best, by their mean log loss."""
    heads = [fit_logistic(*train, label_count, seed, c) for c in REGULARISATION]
    return min(heads, key=lambda head: _log_loss(head.logits(held_out[0]), held_out[1]))


def fit_logistic(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    label_count: int,
    seed: int,
    regularisation: float = REGULARISATION[1],
) -> LinearHead:
    """Fit on `features (N, D)`, each label weighing the same however many photos it has."""
    if len(labels) > MAX_HEAD_PHOTOS:
        rows = np.random.default_rng(seed).choice(len(labels), MAX_HEAD_PHOTOS, replace=False)
        features, labels = features[rows], labels[rows]
    model = LogisticRegression(C=regularisation, class_weight="balanced", max_iter=300, tol=1e-3)
    model.fit(features, labels)
    weights = np.zeros((features.shape[1], label_count), np.float32)
    bias = np.full(label_count, -1e4, np.float32)  # a label with no photo here is never chosen
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two labels
        first, second = model.classes_
        weights[:, first], weights[:, second] = -model.coef_[0] / 2, model.coef_[0] / 2
        bias[first], bias[second] = -model.intercept_[0] / 2, model.intercept_[0] / 2
    else:
        weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return LinearHead(weights, bias)


def _log_loss(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    picked = to_probabilities(logits, "single")[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())
