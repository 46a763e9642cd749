"""Which hosts and origins may use the app.

Streamlit decides about an origin it does not know by asking an outside host for this machine's
address, and lets any site show the app in a frame.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

POLICY_VIOLATION = 1008  # WebSocket's code for closing
HEADERS = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
OWN_PAGES_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def guard_app() -> list[Middleware]:
    """The middleware of the whole app."""
    return [
        Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(), www_redirect=False),
        Middleware(OriginMiddleware),
    ]


class OriginMiddleware:
    """Refuses WebSocket handshakes from other origins, and frames of other sites."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not is_origin_allowed(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, respond)


class OwnPagesMiddleware:
    """Answers HTTP requests of the app's own pages alone, and those that no page makes.

    Any website could show `<img src="http://localhost:8501/...">`: browsers say in `Sec-Fetch-Site`
    whose page asks. Those that do not, because they are old or the app is not reached by HTTPS or
    as localhost, name the page in `Referer`. `Host` is checked for the whole app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_own_page(Headers(scope=scope)):
            refusal = PlainTextResponse("Only for pages of this app.", 403, OWN_PAGES_HEADERS)
            await refusal(scope, receive, send)
            return

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(OWN_PAGES_HEADERS)
            await send(message)

        await self._app(scope, receive, respond)


def is_own_page(headers: Headers) -> bool:
    """Whether a request comes from the app's own page, or from none."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if not is_origin_allowed(headers):
        return False
    referer = headers.get("referer")
    if site is not None or referer is None:
        return True
    try:
        return urlsplit(referer).netloc in (headers.get("host"), _browser_address())
    except ValueError:
        return False


def is_origin_allowed(headers: Headers) -> bool:
    """Whether a handshake comes from the app's own page, from no page, or from a configured one."""
    origin = headers.get("origin")
    if origin is None or not config.get_option("server.enableCORS"):
        return True
    try:
        parts = urlsplit(origin)
        hostname = parts.hostname
    except ValueError:  # such as "http://["
        return False
    if parts.netloc and parts.netloc == headers.get("host"):
        return True
    is_named = hostname is not None and hostname == _browser_address()
    return is_named or origin in config.get_option("server.corsAllowedOrigins")


def allowed_hosts() -> list[str]:
    """Streamlit's `server.allowedHosts`, as Starlette writes them; it checks WebSockets alone."""
    hosts = config.get_option("server.allowedHosts") or ["*"]
    return [f"[{host}]" if ":" in host else host for host in hosts]


def own_url() -> str:
    """The URL of the app on this machine."""
    base = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"http://localhost:{config.get_option('server.port')}/{base}"


def _browser_address() -> str | None:
    """The name under which browsers know the app, if it is configured and not this machine."""
    address = str(config.get_option("browser.serverAddress"))
    return None if address == "localhost" else address
