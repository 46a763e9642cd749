"""Prediction log: a table row per photo, committed before its response is sent."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, String, case, cast, func, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, TimeoutError

from tagger.errors import DatabaseUnavailableError, LibraryError
from tagger.library.database.database import Database
from tagger.library.database.schema import models, served
from tagger.library.importer import register_model
from tagger.tagger import Prediction, Tagger

MAX_BATCH = 256  # entries per transaction
DAY = timedelta(days=1)
LATENCY_BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # seconds
MAX_LABELS = 50  # in the statistics
_log = logging.getLogger(__name__)


def uuid7() -> str:
    """32 hexadecimal digits of a UUID of version 7 (RFC 9562), which sort by time to the ms.

    New ids go to the end of the table's index; random ids would be spread all over it.
    """
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | random.getrandbits(12) << 64
    return f"{number | 0b10 << 62 | random.getrandbits(62):032x}"


@dataclass(frozen=True)
class Entry:
    """One prediction: `seconds` since the photo's last byte arrived, `sha256` of its bytes.

    `kept` is the path of the stored photo relative to the library, if it was stored.
    """

    prediction: Prediction
    tagger: Tagger
    sha256: str
    seconds: float
    client: str | None = None
    kept: str | None = None
    id: str = field(default_factory=uuid7)
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class HourStats:
    """Predictions of one hour; `unknown` is a share in [0, 1].

    `within` counts, for each of LATENCY_BOUNDS, the predictions that took at most that long.
    """

    hour: str
    answers: int
    unknown: float
    mean_seconds: float
    max_seconds: float
    within: dict[str, int]


@dataclass(frozen=True)
class PredictionStats:
    """Counts of all predictions, and the last day by the hour."""

    answers: int
    unknown: int
    labels: dict[str, int]
    models: dict[str, int]
    hours: list[HourStats]


@dataclass(frozen=True)
class Batch:
    """Entries that were committed together, `size` of them.

    `new_ids` are those of one call of `write`, without those that were there before it, since
    their request was sent again.
    """

    size: int
    new_ids: frozenset[str]


@dataclass(frozen=True)
class _Write:
    entries: Sequence[Entry]
    batch: Future[Batch]


class PredictionLog:
    """Takes entries from any thread; one thread commits all that are queued in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database.with_small_cache()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._failures = self._recovered = 0  # failed batches, and those followed by a success
        self._model_ids: dict[str, int] = {}  # by digest
        self._writer = threading.Thread(target=self._run, name="prediction log", daemon=True)
        self._writer.start()

    @property
    def queued(self) -> int:
        """Calls of `write` that are not done yet."""
        return self._queue.qsize()

    def write(self, entries: Sequence[Entry]) -> Future[Batch]:
        """Queue entries. The future gives their batch once it is committed to the disk.

        It raises LibraryError if the database cannot be written.
        """
        batch: Future[Batch] = Future()
        batch.set_running_or_notify_cancel()  # it cannot be cancelled
        self._queue.put(_Write(entries, batch))
        return batch

    def check(self) -> None:
        """LibraryError if the database cannot be read or, after a failed write, written."""
        failures = self._failures
        if failures > self._recovered:
            self._database.check_writable()
            self._recovered = max(failures, self._recovered)
        else:
            self._database.check_readable()

    def close(self) -> None:
        """Write what is queued, and stop."""
        self._queue.put(None)
        self._writer.join()
        self._database.close()

    def stats(self) -> PredictionStats:
        """Raises LibraryError."""
        with self._database.read_transaction() as connection:
            unlabelled = func.count().filter(served.c.label.is_(None))
            totals = select(func.count(), unlabelled).select_from(served)
            total, unknown = connection.execute(totals).one()
            count = func.count().label("answers")
            labels = connection.execute(
                select(served.c.label, count)
                .where(served.c.label.is_not(None))
                .group_by(served.c.label)
                .order_by(count.desc(), served.c.label)
                .limit(MAX_LABELS)
            )
            by_model = connection.execute(
                select(models.c.name, count)
                .join_from(served, models)
                .group_by(models.c.name)
                .order_by(count.desc())
            )
            return PredictionStats(
                int(total),
                int(unknown),
                {label: int(answers) for label, answers in labels},
                {name: int(answers) for name, answers in by_model},
                [_hour(row) for row in connection.execute(_hourly()).mappings()],
            )

    def _run(self) -> None:
        stopped = False
        while not stopped:
            writes: list[_Write] = []
            write = self._queue.get()
            while write is not None:
                writes.append(write)
                if len(writes) >= MAX_BATCH or self._queue.empty():
                    break
                write = self._queue.get()
            stopped = write is None
            if writes:
                self._write_batch(writes)

    def _write_batch(self, writes: Sequence[_Write]) -> None:
        entries = [entry for write in writes for entry in write.entries]
        try:
            with self._database.write_transaction() as connection:
                taggers = {entry.tagger.sha256: entry.tagger for entry in entries}
                ids = {
                    digest: self._model_ids.get(digest) or register_model(connection, tagger)
                    for digest, tagger in taggers.items()
                }
                rows = [_row(entry, ids[entry.tagger.sha256]) for entry in entries]
                new_ids = connection.scalars(_insert_new(connection), rows).all() if rows else ()
            self._model_ids |= ids
            self._recovered = self._failures
        except Exception as error:  # noqa: BLE001 - raised to each caller; the next batch is tried
            if len(writes) > 1 and _is_of_an_entry(error):
                for write in writes:
                    self._write_batch([write])
                return
            _log.exception("answers could not be written down")
            self._model_ids.clear()
            self._failures += 1
            failure = LibraryError("the answer could not be written down: try again in a moment")
            failure.__cause__ = error
            for write in writes:
                write.batch.set_exception(failure)
            return
        left = set(new_ids)
        for write in writes:
            own = left.intersection(entry.id for entry in write.entries)
            left -= own
            write.batch.set_result(Batch(len(entries), frozenset(own)))


