"""The service: tagging over HTTP, thin routes over `tagger` and `library`.

python -m tagger.api                    # http://localhost:8000, with limits set
uvicorn tagger.api:app                  # the same routes

What else it goes by is in the environment:
  TAGGER_MODEL           the model that answers; else the one chosen in the app
  TAGGER_PREDICT_TOKEN   asked for as "Authorization: Bearer TOKEN"
  TAGGER_ADMIN_TOKEN     the same for all, and alone for POST /model/reload
  TAGGER_WORKERS         threads that tag; default: one a core
  TAGGER_QUEUE           photos that wait beside those (32)
  TAGGER_REQUEST_SECONDS for a request to arrive in (30)
  TAGGER_CORS            origins whose pages may ask, with commas
  TAGGER_KEEP_PHOTOS     1: keep the photos in the library's folder
  TAGGER_OPEN_INVOCATIONS  1: no token for POST /invocations
  TAGGER_HOME, TAGGER_DATABASE  the library, as for the app
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import cache, partial
from types import FrameType
from typing import Any, cast

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Route

from tagger import console
from tagger.errors import OptionError, TaggerError
from tagger.service import errors, openapi, routes, web_page
from tagger.service.access import AccessMiddleware
from tagger.service.access_log import AccessLog
from tagger.service.predictor import ANSWER_SECONDS, Predictor, Settings, is_loopback

HOST, PORT = "127.0.0.1", 8000
MAX_PORT = 65_535
SWITCH_SECONDS = 0.001  # in the place of Python's 0.005
GRACE_SECONDS = 5  # beside the time that a request and its answer may take
KEEP_ALIVE = 30  # seconds that an idle connection is kept


def create_app(settings: Settings, opened: Predictor | None = None) -> FastAPI:
    """The application. Its service starts and ends with it, unless one is `opened` already."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("uvicorn.access").disabled = True  # the guard tells of each request
        service = app.state.service = opened or Predictor(settings)
        app.state.requests = AccessLog()
        try:
            yield
        finally:
            app.state.requests.close()
            if opened is None:
                service.close()

    def count_request(route: str, status: int, seconds: float) -> None:
        app.state.service.meters.request(route, status, seconds)

    def log_request(line: dict[str, Any]) -> None:
        app.state.requests.add(line)

    app = FastAPI(
        title="Image Tagger",
        description="Labels for photos, or that they are unknown.",
        version="1",
        lifespan=running,
        docs_url=None,  # its page would fetch scripts from elsewhere; /openapi.json is here
        redoc_url=None,
    )
    errors.add_handlers(app)
    app.include_router(routes.router)
    app.include_router(web_page.router)
    openapi.describe(app)
    paths = {cast(Route, route).path for route in (*routes.router.routes, *web_page.router.routes)}
    app.add_middleware(
        AccessMiddleware,
        settings=settings,
        count_request=count_request,
        log_request=log_request,
        route_paths=paths,
    )
    if settings.cors:  # outside the guard: whoever may not ask is to read why
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-Client", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    return app


@cache
def default_app() -> FastAPI:
    """The application as the environment sets it, made once. Raises SystemExit with a sentence."""
    try:
        return create_app(Settings.from_environment())
    except TaggerError as error:
        raise SystemExit(str(error)) from None


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 asked to stop, 2 could not start, 130 asked twice and left things undone."""
    what, shown = __doc__.partition("\n\n")[2], argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=prog or "python -m tagger.api",
        description="Tag photos over HTTP.",
        epilog=what,
        formatter_class=shown,
    )
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=_port, default=PORT, help=f"0: any (default: {PORT})")
    asked = parser.parse_args(argv)
    with console.quiet_libraries():
        return _run(asked.host, asked.port)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 0 to {MAX_PORT}")
    return int(text)


def _run(host: str, port: int) -> int:
    try:
        settings = Settings.from_environment()
        closed = settings.guarded or settings.open_invocations
        if not closed and not is_loopback(host):
            raise OptionError(
                f"host {host}: others can reach it, so set TAGGER_PREDICT_TOKEN (and"
                " TAGGER_ADMIN_TOKEN) first"
            )
        with closing(Predictor(settings)) as service:
            return serve(host, port, service)
    except TaggerError as error:
        return console.refuse(error)


def serve(host: str, port: int, service: Predictor) -> int:
    """Listen until asked to stop; then answer what was accepted."""
    import uvicorn

    from tagger.service.connections import Connection

    # uvicorn, done, sends itself the signal that stopped it: for us that is a good end.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit(0))
    # Between Python's threads: one that has an answer to write down waits for none that computes.
    sys.setswitchinterval(SWITCH_SECONDS)
    seconds = service.settings.request_seconds

    def refused() -> None:
        service.metrics.count_request("none", 503, 0.0)

    config = uvicorn.Config(
        create_app(service.settings, service),
        host,
        port,
        http=cast(Any, partial(Connection, head_seconds=seconds, refused=refused)),
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is who is connected
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(seconds + ANSWER_SECONDS + GRACE_SECONDS),
        ws="none",
        log_level="warning",
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                at, taken, *_ = self.servers[0].sockets[0].getsockname()
                console.remark(_started(at, taken, service))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            if self.force_exit:  # what it then says of each task that it ends is long
                logging.getLogger("uvicorn.error").disabled = True

    server = Server(config)
    with suppress(SystemExit):  # it says so, where it cannot listen there
        server.run()
    if not server.started:
        return console.NOTHING_STARTED
    return console.INTERRUPTED if server.force_exit else 0


def _started(host: str, port: int, service: Predictor) -> str:
    shown = "localhost" if is_loopback(host) else f"[{host}]" if ":" in host else host
    return (
        f"http://{shown}:{port} answers: model {service.models.active.name}, library"
        f" {service.library.home}. Ctrl-C ends it."
    )


if __name__ == "__main__":
    sys.exit(main())
