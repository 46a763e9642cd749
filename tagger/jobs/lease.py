"""A process's hold on a run: it shows that it lives, says how far it is, and hears "stop"."""

from __future__ import annotations

import _thread
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select, update

from tagger.errors import LibraryError
from tagger.library import operations
from tagger.library.database.schema import runs
from tagger.library.library import Library
from tagger.library.operations import STALE, Operation

T = TypeVar("T")

MAX_RUNNING = 4  # of one library at a time; more wait for their turn
MAX_ATTEMPTS = 3  # starts in a row that got nowhere
BEAT_SECONDS = 2.0
TURN_SECONDS = 0.5
TOLD_SECONDS = 0.5  # between two notes of how far a long loop is


class Stopped(Exception):  # noqa: N818 - not an error
    """Somebody asked the run to stop."""


class Lost(Exception):  # noqa: N818 - as above
    """Another process has taken the run over: nothing more may be written."""


class Claim:
    """A run held by this process. Every transaction on its behalf begins by checking that."""

    def __init__(self, library: Library, run_id: int) -> None:
        self.library = library
        self.run_id = run_id
        self._token = uuid.uuid4().hex
        self._ended = threading.Event()
        self._interrupts = False

    @property
    def run(self) -> Operation:
        """The run as it is now."""
        return self.library.operation(self.run_id)

    def take(self) -> bool:
        """Wait for a turn and take the run; whether it was there to take.

        A run that another living process holds, or that is over, is not.
        """
        while True:
            with self.library.database.write_transaction() as connection:
                taken = self._try(connection)
            if taken is not None:
                return taken
            time.sleep(TURN_SECONDS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the heart beating."""
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        try:
            yield
        finally:
            self._ended.set()
            beat.join()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Where nothing asks, let "stop" raise KeyboardInterrupt in the main thread."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, if the run is still ours. Raises Stopped or Lost."""
        with self.library.database.write_transaction() as connection:
            if self._hold(connection):
                raise Stopped
            yield connection

    def advance(self, connection: Connection, count: int) -> None:
        """Note that so many more are done."""
        done = runs.c.done + count
        connection.execute(
            update(runs).where(runs.c.id == self.run_id).values(done=done, attempts=0)
        )

    def tell(self, **columns: Any) -> None:
        """Set columns of the run, such as `stage`, `done` and `total`. Raises Lost."""
        with self.library.database.write_transaction() as connection:
            self._hold(connection)
            operations.set_columns(connection, self.run_id, **columns)

    def begin_stage(self, stage: str, **columns: Any) -> None:
        """Say what comes now; the time left is told from its pace. Raises Lost."""
        if "done" not in columns:
            columns["done"] = self.run.done
        done = columns["done"]
        self.tell(stage=stage, paced_at=datetime.now(UTC), paced_from=done, **columns)

    def settle(self) -> None:
        """From here on "stop" would only lose what is nearly done: let it finish."""
        self._interrupts = False

    def progress(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Note how far a long loop is; see `tagger.concurrency.Progress`."""
        told = time.monotonic()
        self.begin_stage(what, done=0, total=total)
        for count, item in enumerate(items, 1):
            yield item
            if time.monotonic() - told > TOLD_SECONDS or count == total:
                self.tell(done=count)
                told = time.monotonic()

    def finish(self, status: operations.Status, **columns: Any) -> None:
        """Note how it ended, and let go."""
        ended = {"status": status, "finished_at": datetime.now(UTC), "claim": None, **columns}
        with self.library.database.write_transaction() as connection:
            connection.execute(update(runs).where(self._mine()).values(**ended))

    def _try(self, connection: Connection) -> bool | None:
        """Whether the run is ours; None while it has to wait for others."""
        row = connection.execute(select(runs).where(runs.c.id == self.run_id)).first()
        if row is None or row.status not in operations.ACTIVE:
            return False
        now = datetime.now(UTC)
        living = row.heartbeat_at is not None and operations.is_heartbeat_fresh(row.heartbeat_at)
        if row.claim not in (None, self._token) and living:
            return False
        values = {"claim": self._token, "heartbeat_at": now}
        if row.stop_asked:
            operations.set_columns(connection, self.run_id, **values)
            return True
        if row.attempts >= MAX_ATTEMPTS:
            log = self.library.home / "logs" / f"{self.run_id}.log"
            told = f"it broke off {MAX_ATTEMPTS} times without getting further; {log} may say why"
            ended = {"status": "failed", "error": told, "finished_at": now, "claim": None}
            operations.set_columns(connection, self.run_id, **ended)
            return False
        if row.status == "queued" and self._others(connection, now) >= MAX_RUNNING:
            operations.set_columns(connection, self.run_id, **values)
            return None
        values |= {"status": "running", "attempts": row.attempts + 1}
        values |= {"started_at": row.started_at or now}
        operations.set_columns(connection, self.run_id, **values)
        return True

    def _others(self, connection: Connection, now: datetime) -> int:
        found = connection.scalar(
            select(func.count()).where(
                runs.c.status == "running",
                runs.c.id != self.run_id,
                runs.c.heartbeat_at > now - STALE,
            )
        )
        return found or 0

    def _mine(self) -> Any:
        mine = (runs.c.id == self.run_id) & (runs.c.claim == self._token)
        return mine & runs.c.status.in_(operations.ACTIVE)

    def _hold(self, connection: Connection) -> bool:
        """Beat once; whether somebody asked to stop. Raises Lost."""
        asked = connection.execute(
            update(runs)
            .where(self._mine())
            .values(heartbeat_at=datetime.now(UTC))
            .returning(runs.c.stop_asked)
        ).first()
        if asked is None:
            raise Lost
        return bool(asked.stop_asked)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                with self.library.database.write_transaction() as connection:
                    asked = self._hold(connection)
            except Lost:
                asked = True
            except LibraryError:  # somebody writes for long; the next beat may be in time
                continue
            if asked and self._interrupts:
                self._interrupts = False  # once; the heart goes on, for there is still work
                _thread.interrupt_main()
