"""What stands before every route: who may ask, how much, how long; and what is told of it.

Plain ASGI, so that it costs little and sees every byte.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from tagger.service.ids import uuid7
from tagger.service.predictor import (
    MAX_ARRIVING_BODIES,
    MAX_BODY,
    RETRY_AFTER,
    Settings,
    is_loopback,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMIN_PATHS = ("/model/reload",)
OPEN_PATHS = ("/", "/sw.js", "/manifest.webmanifest", "/favicon.ico", "/health", "/ready", "/ping")
OPEN_PREFIX = "/page/"
INVOCATIONS_PATH = "/invocations"
PREDICT_PATH = "/predict"
SINGLE_HEADERS = (b"host", b"authorization", b"content-length", b"content-type", b"x-client")
CLIENT_CLOSED_REQUEST = 499  # the status, for our own books, of a request whose caller went away

# For whatever is not the page: nothing in it is to be run, framed, sniffed or kept.
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
CLOSE_CONNECTION = {"Connection": "close"}  # what is left of the body is not waited for
_PROXY_HEADERS = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


@dataclass
class Exchange:
    """One request, and what came of it."""

    scope: Scope
    id: str
    path: str
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    received: int = 0

    @property
    def route(self) -> str:
        """The route's pattern, never what was written in its place."""
        route = self.scope.get("route")
        return str(getattr(route, "path", None) or self.path)


class AccessMiddleware:
    """An ASGI application around another."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        count_request: Callable[[str, int, float], None],
        log_request: Callable[[dict[str, Any]], object],
        route_paths: Collection[str] = (),
    ) -> None:
        """`done` gets route, status and seconds of each request; `note` what is told of it.

        `paths` are those of routes: a request is known by its own, where it is refused as well.
        """
        self._app, self._settings, self._done, self._tell = (
            app,
            settings,
            count_request,
            log_request,
        )
        self._paths = frozenset(route_paths)
        self._arriving = 0  # bytes of all requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path = _routed(scope)
        exchange = Exchange(scope, _request_id(headers), path if path in self._paths else "none")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message = {**message, "headers": _with_ours(message["headers"], exchange)}
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await _refuse(answer, *refusal)
            else:
                await self._app(scope, self._measured(exchange, receive), answer)
        except asyncio.CancelledError:  # asked to stop twice, it waits for nobody
            if not exchange.status:
                await _refuse(answer, 503, "stopping: try again in a moment")
            else:
                exchange.status = CLIENT_CLOSED_REQUEST
        except Exception:  # noqa: BLE001 - whatever it is, nobody outside gets to see it
            _log.exception("request %s failed", exchange.id)
            if not exchange.status:
                await _refuse(answer, 500, "something went wrong here; it has been noted")
        finally:
            self._arriving -= exchange.received
            self._note(exchange)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """The status and the sentence for a request that is not let in."""
        if len(headers) < len(scope["headers"]) and (twice := _twice(scope["headers"])):
            return 400, f"the header {twice} came more than once"
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY:
            return 413, _too_large()
        path = _routed(scope)
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return None
        if path == INVOCATIONS_PATH and self._settings.open_invocations:
            return None
        if self._settings.guarded:
            refusal = self._by_token(path, headers.get(b"authorization", b""))
        else:
            refusal = self._unguarded(scope, headers)
        return refusal or _no_form(scope["method"], path, headers)

    def _unguarded(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Without tokens this machine alone is answered, by a name that is its own.

        The name is looked at since a page elsewhere can have its own name lead here, and where
        the request comes from since any page can send one. A proxy asks for others.
        """
        server = scope.get("server")
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        elsewhere = not _PROXY_HEADERS.isdisjoint(headers) or self._is_foreign(headers)
        if server and is_loopback(str(server[0])) and is_loopback(name) and not elsewhere:
            return None
        return 403, "without tokens localhost alone is answered; set TAGGER_PREDICT_TOKEN"

    def _is_foreign(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a page of somebody else's sent it."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or origin in self._settings.cors:
            return False
        return not is_loopback(urlsplit(origin).hostname or "")

    def _by_token(self, path: str, given: bytes) -> tuple[int, str] | None:
        scheme, _, token = given.partition(b" ")
        sent = token.strip() if scheme.lower() == b"bearer" else b""
        admin = _same(sent, self._settings.admin_token)
        predict = _same(sent, self._settings.predict_token)
        if admin or (predict and path not in ADMIN_PATHS):
            return None
        if not sent:
            return 401, "a token is needed: Authorization: Bearer TOKEN"
        if not predict:
            return 401, "this token is none of those that are let in"
        return 403, "this takes the administrator's token, TAGGER_ADMIN_TOKEN"

    def _measured(self, exchange: Exchange, receive: Receive) -> Receive:
        """`receive`, with an end to how much and for how long."""
        limit = self._settings.request_seconds
        until = time.monotonic() + limit
        ended = False

        async def measured() -> Message:
            nonlocal ended
            if ended:  # now it tells when the caller hangs up, whenever that is
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                told = f"the request took longer than {limit:g} s to arrive"
                raise HTTPException(408, told, CLOSE_CONNECTION) from None
            if message["type"] == "http.disconnect" and not exchange.status:
                raise HTTPException(CLIENT_CLOSED_REQUEST, "the caller went away")
            self._count(exchange, len(message.get("body", b"")))
            ended = not message.get("more_body", False)
            return message

        return measured

    def _count(self, exchange: Exchange, came: int) -> None:
        """So many bytes more; HTTPException where they are too many."""
        exchange.received += came
        self._arriving += came
        if exchange.received > MAX_BODY:
            raise HTTPException(413, _too_large(), CLOSE_CONNECTION)
        if self._arriving > MAX_ARRIVING_BODIES:
            told = "busy: much is arriving at once, try again in a moment"
            raise HTTPException(503, told, CLOSE_CONNECTION | {"Retry-After": RETRY_AFTER})

    def _note(self, exchange: Exchange) -> None:
        seconds = time.monotonic() - exchange.started
        status = exchange.status or CLIENT_CLOSED_REQUEST
        self._done(exchange.route, status, seconds)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": exchange.id,
            "method": exchange.scope["method"],
            "route": exchange.route,
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
            "bytes": exchange.received,
        }
        self._tell(line)


