"""Edits of the library: tags, ratings, captions, entries, deletion, undo and purge.

They are made in batches of photos, so that others can write too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from tagger.concurrency import chunks
from tagger.errors import NothingLeftError, OptionError
from tagger.library import contents, derivation, operations, photos, tags, vectors
from tagger.library.database.database import Database
from tagger.library.database.schema import settings
from tagger.library.history import entries, fields, titles
from tagger.library.history.undo import (
    UndoResult,
    affected_photos,
    begin_undo,
    cancel_undo,
    end_undo,
    has_entries,
    undo_entries,
    undo_photos,
)
from tagger.library.labels.names import validate_label
from tagger.library.operations import Kind, Operation
from tagger.library.records import FAVOURITE
from tagger.library.storage import Storage
from tagger.text import count_noun

PURGED_FILES = "files_to_discard"  # the setting that lists the files of a purge
BATCH = 1_000  # photos per transaction, which takes about half a second


def edit_tags(
    database: Database,
    ids: Sequence[int],
    add: Sequence[str],
    remove: Sequence[str],
    skip: Sequence[str] = (),
) -> int:
    """See `Library.edit_tags`."""
    present, absent, skipped = (list(map(validate_label, names)) for names in (add, remove, skip))
    if not present and not absent and not skipped:
        raise OptionError("no tags to add or remove: name one")

    def annotate(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        tags.save_annotations(connection, operation_id, batch, present, absent, skipped)

    with database.read_transaction() as connection:
        existing = photos.filter_existing(connection, ids)
        tagged = tags.count_tagged(connection, existing, [*present, *absent])
    had_all = [name for name in present if tagged[name] == len(existing)]
    had_none = [name for name in absent if not tagged[name]]
    edit = titles.TagEdit(
        confirmed=had_all,
        added=[name for name in present if name not in had_all],
        removed=[name for name in absent if name not in had_none],
        denied=had_none,
        skipped=skipped,
    )
    return _edit(database, "edit", partial(titles.edited_tags, edit), ids, annotate)


def confirm_tags(database: Database, ids: Sequence[int]) -> int | None:
    """See `Library.confirm_tags`."""
    with database.read_transaction() as connection:
        unconfirmed = tags.find_unconfirmed(connection, photos.filter_existing(connection, ids))
    tagged = {photo_id for of_label in unconfirmed.values() for photo_id in of_label}
    if not tagged:
        return None
    title = partial(titles.confirmed, list(unconfirmed))
    return _edit(database, "edit", title, sorted(tagged), tags.confirm)


def withdraw_annotations(database: Database, ids: Sequence[int], labels: Sequence[str]) -> int:
    """See `Library.withdraw_annotations`."""

    def withdraw(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        tags.end_annotations(connection, operation_id, batch, labels)

    return _edit(database, "edit", partial(titles.cleared, labels), ids, withdraw)


def rate(database: Database, ids: Sequence[int], rating: int) -> int:
    """See `Library.rate`."""
    if not isinstance(rating, int) or isinstance(rating, bool) or not 0 <= rating <= FAVOURITE:
        raise OptionError(f"a rating is a number from 0 (none) to {FAVOURITE}; got {rating!r}")

    def save(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        fields.save(connection, operation_id, batch, "rating", rating or None)

    return _edit(database, "edit", partial(titles.rated, rating), ids, save)


def set_caption(database: Database, photo_id: int, text: str) -> int:
    """See `Library.set_caption`."""
    caption = fields.validate_caption(text)

    def save(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        fields.save(connection, operation_id, batch, "caption", caption)

    verb = "Changed" if caption else "Removed"
    return _edit(
        database, "edit", lambda photos: f"{verb} the caption of {photos}", [photo_id], save
    )


def delete(database: Database, ids: Sequence[int]) -> int:
    """See `Library.delete`."""
    return _edit(database, "delete", "Deleted {}".format, ids, photos.delete_photos)


def restore(database: Database, ids: Sequence[int]) -> int:
    """See `Trash.restore`."""

    def bring_back(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        photos.restore(connection, operation_id, batch)
        vectors.retry_unreadable(connection, batch)
        derivation.refresh(connection, batch)

    return _edit(database, "edit", "Restored {}".format, ids, bring_back, deleted=True)


def save_entries(
    database: Database, kind: entries.Kind, values: Mapping[str, Any], title: str
) -> int:
    """Set entries of a kind by key, None to remove them, and derive what follows; the operation."""
    with database.write_transaction() as connection:
        operation_id = operations.create(connection, "edit", title)
        with derivation.entries_changing(connection):
            for key, value in values.items():
                entries.save(connection, operation_id, kind, key, value)
    derivation.refresh_stale_soon(database)
    return operation_id


def undo(database: Database, operation_id: int) -> UndoResult:
    """See `Library.undo`."""
    with database.read_transaction() as connection:
        operation = operations.get(connection, operation_id)
        affected = affected_photos(connection, operation)
        with_entries = has_entries(connection, operation)
    changed: set[int] = set()
    changed_entries = 0
    begun: tuple[Operation, int] | None = None
    for batch in list(chunks(affected, BATCH)) or [[]]:
        with database.write_transaction() as connection:
            if begun is None:
                begun = begin_undo(connection, operation_id)
                changed_entries = undo_entries(connection, *begun)
            changed |= undo_photos(connection, *begun, batch)
            end_undo(connection, *begun, len(changed))
            nothing_left = not changed and not changed_entries and bool(affected or with_entries)
            if nothing_left and (not batch or batch[-1] == affected[-1]):
                cancel_undo(connection, *begun)
    if begun is None or nothing_left:
        raise NothingLeftError("nothing left to undo: everything was changed later")
    derivation.refresh_stale_soon(database)
    return UndoResult(begun[1], len(changed), len(affected) - len(changed), changed_entries)


def purge(database: Database, storage: Storage) -> int:
    """See `Library.purge`.

    Files are deleted only after the transaction that removes the rows: a process that is killed in
    between leaves files behind, which the next purge deletes, and never a photo without its file.
    """
    with database.write_transaction() as connection:
        if operations.list_latest(connection, 1, ("import", "retag"), active=True):
            raise OptionError("photos are being imported or tagged: wait until that is over")
        earlier = [(sha256, None) for sha256 in contents.find_earlier_of_deleted(connection)]
        purged = photos.purge(connection)
        if purged:
            vectors.note_removal(connection)
        _set_purged_files(connection, [*_purged_files(connection), *purged, *earlier])
    with database.write_transaction() as connection:  # so that no import uses one of the copies
        files = _purged_files(connection)
        kept = contents.find_kept(connection, [sha256 for sha256, _ in files])
        for sha256, copy in files:
            if sha256 not in kept:
                storage.delete_files(sha256, copy)
        _set_purged_files(connection, [])
    return len(purged)


def _purged_files(connection: Connection) -> list[tuple[str, str | None]]:
    """Purged photos whose files may still exist: digest, and path of the library's copy."""
    value = connection.scalar(select(settings.c.value).where(settings.c.name == PURGED_FILES))
    return [(sha256, copy) for sha256, copy in value or ()]


