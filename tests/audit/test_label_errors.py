"""Wrong labels are found among right ones, of one label a photo and of many tags."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.audit.label_errors import MIN_PHOTOS, score_labels, score_tags

RNG = np.random.default_rng(3)
PHOTOS, WIDTH = 600, 40


def clouds(labels: NDArray[np.int64], scale: float = 1.0) -> NDArray[np.float32]:
    """Features that overlap a little: a centre for each label, and noise."""
    centres = np.random.default_rng(5).normal(size=(int(labels.max()) + 1, WIDTH))
    noise = RNG.normal(size=(len(labels), WIDTH))
    return ((centres[labels] + noise) * scale).astype(np.float32)


def each_alone(count: int) -> NDArray[np.int64]:
    return np.arange(count)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_planted_errors_come_first_whatever_the_features_scale(scale: float) -> None:
    right = RNG.integers(0, 4, PHOTOS)
    given, planted = right.copy(), RNG.choice(PHOTOS, 30, replace=False)
    given[planted] = (given[planted] + 1) % 4
    verdict = score_labels(clouds(right, scale), given, each_alone(PHOTOS), 4, 0)
    first = [photo for photo, _ in verdict.ranked(verdict.scored(), PHOTOS // 10)]
    assert len(set(first) & set(planted)) >= 28
    called = np.flatnonzero(verdict.wrong.any(axis=1))
    assert len(set(called) & set(planted)) >= 24 and len(called) <= 36
    assert (verdict.probabilities[planted].argmax(axis=1) == right[planted]).mean() > 0.9


def test_right_labels_are_not_called_wrong() -> None:
    right = RNG.integers(0, 4, PHOTOS)
    verdict = score_labels(clouds(right), right, each_alone(PHOTOS), 4, 0)
    assert verdict.wrong.sum() <= 3


def test_near_copies_do_not_vouch_for_each_other() -> None:
    right = RNG.integers(0, 2, PHOTOS)
    features, given, groups = clouds(right), right.copy(), each_alone(PHOTOS)
    copies = np.flatnonzero(right == 0)[:12]  # one photo twelve times, all labelled wrong
    features[copies], given[copies], groups[copies] = features[copies[0]], 1, copies[0]
    verdict = score_labels(features, given, groups, 2, 0)
    assert (verdict.confidence[copies, 1] < 0.2).all()


def test_labels_of_few_photos_are_not_judged() -> None:
    right = np.repeat([0, 1, 2], [200, 200, MIN_PHOTOS - 1])
    verdict = score_labels(clouds(right), right, each_alone(len(right)), 3, 0)
    assert np.isnan(verdict.confidence[right == 2]).all() and verdict.scored().sum() == 400
    alone = score_labels(clouds(right[200:]), right[200:] - 1, each_alone(209), 2, 0)
    assert not alone.scored().any() and not alone.wrong.any()


def test_a_label_of_near_copies_alone_is_not_judged() -> None:
    """However many photos: no fold has it to learn from once its near copies are away."""
    right = np.repeat([0, 1, 2], 40)
    groups = each_alone(120)
    groups[80:] = 80
    verdict = score_labels(clouds(right), right, groups, 3, 0)
    assert not verdict.scored()[80:].any() and not verdict.wrong[80:].any()
    assert verdict.scored()[:80].sum() == 80 and np.isnan(verdict.probabilities[:, 2]).all()


@pytest.mark.parametrize("bursts", [1, 4, 9])
def test_a_few_near_groups_are_not_enough_to_judge(bursts: int) -> None:
    right = np.repeat([0, 1], 40)
    groups = each_alone(80) % bursts + right * 100
    features = clouds(right)
    for verdict in (
        score_labels(features, right, groups, 2, 0),
        score_labels(features, right, np.where(right, 100, each_alone(80)), 2, 0),
        score_labels(features, right, np.zeros(80, np.int64), 2, 0),
        score_tags(features, np.stack([right, 1 - right], axis=1).astype(np.int8), groups, 0),
    ):
        assert not verdict.scored().any() and not verdict.wrong.any()


@pytest.mark.parametrize("seed", range(6))
def test_what_a_fold_cannot_tell_is_not_judged(seed: int) -> None:
    """Near copies under both labels: where they are left out, a label may be gone altogether."""
    right = np.zeros(60, np.int64)
    groups = each_alone(60)
    right[30:] = 1
    groups[30:] = groups[:30] // 3  # each burst has another label on some of its photos
    groups[:30] //= 3
    verdict = score_labels(clouds(right), right, groups, 2, seed)
    tags = score_tags(clouds(right), right[:, None].astype(np.int8), groups, seed)
    for found in (verdict, tags):
        assert np.isfinite(found.confidence[found.scored()]).all()
        assert not (found.wrong & ~found.scored()).any()


def test_tags_are_judged_where_somebody_looked() -> None:
    first, second = RNG.integers(0, 2, PHOTOS), RNG.integers(0, 2, PHOTOS)
    features = np.hstack([clouds(first), clouds(second)])
    known = np.stack([first, second, np.full(PHOTOS, -1)], axis=1).astype(np.int8)
    unseen, planted = np.arange(100), RNG.choice(np.arange(100, PHOTOS), 25, replace=False)
    known[unseen, 0] = -1
    known[planted, 0] = 1 - known[planted, 0]
    verdict = score_tags(features, known, each_alone(PHOTOS), 0)
    assert np.isnan(verdict.confidence[unseen, 0]).all()
    assert np.isnan(verdict.confidence[:, 2]).all()
    assert not np.isnan(verdict.confidence[:, 1]).any()
    first_of_all = verdict.ranked(verdict.scored(), 50)
    assert len({(p, 0) for p in planted} & set(first_of_all)) >= 23
    assert verdict.wrong[planted, 0].sum() >= 18 and verdict.wrong[:, 1].sum() <= 5
