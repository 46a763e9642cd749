"""Judging a model on photos it never trained on; the numbers that reports and cards show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, ordered_map, silent
from tagger.errors import DatasetError, ImageError
from tagger.evaluation import metrics, multi_label
from tagger.evaluation.calibration import summarise
from tagger.evaluation.outputs import LabelledOutputs
from tagger.images import decode
from tagger.inference.decision import (
    Decision,
    DecisionRule,
    guided_distance,
    neighbour_distance,
    to_probabilities,
    unit_vectors,
)
from tagger.inference.litert import Outputs, Runtime
from tagger.labels import LabelSet

MIN_LABELS_LEFT_OUT = 3  # with two labels, leaving one out leaves nothing to know
WORST_SHOWN = 48
MAX_LEFT_OUT_PHOTOS = 4_000  # training photos a reference is made of once for each label left out


def judge(
    labels: LabelSet,
    paths: Sequence[Path],
    outputs: LabelledOutputs,
    decisions: Sequence[Decision],
    temperature: float,
) -> dict[str, Any]:
    """Accuracy, calibration and what was called unknown, as plain JSON values.

    Accuracy is of the likeliest label, whether or not it was then decided. What is told of
    photos that may have several labels, see `tag_evaluation`.
    """
    if labels.kind == "multi":
        return multi_label.judge(labels, paths, outputs, decisions, temperature)
    raw = to_probabilities(outputs.logits, labels.kind)
    calibrated = np.stack([decision.probabilities for decision in decisions])
    predicted = calibrated.argmax(axis=1)
    correct = predicted == outputs.labels
    known = np.array([decision.reason is None for decision in decisions])
    reasons = [decision.reason for decision in decisions]
    before, after = raw.max(axis=1), calibrated.max(axis=1)
    return {
        "photos": len(outputs),
        "accuracy": float(correct.mean()),
        "top_3": metrics.top_k_accuracy(calibrated, outputs.labels, 3) if len(labels) > 3 else None,
        "by_label": metrics.by_label(predicted, outputs.labels, labels.names),
        "confusion": metrics.confusion(predicted, outputs.labels, len(labels)),
        "calibration": {
            "temperature": temperature,
            "ece_before": metrics.expected_calibration_error(before, correct),
            "ece_after": metrics.expected_calibration_error(after, correct),
            "reliability_before": metrics.reliability(before, correct),
            "reliability_after": metrics.reliability(after, correct),
        },
        "decision": {
            "known": float(known.mean()),
            "unfamiliar": reasons.count("unfamiliar") / len(reasons),
            "uncertain": reasons.count("uncertain") / len(reasons),
            "accuracy_of_known": float(correct[known].mean()) if known.any() else None,
        },
        "mistakes": _mistakes(labels, paths, outputs.labels, decisions),
    }


@dataclass(frozen=True)
class Strangers:
    """What the network puts out for M photos of other things: logits (M, C), features (M, D).

    `kinds` are the folders they were in.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    kinds: tuple[str, ...]


def look(
    runtime: Runtime, root: Path, workers: int | None = None, progress: Progress = silent
) -> Strangers:
    """Every readable photo under `root`. Raises DatasetError where there is none."""

    def run(path: Path) -> tuple[Outputs, str] | None:
        try:
            found = runtime.run(decode.prepare(path, runtime.image_size))
        except ImageError:
            return None
        parts = path.relative_to(root).parts
        return found, parts[0] if len(parts) > 1 else root.name

    paths = list(decode.walk(root))
    answers = ordered_map(run, paths, workers)
    rows = [row for row in progress(answers, len(paths), "Unrelated photos") if row]
    if not rows:
        raise DatasetError(f"{root}: no readable photos of unrelated things in it")
    logits = np.stack([found.logits for found, _ in rows])
    features = np.stack([found.features for found, _ in rows])
    return Strangers(logits, features, tuple(kind for _, kind in rows))


def judge_unrelated(
    rule: DecisionRule, validation: LabelledOutputs, strangers: Strangers
) -> dict[str, Any]:
    """How well "unknown" tells photos of other things from validation photos."""
    decisions = rule.decide(strangers.logits, strangers.features)
    accepted = np.array([decision.reason is None for decision in decisions])
    known = rule.ood_distance(validation.logits, validation.features)
    unknown = rule.ood_distance(strangers.logits, strangers.features)
    rows = np.array(strangers.kinds)
    return {
        "measured_on": "unrelated photos",
        "photos": len(decisions),
        "auroc": metrics.auroc(known, unknown),
        "fpr95": metrics.fpr95(known, unknown),
        "accepted": float(accepted.mean()),
        "by_kind": {
            kind: {
                "photos": int((rows == kind).sum()),
                "accepted": float(accepted[rows == kind].mean()),
            }
            for kind in sorted(set(strangers.kinds))
        },
    }


def judge_left_out(
    labels: LabelSet,
    train: LabelledOutputs,
    validation: LabelledOutputs,
    temperature: float,
    seed: int,
) -> dict[str, Any] | None:
    """The same with each label in turn as the unknown one; None for fewer than three, or tags.

    The backbone has seen the label that is left out, so other unknown things may differ.
    """
    if len(labels) < MIN_LABELS_LEFT_OUT or labels.kind == "multi":
        return None
    rows = np.random.default_rng(seed).permutation(len(train))[:MAX_LEFT_OUT_PHOTOS]
    train = train.take(rows)
    by_kind = {}
    for index, name in enumerate(labels.names):
        left_out = validation.labels == index
        if not left_out.any() or left_out.all():
            continue
        scale, vectors = summarise(train.features[train.labels != index], seed)
        distances = neighbour_distance(unit_vectors(validation.features / scale), vectors)
        others = np.delete(validation.logits, index, axis=1)
        strangeness = guided_distance(distances, others / temperature, labels.kind)
        known, unknown = strangeness[~left_out], strangeness[left_out]
        by_kind[name] = {
            "photos": int(left_out.sum()),
            "auroc": metrics.auroc(known, unknown),
            "fpr95": metrics.fpr95(known, unknown),
        }
    return {
        "measured_on": "labels left out in turn",
        "photos": len(validation),
        "auroc": float(np.mean([row["auroc"] for row in by_kind.values()])),
        "fpr95": float(np.mean([row["fpr95"] for row in by_kind.values()])),
        "accepted": None,
        "by_kind": by_kind,
    }


def _mistakes(
    labels: LabelSet,
    paths: Sequence[Path],
    truth: NDArray[np.int64],
    decisions: Sequence[Decision],
) -> list[dict[str, Any]]:
    """Photos with another label than theirs, the surest first."""
    rows: list[dict[str, Any]] = [
        {
            "path": str(path),
            "label": labels.names[label],
            "predicted": labels.names[decision.best],
            "probability": float(decision.probabilities[decision.best]),
            "unknown": decision.reason is not None,
        }
        for path, label, decision in zip(paths, truth, decisions, strict=True)
        if decision.best != label
    ]
    return sorted(rows, key=lambda row: -row["probability"])[:WORST_SHOWN]
