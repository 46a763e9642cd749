"""Undo an operation, for a batch of photos at a time. An undo is an operation and can be undone.

Four tables are histories: `presences` (a photo is in the library), `contents` (of its file),
`predictions` (by models) and `verdicts` (annotations by people). A row belongs to a key: the photo,
or for an annotation the photo and the label. `run_id` is the operation that added it, `ended_by`
the one that ended it. A row that has not ended is the current one of its key; there is at most one.

To undo an operation, for each key:

1. The row that it added is ended, if that is still the current one.
2. The last row that it ended becomes current again, if no other row is current and none was added
   since, except for the operation's own row and rows that were undone.

Otherwise the key was changed since, and stays. If that is so for the presence of a photo that the
operation added, restored or deleted, or for its content, nothing of the photo changes. Neither does
it where another photo has the content by now. Every changed row is noted in
the table `undone` with its `ended_by` before and after. To undo an undo, its rows get the earlier
`ended_by` back, key by key, if they are all as the undo left them and, where a row becomes current
again, no other row is current or was added since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, delete, insert, or_, select, update

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import contents as photo_contents
from tagger.library import operations, photos, tags
from tagger.library.database.schema import contents, predictions, presences, runs, undone, verdicts
from tagger.library.operations import Operation
from tagger.library.tags import CHUNK

UNDID, DID_AGAIN = "Undid: ", "Did again: "
THIS_UNDO = -1  # stands for the id of the undo in progress

# By the name that `undone.layer` stores; the first two first, since the others depend on them.
HISTORIES = {
    "presences": presences,
    "contents": contents,
    "predictions": predictions,
    "verdicts": verdicts,
}
_KEYS = {"verdicts": ("photo_id", "label_id")}  # else the photo


@dataclass(frozen=True)
class UndoResult:
    """An undo: the photos that it changed, and those left alone because they were changed since."""

    operation_id: int
    changed: int
    left_alone: int


@dataclass(frozen=True)
class _Change:
    """The new `ended_by` of a row; None makes it current."""

    row: Row[Any]
    ended_by: int | None


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
    undo_id = operations.create(connection, "undo", _title(operation.title), undoes=operation.id)
    _set_undone_by(connection, operation, undo_id)
    return operation, undo_id


def cancel_undo(connection: Connection, operation: Operation, undo_id: int) -> None:
    """Remove an undo that changed nothing."""
    _set_undone_by(connection, operation, None)
    connection.execute(delete(runs).where(runs.c.id == undo_id))


def affected_photos(connection: Connection, operation: Operation) -> list[int]:
    """The ids of the photos for which an operation added or ended rows."""
    if operation.undoes is not None:
        query = select(undone.c.photo_id).where(undone.c.run_id == operation.id)
        return sorted(set(connection.scalars(query)))
    ids: set[int] = set()
    for table in HISTORIES.values():
        own = or_(table.c.run_id == operation.id, table.c.ended_by == operation.id)
        ids.update(connection.scalars(select(table.c.photo_id).where(own)))
    return sorted(ids)


def undo_photos(
    connection: Connection, operation: Operation, undo_id: int, photo_ids: Sequence[int]
) -> set[int]:
    """Undo an operation for some of its photos; the ids of those that changed."""
    changed: set[int] = set()
    remaining = set(photo_ids)
    for name, table in HISTORIES.items():
        if operation.undoes is not None:
            changes = _changes_to_undo_an_undo(connection, operation.id, name, sorted(remaining))
        else:
            changes = _changes_to_undo(connection, operation.id, name, sorted(remaining))
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
    tags.refresh_tags(connection, sorted(changed))
    return changed


def _changes_to_undo(
    connection: Connection, operation_id: int, name: str, photo_ids: Sequence[int]
) -> list[_Change]:
    changes = []
    for rows, undone_ids in _load_keys(connection, name, photo_ids):
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
    connection: Connection, undo_id: int, name: str, photo_ids: Sequence[int]
) -> list[_Change]:
    notes: dict[int, Row[Any]] = {}
    for chunk in chunks(photo_ids, CHUNK):
        query = select(undone).where(
            undone.c.run_id == undo_id, undone.c.layer == name, undone.c.photo_id.in_(chunk)
        )
        notes.update((row.row_id, row) for row in connection.execute(query))
    changes = []
    for rows, undone_ids in _load_keys(connection, name, photo_ids):
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
    table = HISTORIES[name]
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


def _load_keys(
    connection: Connection, name: str, photo_ids: Sequence[int]
) -> list[tuple[list[Row[Any]], set[int]]]:
    """For each key of the photos: its rows in order, and the ids of those that were undone.

    A row was undone if an undo of the operation that added it has ended it.
    """
    table, key = HISTORIES[name], _KEYS.get(name, ("photo_id",))
    columns = [table.c[column] for column in dict.fromkeys(("id", "run_id", "ended_by", *key))]
    by_key: dict[tuple[int, ...], list[Row[Any]]] = defaultdict(list)
    for chunk in chunks(photo_ids, CHUNK):
        query = select(*columns).where(table.c.photo_id.in_(chunk)).order_by(table.c.id)
        for row in connection.execute(query):
            by_key[tuple(row._mapping[column] for column in key)].append(row)
    undoes = _load_undoes(connection, {row.ended_by for rows in by_key.values() for row in rows})
    return [
        (rows, {row.id for row in rows if undoes.get(row.ended_by) == row.run_id})
        for rows in by_key.values()
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


def _title(title: str) -> str:
    for prefix, opposite in ((UNDID, DID_AGAIN), (DID_AGAIN, UNDID)):
        if title.startswith(prefix):
            return opposite + title.removeprefix(prefix)
    return UNDID + title


def _set_undone_by(connection: Connection, operation: Operation, undo_id: int | None) -> None:
    """Mark an operation as undone, or with None as not undone.

    If it is an undo itself, what it undid is then not undone any more, and so on down the chain.
    """
    operations.set_columns(connection, operation.id, undone_by=undo_id)
    while operation.undoes is not None:
        undo_id = operation.id if undo_id is None else None
        operation = operations.get(connection, operation.undoes)
        operations.set_columns(connection, operation.id, undone_by=undo_id)
