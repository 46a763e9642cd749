"""ASGI middleware: authentication, size and time limits, security headers, request log.

Plain ASGI, so that it is cheap, sees every byte, and refuses a request before its body is read.
Starlette's TrustedHostMiddleware takes a list of names, which the addresses 127.0.0.0/8 are not.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagger.service.prediction_log import uuid7
from tagger.service.settings import MAX_ARRIVING_BODIES, MAX_BODY, RETRY_AFTER, Settings

Headers = list[tuple[bytes, bytes]]

ADMIN_PATHS = ("/model/reload",)
ADMIN_PREFIX = "/library/"
FORM_PATHS = ("/predict", "/library/photos")
OPEN_PATHS = ("/", "/sw.js", "/manifest.webmanifest", "/favicon.ico", "/health", "/ready", "/ping")
OPEN_PREFIX = "/page/"
SINGLE_HEADERS = (b"host", b"authorization", b"content-length", b"content-type", b"x-client")
MAX_LENGTH_DIGITS = 20  # of Content-Length
HTTP_VERSIONS = ("1.0", "1.1", "2")  # 2: another ASGI server's
CLIENT_CLOSED_REQUEST = 499  # logged and counted, never sent: the client disconnected

# Defaults for all responses; the web page sends its own. JSON is not to be run, framed or cached.
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
CLOSE_CONNECTION = {"Connection": "close"}  # the rest of the body is not read
_PROXY_HEADERS = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


@dataclass
class Exchange:
    """One request and its outcome."""

    scope: Scope
    method: str
    id: str
    path: str
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    received: int = 0  # bytes

    @property
    def route(self) -> str:
        """The route's pattern, never the values in its path."""
        route = self.scope.get("route")
        return str(getattr(route, "path", None) or self.path)


