"""Wrong labels are found among right ones, of one label a photo and of many tags."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.mislabels import MIN_TO_JUDGE, judge_labels, judge_tags

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
    verdict = judge_labels(clouds(right, scale), given, each_alone(PHOTOS), 4, 0)
    first = [photo for photo, _ in verdict.ranked()[: PHOTOS // 10]]
    assert len(set(first) & set(planted)) >= 28
    called = np.flatnonzero(verdict.wrong.any(axis=1))
    assert len(set(called) & set(planted)) >= 24 and len(called) <= 36
    assert (verdict.likelier[planted].argmax(axis=1) == right[planted]).mean() > 0.9


def test_right_labels_are_not_called_wrong() -> None:
    right = RNG.integers(0, 4, PHOTOS)
    verdict = judge_labels(clouds(right), right, each_alone(PHOTOS), 4, 0)
    assert verdict.wrong.sum() <= 3


def test_near_copies_do_not_vouch_for_each_other() -> None:
    right = RNG.integers(0, 2, PHOTOS)
    features, given, groups = clouds(right), right.copy(), each_alone(PHOTOS)
    copies = np.flatnonzero(right == 0)[:12]  # one photo twelve times, all labelled wrong
    features[copies], given[copies], groups[copies] = features[copies[0]], 1, copies[0]
    verdict = judge_labels(features, given, groups, 2, 0)
    assert (verdict.confidence[copies, 1] < 0.2).all()


def test_labels_of_few_photos_are_not_judged() -> None:
    right = np.repeat([0, 1, 2], [200, 200, MIN_TO_JUDGE - 1])
    verdict = judge_labels(clouds(right), right, each_alone(len(right)), 3, 0)
    assert np.isnan(verdict.confidence[right == 2]).all() and len(verdict.ranked()) == 400
    alone = judge_labels(clouds(right[200:]), right[200:] - 1, each_alone(209), 2, 0)
    assert alone.ranked() == [] and not alone.wrong.any()


def test_tags_are_judged_where_somebody_looked() -> None:
    first, second = RNG.integers(0, 2, PHOTOS), RNG.integers(0, 2, PHOTOS)
    features = np.hstack([clouds(first), clouds(second)])
    known = np.stack([first, second, np.full(PHOTOS, -1)], axis=1).astype(np.int8)
    unseen, planted = np.arange(100), RNG.choice(np.arange(100, PHOTOS), 25, replace=False)
    known[unseen, 0] = -1
    known[planted, 0] = 1 - known[planted, 0]
    verdict = judge_tags(features, known, each_alone(PHOTOS), 0)
    assert np.isnan(verdict.confidence[unseen, 0]).all()
    assert np.isnan(verdict.confidence[:, 2]).all()
    assert not np.isnan(verdict.confidence[:, 1]).any()
    assert len({(p, 0) for p in planted} & set(verdict.ranked()[:50])) >= 23
    assert verdict.wrong[planted, 0].sum() >= 18 and verdict.wrong[:, 1].sum() <= 5
