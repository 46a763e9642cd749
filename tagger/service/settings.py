"""Service settings from the environment, and the service's fixed limits."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tagger.concurrency import worker_count
from tagger.errors import OptionError

MAX_PHOTOS = 16  # photos per request
MAX_BODY = 64 * 2**20  # bytes per request, all of its photos together
MAX_ARRIVING_BODIES = 256 * 2**20  # bytes of all requests that are not answered yet
MAX_CONNECTIONS = 512
MAX_HEAD = 64 * 2**10  # bytes of a request's head, and of what HTTP writes around a body
MAX_UNLOGGED = 1024  # predictions waiting for the database before new ones are refused
QUEUE = 32  # photos waiting beside those being tagged
REQUEST_SECONDS = 30  # for a request to arrive
ANSWER_SECONDS = 20.0  # for its answer to be computed
RETRY_AFTER = "1"  # seconds, sent with every 503

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


class Settings(BaseSettings):
    """Settings of one service; each is the environment variable TAGGER_<NAME>.

    Without tokens, only requests that arrive on a loopback address are answered. `cors` lists the
    origins whose pages may call the service. `keep_photos` stores each photo in the library's
    folder. `open_invocations` lets /invocations be called without a token, where the surrounding
    platform does the authentication. `request_seconds` is how long a request may take to arrive.
    `embed_photos`: at the start, a process of its own begins to look at photos of the library that
    descriptions cannot find yet, and jobs of the app whose process died are resumed.
    Raises OptionError for an invalid value.
    """

    model_config = SettingsConfigDict(
        alias_generator=lambda name: f"TAGGER_{name.upper()}",
        case_sensitive=True,
        populate_by_name=True,
        env_ignore_empty=True,
        frozen=True,
    )

    model: str | None = None
    predict_token: str | None = None
    admin_token: str | None = None
    workers: int = Field(default_factory=worker_count)
    queue: int = QUEUE
    cors: Annotated[tuple[str, ...], NoDecode] = ()
    keep_photos: bool = False
    open_invocations: bool = False
    request_seconds: float = REQUEST_SECONDS
    embed_photos: bool = True

    @field_validator("workers", "queue", "request_seconds", mode="before")
    @classmethod
    def _check_number(cls, value: object, info: ValidationInfo) -> object:
        minimum = 0 if info.field_name == "queue" else 1
        digits = isinstance(value, str) and value.isascii() and value.isdigit()
        if isinstance(value, str) and not (digits and int(value) >= minimum):
            raise _invalid(info, f"give a whole number from {minimum} on", value)
        return value

    @field_validator("keep_photos", "open_invocations", "embed_photos", mode="before")
    @classmethod
    def _check_switch(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and value.lower() not in ("0", "1", "false", "true", "no", "yes"):
            raise _invalid(info, "give 1 or 0", value)
        return value

    @field_validator("predict_token", "admin_token")
    @classmethod
    def _check_token(cls, token: str | None, info: ValidationInfo) -> str | None:
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise _invalid(info, "a token has letters, digits and signs of ASCII alone")
        return token

    @field_validator("cors", mode="before")
    @classmethod
    def _split_origins(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(filter(None, map(str.strip, value.split(","))))
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise _invalid(info, "give origins as https://example.org", origin)
        return origins

    @property
    def needs_token(self) -> bool:
        return bool(self.predict_token or self.admin_token)


def _invalid(info: ValidationInfo, advice: str, value: str | None = None) -> OptionError:
    """The error for a variable; `value` is left out if it is a secret."""
    assignment = "" if value is None else f"={value!r}"
    return OptionError(f"TAGGER_{str(info.field_name).upper()}{assignment}: {advice}")
