"""The linear head: the probabilities of a logistic regression, for any number of labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tagger.evaluation import metrics
from tagger.evaluation.metrics import mean_average_precision
from tagger.inference.decision import to_probabilities
from tagger.models import heads
from tagger.models.heads import (
    REGULARISATION,
    Labelled,
    LinearHead,
    choose_logistic,
    fit_logistic,
    fit_tags,
    prior_correction,
)


def clusters(counts: list[int], seed: int = 0, noise: float = 1.0) -> Labelled:
    """So many features of each label, around a centre of the label's own."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = 4 * np.eye(len(counts), 12)
    features = centres[labels] + rng.normal(0, noise, (len(labels), 12))
    return features.astype(np.float32), labels.astype(np.int64)


def accuracy(head: LinearHead, features: np.ndarray, labels: np.ndarray) -> float:
    return float((head.logits(features).argmax(axis=1) == labels).mean())


def log_loss(head: LinearHead, features: np.ndarray, labels: np.ndarray) -> float:
    found = to_probabilities(head.logits(features), "single")
    return float(-np.log(found[np.arange(len(labels)), labels]).mean())


def test_logits_are_of_every_photo_and_label() -> None:
    head = LinearHead(np.array([[1, 2], [3, 4]], np.float32), np.array([10, 20], np.float32))
    np.testing.assert_array_equal(head.logits(np.array([[1, 1]], np.float32)), [[14, 26]])


@pytest.mark.parametrize("counts", [[60, 60], [60, 60, 60], [30] * 6])
def test_it_learns_labels_it_can_tell_apart(counts: list[int]) -> None:
    head = fit_logistic(*clusters(counts), len(counts), seed=0)
    assert head.weights.shape == (12, len(counts)) and head.bias.shape == (len(counts),)
    assert head.weights.dtype == head.bias.dtype == np.float32
    assert accuracy(head, *clusters(counts, seed=1)) > 0.95


@pytest.mark.parametrize("counts", [[50, 30], [40, 30, 20]])
def test_its_probabilities_are_those_of_logistic_regression(counts: list[int]) -> None:
    features, labels = clusters(counts, noise=3)
    model = LogisticRegression(C=REGULARISATION[1], class_weight="balanced", tol=1e-6)
    expected = model.fit(features, labels).predict_proba(features)
    head = fit_logistic(features, labels, len(counts), seed=0)
    np.testing.assert_allclose(
        to_probabilities(head.logits(features), "single"), expected, atol=0.01
    )


@pytest.mark.parametrize("present", [(0, 2), (0, 2, 3)])
def test_a_label_without_photos_is_never_chosen(present: tuple[int, ...]) -> None:
    features, labels = clusters([40] * 5)
    rows = np.isin(labels, present)
    head = fit_logistic(features[rows], labels[rows], 5, seed=0)
    assert head.weights.shape == (12, 5)
    absent = np.setdiff1d(np.arange(5), present)
    assert to_probabilities(head.logits(features), "single")[:, absent].max() < 1e-6
    assert accuracy(head, features[rows], labels[rows]) > 0.95


def test_a_label_with_few_photos_weighs_as_much_as_one_with_many() -> None:
    head = fit_logistic(*clusters([600, 12], noise=2.5), 2, seed=0)
    features, labels = clusters([500, 500], seed=1, noise=2.5)
    recall = [
        accuracy(head, features[labels == label], labels[labels == label]) for label in (0, 1)
    ]
    assert min(recall) > 0.7


def test_more_regularisation_is_less_sure() -> None:
    features, labels = clusters([40, 40])
    weights = [np.abs(fit_logistic(features, labels, 2, 0, c).weights).sum() for c in (1e-4, 1.0)]
    assert weights[0] < weights[1] / 5


@pytest.mark.parametrize("noise", [0.5, 12.0])
def test_the_chosen_head_is_the_best_on_held_out_photos(noise: float) -> None:
    train, held_out = clusters([30, 30, 30], 0, noise), clusters([30, 30, 30], 1, noise)
    chosen = log_loss(choose_logistic(train, held_out, 3, seed=0), *held_out)
    losses = [log_loss(fit_logistic(*train, 3, 0, c), *held_out) for c in REGULARISATION]
    assert chosen == pytest.approx(min(losses))
    assert max(losses) - min(losses) > 0.01


