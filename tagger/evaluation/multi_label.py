"""Evaluation of a model on photos with any number of tags, of which some are not annotated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.errors import DatasetError
from tagger.evaluation import metrics
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.results import (
    MAX_MISTAKES,
    CalibrationScores,
    Mistake,
    MultiLabelScores,
    TagDecisionShares,
    TagMetrics,
)
from tagger.inference.decision import Decision, to_probabilities
from tagger.labels import LabelSet

LIKELY = 0.1  # probability of a tag, from which on its calibration is evaluated


def evaluate(
    labels: LabelSet,
    paths: Sequence[Path],
    outputs: LabelledOutputs,
    decisions: Sequence[Decision],
    temperature: float,
) -> MultiLabelScores:
    """Score the decisions. Raises DatasetError where no cell is annotated."""
    cells = outputs.labels
    if not (cells != UNSEEN).any():
        raise DatasetError("of the photos to judge by, nobody said which tags they have")
    calibrated = np.stack([decision.probabilities for decision in decisions])
    predicted = np.zeros(cells.shape, bool)
    for row, decision in enumerate(decisions):
        predicted[row, list(decision.tags)] = True
    counts = metrics.tag_counts(predicted, cells)
    by_label = _score_tags(labels, calibrated, cells, counts)
    f1_of_present = [scores.f1 for scores in by_label.values() if scores.photos]
    return MultiLabelScores(
        photos=len(outputs),
        map=metrics.mean_average_precision(calibrated, cells),
        map_least_photos=metrics.MIN_POSITIVES,
        accuracy=metrics.cell_accuracy(predicted, cells),
        accuracy_of_silence=metrics.cell_accuracy(np.zeros_like(predicted), cells),
        micro_f1=float(metrics.f1(*(count.sum() for count in counts))),
        macro_f1=float(np.mean(f1_of_present)) if f1_of_present else 0.0,
        by_label=by_label,
        calibration=_score_calibration(outputs, calibrated, temperature),
        decision=_count_decisions(predicted, cells, decisions),
        mistakes=_mistakes(labels, paths, predicted, cells, decisions),
    )


def _score_tags(
    labels: LabelSet,
    probabilities: NDArray[np.floating[Any]],
    cells: NDArray[np.int8],
    counts: metrics.TagCounts,
) -> dict[str, TagMetrics]:
    precisions = metrics.average_precisions(probabilities, cells)
    annotated = (cells != UNSEEN).sum(axis=0)
    rows = zip(labels.names, precisions, *counts, annotated, strict=True)
    return {
        name: TagMetrics(
            precision=float(right / max(right + wrong, 1)),
            recall=float(right / max(right + missed, 1)),
            f1=float(metrics.f1(right, wrong, missed)),
            photos=int(right + missed),
            ap=ap,
            annotated=int(count),
        )
        for name, ap, right, wrong, missed, count in rows
    }


def _score_calibration(
    outputs: LabelledOutputs, calibrated: NDArray[np.floating[Any]], temperature: float
) -> CalibrationScores:
    """Calibration over the annotated cells that are `LIKELY`.

    Most others are rightly near 0, and would hide the rest.
    """
    counted = (outputs.labels != UNSEEN) & (calibrated >= LIKELY)
    if not counted.any():
        counted = outputs.labels != UNSEEN
    present = outputs.labels[counted] == PRESENT
    before = to_probabilities(outputs.logits, "multi")[counted]
    return metrics.calibration_scores(temperature, before, calibrated[counted], present)


def _count_decisions(
    predicted: NDArray[np.bool_], cells: NDArray[np.int8], decisions: Sequence[Decision]
) -> TagDecisionShares:
    present: NDArray[np.bool_] = cells == PRESENT
    annotated = predicted & (cells != UNSEEN)
    tagged, answered = np.any(present, axis=1), np.any(predicted, axis=1)
    without_tags: NDArray[np.bool_] = np.all(cells == ABSENT, axis=1)
    reasons = [decision.reason for decision in decisions]
    return TagDecisionShares(
        answered=_share(np.asarray(answered[tagged])),
        unfamiliar=reasons.count("unfamiliar") / len(reasons),
        uncertain=reasons.count("uncertain") / len(reasons),
        accuracy_of_answered=_share(present[annotated]),
        silent=_share(np.asarray(~answered[without_tags])),
        photos_without_tags=int(np.sum(without_tags)),
        tags_a_photo=float(np.median(predicted.sum(axis=1))),
    )


def _mistakes(
    labels: LabelSet,
    paths: Sequence[Path],
    predicted: NDArray[np.bool_],
    cells: NDArray[np.int8],
    decisions: Sequence[Decision],
) -> list[Mistake]:
    """Wrong cells, the most confident first; `probability` is that of the prediction made.

    That is the tag, or, where it is present and not predicted, its absence.
    """
    probabilities = np.stack([decision.probabilities for decision in decisions])
    wrong = (predicted & (cells == ABSENT)) | (~predicted & (cells == PRESENT))
    certainty = np.where(predicted, probabilities, 1 - probabilities)
    rows, tags = np.nonzero(wrong)
    order = np.argsort(-certainty[rows, tags], kind="stable")[:MAX_MISTAKES]
    return [
        Mistake(
            path=str(paths[row]),
            label=f"no {name}" if predicted[row, tag] else name,
            predicted=name if predicted[row, tag] else f"no {name}",
            probability=float(certainty[row, tag]),
            unknown=decisions[row].reason is not None,
        )
        for row, tag in zip(rows[order].tolist(), tags[order].tolist(), strict=True)
        for name in (labels.names[tag],)
    ]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None
