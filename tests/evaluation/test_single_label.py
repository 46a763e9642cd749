"""Scores of photos with one label each, against cases small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagger.evaluation import single_label
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import (
    MAX_MISTAKES,
    DecisionShares,
    ReliabilityBin,
    SingleLabelScores,
    to_json,
)
from tagger.inference.decision import Decision, Reason
from tagger.labels import LabelSet

PETS = LabelSet(("cat", "dog"))


def decision(probabilities: list[float], reason: Reason | None = None) -> Decision:
    best = int(np.argmax(probabilities))
    tags = () if reason else (best,)
    return Decision(best, tags, reason, 0.5, np.array(probabilities))


def evaluate(
    labels: LabelSet,
    truth: list[int],
    decisions: list[Decision],
    temperature: float = 1.0,
    raw: list[list[float]] | None = None,
) -> SingleLabelScores:
    """Scores of these decisions; `raw` are probabilities before temperature scaling."""
    raw = raw or [decision.probabilities.tolist() for decision in decisions]
    logits = np.log(np.array(raw)).astype(np.float32)
    outputs = LabelledOutputs(logits, np.zeros((len(truth), 2), np.float32), np.array(truth))
    paths = [Path(f"{number}.jpg") for number in range(len(truth))]
    return single_label.evaluate(labels, paths, outputs, decisions, temperature)


def test_scores_of_five_photos() -> None:
    scores = evaluate(
        PETS,
        [0, 0, 1, 1, 1],
        [
            decision([0.9, 0.1]),
            decision([0.2, 0.8]),  # wrong
            decision([0.1, 0.9]),
            decision([0.6, 0.4], "uncertain"),  # wrong, but not decided
            decision([0.3, 0.7], "unfamiliar"),
        ],
        temperature=1.5,
    )
    assert scores.photos == 5
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.top_3 is None
    assert scores.by_label["cat"].recall == 0.5
    assert scores.by_label["dog"].photos == 3
    assert scores.confusion == [[1, 1], [1, 2]]
    assert scores.decision == DecisionShares(
        answered=pytest.approx(0.6),
        unfamiliar=pytest.approx(0.2),
        uncertain=pytest.approx(0.2),
        accuracy_of_answered=pytest.approx(2 / 3),
    )
    assert scores.calibration.temperature == 1.5
    gaps = 2 * abs(0.9 - 1) + 0.8 + 0.6 + abs(0.7 - 1)
    assert scores.calibration.ece_after == pytest.approx(gaps / 5)
    plain = to_json(scores)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain["decision"]) == {"known", "unfamiliar", "uncertain", "accuracy_of_known"}


def test_calibration_is_scored_before_and_after() -> None:
    decisions = [decision([0.75, 0.25])] * 4
    scores = evaluate(PETS, [0, 0, 0, 1], decisions, 3.0, raw=[[0.99, 0.01]] * 4).calibration
    assert scores.ece_before == pytest.approx(0.24, abs=1e-4)
    assert scores.ece_after == pytest.approx(0)
    assert scores.reliability_before[0].confidence == pytest.approx(0.99)
    assert scores.reliability_after == [ReliabilityBin(0.75, 0.75, 4)]


def test_mistakes_come_most_confident_first() -> None:
    mistakes = evaluate(
        PETS,
        [0, 0, 1, 1],
        [
            decision([0.3, 0.7], "unfamiliar"),
            decision([0.9, 0.1]),
            decision([0.95, 0.05]),
            decision([0.8, 0.2]),
        ],
    ).mistakes
    assert [(row.path, row.probability) for row in mistakes] == [
        ("2.jpg", 0.95),
        ("3.jpg", 0.8),
        ("0.jpg", 0.7),
    ]
    assert (mistakes[0].label, mistakes[0].predicted, mistakes[0].unknown) == ("dog", "cat", False)
    assert mistakes[2].unknown is True


def test_of_very_many_mistakes_the_most_confident_are_kept() -> None:
    shares = np.linspace(0.51, 0.99, 100)
    scores = evaluate(PETS, [1] * 100, [decision([share, 1 - share]) for share in shares])
    assert len(scores.mistakes) == MAX_MISTAKES
    assert scores.mistakes[0].probability == pytest.approx(0.99)
    assert scores.accuracy == 0


def test_more_than_three_labels_have_a_top_3_accuracy() -> None:
    labels = LabelSet(("ape", "bee", "cat", "dog"))
    scores = evaluate(labels, [0, 1, 2, 3], [decision([0.4, 0.3, 0.2, 0.1])] * 4)
    assert (scores.accuracy, scores.top_3) == (0.25, 0.75)


def test_without_any_answer_there_is_no_accuracy_of_answers() -> None:
    shares = evaluate(PETS, [0, 1], [decision([0.6, 0.4], "uncertain")] * 2).decision
    assert (shares.answered, shares.accuracy_of_answered) == (0, None)
