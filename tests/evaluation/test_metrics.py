"""Metrics, against cases computed by hand and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.evaluation import metrics
from tagger.evaluation.results import LabelMetrics, ReliabilityBin

quick = settings(deadline=None, max_examples=60)
# few values, so that scores tie often
scores = arrays(np.float64, st.integers(1, 30), elements=st.sampled_from(np.linspace(0, 1, 9)))
tables = arrays(np.float64, (12, 5), elements=st.sampled_from(np.linspace(0, 1, 5)))
label_numbers = st.lists(st.integers(0, 4), min_size=12, max_size=12).map(np.array)


def test_top_k_accuracy_of_four_photos() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    labels = np.array([0, 2, 0, 1])
    assert [metrics.top_k_accuracy(probabilities, labels, k) for k in (1, 2, 3)] == [0.25, 0.75, 1]


@quick
@given(tables, label_numbers)
def test_top_k_accuracy_grows_to_one(probabilities: Any, labels: Any) -> None:
    accuracies = [metrics.top_k_accuracy(probabilities, labels, k) for k in range(1, 6)]
    assert accuracies == sorted(accuracies) and accuracies[-1] == 1
    assert accuracies[0] == (probabilities.argmax(axis=1) == labels).mean()


def test_precision_recall_and_f1_of_each_label() -> None:
    predicted, labels = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 1])
    assert metrics.by_label(predicted, labels, ("cat", "dog", "hen")) == {
        "cat": LabelMetrics(0.5, 1, pytest.approx(2 / 3), 2),
        "dog": LabelMetrics(1, 0.5, pytest.approx(2 / 3), 4),
        "hen": LabelMetrics(0, 0, 0, 0),
    }


def test_confusion_has_true_labels_in_rows() -> None:
    table = metrics.confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1]), 3)
    assert table == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_reliability_of_four_photos() -> None:
    confidence = np.array([0.0, 0.81, 0.85, 1.0])
    correct = np.array([False, True, False, True])
    assert metrics.reliability(confidence, correct) == [
        ReliabilityBin(confidence=0.0, accuracy=0.0, photos=1),
        ReliabilityBin(confidence=pytest.approx(0.83), accuracy=0.5, photos=2),
        ReliabilityBin(confidence=1.0, accuracy=1.0, photos=1),
    ]
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx(0.33 * 2 / 4)


@quick
@given(scores, st.randoms(use_true_random=False))
def test_calibration_error_lies_between_zero_and_one(confidence: Any, random: Any) -> None:
    correct = np.array([random.random() < 0.5 for _ in confidence])
    rows = metrics.reliability(confidence, correct)
    assert sum(row.photos for row in rows) == len(confidence)
    assert 0 <= metrics.expected_calibration_error(confidence, correct) <= 1


def test_calibration_error_of_full_confidence_that_is_half_right() -> None:
    correct = np.arange(100) % 2 == 0
    assert metrics.expected_calibration_error(np.ones(100), correct) == pytest.approx(0.5)
    assert metrics.expected_calibration_error(np.full(100, 0.5), correct) == pytest.approx(0)


@quick
@given(scores, scores)
def test_auroc_is_the_chance_that_an_out_of_distribution_photo_scores_higher(
    in_distribution: Any, out_of_distribution: Any
) -> None:
    wins = [(a > b) + (a == b) / 2 for a in out_of_distribution for b in in_distribution]
    auroc = metrics.auroc(in_distribution, out_of_distribution)
    assert auroc == pytest.approx(np.mean(wins))


@quick
@given(scores, scores)
def test_fpr95_accepts_at_least_95_percent_of_in_distribution_photos(
    in_distribution: Any, out_of_distribution: Any
) -> None:
    limits = [x for x in sorted(in_distribution) if (in_distribution <= x).mean() >= 0.95]
    fpr95 = metrics.fpr95(in_distribution, out_of_distribution)
    assert fpr95 >= (out_of_distribution <= limits[0]).mean()
    assert fpr95 <= (out_of_distribution <= in_distribution.max()).mean()


def test_fpr95_of_a_hundred_photos() -> None:
    in_distribution = np.arange(100.0)
    out_of_distribution = np.array([10.0, 94.0, 97.0, 200.0])
    assert metrics.fpr95(in_distribution, out_of_distribution) == 0.5
    assert metrics.fpr95(in_distribution, in_distribution + 1000) == 0


# --- tags

CELLS = np.array([[1, 0, -1], [0, 1, -1], [1, -1, 0], [0, 1, 1]], np.int8)
SCORES = np.array([[0.9, 0.6, 0.1], [0.8, 0.4, 0.9], [0.3, 0.9, 0.2], [0.1, 0.7, 0.8]])


def test_average_precision_is_over_annotated_cells() -> None:
    first, second, third = metrics.average_precisions(SCORES, CELLS)
    assert first == pytest.approx((1 / 1 + 2 / 3) / 2)  # ranks 1 and 3 of four
    assert second == pytest.approx((1 / 1 + 2 / 3) / 2)  # ranks 1 and 3 of the three annotated
    assert third == 1


def test_mean_average_precision_is_over_tags_with_enough_photos() -> None:
    cells, scores = np.tile(CELLS, (5, 1)), np.tile(SCORES, (5, 1))
    cells[4:, 2] = np.where(cells[4:, 2] == 1, -1, cells[4:, 2])  # the third tag has one photo
    of_two = [ap for ap in metrics.average_precisions(scores, cells)[:2] if ap is not None]
    assert metrics.mean_average_precision(scores, cells) == pytest.approx(np.mean(of_two))
    assert metrics.mean_average_precision(SCORES, CELLS)  # no tag has enough: all that can rank
    assert metrics.mean_average_precision(SCORES, np.zeros((4, 3), np.int8)) is None


def test_counts_f1_and_accuracy_of_twelve_cells() -> None:
    predicted = SCORES >= 0.5
    counts = metrics.tag_counts(predicted, CELLS)
    assert counts.true_positives.tolist() == [1, 1, 1]
    assert counts.false_positives.tolist() == [1, 1, 0]
    assert counts.false_negatives.tolist() == [1, 1, 0]
    np.testing.assert_allclose(metrics.f1(*counts), [0.5, 0.5, 1.0])
    assert metrics.f1(0, 0, 0) == 0
    assert metrics.cell_accuracy(predicted, CELLS) == pytest.approx(5 / 9)


@quick
@given(st.integers(0, 2**31))
def test_log_loss_of_tags_is_over_annotated_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, cells = rng.normal(0, 2, (7, 3)), rng.integers(-1, 2, (7, 3)).astype(np.int8)
    cells[0, 0] = 1
    probabilities = 1 / (1 + np.exp(-logits))
    terms = [
        -np.log(probabilities[i, j] if cells[i, j] == 1 else 1 - probabilities[i, j])
        for i in range(7)
        for j in range(3)
        if cells[i, j] >= 0
    ]
    assert metrics.log_loss(logits, cells) == pytest.approx(np.mean(terms))
