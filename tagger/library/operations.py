"""Operations (table `runs`): changes to the library and jobs, with progress and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from tagger.errors import OptionError
from tagger.library.database.schema import (
    contents,
    entries,
    fields,
    files,
    photos,
    predictions,
    presences,
    runs,
    verdicts,
)
from tagger.library.photos import MAX_ID

Kind = Literal["import", "retag", "embed", "edit", "delete", "undo", "check", "train", "compare"]
Status = Literal["queued", "running", "done", "stopped", "failed"]

ACTIVE = ("queued", "running")
RESUMABLE = ("import", "retag", "embed", "compare")
EDITS = ("edit", "delete")
CHANGES = tuple(kind for kind in get_args(Kind) if kind != "undo")  # what undos are about
UNDOABLE = ("import", "retag", "edit", "delete", "undo")
MAX_ACTIVE = 1_000  # a limit for queries: more than are ever queued or running at once
STALE = timedelta(seconds=10)  # after this long without a heartbeat, the process counts as dead


@dataclass(frozen=True)
class Operation:
    """A change to the library, or a job.

    `options` and `result` depend on the kind. `paced_at` and `paced_from` are when the current
    stage began, and how much was done by then. `attempts` counts consecutive starts without
    progress. `counts` are the files of an import or re-tagging by outcome.
    """

    id: int
    kind: Kind
    title: str
    status: Status
    options: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    stage: str | None
    total: int
    done: int
    paced_at: datetime | None
    paced_from: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    undoes: int | None
    undone_by: int | None
    stop_asked: bool
    attempts: int
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ACTIVE

    @property
    def stale(self) -> bool:
        """Whether it is active without a recent heartbeat."""
        return self.active and (
            self.heartbeat_at is None or not is_heartbeat_fresh(self.heartbeat_at)
        )

    @property
    def resumable(self) -> bool:
        """Whether it stopped or failed and can continue where it ended."""
        return (
            self.kind in RESUMABLE
            and self.status in ("stopped", "failed")
            and self.undone_by is None
        )

    @property
    def undoable(self) -> bool:
        """Whether it can be undone."""
        return self.kind in UNDOABLE and not self.active and self.undone_by is None

    @property
    def progress(self) -> float | None:
        """The share that is done, in [0, 1]; None while the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """The estimated time left at the pace of this stage; None without an estimate."""
        done = self.done - self.paced_from
        if self.status != "running" or not self.paced_at or not self.total or done <= 0:
            return None
        elapsed = (datetime.now(UTC) - self.paced_at).total_seconds()
        return elapsed * (self.total - self.done) / done


@dataclass(frozen=True)
class OperationFile:
    """A file of an import, or a photo of a re-tagging. `reason` says why it failed, if it did.

    `photo_id` and `photo_name` are the library's photo with the same content.
    """

    name: str
    path: str
    reason: str | None
    photo_id: int | None
    photo_name: str | None


def is_heartbeat_fresh(heartbeat: datetime) -> bool:
    """Whether a process with this heartbeat counts as alive, also if the clock was set back."""
    return abs(datetime.now(UTC) - heartbeat) <= STALE


def create(
    connection: Connection,
    kind: Kind,
    title: str,
    options: dict[str, Any] | None = None,
    *,
    queued: bool = False,
    total: int = 0,
    undoes: int | None = None,
) -> int:
    """Add an operation; its id. It is `queued` for a job, or done with this transaction."""
    now = datetime.now(UTC)
    row = insert(runs).values(
        kind=kind,
        title=title,
        status="queued" if queued else "done",
        options=options or {},
        total=total,
        done=0 if queued else total,
        undoes=undoes,
        created_at=now,
        started_at=None if queued else now,
        finished_at=None if queued else now,
    )
    return int(connection.execute(row.returning(runs.c.id)).scalar_one())


def set_columns(connection: Connection, operation_id: int, **columns: Any) -> None:
    """Set columns of an operation."""
    connection.execute(update(runs).where(runs.c.id == operation_id).values(**columns))


def get(connection: Connection, operation_id: int) -> Operation:
    """An operation by id. Raises OptionError if there is none."""
    query = select(runs).where(runs.c.id == operation_id)
    row = connection.execute(query).first() if 0 < operation_id < MAX_ID else None
    if row is None:
        raise OptionError(f"run {operation_id}: the library has none of that number")
    return _to_operation(connection, row)


def ask_to_stop(connection: Connection, operation_id: int) -> None:
    """Ask a job to stop, if it is active. Raises OptionError if there is none of that number."""
    if get(connection, operation_id).active:
        set_columns(connection, operation_id, stop_asked=True)


