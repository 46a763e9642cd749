"""Numbers about answers, against hand-made cases and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.evaluation import metrics

quick = settings(deadline=None, max_examples=60)
# few values, so that scores tie often
scores = arrays(np.float64, st.integers(1, 30), elements=st.sampled_from(np.linspace(0, 1, 9)))
tables = arrays(np.float64, (12, 5), elements=st.sampled_from(np.linspace(0, 1, 5)))
answers = st.lists(st.integers(0, 4), min_size=12, max_size=12).map(np.array)


def test_top_k_accuracy_of_a_hand_made_case() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    labels = np.array([0, 2, 0, 1])
    assert [metrics.top_k_accuracy(probabilities, labels, k) for k in (1, 2, 3)] == [0.25, 0.75, 1]


@quick
@given(tables, answers)
def test_top_k_accuracy_grows_to_one(probabilities: Any, labels: Any) -> None:
    found = [metrics.top_k_accuracy(probabilities, labels, k) for k in range(1, 6)]
    assert found == sorted(found) and found[-1] == 1
    assert found[0] == (probabilities.argmax(axis=1) == labels).mean()


def test_numbers_of_each_label() -> None:
    predicted, labels = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 1])
    found = metrics.by_label(predicted, labels, ("cat", "dog", "hen"))
    assert found["cat"] == {"precision": 0.5, "recall": 1, "f1": pytest.approx(2 / 3), "photos": 2}
    assert found["dog"] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "photos": 4}
    assert found["hen"] == {"precision": 0, "recall": 0, "f1": 0, "photos": 0}


def test_confusion_has_true_labels_in_rows() -> None:
    table = metrics.confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1]), 3)
    assert table == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_reliability_of_a_hand_made_case() -> None:
    confidence = np.array([0.0, 0.81, 0.85, 1.0])
    correct = np.array([False, True, False, True])
    rows = metrics.reliability(confidence, correct)
    assert rows == [
        {"confidence": 0.0, "accuracy": 0.0, "photos": 1},
        {"confidence": pytest.approx(0.83), "accuracy": 0.5, "photos": 2},
        {"confidence": 1.0, "accuracy": 1.0, "photos": 1},
    ]
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx(0.33 * 2 / 4)


@quick
@given(scores, st.randoms(use_true_random=False))
def test_calibration_error_lies_between_zero_and_one(confidence: Any, random: Any) -> None:
    correct = np.array([random.random() < 0.5 for _ in confidence])
    rows = metrics.reliability(confidence, correct)
    assert sum(row["photos"] for row in rows) == len(confidence)
    assert 0 <= metrics.expected_calibration_error(confidence, correct) <= 1


def test_calibration_error_of_one_who_is_always_sure_and_half_right() -> None:
    correct = np.arange(100) % 2 == 0
    assert metrics.expected_calibration_error(np.ones(100), correct) == pytest.approx(0.5)
    assert metrics.expected_calibration_error(np.full(100, 0.5), correct) == pytest.approx(0)


@quick
@given(scores, scores)
def test_auroc_is_the_chance_that_an_unknown_photo_scores_higher(known: Any, unknown: Any) -> None:
    wins = [(a > b) + (a == b) / 2 for a in unknown for b in known]
    assert metrics.auroc(known, unknown) == pytest.approx(np.mean(wins))


@quick
@given(scores, scores)
def test_fpr95_accepts_at_least_95_percent_of_the_known(known: Any, unknown: Any) -> None:
    limits = [limit for limit in sorted(known) if (known <= limit).mean() >= 0.95]
    fewest = (unknown <= limits[0]).mean()
    assert metrics.fpr95(known, unknown) >= fewest
    assert metrics.fpr95(known, unknown) <= (unknown <= known.max()).mean()


def test_fpr95_of_a_hand_made_case() -> None:
    known = np.arange(100.0)
    unknown = np.array([10.0, 94.0, 97.0, 200.0])
    assert metrics.fpr95(known, unknown) == 0.5
    assert metrics.fpr95(known, known + 1000) == 0


# --- tags

KNOWN = np.array([[1, 0, -1], [0, 1, -1], [1, -1, 0], [0, 1, 1]], np.int8)
SAID = np.array([[0.9, 0.6, 0.1], [0.8, 0.4, 0.9], [0.3, 0.9, 0.2], [0.1, 0.7, 0.8]])


def test_average_precision_is_over_the_cells_somebody_looked_at() -> None:
    first, second, third = metrics.average_precisions(SAID, KNOWN)
    assert first == pytest.approx((1 / 1 + 2 / 3) / 2)  # ranks 1 and 3 of four
    assert second == pytest.approx((1 / 1 + 2 / 3) / 2)  # ranks 1 and 3 of the three looked at
    assert third == 1


def test_the_mean_is_of_tags_with_enough_photos() -> None:
    table = np.tile(KNOWN, (5, 1))
    scores = np.tile(SAID, (5, 1))
    table[4:, 2] = np.where(table[4:, 2] == 1, -1, table[4:, 2])  # the third tag has one photo
    of_two = [ap for ap in metrics.average_precisions(scores, table)[:2] if ap is not None]
    assert metrics.mean_average_precision(scores, table) == pytest.approx(np.mean(of_two))
    assert metrics.mean_average_precision(SAID, KNOWN)  # none has so many: all that can be told
    assert metrics.mean_average_precision(SAID, np.zeros((4, 3), np.int8)) is None


def test_counts_and_accuracy_of_a_hand_made_case() -> None:
    said = SAID >= 0.5
    counts = metrics.tag_counts(said, KNOWN)
    assert {name: count.tolist() for name, count in counts.items()} == {
        "right": [1, 1, 1],
        "wrong": [1, 1, 0],
        "missed": [1, 1, 0],
    }
    np.testing.assert_allclose(metrics.f1(**counts), [0.5, 0.5, 1.0])
    assert metrics.f1(0, 0, 0) == 0
    assert metrics.cell_accuracy(said, KNOWN) == pytest.approx(5 / 9)


@quick
@given(st.integers(0, 2**31))
def test_log_loss_of_tags_leaves_unseen_cells_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, known = rng.normal(0, 2, (7, 3)), rng.integers(-1, 2, (7, 3)).astype(np.int8)
    known[0, 0] = 1
    chances = 1 / (1 + np.exp(-logits))
    terms = [
        -np.log(chances[i, j] if known[i, j] == 1 else 1 - chances[i, j])
        for i in range(7)
        for j in range(3)
        if known[i, j] >= 0
    ]
    assert metrics.log_loss(logits, known) == pytest.approx(np.mean(terms))
