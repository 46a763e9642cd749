"""Heads: classifiers on frozen features, for one label a photo or for many tags.

Logistic regression starts every network; SVM and random forest are for comparison. Labels are
numbers `(N,)`. Of tags, logistic regression takes targets `(N, C)`: their probabilities, NaN where
unseen; the others take cells `(N, C)`: PRESENT, ABSENT or UNSEEN. See `datasets.sample`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from tagger.concurrency import one_blas_thread
from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.errors import OptionError
from tagger.inference.decision import to_probabilities

LOGISTIC, SVM, FOREST = "logistic", "svm", "random_forest"
HEAD_NAMES = (LOGISTIC, SVM, FOREST)
ALWAYS_BALANCED = (SVM, FOREST)  # they have no option for it

MAX_HEAD_PHOTOS = 50_000  # a random sample of more: 256 MB of features
REGULARISATION = (0.001, 0.01, 0.1)  # scikit-learn's C; the default is the middle one

TAG_REGULARISATION = 0.01
TUNED_TAG_REGULARISATION = 0.001  # on features that were fine-tuned for the same tags
LOG_ODDS_REGULARISATION = 100.0
LEAST_PROBABILITY = 1e-6  # and the most is as far from 1
TAG_ITERATIONS = 200
# The weight of an unseen cell, which counts as absent. Most are absent; at weight 0 a fine-tuned
# network scores them arbitrarily (weakly assumed negatives: Cole et al., "Multi-Label Learning
# from Single Positive Labels", 2021, arXiv:2106.09708).
UNSEEN_WEIGHT = 0.02

SVM_REGULARISATION = 0.001  # scikit-learn's C; a few times more or less is no better
# Rough factors to log odds, so that the fitted temperature stays within its range.
MARGIN_SCALE = 4.0
VOTE_SCALE = 3.0
TREES = 300
TAG_TREES = 100  # for each of many tags
MIN_LEAF_PHOTOS = 2  # so that votes are shares, not only 0 or 1

LabelledFeatures = tuple[NDArray[np.float32], NDArray[Any]]  # features (N, D), labels


class Head(Protocol):
    """Gives logits `(N, C)` for features `(N, D)`."""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class LinearHead:
    """`logits = features @ weights + bias`: `weights (D, C)`, `bias (C,)`."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(N, C)` for `features (N, D)`."""
        return features @ self.weights + self.bias


