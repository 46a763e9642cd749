"""Taking a run back, and taking that back: a part of its photos at a time.

A run's doing is the rows it added to the layers (see `tagger.schema`) and the rows it ended.
Undoing ends the former and lets the latter hold again, except where something came after; what it
changed is noted row by row, so that undoing the undoing is to set the rows as they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import operations, photos, tags
from tagger.library.database.schema import predictions, presences, runs, undone, verdicts
from tagger.library.operations import Operation
from tagger.library.tags import CHUNK

UNDID, DID_AGAIN = "Undid: ", "Did again: "
THIS = -1  # stands for the undoing at hand

LAYERS = {"presences": presences, "predictions": predictions, "verdicts": verdicts}
_KEYS = {"verdicts": ("photo_id", "label_id")}  # of a layer's rows, one holds for each


@dataclass(frozen=True)
class UndoResult:
    """An undoing: how many photos it changed, and how many were changed since and left alone."""

    operation_id: int
    changed: int
    left_alone: int


@dataclass(frozen=True)
class _Change:
    """That a row of a layer is to be ended by another run than before, or by none."""

    row: Row[Any]
    after: int | None


def begin(connection: Connection, run_id: int) -> tuple[Operation, int]:
    """The run to be undone, and the undoing. Raises OptionError for what cannot be undone."""
    run = operations.get(connection, run_id)
    if not run.undoable:
        why = (
            "is still at work; stop it first"
            if run.active
            else "is undone already"
            if run.undone_by is not None
            else f"cannot be undone: it is a {run.kind}"
        )
        raise OptionError(f"run {run_id} ({run.title}) {why}")
    undoing = operations.create(connection, "undo", _title(run.title), undoes=run.id)
    _mark(connection, run, undoing)
    return run, undoing


def give_up(connection: Connection, run: Operation, undoing: int) -> None:
    """As if an undoing that changed nothing had not begun."""
    _mark(connection, run, None)
    connection.execute(delete(runs).where(runs.c.id == undoing))


def touched(connection: Connection, run: Operation) -> list[int]:
    """The photos that a run had to do with, by id."""
    found: set[int] = set()
    if run.undoes is not None:
        found.update(connection.scalars(select(undone.c.photo_id).where(undone.c.run_id == run.id)))
        return sorted(found)
    for layer in LAYERS.values():
        mine = or_(layer.c.run_id == run.id, layer.c.ended_by == run.id)
        found.update(connection.scalars(select(layer.c.photo_id).where(mine)))
    return sorted(found)


def undo_some(
    connection: Connection, run: Operation, undoing: int, photo_ids: Sequence[int]
) -> set[int]:
    """Undo a run for some of its photos; those of them that changed."""
    changed: set[int] = set()
    left = set(photo_ids)
    for name, layer in LAYERS.items():
        if run.undoes is not None:
            found = _noted(connection, run.id, name, photo_ids)
        else:
            found = _made(connection, run.id, name, sorted(left))
        _apply(connection, undoing, name, found)
        moved = {change.row.photo_id for change in found}
        changed |= moved
        if layer is presences:
            photos.refresh_deleted(connection, sorted(moved))
            # A photo that has been deleted or brought back since is left as it is altogether.
            left -= _placed(connection, run.id, photo_ids) - moved
    tags.refresh_tags(connection, sorted(changed))
    return changed


def _made(
    connection: Connection, run_id: int, name: str, photo_ids: Sequence[int]
) -> list[_Change]:
    """What takes back a run's own doing."""
    found = []
    for rows, over in _by_key(connection, name, photo_ids):
        current = next((row for row in rows if row.ended_by is None), None)
        own = False
        if current is not None and current.run_id == run_id:
            own = True
            found.append(_Change(current, THIS))
        ended = [row for row in rows if row.ended_by == run_id]
        if ended and (current is None or own):
            last = ended[-1]
            later = [row for row in rows if row.id > last.id and row.id not in over]
            if all(row is current for row in later):
                found.append(_Change(last, None))
    return found


