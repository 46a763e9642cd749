"""Metrics: accuracy by label, mean average precision, calibration error, AUROC and FPR95."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from tagger.datasets.sample import ABSENT, PRESENT, UNSEEN
from tagger.evaluation.results import CalibrationScores, LabelMetrics, ReliabilityBin
from tagger.inference.decision import to_probabilities

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]

Cells = NDArray[np.int8]  # (N, C), see tag_matrix

ECE_BINS = 15
MIN_POSITIVES = 8  # photos of a tag, before its average precision counts in the mean


def top_k_accuracy(probabilities: Floats, labels: Integers, k: int) -> float:
    """Share in [0, 1] of photos whose label is among the `k` likeliest; `(N, C)` and `(N,)`."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def by_label(
    predicted: Integers, labels: Integers, names: tuple[str, ...]
) -> dict[str, LabelMetrics]:
    """Precision, recall, F1 and photos for each label; `predicted` and `labels` are `(N,)`."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(len(names)), zero_division=0
    )
    rows = zip(*(values.tolist() for values in (precision, recall, f1, support)), strict=True)
    return {name: LabelMetrics(*row) for name, row in zip(names, rows, strict=True)}


def confusion(predicted: Integers, labels: Integers, count: int) -> list[list[int]]:
    """Photos by true label (rows) and predicted label (columns)."""
    table: list[list[int]] = confusion_matrix(labels, predicted, labels=range(count)).tolist()
    return table


def reliability(confidence: Floats, correct: Booleans) -> list[ReliabilityBin]:
    """The non-empty ones of `ECE_BINS` bins of equal width."""
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        ReliabilityBin(
            confidence=float(confidence[bins == index].mean()),
            accuracy=float(correct[bins == index].mean()),
            photos=int((bins == index).sum()),
        )
        for index in range(ECE_BINS)
        if (bins == index).any()
    ]


def expected_calibration_error(confidence: Floats, correct: Booleans) -> float:
    """ECE in [0, 1]: the mean gap between confidence and accuracy (Naeini et al. 2015)."""
    gaps = [
        row.photos * abs(row.confidence - row.accuracy) for row in reliability(confidence, correct)
    ]
    return float(sum(gaps) / len(confidence))


def calibration_scores(
    temperature: float, before: Floats, after: Floats, correct: Booleans
) -> CalibrationScores:
    """ECE and reliability of confidences `(N,)` before and after temperature scaling."""
    return CalibrationScores(
        temperature=temperature,
        ece_before=expected_calibration_error(before, correct),
        ece_after=expected_calibration_error(after, correct),
        reliability_before=reliability(before, correct),
        reliability_after=reliability(after, correct),
    )


def log_loss(logits: Floats, labels: NDArray[Any]) -> float:
    """Mean negative log-likelihood over photos, or over annotated cells for `labels (N, C)`."""
    if labels.ndim == 2:
        annotated = labels != UNSEEN
        margins = np.where(labels == PRESENT, logits, -logits)[annotated]
        return float(np.logaddexp(0, -margins.astype(np.float64)).mean())
    likelihoods = to_probabilities(logits, "single")[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(likelihoods, 1e-12)).mean())


def average_precisions(scores: Floats, cells: Cells) -> list[float | None]:
    """AP in [0, 1] of each tag over its annotated photos, from `scores (N, C)`.

    None for a tag that none of them has, or all.
    """
    precisions: list[float | None] = []
    for tag_scores, tag_cells in zip(scores.T, cells.T, strict=True):
        annotated = tag_cells != UNSEEN
        present = tag_cells[annotated] == PRESENT
        can_rank = present.any() and not present.all()
        ap = average_precision_score(present, tag_scores[annotated]) if can_rank else None
        precisions.append(None if ap is None else float(ap))
    return precisions


def mean_average_precision(scores: Floats, cells: Cells) -> float | None:
    """mAP in [0, 1]: the mean AP of the tags that at least `MIN_POSITIVES` photos have.

    Of all tags that can be ranked where none has so many; None where none can be ranked.
    """
    counts = (cells == PRESENT).sum(axis=0)
    pairs = zip(average_precisions(scores, cells), counts, strict=True)
    ranked = [(ap, count) for ap, count in pairs if ap is not None]
    enough = [ap for ap, count in ranked if count >= MIN_POSITIVES] or [ap for ap, _ in ranked]
    return float(np.mean(enough)) if enough else None


class TagCounts(NamedTuple):
    """Photos `(C,)` of each tag, among those annotated."""

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]


def tag_counts(predicted: Booleans, cells: Cells) -> TagCounts:
    """Count right, wrong and missed predictions `(N, C)` of each tag."""
    return TagCounts(
        true_positives=(predicted & (cells == PRESENT)).sum(axis=0),
        false_positives=(predicted & (cells == ABSENT)).sum(axis=0),
        false_negatives=(~predicted & (cells == PRESENT)).sum(axis=0),
    )


def f1(true_positives: Any, false_positives: Any, false_negatives: Any) -> Any:
    """F1 in [0, 1]; 0 where nothing is present and nothing predicted."""
    denominator = 2 * true_positives + false_positives + false_negatives
    return 2 * true_positives / np.maximum(denominator, 1)


def cell_accuracy(predicted: Booleans, cells: Cells) -> float:
    """Share in [0, 1] of the annotated cells (at least one) that are predicted rightly."""
    annotated = cells != UNSEEN
    return float((predicted[annotated] == (cells[annotated] == PRESENT)).mean())


def auroc(in_distribution: Floats, out_of_distribution: Floats) -> float:
    """Probability in [0, 1] that an out-of-distribution photo scores higher; 0.5 is chance."""
    truth = np.r_[np.zeros(len(in_distribution)), np.ones(len(out_of_distribution))]
    return float(roc_auc_score(truth, np.r_[in_distribution, out_of_distribution]))


def fpr95(in_distribution: Floats, out_of_distribution: Floats) -> float:
    """Share of out-of-distribution photos accepted at the score that accepts 95 % of the others."""
    limit = np.quantile(in_distribution, 0.95, method="higher")
    return float((out_of_distribution <= limit).mean())
