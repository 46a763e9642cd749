"""Photos of the catalogue: found by id or digest, added, deleted and brought back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from tagger.concurrency import chunks
from tagger.images.decode import Facts
from tagger.library.database.schema import (
    labels,
    models,
    photos,
    predictions,
    presences,
    tags,
    verdicts,
)
from tagger.library.records import Annotation, Photo, StoredPrediction, Tag
from tagger.library.search.grammar import fold
from tagger.library.tags import CHUNK

MAX_ID = 2**31  # beyond what a database holds: PostgreSQL counts in 32 bits


@dataclass(frozen=True)
class NewPhoto:
    """A photo about to be added. `path` is relative to the library where `stored`."""

    sha256: str
    name: str
    path: str
    stored: bool
    size: int
    facts: Facts


@dataclass(frozen=True)
class ExistingPhoto:
    """What the library already has under a digest."""

    id: int
    path: str
    stored: bool
    size: int
    deleted: bool


def find_by_digest(connection: Connection, digests: Iterable[str]) -> dict[str, ExistingPhoto]:
    """The photos with these digests, deleted or not, by digest."""
    columns = photos.c.id, photos.c.path, photos.c.stored, photos.c.size, photos.c.deleted_by
    found: dict[str, ExistingPhoto] = {}
    for some in chunks(digests, CHUNK):
        query = select(photos.c.sha256, *columns).where(photos.c.sha256.in_(some))
        for row in connection.execute(query):
            gone = row.deleted_by is not None
            found[row.sha256] = ExistingPhoto(row.id, row.path, row.stored, row.size, gone)
    return found


def filter_tagged_by(connection: Connection, photo_ids: Iterable[int], model_id: int) -> set[int]:
    """Those that this model was the last to look at."""
    found: set[int] = set()
    for some in chunks(photo_ids, CHUNK):
        query = select(predictions.c.photo_id).where(
            predictions.c.photo_id.in_(some),
            predictions.c.model_id == model_id,
            predictions.c.ended_by.is_(None),
        )
        found.update(connection.scalars(query))
    return found


def add(connection: Connection, run_id: int, arrivals: Sequence[NewPhoto]) -> dict[str, int]:
    """New photos, no two the same; their ids by digest."""
    origin = {"added_at": datetime.now(UTC), "added_by": run_id}
    ids: dict[str, int] = {}
    for some in chunks(arrivals, CHUNK):
        new = insert(photos).returning(photos.c.sha256, photos.c.id)
        rows = connection.execute(new, [_row(arrival) | origin for arrival in some])
        ids.update((row.sha256, row.id) for row in rows)
    _place(connection, run_id, ids.values())
    return ids


def relocate(connection: Connection, photo_id: int, path: str, stored: bool) -> None:
    """Note where a photo's file lives now."""
    connection.execute(
        update(photos).where(photos.c.id == photo_id).values(path=path, stored=stored)
    )


def restore(connection: Connection, run_id: int, photo_ids: Sequence[int]) -> None:
    """Undelete photos, with all that was ever said of them."""
    _place(connection, run_id, photo_ids)
    refresh_deleted(connection, photo_ids)


def delete_photos(connection: Connection, run_id: int, photo_ids: Sequence[int]) -> None:
    """Delete photos so that they can be brought back."""
    for some in chunks(photo_ids, CHUNK):
        connection.execute(
            update(presences)
            .where(presences.c.photo_id.in_(some), presences.c.ended_by.is_(None))
            .values(ended_by=run_id)
        )
    refresh_deleted(connection, photo_ids)


