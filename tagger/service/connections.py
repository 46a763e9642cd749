"""What uvicorn leaves open about a connection: time limits, a rule for when all are taken, JSON.

uvicorn and h11 bound what a client can make the service hold: a request's head, trailers and
chunk headers of MAX_HEAD bytes, one pipelined request at a time, a body as fast as it is read.
They wait without limit for a head and for a response to be read, take any number of connections,
take lines of a head that another parser would read differently, and answer what is no HTTP in
plain text.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tagger.service.settings import MAX_CONNECTIONS, MAX_HEAD, RETRY_AFTER

_BUSY = "busy: too many connections, try again in a moment"
_ODD_LINE = re.compile(rb"(?<!\r)\n|\n[ \t]")  # ended by LF alone, or folded
_ODD_LINES = "lines of a request's head end with CR LF, and none begins with a space"
_NO_HTTP = "this is no HTTP request, or one that is malformed"
_HEAD_TOO_LARGE = f"the request's head or trailer is larger than {MAX_HEAD // 1024} KB"


class Connection(H11Protocol):
    """One connection of uvicorn's, with limits.

    It waits for its client, or the client waits for it. If there are MAX_CONNECTIONS and one more
    arrives, the one that has waited longest for its client is closed, those without a request
    first: whoever holds connections open cannot keep others out. Nothing is counted by address,
    since behind a proxy all clients have the same.
    """

    def __init__(
        self, *args: Any, timeout: float, count_refused: Callable[[int], object], **kwargs: Any
    ) -> None:
        """`timeout` is in seconds: for a request's head to arrive, and for a response to be read.

        `count_refused` gets the status of each response that the application does not know of.
        """
        super().__init__(*args, **kwargs)
        self._timeout, self._count_refused = timeout, count_refused
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._waits_since = self.loop.time()
        self._checked = 0  # bytes at the beginning of a head that is not complete yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > MAX_CONNECTIONS and not self._close_another():
            self._refuse(503, _BUSY)

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)

    def handle_events(self) -> None:
        if self.conn.their_state is h11.IDLE and self._has_odd_line():
            self._refuse(400, _ODD_LINES)
            return
        cycle = self.cycle
        super().handle_events()
        if self.cycle is not cycle:  # a request's head is complete
            self._checked = 0
            self._waits_since = self.loop.time()
            _stop(self._head_timer)

    def _has_odd_line(self) -> bool:
        """Whether what is new of a head has one: it may arrive in thousands of pieces."""
        received = self.conn.trailing_data[0]
        checked, self._checked = self._checked, len(received)
        end = received.find(b"\r\n\r\n", max(0, checked - 3))
        end = len(received) if end < 0 else end
        return _ODD_LINE.search(received, max(0, checked - 1), end) is not None

    def send_400_response(self, msg: str) -> None:
        """Called where h11 raises a RemoteProtocolError."""
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        self._refuse(status, _HEAD_TOO_LARGE if status == 431 else _NO_HTTP)

    def _refuse(self, status: int, sentence: str) -> None:
        """Close, with a response unless one has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._count_refused(status)
            self.transport.write(_response(status, sentence))
        if self.cycle is not None:  # its application may be at work
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._close()

    def on_response_complete(self) -> None:
        cycle = self.cycle
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # nobody reads the rest of the request
            self._close()
        elif self.cycle is cycle:  # no pipelined request follows
            self._wait_for_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waits_since = self.loop.time()
        self._read_timer = self.loop.call_later(self._timeout, self.transport.abort)

    def resume_writing(self) -> None:
        _stop(self._read_timer)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._head_timer)
        _stop(self._read_timer)
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        """Whether a request's head has arrived, and its response is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _waits_for_client(self) -> bool:
        """For a head, for more of a body, or for a response to be read."""
        return not self._has_request or self.cycle.more_body or self.flow.write_paused

    def _close_another(self) -> bool:
        """Close the connection that has waited longest; False if none is waiting."""
        waiting = [
            connection
            for connection in cast(set[Connection], self.connections)
            if connection is not self
            and connection._waits_for_client
            and not connection.transport.is_closing()
        ]
        if not waiting:
            return False
        longest = min(waiting, key=lambda connection: connection._closing_order)
        longest.transport.abort()
        return True

    @property
    def _closing_order(self) -> tuple[bool, float]:
        return self._has_request, self._waits_since

    def _wait_for_head(self) -> None:
        """Bytes that arrive do not start the time again."""
        self._waits_since = self.loop.time()
        _stop(self._head_timer)
        self._head_timer = self.loop.call_later(self._timeout, self._close)

    def _close(self) -> None:
        """Close once all is written; abort if the client does not read it in time."""
        _stop(self._head_timer)
        self.transport.close()
        self._head_timer = self.loop.call_later(self._timeout, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _response(status: int, sentence: str) -> bytes:
    """A whole response, as the application's errors are, after which the connection is closed."""
    body = json.dumps({"detail": sentence}).encode()
    reason = {400: "Bad Request", 431: "Request Header Fields Too Large"}.get(status, "Error")
    lines = [
        f"HTTP/1.1 {status} {reason}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *([f"retry-after: {RETRY_AFTER}"] if status == 503 else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
