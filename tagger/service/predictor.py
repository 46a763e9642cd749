"""The service without its HTTP: settings, and photos answered, written down, and only then told."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from tagger.concurrency import one_blas_thread, worker_count
from tagger.errors import BusyError, ImageError, LibraryError, OptionError, TaggerError
from tagger.files import write_atomically
from tagger.images import decode
from tagger.library.library import Library
from tagger.service.metrics import Metrics
from tagger.service.model_cache import ModelCache, smoke_test
from tagger.service.prediction_log import Entry, PredictionLog
from tagger.service.worker_pool import WorkerPool
from tagger.tagger import Prediction, Tagger
from tagger.text import data_uri

_log = logging.getLogger(__name__)

MAX_PHOTOS = 16  # photos a request
MAX_BODY = 64 * 2**20  # bytes a request, all of its photos together
MAX_ARRIVING_BODIES = 512 * 2**20  # bytes of all requests that wait for their answers
REQUEST_SECONDS = 30  # for a request to arrive in
ANSWER_SECONDS = 20.0  # for its answer to be found in
MAX_UNLOGGED = 1024  # answers that wait to be written down, before no more are sought
RETRY_AFTER = "1"  # seconds, for whoever is told that there is no room
READY_SECONDS = 1.0  # seconds for which a model that answered is taken to be ready
QUEUE = 32  # photos that wait beside those being tagged
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
KEPT_FOLDER = "served"  # folder of the library for photos that are kept


@dataclass(frozen=True)
class Settings:
    """What the environment asks for: see `from_environment`.

    With no token, only requests that arrive on a loopback address are answered. `cors` are
    origins that pages of others may call from. `keep_photos` stores each photo in the library's
    folder. `open_invocations` lets /invocations be called without a token, where the platform
    around asks for the right to. `request_seconds` is how long a request may take to arrive.
    """

    model: str | None = None
    predict_token: str | None = None
    admin_token: str | None = None
    workers: int = 1
    queue: int = QUEUE
    cors: tuple[str, ...] = ()
    keep_photos: bool = False
    open_invocations: bool = False
    request_seconds: float = REQUEST_SECONDS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From `TAGGER_MODEL`, `TAGGER_WORKERS`, ...; OptionError for what cannot be."""

        def number(name: str, usual: int, least: int) -> int:
            text = environment.get(name) or str(usual)
            if not text.isascii() or not text.isdigit() or int(text) < least:
                raise OptionError(f"{name}={text!r}: give a whole number from {least} on")
            return int(text)

        def switch(name: str) -> bool:
            text = (environment.get(name) or "0").lower()
            if text not in ("0", "1", "false", "true", "no", "yes"):
                raise OptionError(f"{name}={text!r}: give 1 or 0")
            return text in ("1", "true", "yes")

        def token(name: str) -> str | None:
            text = environment.get(name) or None
            if text and not (text.isascii() and text.isprintable() and " " not in text):
                raise OptionError(f"{name}: a token has letters, digits and signs of ASCII alone")
            return text

        origins = [one.strip() for one in (environment.get("TAGGER_CORS") or "").split(",")]
        for origin in filter(None, origins):
            if not _ORIGIN.fullmatch(origin):
                raise OptionError(f"TAGGER_CORS={origin!r}: give origins as https://example.org")
        return cls(
            model=environment.get("TAGGER_MODEL") or None,
            predict_token=token("TAGGER_PREDICT_TOKEN"),
            admin_token=token("TAGGER_ADMIN_TOKEN"),
            workers=number("TAGGER_WORKERS", worker_count(), 1),
            queue=number("TAGGER_QUEUE", QUEUE, 0),
            cors=tuple(filter(None, origins)),
            keep_photos=switch("TAGGER_KEEP_PHOTOS"),
            open_invocations=switch("TAGGER_OPEN_INVOCATIONS"),
            request_seconds=number("TAGGER_REQUEST_SECONDS", REQUEST_SECONDS, 1),
        )

    @property
    def guarded(self) -> bool:
        """Whether there is a token."""
        return bool(self.predict_token or self.admin_token)


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine alone."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@dataclass(frozen=True)
class PredictOptions:
    """How photos are to be answered: as `Tagger.tag` has it.

    `model` is the name of another model; `heatmap` asks for one of each photo; `client` is what
    the caller calls itself.
    """

    top: int = 5
    threshold: float | None = None
    model: str | None = None
    heatmap: bool = False
    client: str | None = None


@dataclass(frozen=True)
class PhotoResult:
    """A photo's answer, the number it is written down under, and a heatmap as a data URI."""

    prediction: Prediction
    model: str
    id: str
    heatmap: str | None = None


