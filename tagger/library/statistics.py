"""The library in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tagger.library.database.schema import labels, models, photos, tags

BINS = 20  # of the confidence histogram


@dataclass(frozen=True)
class Statistics:
    """Counts of photos that are not deleted, unless they say otherwise.

    `by_label` is the most frequent first. `confidence[i]` counts photos whose model was sure
    between i/20 and (i+1)/20. `added` is by day, "2026-11-21", in UTC.
    """

    photos: int
    deleted: int
    tagged: int
    unknown: int
    untagged: int
    reviewed: int
    bytes: int
    by_label: tuple[tuple[str, int], ...]
    by_model: tuple[tuple[str, int], ...]
    confidence: tuple[int, ...]
    added: tuple[tuple[str, int], ...]


def gather(connection: Connection) -> Statistics:
    """Count everything once."""
    here = photos.c.deleted_by.is_(None)
    total, tagged, unknown, reviewed, size = connection.execute(
        select(
            func.count(),
            func.count().filter(photos.c.tag_count > 0),
            func.count().filter(photos.c.unknown),
            func.count().filter(photos.c.reviewed),
            func.coalesce(func.sum(photos.c.size), 0),
        ).where(here)
    ).one()
    deleted = connection.scalar(select(func.count()).where(photos.c.deleted_by.is_not(None)))
    many = func.count().label("many")
    by_label = connection.execute(
        select(labels.c.name, many)
        .join(tags, tags.c.label_id == labels.c.id)
        .join(photos, photos.c.id == tags.c.photo_id)
        .where(here)
        .group_by(labels.c.name)
        .order_by(many.desc(), labels.c.name)
    )
    by_model = connection.execute(
        select(models.c.name, many)
        .join(photos, photos.c.model_id == models.c.id)
        .where(here)
        .group_by(models.c.id, models.c.name)
        .order_by(many.desc(), models.c.name)
    )
    day = func.date(photos.c.added_at).label("day")
    added = connection.execute(select(day, many).where(here).group_by(day).order_by(day))
    return Statistics(
        photos=total,
        deleted=deleted or 0,
        tagged=tagged,
        unknown=unknown,
        untagged=total - tagged,
        reviewed=reviewed,
        bytes=int(size),
        by_label=tuple((row[0], row[1]) for row in by_label),
        by_model=tuple((row[0], row[1]) for row in by_model),
        confidence=_histogram(connection),
        added=tuple((str(row[0]), row[1]) for row in added),
    )


def _histogram(connection: Connection) -> tuple[int, ...]:
    sure = photos.c.confidence
    last = BINS - 1
    bins = [
        func.count().filter(sure >= i / BINS, sure < (i + 1) / BINS if i < last else sure <= 1)
        for i in range(BINS)
    ]
    return tuple(connection.execute(select(*bins).where(photos.c.deleted_by.is_(None))).one())