def _no_form(method: str, path: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
    """For photos that do not come in a form."""
    kind = headers.get(b"content-type", b"").lower()
    if (
        path != PREDICT_PATH
        or method != "POST"
        or not kind
        or kind.startswith(b"multipart/form-data")
    ):
        return None
    return 415, "send photos as a form, multipart/form-data, in its field file"


def _twice(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The first header that two readers could take for different things."""
    names = [name for name, _ in headers]
    return next((name.decode() for name in SINGLE_HEADERS if names.count(name) > 1), None)


def _routed(scope: Scope) -> str:
    """The path as routes have it, which a path that the service stands below is no part of."""
    path, below = str(scope["path"]), str(scope.get("root_path") or "")
    if below and (path == below or path.startswith(f"{below}/")):
        return path[len(below) :] or "/"
    return path


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid7()


def _with_ours(headers: list[tuple[bytes, bytes]], exchange: Exchange) -> list[tuple[bytes, bytes]]:
    theirs = {name.lower() for name, _ in headers}
    ours = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in theirs]
    return [*headers, *ours, (b"x-request-id", exchange.id.encode())]


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the body is not waited for
    ]
    if status == 503:
        headers.append((b"retry-after", RETRY_AFTER.encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _same(sent: bytes, token: str | None) -> bool:
    """In a time that does not tell how much of it was right."""
    return token is not None and hmac.compare_digest(sent, token.encode())


def _too_large() -> str:
    return f"a request may have {MAX_BODY // 2**20} MB"
