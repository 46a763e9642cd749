"""What the service answered: written in groups, whole, and told in numbers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tagger.errors import LibraryError
from tagger.library.database.schema import models, served
from tagger.library.library import Library
from tagger.service.prediction_log import DAY, Entry, PredictionLog, uuid7
from tagger.tagger import Prediction, Score, Tagger
from tests.conftest import PATIENCE

CAT = Prediction("cat", 0.9, False, None, 0.1, (Score("cat", 0.9),), (Score("cat", 0.9),))
NOTHING = Prediction(None, 0.5, True, "unfamiliar", 1.0, (), (Score("dog", 0.5),))


@pytest.fixture
def journal(library: Library) -> Iterator[PredictionLog]:
    opened = PredictionLog(library.database)
    yield opened
    opened.close()


def entry(pets: Tagger, said: Prediction = CAT, **changed: object) -> Entry:
    values: dict[str, object] = {"sha256": "ab" * 32, "seconds": 0.02, **changed}
    return Entry(said, pets, **values)  # type: ignore[arg-type]


def rows(library: Library) -> list[dict[str, object]]:
    with library.database.read_transaction() as connection:
        query = select(served, models.c.name).join_from(served, models).order_by(served.c.id)
        return [dict(row) for row in connection.execute(query).mappings()]


def test_an_answer_is_there_once_it_is_said_to_be(
    journal: PredictionLog, library: Library, pets: Tagger
) -> None:
    one = entry(pets, NOTHING, client="phone", kept="served/ab/ab", seconds=0.5)
    assert journal.write([one]).result(PATIENCE) == 1
    (row,) = rows(library)
    assert row["id"] == one.id and row["answered_at"] == one.answered_at
    assert (row["label"], row["confidence"], row["reason"]) == (None, 0.5, "unfamiliar")
    assert (row["ood_score"], row["seconds"], row["client"]) == (1.0, 0.5, "phone")
    assert (row["name"], row["sha256"], row["kept"]) == ("pets", "ab" * 32, "served/ab/ab")


def test_many_at_once_are_written_each_once(
    journal: PredictionLog, library: Library, pets: Tagger
) -> None:
    groups: list[int] = []

    def ask() -> None:
        for _ in range(20):
            groups.append(journal.write([entry(pets)]).result(PATIENCE))

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(PATIENCE)
    assert len(rows(library)) == len(groups) == 160
    assert max(groups) <= 8


def test_what_waits_is_written_before_it_ends(library: Library, pets: Tagger) -> None:
    journal = PredictionLog(library.database)
    written = [journal.write([entry(pets)]) for _ in range(50)]
    journal.close()
    assert all(future.done() for future in written) and len(rows(library)) == 50


def test_where_nothing_can_be_written_each_is_told_and_the_next_is_tried(
    journal: PredictionLog, library: Library, pets: Tagger
) -> None:
    twice = entry(pets)
    assert journal.write([twice]).result(PATIENCE) == 1
    with pytest.raises(LibraryError):
        journal.write([twice]).result(PATIENCE)  # that number is taken
    assert journal.write([entry(pets)]).result(PATIENCE) == 1
    assert len(rows(library)) == 2


def test_they_add_up(journal: PredictionLog, pets: Tagger) -> None:
    recent = datetime.now(UTC)
    for said, seconds in ((CAT, 0.01), (CAT, 0.2), (NOTHING, 2.0)):
        journal.write([entry(pets, said, seconds=seconds, answered_at=recent)]).result(PATIENCE)
    old = recent - DAY - timedelta(hours=1)
    journal.write([entry(pets, answered_at=old)]).result(PATIENCE)
    tally = journal.stats()
    assert (tally.answers, tally.unknown) == (4, 1)
    assert tally.labels == {"cat": 3} and tally.models == {"pets": 4}
    (hour,) = tally.hours
    assert hour.hour == f"{recent:%Y-%m-%dT%H}:00Z" and hour.answers == 3
    assert hour.unknown == pytest.approx(1 / 3) and hour.max_seconds == 2.0
    assert hour.mean_seconds == pytest.approx(2.21 / 3)
    assert (hour.within["0.025"], hour.within["0.25"], hour.within["1.0"]) == (1, 2, 2)


def test_nothing_answered_adds_up_to_nothing(journal: PredictionLog) -> None:
    tally = journal.stats()
    assert (tally.answers, tally.unknown, tally.labels, tally.hours) == (0, 0, {}, [])


def test_a_model_is_noted_once(library: Library, pets: Tagger) -> None:
    for _ in range(2):  # two services, one after the other
        journal = PredictionLog(library.database)
        journal.write([entry(pets), entry(pets)]).result(PATIENCE)
        journal.close()
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
