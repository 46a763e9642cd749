"""Label errors: labels that a classifier fitted on the other photos finds improbable.

Out-of-fold probabilities give the self-confidence of confident learning (Northcutt et al. 2021,
arXiv:1911.00068), computed by cleanlab. Functions import scikit-learn, which takes seconds: reports
of findings, which pages of the app show, do without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN, to_targets
from tagger.inference.decision import to_probabilities

FOLDS = 5
MIN_PHOTOS = 10  # with a label, or with and without a tag, to score it; near copies count once
DIMENSIONS = 128  # principal components of the features
REGULARISATION = 1.0  # for features of total variance 1; smaller values find fewer planted errors
TOLERANCE = 1e-2  # of the fit; ten times scikit-learn's default takes a quarter of its time

Scores = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelScores:
    """Scores for N photos and C labels.

    `confidence (N, C)` in [0, 1] is the probability of the annotation (the label, or a tag's
    presence or absence), NaN if it was not scored; photos with one label each have one scored
    cell. `wrong (N, C)` are probable errors. `probabilities (N, C)` of each label are NaN if
    unknown.
    """

    confidence: Scores
    wrong: Flags
    probabilities: Scores

    def scored(self) -> Flags:
        """Flags `(N, C)` of the cells that were scored."""
        return ~np.isnan(self.confidence)

    def ranked(self, cells: Flags, limit: int | None = None) -> list[tuple[int, int]]:
        """(photo, label) of the flagged cells `(N, C)`, the least confident first."""
        rows, labels = np.nonzero(cells)
        order = np.argsort(self.confidence[rows, labels], kind="stable")[:limit]
        return list(zip(rows[order].tolist(), labels[order].tolist(), strict=True))


def score_labels(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    seed: int,
) -> LabelScores:
    """Scores for N photos with one of `count` labels each: `features (N, D)`, `labels (N,)`.

    Near copies share a number in `groups (N,)` and are always in the same fold.
    """
    from sklearn.linear_model import LogisticRegression

    scores = _empty_scores(len(labels), count)
    flags = labels[:, None] == np.arange(count)
    frequent = np.flatnonzero(_count_groups(flags, groups) >= MIN_PHOTOS)
    rows = np.flatnonzero(np.isin(labels, frequent))
    if len(frequent) < 2:
        return scores
    points = _principal_components(features[rows], seed)
    targets = np.searchsorted(frequent, labels[rows])
    probabilities = np.full((len(rows), len(frequent)), np.nan, np.float32)
    for rest, fold in _split_folds(targets, groups[rows], seed):
        if len(np.unique(targets[rest])) > 1:
            model = LogisticRegression(
                C=REGULARISATION, class_weight="balanced", tol=TOLERANCE, max_iter=300
            )
            model.fit(points[rest], targets[rest])
            probabilities[np.ix_(fold, model.classes_)] = model.predict_proba(points[fold])
    scored = np.flatnonzero(~np.isnan(probabilities[np.arange(len(rows)), targets]))
    cells = rows[scored], labels[rows[scored]]
    complete = np.nan_to_num(probabilities[scored])  # 0 for labels without photos in the rest
    scores.confidence[cells], scores.wrong[cells] = _confident_learning(targets[scored], complete)
    scores.probabilities[np.ix_(rows, frequent)] = probabilities
    return scores


def score_tags(
    features: NDArray[np.float32],
    cells: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
) -> LabelScores:
    """Scores for N photos and C tags: `features (N, D)`, `cells (N, C)`, see `tag_matrix`.

    Each tag is scored on its own seen cells. `groups (N,)` as in `score_labels`.
    """
    from tagger.models.heads import fit_tags

    scores = _empty_scores(*cells.shape)
    sides = cells == PRESENT, cells == ABSENT
    tags = np.flatnonzero(np.min([_count_groups(s, groups) for s in sides], axis=0) >= MIN_PHOTOS)
    if not len(tags):
        return scores
    points, cells = _principal_components(features, seed), cells[:, tags]
    probabilities = np.full(cells.shape, np.nan, np.float32)
    for rest, fold in _split_folds(_rarest_tags(cells), groups, seed):
        head = fit_tags(points[rest], to_targets(cells[rest]), seed, REGULARISATION)
        predicted = to_probabilities(head.logits(points[fold]), "multi")
        both = [(cells[rest] == side).any(axis=0) for side in (PRESENT, ABSENT)]
        probabilities[fold] = np.where(np.all(both, axis=0), predicted, np.nan)
    for column, tag in enumerate(tags.tolist()):
        scored = (cells[:, column] != UNSEEN) & ~np.isnan(probabilities[:, column])
        rows = np.flatnonzero(scored)
        presence = probabilities[rows, column]
        targets = (cells[rows, column] == PRESENT).astype(np.int64)
        both_sides = np.stack([1 - presence, presence], axis=1)
        confidence, wrong = _confident_learning(targets, both_sides)
        scores.confidence[rows, tag], scores.wrong[rows, tag] = confidence, wrong
        scores.probabilities[rows, tag] = presence
    return scores


def _confident_learning(
    labels: NDArray[np.int64], probabilities: Scores
) -> tuple[NDArray[np.floating], Flags]:
    """Self-confidence `(N,)`, and flags `(N,)` of probable label errors."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if len(np.unique(labels)) < 2:  # no other label to confuse it with
        return np.full(len(labels), np.nan), np.zeros(len(labels), np.bool_)
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities = probabilities / np.maximum(total, np.finfo(np.float32).tiny)
    confidence = get_label_quality_scores(labels, probabilities, method="self_confidence")
    # Finds four in five planted errors and hardly any correct label: bench/audit.py
    wrong = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    return np.asarray(confidence), np.asarray(wrong, np.bool_)


def _empty_scores(photos: int, count: int) -> LabelScores:
    confidence, likelier = (np.full((photos, count), np.nan, np.float32) for _ in range(2))
    return LabelScores(confidence, np.zeros((photos, count), np.bool_), likelier)


def _count_groups(flags: Flags, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number `(C,)` of groups among the photos of each column of `flags (N, C)`."""
    return np.array([len(np.unique(groups[column])) for column in flags.T], np.int64)


def _principal_components(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """`(N, at most DIMENSIONS)`, of total variance 1: REGULARISATION then suits all backbones."""
    from sklearn.decomposition import PCA

    dimensions = min(DIMENSIONS, *features.shape)
    points = PCA(dimensions, svd_solver="randomized", random_state=seed).fit_transform(features)
    spread = float(np.sqrt(points.var(axis=0).sum()))
    return np.asarray(points / max(spread, 1e-12), np.float32)


def _rarest_tags(cells: NDArray[np.int8]) -> NDArray[np.int64]:
    """The rarest tag of each photo, C for a photo without tags: folds stratify by it."""
    order = np.argsort((cells == PRESENT).sum(axis=0), kind="stable")
    ranked = cells[:, order] == PRESENT
    rarest = np.where(ranked.any(axis=1), order[ranked.argmax(axis=1)], cells.shape[1])
    return np.asarray(rarest, np.int64)


def _split_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows (rest, fold) of each fold, both non-empty: groups stay whole, labels are stratified."""
    names, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(labels[first[order]], kind="stable")]
    fold_of_group = np.empty(len(names), np.int64)
    fold_of_group[order] = np.arange(len(names)) % FOLDS
    fold_of_row = fold_of_group[members]
    splits = [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
        for fold in range(FOLDS)
    ]
    return [(rest, fold) for rest, fold in splits if len(rest) and len(fold)]
