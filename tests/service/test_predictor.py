"""The service without its HTTP: its settings, and answers that are written down first."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from tagger.errors import BusyError, ImageError, LibraryError, ModelError, OptionError
from tagger.images import decode
from tagger.library.database.schema import served
from tagger.service import predictor
from tagger.service.predictor import PhotoResult, PredictOptions, Predictor
from tagger.service.settings import Settings
from tests.conftest import draw, wait_until

PHOTO = decode.encode(draw("disc", 1), "JPEG")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Predictor]:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    opened = Predictor(Settings(model="pets", workers=2, keep_photos=True))
    yield opened
    opened.close()


def written(running: Predictor) -> set[str]:
    with running.library.database.read_transaction() as connection:
        return set(connection.scalars(select(served.c.id)))


def test_answers_are_written_down_by_the_time_they_are_told(running: Predictor) -> None:
    first, broken, last = asyncio.run(
        running.predict(
            [PHOTO, b"no photo", PHOTO], PredictOptions(top=1, client="me", heatmap=True)
        )
    )
    assert isinstance(first, PhotoResult) and isinstance(last, PhotoResult)
    assert isinstance(broken, ImageError) and "not a JPEG" in str(broken)
    assert written(running) == {first.id, last.id}
    assert len(first.prediction.scores) == 1 and first.model == "pets"
    kind, _, picture = str(first.heatmap).partition(",")
    assert kind == "data:image/jpeg;base64"
    assert decode.read(base64.b64decode(picture)).shape[2] == 3
    digest = hashlib.sha256(PHOTO).hexdigest()
    kept = running.library.home / "served" / digest[:2] / digest
    assert kept.read_bytes() == PHOTO


def test_photos_are_not_kept_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    opened = Predictor(Settings(model="pets"))
    asyncio.run(opened.predict([PHOTO], PredictOptions()))
    opened.close()
    assert {path.name for path in (tmp_path / "library").iterdir()} <= {
        *("catalogue.db", "catalogue.db-shm", "catalogue.db-wal"),
    }


def test_what_cannot_be_asked_is_refused_and_nothing_written(running: Predictor) -> None:
    for asked, kind in (
        (PredictOptions(model="nope"), ModelError),
        (PredictOptions(model="../model/pets"), ModelError),
        (PredictOptions(top=0), OptionError),
        (PredictOptions(threshold=2), OptionError),
    ):
        with pytest.raises(kind):
            asyncio.run(running.predict([PHOTO], asked))
    assert written(running) == set()


def test_no_time_and_no_room_are_told(running: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "ANSWER_SECONDS", 0.0)
    with pytest.raises(BusyError, match="not answered within"):
        asyncio.run(running.predict([PHOTO] * 8, PredictOptions()))
    monkeypatch.undo()
    (answer,) = asyncio.run(running.predict([PHOTO], PredictOptions()))
    assert isinstance(answer, PhotoResult) and answer.id in written(running)


def test_where_nothing_can_be_written_it_is_not_ready_until_it_can(
    running: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "READY_SECONDS", 0.0)
    assert asyncio.run(running.ready()).name == "pets"
    with renamed(running, "served"):  # what is read is there, what is written is not
        with pytest.raises(LibraryError):
            asyncio.run(running.predict([PHOTO], PredictOptions()))
        with renamed(running, "alembic_version"), pytest.raises(BusyError) as told:
            asyncio.run(running.ready())
        assert str(told.value) == "not ready: answers cannot be written down"
    assert asyncio.run(running.ready()).name == "pets"
    (answer,) = asyncio.run(running.predict([PHOTO], PredictOptions()))
    assert isinstance(answer, PhotoResult)


def test_a_database_that_goes_while_nobody_asks_is_noticed(
    running: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "READY_SECONDS", 0.0)
    with renamed(running, "alembic_version"), pytest.raises(BusyError):
        asyncio.run(running.ready())


def test_however_many_ask_it_is_tried_once_in_a_while(running: Predictor) -> None:
    with renamed(running, "alembic_version"), pytest.raises(BusyError):
        asyncio.run(running.ready())
    with pytest.raises(BusyError):
        asyncio.run(running.ready())  # within a second of it


@contextmanager
def renamed(running: Predictor, table: str) -> Iterator[None]:
    """A table that nobody finds meanwhile."""
    for names in ((table, "elsewhere_" + table), ("elsewhere_" + table, table)):
        with running.library.database.write_transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE {} RENAME TO {}".format(*names))
        if names[0] == table:
            yield


def test_without_its_folder_it_is_not_ready(running: Predictor) -> None:
    running.library.home.rename(running.library.home.with_name("elsewhere"))
    with pytest.raises(BusyError, match="gone"):
        asyncio.run(running.ready())


def test_what_cannot_be_written_down_soon_is_not_begun(
    running: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "MAX_UNLOGGED", 3)
    with running.library.database.write_transaction():  # the journal waits for this writer
        running.log.write([])
        wait_until(lambda: running.log.queued == 0)
        for _ in range(4):
            running.log.write([])
        with pytest.raises(BusyError, match="written down"):
            asyncio.run(running.predict([PHOTO], PredictOptions()))
    wait_until(lambda: running.log.queued == 0)
    (answer,) = asyncio.run(running.predict([PHOTO], PredictOptions()))
    assert isinstance(answer, PhotoResult)
