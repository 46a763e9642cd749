"""Runs: whatever was done to the library, how far it is, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Table, and_, exists, func, insert, or_, select, update

from tagger import photos, tags
from tagger.errors import OptionError
from tagger.schema import files, predictions, presences, runs, verdicts

Kind = Literal["import", "retag", "edit", "delete", "undo", "check", "train"]
Status = Literal["queued", "running", "done", "stopped", "failed"]

ACTIVE = ("queued", "running")
UNDOABLE = ("import", "retag", "edit", "delete", "undo")
UNDID, DID_AGAIN = "Undid: ", "Did again: "
STALE = timedelta(seconds=10)  # without a heartbeat, after which a run's process counts as dead


@dataclass(frozen=True)
class Run:
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
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it waits or is at work."""
        return self.status in ACTIVE

    @property
    def stale(self) -> bool:
        """Whether it should be at work and shows no sign of life."""
        return self.active and (
            self.heartbeat_at is None or datetime.now(UTC) - self.heartbeat_at > STALE
        )

    @property
    def undoable(self) -> bool:
        """Whether `undo` would take it."""
        return self.kind in UNDOABLE and not self.active and self.undone_by is None

    @property
    def share(self) -> float | None:
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
class RunFile:
    """A file of an import. `reason` says why it failed, or where a duplicate is."""

    name: str
    path: str
    reason: str | None
    photo_id: int | None


@dataclass(frozen=True)
class Undone:
    """An undoing: how many photos it changed, and how many were changed since and left alone."""

    run_id: int
    changed: int
    left_alone: int


def begin(
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


def change(connection: Connection, run_id: int, **columns: Any) -> None:
    """Set columns of a run."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(**columns))


def get(connection: Connection, run_id: int) -> Run:
    """A run by id. Raises OptionError where there is none."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    if row is None:
        raise OptionError(f"run {run_id}: the library has none of that number")
    return _run(row, _outcomes(connection, row))


def latest(
    connection: Connection, limit: int, kinds: Sequence[str] | None, active: bool = False
) -> list[Run]:
    """The newest runs first."""
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if kinds is not None:
        query = query.where(runs.c.kind.in_(kinds))
    if active:
        query = query.where(runs.c.status.in_(ACTIVE))
    return [_run(row, _outcomes(connection, row)) for row in connection.execute(query).all()]


def counts(connection: Connection, run_id: int) -> dict[str, int]:
    """How many files of an import came to which outcome."""
    query = (
        select(files.c.outcome, func.count())
        .where(files.c.run_id == run_id, files.c.outcome.is_not(None))
        .group_by(files.c.outcome)
    )
    return {str(outcome): int(count) for outcome, count in connection.execute(query)}


def run_files(connection: Connection, run_id: int, outcome: str, limit: int) -> list[RunFile]:
    """The files of an import that came to an outcome."""
    query = (
        select(files)
        .where(files.c.run_id == run_id, files.c.outcome == outcome)
        .order_by(files.c.id)
        .limit(limit)
    )
    return [
        RunFile(row.name, row.path, row.reason, row.photo_id) for row in connection.execute(query)
    ]


def undo(connection: Connection, run_id: int) -> Undone:
    """Put back what a run changed, except what was changed again since.

    The undoing is a run too. Raises OptionError for a run that cannot be undone.
    """
    run = get(connection, run_id)
    if not run.undoable:
        why = (
            "is still at work; stop it first"
            if run.active
            else "is undone already"
            if run.undone_by is not None
            else f"cannot be undone: it is a {run.kind}"
        )
        raise OptionError(f"run {run_id} ({run.title}) {why}")
    run = _standing(connection, run)
    undoing = begin(connection, "undo", _undoing_title(run.title), undoes=run.id)
    touched, changed = _undo_layer(connection, presences, ("photo_id",), run.id, undoing)
    photos.refresh(connection, changed)
    for layer, key in ((predictions, ("photo_id",)), (verdicts, ("photo_id", "label_id"))):
        seen, put_back = _undo_layer(connection, layer, key, run.id, undoing)
        touched |= seen
        changed |= put_back
    tags.refresh(connection, sorted(changed))
    change(connection, undoing, total=len(changed), done=len(changed))
    _mark_undone(connection, run, undoing)
    return Undone(undoing, len(changed), len(touched - changed))


def _standing(connection: Connection, run: Run) -> Run:
    """The run that a run's doing stands by now: the last that did it again, or itself."""
    undoing = connection.execute(
        select(runs.c.undone_by).where(runs.c.undoes == run.id).order_by(runs.c.id.desc())
    ).first()
    if undoing is None or undoing.undone_by is None:
        return run
    return _standing(connection, get(connection, undoing.undone_by))


def _undoing_title(title: str) -> str:
    for prefix, opposite in ((UNDID, DID_AGAIN), (DID_AGAIN, UNDID)):
        if title.startswith(prefix):
            return opposite + title.removeprefix(prefix)
    return UNDID + title


def _mark_undone(connection: Connection, run: Run, by: int) -> None:
    """A run is undone; if it was itself an undoing, what that undid holds again, and so on."""
    change(connection, run.id, undone_by=by)
    undone: int | None = by
    while run.undoes is not None:
        undone = None if undone is not None else run.id
        run = get(connection, run.undoes)
        change(connection, run.id, undone_by=undone)


def _undo_layer(
    connection: Connection, layer: Table, key: Sequence[str], run_id: int, undoing: int
) -> tuple[set[int], set[int]]:
    """End what the run placed and put back what it ended: photos it touched, and photos changed."""
    doing = or_(layer.c.run_id == run_id, layer.c.placed_by == run_id)
    ended = layer.c.ended_by == run_id
    touched = set(connection.scalars(select(layer.c.photo_id).where(or_(doing, ended))))
    reverted = connection.scalars(
        update(layer)
        .where(doing, layer.c.ended_by.is_(None))
        .values(ended_by=undoing)
        .returning(layer.c.photo_id)
    )
    changed = set(reverted)
    later = layer.alias("later")
    same_key = and_(*(later.c[column] == layer.c[column] for column in key))
    # Put back: the last that the run ended, where what the run placed stood until just now, or
    # where nothing has come since.
    just_ended = exists().where(same_key, later.c.ended_by == undoing)
    ended_later = exists().where(same_key, later.c.id > layer.c.id, later.c.ended_by == run_id)
    any_later = exists().where(same_key, later.c.id > layer.c.id)
    columns = [c for c in layer.c if c.name not in ("id", "placed_by", "ended_by")]
    again = (
        select(*columns)
        .where(ended, or_(and_(just_ended, ~ended_later), ~any_later))
        .order_by(layer.c.id)
    )
    for some in _batches(connection, again):
        connection.execute(insert(layer), [{**row._mapping, "placed_by": undoing} for row in some])
        changed |= {row.photo_id for row in some}
    return touched, changed


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Row[Any]]]:
    """Rows some at a time, all read before the first is handed out."""
    rows = connection.execute(query).all()
    for start in range(0, len(rows), tags.CHUNK):
        yield rows[start : start + tags.CHUNK]


def _outcomes(connection: Connection, row: Row[Any]) -> dict[str, int]:
    return counts(connection, row.id) if row.kind in ("import", "retag") else {}


def _run(row: Row[Any], outcomes: dict[str, int]) -> Run:
    names = [name for name in Run.__dataclass_fields__ if name != "counts"]
    return Run(**{name: row._mapping[name] for name in names}, counts=outcomes)
