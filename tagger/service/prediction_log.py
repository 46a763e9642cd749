"""The journal of what the service answered: written in groups, each before its answers go out."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, String, case, cast, func, insert, select, type_coerce

from tagger.errors import LibraryError
from tagger.library.database.database import Database
from tagger.library.database.schema import models, served
from tagger.library.importer import register_model
from tagger.service.ids import uuid7
from tagger.tagger import Prediction, Tagger

MAX_BATCH = 256  # entries written together, at most
_log = logging.getLogger(__name__)
DAY = timedelta(days=1)
LATENCY_BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # seconds, that latencies are counted under
MAX_LABELS = 50  # labels that statistics name


@dataclass(frozen=True)
class Entry:
    """One answer: `seconds` from the photo's last byte on, `sha256` of its bytes.

    `kept` is where the photo was put, relative to the library, if it was.
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
    """Of one hour: how many answers, the share unknown, seconds on average and at most.

    `within` is, for each of SLOW, how many took no longer.
    """

    hour: str
    answers: int
    unknown: float
    mean_seconds: float
    max_seconds: float
    within: dict[str, int]


@dataclass(frozen=True)
class PredictionStats:
    """What was answered, in all and over the last day."""

    answers: int
    unknown: int
    labels: dict[str, int]
    models: dict[str, int]
    hours: list[HourStats]


@dataclass(frozen=True)
class _Waiting:
    entries: Sequence[Entry]
    written: Future[int]


class PredictionLog:
    """Writes entries from any thread, as many in one transaction as have come meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database.with_small_cache()
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._failures = self._overcome = 0  # groups not written, and those made up for
        self._known: dict[str, int] = {}  # models' rows, by digest
        self._writer = threading.Thread(target=self._write_on, name="journal", daemon=True)
        self._writer.start()

    @property
    def queued(self) -> int:
        """How often entries were given that are not written yet."""
        return self._waiting.qsize()

    def write(self, entries: Sequence[Entry]) -> Future[int]:
        """Done once the entries survive a crash: how many were written with them.

        LibraryError where the database cannot be written.
        """
        written: Future[int] = Future()
        written.set_running_or_notify_cancel()  # whoever stops waiting does not stop the writer
        self._waiting.put(_Waiting(entries, written))
        return written

    def check(self) -> None:
        """LibraryError while the database cannot be read; or written, where it last could not."""
        failures = self._failures
        if failures > self._overcome:
            self._database.check_writable()
            self._overcome = max(failures, self._overcome)
        else:
            self._database.check_readable()

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._writer.join()
        self._database.close()

    def stats(self) -> PredictionStats:
        """The answers in numbers. Raises LibraryError."""
        with self._database.read_transaction() as connection:
            total, unknown = connection.execute(
                select(func.count(), func.count().filter(served.c.label.is_(None))).select_from(
                    served
                )
            ).one()
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

    def _write_on(self) -> None:
        ended = False
        while not ended:
            group: list[_Waiting] = []
            first = self._waiting.get()
            while first is not None:
                group.append(first)
                if len(group) >= MAX_BATCH or self._waiting.empty():
                    break
                first = self._waiting.get()
            ended = first is None
            if group:
                self._write_group(group)

    def _write_group(self, group: Sequence[_Waiting]) -> None:
        entries = [entry for waiting in group for entry in waiting.entries]
        try:
            with self._database.write_transaction() as connection:
                fresh = {e.tagger.sha256: e.tagger for e in entries}.items()
                ids = {
                    digest: self._known.get(digest) or register_model(connection, tagger)
                    for digest, tagger in fresh
                }
                connection.execute(
                    insert(served), [_row(entry, ids[entry.tagger.sha256]) for entry in entries]
                )
            self._known |= ids
            self._overcome = self._failures
        except Exception as error:  # noqa: BLE001 - each of them is told, and the next group tried
            _log.exception("answers could not be written down")
            self._known.clear()
            self._failures += 1
            told = LibraryError("the answer could not be written down: try again in a moment")
            told.__cause__ = error
            for waiting in group:
                waiting.written.set_exception(told)
            return
        for waiting in group:
            waiting.written.set_result(len(entries))


def _row(entry: Entry, model: int) -> dict[str, Any]:
    said = entry.prediction
    return {
        "id": entry.id,
        "answered_at": entry.answered_at,
        "sha256": entry.sha256,
        "model_id": model,
        "label": said.label,
        "confidence": said.confidence,
        "reason": said.reason,
        "ood_score": said.ood_score,
        "seconds": entry.seconds,
        "client": entry.client,
        "kept": entry.kept,
    }


def _hourly() -> Any:
    """The answers of the last day, hour by hour in UTC."""
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
