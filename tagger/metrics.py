"""How good the answers are: accuracy by label, calibration, and telling known from unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

ECE_BINS = 15


def top_k_accuracy(probabilities: Floats, labels: Integers, k: int) -> float:
    """Share in [0, 1] of photos whose label is among the `k` likeliest; `(N, C)` and `(N,)`."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def by_label(predicted: Integers, labels: Integers, names: tuple[str, ...]) -> dict[str, Any]:
    """Precision, recall, F1 (in [0, 1], 0 where undefined) and photos for each label."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(len(names)), zero_division=0
    )
    return {
        name: {
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "photos": int(support[index]),
        }
        for index, name in enumerate(names)
    }


def confusion(predicted: Integers, labels: Integers, count: int) -> list[list[int]]:
    """Photos by true label (rows) and predicted label (columns)."""
    table: list[list[int]] = confusion_matrix(labels, predicted, labels=range(count)).tolist()
    return table


def reliability(confidence: Floats, correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Mean confidence, accuracy and photos of each of `ECE_BINS` equal bins that has photos."""
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        {
            "confidence": float(confidence[bins == index].mean()),
            "accuracy": float(correct[bins == index].mean()),
            "photos": int((bins == index).sum()),
        }
        for index in range(ECE_BINS)
        if (bins == index).any()
    ]


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """ECE in [0, 1]: the mean gap between confidence and accuracy (Naeini et al. 2015)."""
    gaps = [
        row["photos"] * abs(row["confidence"] - row["accuracy"])
        for row in reliability(confidence, correct)
    ]
    return float(sum(gaps) / len(confidence))


def auroc(known: Floats, unknown: Floats) -> float:
    """Chance in [0, 1] that an unknown photo's score is above a known one's; 0.5 is no use."""
    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    return float(roc_auc_score(truth, np.r_[known, unknown]))


def fpr95(known: Floats, unknown: Floats) -> float:
    """Share of unknown photos accepted at the score that accepts 95 % of the known ones."""
    return float((unknown <= np.quantile(known, 0.95, method="higher")).mean())