class AccessMiddleware:
    """Wraps an ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        count_request: Callable[[str, int, float], None],
        log_request: Callable[[dict[str, Any]], object],
        route_paths: Collection[str] = (),
    ) -> None:
        """`count_request` gets route, status and seconds of each request, `log_request` its line.

        `route_paths` are the routes' patterns: a refused request is counted and logged under its
        path if it is one of them, else under "none".
        """
        self._app, self._settings = app, settings
        self._count_request, self._log_request = count_request, log_request
        self._route_paths = frozenset(route_paths)
        self._arriving = 0  # bytes of all requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # not supported
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path = _route_path(scope)
        route = path if path in self._route_paths else "none"
        method = str(scope["method"])
        if method == "HEAD":  # answered as GET, without the body
            scope = {**scope, "method": "GET"}
        exchange = Exchange(scope, method, _request_id(headers), route)
        state = scope.setdefault("state", {})
        state["request_id"] = headers.get(b"x-request-id") and exchange.id
        state["may_edit"] = self._may_edit(headers)

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message = {**message, "headers": _add_headers(message["headers"], exchange)}
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            refusal = self._check_request(scope, headers)
            if refusal is not None:
                await _send_error(respond, *refusal)
            else:
                await self._app(scope, self._limit_body(exchange, receive), respond)
        except asyncio.CancelledError:  # a second signal: the server stops without waiting
            if not exchange.status:
                await _send_error(respond, 503, "stopping: try again in a moment")
            else:
                exchange.status = CLIENT_CLOSED_REQUEST
        except Exception:  # noqa: BLE001 - clients never see the details of an internal error
            _log.exception("request %s failed", exchange.id)
            if not exchange.status:
                await _send_error(respond, 500, "something went wrong here; it has been noted")
        finally:
            self._arriving -= exchange.received
            self._record(exchange)

    def _check_request(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Status and sentence if the request is refused."""
        if len(headers) < len(scope["headers"]) and (name := _find_repeated(scope["headers"])):
            return 400, f"the header {name} came more than once"
        if problem := _find_ambiguity(scope, headers):
            return 400, problem
        if int(headers.get(b"content-length", b"0")) > MAX_BODY:
            return 413, _too_large()
        path = _route_path(scope)
        if self._is_cross_site(scope["method"], path, headers):
            return 403, "pages of other sites may not ask; TAGGER_CORS names those that may"
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return None
        if path == "/invocations" and self._settings.open_invocations:
            return None
        if self._settings.needs_token:
            refusal = self._check_token(path, headers.get(b"authorization", b""))
        else:
            refusal = self._check_local(scope, headers)
        return refusal or _check_form(scope["method"], path, headers)

    def _check_local(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Without tokens, only requests from this machine to a loopback name are answered.

        Host is checked against DNS rebinding, Origin against requests from other sites' pages,
        and a proxy's headers mean that the request comes from another machine.
        """
        server = scope.get("server")
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        foreign = not _PROXY_HEADERS.isdisjoint(headers) or self._has_foreign_origin(
            headers, host if needs_admin(_route_path(scope)) else None
        )
        if server and is_loopback(str(server[0])) and is_loopback(name) and not foreign:
            return None
        return 403, "without tokens localhost alone is answered; set TAGGER_PREDICT_TOKEN"

    def _has_foreign_origin(self, headers: dict[bytes, bytes], own: str | None) -> bool:
        """Whether the page of another machine asks, or with `own`, of another host or port."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or origin in self._settings.cors:
            return False
        try:
            parts = urlsplit(origin)
            return not is_loopback(parts.hostname or "") or own not in (None, parts.netloc)
        except ValueError:  # such as "http://["
            return True

    def _is_cross_site(self, method: str, path: str, headers: dict[bytes, bytes]) -> bool:
        """Whether a browser says that another site's page asks: by a picture, a script, a form.

        Its requests with CORS have an Origin. A link to the page itself may be followed. The
        administrator's routes are not for pages of the same site either: that is any port of
        this machine.
        """
        site = headers.get(b"sec-fetch-site")
        if site != b"cross-site" and not (site == b"same-site" and needs_admin(path)):
            return False
        if headers.get(b"origin", b"").decode("latin-1") in self._settings.cors:
            return False
        opens_page = headers.get(b"sec-fetch-mode") == b"navigate" and path == "/"
        return not (opens_page and method == "GET")

    def _may_edit(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request may use the administrator's routes, if it is let in at all."""
        token = _bearer_token(headers.get(b"authorization", b""))
        return not self._settings.needs_token or _tokens_match(token, self._settings.admin_token)

    def _check_token(self, path: str, authorization: bytes) -> tuple[int, str] | None:
        token = _bearer_token(authorization)
        is_admin = _tokens_match(token, self._settings.admin_token)
        may_predict = _tokens_match(token, self._settings.predict_token)
        if is_admin or (may_predict and not needs_admin(path)):
            return None
        if not token:
            return 401, "a token is needed: Authorization: Bearer TOKEN"
        if not may_predict:
            return 401, "this token is none of those that are let in"
        return 403, "this takes the administrator's token, TAGGER_ADMIN_TOKEN"

    def _limit_body(self, exchange: Exchange, receive: Receive) -> Receive:
        """`receive` with limits on size and time; they raise HTTPException."""
        limit = self._settings.request_seconds
        deadline = time.monotonic() + limit
        complete = False

        async def receive_limited() -> Message:
            nonlocal complete
            if complete:  # the next message is the client's disconnect, whenever that is
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                sentence = f"the request took longer than {limit:g} s to arrive"
                raise HTTPException(408, sentence, CLOSE_CONNECTION) from None
            if message["type"] == "http.disconnect" and not exchange.status:
                raise HTTPException(CLIENT_CLOSED_REQUEST, "the caller went away")
            self._count_bytes(exchange, len(message.get("body", b"")))
            complete = not message.get("more_body", False)
            return message

        return receive_limited

    def _count_bytes(self, exchange: Exchange, size: int) -> None:
        """Add to the request's and to the total size; HTTPException if either is too large."""
        exchange.received += size
        self._arriving += size
        if exchange.received > MAX_BODY:
            raise HTTPException(413, _too_large(), CLOSE_CONNECTION)
        if self._arriving > MAX_ARRIVING_BODIES:
            sentence = "busy: much is arriving at once, try again in a moment"
            raise HTTPException(503, sentence, CLOSE_CONNECTION | {"Retry-After": RETRY_AFTER})

    def _record(self, exchange: Exchange) -> None:
        """Count and log a finished request."""
        seconds = time.monotonic() - exchange.started
        status = exchange.status or CLIENT_CLOSED_REQUEST
        self._count_request(exchange.route, status, seconds)
        self._log_request(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request": exchange.id,
                "method": exchange.method,
                "route": exchange.route,
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
                "bytes": exchange.received,
            }
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is the loopback of this machine."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def needs_admin(path: str) -> bool:
    """Whether a path is the administrator's alone."""
    return path in ADMIN_PATHS or path.startswith(ADMIN_PREFIX)


def _check_form(method: str, path: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
    """Photos come as multipart forms only."""
    content_type = headers.get(b"content-type", b"").lower()
    is_form = not content_type or content_type.startswith(b"multipart/form-data")
    if path not in FORM_PATHS or method != "POST" or is_form:
        return None
    return 415, "send photos as a form, multipart/form-data, in its field file"


def _find_ambiguity(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """A sentence about what another parser, such as a proxy's, could read differently."""
    version = scope.get("http_version", "1.1")
    if version not in HTTP_VERSIONS:
        return "HTTP/1.1 is spoken here"
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None and (length is not None or version == "1.0"):
        return "a request has a Content-Length or, from HTTP/1.1 on, a Transfer-Encoding"
    if length is not None and not (length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        return "Content-Length is no number of bytes"
    return None


def _find_repeated(headers: Headers) -> str | None:
    """The first repeated header that two parsers could read differently."""
    names = [name for name, _ in headers]
    return next((name.decode() for name in SINGLE_HEADERS if names.count(name) > 1), None)


def _route_path(scope: Scope) -> str:
    """The path without `root_path`, as the routes have it."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :] or "/"
    return path


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The client's own X-Request-Id if it is well-formed, else a new one."""
    own = headers.get(b"x-request-id", b"")
    return own.decode() if _REQUEST_ID.fullmatch(own) else uuid7()


def _add_headers(headers: Headers, exchange: Exchange) -> Headers:
    """Response headers with the security headers they lack, and the request's id."""
    names = {name.lower() for name, _ in headers}
    added = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in names]
    return [*headers, *added, (b"x-request-id", exchange.id.encode())]


async def _send_error(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the request's body is not read
    ]
    if status == 503:
        headers.append((b"retry-after", RETRY_AFTER.encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _bearer_token(authorization: bytes) -> bytes:
    scheme, _, credentials = authorization.partition(b" ")
    return credentials.strip() if scheme.lower() == b"bearer" else b""


def _tokens_match(token: bytes, expected: str | None) -> bool:
    """Constant-time token comparison."""
    return expected is not None and hmac.compare_digest(token, expected.encode())


def _too_large() -> str:
    return f"a request may have {MAX_BODY // 2**20} MB"
