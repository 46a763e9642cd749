"""The content of photos' files, a history: a photo that was edited in place is the same photo.

`photos` has the current content of each photo. Rows of `contents` exist from its first change on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from tagger.concurrency import chunks
from tagger.errors import ImageError
from tagger.images import decode
from tagger.images.same_picture import has_same_pixels, shows_same_picture
from tagger.library import vectors
from tagger.library.database import version
from tagger.library.database.schema import CHUNK, contents, photos
from tagger.library.database.schema import vectors as vector_table
from tagger.library.photos import ExistingPhoto, NewPhoto
from tagger.library.storage import Storage

_COLUMNS = ("sha256", "size", "width", "height", "taken_at", "path", "stored")  # of both tables


@dataclass(frozen=True)
class PhotoAtPath:
    """A photo of the library whose file was at a path, with the content that it had there."""

    id: int
    sha256: str
    taken_at: datetime | None


def find_by_path(connection: Connection, paths: Iterable[str]) -> dict[str, list[PhotoAtPath]]:
    """The photos that are used at these paths, newest first, by path; no deleted ones."""
    at_path: dict[str, list[PhotoAtPath]] = {}
    for chunk in chunks(paths, CHUNK):
        query = (
            select(photos.c.path, photos.c.id, photos.c.sha256, photos.c.taken_at)
            .where(photos.c.path.in_(chunk), ~photos.c.stored, photos.c.deleted_by.is_(None))
            .order_by(photos.c.id.desc())
        )
        for path, *fields in connection.execute(query):
            at_path.setdefault(path, []).append(PhotoAtPath(*fields))
    return at_path


def find_edited(
    storage: Storage, photo: NewPhoto, candidates: Iterable[PhotoAtPath]
) -> PhotoAtPath | None:
    """The photo of which a file, at its path now, is an edited copy, by their thumbnails."""
    return next((old for old in candidates if _is_edited_copy(storage, photo, old)), None)


def _is_edited_copy(storage: Storage, photo: NewPhoto, old: PhotoAtPath) -> bool:
    """Whether a file has the picture that was at its path before.

    Cameras use names again, and a webcam its only one: of pictures that were taken at different
    times nothing but what is said of them may differ.
    """
    try:
        before, now = (
            decode.read(storage.thumbnail_path(sha256).read_bytes())
            for sha256 in (old.sha256, photo.sha256)
        )
    except (ImageError, OSError):  # a missing thumbnail cannot be made again
        return False
    taken_at = photo.metadata.taken_at
    if taken_at is not None and old.taken_at is not None and taken_at != old.taken_at:
        return has_same_pixels(before, now)
    return shows_same_picture(before, now)


def has_file(storage: Storage, photo: ExistingPhoto) -> bool:
    """Whether there is a file where a photo's was, with whatever content."""
    return (storage.home / photo.path if photo.stored else Path(photo.path)).is_file()


def is_there(storage: Storage, photo: ExistingPhoto, sha256: str) -> bool:
    """Whether a photo's file is where it was, with the content of this digest."""
    path = storage.home / photo.path if photo.stored else Path(photo.path)
    try:
        info = path.stat()
        if photo.missing or info.st_size != photo.size:
            return False
        if info.st_mtime <= photo.added_at.timestamp():  # not written since
            return True
        return hashlib.sha256(decode.read_bytes(path)).hexdigest() == sha256
    except (ImageError, OSError):
        return False


def change(connection: Connection, operation_id: int, new_contents: Mapping[int, NewPhoto]) -> None:
    """Give photos, by id, another content and path. Without a date it keeps the earlier one.

    Their vectors are removed. Predictions are replaced by the caller.
    """
    for chunk in chunks(new_contents, CHUNK):
        new = {}
        for photo_id in chunk:
            photo = new_contents[photo_id]
            new[photo_id] = {
                "sha256": photo.sha256,
                "size": photo.size,
                "width": photo.metadata.width,
                "height": photo.metadata.height,
                "path": photo.path,
                "stored": photo.stored,
            }
            if photo.metadata.taken_at is not None:
                new[photo_id]["taken_at"] = photo.metadata.taken_at
        _add(connection, operation_id, new)
        for photo_id in chunk:
            phash = {"phash": new_contents[photo_id].phash}
            connection.execute(update(photos).where(photos.c.id == photo_id).values(phash))


