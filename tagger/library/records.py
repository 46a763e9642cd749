"""Records of the library: photos, tags, predictions and annotations, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tagger.inference.decision import Reason

FAVOURITE = 5  # the highest rating

Sort = Literal[
    "newest",
    "oldest",
    "timeline",  # by when they were taken, else added, the latest first
    "taken",
    "rating",
    "name",
    "surest",
    "doubtful",
    "likeness",
]


@dataclass(frozen=True)
class Tag:
    """A current tag of a photo, and its origin.

    `score` in [0, 1] is the model's; None if only a person gave the tag. `by_person`: a person
    added or confirmed it. `model` and `model_sha256` are the model that gave it, if one did;
    `operation_id` and `made_at` the operation that made it, and when.
    """

    label: str
    score: float | None
    threshold: float | None
    by_person: bool
    model: str | None
    model_sha256: str | None
    operation_id: int
    made_at: datetime


@dataclass(frozen=True)
class Photo:
    """A photo of the library with its tags: those given by a person first, then by score.

    `path` is the photo's file; `stored`: it is the library's own copy. `size` is in bytes, `width`
    and `height` in pixels, upright. `taken_at` is the camera's time, without a time zone.
    `unknown`: no model gave a tag and there is no annotation. `model` is the first of those in use
    that looked at it, `confidence` in [0, 1] that model's. `missing`: the file was, when an import
    last looked for it, or another picture was in its place. `rating` is 1 to 5, a favourite, or 0
    without one.
    """

    id: int
    sha256: str
    name: str
    path: Path
    stored: bool
    size: int
    width: int
    height: int
    added_at: datetime
    taken_at: datetime | None
    unknown: bool
    reviewed: bool
    confidence: float | None
    model: str | None
    tags: tuple[Tag, ...]
    missing: bool = False
    rating: int = 0
    caption: str | None = None

    @property
    def dated_at(self) -> datetime:
        """When it was taken, else when it was added, in UTC; without a time zone."""
        return self.taken_at or self.added_at.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class StoredPrediction:
    """The stored part of a `tagger.Prediction`, with its model, operation and time.

    `by_head`: it is by a tag that was learnt from examples, whose name `model` is.
    """

    label: str | None
    confidence: float
    reason: Reason | None
    ood_score: float | None
    scores: tuple[tuple[str, float], ...]
    model: str
    model_sha256: str
    operation_id: int
    made_at: datetime
    by_head: bool = False


@dataclass(frozen=True)
class Annotation:
    """A person's answer about a tag: it belongs to the photo (`present`), or does not."""

    label: str
    present: bool
    operation_id: int
    made_at: datetime


@dataclass(frozen=True)
class AddedPhoto:
    """The result of adding one photo; a `duplicate` may have changed nothing, without operation."""

    photo: Photo
    duplicate: bool
    operation_id: int | None


@dataclass(frozen=True)
class DescriptionSummary:
    """How the descriptions of a search were answered.

    `unknown_words` were passed over, as the model does not know them. `left_out` is the number of
    photos that match too, beyond the best that are kept. `not_compared` photos have no vector yet.
    `fallback`: no photo has tags for all words of the search, so that they were taken as a
    description; this query, with `like:`, finds the same photos. `missing_tags` are the tags of the
    vocabulary that its words mean and that no photo has. Not `understood`: such words of which the
    model knows none, so that nothing was found.
    """

    model: str
    unknown_words: tuple[str, ...]
    left_out: int
    not_compared: int
    fallback: str | None = None
    missing_tags: tuple[str, ...] = ()
    understood: bool = True


@dataclass(frozen=True)
class PhotoPage:
    """A page of the photos that match a search, and the total number of matches.

    Why each photo matches, by its id: `matching_tags` are those of its tags that the words of the
    search find, `likeness` is how alike it is to a description, in standard deviations (see
    `inference.words.likeness`). `description` says how descriptions were answered. `tag_query` is
    a query for the same photos where the search was read as plain words that name tags: `dog AND
    snow` for "a dog in the snow".
    """

    photos: tuple[Photo, ...]
    total: int
    description: DescriptionSummary | None = None
    likeness: Mapping[int, float] = field(default_factory=dict)
    matching_tags: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    tag_query: str | None = None
