"""Request and response models; their docstrings are the descriptions in the OpenAPI schema."""

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
    """The prediction for one photo.

    `label` is null if the photo is unknown, and `reason` says why: "unfamiliar" (unlike every
    training photo) or "uncertain" (between labels). `ood_score` is the share of validation photos
    that are closer to the training photos than this one. `tags` are the labels above their
    thresholds, `predictions` the likeliest labels.
    """

    predictions: list[LabelScore]
    label: str | None
    confidence: float = Probability
    unknown: bool
    reason: Literal["unfamiliar", "uncertain"] | None
    ood_score: float | None = Field(ge=0, le=1)
    tags: list[LabelScore]
    model: str
    id: str = Field(description="the answer's id in the database")
    squares: int | None = Field(None, description="of a panorama: how many squares were looked at")
    heatmap: str | None = Field(
        None,
        description="if requested: the label's heatmap painted on the photo, a JPEG as a data URI",
    )


class Unread(BaseModel):
    """A photo of several that could not be read."""

    error: str


class Answers(BaseModel):
    """One result per photo, in their order."""

    results: list[Answer | Unread]


class Problem(BaseModel):
    """Why there is no answer, in a sentence; for a query also the position of the error."""

    detail: str
    position: int | None = None


class ModelLine(BaseModel):
    """A model in the list of models."""

    name: str
    kind: Literal["single", "multi"]
    labels: int
    about: str
    backbone: str


class ModelList(BaseModel):
    """The models that a request can name, and the active one, which answers all others."""

    active: str
    models: list[ModelLine]


class Reload(BaseModel):
    """The model to activate; null: the active one, from its file."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"model": "pets"}]})

    model: str | None = None


class Reloaded(BaseModel):
    """The active model."""

    model: str
    sha256: str


class Alive(BaseModel):
    """This process is alive."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The model works, and answers can be written down."""

    status: Literal["ready"] = "ready"
    model: str


class HourLine(BaseModel):
    """The answers of one hour in UTC; `within` counts those that took at most so many seconds."""

    hour: str
    answers: int
    unknown: float
    mean_seconds: float
    max_seconds: float
    within: dict[str, int]


class Stats(BaseModel):
    """Counts of all answers, and the last day hour by hour."""

    answers: int
    unknown: int
    unknown_share: float | None
    labels: dict[str, int]
    models: dict[str, int]
    hours: list[HourLine]


class PhotoTag(BaseModel):
    """A tag of a photo in the library, and its origin."""

    label: str
    score: float | None
    by_person: bool
    model: str | None


class PhotoLine(BaseModel):
    """A photo of the library.

    Why it was found: `matching_tags` are those of its tags that the words of the query find;
    `likeness` says how much it looks like the description of the query, if that has one, in
    standard deviations above ordinary photos.
    """

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
    likeness: float | None
    tags: list[PhotoTag]
    matching_tags: list[str]


class LibraryPhoto(BaseModel):
    """A photo of the library with its tags; `added` if it was not there before."""

    id: int
    name: str
    sha256: str
    added: bool
    tags: list[PhotoTag]


class TagCount(BaseModel):
    """A tag of the library, and the number of photos that have it."""

    label: str
    photos: int


class TagList(BaseModel):
    """The library's tags, the most frequent first; `may_edit` if this client may add photos."""

    tags: list[TagCount]
    may_edit: bool


class DescriptionSummary(BaseModel):
    """How the descriptions of a query were answered.

    The model passed over the `unknown_words`. `left_out` photos match too, but are not among the
    best 500; `not_compared` photos have not been looked at yet. `fallback`: no photo has tags for
    all words of the query, so that they were taken as a description; this query, with `like:`,
    finds the same photos, as for /export.csv, which takes words as tags alone. `missing_tags` are
    the tags that these words mean and that no photo has. `understood` is false where no photo has
    such tags and the model knows none of the words: nothing was found.
    """

    model: str
    unknown_words: list[str]
    left_out: int
    not_compared: int
    fallback: str | None
    missing_tags: list[str]
    understood: bool


class Interpretation(BaseModel):
    """A word of a query, its `meanings` in the vocabulary, and the library's `tags` it finds."""

    word: str
    meanings: list[str]
    tags: list[str]


class PhotoPage(BaseModel):
    """One page of the photos that match a query, and the number of all matches.

    `words` and `description` say how the query was understood. `tag_query` is a query for the same
    photos, as for /export.csv, where the words were read as the tags that they name: `dog AND snow`
    for "a dog in the snow".
    """

    total: int
    photos: list[PhotoLine]
    words: list[Interpretation]
    tag_query: str | None
    description: DescriptionSummary | None = Field(description="null if the query has none")


def to_json(result: PhotoResult | ImageError) -> dict[str, Any]:
    """An `Answer` or `Unread` as JSON values.

    Not validated by Pydantic, which would take as long as half of the network.
    """
    if isinstance(result, ImageError):
        return {"error": str(result)}
    prediction = result.prediction
    answer: dict[str, Any] = {
        "predictions": [{"label": s.label, "score": s.score} for s in prediction.scores],
        "label": prediction.label,
        "confidence": prediction.confidence,
        "unknown": prediction.unknown,
        "reason": prediction.reason,
        "ood_score": prediction.ood_score,
        "tags": [{"label": s.label, "score": s.score} for s in prediction.tags],
        "model": result.model,
        "id": result.id,
    }
    if prediction.squares > 1:
        answer["squares"] = prediction.squares
    return answer if result.heatmap is None else {**answer, "heatmap": result.heatmap}
