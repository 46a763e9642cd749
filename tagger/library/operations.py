"""Runs: whatever was done to the library, how far it is, and how it is undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from tagger.errors import OptionError
from tagger.library.database.schema import files, photos, runs
from tagger.library.photos import MAX_ID

Kind = Literal["import", "retag", "edit", "delete", "undo", "check", "train"]
Status = Literal["queued", "running", "done", "stopped", "failed"]

ACTIVE = ("queued", "running")
RESUMABLE = ("import", "retag")
UNDOABLE = ("import", "retag", "edit", "delete", "undo")
MAX_ACTIVE = 1_000  # a limit for queries: more than are ever queued or running at once
STALE = timedelta(seconds=10)  # without a heartbeat, after which a run's process counts as dead


@dataclass(frozen=True)
class Operation:
    """One thing that was, or is being, done. `counts` are its files by outcome (imports)."""

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
    attempts: int  # in a row that got nowhere, this one included
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it waits or is at work."""
        return self.status in ACTIVE

    @property
    def stale(self) -> bool:
        """Whether it should be at work and shows no sign of life."""
        return self.active and (
            self.heartbeat_at is None or not is_heartbeat_fresh(self.heartbeat_at)
        )

    @property
    def resumable(self) -> bool:
        """Whether it ended early and could go on where it was."""
        return (
            self.kind in RESUMABLE
            and self.status in ("stopped", "failed")
            and self.undone_by is None
        )

    @property
    def undoable(self) -> bool:
        """Whether `undo` would take it."""
        return self.kind in UNDOABLE and not self.active and self.undone_by is None

    @property
    def progress(self) -> float | None:
        """How much of it is done, in [0, 1]; None while nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None while nobody knows."""
        done = self.done - self.paced_from
        if self.status != "running" or not self.paced_at or not self.total or done <= 0:
            return None
        spent = (datetime.now(UTC) - self.paced_at).total_seconds()
        return spent * (self.total - self.done) / done


@dataclass(frozen=True)
class OperationFile:
    """A file of an import, or a photo tagged again. `reason` says why it failed, if it did.

    `photo_id` is the photo that it became or matches, called `photo_name` in the library.
    """

    name: str
    path: str
    reason: str | None
    photo_id: int | None
    photo_name: str | None


def is_heartbeat_fresh(heartbeat: datetime) -> bool:
    """Whether whoever gave this sign of life is alive; no clock can be trusted to go forward."""
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
    """A new run, `queued` for a process of its own or done as soon as this transaction is."""
    now = datetime.now(UTC)
    new = insert(runs).values(
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
    return int(connection.execute(new.returning(runs.c.id)).scalar_one())


def set_columns(connection: Connection, run_id: int, **columns: Any) -> None:
    """Set columns of a run."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(**columns))


def get(connection: Connection, run_id: int) -> Operation:
    """A run by id. Raises OptionError where there is none."""
    known = select(runs).where(runs.c.id == run_id)
    row = connection.execute(known).first() if 0 < run_id < MAX_ID else None
    if row is None:
        raise OptionError(f"run {run_id}: the library has none of that number")
    return _run(row, _outcomes(connection, row))


def was_undone(connection: Connection, run_id: int) -> bool:
    """Whether a run was ever undone, even if that was undone too."""
    return connection.scalar(select(runs.c.id).where(runs.c.undoes == run_id).limit(1)) is not None


def list_latest(
    connection: Connection, limit: int, kinds: Sequence[str] | None, active: bool = False
) -> list[Operation]:
    """The newest runs first."""
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if kinds is not None:
        query = query.where(runs.c.kind.in_(kinds))
    if active:
        query = query.where(runs.c.status.in_(ACTIVE))
    return [_run(row, _outcomes(connection, row)) for row in connection.execute(query).all()]


def count_outcomes(connection: Connection, run_id: int) -> dict[str, int]:
    """How many files of an import came to which outcome."""
    query = (
        select(files.c.outcome, func.count())
        .where(files.c.run_id == run_id, files.c.outcome.is_not(None))
        .group_by(files.c.outcome)
    )
    return {str(outcome): int(count) for outcome, count in connection.execute(query)}


def list_files(
    connection: Connection, run_id: int, outcome: str, limit: int
) -> list[OperationFile]:
    """The files of an import that came to an outcome."""
    query = (
        select(files, photos.c.name.label("photo_name"))
        .outerjoin(photos, photos.c.id == files.c.photo_id)
        .where(files.c.run_id == run_id, files.c.outcome == outcome)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [
        OperationFile(row.name, row.path, row.reason, row.photo_id, row.photo_name)
        for row in connection.execute(query)
    ]


def _outcomes(connection: Connection, row: Row[Any]) -> dict[str, int]:
    return count_outcomes(connection, row.id) if row.kind in ("import", "retag") else {}


def _run(row: Row[Any], outcomes: dict[str, int]) -> Operation:
    names = [name for name in Operation.__dataclass_fields__ if name != "counts"]
    return Operation(**{name: row._mapping[name] for name in names}, counts=outcomes)
