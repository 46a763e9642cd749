"""Labels that are probably wrong, told from what photos with other labels look like.

A classifier is fitted without each photo and then asked how likely the photo's own label is: the
self-confidence of confident learning (Northcutt et al. 2021, arXiv:1911.00068), as cleanlab has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from tagger.decision import to_probabilities
from tagger.heads import fit_tags
from tagger.splits import PRESENT, UNSEEN

FOLDS = 5
MIN_TO_JUDGE = 10  # photos of a label, or of a tag's both sides: with fewer nothing is judged
DIMENSIONS = 128  # of the features' main directions; all 1,280 ranked planted errors no better
REGULARISATION = 1.0  # of features whose variances add up to 1; less finds fewer planted errors
TOLERANCE = 1e-2  # of the fit: a tenth of scikit-learn's care in a quarter of its time

Table = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """Of N photos and C labels, each cell a label that a photo was said to have, or to lack.

    `confidence (N, C)` in [0, 1] is how likely what was said is, NaN where nothing was judged:
    of photos with one label each, only that label's cell is. `wrong (N, C)` are the cells that
    are probably wrong, and `likelier (N, C)` how likely each label is.
    """

    confidence: Table
    wrong: Flags
    likelier: Table

    def ranked(self) -> list[tuple[int, int]]:
        """(photo, label) of the cells judged, the least likely first."""
        rows, labels = np.nonzero(~np.isnan(self.confidence))
        order = np.argsort(self.confidence[rows, labels], kind="stable")
        return list(zip(rows[order].tolist(), labels[order].tolist(), strict=True))


def judge_labels(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    seed: int,
) -> Verdict:
    """Of N photos with one of `count` labels each: `features (N, D)`, `labels (N,)`.

    Photos of one group, which are near copies, are never judged by each other: `groups (N,)`.
    """
    verdict = _nothing(len(labels), count)
    usual = np.flatnonzero(np.bincount(labels, minlength=count) >= MIN_TO_JUDGE)
    rows = np.flatnonzero(np.isin(labels, usual))
    if len(usual) < 2:
        return verdict
    points = _main_directions(features[rows], seed)
    own = np.searchsorted(usual, labels[rows])
    probabilities = np.zeros((len(rows), len(usual)))
    for rest, fold in _folds(own, groups[rows], seed):
        model = LogisticRegression(
            C=REGULARISATION, class_weight="balanced", tol=TOLERANCE, max_iter=300
        )
        model.fit(points[rest], own[rest])
        probabilities[np.ix_(fold, model.classes_)] = model.predict_proba(points[fold])
    confidence, wrong = _confident_learning(own, probabilities)
    verdict.confidence[rows, labels[rows]] = confidence
    verdict.wrong[rows, labels[rows]] = wrong
    verdict.likelier[np.ix_(rows, usual)] = probabilities
    return verdict


def judge_tags(
    features: NDArray[np.float32],
    known: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
) -> Verdict:
    """Of N photos with any of C tags, `known (N, C)` as `splits.cells` has it.

    Each tag is judged for itself, on the photos in which somebody looked for it.
    """
    verdict = _nothing(*known.shape)
    present, seen = (known == PRESENT).sum(axis=0), (known != UNSEEN).sum(axis=0)
    tags = np.flatnonzero((present >= MIN_TO_JUDGE) & (seen - present >= MIN_TO_JUDGE))
    if not len(tags):
        return verdict
    points, known = _main_directions(features, seed), known[:, tags]
    probabilities = np.zeros(known.shape)
    for rest, fold in _folds(_rarest(known), groups, seed):
        head = fit_tags(points[rest], known[rest], seed, REGULARISATION)
        probabilities[fold] = to_probabilities(head.logits(points[fold]), "multi")
    for place, tag in enumerate(tags.tolist()):
        rows = np.flatnonzero(known[:, place] != UNSEEN)
        chance = probabilities[rows, place]
        own = (known[rows, place] == PRESENT).astype(np.int64)
        confidence, wrong = _confident_learning(own, np.stack([1 - chance, chance], axis=1))
        verdict.confidence[rows, tag], verdict.wrong[rows, tag] = confidence, wrong
        verdict.likelier[rows, tag] = chance
    return verdict


def _confident_learning(
    labels: NDArray[np.int64], probabilities: Table
) -> tuple[NDArray[np.floating], Flags]:
    """Self-confidence `(N,)`, and whether a photo is counted as another label's `(N,)`."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    total = probabilities.sum(axis=1, keepdims=True)
    probabilities = probabilities / np.maximum(total, np.finfo(np.float64).tiny)
    confidence = get_label_quality_scores(labels, probabilities, method="self_confidence")
    # Of cleanlab's ways this one names fewest: of planted errors four in five, and hardly a
    # label that was right (bench/doctor.py).
    wrong = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    return np.asarray(confidence), np.asarray(wrong, np.bool_)


def _nothing(photos: int, count: int) -> Verdict:
    shape = (photos, count)
    return Verdict(np.full(shape, np.nan), np.zeros(shape, np.bool_), np.full(shape, np.nan))


def _main_directions(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """`(N, at most DIMENSIONS)`, scaled so that one regularisation suits every backbone."""
    dimensions = min(DIMENSIONS, *features.shape)
    points = PCA(dimensions, svd_solver="randomized", random_state=seed).fit_transform(features)
    spread = float(np.sqrt(points.var(axis=0).sum()))
    return np.asarray(points / max(spread, 1e-12), np.float32)


def _rarest(known: NDArray[np.int8]) -> NDArray[np.int64]:
    """For each photo the rarest tag it has, to spread that evenly; else one more number."""
    order = np.argsort((known == PRESENT).sum(axis=0), kind="stable")
    ranked = known[:, order] == PRESENT
    rarest = np.where(ranked.any(axis=1), order[ranked.argmax(axis=1)], known.shape[1])
    return np.asarray(rarest, np.int64)


def _folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rest, fold) rows: groups whole, each label's groups dealt out evenly."""
    names, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(labels[first[order]], kind="stable")]
    dealt = np.empty(len(names), np.int64)
    dealt[order] = np.arange(len(names)) % FOLDS
    fold = dealt[members]
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]
