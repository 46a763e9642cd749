"""HTTP connections: their number and the time a slow client may take are limited.

uvicorn itself waits without limit for a request's head, and for its response to be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tagger.service.settings import MAX_CONNECTIONS, RETRY_AFTER

_BODY = b'{"detail": "busy: too many connections, try again in a moment"}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/json\r\n"
    b"content-length: %d\r\n"
    b"retry-after: %s\r\n"
    b"connection: close\r\n\r\n%s" % (len(_BODY), RETRY_AFTER.encode(), _BODY)
)


class Connection(HttpToolsProtocol):
    """One connection of uvicorn's, with limits."""

    def __init__(
        self, *args: Any, timeout: float, count_refused: Callable[[], object], **kwargs: Any
    ) -> None:
        """`timeout` is in seconds: for a request's head to arrive, and for a response to be read.

        `count_refused` is called for each connection beyond MAX_CONNECTIONS.
        """
        super().__init__(*args, **kwargs)
        self._timeout, self._count_refused = timeout, count_refused
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._count_refused()
            transport.write(_TOO_MANY)
            transport.close()
        else:
            self._start_head_timer()

    def on_response_complete(self) -> None:
        is_pipelined = bool(self.pipeline)
        super().on_response_complete()
        if not is_pipelined:  # stray bytes after a response do not keep the connection open
            self._start_head_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self.loop.call_later(self._timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_read_timer()
        super().resume_writing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head_timer()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_read_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self._timeout, self._give_up)

    def _give_up(self) -> None:
        """Close; abort if the client does not read the rest of its response either."""
        self.transport.close()
        self._head_timer = self.loop.call_later(self._timeout, self.transport.abort)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
