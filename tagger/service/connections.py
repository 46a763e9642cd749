"""Connections to the service: so many at once, and none that waits for its caller forever.

uvicorn itself would wait for a request's head, or for its answer to be read, for as long as the
caller likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tagger.service.predictor import RETRY_AFTER

CONNECTIONS = 512  # at once; the next are told to come back
_BODY = b'{"detail": "busy: too many connections, try again in a moment"}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/json\r\n"
    b"content-length: %d\r\n"
    b"retry-after: %s\r\n"
    b"connection: close\r\n\r\n%s" % (len(_BODY), RETRY_AFTER.encode(), _BODY)
)


class Connection(HttpToolsProtocol):
    """One connection, as uvicorn has it otherwise."""

    def __init__(
        self, *given: Any, head_seconds: float, refused: Callable[[], object], **named: Any
    ) -> None:
        """`head_seconds` is how long a request's head may take to arrive.

        `refused` is called for each connection there is no room for.
        """
        super().__init__(*given, **named)
        self._head_seconds, self._refused = head_seconds, refused
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refused()
            transport.write(_TOO_MANY)
            transport.close()
        else:
            self._await_head()

    def on_response_complete(self) -> None:
        more = bool(self.pipeline)
        super().on_response_complete()
        if not more:  # bytes that are no request do not keep it open
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._head_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._is_read()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_came()
        self._late = self.loop.call_later(self._head_seconds, self._give_up)

    def _give_up(self) -> None:
        """Close, and do not wait for what was answered to be read."""
        self.transport.close()
        self._late = self.loop.call_later(self._head_seconds, self.transport.abort)

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
