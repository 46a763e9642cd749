"""Counts over the library: photos by state, label, model, confidence and day."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tagger.library.database.schema import labels, models, photos, predictions, tags
from tagger.library.derivation import MODEL
from tagger.library.search.conditions import DELETED

BINS = 20  # of the confidence histogram


@dataclass(frozen=True)
class Statistics:
    """Counts of photos that are not deleted, except for `deleted`; `bytes` is their total size.

    `by_label` and `by_model` are most frequent first; several models may have tagged a photo.
    `confidence[i]` counts photos with a confidence from i/20 to (i+1)/20. `added` counts by day,
    "2026-11-21", in UTC.
    """

    photos: int
    deleted: int
    tagged: int
    untagged: int
    reviewed: int
    bytes: int
    by_label: tuple[tuple[str, int], ...]
    by_model: tuple[tuple[str, int], ...]
    confidence: tuple[int, ...]
    added: tuple[tuple[str, int], ...]


def gather(connection: Connection) -> Statistics:
    """All statistics of the library."""
    is_present = photos.c.deleted_by.is_(None)
    total, tagged, reviewed, size = connection.execute(
        select(
            func.count(),
            func.count().filter(photos.c.tag_count > 0),
            func.count().filter(photos.c.reviewed),
            func.coalesce(func.sum(photos.c.size), 0),
        ).where(is_present)
    ).one()
    deleted = connection.scalar(select(func.count()).where(photos.c.deleted_by.is_not(None)))
    number = func.count().label("number")
    # Grouped by ids alone, from one index: rows of photos are not read.
    counts = (
        select(tags.c.label_id, number)
        .where(tags.c.photo_id.not_in(DELETED))
        .group_by(tags.c.label_id)
        .subquery()
    )
    by_label = connection.execute(
        select(labels.c.name, counts.c.number)
        .join(counts, counts.c.label_id == labels.c.id)
        .where(~labels.c.hidden)
        .order_by(counts.c.number.desc(), labels.c.name)
    )
    looked_at = (
        select(predictions.c.model_id, number)
        .where(predictions.c.ended_by.is_(None), predictions.c.photo_id.not_in(DELETED))
        .group_by(predictions.c.model_id)
        .subquery()
    )
    by_model = connection.execute(
        select(models.c.name, looked_at.c.number)
        .join(looked_at, looked_at.c.model_id == models.c.id)
        .where(models.c.kind == MODEL)
        .order_by(looked_at.c.number.desc(), models.c.name)
    )
    day = func.date(photos.c.added_at).label("day")
    added = connection.execute(select(day, number).where(is_present).group_by(day).order_by(day))
    return Statistics(
        photos=total,
        deleted=deleted or 0,
        tagged=tagged,
        untagged=total - tagged,
        reviewed=reviewed,
        bytes=int(size),
        by_label=tuple((row[0], row[1]) for row in by_label),
        by_model=tuple((row[0], row[1]) for row in by_model),
        confidence=_histogram(connection),
        added=tuple((str(row[0]), row[1]) for row in added),
    )


def _histogram(connection: Connection) -> tuple[int, ...]:
    confidence = photos.c.confidence
    last = BINS - 1
    bins = [
        func.count().filter(
            confidence >= i / BINS, confidence < (i + 1) / BINS if i < last else confidence <= 1
        )
        for i in range(BINS)
    ]
    return tuple(connection.execute(select(*bins).where(photos.c.deleted_by.is_(None))).one())