def move(connection: Connection, operation_id: int, new_paths: Mapping[int, str]) -> None:
    """Give photos, by id, the path that their file was moved to, so that it can be undone."""
    for chunk in chunks(new_paths, CHUNK):
        new = {photo_id: {"path": new_paths[photo_id], "stored": False} for photo_id in chunk}
        _add(connection, operation_id, new)


def _add(
    connection: Connection, operation_id: int, new_columns: Mapping[int, Mapping[str, Any]]
) -> None:
    """End the current contents of photos, and add others, which differ in some columns."""
    chunk = list(new_columns)
    columns = [photos.c[name] for name in (*_COLUMNS, "id", "added_by")]
    rows = connection.execute(select(*columns).where(photos.c.id.in_(chunk))).all()
    is_one = contents.c.photo_id.in_(chunk)
    with_history = set(connection.scalars(select(contents.c.photo_id).where(is_one)))
    connection.execute(
        update(contents).where(is_one, contents.c.ended_by.is_(None)).values(ended_by=operation_id)
    )
    before = {row.id: {name: getattr(row, name) for name in _COLUMNS} for row in rows}
    first = [
        before[row.id] | {"photo_id": row.id, "run_id": row.added_by, "ended_by": operation_id}
        for row in rows
        if row.id not in with_history
    ]
    new = [
        {**before[row.id], **new_columns[row.id]}
        | {"photo_id": row.id, "run_id": operation_id, "ended_by": None}
        for row in rows
    ]
    connection.execute(insert(contents), [*first, *new])
    refresh(connection, chunk, missing=False)


def relocate(connection: Connection, photo_id: int, path: str, stored: bool) -> None:
    """Change where a photo's file is."""
    location = {"path": path, "stored": stored}
    is_current = contents.c.photo_id == photo_id, contents.c.ended_by.is_(None)
    connection.execute(update(contents).where(*is_current).values(location))
    connection.execute(
        update(photos).where(photos.c.id == photo_id).values(**location, missing=False)
    )
    version.renew(connection)


def refresh(connection: Connection, photo_ids: Sequence[int], missing: bool) -> None:
    """Derive the columns of `photos` from the current contents; remove vectors of earlier ones."""
    for chunk in chunks(photo_ids, CHUNK):
        current = (
            select(contents, photos.c.sha256.label("earlier"))
            .join(photos, photos.c.id == contents.c.photo_id)
            .where(contents.c.photo_id.in_(chunk), contents.c.ended_by.is_(None))
        )
        rows = connection.execute(current).all()
        changed = [row.photo_id for row in rows if row.sha256 != row.earlier]
        for row in rows:
            values = {name: getattr(row, name) for name in _COLUMNS}
            values |= {"dated_at": func.coalesce(row.taken_at, photos.c.added_at)}
            values |= {"missing": missing}
            if row.sha256 != row.earlier:
                values |= {"phash": None}
            connection.execute(update(photos).where(photos.c.id == row.photo_id).values(values))
        is_of_earlier = vector_table.c.photo_id.in_(changed)
        if connection.execute(delete(vector_table).where(is_of_earlier)).rowcount:
            vectors.note_removal(connection)
        version.renew(connection)


def find_blocked(connection: Connection, row_ids: Sequence[int]) -> set[int]:
    """Photos that cannot have the content of these rows again, as another photo has it now."""
    blocked: set[int] = set()
    for chunk in chunks(row_ids, CHUNK):
        query = (
            select(contents.c.photo_id)
            .join(photos, photos.c.sha256 == contents.c.sha256)
            .where(contents.c.id.in_(chunk), photos.c.id != contents.c.photo_id)
        )
        blocked.update(connection.scalars(query))
    return blocked


def find_kept(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Those of the digests that a photo's content has, or had: an undo may bring that back."""
    kept: set[str] = set()
    for chunk in chunks(digests, CHUNK):
        for table in (photos, contents):
            kept.update(connection.scalars(select(table.c.sha256).where(table.c.sha256.in_(chunk))))
    return kept


def find_earlier_of_deleted(connection: Connection) -> list[str]:
    """The digests of contents that deleted photos had before their current one."""
    query = (
        select(contents.c.sha256)
        .join(photos, photos.c.id == contents.c.photo_id)
        .where(photos.c.deleted_by.is_not(None), contents.c.sha256 != photos.c.sha256)
    )
    return list(connection.scalars(query))
