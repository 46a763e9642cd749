"""Photos in the database: loaded by id or digest, added, deleted and restored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.images.decode import Metadata
from tagger.library import derivation
from tagger.library.database import version
from tagger.library.database.schema import (
    CHUNK,
    labels,
    models,
    photos,
    predictions,
    presences,
    tags,
    verdicts,
)
from tagger.library.records import Annotation, Photo, StoredPrediction, Tag
from tagger.text import fold

TAG_ORDER = tags.c.by_person.desc(), tags.c.score.desc().nulls_last(), labels.c.name
MAX_ID = 2**31  # ids are below: PostgreSQL's integers have 32 bits


@dataclass(frozen=True)
class NewPhoto:
    """A photo to add. `path` is relative to the library if `stored`.

    `phash` is its perceptual hash, see `duplicates.hashes`; None if that is computed later.
    """

    sha256: str
    name: str
    path: str
    stored: bool
    size: int
    metadata: Metadata
    phash: str | None = None


@dataclass(frozen=True)
class ExistingPhoto:
    """A photo of the library, which may be deleted, found by its digest.

    `missing`: its file was, when it was last looked for.
    """

    id: int
    path: str
    stored: bool
    size: int
    added_at: datetime
    deleted: bool
    missing: bool


def find_by_digest(connection: Connection, digests: Iterable[str]) -> dict[str, ExistingPhoto]:
    """The photos with these SHA-256 digests, deleted ones included, by digest."""
    names = ("id", "path", "stored", "size", "added_at", "deleted_by", "missing")
    columns = [photos.c[name] for name in names]
    existing: dict[str, ExistingPhoto] = {}
    for chunk in chunks(digests, CHUNK):
        query = select(photos.c.sha256, *columns).where(photos.c.sha256.in_(chunk))
        for row in connection.execute(query):
            existing[row.sha256] = ExistingPhoto(
                id=row.id,
                path=row.path,
                stored=row.stored,
                size=row.size,
                added_at=row.added_at,
                deleted=row.deleted_by is not None,
                missing=row.missing,
            )
    return existing


def filter_tagged_by(connection: Connection, photo_ids: Iterable[int], model_id: int) -> set[int]:
    """The photos whose current prediction is by this model."""
    ids: set[int] = set()
    for chunk in chunks(photo_ids, CHUNK):
        query = select(predictions.c.photo_id).where(
            predictions.c.photo_id.in_(chunk),
            predictions.c.model_id == model_id,
            predictions.c.ended_by.is_(None),
        )
        ids.update(connection.scalars(query))
    return ids


def add(
    connection: Connection, operation_id: int, new_photos: Sequence[NewPhoto]
) -> dict[str, int]:
    """Add photos with distinct digests; their ids by digest."""
    now = datetime.now(UTC)
    origin = {"added_at": now, "added_by": operation_id}
    ids: dict[str, int] = {}
    for chunk in chunks(new_photos, CHUNK):
        insertion = insert(photos).returning(photos.c.sha256, photos.c.id)
        columns = [_columns(photo) | origin for photo in chunk]
        for row in columns:
            row["dated_at"] = row["taken_at"] or now.replace(tzinfo=None)
        rows = connection.execute(insertion, columns)
        ids.update((row.sha256, row.id) for row in rows)
        version.renew(connection)
    _add_presences(connection, operation_id, ids.values())
    return ids


def mark_missing(connection: Connection, photo_ids: Iterable[int], path: str | None = None) -> None:
    """Note that photos' files are gone, or, of those that were at `path`, replaced by others."""
    for chunk in chunks(photo_ids, CHUNK):
        is_there = photos.c.id.in_(chunk), *([] if path is None else [photos.c.path == path])
        connection.execute(update(photos).where(*is_there).values(missing=True))
        version.renew(connection)


def find_in_folder(connection: Connection, folder: Path) -> list[tuple[int, str]]:
    """Id and path of the photos that are used where they are, under a folder; not missing ones."""
    query = select(photos.c.id, photos.c.path).where(
        *(~photos.c.stored, ~photos.c.missing, photos.c.deleted_by.is_(None)),
        photos.c.path.startswith(f"{str(folder).rstrip('/')}/", autoescape=True),
    )
    return [(row.id, row.path) for row in connection.execute(query)]


