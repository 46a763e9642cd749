"""PredictionLog: batches, failures, statistics; and its ids."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tagger.errors import LibraryError
from tagger.library.database.schema import models, served
from tagger.library.library import Library
from tagger.service.prediction_log import DAY, Entry, PredictionLog, uuid7
from tagger.tagger import Prediction, Score, Tagger
from tests.conftest import TIMEOUT

CAT = Prediction("cat", 0.9, False, None, 0.1, (Score("cat", 0.9),), (Score("cat", 0.9),))
UNKNOWN = Prediction(None, 0.5, True, "unfamiliar", 1.0, (), (Score("dog", 0.5),))


@pytest.fixture
def log(library: Library) -> Iterator[PredictionLog]:
    opened = PredictionLog(library.database)
    yield opened
    opened.close()


def make_entry(pets: Tagger, prediction: Prediction = CAT, **fields: object) -> Entry:
    values: dict[str, object] = {"sha256": "ab" * 32, "seconds": 0.02, **fields}
    return Entry(prediction, pets, **values)  # type: ignore[arg-type]


def read_rows(library: Library) -> list[dict[str, object]]:
    with library.database.read_transaction() as connection:
        query = select(served, models.c.name).join_from(served, models).order_by(served.c.id)
        return [dict(row) for row in connection.execute(query).mappings()]


def test_an_entry_is_in_the_database_once_its_future_is_done(
    log: PredictionLog, library: Library, pets: Tagger
) -> None:
    entry = make_entry(pets, UNKNOWN, client="phone", kept="served/ab/ab", seconds=0.5)
    assert log.write([entry]).result(TIMEOUT).size == 1
    (row,) = read_rows(library)
    assert row["id"] == entry.id and row["answered_at"] == entry.answered_at
    assert (row["label"], row["confidence"], row["reason"]) == (None, 0.5, "unfamiliar")
    assert (row["ood_score"], row["seconds"], row["client"]) == (1.0, 0.5, "phone")
    assert (row["name"], row["sha256"], row["kept"]) == ("pets", "ab" * 32, "served/ab/ab")


def test_concurrent_entries_are_written_once_each(
    log: PredictionLog, library: Library, pets: Tagger
) -> None:
    batch_sizes: list[int] = []

    def write() -> None:
        for _ in range(20):
            batch_sizes.append(log.write([make_entry(pets)]).result(TIMEOUT).size)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(read_rows(library)) == len(batch_sizes) == 160
    assert max(batch_sizes) <= 8


def test_closing_writes_what_is_queued(library: Library, pets: Tagger) -> None:
    log = PredictionLog(library.database)
    futures = [log.write([make_entry(pets)]) for _ in range(50)]
    log.close()
    assert all(future.done() for future in futures) and len(read_rows(library)) == 50


def test_a_failed_batch_raises_and_the_next_is_written(
    log: PredictionLog, library: Library, pets: Tagger
) -> None:
    assert log.write([make_entry(pets)]).result(TIMEOUT).size == 1
    with pytest.raises(LibraryError):
        log.write([make_entry(pets, sha256=None)]).result(TIMEOUT)
    assert log.write([make_entry(pets)]).result(TIMEOUT).size == 1
    assert len(read_rows(library)) == 2


@pytest.mark.parametrize("field", ["confidence", "label"])
def test_an_entry_that_cannot_be_written_fails_alone(
    log: PredictionLog, library: Library, pets: Tagger, field: str
) -> None:
    """SQLite has no NaN, and text is UTF-8."""
    poison = replace(CAT, **{field: math.nan if field == "confidence" else "\ud800"})
    with library.database.write_transaction():  # so that they become one batch
        futures = [
            log.write([make_entry(pets, poison if number % 3 == 1 else CAT)]) for number in range(9)
        ]
    failed = [number for number, f in enumerate(futures) if f.exception(TIMEOUT) is not None]
    assert failed == [1, 4, 7] and len(read_rows(library)) == 6
    assert log.write([make_entry(pets)]).result(TIMEOUT).size == 1


def test_an_entry_with_an_id_that_is_there_is_left_out(
    log: PredictionLog, library: Library, pets: Tagger
) -> None:
    entry = make_entry(pets)
    other, again = make_entry(pets), make_entry(pets, UNKNOWN, id=entry.id)
    last, same = make_entry(pets), make_entry(pets, UNKNOWN, id=entry.id)
    assert log.write([entry, other]).result(TIMEOUT).new_ids == {entry.id, other.id}
    batch = log.write([again, last, same]).result(TIMEOUT)
    assert batch.size == 3 and batch.new_ids == {last.id}
    rows = read_rows(library)
    assert len(rows) == 3
    assert [row["label"] for row in rows if row["id"] == entry.id] == ["cat"]


def test_statistics_count_labels_models_and_the_last_day(log: PredictionLog, pets: Tagger) -> None:
    recent = datetime.now(UTC)
    for prediction, seconds in ((CAT, 0.01), (CAT, 0.2), (UNKNOWN, 2.0)):
        entry = make_entry(pets, prediction, seconds=seconds, answered_at=recent)
        log.write([entry]).result(TIMEOUT)
    old = recent - DAY - timedelta(hours=1)
    log.write([make_entry(pets, answered_at=old)]).result(TIMEOUT)
    stats = log.stats()
    assert (stats.answers, stats.unknown) == (4, 1)
    assert stats.labels == {"cat": 3} and stats.models == {"pets": 4}
    (hour,) = stats.hours
    assert hour.hour == f"{recent:%Y-%m-%dT%H}:00Z" and hour.answers == 3
    assert hour.unknown == pytest.approx(1 / 3) and hour.max_seconds == 2.0
    assert hour.mean_seconds == pytest.approx(2.21 / 3)
    assert (hour.within["0.025"], hour.within["0.25"], hour.within["1.0"]) == (1, 2, 2)


def test_statistics_of_an_empty_log(log: PredictionLog) -> None:
    stats = log.stats()
    assert (stats.answers, stats.unknown, stats.labels, stats.hours) == (0, 0, {}, [])


def test_a_model_is_registered_once(library: Library, pets: Tagger) -> None:
    for _ in range(2):
        log = PredictionLog(library.database)
        log.write([make_entry(pets), make_entry(pets)]).result(TIMEOUT)
        log.close()
    with library.database.read_transaction() as connection:
        assert connection.scalars(select(models.c.name)).all() == ["pets"]


def test_ids_are_distinct_uuids_of_version_7() -> None:
    ids = [uuid7() for _ in range(10_000)]
    assert len(set(ids)) == len(ids) and {len(text) for text in ids} == {32}
    for text in ids[:100]:
        parsed = uuid.UUID(text)
        assert parsed.version == 7 and parsed.variant == uuid.RFC_4122


def test_ids_sort_by_time() -> None:
    before = uuid7()
    time.sleep(0.002)
    after = uuid7()
    assert before < after
    milliseconds = int(after[:12], 16)
    assert abs(milliseconds / 1000 - time.time()) < 5
