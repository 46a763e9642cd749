"""Photos that an earlier version of a model tagged, and what tagging them again would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, func, select

from tagger.library.database.schema import files, models, photos, runs
from tagger.library.records import Annotation, Photo
from tagger.tagger import Prediction, Tagger
from tagger.text import fold


@dataclass(frozen=True)
class TagChange:
    """The tags that a photo would get and lose."""

    photo: Photo
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class RetagPreview:
    """What tagging photos again would change, of a sample of them.

    `changes` are of the photos of the sample that would change; `unreadable` ones never would.
    """

    sample: int
    changes: tuple[TagChange, ...]
    unreadable: int

    def added(self) -> list[tuple[str, int]]:
        """The tags that photos would get, with the number of photos, most frequent first."""
        return Counter(tag for change in self.changes for tag in change.added).most_common()

    def removed(self) -> list[tuple[str, int]]:
        """The tags that photos would lose, likewise."""
        return Counter(tag for change in self.changes for tag in change.removed).most_common()


def count_outdated(connection: Connection, tagger: Tagger) -> int:
    """The number of photos whose tags are by another model of the same name.

    Left out are photos that could not be read when this one was to tag them again.
    """
    query = select(func.count()).where(_is_outdated(connection, tagger))
    return int(connection.execute(query).scalar_one())


def find_outdated(connection: Connection, tagger: Tagger) -> list[int]:
    """The ids of these photos, ascending."""
    query = select(photos.c.id).where(_is_outdated(connection, tagger)).order_by(photos.c.id)
    return list(connection.scalars(query))


def choose_sample(photo_ids: Sequence[int], count: int) -> list[int]:
    """At most `count` photos, spread evenly."""
    if len(photo_ids) <= count:
        return list(photo_ids)
    return [photo_ids[number * len(photo_ids) // count] for number in range(count)]


def compare(photo: Photo, annotations: Sequence[Annotation], prediction: Prediction) -> TagChange:
    """How a photo's tags change with a prediction; a person's answers count as before."""
    current = {fold(tag.label): tag.label for tag in photo.tags}
    absent = {fold(each.label) for each in annotations if not each.present}
    predicted = {fold(tag.label): tag.label for tag in prediction.tags}
    kept = {fold(tag.label) for tag in photo.tags if tag.by_person}
    return TagChange(
        photo,
        tuple(label for key, label in predicted.items() if key not in current.keys() | absent),
        tuple(label for key, label in current.items() if key not in predicted.keys() | kept),
    )


def _is_outdated(connection: Connection, tagger: Tagger) -> ColumnElement[bool]:
    versions = select(models.c.id).where(
        models.c.name == tagger.name, models.c.sha256 != tagger.sha256
    )
    ids = connection.scalars(versions).all()  # a short list is faster than a subquery
    is_outdated = photos.c.deleted_by.is_(None) & photos.c.model_id.in_(ids)
    jobs = _find_retagging(connection, tagger) if ids else []
    if not jobs:
        return is_outdated
    failed = files.c.run_id.in_(jobs), files.c.outcome == "failed", files.c.photo_id.is_not(None)
    return is_outdated & photos.c.id.not_in(select(files.c.photo_id).where(*failed))


def _find_retagging(connection: Connection, tagger: Tagger) -> list[int]:
    """The jobs that tagged photos again with this model."""
    since = connection.scalar(
        select(models.c.first_used_at).where(models.c.sha256 == tagger.sha256)
    )
    if since is None:
        return []
    query = select(runs.c.id, runs.c.options).where(
        runs.c.kind == "retag", runs.c.finished_at >= since
    )
    rows = connection.execute(query)
    return [row.id for row in rows if Path(row.options["model"]).stem == tagger.name]
