"""Heads on frozen features: logistic regression, SVM and random forest, for labels and for tags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tagger.datasets.sample import to_targets
from tagger.errors import OptionError
from tagger.evaluation import metrics
from tagger.evaluation.calibration import TEMPERATURE_RANGE, fit_temperature
from tagger.evaluation.metrics import mean_average_precision
from tagger.inference.decision import to_probabilities
from tagger.models import heads
from tagger.models.heads import (
    HEAD_NAMES,
    REGULARISATION,
    LabelledFeatures,
    LinearHead,
    balance_targets,
    check_head_name,
    choose_logistic,
    fit_forest,
    fit_head,
    fit_log_odds,
    fit_logistic,
    fit_tags,
    prior_correction,
)


def clusters(counts: list[int], seed: int = 0, noise: float = 1.0) -> LabelledFeatures:
    """Features and labels: `counts` photos of each label, around a centre for each."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = 4 * np.eye(len(counts), 12)
    features = centres[labels] + rng.normal(0, noise, (len(labels), 12))
    return features.astype(np.float32), labels.astype(np.int64)


def accuracy(head: LinearHead, features: np.ndarray, labels: np.ndarray) -> float:
    return float((head.logits(features).argmax(axis=1) == labels).mean())


def log_loss(head: LinearHead, features: np.ndarray, labels: np.ndarray) -> float:
    probabilities = to_probabilities(head.logits(features), "single")
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_logits_have_a_row_a_photo_and_a_column_a_label() -> None:
    head = LinearHead(np.array([[1, 2], [3, 4]], np.float32), np.array([10, 20], np.float32))
    np.testing.assert_array_equal(head.logits(np.array([[1, 1]], np.float32)), [[14, 26]])


@pytest.mark.parametrize("counts", [[60, 60], [60, 60, 60], [30] * 6])
def test_separable_labels_are_learned(counts: list[int]) -> None:
    head = fit_logistic(*clusters(counts), len(counts), seed=0)
    assert head.weights.shape == (12, len(counts)) and head.bias.shape == (len(counts),)
    assert head.weights.dtype == head.bias.dtype == np.float32
    assert accuracy(head, *clusters(counts, seed=1)) > 0.95


@pytest.mark.parametrize("counts", [[50, 30], [40, 30, 20]])
def test_probabilities_equal_scikit_learns(counts: list[int]) -> None:
    features, labels = clusters(counts, noise=3)
    model = LogisticRegression(C=REGULARISATION[1], class_weight="balanced", tol=1e-6)
    expected = model.fit(features, labels).predict_proba(features)
    head = fit_logistic(features, labels, len(counts), seed=0)
    np.testing.assert_allclose(
        to_probabilities(head.logits(features), "single"), expected, atol=0.01
    )


@pytest.mark.parametrize("present", [(0, 2), (0, 2, 3)])
def test_logistic_regression_ignores_labels_without_photos(
    present: tuple[int, ...],
) -> None:
    features, labels = clusters([40] * 5)
    rows = np.isin(labels, present)
    head = fit_logistic(features[rows], labels[rows], 5, seed=0)
    assert head.weights.shape == (12, 5)
    absent = np.setdiff1d(np.arange(5), present)
    assert to_probabilities(head.logits(features), "single")[:, absent].max() < 1e-6
    assert accuracy(head, features[rows], labels[rows]) > 0.95


def test_rare_labels_weigh_as_much_as_frequent_ones() -> None:
    head = fit_logistic(*clusters([600, 12], noise=2.5), 2, seed=0)
    features, labels = clusters([500, 500], seed=1, noise=2.5)
    recall = [
        accuracy(head, features[labels == label], labels[labels == label]) for label in (0, 1)
    ]
    assert min(recall) > 0.7


def test_regularisation_shrinks_the_weights() -> None:
    features, labels = clusters([40, 40])
    weights = [np.abs(fit_logistic(features, labels, 2, 0, c).weights).sum() for c in (1e-4, 1.0)]
    assert weights[0] < weights[1] / 5


@pytest.mark.parametrize("noise", [0.5, 12.0])
def test_held_out_photos_choose_the_regularisation(noise: float) -> None:
    train, held_out = clusters([30, 30, 30], 0, noise), clusters([30, 30, 30], 1, noise)
    loss = log_loss(choose_logistic(train, held_out, 3, seed=0), *held_out)
    losses = [log_loss(fit_logistic(*train, 3, 0, c), *held_out) for c in REGULARISATION]
    assert loss == pytest.approx(min(losses))
    assert max(losses) - min(losses) > 0.01


