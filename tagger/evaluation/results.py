"""Results of an evaluation as frozen dataclasses, and as the JSON of metrics.json and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

MAX_MISTAKES = 48  # kept, the most confident first


def to_json(value: Any) -> Any:
    """Plain JSON values of a dataclass and everything in it, by `to_dict` where a part has one."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        pairs = ((f.metadata.get("key", f.name), getattr(value, f.name)) for f in fields(value))
        return {key: to_json(item) for key, item in pairs}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability diagram: mean confidence and accuracy in [0, 1], and its photos."""

    confidence: float
    accuracy: float
    photos: int


@dataclass(frozen=True)
class CalibrationScores:
    """Expected calibration error in [0, 1] and reliability, before and after temperature scaling.

    Of tags: over cells (a photo and a tag) instead of photos.
    """

    temperature: float
    ece_before: float
    ece_after: float
    reliability_before: Sequence[ReliabilityBin]
    reliability_after: Sequence[ReliabilityBin]


@dataclass(frozen=True)
class LabelMetrics:
    """Precision, recall and F1 of a label in [0, 1], 0 where undefined; photos that have it."""

    precision: float
    recall: float
    f1: float
    photos: int


@dataclass(frozen=True)
class TagMetrics(LabelMetrics):
    """Metrics of a tag. `ap`, average precision, is None where all seen photos agree."""

    ap: float | None
    annotated: int = field(metadata={"key": "seen"})


@dataclass(frozen=True)
class DecisionShares:
    """Shares of photos in [0, 1] by decision: a label, or "unknown" and why.

    For a model of tags `answered` counts only photos that have a tag. `accuracy_of_answered` is
    the share of the decided labels that are right; None where nothing was decided.
    """

    answered: float | None = field(metadata={"key": "known"})
    unfamiliar: float
    uncertain: float
    accuracy_of_answered: float | None = field(metadata={"key": "accuracy_of_known"})


@dataclass(frozen=True)
class TagDecisionShares(DecisionShares):
    """`silent`: share of the fully annotated photos without any tag that rightly get none.

    `tags_a_photo` is the median of those predicted.
    """

    silent: float | None
    photos_without_tags: int
    tags_a_photo: float


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction with its probability; `unknown` where the decision was "unknown"."""

    path: str
    label: str
    predicted: str
    probability: float
    unknown: bool


@dataclass(frozen=True)
class SingleLabelScores:
    """Scores on photos with one label each; `confusion` counts by true label, then predicted."""

    photos: int
    accuracy: float
    top_3: float | None
    by_label: Mapping[str, LabelMetrics]
    confusion: Sequence[Sequence[int]]
    calibration: CalibrationScores
    decision: DecisionShares
    mistakes: Sequence[Mistake]


@dataclass(frozen=True)
class MultiLabelScores:
    """Scores on photos with any number of tags.

    `accuracy` is the share of annotated cells predicted rightly, `accuracy_of_silence` that of
    predicting no tag at all: where tags are rare, most of the accuracy. `map` is None where no
    tag can be ranked.
    """

    photos: int
    map: float | None
    map_least_photos: int
    accuracy: float
    accuracy_of_silence: float
    micro_f1: float
    macro_f1: float
    by_label: Mapping[str, TagMetrics]
    calibration: CalibrationScores
    decision: TagDecisionShares
    mistakes: Sequence[Mistake]


Scores = SingleLabelScores | MultiLabelScores


@dataclass(frozen=True)
class AcceptedShare:
    """Share in [0, 1] of out-of-distribution photos of one kind that got a label."""

    photos: int
    accepted: float


@dataclass(frozen=True)
class LeftOutScores:
    """How well photos of one label are detected by a reference that lacks it."""

    photos: int
    auroc: float
    fpr95: float


@dataclass(frozen=True)
class OodScores:
    """Out-of-distribution detection; `accepted` is None where labels were left out."""

    measured_on: str
    photos: int
    auroc: float
    fpr95: float
    accepted: float | None
    by_kind: Mapping[str, AcceptedShare] | Mapping[str, LeftOutScores]