def refresh_deleted(connection: Connection, photo_ids: Iterable[int]) -> None:
    """Bring `deleted_by`, which searches go by, up to date."""
    last = (
        select(presences.c.ended_by)
        .where(presences.c.photo_id == photos.c.id)
        .order_by(presences.c.ended_by.is_(None).desc(), presences.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    for some in chunks(photo_ids, CHUNK):
        connection.execute(update(photos).where(photos.c.id.in_(some)).values(deleted_by=last))


def filter_existing(connection: Connection, photo_ids: Iterable[int]) -> list[int]:
    """Those that are in the library and not deleted, each once, in order."""
    wanted = [photo_id for photo_id in dict.fromkeys(photo_ids) if 0 < photo_id < MAX_ID]
    found: set[int] = set()
    for some in chunks(wanted, CHUNK):
        query = select(photos.c.id).where(photos.c.id.in_(some), photos.c.deleted_by.is_(None))
        found.update(connection.scalars(query))
    return [photo_id for photo_id in wanted if photo_id in found]


def load_names(connection: Connection, photo_ids: Sequence[int]) -> dict[int, str]:
    """What photos are called, by id."""
    found: dict[int, str] = {}
    for some in chunks(photo_ids, CHUNK):
        rows = connection.execute(select(photos.c.id, photos.c.name).where(photos.c.id.in_(some)))
        found.update((row.id, row.name) for row in rows)
    return found


def purge(connection: Connection) -> list[tuple[str, str | None]]:
    """Remove deleted photos for good; the digest of each, and where the library's copy is."""
    gone = photos.c.deleted_by.is_not(None)
    rows = connection.execute(select(photos.c.sha256, photos.c.path, photos.c.stored).where(gone))
    found = [(row.sha256, row.path if row.stored else None) for row in rows]
    connection.execute(delete(photos).where(gone))
    return found


def load_photos(connection: Connection, photo_ids: Sequence[int], home: Path) -> Iterator[Photo]:
    """Photos by id with their tags, in the order asked for; unknown ids are passed over."""
    for some in chunks(photo_ids, CHUNK):
        query = (
            select(photos, models.c.name.label("model"))
            .outerjoin(models, models.c.id == photos.c.model_id)
            .where(photos.c.id.in_(some))
        )
        rows = {row.id: row for row in connection.execute(query)}
        tagged = _tags(connection, some)
        for photo_id in some:
            if photo_id in rows:
                yield _photo(rows[photo_id], tuple(tagged[photo_id]), home)


def load_prediction(connection: Connection, photo_id: int) -> StoredPrediction | None:
    """What the last model to look at it says of a photo."""
    row = connection.execute(
        select(predictions, models.c.name.label("model"), models.c.sha256)
        .join(models, models.c.id == predictions.c.model_id)
        .where(predictions.c.photo_id == photo_id, predictions.c.ended_by.is_(None))
    ).first()
    if row is None:
        return None
    return StoredPrediction(
        label=row.label,
        confidence=row.confidence,
        reason=row.reason,
        ood_score=row.ood_score,
        scores=tuple((name, score) for name, score in row.scores),
        model=row.model,
        model_sha256=row.sha256,
        operation_id=row.run_id,
        made_at=row.made_at,
    )


def load_annotations(connection: Connection, photo_id: int) -> list[Annotation]:
    """What people say of a photo now, by label."""
    query = (
        select(verdicts, labels.c.name)
        .join(labels, labels.c.id == verdicts.c.label_id)
        .where(verdicts.c.photo_id == photo_id, verdicts.c.ended_by.is_(None))
        .order_by(labels.c.name)
    )
    return [
        Annotation(row.name, row.present, row.run_id, row.made_at)
        for row in connection.execute(query)
    ]


def _row(arrival: NewPhoto) -> dict[str, Any]:
    return {
        "sha256": arrival.sha256,
        "name": arrival.name,
        "name_folded": fold(arrival.name),
        "path": arrival.path,
        "stored": arrival.stored,
        "size": arrival.size,
        "width": arrival.facts.width,
        "height": arrival.facts.height,
        "taken_at": arrival.facts.taken_at,
    }


def _place(connection: Connection, run_id: int, photo_ids: Iterable[int]) -> None:
    rows = [{"photo_id": photo_id, "run_id": run_id} for photo_id in photo_ids]
    if rows:
        connection.execute(insert(presences), rows)


def _tags(connection: Connection, photo_ids: Sequence[int]) -> dict[int, list[Tag]]:
    """Of each photo: a person's first, then the surest."""
    query = (
        select(
            *(tags.c.photo_id, labels.c.name, tags.c.score, tags.c.threshold, tags.c.by_person),
            *(models.c.name, models.c.sha256, tags.c.run_id, tags.c.made_at),  # as a Tag has them
        )
        .join(labels, labels.c.id == tags.c.label_id)
        .outerjoin(models, models.c.id == tags.c.model_id)
        .where(tags.c.photo_id.in_(photo_ids))
        .order_by(tags.c.by_person.desc(), tags.c.score.desc().nulls_last(), labels.c.name)
    )
    found: dict[int, list[Tag]] = defaultdict(list)
    for photo_id, *tag in connection.execute(query).all():
        found[photo_id].append(Tag(*tag))
    return found


def _photo(row: Row[Any], tagged: tuple[Tag, ...], home: Path) -> Photo:
    return Photo(
        id=row.id,
        sha256=row.sha256,
        name=row.name,
        path=home / row.path if row.stored else Path(row.path),
        stored=row.stored,
        size=row.size,
        width=row.width,
        height=row.height,
        added_at=row.added_at,
        taken_at=row.taken_at,
        unknown=row.unknown,
        reviewed=row.reviewed,
        confidence=row.confidence,
        doubt=row.doubt,
        model=row.model,
        tags=tagged,
    )