def test_a_random_sample_stands_for_very_many_photos() -> None:
    features, labels = clusters([40_000, 20_000])
    features = features[:, :2]
    first, again = (fit_logistic(features, labels, 2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (fit_logistic(features, labels, 2, seed=4).weights != first.weights).any()
    assert accuracy(first, features, labels) > 0.95


def tagged_features(photos: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of three tags, the last rare; the first three features show them."""
    rng = np.random.default_rng(seed)
    present = rng.random((photos, 3)) < (0.5, 0.3, 0.05)
    features = rng.normal(0, 0.3, (photos, 8))
    features[:, :3] += present
    return features.astype(np.float32), present.astype(np.float32)


def test_each_tag_is_ranked() -> None:
    head = fit_tags(*tagged_features(800, 0), seed=0, regularisation=1.0)
    features, targets = tagged_features(800, 1)
    cells = targets.astype(np.int8)
    assert all(ap and ap > 0.6 for ap in metrics.average_precisions(head.logits(features), cells))
    assert (mean_average_precision(head.logits(features), cells) or 0) > 0.85


def test_each_tags_weights_equal_scikit_learns() -> None:
    features, targets = tagged_features(400, 2)
    head = fit_tags(features, targets, seed=0, regularisation=0.1)
    for tag in range(3):
        model = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8, max_iter=1000)
        model.fit(features, targets[:, tag])
        np.testing.assert_allclose(head.weights[:, tag], model.coef_[0], atol=5e-3)
        assert head.bias[tag] == pytest.approx(model.intercept_[0], abs=5e-3)


def test_the_fewer_photos_the_closer_weights_stay_to_the_prior() -> None:
    features, targets = tagged_features(400, 2)
    prior = np.random.default_rng(0).normal(0, 2, (features.shape[1], 3)).astype(np.float32)
    distances = []
    for count in (0, 20, 400):
        cells = targets.copy()
        cells[count:] = np.nan
        head = fit_tags(features, cells, seed=0, prior=prior)
        distances.append(np.linalg.norm(head.weights - prior))
    assert distances[0] < 0.01 < distances[1] < distances[2]


def test_weights_that_tell_log_odds() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (20_000, 5)).astype(np.float32)
    weights = rng.normal(0, 1, (5, 3)).astype(np.float32)
    probabilities = np.asarray(to_probabilities(features @ weights - 2, "multi"), np.float32)
    learned = fit_log_odds(features, probabilities)
    assert learned.shape == (5, 3)
    np.testing.assert_allclose(learned, weights, atol=0.1)
    nothing = fit_log_odds(features, np.zeros((20_000, 1), np.float32))
    assert not np.abs(nothing).max() > 1e-6


def test_unseen_cells_teach_nothing() -> None:
    features, targets = tagged_features(400, 3)
    masked = targets.copy()
    masked[:200, 1] = np.nan
    head = fit_tags(features, masked, seed=0)
    alone = fit_tags(features[200:], targets[200:], seed=0)
    np.testing.assert_allclose(head.weights[:, 1], alone.weights[:, 1], atol=3e-3)


def test_unseen_cells_count_a_little_as_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unseen photos of another kind, which resemble those that have the tag."""
    rng = np.random.default_rng(5)
    seen_photos = np.eye(3, dtype=np.float32)[rng.integers(0, 2, 200)]
    unseen_photos = np.tile(np.array([1, 0, 2], np.float32), (1_000, 1))
    features = np.vstack([seen_photos, unseen_photos]) + rng.normal(0, 0.1, (1_200, 3)).astype(
        np.float32
    )
    targets = np.concatenate([seen_photos[:, 0], np.full(1_000, np.nan, np.float32)])[:, None]

    def mean_logits() -> tuple[float, float]:
        logits = fit_tags(features, targets, seed=0, regularisation=1.0).logits(features)[:, 0]
        return float(logits[200:].mean()), float(logits[:200][seen_photos[:, 0] == 1].mean())

    unseen, present = mean_logits()
    monkeypatch.setattr(heads, "UNSEEN_WEIGHT", 0.0)
    unseen_before, present_before = mean_logits()
    assert unseen < 0 < unseen_before
    assert present > 2 and present == pytest.approx(present_before, abs=1)


def test_the_prior_correction_makes_probabilities_as_rare_as_the_tags() -> None:
    features, targets = tagged_features(4000, 4)
    head = fit_tags(features, targets, seed=0, regularisation=10.0)
    weighted = to_probabilities(head.logits(features), "multi").mean(axis=0)
    shifted = to_probabilities(head.logits(features) + prior_correction(targets), "multi").mean(
        axis=0
    )
    np.testing.assert_allclose(shifted, targets.mean(axis=0), atol=0.02)
    assert weighted[2] > 1.5 * targets[:, 2].mean()


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_a_doubtful_tag_is_predicted_with_its_own_probability(balance: float) -> None:
    """Of three kinds of photos, the first surely has a rare tag, the second perhaps."""
    kinds = np.repeat([0, 1, 2], [30, 170, 800])
    targets = np.array([1, 0.35, 0], np.float32)[kinds][:, None]
    features = np.eye(3, dtype=np.float32)[kinds]
    head = fit_tags(features, targets, 0, regularisation=1e4, balance=balance)
    logits = head.logits(np.eye(3, dtype=np.float32)) + prior_correction(targets, balance)
    probabilities = to_probabilities(logits, "multi")[:, 0]
    np.testing.assert_allclose(probabilities, [1, 0.35, 0], atol=0.02)


def test_balanced_targets_weigh_the_two_halves_of_a_cross_entropy_apart() -> None:
    targets = np.array([[1], [0.35], [0], [np.nan]], np.float32)
    of_present, of_absent = np.array([6], np.float32), np.array([0.5], np.float32)
    weights, balanced = balance_targets(targets, of_present, of_absent)
    for logit in (-2.0, 0.3, 4.0):
        present, absent = np.logaddexp(0, -logit), np.logaddexp(0, logit)
        losses = weights * (balanced * present + (1 - balanced) * absent)
        apart = [6 * present, 0.35 * 6 * present + 0.65 * 0.5 * absent, 0.5 * absent]
        unseen = heads.UNSEEN_WEIGHT * 0.5 * absent
        np.testing.assert_allclose(losses[:, 0], [*apart, unseen], rtol=1e-6)


def test_a_tag_of_every_photo_is_fitted() -> None:
    features, targets = tagged_features(100, 5)
    targets[:, 0], targets[:, 1] = 1, np.nan
    head = fit_tags(features, targets, seed=0)
    assert np.isfinite(head.weights).all() and np.isfinite(prior_correction(targets)).all()
    assert (head.logits(features)[:, 0] > 0).all() and not prior_correction(targets)[:2].any()


RNG = np.random.default_rng(8)
WIDTH = 48


def labels_for(name: str, cells: NDArray[np.int8]) -> NDArray[Any]:
    """What a head of this name is fitted to."""
    return to_targets(cells) if name == heads.LOGISTIC else cells


def clouds(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Noisy features around a centre for each label."""
    centres = np.random.default_rng(2).normal(size=(5, WIDTH))
    return (centres[labels] + 2.5 * RNG.normal(size=(len(labels), WIDTH))).astype(np.float32)


@pytest.mark.parametrize("name", [None, *HEAD_NAMES])
@pytest.mark.parametrize("count", [2, 4])
def test_every_head_learns_labels_and_can_be_calibrated(name: str | None, count: int) -> None:
    labels, held_out = RNG.integers(0, count, 600), RNG.integers(0, count, 200)
    head = fit_head(name, (clouds(labels), labels), (clouds(held_out), held_out), count, 0)
    logits = head.logits(clouds(held_out))
    assert logits.shape == (200, count) and np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == held_out).mean() > 0.75
    low, high = TEMPERATURE_RANGE
    assert low * 1.1 < fit_temperature(logits, held_out) < high * 0.9


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_no_head_predicts_a_label_without_photos(name: str) -> None:
    labels = RNG.choice([0, 2, 3], 200)
    head = fit_head(name, (clouds(labels), labels), (clouds(labels), labels), 5, 0)
    assert set(head.logits(clouds(labels)).argmax(axis=1).tolist()) <= {0, 2, 3}


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_every_head_learns_a_tag_from_its_seen_cells(name: str) -> None:
    first, second = RNG.integers(0, 2, 400), RNG.integers(0, 2, 400)
    features = np.hstack([clouds(first), clouds(second)])
    cells = np.stack([first, second, np.zeros(400)], axis=1).astype(np.int8)
    misled = cells.copy()
    misled[:100, 0] = -1
    features[:100, :WIDTH] += 50  # would mislead if these cells were used
    labels = labels_for(name, misled)
    head = fit_head(name, (features, labels), (features[:0], labels[:0]), 3, 0)
    predicted = head.logits(features[100:]) > 0
    assert (predicted[:, 0] == first[100:]).mean() > 0.85
    assert (predicted[:, 1] == second[100:]).mean() > 0.85
    assert not predicted[:, 2].any()  # no photo has this tag


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_a_tag_of_every_photo_is_always_predicted_and_one_of_none_never(name: str) -> None:
    """Cells record only presence of one tag, only absence of another."""
    first = RNG.integers(0, 2, 300)
    cells = np.full((300, 3), -1, np.int8)
    cells[:, 0], cells[:100, 1], cells[:100, 2] = first, 1, 0
    features = clouds(first)
    labels = labels_for(name, cells)
    head = fit_head(name, (features, labels), (features[:0], labels[:0]), 3, 0)
    predicted = head.logits(clouds(RNG.integers(0, 2, 200))) > 0
    assert predicted[:, 1].all() and not predicted[:, 2].any()


def test_equal_seeds_make_equal_forests() -> None:
    labels = RNG.integers(0, 3, 90)
    features = clouds(labels)
    first, again = (fit_forest(features, labels, 3, seed=5).logits(features) for _ in range(2))
    assert np.array_equal(first, again)


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(OptionError, match="there are logistic, svm, random_forest"):
        check_head_name("tree")
