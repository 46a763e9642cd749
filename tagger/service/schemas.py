"""What goes over the wire: the types of requests and answers, as OpenAPI tells them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tagger.errors import ImageError
from tagger.service.predictor import PhotoResult

Probability = Field(ge=0, le=1)
EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "predictions": [{"label": "dog", "score": 0.9731}, {"label": "cat", "score": 0.0269}],
        "label": "dog",
        "confidence": 0.9731,
        "unknown": False,
        "reason": None,
        "ood_score": 0.12,
        "tags": [{"label": "dog", "score": 0.9731}],
        "model": "pets",
        "id": "019aba2f6c3d7a6f9c3f4f1c2d3e4f50",
    },
    {
        "predictions": [{"label": "cat", "score": 0.5524}, {"label": "dog", "score": 0.4476}],
        "label": None,
        "confidence": 0.5524,
        "unknown": True,
        "reason": "unfamiliar",
        "ood_score": 0.9989,
        "tags": [],
        "model": "pets",
        "id": "019aba2f6c4b71d09c3f4f1c2d3e4f51",
    },
)


class LabelScore(BaseModel):
    """A label with its calibrated probability."""

    label: str
    score: float = Probability


class Answer(BaseModel):
    """What the model says of one photo.

    `label` is null where it is unknown, and `reason` tells why: "unfamiliar" (unlike every
    training photo) or "uncertain" (between labels). `ood_score` is the share of validation photos
    less strange than this one. `tags` are the labels decided, `predictions` the likeliest.
    """

    predictions: list[LabelScore]
    label: str | None
    confidence: float = Probability
    unknown: bool
    reason: Literal["unfamiliar", "uncertain"] | None
    ood_score: float | None = Field(ge=0, le=1)
    tags: list[LabelScore]
    model: str
    id: str = Field(description="what the answer is written down under")
    heatmap: str | None = Field(
        None,
        description="where asked for: the photo, what speaks for the label painted on it, as"
        " the data URI of a JPEG",
    )


class Unread(BaseModel):
    """A photo of several that could not be read."""

    error: str


class Answers(BaseModel):
    """Of several photos, in the order they came in."""

    results: list[Answer | Unread]


class Problem(BaseModel):
    """Why there is no answer, in a sentence; of a query, also where in it."""

    detail: str
    position: int | None = None


class ModelLine(BaseModel):
    """A model, shortly."""

    name: str
    kind: Literal["single", "multi"]
    labels: int
    about: str
    backbone: str


class ModelList(BaseModel):
    """The models that can be asked for, and the one that answers unless another is."""

    active: str
    models: list[ModelLine]


class Reload(BaseModel):
    """The model that is to answer from now on; null: the same one, from its file."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"model": "pets"}]})

    model: str | None = None


class Reloaded(BaseModel):
    """The model that answers now."""

    model: str
    sha256: str


class Alive(BaseModel):
    """This process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """A model answers, and answers can be written down."""

    status: Literal["ready"] = "ready"
    model: str


class HourLine(BaseModel):
    """One hour of answers, in UTC; `within` counts those that took at most so many seconds."""

    hour: str
    answers: int
    unknown: float
    mean_seconds: float
    max_seconds: float
    within: dict[str, int]


class Stats(BaseModel):
    """What was answered, in all and hour by hour over the last day."""

    answers: int
    unknown: int
    unknown_share: float | None
    labels: dict[str, int]
    models: dict[str, int]
    hours: list[HourLine]


class PhotoTag(BaseModel):
    """A tag of a photo in the library, and where it comes from."""

    label: str
    score: float | None
    by_person: bool
    model: str | None


class PhotoLine(BaseModel):
    """A photo of the library."""

    id: int
    name: str
    sha256: str
    width: int
    height: int
    added_at: str
    taken_at: str | None
    unknown: bool
    reviewed: bool
    confidence: float | None
    tags: list[PhotoTag]


class PhotoPage(BaseModel):
    """Some of the photos that a query finds, and how many there are in all."""

    total: int
    photos: list[PhotoLine]


def to_json(answered: PhotoResult | ImageError) -> dict[str, Any]:
    """An `Answer` or `Unread` as JSON values. They are known to be right, so nothing checks them
    again: it would cost as much as half of the network."""
    if isinstance(answered, ImageError):
        return {"error": str(answered)}
    said = answered.prediction
    told: dict[str, Any] = {
        "predictions": [{"label": s.label, "score": s.score} for s in said.scores],
        "label": said.label,
        "confidence": said.confidence,
        "unknown": said.unknown,
        "reason": said.reason,
        "ood_score": said.ood_score,
        "tags": [{"label": s.label, "score": s.score} for s in said.tags],
        "model": answered.model,
        "id": answered.id,
    }
    return told if answered.heatmap is None else {**told, "heatmap": answered.heatmap}
