"""Edits of the library: tags, deletion, undo, purge; in batches, so that others can write too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import contents, operations, photos, tags, vectors
from tagger.library.database.database import Database
from tagger.library.database.schema import settings
from tagger.library.operations import Kind, Operation
from tagger.library.storage import Storage
from tagger.library.undo import (
    UndoResult,
    affected_photos,
    begin_undo,
    cancel_undo,
    undo_photos,
)
from tagger.text import count_noun

PURGED_FILES = "files_to_discard"  # the setting that lists the files of a purge
BATCH = 1_000  # photos per transaction, which takes about half a second


def edit_tags(
    database: Database, ids: Sequence[int], add: Sequence[str], remove: Sequence[str]
) -> int:
    """See `Library.edit_tags`."""
    present = [tags.validate_label(label) for label in add]
    absent = [tags.validate_label(label) for label in remove]
    if not present and not absent:
        raise OptionError("no tags to add or remove: name one")
    title = ", ".join([f"Add {label}" for label in present] + [f"Remove {name}" for name in absent])

    def annotate(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        tags.save_annotations(connection, operation_id, batch, present, absent)

    return _edit(database, "edit", title, ids, annotate)


def withdraw_annotations(database: Database, ids: Sequence[int], labels: Sequence[str]) -> int:
    """See `Library.withdraw_annotations`."""

    def withdraw(connection: Connection, operation_id: int, batch: Sequence[int]) -> None:
        label_ids = tags.label_ids(connection, labels, add=False)
        tags.end_annotations(connection, operation_id, batch, list(label_ids.values()))
        tags.refresh_tags(connection, batch)

    title = f"Take back what was said of {', '.join(labels)}"
    return _edit(database, "edit", title, ids, withdraw)


def delete(database: Database, ids: Sequence[int]) -> int:
    """See `Library.delete`."""
    return _edit(database, "delete", "Delete", ids, photos.delete_photos)


def undo(database: Database, operation_id: int) -> UndoResult:
    """See `Library.undo`."""
    with database.read_transaction() as connection:
        affected = affected_photos(connection, operations.get(connection, operation_id))
    changed: set[int] = set()
    begun: tuple[Operation, int] | None = None
    for batch in list(chunks(affected, BATCH)) or [[]]:
        with database.write_transaction() as connection:
            begun = begun or begin_undo(connection, operation_id)
            changed |= undo_photos(connection, *begun, batch)
            operations.set_columns(connection, begun[1], total=len(changed), done=len(changed))
            if affected and not changed and batch[-1] == affected[-1]:
                cancel_undo(connection, *begun)
    if begun is None or (affected and not changed):
        raise OptionError("nothing is left to undo: all of it was changed again since")
    return UndoResult(begun[1], len(changed), len(affected) - len(changed))


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
    title: str,
    ids: Sequence[int],
    apply: Callable[[Connection, int, Sequence[int]], None],
) -> int:
    """Apply an edit to photos in batches, so that other writers do not wait long; the operation.

    Raises OptionError if none of the photos is in the library.
    """
    with database.read_transaction() as connection:
        existing = photos.filter_existing(connection, ids)
    if not existing:
        raise OptionError("nothing to change: no such photo is in the library")
    operation_id = None
    for batch in chunks(existing, BATCH):
        with database.write_transaction() as connection:
            if operation_id is None:
                operation_id = operations.create(
                    connection,
                    kind,
                    f"{title} ({count_noun(len(existing), 'photo')})",
                    total=len(existing),
                )
            apply(connection, operation_id, photos.filter_existing(connection, batch))
    return operation_id or 0
