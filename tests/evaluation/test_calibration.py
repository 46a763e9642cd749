"""The decision rule that is fitted: what it states holds on photos it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.evaluation import metrics
from tagger.evaluation.calibration import (
    CERTAIN_SHARE,
    DEFAULT_TAG_THRESHOLD,
    FAMILIAR_SHARE,
    MIN_FOR_THRESHOLD,
    MIN_GAIN,
    MIN_VALIDATION,
    REFERENCE_SIZE,
    TEMPERATURE_RANGE,
    THRESHOLD_RANGE,
    Calibration,
    LabelledOutputs,
    calibrate,
    fit_tag_thresholds,
    fit_temperature,
    fit_thresholds,
    summarise,
)
from tagger.inference.decision import DEFAULT_THRESHOLD, Decision, to_probabilities
from tagger.models.heads import LinearHead, fit_logistic

DIMENSIONS = 16
STATED = FAMILIAR_SHARE * CERTAIN_SHARE  # kept of new photos


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


def kept(decisions: list[Decision]) -> float:
    return float(np.mean([decision.reason is None for decision in decisions]))


def decide(calibration: Calibration, photos: LabelledOutputs) -> list[Decision]:
    return calibration.rule.decide(photos.logits, photos.features)


# --- the whole


@pytest.mark.parametrize(("train", "validation"), [(480, 600), (480, 120), (120, 60), (90, 15)])
def test_about_the_stated_share_of_new_photos_is_kept(train: int, validation: int) -> None:
    shares = []
    for seed in range(3):
        seen, head = learn(train, seed)
        found = calibrate(seen, outputs(head, validation, seed + 10), seed)
        shares.append(kept(decide(found, outputs(head, 2000, seed + 20))))
    assert STATED - 0.02 < np.mean(shares) <= 1


def test_about_the_stated_share_of_rightly_named_photos_is_certain() -> None:
    shares = []
    for seed in range(3):
        seen, head = learn(480, seed, apart=1.0)
        found = calibrate(seen, outputs(head, 900, seed + 10, apart=1.0), seed)
        assert all(0.5 < threshold < 0.7 for threshold in found.rule.thresholds)
        new = outputs(head, 3000, seed + 20, apart=1.0)
        decisions = zip(decide(found, new), new.labels, strict=True)
        reasons = [decision.reason for decision, label in decisions if decision.best == label]
        shares.append(1 - reasons.count("uncertain") / len(reasons))
    assert np.mean(shares) == pytest.approx(CERTAIN_SHARE, abs=0.008)


def test_photos_of_something_else_are_unfamiliar() -> None:
    seen, head = learn(480)
    found = calibrate(seen, outputs(head, 300, 1), 0)
    features = features_of(np.full(500, 3), 2)  # a centre that no label has
    decisions = found.rule.decide(head.logits(features), features)
    assert kept(decisions) < 0.01
    assert np.mean([decision.reason == "unfamiliar" for decision in decisions]) > 0.98
    assert np.mean([decision.ood_score for decision in decisions]) > 0.99


def test_ood_scores_of_new_photos_are_spread_evenly() -> None:
    seen, head = learn(480)
    found = calibrate(seen, outputs(head, 600, 1), 0)
    scores = [decision.ood_score for decision in decide(found, outputs(head, 2000, 2))]
    np.testing.assert_allclose(np.quantile(scores, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.08)


def test_decisions_on_validation_photos_foretell_those_on_new_ones() -> None:
    seen, head = learn(480)
    validation = outputs(head, 600, 1)
    found = calibrate(seen, validation, 0)
    assert len(found.decisions) == 600 and found.probabilities.shape == (600, 3)
    assert abs(kept(found.decisions) - kept(decide(found, outputs(head, 3000, 2)))) < 0.02
    named = found.probabilities.argmax(axis=1) == validation.labels
    assert named.mean() > 0.95  # so each row is that photo's own


def test_no_photo_decides_about_itself() -> None:
    """A photo unlike all others is unknown, though a rule fitted with it would keep it."""
    seen, head = learn(480)
    validation = outputs(head, 90, 1)
    strange = features_of(np.array([3]), 2)
    validation.features[7] = strange[0]
    validation.logits[7] = head.logits(strange)[0]
    found = calibrate(seen, validation, 0)
    assert found.decisions[7].reason == "unfamiliar"
    assert decide(found, validation.take(np.array([7])))[0].reason != "unfamiliar"


def test_few_validation_photos_are_helped_by_training_photos_out_of_fold() -> None:
    seen, head = learn(240)
    alone = calibrate(seen, outputs(head, MIN_VALIDATION + 2, 1), 0)
    helped = calibrate(seen, outputs(head, MIN_VALIDATION - 10, 1), 0)
    assert (alone.out_of_fold, helped.out_of_fold) == (0, 240)
    assert alone.rule.reference and helped.rule.reference
    assert len(alone.rule.reference.validation_distances) == MIN_VALIDATION + 2
    assert len(helped.rule.reference.validation_distances) == MIN_VALIDATION - 10 + 240
    assert len(helped.decisions) == MIN_VALIDATION - 10


@pytest.mark.parametrize(
    "rows", [[0, 1, 2], [0, 3, 6, 9, 12, 15, 18, 1, 4, 2, 5], [0, 3, 6, 9, 1, 2]]
)
def test_very_few_validation_photos_of_a_label_are_enough(rows: list[int]) -> None:
    seen, head = learn(12)
    found = calibrate(seen, outputs(head, 30, 1).take(np.array(rows)), 0)
    assert len(found.decisions) == len(rows)
    assert kept(decide(found, outputs(head, 2000, 2))) > 0.5


def test_the_same_seed_gives_the_same_rule() -> None:
    seen, head = learn(60)
    validation = outputs(head, 30, 1)
    first, again = (calibrate(seen, validation, 5) for _ in range(2))
    assert first.rule.temperature == again.rule.temperature
    assert first.rule.thresholds == again.rule.thresholds
    assert first.rule.reference and again.rule.reference
    np.testing.assert_array_equal(
        first.rule.reference.validation_distances, again.rule.reference.validation_distances
    )
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


# --- temperature


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5, 6.0])
def test_a_known_scaling_of_the_logits_is_recovered(scale: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 3))
    chances = to_probabilities(honest, "single")
    labels = (rng.random((4000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(honest * scale, labels) == pytest.approx(scale, rel=0.1)


def test_the_temperature_stays_within_its_range() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]] * 20, np.float32)
    right = np.array([0, 1] * 20)
    low, high = TEMPERATURE_RANGE
    assert fit_temperature(logits, right) == pytest.approx(low, rel=0.05)
    assert fit_temperature(logits * 100, 1 - right) == pytest.approx(high, rel=0.05)


# --- thresholds


def two_labels(certainties: np.ndarray) -> np.ndarray:
    """Probabilities of the first label, rightly named, before as many sure ones of the second."""
    first = np.column_stack([certainties, 1 - certainties])
    return np.concatenate([first, np.tile([0.01, 0.99], (len(certainties), 1))])


@pytest.mark.parametrize("photos", [MIN_FOR_THRESHOLD - 1, MIN_FOR_THRESHOLD])
def test_a_threshold_is_fitted_where_there_are_photos_enough(photos: int) -> None:
    probabilities = two_labels(np.linspace(0.8, 1, photos))
    labels = np.repeat([0, 1], photos)
    fitted = fit_thresholds(probabilities, labels)
    if photos < MIN_FOR_THRESHOLD:
        assert fitted == (DEFAULT_THRESHOLD, DEFAULT_THRESHOLD)
    else:
        assert fitted == (pytest.approx(0.8, abs=0.01), THRESHOLD_RANGE[1])


def test_a_fitted_threshold_keeps_its_share_of_rightly_named_photos() -> None:
    certainties = np.random.default_rng(0).uniform(0.6, 1, 1000)
    threshold = fit_thresholds(two_labels(certainties), np.repeat([0, 1], 1000))[0]
    assert CERTAIN_SHARE <= (certainties >= threshold).mean() < CERTAIN_SHARE + 0.005
    assert threshold < DEFAULT_THRESHOLD


def test_wrongly_named_photos_fit_no_threshold() -> None:
    probabilities = two_labels(np.linspace(0.8, 0.9, 200))
    labels = np.repeat([1, 1], 200)  # the first 200 are wrong
    assert fit_thresholds(probabilities, labels)[0] == DEFAULT_THRESHOLD


def test_a_fitted_threshold_stays_within_its_range() -> None:
    three = np.tile([0.4, 0.3, 0.3], (200, 1))
    assert fit_thresholds(three, np.zeros(200, int))[0] == THRESHOLD_RANGE[0]


# --- the reference


def test_many_features_are_summed_up_in_few_vectors() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, [1.0, 10.0, 0.0], (300, 3)).astype(np.float32)
    scale, vectors = summarise(features, seed=1, size=20)
    assert vectors.shape == (20, 3) and scale.shape == (3,)
    assert (scale > 0).all() and 2 < scale[1] / scale[0] < 4
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(vectors, summarise(features, seed=1, size=20)[1])


def test_few_features_all_stay() -> None:
    features = features_of(np.arange(50) % 3, 0)
    vectors = summarise(features, seed=1)[1]
    assert len(vectors) == 50 < REFERENCE_SIZE


# --- tags


def tagged(photos: int, seed: int, rare: float = 0.2) -> LabelledOutputs:
    """Two common tags and one as rare as told, with logits twice too sure; some cells unseen."""
    rng = np.random.default_rng(seed)
    true_logits = rng.normal(np.log([1, 0.5, rare]), 2, (photos, 3))
    known = (rng.random((photos, 3)) < 1 / (1 + np.exp(-true_logits))).astype(np.int8)
    known[rng.random((photos, 3)) < 0.2] = -1
    features = rng.normal(1, 1, (photos, DIMENSIONS)).astype(np.float32)
    return LabelledOutputs((2 * true_logits).astype(np.float32), features, known)


def test_the_temperature_of_tags_is_found() -> None:
    found = tagged(4000, 0)
    assert fit_temperature(found.logits, found.labels) == pytest.approx(2, rel=0.1)


def test_a_tags_threshold_has_the_best_f1_there_is() -> None:
    some = tagged(2000, 1)
    probabilities = to_probabilities(some.logits, "multi", 2.0)
    fitted = fit_tag_thresholds(probabilities, some.labels)

    def score(thresholds: tuple[float, ...]) -> np.ndarray:
        counts = metrics.tag_counts(probabilities >= np.array(thresholds), some.labels)
        return np.asarray(metrics.f1(**counts))

    for other in np.linspace(0.2, 0.9, 36):
        assert (score(fitted) >= score((float(other),) * 3) - 2 * MIN_GAIN).all()


def test_a_threshold_never_parts_equal_scores() -> None:
    """Ten photos share a score, two of them with the tag and first in line: no cut helps there."""
    probabilities = np.array([0.9] * 8 + [0.6] * 42)[:, None]
    known = np.array([1] * 10 + [0] * 40, np.int8)[:, None]
    assert fit_tag_thresholds(probabilities, known) == (pytest.approx(0.75),)


def test_a_threshold_stays_where_another_is_hardly_better() -> None:
    """All with the tag lie far above all without: any threshold between them is as good."""
    probabilities = np.array([0.95] * 40 + [0.1] * 40)[:, None]
    known = np.array([1] * 40 + [0] * 40, np.int8)[:, None]
    assert fit_tag_thresholds(probabilities, known) == (DEFAULT_TAG_THRESHOLD,)
    low = np.where(probabilities > 0.5, 0.4, 0.1)
    assert fit_tag_thresholds(low, known) == (pytest.approx(0.25),)


def test_photos_nobody_looked_at_move_a_threshold_where_there_are_many() -> None:
    scores = np.array([0.9] * 20 + [0.1] * 20 + [0.6] * 20)
    known = np.array([1] * 20 + [0] * 20 + [-1] * 20, np.int8)
    few = fit_tag_thresholds(scores[:, None], known[:, None])
    assert few == (DEFAULT_TAG_THRESHOLD,)
    many = np.append(scores, [0.6] * 200)[:, None], np.append(known, [-1] * 200)[:, None]
    assert fit_tag_thresholds(many[0], many[1].astype(np.int8)) == (pytest.approx(0.75),)


def test_a_tag_with_few_photos_keeps_the_default_threshold() -> None:
    known = np.zeros((50, 2), np.int8)
    known[:7, 0], known[:8, 1] = 1, 1
    probabilities = np.linspace(0.99, 0.01, 50)[:, None].repeat(2, axis=1)
    first, second = fit_tag_thresholds(probabilities, known)
    assert first == DEFAULT_TAG_THRESHOLD
    assert probabilities[8, 1] < second < probabilities[7, 1]
    unseen = np.where(known == 0, -1, known).astype(np.int8)  # present or not looked at
    assert fit_tag_thresholds(probabilities, unseen) == (DEFAULT_TAG_THRESHOLD,) * 2


@pytest.mark.parametrize("validation", [60, 400])
def test_tags_are_calibrated_and_most_photos_stay_familiar(validation: int) -> None:
    found = calibrate(tagged(300, 2), tagged(validation, 3), seed=0)
    assert found.rule.kind == "multi" and len(found.decisions) == validation
    assert found.out_of_fold == (300 if validation == 60 else 0)
    new = tagged(2000, 4)
    reasons = [decision.reason for decision in decide(found, new)]
    assert reasons.count("unfamiliar") / len(reasons) < 0.06
