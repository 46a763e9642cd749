"""Service settings from the environment, and the service's fixed limits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tagger.concurrency import worker_count
from tagger.errors import OptionError

MAX_PHOTOS = 16  # photos per request
MAX_BODY = 64 * 2**20  # bytes per request, all of its photos together
MAX_ARRIVING_BODIES = 512 * 2**20  # bytes of all requests that are not answered yet
MAX_CONNECTIONS = 512
MAX_UNLOGGED = 1024  # predictions waiting for the database before new ones are refused
QUEUE = 32  # photos waiting beside those being tagged
REQUEST_SECONDS = 30  # for a request to arrive
ANSWER_SECONDS = 20.0  # for its answer to be computed
RETRY_AFTER = "1"  # seconds, sent with every 503

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


@dataclass(frozen=True)
class Settings:
    """Settings of one service; each is the environment variable TAGGER_<NAME>.

    Without tokens, only requests that arrive on a loopback address are answered. `cors` lists the
    origins whose pages may call the service. `keep_photos` stores each photo in the library's
    folder. `open_invocations` lets /invocations be called without a token, where the surrounding
    platform does the authentication. `request_seconds` is how long a request may take to arrive.
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
        """Settings from `TAGGER_MODEL`, `TAGGER_WORKERS`, ...; OptionError for invalid values."""

        def number(name: str, default: int, minimum: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isascii() or not text.isdigit() or int(text) < minimum:
                raise OptionError(f"{name}={text!r}: give a whole number from {minimum} on")
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

        origins = [origin.strip() for origin in (environment.get("TAGGER_CORS") or "").split(",")]
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
    def needs_token(self) -> bool:
        return bool(self.predict_token or self.admin_token)
