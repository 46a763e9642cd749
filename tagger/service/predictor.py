"""Predictor: tags photos, and logs each prediction before it is returned."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagger.errors import BusyError, ImageError, LibraryError, TaggerError
from tagger.files import write_atomically
from tagger.library.library import Library
from tagger.service.library_writer import LibraryWriter
from tagger.service.metrics import Metrics
from tagger.service.model_cache import ModelCache
from tagger.service.prediction_log import Batch, Entry, PredictionLog, uuid7
from tagger.service.settings import ANSWER_SECONDS, MAX_UNLOGGED, Settings
from tagger.service.worker_pool import PhotoTask, Tagged, WorkerPool
from tagger.service.worker_process import TaggedPhoto
from tagger.tagger import Prediction, Tagger
from tagger.text import data_uri

CHECK_SECONDS = 2.0  # for a worker to answer a readiness check
READY_SECONDS = 1.0  # for which the result of a readiness check is reused
KEPT_FOLDER = "served"  # folder of the library for the photos of TAGGER_KEEP_PHOTOS
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictOptions:
    """Options of one request.

    `top` and `threshold` are those of `Tagger.tag`, `model` is another model's name, `client` is
    the client's name for itself, `request` its id for the request: what is sent again under the
    same id is recorded once.
    """

    top: int = 5
    threshold: float | None = None
    model: str | None = None
    heatmap: bool = False
    client: str | None = None
    request: str | None = None


@dataclass(frozen=True)
class PhotoResult:
    """The prediction for one photo, its id in the prediction log, and a heatmap as a data URI."""

    prediction: Prediction
    model: str
    id: str
    heatmap: str | None = None


class Predictor:
    """Library, models, worker processes and prediction log; one per service."""

    def __init__(self, settings: Settings) -> None:
        """Raises TaggerError if it cannot start."""
        self.settings = settings
        with ExitStack() as stack:  # closes in reverse order
            self.library = stack.enter_context(closing(Library.open()))
            self.models = ModelCache(settings.model or self.library.active_model())
            self.log = stack.enter_context(closing(PredictionLog(self.library.database)))
            self.pool = stack.enter_context(closing(WorkerPool(settings.workers, settings.queue)))
            self._loader = ThreadPoolExecutor(1, "model loader")
            stack.callback(self._loader.shutdown, wait=False, cancel_futures=True)
            self.pool.warm_up(self.models.active)
            self.writer = LibraryWriter(self.library, self.models, self.pool)
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
            self.pool.check(tagger, CHECK_SECONDS)
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
            tagger = await self._load_model(options.model)
        tasks = self.pool.submit(
            [
                PhotoTask(lambda: tagger, photo, options.top, options.threshold, options.heatmap)
                for photo in photos
            ]
        )
        results = [
            self._log_when_tagged(task, photo, options, number, started)
            for number, (task, photo) in enumerate(zip(tasks, photos, strict=True))
        ]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return [await asyncio.wrap_future(result) for result in results]
        except TimeoutError:
            raise BusyError(f"not answered within {ANSWER_SECONDS:.0f} s") from None
        finally:
            self.pool.give_up(tasks)

    async def _load_model(self, name: str) -> Tagger:
        """Another model. It is loaded by a thread for this alone: its file may keep that for long.

        Raises as `ModelCache.get`, and BusyError if it takes too long.
        """
        await asyncio.to_thread(self.models.check_name, name)
        if (tagger := self.models.find_loaded(name)) is not None:
            return tagger
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await loop.run_in_executor(self._loader, self.models.get, name)
        except TimeoutError:
            raise BusyError(f"{name} was not loaded within {ANSWER_SECONDS:.0f} s") from None

    def _log_when_tagged(
        self,
        task: Future[Tagged],
        photo: bytes,
        options: PredictOptions,
        number: int,
        started: float,
    ) -> Future[PhotoResult | ImageError]:
        """The result of a photo, the `number`-th of its request, once its prediction is logged.

        The log's thread sets it, so that the event loop, the busiest thread, wakes once per photo.
        """
        result: Future[PhotoResult | ImageError] = Future()
        result.set_running_or_notify_cancel()  # it cannot be cancelled

        def on_tagged(task: Future[Tagged]) -> None:
            if task.cancelled():  # nobody waits for the result
                return
            try:
                tagger, tagged = task.result()
                kept = self._keep_photo(photo, tagged.sha256) if self.settings.keep_photos else None
            except ImageError as error:
                result.set_result(error)
                return
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                result.set_exception(error)
                return
            entry = Entry(
                tagged.prediction,
                tagger,
                tagged.sha256,
                time.monotonic() - started,
                options.client,
                kept,
                _entry_id(options, number, tagged.sha256, tagger),
            )
            self.log.write([entry]).add_done_callback(partial(on_logged, entry, tagged))

        def on_logged(entry: Entry, tagged: TaggedPhoto, batch: Future[Batch]) -> None:
            if (error := batch.exception()) is not None:
                result.set_exception(error)
                return
            self.metrics.observe_batch(batch.result().size)
            if entry.id in batch.result().new_ids:
                self.metrics.count_prediction(entry.prediction)
            heatmap = data_uri(tagged.heatmap, "image/jpeg") if tagged.heatmap else None
            result.set_result(PhotoResult(entry.prediction, entry.tagger.name, entry.id, heatmap))

        task.add_done_callback(on_tagged)
        return result

    def _keep_photo(self, photo: bytes, digest: str) -> str:
        """Store a photo under its digest; its path relative to the library."""
        relative = Path(KEPT_FOLDER, digest[:2], digest)
        path = self.library.home / relative
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, photo)
        return relative.as_posix()


def _entry_id(options: PredictOptions, number: int, sha256: str, tagger: Tagger) -> str:
    """A new id, or the same for the same photo of a request that is sent again."""
    if options.request is None:
        return uuid7()
    parts = [options.request, options.client, number, sha256, tagger.sha256]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
