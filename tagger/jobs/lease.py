"""Lease on a job: one worker process holds it, with heartbeat, progress and cancellation.

A job whose holder died has a stale heartbeat; `worker.resume_stale` starts a process that takes it.
"""

from __future__ import annotations

import _thread
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select, update

from tagger.errors import LibraryError
from tagger.library import operations
from tagger.library.database.schema import runs
from tagger.library.library import Library
from tagger.library.operations import STALE, Operation

T = TypeVar("T")

MAX_RUNNING = 4  # jobs of one library at a time; the rest stay queued
MAX_ATTEMPTS = 3  # starts in a row that processed nothing
HEARTBEAT_SECONDS = 2.0
POLL_SECONDS = 0.5  # between two attempts to leave the queue
PROGRESS_SECONDS = 0.5  # between two writes of a loop's progress


class JobStopped(Exception):  # noqa: N818 - not an error
    """A person asked the job to stop."""


class LeaseLost(Exception):  # noqa: N818 - as above
    """Another process has taken over the job; this one must write nothing more."""


class Lease:
    """Exclusive right of this process to run a job. Every write checks it and renews it."""

    def __init__(self, library: Library, job_id: int) -> None:
        self.library = library
        self.job_id = job_id
        self._token = uuid.uuid4().hex
        self._released = threading.Event()
        self._interruptible = False

    @property
    def job(self) -> Operation:
        """The job as it is in the database now."""
        return self.library.operation(self.job_id)

    def acquire(self) -> bool:
        """Take the lease; a queued job first waits until fewer than MAX_RUNNING jobs run.

        False for a job that has ended or that another live process holds.
        """
        while True:
            with self.library.database.write_transaction() as connection:
                acquired = self._try_acquire(connection)
            if acquired is not None:
                return acquired
            time.sleep(POLL_SECONDS)

    @contextmanager
    def keep_alive(self) -> Iterator[None]:
        """Send heartbeats from a thread."""
        thread = threading.Thread(target=self._send_heartbeats, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._released.set()
            thread.join()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in the main thread when the job is to stop.

        For code that does not call `write_transaction`, which raises JobStopped.
        """
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def ignore_stop(self) -> None:
        """From here on let the job finish: stopping would only lose what is nearly done."""
        self._interruptible = False

    @contextmanager
    def write_transaction(self) -> Iterator[Connection]:
        """A transaction of the job's. Raises JobStopped or LeaseLost."""
        with self.library.database.write_transaction() as connection:
            if self._renew(connection):
                raise JobStopped
            yield connection

    def add_done(self, connection: Connection, count: int) -> None:
        """Count `count` more items as done."""
        connection.execute(
            update(runs)
            .where(runs.c.id == self.job_id)
            .values(done=runs.c.done + count, attempts=0)
        )

    def set_columns(self, **columns: Any) -> None:
        """Set columns of the job, such as `stage`, `done` and `total`. Raises LeaseLost."""
        with self.library.database.write_transaction() as connection:
            self._renew(connection)
            operations.set_columns(connection, self.job_id, **columns)

    def start_stage(self, stage: str, **columns: Any) -> None:
        """Show a new stage; the time left is estimated from its pace alone. Raises LeaseLost."""
        columns.setdefault("done", self.job.done)
        self.set_columns(
            stage=stage, paced_at=datetime.now(UTC), paced_from=columns["done"], **columns
        )

    def track_progress(self, items: Iterable[T], total: int, stage: str) -> Iterable[T]:
        """Write the progress of a long loop: a `tagger.concurrency.Progress`."""
        written = time.monotonic()
        self.start_stage(stage, done=0, total=total)
        for count, item in enumerate(items, 1):
            yield item
            if time.monotonic() - written > PROGRESS_SECONDS or count == total:
                self.set_columns(done=count)
                written = time.monotonic()

    def release(self, status: operations.Status, **columns: Any) -> None:
        """Write how the job ended and give up the lease."""
        values = {"status": status, "finished_at": datetime.now(UTC), "claim": None, **columns}
        with self.library.database.write_transaction() as connection:
            connection.execute(update(runs).where(self._is_held()).values(**values))

    def _try_acquire(self, connection: Connection) -> bool | None:
        """Whether the lease is ours; None while the job must stay queued."""
        row = connection.execute(select(runs).where(runs.c.id == self.job_id)).first()
        if row is None or row.status not in operations.ACTIVE:
            return False
        now = datetime.now(UTC)
        alive = row.heartbeat_at is not None and operations.is_heartbeat_fresh(row.heartbeat_at)
        if row.claim not in (None, self._token) and alive:
            return False
        values = {"claim": self._token, "heartbeat_at": now}
        if row.stop_asked:
            operations.set_columns(connection, self.job_id, **values)
            return True
        if row.attempts >= MAX_ATTEMPTS:
            log = self.library.home / "logs" / f"{self.job_id}.log"
            error = f"it broke off {MAX_ATTEMPTS} times without getting further; {log} may say why"
            values = {"status": "failed", "error": error, "finished_at": now, "claim": None}
            operations.set_columns(connection, self.job_id, **values)
            return False
        if row.status == "queued" and self._count_running(connection, now) >= MAX_RUNNING:
            operations.set_columns(connection, self.job_id, **values)
            return None
        values |= {"status": "running", "attempts": row.attempts + 1}
        values |= {"started_at": row.started_at or now}
        operations.set_columns(connection, self.job_id, **values)
        return True

    def _count_running(self, connection: Connection, now: datetime) -> int:
        """Other jobs whose worker is alive."""
        count = connection.scalar(
            select(func.count()).where(
                runs.c.status == "running",
                runs.c.id != self.job_id,
                runs.c.heartbeat_at > now - STALE,
            )
        )
        return count or 0

    def _is_held(self) -> ColumnElement[bool]:
        held = (runs.c.id == self.job_id) & (runs.c.claim == self._token)
        return held & runs.c.status.in_(operations.ACTIVE)

    def _renew(self, connection: Connection) -> bool:
        """Write a heartbeat; whether the job is to stop. Raises LeaseLost."""
        row = connection.execute(
            update(runs)
            .where(self._is_held())
            .values(heartbeat_at=datetime.now(UTC))
            .returning(runs.c.stop_asked)
        ).first()
        if row is None:
            raise LeaseLost
        return bool(row.stop_asked)

    def _send_heartbeats(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            try:
                with self.library.database.write_transaction() as connection:
                    must_stop = self._renew(connection)
            except LeaseLost:
                must_stop = True
            except LibraryError:  # a long write of another process; the next one may be in time
                continue
            if must_stop and self._interruptible:
                self._interruptible = False  # interrupt once; the job has still work to finish
                _thread.interrupt_main()