def test_it_learns_from_a_sample_of_very_many_photos() -> None:
    features, labels = clusters([40_000, 20_000])
    features = features[:, :2]
    first, again = (fit_logistic(features, labels, 2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (fit_logistic(features, labels, 2, seed=4).weights != first.weights).any()
    assert accuracy(first, features, labels) > 0.95


# --- tags


def tags_of(photos: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features whose first three places tell of three tags, the last of them rare."""
    rng = np.random.default_rng(seed)
    present = rng.random((photos, 3)) < (0.5, 0.3, 0.05)
    features = rng.normal(0, 0.3, (photos, 8))
    features[:, :3] += present
    return features.astype(np.float32), present.astype(np.int8)


def test_tags_are_ranked_each_by_itself() -> None:
    head = fit_tags(*tags_of(800, 0), seed=0, regularisation=1.0)
    features, known = tags_of(800, 1)
    assert all(ap and ap > 0.6 for ap in metrics.average_precisions(head.logits(features), known))
    assert (mean_average_precision(head.logits(features), known) or 0) > 0.85


def test_one_tag_is_scikit_learns_logistic_regression() -> None:
    features, known = tags_of(400, 2)
    head = fit_tags(features, known, seed=0, regularisation=0.1)
    for tag in range(3):
        model = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8, max_iter=1000)
        model.fit(features, known[:, tag])
        np.testing.assert_allclose(head.weights[:, tag], model.coef_[0], atol=5e-3)
        assert head.bias[tag] == pytest.approx(model.intercept_[0], abs=5e-3)


def test_cells_that_nobody_looked_at_teach_nothing_of_what_they_hide() -> None:
    features, known = tags_of(400, 3)
    wrong = known.copy()
    wrong[:200, 1] = 1 - wrong[:200, 1]
    masked = wrong.copy()
    masked[:200, 1] = -1
    head = fit_tags(features, masked, seed=0)
    alone = fit_tags(features[200:], known[200:], seed=0)
    np.testing.assert_allclose(head.weights[:, 1], alone.weights[:, 1], atol=3e-3)


def test_where_nobody_looked_a_tag_counts_a_little_as_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Photos of another kind, in which nobody looked, half alike to those that have the tag."""
    rng = np.random.default_rng(5)
    looked = np.eye(3, dtype=np.float32)[rng.integers(0, 2, 200)]
    elsewhere = np.tile(np.array([1, 0, 2], np.float32), (1_000, 1))
    features = np.vstack([looked, elsewhere]) + rng.normal(0, 0.1, (1_200, 3)).astype(np.float32)
    known = np.concatenate([looked[:, 0], np.full(1_000, -1)]).astype(np.int8)[:, None]

    def said() -> tuple[float, float]:
        logits = fit_tags(features, known, seed=0, regularisation=1.0).logits(features)[:, 0]
        return float(logits[200:].mean()), float(logits[:200][looked[:, 0] == 1].mean())

    there, here = said()
    monkeypatch.setattr(heads, "UNSEEN_WEIGHT", 0.0)
    there_before, here_before = said()
    assert there < 0 < there_before
    assert here > 2 and here == pytest.approx(here_before, abs=1)


def test_without_the_weights_probabilities_are_as_rare_as_the_tags() -> None:
    features, known = tags_of(4000, 4)
    head = fit_tags(features, known, seed=0, regularisation=10.0)
    weighted = to_probabilities(head.logits(features), "multi").mean(axis=0)
    shifted = to_probabilities(head.logits(features) + prior_correction(known), "multi").mean(
        axis=0
    )
    np.testing.assert_allclose(shifted, known.mean(axis=0), atol=0.02)
    assert weighted[2] > 1.5 * known[:, 2].mean()


def test_a_tag_that_all_photos_have_is_no_trouble() -> None:
    features, known = tags_of(100, 5)
    known[:, 0], known[:, 1] = 1, -1
    head = fit_tags(features, known, seed=0)
    assert np.isfinite(head.weights).all() and np.isfinite(prior_correction(known)).all()
    assert (head.logits(features)[:, 0] > 0).all() and not prior_correction(known)[:2].any()