def _set_purged_files(connection: Connection, files: Sequence[tuple[str, str | None]]) -> None:
    connection.execute(settings.delete().where(settings.c.name == PURGED_FILES))
    if files:
        value = [list(file) for file in files]
        connection.execute(settings.insert().values(name=PURGED_FILES, value=value))


def _edit(
    database: Database,
    kind: Kind,
    title: Callable[[str], str],
    ids: Sequence[int],
    apply: Callable[[Connection, int, Sequence[int]], None],
    deleted: bool = False,
) -> int:
    """Apply an edit to photos in batches, so that other writers do not wait long; the operation.

    `title` makes its title of "3 photos". Raises OptionError if no photo is in the library, or
    with `deleted` in its trash.
    """
    with database.read_transaction() as connection:
        existing = photos.filter_existing(connection, ids, deleted)
    if not existing:
        where = "trash" if deleted else "library"
        raise OptionError(f"nothing to change: no such photo is in the {where}")
    operation_id, total = None, len(existing)
    for batch in chunks(existing, BATCH):
        with database.write_transaction() as connection:
            if operation_id is None:
                name = title(count_noun(total, "photo"))
                operation_id = operations.create(connection, kind, name, total=total)
            apply(connection, operation_id, photos.filter_existing(connection, batch, deleted))
    return operation_id or 0
