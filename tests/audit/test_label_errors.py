"""Planted label errors are found, for one label a photo and for many tags."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.audit.label_errors import MIN_PHOTOS, score_labels, score_tags

RNG = np.random.default_rng(3)
PHOTOS, WIDTH = 600, 40


def clouds(labels: NDArray[np.int64], scale: float = 1.0) -> NDArray[np.float32]:
    """Slightly overlapping features: noise around a centre for each label."""
    centres = np.random.default_rng(5).normal(size=(int(labels.max()) + 1, WIDTH))
    noise = RNG.normal(size=(len(labels), WIDTH))
    return ((centres[labels] + noise) * scale).astype(np.float32)


def no_copies(count: int) -> NDArray[np.int64]:
    """Groups of one photo each."""
    return np.arange(count)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_planted_errors_rank_first_at_any_scale_of_features(scale: float) -> None:
    correct = RNG.integers(0, 4, PHOTOS)
    labels, planted = correct.copy(), RNG.choice(PHOTOS, 30, replace=False)
    labels[planted] = (labels[planted] + 1) % 4
    scores = score_labels(clouds(correct, scale), labels, no_copies(PHOTOS), 4, 0)
    first = [photo for photo, _ in scores.ranked(scores.scored(), PHOTOS // 10)]
    assert len(set(first) & set(planted)) >= 28
    flagged = np.flatnonzero(scores.wrong.any(axis=1))
    assert len(set(flagged) & set(planted)) >= 24 and len(flagged) <= 36
    assert (scores.probabilities[planted].argmax(axis=1) == correct[planted]).mean() > 0.9


def test_correct_labels_are_not_flagged() -> None:
    correct = RNG.integers(0, 4, PHOTOS)
    scores = score_labels(clouds(correct), correct, no_copies(PHOTOS), 4, 0)
    assert scores.wrong.sum() <= 3


def test_near_copies_do_not_confirm_each_other() -> None:
    correct = RNG.integers(0, 2, PHOTOS)
    features, labels, groups = clouds(correct), correct.copy(), no_copies(PHOTOS)
    copies = np.flatnonzero(correct == 0)[:12]  # twelve copies of a photo, all labelled wrong
    features[copies], labels[copies], groups[copies] = features[copies[0]], 1, copies[0]
    scores = score_labels(features, labels, groups, 2, 0)
    assert (scores.confidence[copies, 1] < 0.2).all()


def test_labels_with_few_photos_are_not_scored() -> None:
    correct = np.repeat([0, 1, 2], [200, 200, MIN_PHOTOS - 1])
    scores = score_labels(clouds(correct), correct, no_copies(len(correct)), 3, 0)
    assert np.isnan(scores.confidence[correct == 2]).all() and scores.scored().sum() == 400
    alone = score_labels(clouds(correct[200:]), correct[200:] - 1, no_copies(209), 2, 0)
    assert not alone.scored().any() and not alone.wrong.any()


def test_a_label_of_near_copies_only_is_not_scored() -> None:
    """Its near copies are in one fold, so the rest has no photo of it."""
    correct = np.repeat([0, 1, 2], 40)
    groups = no_copies(120)
    groups[80:] = 80
    scores = score_labels(clouds(correct), correct, groups, 3, 0)
    assert not scores.scored()[80:].any() and not scores.wrong[80:].any()
    assert scores.scored()[:80].sum() == 80 and np.isnan(scores.probabilities[:, 2]).all()


@pytest.mark.parametrize("bursts", [1, 4, 9])
def test_few_groups_of_near_copies_are_not_scored(bursts: int) -> None:
    correct = np.repeat([0, 1], 40)
    groups = no_copies(80) % bursts + correct * 100
    features = clouds(correct)
    for scores in (
        score_labels(features, correct, groups, 2, 0),
        score_labels(features, correct, np.where(correct, 100, no_copies(80)), 2, 0),
        score_labels(features, correct, np.zeros(80, np.int64), 2, 0),
        score_tags(features, np.stack([correct, 1 - correct], axis=1).astype(np.int8), groups, 0),
    ):
        assert not scores.scored().any() and not scores.wrong.any()


@pytest.mark.parametrize("seed", range(6))
def test_a_label_missing_from_the_rest_is_not_scored(seed: int) -> None:
    """Near copies under both labels: without a fold, a label may have no photos."""
    correct = np.zeros(60, np.int64)
    groups = no_copies(60)
    correct[30:] = 1
    groups[30:] = groups[:30] // 3  # some photos of each group have another label
    groups[:30] //= 3
    labels = score_labels(clouds(correct), correct, groups, 2, seed)
    tags = score_tags(clouds(correct), correct[:, None].astype(np.int8), groups, seed)
    for scores in (labels, tags):
        assert np.isfinite(scores.confidence[scores.scored()]).all()
        assert not (scores.wrong & ~scores.scored()).any()


def test_tags_are_scored_on_seen_cells() -> None:
    first, second = RNG.integers(0, 2, PHOTOS), RNG.integers(0, 2, PHOTOS)
    features = np.hstack([clouds(first), clouds(second)])
    cells = np.stack([first, second, np.full(PHOTOS, -1)], axis=1).astype(np.int8)
    unseen, planted = np.arange(100), RNG.choice(np.arange(100, PHOTOS), 25, replace=False)
    cells[unseen, 0] = -1
    cells[planted, 0] = 1 - cells[planted, 0]
    scores = score_tags(features, cells, no_copies(PHOTOS), 0)
    assert np.isnan(scores.confidence[unseen, 0]).all()
    assert np.isnan(scores.confidence[:, 2]).all()
    assert not np.isnan(scores.confidence[:, 1]).any()
    first_of_all = scores.ranked(scores.scored(), 50)
    assert len({(p, 0) for p in planted} & set(first_of_all)) >= 23
    assert scores.wrong[planted, 0].sum() >= 18 and scores.wrong[:, 1].sum() <= 5
