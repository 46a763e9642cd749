"""Calibration: what the fitted decision rule promises holds on new photos."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.evaluation import metrics
from tagger.evaluation.calibration import (
    CERTAIN_SHARE,
    DEFAULT_TAG_THRESHOLD,
    IN_DISTRIBUTION_SHARE,
    MIN_FOR_THRESHOLD,
    MIN_GAIN,
    MIN_VALIDATION,
    REFERENCE_SIZE,
    TEMPERATURE_RANGE,
    THRESHOLD_RANGE,
    Calibration,
    LabelledOutputs,
    calibrate,
    fit_reference_vectors,
    fit_tag_thresholds,
    fit_temperature,
    fit_thresholds,
)
from tagger.inference.decision import DEFAULT_THRESHOLD, Decision, to_probabilities
from tagger.models.heads import LinearHead, fit_logistic

DIMENSIONS = 16
STATED = IN_DISTRIBUTION_SHARE * CERTAIN_SHARE  # of new photos that get a label


def features_of(labels: np.ndarray, seed: int, apart: float = 4.0) -> np.ndarray:
    """Around a centre for each label; `apart` of 1 makes labels that are easily confused."""
    centres = np.random.default_rng(99).normal(0, apart, (4, DIMENSIONS))
    noise = np.random.default_rng(seed).normal(0, 1, (len(labels), DIMENSIONS))
    return (centres[labels] + noise).astype(np.float32)


def learn(photos: int, seed: int = 0, apart: float = 4.0) -> tuple[LabelledOutputs, LinearHead]:
    labels = np.arange(photos) % 3
    features = features_of(labels, seed, apart)
    head = fit_logistic(features, labels, 3, seed)
    return LabelledOutputs(head.logits(features), features, labels), head


def outputs(head: LinearHead, photos: int, seed: int, apart: float = 4.0) -> LabelledOutputs:
    labels = np.arange(photos) % 3
    features = features_of(labels, seed, apart)
    return LabelledOutputs(head.logits(features), features, labels)


def answered_share(decisions: list[Decision]) -> float:
    return float(np.mean([decision.reason is None for decision in decisions]))


def decide(calibration: Calibration, photos: LabelledOutputs) -> list[Decision]:
    return calibration.rule.decide(photos.logits, photos.features)


# --- the whole


@pytest.mark.parametrize(("train", "validation"), [(480, 600), (480, 120), (120, 60), (90, 15)])
def test_about_the_stated_share_of_new_photos_gets_a_label(train: int, validation: int) -> None:
    shares = []
    for seed in range(3):
        train_outputs, head = learn(train, seed)
        fitted = calibrate(train_outputs, outputs(head, validation, seed + 10), seed)
        shares.append(answered_share(decide(fitted, outputs(head, 2000, seed + 20))))
    assert STATED - 0.02 < np.mean(shares) <= 1


def test_about_the_stated_share_of_correct_predictions_is_certain() -> None:
    shares = []
    for seed in range(3):
        train, head = learn(480, seed, apart=1.0)
        fitted = calibrate(train, outputs(head, 900, seed + 10, apart=1.0), seed)
        assert all(0.5 < threshold < 0.7 for threshold in fitted.rule.thresholds)
        new = outputs(head, 3000, seed + 20, apart=1.0)
        decisions = zip(decide(fitted, new), new.labels, strict=True)
        reasons = [decision.reason for decision, label in decisions if decision.best == label]
        shares.append(1 - reasons.count("uncertain") / len(reasons))
    assert np.mean(shares) == pytest.approx(CERTAIN_SHARE, abs=0.008)


def test_out_of_distribution_photos_are_unfamiliar() -> None:
    train, head = learn(480)
    fitted = calibrate(train, outputs(head, 300, 1), 0)
    features = features_of(np.full(500, 3), 2)  # the centre of no label
    decisions = fitted.rule.decide(head.logits(features), features)
    assert answered_share(decisions) < 0.01
    assert np.mean([decision.reason == "unfamiliar" for decision in decisions]) > 0.98
    assert np.mean([decision.ood_score for decision in decisions]) > 0.99


def test_ood_scores_of_new_photos_are_spread_evenly() -> None:
    train, head = learn(480)
    fitted = calibrate(train, outputs(head, 600, 1), 0)
    scores = [decision.ood_score for decision in decide(fitted, outputs(head, 2000, 2))]
    np.testing.assert_allclose(np.quantile(scores, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.08)


def test_decisions_on_validation_photos_predict_those_on_new_photos() -> None:
    train, head = learn(480)
    validation = outputs(head, 600, 1)
    fitted = calibrate(train, validation, 0)
    assert len(fitted.decisions) == 600
    on_new_photos = answered_share(decide(fitted, outputs(head, 3000, 2)))
    assert answered_share(fitted.decisions) == pytest.approx(on_new_photos, abs=0.02)
    best = np.array([decision.best for decision in fitted.decisions])
    assert (best == validation.labels).mean() > 0.95  # in the order of the photos


def test_no_photo_is_decided_by_a_rule_fitted_on_it() -> None:
    """A photo unlike all others is unknown, though the rule fitted on it too accepts it."""
    train, head = learn(480)
    validation = outputs(head, 90, 1)
    outlier = features_of(np.array([3]), 2)
    validation.features[7] = outlier[0]
    validation.logits[7] = head.logits(outlier)[0]
    fitted = calibrate(train, validation, 0)
    assert fitted.decisions[7].reason == "unfamiliar"
    assert decide(fitted, validation.take(np.array([7])))[0].reason != "unfamiliar"


def test_few_validation_photos_are_joined_by_training_photos_out_of_fold() -> None:
    train, head = learn(240)
    enough = calibrate(train, outputs(head, MIN_VALIDATION + 2, 1), 0)
    few = calibrate(train, outputs(head, MIN_VALIDATION - 10, 1), 0)
    assert (enough.out_of_fold, few.out_of_fold) == (0, 240)
    assert enough.rule.reference and few.rule.reference
    assert len(enough.rule.reference.validation_distances) == MIN_VALIDATION + 2
    assert len(few.rule.reference.validation_distances) == MIN_VALIDATION - 10 + 240
    assert len(few.decisions) == MIN_VALIDATION - 10


@pytest.mark.parametrize(
    "rows", [[0, 1, 2], [0, 3, 6, 9, 12, 15, 18, 1, 4, 2, 5], [0, 3, 6, 9, 1, 2]]
)
def test_very_few_validation_photos_of_a_label_are_enough(rows: list[int]) -> None:
    train, head = learn(12)
    fitted = calibrate(train, outputs(head, 30, 1).take(np.array(rows)), 0)
    assert len(fitted.decisions) == len(rows)
    assert answered_share(decide(fitted, outputs(head, 2000, 2))) > 0.5


def test_the_same_seed_gives_the_same_rule() -> None:
    train, head = learn(60)
    validation = outputs(head, 30, 1)
    first, again = (calibrate(train, validation, 5) for _ in range(2))
    assert first.rule.temperature == again.rule.temperature
    assert first.rule.thresholds == again.rule.thresholds
    references = [fitted.rule.reference for fitted in (first, again)]
    assert references[0] and references[1]
    np.testing.assert_array_equal(*(reference.validation_distances for reference in references))
    for left, right in zip(first.decisions, again.decisions, strict=True):
        np.testing.assert_array_equal(left.probabilities, right.probabilities)


# --- temperature


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5, 6.0])
def test_the_temperature_of_scaled_logits_is_recovered(scale: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    probabilities = to_probabilities(logits, "single")
    labels = (rng.random((4000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits * scale, labels) == pytest.approx(scale, rel=0.1)


def test_the_temperature_stays_within_its_range() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]] * 20, np.float32)
    right = np.array([0, 1] * 20)
    low, high = TEMPERATURE_RANGE
    assert fit_temperature(logits, right) == pytest.approx(low, rel=0.05)
    assert fit_temperature(logits * 100, 1 - right) == pytest.approx(high, rel=0.05)


# --- thresholds


def two_labels(certainties: np.ndarray) -> np.ndarray:
    """Probabilities of photos of the first label, then of as many of the second, near 1."""
    first = np.column_stack([certainties, 1 - certainties])
    return np.concatenate([first, np.tile([0.01, 0.99], (len(certainties), 1))])


@pytest.mark.parametrize("photos", [MIN_FOR_THRESHOLD - 1, MIN_FOR_THRESHOLD])
def test_a_threshold_is_fitted_on_enough_photos_only(photos: int) -> None:
    probabilities = two_labels(np.linspace(0.8, 1, photos))
    labels = np.repeat([0, 1], photos)
    fitted = fit_thresholds(probabilities, labels)
    if photos < MIN_FOR_THRESHOLD:
        assert fitted == (DEFAULT_THRESHOLD, DEFAULT_THRESHOLD)
    else:
        assert fitted == (pytest.approx(0.8, abs=0.01), THRESHOLD_RANGE[1])


def test_a_fitted_threshold_passes_its_share_of_correct_predictions() -> None:
    certainties = np.random.default_rng(0).uniform(0.6, 1, 1000)
    threshold = fit_thresholds(two_labels(certainties), np.repeat([0, 1], 1000))[0]
    assert CERTAIN_SHARE <= (certainties >= threshold).mean() < CERTAIN_SHARE + 0.005
    assert threshold < DEFAULT_THRESHOLD


def test_wrong_predictions_fit_no_threshold() -> None:
    probabilities = two_labels(np.linspace(0.8, 0.9, 200))
    labels = np.repeat([1, 1], 200)  # the first 200 are wrong
    assert fit_thresholds(probabilities, labels)[0] == DEFAULT_THRESHOLD


def test_a_fitted_threshold_stays_within_its_range() -> None:
    three = np.tile([0.4, 0.3, 0.3], (200, 1))
    assert fit_thresholds(three, np.zeros(200, int))[0] == THRESHOLD_RANGE[0]


# --- the reference


def test_many_features_become_few_reference_vectors() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, [1.0, 10.0, 0.0], (300, 3)).astype(np.float32)
    scale, vectors = fit_reference_vectors(features, seed=1, size=20)
    assert vectors.shape == (20, 3) and scale.shape == (3,)
    assert (scale > 0).all() and 2 < scale[1] / scale[0] < 4
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(vectors, fit_reference_vectors(features, seed=1, size=20)[1])


def test_few_features_are_all_reference_vectors() -> None:
    features = features_of(np.arange(50) % 3, 0)
    vectors = fit_reference_vectors(features, seed=1)[1]
    assert len(vectors) == 50 < REFERENCE_SIZE


# --- tags


def tagged(photos: int, seed: int, rare: float = 0.2) -> LabelledOutputs:
    """Outputs of two common tags and a `rare` one, logits twice too large; some cells unseen."""
    rng = np.random.default_rng(seed)
    true_logits = rng.normal(np.log([1, 0.5, rare]), 2, (photos, 3))
    cells = (rng.random((photos, 3)) < 1 / (1 + np.exp(-true_logits))).astype(np.int8)
    cells[rng.random((photos, 3)) < 0.2] = -1
    features = rng.normal(1, 1, (photos, DIMENSIONS)).astype(np.float32)
    return LabelledOutputs((2 * true_logits).astype(np.float32), features, cells)


def test_the_temperature_of_tags_is_recovered() -> None:
    outputs = tagged(4000, 0)
    assert fit_temperature(outputs.logits, outputs.labels) == pytest.approx(2, rel=0.1)


def test_a_tags_threshold_has_the_best_f1_there_is() -> None:
    outputs = tagged(2000, 1)
    probabilities = to_probabilities(outputs.logits, "multi", 2.0)
    fitted = fit_tag_thresholds(probabilities, outputs.labels)

    def score(thresholds: tuple[float, ...]) -> np.ndarray:
        counts = metrics.tag_counts(probabilities >= np.array(thresholds), outputs.labels)
        return np.asarray(metrics.f1(*counts))

    for other in np.linspace(0.2, 0.9, 36):
        assert (score(fitted) >= score((float(other),) * 3) - 2 * MIN_GAIN).all()


def test_a_threshold_never_separates_equal_scores() -> None:
    """Ten photos share a score, two of them with the tag and first in line: no cut helps there."""
    probabilities = np.array([0.9] * 8 + [0.6] * 42)[:, None]
    cells = np.array([1] * 10 + [0] * 40, np.int8)[:, None]
    assert fit_tag_thresholds(probabilities, cells) == (pytest.approx(0.75),)


def test_the_default_threshold_stays_where_another_is_hardly_better() -> None:
    """All with the tag lie far above all without: any threshold between them is as good."""
    probabilities = np.array([0.95] * 40 + [0.1] * 40)[:, None]
    cells = np.array([1] * 40 + [0] * 40, np.int8)[:, None]
    assert fit_tag_thresholds(probabilities, cells) == (DEFAULT_TAG_THRESHOLD,)
    low = np.where(probabilities > 0.5, 0.4, 0.1)
    assert fit_tag_thresholds(low, cells) == (pytest.approx(0.25),)


def test_many_photos_without_annotation_move_a_threshold() -> None:
    scores = np.array([0.9] * 20 + [0.1] * 20 + [0.6] * 20)
    cells = np.array([1] * 20 + [0] * 20 + [-1] * 20, np.int8)
    few = fit_tag_thresholds(scores[:, None], cells[:, None])
    assert few == (DEFAULT_TAG_THRESHOLD,)
    many = np.append(scores, [0.6] * 200)[:, None], np.append(cells, [-1] * 200)[:, None]
    assert fit_tag_thresholds(many[0], many[1].astype(np.int8)) == (pytest.approx(0.75),)


def test_a_tag_with_few_photos_keeps_the_default_threshold() -> None:
    cells = np.zeros((50, 2), np.int8)
    cells[:7, 0], cells[:8, 1] = 1, 1
    probabilities = np.linspace(0.99, 0.01, 50)[:, None].repeat(2, axis=1)
    first, second = fit_tag_thresholds(probabilities, cells)
    assert first == DEFAULT_TAG_THRESHOLD
    assert probabilities[8, 1] < second < probabilities[7, 1]
    unseen = np.where(cells == 0, -1, cells).astype(np.int8)  # present or not annotated
    assert fit_tag_thresholds(probabilities, unseen) == (DEFAULT_TAG_THRESHOLD,) * 2


@pytest.mark.parametrize("validation", [60, 400])
def test_tags_are_calibrated_and_few_photos_are_unfamiliar(validation: int) -> None:
    fitted = calibrate(tagged(300, 2), tagged(validation, 3), seed=0)
    assert fitted.rule.kind == "multi" and len(fitted.decisions) == validation
    assert fitted.out_of_fold == (300 if validation == 60 else 0)
    new = tagged(2000, 4)
    reasons = [decision.reason for decision in decide(fitted, new)]
    assert reasons.count("unfamiliar") / len(reasons) < 0.06
