"""Classifiers on frozen features: each learns, whatever the labels are like."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.evaluation.calibration import TEMPERATURE_RANGE, fit_temperature
from tagger.models import classifiers

RNG = np.random.default_rng(8)
WIDTH = 48


def clouds(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    centres = np.random.default_rng(2).normal(size=(5, WIDTH))
    return (centres[labels] + 3 * RNG.normal(size=(len(labels), WIDTH))).astype(np.float32)


@pytest.mark.parametrize("name", [None, *classifiers.NAMES])
@pytest.mark.parametrize("count", [2, 4])
def test_labels_are_learned_and_margins_can_be_calibrated(name: str | None, count: int) -> None:
    labels, held_out = RNG.integers(0, count, 600), RNG.integers(0, count, 200)
    seen = clouds(held_out), held_out
    head = classifiers.fit(name, (clouds(labels), labels), seen, count, 0)
    logits = head.logits(clouds(held_out))
    assert logits.shape == (200, count) and np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == held_out).mean() > 0.75
    low, high = TEMPERATURE_RANGE
    assert low * 1.1 < fit_temperature(logits, held_out) < high * 0.9


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_a_label_without_photos_is_never_chosen(name: str) -> None:
    labels = RNG.choice([0, 2, 3], 200)
    head = classifiers.fit(name, (clouds(labels), labels), (clouds(labels), labels), 5, 0)
    assert set(head.logits(clouds(labels)).argmax(axis=1).tolist()) <= {0, 2, 3}


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_each_tag_has_its_own_where_somebody_looked(name: str) -> None:
    first, second = RNG.integers(0, 2, 400), RNG.integers(0, 2, 400)
    features = np.hstack([clouds(first), clouds(second)])
    known = np.stack([first, second, np.zeros(400)], axis=1).astype(np.int8)
    misled = known.copy()
    misled[:100, 0] = -1
    features[:100, :WIDTH] += 50  # would mislead, had anybody looked
    head = classifiers.fit(name, (features, misled), (features[:0], misled[:0]), 3, 0)
    found = head.logits(features[100:]) > 0
    assert (found[:, 0] == first[100:]).mean() > 0.85 and (
        found[:, 1] == second[100:]
    ).mean() > 0.85
    assert not found[:, 2].any()  # nobody has it: it is never told


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_a_tag_that_all_have_is_always_told_and_one_that_none_has_never(name: str) -> None:
    """Notes of what is there alone: of the tag's absence nobody said anything."""
    first = RNG.integers(0, 2, 300)
    known = np.full((300, 3), -1, np.int8)
    known[:, 0], known[:100, 1], known[:100, 2] = first, 1, 0
    features = clouds(first)
    head = classifiers.fit(name, (features, known), (features[:0], known[:0]), 3, 0)
    found = head.logits(clouds(RNG.integers(0, 2, 200))) > 0
    assert found[:, 1].all() and not found[:, 2].any()


def test_equal_seeds_make_equal_forests() -> None:
    labels = RNG.integers(0, 3, 90)
    features = clouds(labels)
    one, other = (classifiers.fit_forest(features, labels, 3, 5).logits(features) for _ in "ab")
    assert np.array_equal(one, other)


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(OptionError, match="there are logistic, svm, random_forest"):
        classifiers.check_name("tree")