def restore(connection: Connection, operation_id: int, photo_ids: Sequence[int]) -> None:
    """Restore deleted photos, with their tags and annotations."""
    _add_presences(connection, operation_id, photo_ids)
    refresh_deleted(connection, photo_ids)


def delete_photos(connection: Connection, operation_id: int, photo_ids: Sequence[int]) -> None:
    """Delete photos so that they can be restored."""
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(presences)
            .where(presences.c.photo_id.in_(chunk), presences.c.ended_by.is_(None))
            .values(ended_by=operation_id)
        )
    refresh_deleted(connection, photo_ids)


def refresh_deleted(connection: Connection, photo_ids: Iterable[int]) -> None:
    """Derive `photos.deleted_by`, which searches use, from the table `presences`."""
    last = (
        select(presences.c.ended_by)
        .where(presences.c.photo_id == photos.c.id)
        .order_by(presences.c.ended_by.is_(None).desc(), presences.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(update(photos).where(photos.c.id.in_(chunk)).values(deleted_by=last))
        version.renew(connection)


def filter_existing(
    connection: Connection, photo_ids: Iterable[int], deleted: bool = False
) -> list[int]:
    """The ids of photos that are in the library, or `deleted`; no repeats, in the same order."""
    candidates = [photo_id for photo_id in dict.fromkeys(photo_ids) if 0 < photo_id < MAX_ID]
    ids: set[int] = set()
    for chunk in chunks(candidates, CHUNK):
        # With a condition on `deleted_by`, SQLite would scan an index of all photos instead.
        query = select(photos.c.id, photos.c.deleted_by).where(photos.c.id.in_(chunk))
        ids.update(
            row.id for row in connection.execute(query) if (row.deleted_by is not None) == deleted
        )
    return [photo_id for photo_id in candidates if photo_id in ids]


def count_deleted(connection: Connection, operation_id: int | None = None) -> int:
    """The number of deleted photos, or of those that an operation deleted."""
    query = select(func.count()).select_from(photos).where(_is_deleted(operation_id))
    return int(connection.scalar(query) or 0)


def find_deleted(connection: Connection, operation_id: int | None = None) -> list[int]:
    """The ids of deleted photos, or of those that an operation deleted; the latest first."""
    query = select(photos.c.id).where(_is_deleted(operation_id))
    return list(connection.scalars(query.order_by(photos.c.deleted_by.desc(), photos.c.id.desc())))


def _is_deleted(operation_id: int | None) -> ColumnElement[bool]:
    is_deleted = photos.c.deleted_by.is_not(None)
    if operation_id is None:
        return is_deleted
    removed = select(presences.c.photo_id).where(presences.c.ended_by == operation_id)
    return is_deleted & photos.c.id.in_(removed)


def load_names(connection: Connection, photo_ids: Sequence[int]) -> dict[int, str]:
    """Photos' names by id."""
    names: dict[int, str] = {}
    for chunk in chunks(photo_ids, CHUNK):
        rows = connection.execute(select(photos.c.id, photos.c.name).where(photos.c.id.in_(chunk)))
        names.update((row.id, row.name) for row in rows)
    return names


def load_digests(connection: Connection, photo_ids: Sequence[int]) -> dict[int, str]:
    """Photos' digests by id."""
    digests: dict[int, str] = {}
    for chunk in chunks(photo_ids, CHUNK):
        query = select(photos.c.id, photos.c.sha256).where(photos.c.id.in_(chunk))
        digests.update((row.id, row.sha256) for row in connection.execute(query))
    return digests


def purge(connection: Connection) -> list[tuple[str, str | None]]:
    """Remove the rows of deleted photos; each one's digest, and the path of the library's copy."""
    deleted = photos.c.deleted_by.is_not(None)
    query = select(photos.c.sha256, photos.c.path, photos.c.stored).where(deleted)
    files = [(row.sha256, row.path if row.stored else None) for row in connection.execute(query)]
    if files:
        connection.execute(delete(photos).where(deleted))
        version.renew(connection)
    return files


def load_photos(connection: Connection, photo_ids: Sequence[int], home: Path) -> Iterator[Photo]:
    """Photos with their tags, in the order of the ids; ids without a photo are left out."""
    for chunk in chunks(photo_ids, CHUNK):
        query = (
            select(photos, models.c.name.label("model"))
            .outerjoin(models, models.c.id == photos.c.model_id)
            .where(photos.c.id.in_(chunk))
        )
        rows = {row.id: row for row in connection.execute(query)}
        tags_by_photo = _load_tags(connection, chunk)
        for photo_id in chunk:
            if photo_id in rows:
                yield _to_photo(rows[photo_id], tuple(tags_by_photo[photo_id]), home)


def load_photo(connection: Connection, photo_id: int, home: Path) -> Photo:
    """A photo. Raises OptionError if there is none of that number, or it is deleted."""
    for photo in load_photos(connection, filter_existing(connection, [photo_id]), home):
        return photo
    raise OptionError(
        f"photo {photo_id}: the library has none of that number, or it was deleted; see History"
    )


def load_predictions(connection: Connection, photo_id: int) -> list[StoredPrediction]:
    """A photo's current predictions, in the order of the models; none by those that are off."""
    ranks = derivation.rank_models(connection)
    rows = connection.execute(
        select(predictions, models.c.name.label("model"), models.c.sha256, models.c.kind)
        .join(models, models.c.id == predictions.c.model_id)
        .where(predictions.c.photo_id == photo_id, predictions.c.ended_by.is_(None))
    ).all()
    return [
        StoredPrediction(
            label=row.label,
            confidence=row.confidence,
            reason=row.reason,
            ood_score=row.ood_score,
            scores=tuple((name, score) for name, score in row.scores),
            model=row.model,
            model_sha256=row.sha256,
            operation_id=row.run_id,
            made_at=row.made_at,
            by_head=row.kind == derivation.HEAD,
        )
        for row in derivation.sort_predictions(rows, ranks)
    ]


def load_annotations(connection: Connection, photo_id: int) -> list[Annotation]:
    """A photo's current annotations, by label; without what was asked and not answered."""
    shown_label = labels.alias()
    label_id = func.coalesce(labels.c.shown_as, labels.c.id)
    query = (
        select(verdicts, shown_label.c.name)
        .join(labels, labels.c.id == verdicts.c.label_id)
        .join(shown_label, shown_label.c.id == label_id)
        .where(
            verdicts.c.photo_id == photo_id,
            verdicts.c.ended_by.is_(None),
            verdicts.c.present.is_not(None),
        )
        .order_by(shown_label.c.name, verdicts.c.id)
    )
    return [
        Annotation(row.name, row.present, row.run_id, row.made_at)
        for row in connection.execute(query)
    ]


def _columns(photo: NewPhoto) -> dict[str, Any]:
    return {
        "sha256": photo.sha256,
        "name": photo.name,
        "name_folded": fold(photo.name),
        "path": photo.path,
        "stored": photo.stored,
        "size": photo.size,
        "width": photo.metadata.width,
        "height": photo.metadata.height,
        "taken_at": photo.metadata.taken_at,
        "phash": photo.phash,
    }


def _add_presences(connection: Connection, operation_id: int, photo_ids: Iterable[int]) -> None:
    rows = [{"photo_id": photo_id, "run_id": operation_id} for photo_id in photo_ids]
    if rows:
        connection.execute(insert(presences), rows)


def _load_tags(connection: Connection, photo_ids: Sequence[int]) -> dict[int, list[Tag]]:
    """Tags by photo: those given by a person first, then by score."""
    query = (
        select(
            *(tags.c.photo_id, labels.c.name, tags.c.score, tags.c.threshold, tags.c.by_person),
            *(models.c.name, models.c.sha256, tags.c.run_id, tags.c.made_at),  # fields of a Tag
        )
        .join(labels, labels.c.id == tags.c.label_id)
        .outerjoin(models, models.c.id == tags.c.model_id)
        .where(tags.c.photo_id.in_(photo_ids), ~labels.c.hidden)
        .order_by(*TAG_ORDER)
    )
    by_photo: dict[int, list[Tag]] = defaultdict(list)
    for photo_id, *fields in connection.execute(query).all():
        by_photo[photo_id].append(Tag(*fields))
    return by_photo


def _to_photo(row: Row[Any], photo_tags: tuple[Tag, ...], home: Path) -> Photo:
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
        missing=row.missing,
        rating=row.rating,
        caption=row.caption,
        unknown=row.unknown,
        reviewed=row.reviewed,
        confidence=row.confidence,
        model=row.model,
        tags=photo_tags,
    )