@dataclass(frozen=True)
class Forest:
    """Random forests (Breiman 2001): one for all labels, under None, or one for each tag.

    A dense layer cannot represent them, so they do not become part of a network. `constant_tags`
    are present in every training photo.
    """

    models: dict[int | None, Any]
    label_count: int
    constant_tags: tuple[int, ...] = ()

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(N, C)` for `features (N, D)`: scaled logs of vote shares; for tags, log odds."""
        shares = np.full((len(features), self.label_count), _half_vote(TAG_TREES))
        shares[:, list(self.constant_tags)] = 1 - _half_vote(TAG_TREES)
        for tag, model in self.models.items():
            votes = model.predict_proba(features)
            votes = np.clip(votes, low := _half_vote(model.n_estimators), 1 - low)
            if tag is None:
                shares[:, model.classes_] = votes
            else:
                shares[:, tag] = votes[:, -1]
        odds = np.log(shares) if None in self.models else np.log(shares / (1 - shares))
        return np.asarray(odds * VOTE_SCALE, np.float32)


def _half_vote(trees: int) -> float:
    """The share that stands for no vote at all, since its logarithm must be finite."""
    return 0.5 / trees


def check_head_name(name: str | None) -> None:
    """Raise OptionError unless `name` is None or one of HEAD_NAMES."""
    if name is not None and name not in HEAD_NAMES:
        raise OptionError(f"head {name!r}: there are {', '.join(HEAD_NAMES)}")


def fit_head(
    name: str | None,
    train: LabelledFeatures,
    held_out: LabelledFeatures,
    label_count: int,
    seed: int,
    balance: float = 1.0,
) -> Head:
    """Fit one of HEAD_NAMES, by default logistic regression.

    `held_out` photos choose the regularisation of single-label logistic regression. `balance` is
    for tags, see `class_weights`.
    """
    features, labels = train
    if name == FOREST:
        return fit_forest(features, labels, label_count, seed)
    if name == SVM:
        return fit_svm(features, labels, label_count, seed)
    if labels.ndim == 2:
        return fit_tags(features, labels, seed, balance=balance)
    return choose_logistic(train, held_out, label_count, seed)


# Logistic regression


def choose_logistic(
    train: LabelledFeatures, held_out: LabelledFeatures, label_count: int, seed: int
) -> LinearHead:
    """Logistic regression with the REGULARISATION of least mean log loss on `held_out`."""
    heads = [fit_logistic(*train, label_count, seed, c) for c in REGULARISATION]
    features, labels = held_out

    def loss(head: LinearHead) -> float:
        probabilities = to_probabilities(head.logits(features), "single")
        return float(
            -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean()
        )

    return min(heads, key=loss)


def fit_logistic(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    label_count: int,
    seed: int,
    regularisation: float = REGULARISATION[1],
) -> LinearHead:
    """Logistic regression on `features (N, D)`; labels weigh the same, however few photos."""
    if len(labels) > MAX_HEAD_PHOTOS:
        rows = np.random.default_rng(seed).choice(len(labels), MAX_HEAD_PHOTOS, replace=False)
        features, labels = features[rows], labels[rows]
    model = LogisticRegression(C=regularisation, class_weight="balanced", max_iter=300, tol=1e-3)
    model.fit(features, labels)
    return _to_linear_head(model, label_count)


def _to_linear_head(model: LogisticRegression | LinearSVC, label_count: int) -> LinearHead:
    weights = np.zeros((model.coef_.shape[1], label_count), np.float32)
    bias = np.full(label_count, -1e4, np.float32)  # never predicts a label without photos
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two labels
        first, second = model.classes_
        weights[:, first], weights[:, second] = -model.coef_[0] / 2, model.coef_[0] / 2
        bias[first], bias[second] = -model.intercept_[0] / 2, model.intercept_[0] / 2
    else:
        weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return LinearHead(weights, bias)


def fit_tags(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    seed: int,
    regularisation: float = TAG_REGULARISATION,
    balance: float = 1.0,
    prior: NDArray[np.float32] | None = None,
) -> LinearHead:
    """One logistic regression a tag, on `features (N, D)` and `targets (N, C)`.

    The targets are weighted by `class_weights`. All tags are fitted at once: they share the
    features. `prior (D, C)` are the weights that a tag without photos gets, in place of 0: the
    fewer photos, the closer its own stay to them (Chelba & Acero, "Adaptation of Maximum Entropy
    Capitalizer", 2006).
    """
    if prior is None:
        prior = np.zeros((features.shape[1], targets.shape[1]), np.float32)
    if len(targets) > MAX_HEAD_PHOTOS:
        rows = np.random.default_rng(seed).choice(len(targets), MAX_HEAD_PHOTOS, replace=False)
        features, targets = features[rows], targets[rows]
    width = features.shape[1]
    weights, targets = balance_targets(targets, *class_weights(targets, balance))
    weights *= regularisation

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = flat.reshape(width + 1, -1).astype(np.float32)  # the bias is the last row
        logits = features @ head[:-1] + head[-1]  # (N, C)
        slope = weights * (1 / (1 + np.exp(-np.clip(logits, -80, 80))) - targets)
        from_prior = head[:-1] - prior
        gradient = np.vstack([features.T @ slope + from_prior, slope.sum(axis=0)])
        value = (weights * (np.logaddexp(0, logits) - targets * logits)).sum()
        value += 0.5 * (from_prior**2).sum()
        return float(value), gradient.ravel().astype(np.float64)

    start = np.append(prior.ravel(), np.zeros(targets.shape[1]))
    limit = {"maxiter": TAG_ITERATIONS}
    with one_blas_thread():  # several would wait for each other, most of all beside other work
        solution = minimize(loss, start, jac=True, method="L-BFGS-B", options=limit)
    head = solution.x.reshape(width + 1, -1).astype(np.float32)
    return LinearHead(head[:-1], head[-1])


def fit_log_odds(
    features: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weights `(D, C)` by which `features (N, D)` tell the log odds of `probabilities (N, C)`."""
    likely = np.clip(probabilities.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    with one_blas_thread():
        ridge = Ridge(alpha=LOG_ODDS_REGULARISATION).fit(features, np.log(likely / (1 - likely)))
    return np.asarray(ridge.coef_, np.float32).T


def class_weights(
    targets: NDArray[np.float32], balance: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights `(C,)` of each tag's present and absent cells in `targets (N, C)`.

    A present cell weighs as many absent ones as there are for each, to the power `balance`: at 1
    both sides weigh half, at 0 every cell the same. A cell in between is partly either. The mean
    over a tag's seen cells is 1. Where one side is missing, both are 1.
    """
    present = np.nansum(targets, axis=0)
    absent = np.nansum(1 - targets, axis=0)
    one_sided = (present == 0) | (absent == 0)
    ratio = (np.maximum(absent, 1e-6) / np.maximum(present, 1e-6)) ** balance
    of_absent = (present + absent) / np.maximum(present * ratio + absent, 1e-6)
    weights = [np.where(one_sided, 1, side) for side in (of_absent * ratio, of_absent)]
    return weights[0].astype(np.float32), weights[1].astype(np.float32)


def prior_correction(targets: NDArray[np.float32], balance: float = 1.0) -> NDArray[np.float32]:
    """The shift `(C,)` from logits fitted with `class_weights` to unweighted logits.

    Class weights move a tag's log odds by the log of their ratio (King & Zeng, "Logistic
    Regression in Rare Events Data", 2001).
    """
    of_present, of_absent = class_weights(targets, balance)
    shift: NDArray[np.float32] = np.log(of_absent / of_present).astype(np.float32)
    return shift


def balance_targets(
    targets: NDArray[np.float32], of_present: NDArray[np.float32], of_absent: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and targets `(N, C)` of a cross-entropy that weighs its two halves apart.

    At logit x, `t of_present softplus(-x) + (1 - t) of_absent softplus(x)` is a cross-entropy whose
    weight w is `t of_present + (1 - t) of_absent` and whose target is `t of_present / w`. So a cell
    in between moves with the balance as all others do. An unseen cell counts as absent, by
    UNSEEN_WEIGHT.
    """
    present = targets * of_present
    weights = present + (1 - targets) * of_absent
    balanced = np.nan_to_num(present / weights)
    weights = np.where(np.isnan(targets), UNSEEN_WEIGHT * of_absent, weights)
    return weights.astype(np.float32), balanced.astype(np.float32)


# Support vector machines and random forests


def fit_svm(
    features: NDArray[np.float32], labels: NDArray[Any], label_count: int, seed: int
) -> LinearHead:
    """Linear support vector machines, one against the rest, with squared hinge loss."""

    def fit(rows: NDArray[Any], targets: NDArray[Any]) -> LinearSVC:
        model = LinearSVC(C=SVM_REGULARISATION, class_weight="balanced", random_state=seed)
        return model.fit(features[rows], targets)

    if labels.ndim == 1:
        head = _to_linear_head(fit(np.arange(len(labels)), labels), label_count)
        return LinearHead(head.weights * MARGIN_SCALE, head.bias * MARGIN_SCALE)
    weights = np.zeros((features.shape[1], label_count), np.float32)
    bias = np.full(label_count, -MARGIN_SCALE, np.float32)
    bias[_constant_tags(labels)] = MARGIN_SCALE
    for tag, rows, targets in _two_sided_tags(labels):
        model = fit(rows, targets)
        weights[:, tag] = model.coef_[0] * MARGIN_SCALE
        bias[tag] = model.intercept_[0] * MARGIN_SCALE
    return LinearHead(weights, bias)


def fit_forest(
    features: NDArray[np.float32], labels: NDArray[Any], label_count: int, seed: int
) -> Forest:
    """Random forests with balanced labels, or for tags balanced presence and absence."""

    def fit(rows: NDArray[Any], targets: NDArray[Any], trees: int) -> RandomForestClassifier:
        model = RandomForestClassifier(
            trees,
            min_samples_leaf=MIN_LEAF_PHOTOS,
            class_weight="balanced",
            n_jobs=-1,
            random_state=seed,
        )
        return model.fit(features[rows], targets)

    if labels.ndim == 1:
        return Forest({None: fit(np.arange(len(labels)), labels, TREES)}, label_count)
    models: dict[int | None, Any] = {
        tag: fit(rows, targets, TAG_TREES) for tag, rows, targets in _two_sided_tags(labels)
    }
    return Forest(models, label_count, tuple(_constant_tags(labels)))


def _two_sided_tags(cells: NDArray[np.int8]) -> list[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Tags both present and absent: (tag, rows of seen cells, presence in those rows)."""
    tags = []
    for tag in range(cells.shape[1]):
        rows = np.flatnonzero(cells[:, tag] != UNSEEN)
        presence = cells[rows, tag] == PRESENT
        if presence.any() and not presence.all():
            tags.append((tag, rows, presence))
    return tags


def _constant_tags(cells: NDArray[np.int8]) -> list[int]:
    """Tags that are present in every photo in which they were looked for."""
    present, absent = ((cells == side).any(axis=0) for side in (PRESENT, ABSENT))
    return np.flatnonzero(present & ~absent).tolist()