class Predictor:
    """A library, models, threads and a journal. One of it a process."""

    def __init__(self, settings: Settings) -> None:
        """Raises TaggerError where it cannot start."""
        self.settings = settings
        with ExitStack() as opening:  # what is begun ends in the other order
            self.library = opening.enter_context(closing(Library.open()))
            self.models = ModelCache(settings.model or self.library.active_model())
            opening.enter_context(one_blas_thread())  # once, not anew for each photo
            self.log = opening.enter_context(closing(PredictionLog(self.library.database)))
            pool = WorkerPool(settings.workers, settings.queue)
            self.engine = opening.enter_context(closing(pool))
            self.engine.run_on_each_thread(lambda: smoke_test(self.models.active))
            self._begun = opening.pop_all()
        self.metrics = Metrics(lambda: self.engine.queued, lambda: self.models.active)
        self._tried, self._trying = float("-inf"), asyncio.Lock()
        self._trouble: str | None = None

    def close(self) -> None:
        """Finish what was begun, and close."""
        self._begun.close()

    async def ready(self) -> Tagger:
        """The model that answers. It is tried once in a while, however many ask.

        Raises BusyError while it does not answer or nothing can be written down; why in detail, the
        log alone says, since anybody may ask.
        """
        async with self._trying:
            tagger = self.models.active
            if time.monotonic() - self._tried > READY_SECONDS:
                self._trouble = await asyncio.to_thread(self._check, tagger)
                self._tried = time.monotonic()
            if self._trouble is not None:
                raise BusyError(f"not ready: {self._trouble}")
            return tagger

    def _check(self, tagger: Tagger) -> str | None:
        """What is wrong, or None."""
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
        self, photos: Sequence[bytes], asked: PredictOptions
    ) -> list[PhotoResult | ImageError]:
        """Each photo's answer, or why it cannot be read; those answered are written down by then.

        Raises BusyError where there is no room or no time, ModelError for a model that is not there
        or cannot be used, OptionError for options outside what they may be, LibraryError where
        nothing can be written.
        """
        began = time.monotonic()
        if self.log.queued > MAX_UNLOGGED:
            raise BusyError("busy: answers wait to be written down, try again in a moment")
        tagger = self.models.active
        if asked.model is not None:
            await asyncio.to_thread(self.models.check_name, asked.model)
        told: list[Future[PhotoResult | ImageError]] = [Future() for _ in photos]
        works = [
            partial(self._answer, one, tagger, photo, asked, began)
            for one, photo in zip(told, photos, strict=True)
        ]
        begun = self.engine.submit(works)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return [await asyncio.wrap_future(one) for one in told]
        except TimeoutError:
            raise BusyError(f"not answered within {ANSWER_SECONDS:.0f} s") from None
        finally:
            for future in begun:
                future.cancel()

    def _answer(
        self,
        told: Future[PhotoResult | ImageError],
        tagger: Tagger,
        photo: bytes,
        asked: PredictOptions,
        began: float,
    ) -> None:
        """Tag a photo, and let it be told once it is written down.

        From thread to thread: the event loop, which has the most to do, is woken once a photo.
        """
        if not told.set_running_or_notify_cancel():  # nobody waits for it any more
            return
        try:
            if asked.model is not None:
                tagger = self.models.get(asked.model)
            prediction = tagger.tag(photo, top=asked.top, threshold=asked.threshold)
            heatmap = _data_uri(tagger.heatmap(photo)) if asked.heatmap else None
            digest = hashlib.sha256(photo).hexdigest()
            kept = self._keep(photo, digest) if self.settings.keep_photos else None
        except ImageError as error:
            told.set_result(error)
            return
        except BaseException as error:  # noqa: BLE001 - told where it is waited for
            told.set_exception(error)
            return
        seconds = time.monotonic() - began
        entry = Entry(prediction, tagger, digest, seconds, asked.client, kept)

        def written(together: Future[int]) -> None:
            if (error := together.exception()) is not None:
                told.set_exception(error)
                return
            self.metrics.observe_batch(together.result())
            self.metrics.count_predictions([prediction])
            told.set_result(PhotoResult(prediction, tagger.name, entry.id, heatmap))

        self.log.write([entry]).add_done_callback(written)

    def _keep(self, photo: bytes, digest: str) -> str:
        place = Path(KEPT_FOLDER, digest[:2], digest)
        path = self.library.home / place
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, photo)
        return place.as_posix()


def _data_uri(rgb: decode.Pixels) -> str:
    return data_uri(decode.encode(rgb, "JPEG"), "image/jpeg")
