"""Evaluation of a model on photos with one label each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.evaluation import metrics
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import MAX_MISTAKES, DecisionShares, Mistake, SingleLabelScores
from tagger.inference.decision import Decision, to_probabilities
from tagger.labels import LabelSet


def evaluate(
    labels: LabelSet,
    paths: Sequence[Path],
    outputs: LabelledOutputs,
    decisions: Sequence[Decision],
    temperature: float,
) -> SingleLabelScores:
    """Score the decisions; accuracy is that of the likeliest label, "unknown" or not."""
    calibrated = np.stack([decision.probabilities for decision in decisions])
    predicted = calibrated.argmax(axis=1)
    correct = predicted == outputs.labels
    reasons = [decision.reason for decision in decisions]
    answered = np.array([reason is None for reason in reasons])
    before = to_probabilities(outputs.logits, labels.kind).max(axis=1)
    after = calibrated.max(axis=1)
    return SingleLabelScores(
        photos=len(outputs),
        accuracy=float(correct.mean()),
        top_3=metrics.top_k_accuracy(calibrated, outputs.labels, 3) if len(labels) > 3 else None,
        by_label=metrics.by_label(predicted, outputs.labels, labels.names),
        confusion=metrics.confusion(predicted, outputs.labels, len(labels)),
        calibration=metrics.calibration_scores(temperature, before, after, correct),
        decision=DecisionShares(
            answered=float(answered.mean()),
            unfamiliar=reasons.count("unfamiliar") / len(reasons),
            uncertain=reasons.count("uncertain") / len(reasons),
            accuracy_of_answered=float(correct[answered].mean()) if answered.any() else None,
        ),
        mistakes=_mistakes(labels, paths, outputs.labels, decisions),
    )


def _mistakes(
    labels: LabelSet,
    paths: Sequence[Path],
    truth: NDArray[np.int64],
    decisions: Sequence[Decision],
) -> list[Mistake]:
    """Photos whose likeliest label is wrong, the most confident first."""
    mistakes = [
        Mistake(
            path=str(path),
            label=labels.names[label],
            predicted=labels.names[decision.best],
            probability=float(decision.probabilities[decision.best]),
            unknown=decision.reason is not None,
        )
        for path, label, decision in zip(paths, truth, decisions, strict=True)
        if decision.best != label
    ]
    return sorted(mistakes, key=lambda mistake: -mistake.probability)[:MAX_MISTAKES]
