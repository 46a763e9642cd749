"""Undo an operation, for a batch of photos at a time. An undo is an operation and can be undone.

Six tables are histories: `presences` (a photo is in the library), `contents` (of its file),
`predictions` (by models), `verdicts` (annotations by people), `fields` (ratings and captions), and
`entries`, of everything that no single photo is about. A row belongs to a key: the photo, for a
prediction with the name of the model, for an annotation with the label, for a field with its name;
for an entry the kind and its key. `run_id` is the operation that added it, `ended_by` the one that
ended it. A row that has not ended is the current one of its key; there is at most one.

To undo an operation, for each key:

1. The row that it added is ended, if that is still the current one.
2. The last row that it ended becomes current again, if no other row is current and none was added
   since, except for the operation's own row and rows that were undone.

Otherwise the key was changed since, and stays. If that is so for the presence of a photo that the
operation added, restored or deleted, or for its content, nothing of the photo changes. Neither does
it where another photo has the content by now. Every changed row is noted in
the table `undone` with its `ended_by` before and after. What follows from the entries, such as the
names of tags, is derived for all photos that it concerns. To undo an undo, its rows get the earlier
`ended_by` back, key by key, if they are all as the undo left them and, where a row becomes current
again, no other row is current or was added since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Row,
    Table,
    bindparam,
    delete,
    insert,
    null,
    or_,
    select,
    update,
)

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import contents as photo_contents
from tagger.library import derivation, operations, photos
from tagger.library.database.schema import (
    CHUNK,
    contents,
    entries,
    fields,
    models,
    predictions,
    presences,
    runs,
    undone,
    verdicts,
)
from tagger.library.operations import Operation
from tagger.text import count_noun

THIS_UNDO = -1  # stands for the id of the undo in progress

ENTRIES = "entries"  # the name that `undone.layer` stores

# Histories of photos by that name; the first two first, since the others depend on them.
HISTORIES = {
    "presences": presences,
    "contents": contents,
    "predictions": predictions,
    "verdicts": verdicts,
    "fields": fields,
}
_KEYS: dict[str, tuple[Column[Any], ...]] = {  # besides the photo
    "predictions": (models.c.kind, models.c.name),
    "verdicts": (verdicts.c.label_id,),
    "fields": (fields.c.field,),
}


@dataclass(frozen=True)
class UndoResult:
    """An undo: the photos that it changed, and those left alone because they were changed since.

    `entries` is the number of entries that it changed.
    """

    operation_id: int
    changed: int
    left_alone: int
    entries: int = 0


@dataclass(frozen=True)
class _Change:
    """The new `ended_by` of a row; None makes it current."""

    row: Row[Any]
    ended_by: int | None


# For each key: its rows in order, and the ids of those that were undone.
_RowsByKey = Sequence[tuple[list[Row[Any]], set[int]]]


def begin_undo(connection: Connection, operation_id: int) -> tuple[Operation, int]:
    """The operation to undo, and the id of the undo. Raises OptionError if it cannot be undone."""
    operation = operations.get(connection, operation_id)
    if not operation.undoable:
        why = (
            "is still at work; stop it first"
            if operation.active
            else "is undone already"
            if operation.undone_by is not None
            else f"cannot be undone: it is a {operation.kind}"
        )
        raise OptionError(f"run {operation_id} ({operation.title}) {why}")
    title = _title(connection, operation, operation.total)
    undo_id = operations.create(connection, "undo", title, undoes=operation.id)
    _set_undone_by(connection, operation, undo_id)
    return operation, undo_id


def end_undo(connection: Connection, operation: Operation, undo_id: int, changed: int) -> None:
    """Note how many photos an undo has changed."""
    title = _title(connection, operation, changed)
    operations.set_columns(connection, undo_id, title=title, total=changed, done=changed)


def cancel_undo(connection: Connection, operation: Operation, undo_id: int) -> None:
    """Remove an undo that changed nothing."""
    _set_undone_by(connection, operation, None)
    connection.execute(delete(runs).where(runs.c.id == undo_id))


def affected_photos(connection: Connection, operation: Operation) -> list[int]:
    """The ids of the photos for which an operation added or ended rows."""
    if operation.undoes is not None:
        is_photo = undone.c.photo_id.is_not(None)
        query = select(undone.c.photo_id).where(undone.c.run_id == operation.id, is_photo)
        return sorted(set(connection.scalars(query)))
    ids: set[int] = set()
    for table in HISTORIES.values():
        own = or_(table.c.run_id == operation.id, table.c.ended_by == operation.id)
        ids.update(connection.scalars(select(table.c.photo_id).where(own)))
    return sorted(ids)


def undo_entries(connection: Connection, operation: Operation, undo_id: int) -> int:
    """Undo what an operation did to entries; how many of them changed."""
    by_key = _load_entries(connection, operation)
    if operation.undoes is not None:
        changes = _changes_to_undo_an_undo(connection, operation.id, ENTRIES, by_key)
    else:
        changes = _changes_to_undo(operation.id, by_key)
    if changes:
        with derivation.entries_changing(connection):
            _apply(connection, undo_id, ENTRIES, changes)
    return len({change.row.key for change in changes})


def has_entries(connection: Connection, operation: Operation) -> bool:
    """Whether an operation added or ended entries."""
    return bool(_load_entries(connection, operation))


def undo_photos(
    connection: Connection, operation: Operation, undo_id: int, photo_ids: Sequence[int]
) -> set[int]:
    """Undo an operation for some of its photos; the ids of those that changed."""
    changed: set[int] = set()
    remaining = set(photo_ids)
    for name, table in HISTORIES.items():
        by_key = _load_keys(connection, name, sorted(remaining))
        if operation.undoes is not None:
            changes = _changes_to_undo_an_undo(connection, operation.id, name, by_key)
        else:
            changes = _changes_to_undo(operation.id, by_key)
        if table is contents:
            reopened = [change.row.id for change in changes if change.ended_by is None]
            blocked = photo_contents.find_blocked(connection, reopened)
            changes = [change for change in changes if change.row.photo_id not in blocked]
            remaining -= blocked
        _apply(connection, undo_id, name, changes)
        photos_of_changes = {change.row.photo_id for change in changes}
        changed |= photos_of_changes
        if table is presences:
            photos.refresh_deleted(connection, sorted(photos_of_changes))
        if table is contents:
            # The file has the other content, unless that is what is done again.
            is_missing = operation.undoes is None
            photo_contents.refresh(connection, sorted(photos_of_changes), is_missing)
        if table in (presences, contents) and operation.undoes is None:
            # A photo that was deleted, restored or edited since is not changed at all.
            own = _with_rows(connection, table, operation.id, photo_ids)
            remaining -= own - photos_of_changes
    derivation.refresh(connection, sorted(changed))
    return changed


def _changes_to_undo(operation_id: int, by_key: _RowsByKey) -> list[_Change]:
    changes = []
    for rows, undone_ids in by_key:
        current = next((row for row in rows if row.ended_by is None), None)
        is_own = current is not None and current.run_id == operation_id
        if current is not None and is_own:
            changes.append(_Change(current, THIS_UNDO))
        ended = [row for row in rows if row.ended_by == operation_id]
        if ended and (current is None or is_own):
            last = ended[-1]
            later = [row for row in rows if row.id > last.id and row.id not in undone_ids]
            if all(row is current for row in later):
                changes.append(_Change(last, None))
    return changes


def _changes_to_undo_an_undo(
    connection: Connection, undo_id: int, name: str, by_key: _RowsByKey
) -> list[_Change]:
    notes: dict[int, Row[Any]] = {}
    for chunk in chunks(dict.fromkeys(rows[0].photo_id for rows, _ in by_key), CHUNK):
        is_photo = undone.c.photo_id.is_(None) if name == ENTRIES else undone.c.photo_id.in_(chunk)
        query = select(undone).where(undone.c.run_id == undo_id, undone.c.layer == name, is_photo)
        notes.update((row.row_id, row) for row in connection.execute(query))
    changes = []
    for rows, undone_ids in by_key:
        noted = [row for row in rows if row.id in notes]
        if not noted or any(row.ended_by != notes[row.id].after for row in noted):
            continue
        unnoted = [row for row in rows if row.id not in notes]
        reopened = [row.id for row in noted if notes[row.id].before is None]
        if reopened and any(
            row.ended_by is None or (row.id > min(reopened) and row.id not in undone_ids)
            for row in unnoted
        ):
            continue
        changes += [_Change(row, notes[row.id].before) for row in noted]
    return changes


def _apply(connection: Connection, undo_id: int, name: str, changes: Iterable[_Change]) -> None:
    """Change rows and note it. Rows are ended first: a key has at most one current row."""
    table = entries if name == ENTRIES else HISTORIES[name]
    notes = [
        {
            "run_id": undo_id,
            "layer": name,
            "row_id": change.row.id,
            "photo_id": change.row.photo_id,
            "before": change.row.ended_by,
            "after": undo_id if change.ended_by == THIS_UNDO else change.ended_by,
        }
        for change in sorted(changes, key=lambda change: change.ended_by is None)
    ]
    if notes:
        connection.execute(
            update(table).where(table.c.id == bindparam("row")).values(ended_by=bindparam("by")),
            [{"row": note["row_id"], "by": note["after"]} for note in notes],
        )
        connection.execute(insert(undone), notes)


def _load_keys(connection: Connection, name: str, photo_ids: Sequence[int]) -> _RowsByKey:
    """The rows of each key of the photos."""
    table, key = HISTORIES[name], _KEYS.get(name, ())
    columns = table.c.id, table.c.photo_id, table.c.run_id, table.c.ended_by
    by_key: dict[tuple[Any, ...], list[Row[Any]]] = defaultdict(list)
    for chunk in chunks(photo_ids, CHUNK):
        query = select(*columns, *key).where(table.c.photo_id.in_(chunk)).order_by(table.c.id)
        if table is predictions:
            query = query.select_from(predictions.join(models))
        for row in connection.execute(query):
            by_key[row.photo_id, *row[len(columns) :]].append(row)
    return _with_undone(connection, by_key.values())


def _load_entries(connection: Connection, operation: Operation) -> _RowsByKey:
    """The rows of each key of `entries` that an operation changed."""
    own = or_(entries.c.run_id == operation.id, entries.c.ended_by == operation.id)
    if operation.undoes is not None:
        noted = undone.c.run_id == operation.id, undone.c.layer == ENTRIES
        own = entries.c.id.in_(select(undone.c.row_id).where(*noted))
    keys = {(row.kind, row.key) for row in connection.execute(select(entries).where(own))}
    by_key = []
    for kind, key in sorted(keys):
        query = select(entries, null().label("photo_id")).where(
            entries.c.kind == kind, entries.c.key == key
        )
        by_key.append(list(connection.execute(query.order_by(entries.c.id))))
    return _with_undone(connection, by_key)


def _with_undone(connection: Connection, by_key: Iterable[list[Row[Any]]]) -> _RowsByKey:
    """A row was undone if an undo of the operation that added it has ended it."""
    groups = list(by_key)
    undoes = _load_undoes(connection, {row.ended_by for rows in groups for row in rows})
    return [
        (
            rows,
            {row.id for row in rows if row.ended_by and undoes.get(row.ended_by) == row.run_id},
        )
        for rows in groups
    ]


def _load_undoes(connection: Connection, operation_ids: set[int | None]) -> dict[int | None, int]:
    """For those of the operations that are an undo: the operation that each undoes."""
    undoes: dict[int | None, int] = {}
    for chunk in chunks((number for number in operation_ids if number is not None), CHUNK):
        query = select(runs.c.id, runs.c.undoes).where(
            runs.c.id.in_(chunk), runs.c.undoes.is_not(None)
        )
        undoes.update((row.id, row.undoes) for row in connection.execute(query))
    return undoes


def _with_rows(
    connection: Connection, table: Table, operation_id: int, photo_ids: Sequence[int]
) -> set[int]:
    """The photos for which an operation added or ended rows of a history."""
    ids: set[int] = set()
    own = or_(table.c.run_id == operation_id, table.c.ended_by == operation_id)
    for chunk in chunks(photo_ids, CHUNK):
        query = select(table.c.photo_id).where(own, table.c.photo_id.in_(chunk))
        ids.update(connection.scalars(query))
    return ids


def _title(connection: Connection, operation: Operation, photo_count: int) -> str:
    """The title of the undo of an operation, which may be an undo itself."""
    is_redo = False
    while operation.undoes is not None:
        operation = operations.get(connection, operation.undoes)
        is_redo = not is_redo
    if operation.kind == "delete":
        verb = "Deleted" if is_redo else "Restored"
        return f"{verb} {count_noun(photo_count, 'photo')}"
    return f"{'Redone' if is_redo else 'Undone'}: {operation.title}"


def _set_undone_by(connection: Connection, operation: Operation, undo_id: int | None) -> None:
    """Mark an operation as undone, or with None as not undone.

    If it is an undo itself, what it undid is then not undone any more, and so on down the chain.
    """
    operations.set_columns(connection, operation.id, undone_by=undo_id)
    while operation.undoes is not None:
        undo_id = operation.id if undo_id is None else None
        operation = operations.get(connection, operation.undoes)
        operations.set_columns(connection, operation.id, undone_by=undo_id)
