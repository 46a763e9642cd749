"""The linear head on frozen features: logistic regression, of one label or of many tags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.svm import LinearSVC

from tagger.concurrency import one_blas_thread
from tagger.datasets.splits import PRESENT, UNSEEN
from tagger.inference.decision import to_probabilities

MAX_HEAD_PHOTOS = 50_000  # a random sample of more: 256 MB of features
REGULARISATION = (0.001, 0.01, 0.1)  # scikit-learn's C; the default is the middle one

TAG_REGULARISATION = 0.01
TAG_ITERATIONS = 200
# What a cell that nobody looked at counts, as absent. Most of them are; and without it a network
# that is fine-tuned says of its tags whatever it likes there (Cole et al., "Multi-Label Learning
# from Single Positive Labels", 2021, arXiv:2106.09708, weakly assumed negatives).
UNSEEN_WEIGHT = 0.02

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
    features, labels = held_out

    def loss(head: LinearHead) -> float:
        probabilities = to_probabilities(head.logits(features), "single")
        return float(log_loss(labels, probabilities, labels=range(label_count)))

    return min(heads, key=loss)


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
    return to_linear_head(model, label_count)


def to_linear_head(model: LogisticRegression | LinearSVC, label_count: int) -> LinearHead:
    """What a linear classifier of scikit-learn's has learned."""
    weights = np.zeros((model.coef_.shape[1], label_count), np.float32)
    bias = np.full(label_count, -1e4, np.float32)  # a label with no photo here is never chosen
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two labels
        first, second = model.classes_
        weights[:, first], weights[:, second] = -model.coef_[0] / 2, model.coef_[0] / 2
        bias[first], bias[second] = -model.intercept_[0] / 2, model.intercept_[0] / 2
    else:
        weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return LinearHead(weights, bias)


def fit_tags(
    features: NDArray[np.float32],
    known: NDArray[np.int8],
    seed: int,
    regularisation: float = TAG_REGULARISATION,
) -> LinearHead:
    """One logistic regression a tag, on `features (N, D)` and `known (N, C)`: see `splits.cells`.

    Cells weigh as `cell_weights` has it. All tags are fitted at once: they share the features.
    """
    if len(known) > MAX_HEAD_PHOTOS:
        rows = np.random.default_rng(seed).choice(len(known), MAX_HEAD_PHOTOS, replace=False)
        features, known = features[rows], known[rows]
    width = features.shape[1]
    weights = cell_weights(known, *class_weights(known)) * regularisation
    signs = np.where(known == PRESENT, 1.0, -1.0).astype(np.float32)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = flat.reshape(width + 1, -1).astype(np.float32)  # the bias is the last row
        margins = signs * (features @ head[:-1] + head[-1])  # (N, C)
        slope = -signs * weights / (1 + np.exp(np.minimum(margins, 80)))
        gradient = np.vstack([features.T @ slope + head[:-1], slope.sum(axis=0)])
        value = (weights * np.logaddexp(0, -margins)).sum() + 0.5 * (head[:-1] ** 2).sum()
        return float(value), gradient.ravel().astype(np.float64)

    start = np.zeros((width + 1) * known.shape[1])
    limit = {"maxiter": TAG_ITERATIONS}
    with one_blas_thread():  # more of them wait for each other, most of all beside other work
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=limit)
    head = found.x.reshape(width + 1, -1).astype(np.float32)
    return LinearHead(head[:-1], head[-1])


def class_weights(known: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights `(C,)` of a tag's present and of its absent photos.

    Each side counts as half of the photos that were looked at; 1 where one side is missing.
    """
    present = (known == PRESENT).sum(axis=0)
    seen = (known != UNSEEN).sum(axis=0)
    absent = seen - present
    lopsided = (present == 0) | (absent == 0)
    halves = [seen / (2 * np.maximum(side, 1)) for side in (present, absent)]
    of_present, of_absent = (np.where(lopsided, 1, half).astype(np.float32) for half in halves)
    return of_present, of_absent


def prior_correction(known: NDArray[np.int8]) -> NDArray[np.float32]:
    """What `(C,)` to add to logits that were fitted with `tag_weights`, to have them unweighted.

    Weighting by halves moves a tag's log odds by that of its shares (King & Zeng, "Logistic
    Regression in Rare Events Data", 2001, the prior correction).
    """
    of_present, of_absent = class_weights(known)
    shift: NDArray[np.float32] = np.log(of_absent / of_present).astype(np.float32)
    return shift


def cell_weights(
    known: NDArray[np.int8], of_present: NDArray[np.float32], of_absent: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`(N, C)`: what each cell counts in a loss; where nobody looked, a little as absent."""
    weights = np.where(known == PRESENT, of_present, of_absent)
    unseen = UNSEEN_WEIGHT * of_absent
    return np.where(known == UNSEEN, unseen, weights).astype(np.float32)