def _noted(
    connection: Connection, run_id: int, name: str, photo_ids: Sequence[int]
) -> list[_Change]:
    """What takes back an undoing: each row as it was, where all of its key are as it left them."""
    notes: dict[int, Row[Any]] = {}
    for some in chunks(photo_ids, CHUNK):
        query = select(undone).where(
            undone.c.run_id == run_id, undone.c.layer == name, undone.c.photo_id.in_(some)
        )
        notes.update((row.row_id, row) for row in connection.execute(query))
    found = []
    for rows, over in _by_key(connection, name, photo_ids):
        mine = [row for row in rows if row.id in notes]
        if not mine or any(row.ended_by != notes[row.id].after for row in mine):
            continue
        others = [row for row in rows if row.id not in notes]
        again = [row.id for row in mine if notes[row.id].before is None]
        if again and any(
            row.ended_by is None or (row.id > min(again) and row.id not in over) for row in others
        ):
            continue
        found += [_Change(row, notes[row.id].before) for row in mine]
    return found


def _apply(connection: Connection, undoing: int, name: str, found: Iterable[_Change]) -> None:
    """Set the rows and note what they were; what ends comes first, for one row holds at a time."""
    layer = LAYERS[name]
    notes = [
        {
            "run_id": undoing,
            "layer": name,
            "row_id": change.row.id,
            "photo_id": change.row.photo_id,
            "before": change.row.ended_by,
            "after": undoing if change.after == THIS else change.after,
        }
        for change in sorted(found, key=lambda change: change.after is None)
    ]
    if notes:
        connection.execute(
            update(layer).where(layer.c.id == bindparam("row")).values(ended_by=bindparam("by")),
            [{"row": note["row_id"], "by": note["after"]} for note in notes],
        )
        connection.execute(insert(undone), notes)


def _by_key(
    connection: Connection, name: str, photo_ids: Sequence[int]
) -> list[tuple[list[Row[Any]], set[int]]]:
    """A layer's rows of photos, those of each key together and in order; and which of them were
    taken back, so that it is as if they had never been."""
    layer, key = LAYERS[name], _KEYS.get(name, ("photo_id",))
    columns = [layer.c[column] for column in dict.fromkeys(("id", "run_id", "ended_by", *key))]
    found: dict[tuple[int, ...], list[Row[Any]]] = defaultdict(list)
    for some in chunks(photo_ids, CHUNK):
        query = select(*columns).where(layer.c.photo_id.in_(some)).order_by(layer.c.id)
        for row in connection.execute(query):
            found[tuple(row._mapping[column] for column in key)].append(row)
    undoes = _undoings(connection, {row.ended_by for rows in found.values() for row in rows})
    return [
        (rows, {row.id for row in rows if undoes.get(row.ended_by) == row.run_id})
        for rows in found.values()
    ]


def _undoings(connection: Connection, run_ids: set[int | None]) -> dict[int | None, int]:
    """Of runs, those that undo one, and which."""
    found: dict[int | None, int] = {}
    for some in chunks((run for run in run_ids if run is not None), CHUNK):
        query = select(runs.c.id, runs.c.undoes).where(
            runs.c.id.in_(some), runs.c.undoes.is_not(None)
        )
        found.update((row.id, row.undoes) for row in connection.execute(query))
    return found


def _placed(connection: Connection, run_id: int, photo_ids: Sequence[int]) -> set[int]:
    """Photos that a run added, brought back or deleted."""
    found: set[int] = set()
    mine = or_(presences.c.run_id == run_id, presences.c.ended_by == run_id)
    for some in chunks(photo_ids, CHUNK):
        query = select(presences.c.photo_id).where(mine, presences.c.photo_id.in_(some))
        found.update(connection.scalars(query))
    return found


def _title(title: str) -> str:
    for prefix, opposite in ((UNDID, DID_AGAIN), (DID_AGAIN, UNDID)):
        if title.startswith(prefix):
            return opposite + title.removeprefix(prefix)
    return UNDID + title


def _mark(connection: Connection, run: Operation, by: int | None) -> None:
    """A run is undone; if it was itself an undoing, what that undid holds again, and so on."""
    operations.set_columns(connection, run.id, undone_by=by)
    while run.undoes is not None:
        by = run.id if by is None else None
        run = operations.get(connection, run.undoes)
        operations.set_columns(connection, run.id, undone_by=by)
