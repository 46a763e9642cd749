"""Classifiers on frozen features, by name, to set beside the network that is fine-tuned.

Labels are `(N,)` where each photo has one, and `(N, C)` as `splits.cells` has them for tags, each
of which then gets a classifier of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

from tagger.datasets.splits import ABSENT, PRESENT, UNSEEN
from tagger.errors import OptionError
from tagger.models.heads import LinearHead, choose_logistic, fit_tags, to_linear_head

Labelled = tuple[NDArray[np.float32], NDArray[Any]]  # features (N, D), labels as above

LOGISTIC, SVM, FOREST = "logistic", "svm", "random_forest"
NAMES = (LOGISTIC, SVM, FOREST)

SVM_REGULARISATION = 0.001  # scikit-learn's C: a few times as much or as little is no better
# Margins are ±1 where log odds would be several times that; calibration does the rest.
MARGIN_SCALE = 4.0
VOTE_SCALE = 3.0  # likewise: trees that agree by three to two are mostly right
TREES = 300
TAG_TREES = 100  # for each of many tags
LEAF_PHOTOS = 2  # at the least, so that votes are shares rather than yes or no


class Classifier(Protocol):
    """Whatever gives `logits (N, C)` of `features (N, D)`."""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Forest:
    """Random forests (Breiman 2001): one for all labels, or one for each tag that can be told.

    No dense layer can say what they say, so they are no part of a network.
    """

    models: dict[int | None, Any]
    label_count: int
    always: tuple[int, ...] = ()  # tags that every photo looked at has

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logarithms of its votes; of tags, their log odds."""
        chance = np.full((len(features), self.label_count), _less_than_a_vote(TAG_TREES))
        chance[:, list(self.always)] = 1 - _less_than_a_vote(TAG_TREES)
        for tag, model in self.models.items():
            votes = model.predict_proba(features)
            votes = np.clip(votes, low := _less_than_a_vote(model.n_estimators), 1 - low)
            if tag is None:
                chance[:, model.classes_] = votes
            else:
                chance[:, tag] = votes[:, -1]
        odds = np.log(chance) if None in self.models else np.log(chance / (1 - chance))
        return np.asarray(odds * VOTE_SCALE, np.float32)


def check_name(name: str | None) -> None:
    """OptionError unless it is one of them, or None."""
    if name is not None and name not in NAMES:
        raise OptionError(f"head {name!r}: there are {', '.join(NAMES)}")


def fit(
    name: str | None, train: Labelled, held_out: Labelled, label_count: int, seed: int
) -> Classifier:
    """The classifier of that name, by default logistic; `held_out` photos choose among those."""
    features, labels = train
    if name == FOREST:
        return fit_forest(features, labels, label_count, seed)
    if name == SVM:
        return fit_svm(features, labels, label_count, seed)
    if labels.ndim == 2:
        return fit_tags(features, labels, seed)
    return choose_logistic(train, held_out, label_count, seed)


def fit_svm(
    features: NDArray[np.float32], labels: NDArray[Any], label_count: int, seed: int
) -> LinearHead:
    """Linear support vector machines, one against the rest, with squared hinge loss."""

    def fitted(rows: NDArray[Any], own: NDArray[Any]) -> LinearSVC:
        model = LinearSVC(C=SVM_REGULARISATION, class_weight="balanced", random_state=seed)
        return model.fit(features[rows], own)

    if labels.ndim == 1:
        head = to_linear_head(fitted(np.arange(len(labels)), labels), label_count)
        return LinearHead(head.weights * MARGIN_SCALE, head.bias * MARGIN_SCALE)
    weights = np.zeros((features.shape[1], label_count), np.float32)
    bias = np.full(label_count, -MARGIN_SCALE, np.float32)
    bias[_always(labels)] = MARGIN_SCALE
    for tag, rows, own in _told_apart(labels):
        model = fitted(rows, own)
        weights[:, tag] = model.coef_[0] * MARGIN_SCALE
        bias[tag] = model.intercept_[0] * MARGIN_SCALE
    return LinearHead(weights, bias)


def fit_forest(
    features: NDArray[np.float32], labels: NDArray[Any], label_count: int, seed: int
) -> Forest:
    """A forest in which each label weighs the same, or each tag's presence as its absence."""

    def fitted(rows: NDArray[Any], own: NDArray[Any], trees: int) -> RandomForestClassifier:
        model = RandomForestClassifier(
            trees,
            min_samples_leaf=LEAF_PHOTOS,
            class_weight="balanced",
            n_jobs=-1,
            random_state=seed,
        )
        return model.fit(features[rows], own)

    if labels.ndim == 1:
        return Forest({None: fitted(np.arange(len(labels)), labels, TREES)}, label_count)
    models: dict[int | None, Any] = {
        tag: fitted(rows, own, TAG_TREES) for tag, rows, own in _told_apart(labels)
    }
    return Forest(models, label_count, tuple(_always(labels)))


def _told_apart(known: NDArray[np.int8]) -> list[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Of each tag that some have and some lack: its number, where anybody looked, what they saw."""
    found = []
    for tag in range(known.shape[1]):
        rows = np.flatnonzero(known[:, tag] != UNSEEN)
        own = known[rows, tag] == PRESENT
        if own.any() and not own.all():
            found.append((tag, rows, own))
    return found


def _always(known: NDArray[np.int8]) -> list[int]:
    """The tags that every photo has in which somebody looked for them."""
    present, absent = ((known == side).any(axis=0) for side in (PRESENT, ABSENT))
    return np.flatnonzero(present & ~absent).tolist()


def _less_than_a_vote(trees: int) -> float:
    return 0.5 / trees
