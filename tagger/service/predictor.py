"""Predictor: tags photos, and logs each prediction before it is returned."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagger.concurrency import one_blas_thread
from tagger.errors import BusyError, ImageError, LibraryError, TaggerError
from tagger.files import write_atomically
from tagger.images import decode
from tagger.library.library import Library
from tagger.service.metrics import Metrics
from tagger.service.model_cache import ModelCache, smoke_test
from tagger.service.prediction_log import Entry, PredictionLog
from tagger.service.settings import ANSWER_SECONDS, MAX_UNLOGGED, Settings
from tagger.service.worker_pool import WorkerPool
from tagger.tagger import Prediction, Tagger
from tagger.text import data_uri

READY_SECONDS = 1.0  # for which the result of a readiness check is reused
KEPT_FOLDER = "served"  # folder of the library for the photos of TAGGER_KEEP_PHOTOS
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictOptions:
    """Options of one request.

    `top` and `threshold` are those of `Tagger.tag`, `model` is another model's name, `client` is
    the client's name for itself.
    """

    top: int = 5
    threshold: float | None = None
    model: str | None = None
    heatmap: bool = False
    client: str | None = None


@dataclass(frozen=True)
class PhotoResult:
    """The prediction for one photo, its id in the prediction log, and a heatmap as a data URI."""

    prediction: Prediction
    model: str
    id: str
    heatmap: str | None = None


class Predictor:
    """Library, models, worker threads and prediction log; one per process."""

    def __init__(self, settings: Settings) -> None:
        """Raises TaggerError if it cannot start."""
        self.settings = settings
        with ExitStack() as stack:  # closes in reverse order
            self.library = stack.enter_context(closing(Library.open()))
            self.models = ModelCache(settings.model or self.library.active_model())
            stack.enter_context(one_blas_thread())  # once, since it is slow to set
            self.log = stack.enter_context(closing(PredictionLog(self.library.database)))
            self.pool = stack.enter_context(closing(WorkerPool(settings.workers, settings.queue)))
            self.pool.run_on_each_thread(lambda: smoke_test(self.models.active))
            self._resources = stack.pop_all()
        self.metrics = Metrics(lambda: self.pool.queued, lambda: self.models.active)
        self._checked_at, self._checking = float("-inf"), asyncio.Lock()
        self._problem: str | None = None

    def close(self) -> None:
        """Finish the work in progress and close."""
        self._resources.close()

    async def ready(self) -> Tagger:
        """The active model. It is checked once in READY_SECONDS, however many ask.

        Raises BusyError if it does not work or predictions cannot be logged. Details go to the
        program's log alone, since anybody may ask.
        """
        async with self._checking:
            tagger = self.models.active
            if time.monotonic() - self._checked_at > READY_SECONDS:
                self._problem = await asyncio.to_thread(self._find_problem, tagger)
                self._checked_at = time.monotonic()
            if self._problem is not None:
                raise BusyError(f"not ready: {self._problem}")
            return tagger

    def _find_problem(self, tagger: Tagger) -> str | None:
        try:
            smoke_test(tagger)
            if not self.library.home.is_dir():
                return "the library's folder is gone"
            self.log.check()
        except LibraryError as error:
            _log.warning("not ready: %s", error)
            return "answers cannot be written down"
        except TaggerError as error:
            _log.warning("not ready: %s", error)
            return "the model does not answer"
        return None

    async def predict(
        self, photos: Sequence[bytes], options: PredictOptions
    ) -> list[PhotoResult | ImageError]:
        """A result per photo, in order, or why it cannot be read. All results are logged by then.

        Raises BusyError if there is no room or no time, ModelError for a model that is missing or
        broken, OptionError for invalid options, LibraryError if the log cannot be written.
        """
        started = time.monotonic()
        if self.log.queued > MAX_UNLOGGED:
            raise BusyError("busy: answers wait to be written down, try again in a moment")
        tagger = self.models.active
        if options.model is not None:
            await asyncio.to_thread(self.models.check_name, options.model)
        results: list[Future[PhotoResult | ImageError]] = [Future() for _ in photos]
        tasks = self.pool.submit(
            [
                partial(self._predict_photo, result, tagger, photo, options, started)
                for result, photo in zip(results, photos, strict=True)
            ]
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return [await asyncio.wrap_future(result) for result in results]
        except TimeoutError:
            raise BusyError(f"not answered within {ANSWER_SECONDS:.0f} s") from None
        finally:
            for task in tasks:
                task.cancel()

    def _predict_photo(
        self,
        result: Future[PhotoResult | ImageError],
        tagger: Tagger,
        photo: bytes,
        options: PredictOptions,
        started: float,
    ) -> None:
        """Tag a photo; `result` is set once the prediction is logged.

        The log's thread sets it, so that the event loop, the busiest thread, wakes once per photo.
        """
        if not result.set_running_or_notify_cancel():  # the request was given up
            return
        try:
            if options.model is not None:
                tagger = self.models.get(options.model)
            prediction = tagger.tag(photo, top=options.top, threshold=options.threshold)
            heatmap = None
            if options.heatmap:
                heatmap = data_uri(decode.encode(tagger.heatmap(photo), "JPEG"), "image/jpeg")
            digest = hashlib.sha256(photo).hexdigest()
            kept = self._keep_photo(photo, digest) if self.settings.keep_photos else None
        except ImageError as error:
            result.set_result(error)
            return
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            result.set_exception(error)
            return
        seconds = time.monotonic() - started
        entry = Entry(prediction, tagger, digest, seconds, options.client, kept)

        def on_logged(batch_size: Future[int]) -> None:
            if (error := batch_size.exception()) is not None:
                result.set_exception(error)
                return
            self.metrics.observe_batch(batch_size.result())
            self.metrics.count_predictions([prediction])
            result.set_result(PhotoResult(prediction, tagger.name, entry.id, heatmap))

        self.log.write([entry]).add_done_callback(on_logged)

    def _keep_photo(self, photo: bytes, digest: str) -> str:
        """Store a photo under its digest; its path relative to the library."""
        relative = Path(KEPT_FOLDER, digest[:2], digest)
        path = self.library.home / relative
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, photo)
        return relative.as_posix()
