"""The decision rule: logits and features → labels, or "unknown" with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.errors import OptionError
from tagger.inference.decision import (
    Decision,
    DecisionRule,
    Reference,
    join_decisions,
    neighbour_distance,
    to_probabilities,
    unit_vectors,
)

NEAR, FAR = [1.0, 0.0], [0.0, 1.0]  # at distances 0 and 1 from the reference
quick = settings(deadline=None, max_examples=60)
extreme = arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32))


def reference(threshold: float = 0.5) -> Reference:
    validation = np.linspace(0, 0.4, 100)
    return Reference(np.array([NEAR], np.float32), np.ones(2, np.float32), validation, threshold)


def rule(**changed: Any) -> DecisionRule:
    settings: dict[str, Any] = {
        "kind": "single",
        "temperature": 1.0,
        "thresholds": (0.7, 0.7, 0.7),
        "reference": reference(),
    }
    return DecisionRule(**{**settings, **changed})


def decide(
    rule: DecisionRule, probabilities: list[float], features: list[float] = NEAR
) -> Decision:
    """The decision for one photo with these softmax probabilities and these features."""
    logits = np.log(np.array([probabilities], np.float64))
    return rule.decide(logits, np.array([features], np.float32))[0]


def features_at(distance: float) -> list[float]:
    """Features at a cosine distance from the reference."""
    return [1 - distance, np.sqrt(1 - (1 - distance) ** 2)]


# --- probabilities


@quick
@given(extreme, st.floats(0.01, 100))
def test_probabilities_of_any_logits_sum_to_one(logits: Any, temperature: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        probabilities = to_probabilities(logits, "single", temperature)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities >= 0).all()
    rows = np.arange(len(logits))
    assert (probabilities[rows, logits.argmax(axis=1)] == probabilities.max(axis=1)).all()


@quick
@given(extreme, st.floats(0.01, 100))
def test_multi_label_probabilities_stay_between_zero_and_one(
    logits: Any, temperature: float
) -> None:
    with np.errstate(all="raise", under="ignore"):
        probabilities = to_probabilities(logits, "multi", temperature)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (probabilities[logits > 0] >= 0.5).all()
    assert (probabilities[logits < 0] <= 0.5).all()


def test_probabilities_are_softmax_and_sigmoid() -> None:
    logits = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(to_probabilities(logits, "single"), [[1 / 8, 2 / 8, 5 / 8]])
    np.testing.assert_allclose(to_probabilities(logits, "multi"), [[1 / 2, 2 / 3, 5 / 6]])


@quick
@given(arrays(np.float64, 4, elements=st.floats(-20, 20)), st.floats(1.1, 10))
def test_a_higher_temperature_lowers_confidence_and_keeps_the_order(
    logits: Any, temperature: float
) -> None:
    cold = to_probabilities(logits[None], "single")[0]
    warm = to_probabilities(logits[None], "single", temperature)[0]
    assert warm.max() <= cold.max() + 1e-12
    best_first = np.argsort(-logits, kind="stable")
    assert (np.diff(warm[best_first]) <= 1e-12).all()


# --- certain


def test_a_label_needs_a_probability_at_its_threshold() -> None:
    decision = decide(rule(), [0.1, 0.75, 0.15])
    assert (decision.best, decision.tags, decision.reason) == (1, (1,), None)
    np.testing.assert_allclose(decision.probabilities, [0.1, 0.75, 0.15])
    decision = decide(rule(), [0.2, 0.65, 0.15])
    assert (decision.best, decision.tags, decision.reason) == (1, (), "uncertain")
    at_threshold = rule(thresholds=(0.25,) * 4).decide(np.zeros((1, 4)), np.array([NEAR]))[0]
    assert at_threshold.tags == (0,)


def test_each_label_has_its_own_threshold() -> None:
    strict_first = rule(thresholds=(0.9, 0.5, 0.5))
    assert decide(strict_first, [0.8, 0.1, 0.1]).reason == "uncertain"
    assert decide(strict_first, [0.1, 0.8, 0.1]).tags == (1,)


def test_only_the_likeliest_single_label_can_pass() -> None:
    lenient = rule(thresholds=(0.9, 0.1, 0.1))
    assert decide(lenient, [0.6, 0.3, 0.1]).tags == ()
    assert decide(lenient, [0.25, 0.4, 0.35]).tags == (1,)


def test_temperature_is_applied_before_the_threshold() -> None:
    probabilities = [0.02, 0.96, 0.02]
    assert decide(rule(), probabilities).reason is None
    assert decide(rule(temperature=4.0), probabilities).reason == "uncertain"


def test_several_tags_come_best_first() -> None:
    several = rule(kind="multi", thresholds=(0.5, 0.5, 0.95), reference=None)
    decision = several.decide(np.array([[1.0, 2.0, 2.5]]), np.zeros((1, 2)))[0]
    assert decision.tags == (1, 0)
    assert decision.best == 2  # the likeliest, though its own threshold is higher
    nothing = several.decide(np.array([[-3.0, -1.0, -2.0]]), np.zeros((1, 2)))[0]
    assert (nothing.tags, nothing.best, nothing.reason) == ((), 1, "uncertain")


# --- familiar


def test_unfamiliar_takes_precedence_over_uncertain() -> None:
    assert decide(rule(), [0.4, 0.3, 0.3], features=NEAR).reason == "uncertain"
    decision = decide(rule(), [0.4, 0.3, 0.3], features=FAR)
    assert (decision.tags, decision.reason, decision.best) == ((), "unfamiliar", 0)


def test_an_unfamiliar_photo_is_unknown_at_any_confidence() -> None:
    decision = decide(rule(), [0.998, 0.001, 0.001], features=FAR)
    assert (decision.tags, decision.reason) == ((), "unfamiliar")


def test_an_explicit_threshold_replaces_the_fitted_ones_and_keeps_familiarity() -> None:
    logits = np.log([[0.4, 0.35, 0.25]] * 2)
    near, far = rule().decide(logits, np.array([NEAR, FAR]), threshold=0.3)
    assert near.tags == (0,)
    assert (far.tags, far.reason) == ((), "unfamiliar")
    sure = rule().decide(np.log([[0.9, 0.05, 0.05]]), np.array([NEAR]), threshold=0.95)
    assert sure[0].reason == "uncertain"
    assert rule().decide(logits[:1], np.array([NEAR]), threshold=0.0)[0].tags == (0,)


def test_without_a_reference_every_photo_is_familiar() -> None:
    decision = decide(rule(reference=None), [0.9, 0.05, 0.05], features=FAR)
    assert (decision.tags, decision.reason, decision.ood_score) == ((0,), None, None)


@quick
@given(arrays(np.float64, (20, 2), elements=st.floats(-10, 10)))
def test_ood_scores_rise_with_distance_from_zero_to_one(features: Any) -> None:
    logits = np.zeros((len(features), 3))
    scores = np.array([decision.ood_score for decision in rule().decide(logits, features)])
    assert ((scores >= 0) & (scores <= 1)).all()
    distances = reference().distance(features)
    assert (np.diff(scores[np.argsort(distances)]) >= 0).all()


def test_the_ood_score_is_the_share_of_validation_photos_with_smaller_distances() -> None:
    scores = reference().ood_score(np.array([-1.0, 0.0, 0.2, 0.41, 2.0]))
    np.testing.assert_allclose(scores, [0, 0, 0.5, 1, 1])


def test_confidence_makes_a_photo_near_the_edge_familiar() -> None:
    sure, doubtful = [0.9, 0.05, 0.05], [0.34, 0.33, 0.33]
    assert decide(rule(), sure, features_at(0.51)).reason is None
    assert decide(rule(), doubtful, features_at(0.51)).reason == "unfamiliar"
    assert decide(rule(), doubtful, features_at(0.49)).reason == "uncertain"
    assert decide(rule(temperature=9.0), sure, features_at(0.51)).reason == "unfamiliar"


def test_the_effect_of_confidence_is_bounded() -> None:
    surest = np.array([[1e6, 0.0, 0.0]])
    near, far = (rule().decide(surest, np.array([features_at(d)]))[0] for d in (0.59, 0.61))
    assert (near.reason, far.reason) == (None, "unfamiliar")


def test_a_confident_tag_makes_a_photo_near_the_edge_familiar() -> None:
    several = rule(kind="multi", thresholds=(0.5, 0.5, 0.5))
    logits = np.array([[4.0, 4.0, -9.0], [0.1, 0.1, -9.0], [-4.0, -4.0, -9.0]])
    decisions = several.decide(logits, np.array([features_at(0.51)] * 3))
    assert [decision.reason for decision in decisions] == [None, "unfamiliar", "unfamiliar"]
    distances = several.ood_distance(logits, np.array([features_at(0.51)] * 3))
    assert distances[0] < distances[1] < distances[2]
    assert distances[2] == pytest.approx(0.51)


def test_without_a_reference_there_is_no_ood_distance() -> None:
    with pytest.raises(OptionError, match="no reference"):
        rule(reference=None).ood_distance(np.zeros((1, 3)), np.array([NEAR]))


def test_distance_is_the_mean_cosine_distance_to_the_nearest_three() -> None:
    vectors = unit_vectors(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0.0]]))
    points = unit_vectors(np.array([[3, 0, 0], [0, 0, -2.0]]))
    expected = [1 - (1 + np.sqrt(0.5)) / 3, 1]
    np.testing.assert_allclose(neighbour_distance(points, vectors), expected, atol=1e-6)
    distances = neighbour_distance(points, vectors[:2])  # fewer than three vectors: all of them
    np.testing.assert_allclose(distances, [1 - (1 + np.sqrt(0.5)) / 2, 1], atol=1e-6)


def test_features_are_divided_by_their_scale() -> None:
    stretched = Reference(
        unit_vectors(np.array([[1.0, 1.0]])), np.array([1.0, 100.0]), np.zeros(1), 0.1
    )
    far, near = stretched.distance(np.array([[1.0, 1.0], [1.0, 100.0]]))
    assert near == pytest.approx(0, abs=1e-6)
    assert far > 0.2


# --- options


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"thresholds": (0.5, 1.2, 0.5)},
        {"thresholds": (0.5, -0.1, 0.5)},
        {"thresholds": (0.5, float("nan"), 0.5)},
    ],
)
def test_an_invalid_rule_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        rule(**changed)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan")])
def test_a_threshold_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(OptionError, match="from 0 to 1"):
        rule().decide(np.zeros((1, 3)), np.array([NEAR]), threshold=threshold)


@pytest.mark.parametrize(
    ("vectors", "scale", "validation"),
    [
        (np.zeros((0, 2)), np.ones(2), np.zeros(3)),
        (np.ones((4, 2)), np.ones(2), np.zeros(0)),
        (np.ones(2), np.ones(2), np.zeros(3)),
        (np.ones((4, 2)), np.ones(3), np.zeros(3)),
        (np.ones((4, 2)), np.array([1.0, 0.0]), np.zeros(3)),
    ],
    ids=["no vectors", "no photos", "one vector", "another width", "no scale"],
)
def test_an_invalid_reference_is_refused(vectors: Any, scale: Any, validation: Any) -> None:
    with pytest.raises(OptionError):
        Reference(vectors, scale, validation, 0.5)


def test_another_number_of_labels_is_refused() -> None:
    with pytest.raises(OptionError):
        DecisionRule("single", 1.0, (0.7, 0.7, 0.7)).decide(np.zeros((1, 2)), np.zeros((1, 2)))


def decision(tags: tuple[int, ...], scores: list[float], reason: str | None = None) -> Decision:
    probabilities = np.array(scores)
    familiar = None if reason is None else 0.9
    return Decision(int(probabilities.argmax()), tags, reason, familiar, probabilities)  # type: ignore[arg-type]


def test_tags_of_several_parts_are_joined() -> None:
    parts = [
        decision((0,), [0.8, 0.1, 0.1]),
        decision((2, 0), [0.7, 0.2, 0.9]),
        decision((), [0.1, 0.99, 0.1], "unfamiliar"),
    ]
    joined = join_decisions(parts, "multi")
    assert joined.tags == (2, 0) and joined.reason is None and joined.best == 2
    assert joined.probabilities.tolist() == [0.8, 0.2, 0.9]


def test_one_label_is_that_of_the_surest_part() -> None:
    parts = [
        decision((), [0.5, 0.5], "uncertain"),
        decision((1,), [0.2, 0.8]),
        decision((0,), [0.95, 0.05]),
        decision((), [1.0, 0.0], "unfamiliar"),
    ]
    assert join_decisions(parts, "single") is parts[2]
    for kind in ("single", "multi"):
        assert join_decisions([parts[3], parts[0]], kind) is parts[0]
        assert join_decisions([parts[3]], kind) is parts[3]
