"""Judging a model whose photos may have several labels, or none; some cells nobody looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger import metrics
from tagger.calibration import LabelledOutputs
from tagger.decision import Decision, to_probabilities
from tagger.labels import LabelSet
from tagger.splits import PRESENT, UNSEEN

WORST_SHOWN = 48

Json = dict[str, Any]


def judge(
    labels: LabelSet,
    paths: Sequence[Path],
    outputs: LabelledOutputs,
    decisions: Sequence[Decision],
    temperature: float,
) -> Json:
    """Average precision, F1, calibration and what was called unknown, as plain JSON values.

    `accuracy` is the share of cells that are right, `accuracy_of_silence` what no tags at all
    would score: where tags are rare, most of the accuracy is that.
    """
    known = outputs.labels
    calibrated = np.stack([decision.probabilities for decision in decisions])
    said = np.zeros(known.shape, bool)
    for row, decision in enumerate(decisions):
        said[row, list(decision.tags)] = True
    counts = metrics.tag_counts(said, known)
    by_label = _by_label(labels, calibrated, known, counts)
    told = [row["f1"] for row in by_label.values() if row["photos"]]
    return {
        "photos": len(outputs),
        "map": _or_none(metrics.mean_average_precision(calibrated, known)),
        "map_least_photos": metrics.MIN_POSITIVES,
        "accuracy": metrics.cell_accuracy(said, known),
        "accuracy_of_silence": metrics.cell_accuracy(np.zeros_like(said), known),
        "micro_f1": float(metrics.f1(*(count.sum() for count in counts.values()))),
        "macro_f1": float(np.mean(told)) if told else 0.0,
        "by_label": by_label,
        "calibration": _calibration(outputs, calibrated, temperature),
        "decision": _decided(said, known, decisions),
        "mistakes": _mistakes(labels, paths, known, decisions),
    }


def _by_label(
    labels: LabelSet,
    probabilities: NDArray[np.floating[Any]],
    known: NDArray[np.int8],
    counts: dict[str, NDArray[np.int64]],
) -> dict[str, Json]:
    precisions = metrics.average_precisions(probabilities, known)
    rows = zip(labels.names, precisions, *counts.values(), strict=True)
    seen = (known != UNSEEN).sum(axis=0)
    return {
        name: {
            "ap": ap,
            "precision": float(right / max(right + wrong, 1)),
            "recall": float(right / max(right + missed, 1)),
            "f1": float(metrics.f1(right, wrong, missed)),
            "photos": int(right + missed),
            "seen": int(seen[index]),
        }
        for index, (name, ap, right, wrong, missed) in enumerate(rows)
    }


def _calibration(
    outputs: LabelledOutputs, calibrated: NDArray[np.floating[Any]], temperature: float
) -> Json:
    """Over all cells somebody looked at: how likely a tag was said to be, how often it was."""
    seen = outputs.labels != UNSEEN
    truth = outputs.labels[seen] == PRESENT
    raw = to_probabilities(outputs.logits, "multi")[seen]
    found: Json = {"temperature": temperature}
    for when, scores in (("before", raw), ("after", calibrated[seen])):
        found[f"ece_{when}"] = metrics.expected_calibration_error(scores, truth)
        found[f"reliability_{when}"] = metrics.reliability(scores, truth)
    return found


def _decided(
    said: NDArray[np.bool_], known: NDArray[np.int8], decisions: Sequence[Decision]
) -> Json:
    """What became of the photos: tagged or called unknown, and how much of what was said is right.

    `known` is of photos that have a tag; `silent` the share of the others, in which every tag
    that was looked for is absent, that rightly get none.
    """
    present: NDArray[np.bool_] = known == PRESENT
    tagged, answered = np.any(present, axis=1), np.any(said, axis=1)
    reasons = [decision.reason for decision in decisions]
    checked = said & (known != UNSEEN)
    return {
        "known": _share(np.asarray(answered[tagged])),
        "unfamiliar": reasons.count("unfamiliar") / len(reasons),
        "uncertain": reasons.count("uncertain") / len(reasons),
        "silent": _share(np.asarray(~answered[~tagged])),
        "photos_without_tags": int(len(tagged) - np.sum(tagged)),
        "accuracy_of_known": _share(present[checked]),
    }


def _mistakes(
    labels: LabelSet,
    paths: Sequence[Path],
    known: NDArray[np.int8],
    decisions: Sequence[Decision],
) -> list[Json]:
    """Tags said that are absent and tags present that were held unlikely, the surest first."""
    probabilities = np.stack([decision.probabilities for decision in decisions])
    wrongness = np.where(known == PRESENT, 1 - probabilities, probabilities)
    wrongness[known == UNSEEN] = 0
    order = np.argsort(-wrongness, axis=None, kind="stable")[:WORST_SHOWN]
    rows, tags = np.unravel_index(order, known.shape)
    return [
        {
            "path": str(paths[row]),
            "label": name if known[row, tag] == PRESENT else f"no {name}",
            "predicted": f"no {name}" if known[row, tag] == PRESENT else name,
            "probability": float(wrongness[row, tag]),
            "unknown": decisions[row].reason is not None,
        }
        for row, tag in zip(rows.tolist(), tags.tolist(), strict=True)
        if wrongness[row, tag] > 0.5
        for name in (labels.names[tag],)
    ]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
