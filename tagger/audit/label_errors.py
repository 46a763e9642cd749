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

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.inference.decision import to_probabilities
from tagger.models.heads import fit_tags

FOLDS = 5
# Photos of a label, or of a tag's both sides, near copies counted once: fewer are not judged.
MIN_PHOTOS = 10
DIMENSIONS = 128  # of the features' main directions
REGULARISATION = 1.0  # of features whose variances add up to 1; less finds fewer planted errors
TOLERANCE = 1e-2  # of the fit: a tenth of scikit-learn's care in a quarter of its time

Table = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelScores:
    """Of N photos and C labels, each cell a label that a photo was said to have, or to lack.

    `confidence (N, C)` in [0, 1] is how likely what was said is, NaN where nothing was judged:
    of photos with one label each, only that label's cell is. `wrong (N, C)` are the cells that
    are probably wrong, and `likelier (N, C)` how likely each label is, NaN where nothing tells.
    """

    confidence: Table
    wrong: Flags
    probabilities: Table

    def scored(self) -> Flags:
        """The cells `(N, C)` that were judged."""
        return ~np.isnan(self.confidence)

    def ranked(self, cells: Flags, most: int | None = None) -> list[tuple[int, int]]:
        """(photo, label) of so many of the cells `(N, C)`, the least likely first."""
        rows, labels = np.nonzero(cells)
        order = np.argsort(self.confidence[rows, labels], kind="stable")[:most]
        return list(zip(rows[order].tolist(), labels[order].tolist(), strict=True))


def score_labels(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    count: int,
    seed: int,
) -> LabelScores:
    """Of N photos with one of `count` labels each: `features (N, D)`, `labels (N,)`.

    Photos of one group, which are near copies, are never judged by each other: `groups (N,)`.
    """
    verdict = _nothing(len(labels), count)
    usual = np.flatnonzero(_different(labels[:, None] == np.arange(count), groups) >= MIN_PHOTOS)
    rows = np.flatnonzero(np.isin(labels, usual))
    if len(usual) < 2:
        return verdict
    points = _main_directions(features[rows], seed)
    own = np.searchsorted(usual, labels[rows])
    probabilities = np.full((len(rows), len(usual)), np.nan, np.float32)
    for rest, fold in _folds(own, groups[rows], seed):
        if len(np.unique(own[rest])) > 1:
            model = LogisticRegression(
                C=REGULARISATION, class_weight="balanced", tol=TOLERANCE, max_iter=300
            )
            model.fit(points[rest], own[rest])
            probabilities[np.ix_(fold, model.classes_)] = model.predict_proba(points[fold])
    told = np.flatnonzero(~np.isnan(probabilities[np.arange(len(rows)), own]))
    cells = rows[told], labels[rows[told]]
    learned = np.nan_to_num(probabilities[told])  # what a fold had no photo of, it never takes for
    verdict.confidence[cells], verdict.wrong[cells] = _confident_learning(own[told], learned)
    verdict.probabilities[np.ix_(rows, usual)] = probabilities
    return verdict


def score_tags(
    features: NDArray[np.float32],
    known: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
) -> LabelScores:
    """Of N photos with any of C tags, `known (N, C)` as `tag_matrix` has it.

    Each tag is judged for itself, on the photos in which somebody looked for it.
    """
    verdict = _nothing(*known.shape)
    sides = known == PRESENT, known == ABSENT
    tags = np.flatnonzero(np.min([_different(s, groups) for s in sides], axis=0) >= MIN_PHOTOS)
    if not len(tags):
        return verdict
    points, known = _main_directions(features, seed), known[:, tags]
    probabilities = np.full(known.shape, np.nan, np.float32)
    for rest, fold in _folds(_rarest(known), groups, seed):
        head = fit_tags(points[rest], known[rest], seed, REGULARISATION)
        chance = to_probabilities(head.logits(points[fold]), "multi")
        both = [(known[rest] == side).any(axis=0) for side in (PRESENT, ABSENT)]
        probabilities[fold] = np.where(np.all(both, axis=0), chance, np.nan)
    for place, tag in enumerate(tags.tolist()):
        rows = np.flatnonzero((known[:, place] != UNSEEN) & ~np.isnan(probabilities[:, place]))
        chance = probabilities[rows, place]
        own = (known[rows, place] == PRESENT).astype(np.int64)
        confidence, wrong = _confident_learning(own, np.stack([1 - chance, chance], axis=1))
        verdict.confidence[rows, tag], verdict.wrong[rows, tag] = confidence, wrong
        verdict.probabilities[rows, tag] = chance
    return verdict


def _confident_learning(
    labels: NDArray[np.int64], probabilities: Table
) -> tuple[NDArray[np.floating], Flags]:
    """Self-confidence `(N,)`, and whether a photo is counted as another label's `(N,)`."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if len(np.unique(labels)) < 2:  # nothing to take one for
        return np.full(len(labels), np.nan), np.zeros(len(labels), np.bool_)
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities = probabilities / np.maximum(total, np.finfo(np.float32).tiny)
    confidence = get_label_quality_scores(labels, probabilities, method="self_confidence")
    # Of planted errors it names four in five, and hardly a label that was right (bench/doctor.py).
    wrong = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    return np.asarray(confidence), np.asarray(wrong, np.bool_)


def _nothing(photos: int, count: int) -> LabelScores:
    confidence, likelier = (np.full((photos, count), np.nan, np.float32) for _ in range(2))
    return LabelScores(confidence, np.zeros((photos, count), np.bool_), likelier)


def _different(flags: Flags, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of how many groups the photos of each column are: `(C,)` of `flags (N, C)`."""
    return np.array([len(np.unique(groups[column])) for column in flags.T], np.int64)


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
    """(rest, fold) rows, none without any: groups whole, each label's groups dealt out evenly."""
    names, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(labels[first[order]], kind="stable")]
    dealt = np.empty(len(names), np.int64)
    dealt[order] = np.arange(len(names)) % FOLDS
    fold = dealt[members]
    found = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]
    return [(rest, own) for rest, own in found if len(rest) and len(own)]
