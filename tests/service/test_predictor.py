"""Predictor: results, the prediction log, limits, readiness."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from tagger import paths
from tagger.errors import BusyError, ImageError, LibraryError, ModelError, OptionError
from tagger.images import decode
from tagger.inference import model_trial
from tagger.library.database.schema import served
from tagger.service import predictor as predictor_module
from tagger.service.predictor import PhotoResult, PredictOptions, Predictor
from tagger.service.settings import Settings
from tests.conftest import PETS_MODEL, draw, wait_until

PHOTO = decode.encode(draw("disc", 1), "JPEG")


@pytest.fixture
def predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Predictor]:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    opened = Predictor(Settings(model="pets", workers=2, keep_photos=True))
    yield opened
    opened.close()


def logged_ids(predictor: Predictor) -> set[str]:
    with predictor.library.database.read_transaction() as connection:
        return set(connection.scalars(select(served.c.id)))


def count_predictions(predictor: Predictor) -> float:
    metrics = predictor.metrics.render().decode().splitlines()
    counts = [line for line in metrics if line.startswith("tagger_predictions_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def predict_one(predictor: Predictor) -> PhotoResult:
    (result,) = asyncio.run(predictor.predict([PHOTO], PredictOptions()))
    assert isinstance(result, PhotoResult)
    return result


def test_results_are_logged_by_the_time_they_are_returned(predictor: Predictor) -> None:
    options = PredictOptions(top=1, client="me", heatmap=True)
    first, broken, last = asyncio.run(predictor.predict([PHOTO, b"no photo", PHOTO], options))
    assert isinstance(first, PhotoResult) and isinstance(last, PhotoResult)
    assert isinstance(broken, ImageError) and "not a JPEG" in str(broken)
    assert logged_ids(predictor) == {first.id, last.id}
    assert len(first.prediction.scores) == 1 and first.model == "pets"
    prefix, _, picture = str(first.heatmap).partition(",")
    assert prefix == "data:image/jpeg;base64"
    assert decode.read(base64.b64decode(picture)).shape[2] == 3


def test_keep_photos_stores_each_photo_under_its_digest(predictor: Predictor) -> None:
    predict_one(predictor)
    digest = hashlib.sha256(PHOTO).hexdigest()
    assert (predictor.library.home / "served" / digest[:2] / digest).read_bytes() == PHOTO


def test_by_default_no_photos_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    predictor = Predictor(Settings(model="pets"))
    predict_one(predictor)
    predictor.close()
    assert {path.name for path in (tmp_path / "library").iterdir()} <= {
        *("catalogue.db", "catalogue.db-shm", "catalogue.db-wal"),
    }


def test_invalid_options_are_refused_and_nothing_is_logged(predictor: Predictor) -> None:
    for options, error in (
        (PredictOptions(model="nope"), ModelError),
        (PredictOptions(model="../model/pets"), ModelError),
        (PredictOptions(top=0), OptionError),
        (PredictOptions(threshold=2), OptionError),
    ):
        with pytest.raises(error):
            asyncio.run(predictor.predict([PHOTO], options))
    assert logged_ids(predictor) == set()


def test_a_request_that_takes_too_long_is_given_up(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "ANSWER_SECONDS", 0.0)
    with pytest.raises(BusyError, match="not answered within"):
        asyncio.run(predictor.predict([PHOTO] * 8, PredictOptions()))
    monkeypatch.undo()
    assert predict_one(predictor).id in logged_ids(predictor)


def test_an_answer_that_was_given_up_is_recorded_once_if_it_is_asked_again(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PredictOptions(request="mine-1")
    monkeypatch.setattr(predictor_module, "ANSWER_SECONDS", 0.5)
    with predictor.library.database.write_transaction(), pytest.raises(BusyError):
        asyncio.run(predictor.predict([PHOTO, PHOTO], options))
    monkeypatch.undo()
    results = asyncio.run(predictor.predict([PHOTO, PHOTO], options))
    assert logged_ids(predictor) == {r.id for r in results if isinstance(r, PhotoResult)}
    assert len(logged_ids(predictor)) == count_predictions(predictor) == 2
    asyncio.run(predictor.predict([PHOTO], PredictOptions(request="mine-2")))
    asyncio.run(predictor.predict([PHOTO], PredictOptions()))
    assert len(logged_ids(predictor)) == count_predictions(predictor) == 4


def test_an_answer_that_is_asked_again_and_again_is_counted_once(predictor: Predictor) -> None:
    for _ in range(3):
        results = asyncio.run(predictor.predict([PHOTO], PredictOptions(request="same-1")))
        assert isinstance(results[0], PhotoResult)
    assert len(logged_ids(predictor)) == predictor.log.stats().answers == 1
    assert count_predictions(predictor) == 1


def test_it_is_not_ready_while_predictions_cannot_be_logged(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "READY_SECONDS", 0.0)
    assert asyncio.run(predictor.ready()).name == "pets"
    with hidden_table(predictor, "served"):  # the database can still be read
        with pytest.raises(LibraryError):
            asyncio.run(predictor.predict([PHOTO], PredictOptions()))
        with hidden_table(predictor, "alembic_version"), pytest.raises(BusyError) as raised:
            asyncio.run(predictor.ready())
        assert str(raised.value) == "not ready: answers cannot be written down"
    assert asyncio.run(predictor.ready()).name == "pets"
    predict_one(predictor)


def test_it_is_not_ready_if_the_database_fails_between_requests(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "READY_SECONDS", 0.0)
    with hidden_table(predictor, "alembic_version"), pytest.raises(BusyError):
        asyncio.run(predictor.ready())


def test_readiness_is_checked_once_a_second(predictor: Predictor) -> None:
    with hidden_table(predictor, "alembic_version"), pytest.raises(BusyError):
        asyncio.run(predictor.ready())
    with pytest.raises(BusyError):
        asyncio.run(predictor.ready())  # the table is back, the result is reused


@contextmanager
def hidden_table(predictor: Predictor, table: str) -> Iterator[None]:
    """The table has another name meanwhile."""

    def rename(old: str, new: str) -> None:
        with predictor.library.database.write_transaction() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    rename(table, f"hidden_{table}")
    yield
    rename(f"hidden_{table}", table)


def test_it_is_not_ready_without_the_librarys_folder(predictor: Predictor) -> None:
    predictor.library.home.rename(predictor.library.home.with_name("elsewhere"))
    with pytest.raises(BusyError, match="gone"):
        asyncio.run(predictor.ready())


def test_photos_are_refused_while_too_many_predictions_wait_for_the_log(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "MAX_UNLOGGED", 3)
    with predictor.library.database.write_transaction():  # the log waits for this transaction
        predictor.log.write([])
        wait_until(lambda: predictor.log.queued == 0)
        for _ in range(4):
            predictor.log.write([])
        with pytest.raises(BusyError, match="written down"):
            asyncio.run(predictor.predict([PHOTO], PredictOptions()))
    wait_until(lambda: predictor.log.queued == 0)
    predict_one(predictor)


def test_a_network_without_finite_numbers_fails_its_own_photos_alone(
    blind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    predictor = Predictor(Settings(model=str(blind), workers=2))
    dark = decode.encode(np.zeros((64, 64, 3), np.uint8), "PNG")
    bright = decode.encode(draw("disc", 1) | 128, "PNG")

    async def predict() -> list[list[PhotoResult | ImageError]]:
        photos = [bright, dark, bright, dark, bright]
        requests = [predictor.predict([photo], PredictOptions()) for photo in photos]
        return await asyncio.gather(*requests)

    results = [result for (result,) in asyncio.run(predict())]
    assert [isinstance(result, ImageError) for result in results] == [False, True] * 2 + [False]
    assert "not finite" in str(results[1]) and str(tmp_path) not in str(results[1])
    assert logged_ids(predictor) == {r.id for r in results if isinstance(r, PhotoResult)}
    predictor.close()


def test_photos_are_answered_while_another_model_hangs(
    fatal: Path, trials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.setattr(paths, "MODELS", fatal.parent)
    monkeypatch.setattr(model_trial, "SECONDS", 5)
    monkeypatch.setenv("FATAL", "hang")
    predictor = Predictor(Settings(model=str(PETS_MODEL), workers=2))

    async def predict() -> list[object]:
        requests = [
            asyncio.create_task(predictor.predict([PHOTO], PredictOptions(model="fatal")))
            for _ in range(4)
        ]
        await asyncio.sleep(0.2)
        answers = await predictor.predict([PHOTO] * 4, PredictOptions())
        assert all(isinstance(answer, PhotoResult) for answer in answers)
        assert not any(request.done() for request in requests)
        return await asyncio.gather(*requests, return_exceptions=True)

    errors = asyncio.run(predict())
    assert {type(error) for error in errors} == {ModelError}
    assert {str(error) for error in errors} == {
        "fatal.h5: reading it and running its network took more than 5 s; refused"
    }
    predictor.close()
