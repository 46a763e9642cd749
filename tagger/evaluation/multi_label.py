"""Judging a model whose photos may have several labels, or none; some cells nobody looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.datasets.splits import ABSENT, PRESENT, UNSEEN
from tagger.errors import DatasetError
from tagger.evaluation import metrics
from tagger.evaluation.outputs import LabelledOutputs
from tagger.inference.decision import Decision, to_probabilities
from tagger.labels import LabelSet

WORST_SHOWN = 48
LIKELY = 0.1  # probability of a tag, from which on its calibration is judged

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
    would score: where tags are rare, most of the accuracy is that. Raises DatasetError where
    nobody looked at any cell.
    """
    known = outputs.labels
    if not (known != UNSEEN).any():
        raise DatasetError("of the photos to judge by, nobody said which tags they have")
    calibrated = np.stack([decision.probabilities for decision in decisions])
    said = np.zeros(known.shape, bool)
    for row, decision in enumerate(decisions):
        said[row, list(decision.tags)] = True
    counts = metrics.tag_counts(said, known)
    by_label = _by_label(labels, calibrated, known, counts)
    told = [row["f1"] for row in by_label.values() if row["photos"]]
    return {
        "photos": len(outputs),
        "map": metrics.mean_average_precision(calibrated, known),
        "map_least_photos": metrics.MIN_POSITIVES,
        "accuracy": metrics.cell_accuracy(said, known),
        "accuracy_of_silence": metrics.cell_accuracy(np.zeros_like(said), known),
        "micro_f1": float(metrics.f1(*(count.sum() for count in counts.values()))),
        "macro_f1": float(np.mean(told)) if told else 0.0,
        "by_label": by_label,
        "calibration": _calibration(outputs, calibrated, temperature),
        "decision": _decided(said, known, decisions),
        "mistakes": _mistakes(labels, paths, said, known, decisions),
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
    """How likely a tag was said to be, and how often it was, where somebody looked.

    Over the cells that are at all likely (`LIKELY`): of the others, most are rightly near 0, and
    would hide the rest.
    """
    seen = (outputs.labels != UNSEEN) & (calibrated >= LIKELY)
    if not seen.any():
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

    `known` is of photos that have a tag; `silent` the share of those without any, of which
    somebody looked for every tag, that rightly get none.
    """
    present: NDArray[np.bool_] = known == PRESENT
    checked = said & (known != UNSEEN)
    tagged, answered = np.any(present, axis=1), np.any(said, axis=1)
    bare: NDArray[np.bool_] = np.all(known == ABSENT, axis=1)
    reasons = [decision.reason for decision in decisions]
    return {
        "known": _share(np.asarray(answered[tagged])),
        "unfamiliar": reasons.count("unfamiliar") / len(reasons),
        "uncertain": reasons.count("uncertain") / len(reasons),
        "silent": _share(np.asarray(~answered[bare])),
        "photos_without_tags": int(np.sum(bare)),
        "accuracy_of_known": _share(present[checked]),
    }


def _mistakes(
    labels: LabelSet,
    paths: Sequence[Path],
    said: NDArray[np.bool_],
    known: NDArray[np.int8],
    decisions: Sequence[Decision],
) -> list[Json]:
    """Tags said that are absent, and tags not said that are present; the surest first.

    `probability` is of what was said: that the tag is there, or that it is not.
    """
    probabilities = np.stack([decision.probabilities for decision in decisions])
    wrong = (said & (known == ABSENT)) | (~said & (known == PRESENT))
    certainty = np.where(said, probabilities, 1 - probabilities)
    rows, tags = np.nonzero(wrong)
    order = np.argsort(-certainty[rows, tags], kind="stable")[:WORST_SHOWN]
    return [
        {
            "path": str(paths[row]),
            "label": f"no {name}" if said[row, tag] else name,
            "predicted": name if said[row, tag] else f"no {name}",
            "probability": float(certainty[row, tag]),
            "unknown": decisions[row].reason is not None,
        }
        for row, tag in zip(rows[order].tolist(), tags[order].tolist(), strict=True)
        for name in (labels.names[tag],)
    ]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None