def was_undone(connection: Connection, operation_id: int) -> bool:
    """Whether an operation was ever undone, even if that was undone too."""
    return (
        connection.scalar(select(runs.c.id).where(runs.c.undoes == operation_id).limit(1))
        is not None
    )


def list_latest(
    connection: Connection, limit: int, kinds: Sequence[str] | None, active: bool = False
) -> list[Operation]:
    """The latest operations, newest first; with `active`, only queued and running ones."""
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if kinds is not None:
        query = query.where(runs.c.kind.in_(kinds))
    if active:
        query = query.where(runs.c.status.in_(ACTIVE))
    return [_to_operation(connection, row) for row in connection.execute(query).all()]


def find_last_edit(connection: Connection, before: int = MAX_ID) -> Operation | None:
    """The latest edit or deletion before an operation that has ended, is not undone, and can be.

    It cannot where its photos were removed for good, or deleted photos are back.
    """
    query = select(runs).where(
        *(runs.c.kind.in_(EDITS), runs.c.undone_by.is_(None), runs.c.status.not_in(ACTIVE)),
        *(runs.c.id < before, _has_changes()),
    )
    row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).first()
    return None if row is None else _to_operation(connection, row)


def _has_changes() -> ColumnElement[bool]:
    """Whether rows of an operation are left; of a deletion, for photos that are deleted still."""
    is_deleted = presences.c.ended_by == runs.c.id, photos.c.deleted_by.is_not(None)
    joined = presences.join(photos, photos.c.id == presences.c.photo_id)
    return or_(
        exists().select_from(joined).where(*is_deleted),
        exists().where(presences.c.run_id == runs.c.id),
        *(
            exists().where(column == runs.c.id)
            for table in (contents, predictions, verdicts, fields, entries)
            for column in (table.c.run_id, table.c.ended_by)
        ),
    )


def find_last_undo(connection: Connection) -> Operation | None:
    """The latest undo of an edit or deletion that holds, if there was no edit or deletion since."""
    latest = select(func.max(runs.c.id)).where(runs.c.kind.in_(EDITS)).scalar_subquery()
    undo_id = connection.scalar(
        select(func.max(runs.c.undone_by)).where(runs.c.kind.in_(EDITS), runs.c.undone_by > latest)
    )
    return None if undo_id is None else get(connection, undo_id)


def count_outcomes(connection: Connection, operation_id: int) -> dict[str, int]:
    """The number of files by outcome."""
    query = (
        select(files.c.outcome, func.count())
        .where(files.c.run_id == operation_id, files.c.outcome.is_not(None))
        .group_by(files.c.outcome)
    )
    return {str(outcome): int(count) for outcome, count in connection.execute(query)}


def load_edited_photos(
    connection: Connection, operation_ids: Sequence[int]
) -> dict[int, dict[int, str]]:
    """By operation, the names by id of the photos that it changed; without deleted ones.

    Those that a person changed come first, then those whose predictions alone changed, because a
    head followed.
    """
    changed = union_all(
        *(
            select(column.label("operation_id"), table.c.photo_id, literal(rank).label("rank"))
            .where(column.in_(operation_ids))
            .distinct()
            for rank, table in enumerate((verdicts, fields, presences, contents, predictions))
            for column in (table.c.run_id, table.c.ended_by)
        )
    ).subquery()
    query = (
        select(changed.c.operation_id, photos.c.id, photos.c.name)
        .join(photos, photos.c.id == changed.c.photo_id)
        .where(photos.c.deleted_by.is_(None))
        .order_by(changed.c.rank, photos.c.id.desc())
    )
    names: dict[int, dict[int, str]] = {operation_id: {} for operation_id in operation_ids}
    for operation_id, photo_id, name in connection.execute(query):
        names[operation_id].setdefault(photo_id, name)
    return names


def list_files(
    connection: Connection, operation_id: int, outcome: str, limit: int
) -> list[OperationFile]:
    """The files of an import or re-tagging with this outcome."""
    query = (
        select(files, photos.c.name.label("photo_name"))
        .outerjoin(photos, photos.c.id == files.c.photo_id)
        .where(files.c.run_id == operation_id, files.c.outcome == outcome)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [
        OperationFile(row.name, row.path, row.reason, row.photo_id, row.photo_name)
        for row in connection.execute(query)
    ]


def _to_operation(connection: Connection, row: Row[Any]) -> Operation:
    names = [name for name in Operation.__dataclass_fields__ if name != "counts"]
    counts = count_outcomes(connection, row.id) if row.kind in RESUMABLE else {}
    return Operation(**{name: row._mapping[name] for name in names}, counts=counts)
