"""What the catalogue holds, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from tagger.inference.decision import Reason

Sort = Literal["newest", "oldest", "taken", "name", "surest", "doubtful"]


@dataclass(frozen=True)
class Tag:
    """A label a photo has now, and where it comes from.

    `score` in [0, 1] is the model's, None where no model decided it; `by_person` says that a
    person added or confirmed it. `model` and `model_sha256` name the model that decided it, if
    any did; `run_id` and `made_at` the run it comes from and when.
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
    """A photo of the library, with its tags: a person's first, then the surest.

    `path` is where its file lives, `stored` whether that is the library's own copy. `size` is in
    bytes, `width` and `height` in pixels, upright. `taken_at` is by the camera's clock, without a
    time zone. `unknown` says that its model knew no label and nobody has said more; `confidence`
    in [0, 1] is that of the model's answer, `doubt` in [0, 2] how soon it should be reviewed.
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
    doubt: float | None
    model: str | None
    tags: tuple[Tag, ...]


@dataclass(frozen=True)
class StoredPrediction:
    """What a model said of a photo, as `tagger.Prediction`, and which model, when, in which run."""

    label: str | None
    confidence: float
    reason: Reason | None
    ood_score: float | None
    scores: tuple[tuple[str, float], ...]
    model: str
    model_sha256: str
    operation_id: int
    made_at: datetime


@dataclass(frozen=True)
class Annotation:
    """What a person said: that a tag belongs to a photo (`present`), or does not."""

    label: str
    present: bool
    operation_id: int
    made_at: datetime


@dataclass(frozen=True)
class AddedPhoto:
    """A photo added at once by a run; or one that is a `duplicate`, where there may be no run."""

    photo: Photo
    duplicate: bool
    operation_id: int | None


@dataclass(frozen=True)
class PhotoPage:
    """Some of the photos found, and how many there are in all."""

    photos: tuple[Photo, ...]
    total: int