def _is_of_an_entry(error: Exception) -> bool:
    """Whether an error is of what was to be written, so that other entries can be."""
    cause = error.__cause__ if isinstance(error, DatabaseUnavailableError) else error
    if isinstance(cause, DBAPIError):
        return isinstance(cause, IntegrityError | DataError)
    return not isinstance(cause, TimeoutError)


def _insert_new(connection: Connection) -> Any:
    """An insert that leaves an entry alone which is there, and returns the ids of the others."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(served).on_conflict_do_nothing(index_elements=[served.c.id])
    return new.returning(served.c.id)


def _row(entry: Entry, model: int) -> dict[str, Any]:
    prediction = entry.prediction
    return {
        "id": entry.id,
        "answered_at": entry.answered_at,
        "sha256": entry.sha256,
        "model_id": model,
        "label": prediction.label,
        "confidence": prediction.confidence,
        "reason": prediction.reason,
        "ood_score": prediction.ood_score,
        "seconds": entry.seconds,
        "client": entry.client,
        "kept": entry.kept,
    }


def _hourly() -> Any:
    """Query of the last day, one row per hour in UTC."""
    moment = cast(type_coerce(served.c.answered_at, DateTime), String)
    hour = func.substr(moment, 1, len("2026-01-31 12")).label("hour")
    unknown = func.avg(case((served.c.label.is_(None), 1.0), else_=0.0))
    within = [
        func.count().filter(served.c.seconds <= bound).label(f"within_{bound}")
        for bound in LATENCY_BOUNDS
    ]
    return (
        select(
            hour,
            func.count().label("answers"),
            unknown.label("unknown"),
            func.avg(served.c.seconds).label("mean_seconds"),
            func.max(served.c.seconds).label("max_seconds"),
            *within,
        )
        .where(served.c.answered_at >= datetime.now(UTC) - DAY)
        .group_by(hour)
        .order_by(hour)
    )


def _hour(row: Any) -> HourStats:
    return HourStats(
        hour=f"{row['hour'].replace(' ', 'T')}:00Z",
        answers=int(row["answers"]),
        unknown=float(row["unknown"]),
        mean_seconds=float(row["mean_seconds"]),
        max_seconds=float(row["max_seconds"]),
        within={str(bound): int(row[f"within_{bound}"]) for bound in LATENCY_BOUNDS},
    )
