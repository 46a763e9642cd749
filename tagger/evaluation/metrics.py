"""How good the answers are: accuracy by label, calibration, and telling known from unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from tagger.datasets.splits import ABSENT, PRESENT, UNSEEN
from tagger.inference.decision import to_probabilities

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

Cells = NDArray[np.int8]  # (N, C), see splits.cells

ECE_BINS = 15
MIN_POSITIVES = 8  # photos of a tag, before its average precision counts in the mean


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


def log_loss(logits: Floats, labels: NDArray[Any]) -> float:
    """The mean over photos, or over the cells somebody looked at, of -log of what is true."""
    if labels.ndim == 2:
        seen = labels != UNSEEN
        margins = np.where(labels == PRESENT, logits, -logits)[seen]
        return float(np.logaddexp(0, -margins.astype(np.float64)).mean())
    picked = to_probabilities(logits, "single")[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


def average_precisions(scores: Floats, known: Cells) -> list[float | None]:
    """AP in [0, 1] of each tag over the photos where somebody looked, from `scores (N, C)`.

    None for a tag that is in none of them, or in all.
    """
    found: list[float | None] = []
    for column, cells in zip(scores.T, known.T, strict=True):
        seen = cells != UNSEEN
        truth = cells[seen] == PRESENT
        told = truth.any() and not truth.all()
        found.append(float(average_precision_score(truth, column[seen])) if told else None)
    return found


def mean_average_precision(scores: Floats, known: Cells) -> float | None:
    """mAP in [0, 1]: the mean AP of the tags that at least `MIN_POSITIVES` photos have.

    Of all that can be ranked where no tag has so many; None where none can.
    """
    precisions = average_precisions(scores, known)
    counts = (known == PRESENT).sum(axis=0)
    told = [(ap, n) for ap, n in zip(precisions, counts, strict=True) if ap is not None]
    enough = [ap for ap, count in told if count >= MIN_POSITIVES] or [ap for ap, _ in told]
    return float(np.mean(enough)) if enough else None


def tag_counts(said: NDArray[np.bool_], known: Cells) -> dict[str, NDArray[np.int64]]:
    """Right, wrong and missed photos `(C,)` of each tag, where somebody looked."""
    return {
        "right": (said & (known == PRESENT)).sum(axis=0),
        "wrong": (said & (known == ABSENT)).sum(axis=0),
        "missed": (~said & (known == PRESENT)).sum(axis=0),
    }


def f1(right: Any, wrong: Any, missed: Any) -> Any:
    """F1 in [0, 1]; 0 where there is nothing to find and nothing was said."""
    return 2 * right / np.maximum(2 * right + wrong + missed, 1)


def cell_accuracy(said: NDArray[np.bool_], known: Cells) -> float:
    """Share in [0, 1] of the cells somebody looked at (at least one) that are told rightly."""
    seen = known != UNSEEN
    return float((said[seen] == (known[seen] == PRESENT)).mean())


def auroc(known: Floats, unknown: Floats) -> float:
    """Chance in [0, 1] that an unknown photo's score is above a known one's; 0.5 is no use."""
    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    return float(roc_auc_score(truth, np.r_[known, unknown]))


def fpr95(known: Floats, unknown: Floats) -> float:
    """Share of unknown photos accepted at the score that accepts 95 % of the known ones."""
    return float((unknown <= np.quantile(known, 0.95, method="higher")).mean())
