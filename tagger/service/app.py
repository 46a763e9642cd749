"""The FastAPI application, and the program that serves it with uvicorn.

python -m tagger.api                    # http://localhost:8000, with limits set
uvicorn tagger.api:app                  # the same routes

Further settings are environment variables:
  TAGGER_MODEL           the model that answers; else the one chosen in the app
  TAGGER_PREDICT_TOKEN   asked for as "Authorization: Bearer TOKEN"
  TAGGER_ADMIN_TOKEN     opens every route, and is the only one for POST /model/reload and
                         POST /library/...
  TAGGER_WORKERS         processes that tag at once; default: one a core
  TAGGER_QUEUE           photos that may wait for a free process (32)
  TAGGER_REQUEST_SECONDS  seconds in which a request must arrive (30)
  TAGGER_CORS            origins whose pages may send requests, separated by commas
  TAGGER_KEEP_PHOTOS     1: keep the photos in the library's folder
  TAGGER_OPEN_INVOCATIONS  1: no token for POST /invocations
  TAGGER_EMBED_PHOTOS    0: start no process that looks at the library's photos for descriptions,
                         or that goes on with work of the app that broke off
  TAGGER_HOME, TAGGER_DATABASE  the library, as for the app
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import cache, partial
from types import FrameType
from typing import Any, cast

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Route

from tagger import console
from tagger.errors import OptionError, TaggerError
from tagger.jobs import worker
from tagger.library.library import Library
from tagger.service import errors, library_routes, openapi, routes, web_page
from tagger.service.access import AccessMiddleware, is_loopback
from tagger.service.access_log import AccessLog
from tagger.service.predictor import Predictor
from tagger.service.settings import ANSWER_SECONDS, MAX_HEAD, Settings

HOST, PORT = "127.0.0.1", 8000
MAX_PORT = 65_535
SWITCH_SECONDS = 0.001  # between Python's threads; its default is 0.005
GRACE_SECONDS = 5  # at shutdown, on top of the time limits of a request and its answer
KEEP_ALIVE = 30  # seconds that an idle connection is kept
RESUME_SECONDS = 5  # between two checks for jobs whose process died
_log = logging.getLogger(__name__)


def create_app(settings: Settings, predictor: Predictor | None = None) -> FastAPI:
    """The application. Without a `predictor` it opens one at startup and closes it at shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("uvicorn.access").disabled = True  # AccessMiddleware logs requests
        app.state.predictor = predictor or Predictor(settings)
        app.state.access_log = AccessLog()
        stopping, library = asyncio.Event(), app.state.predictor.library
        jobs = asyncio.create_task(_run_jobs(library, stopping)) if settings.embed_photos else None
        try:
            yield
        finally:
            stopping.set()
            if jobs is not None:
                await jobs
            app.state.access_log.close()
            if predictor is None:
                app.state.predictor.close()

    def count_request(route: str, status: int, seconds: float) -> None:
        app.state.predictor.metrics.count_request(route, status, seconds)

    def log_request(line: dict[str, Any]) -> None:
        app.state.access_log.add(line)

    app = FastAPI(
        title="Image Tagger",
        description="Labels for photos, or that they are unknown.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another site; /openapi.json is served
        redoc_url=None,
        redirect_slashes=False,  # to what Host says
    )
    errors.add_handlers(app)
    routers = routes.router, library_routes.router, web_page.router
    for router in routers:
        app.include_router(router)
    openapi.extend_schema(app)
    paths = {cast(Route, route).path for router in routers for route in router.routes}
    app.add_middleware(
        AccessMiddleware,
        settings=settings,
        count_request=count_request,
        log_request=log_request,
        route_paths=paths,
    )
    if settings.cors:  # outermost, so that pages of these origins can read refusals as well
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-Client", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    return app


async def _run_jobs(library: Library, stopping: asyncio.Event) -> None:
    """Resume jobs whose process died, also those that died too shortly ago for that to be known.

    Before that, start a job for photos that descriptions cannot find yet, if there are any.
    """
    await asyncio.to_thread(_try, worker.start_embedding, library)
    while not stopping.is_set():
        await asyncio.to_thread(_try, worker.resume_stale, library)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RESUME_SECONDS)


def _try(start: Callable[[Library], object], library: Library) -> None:
    try:
        start(library)
    except (TaggerError, OSError) as error:
        _log.warning("no process was started for the library's photos: %s", error)
    except Exception:  # noqa: BLE001 - the service answers without it
        _log.exception("no process was started for the library's photos")


@cache
def default_app() -> FastAPI:
    """The application with settings from the environment; SystemExit if one is invalid."""
    try:
        return create_app(Settings())
    except TaggerError as error:
        raise SystemExit(str(error)) from None


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 stopped by a signal, 2 could not start, 130 stopped by a second signal."""
    parser = argparse.ArgumentParser(
        prog=prog or "python -m tagger.api",
        description="Tag photos over HTTP.",
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=_parse_port, default=PORT, help=f"0: any (default: {PORT})")
    options = parser.parse_args(argv)

    def run() -> int:
        settings = Settings()
        is_protected = settings.needs_token or settings.open_invocations
        if not is_protected and not is_loopback(options.host):
            raise OptionError(
                f"host {options.host}: others can reach it, so set TAGGER_PREDICT_TOKEN (and"
                " TAGGER_ADMIN_TOKEN) first"
            )
        with closing(Predictor(settings)) as predictor:
            return serve(options.host, options.port, predictor)

    return console.run(run)


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 0 to {MAX_PORT}")
    return int(text)


def serve(host: str, port: int, predictor: Predictor) -> int:
    """Listen until a signal, then answer the requests that were accepted; the exit status."""
    import uvicorn

    from tagger.service.connections import Connection

    # uvicorn raises the signal that stopped it again after its shutdown: exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # The event loop gets the GIL sooner from the threads that compute.
    sys.setswitchinterval(SWITCH_SECONDS)
    seconds = predictor.settings.request_seconds

    def count_refused(status: int) -> None:
        predictor.metrics.count_request("none", status, 0.0)

    config = uvicorn.Config(
        create_app(predictor.settings, predictor),
        host,
        port,
        http=cast(Any, partial(Connection, timeout=seconds, count_refused=count_refused)),
        h11_max_incomplete_event_size=MAX_HEAD,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # trust the connection's address, not X-Forwarded-For
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(seconds + ANSWER_SECONDS + GRACE_SECONDS),
        ws="none",
        log_level="warning",
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                address, bound_port, *_ = self.servers[0].sockets[0].getsockname()
                console.remark(_start_message(address, bound_port, predictor))

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            if self.force_exit:  # uvicorn would log a traceback for each cancelled request
                logging.getLogger("uvicorn.error").disabled = True

    server = Server(config)
    with suppress(SystemExit):  # uvicorn has logged why it cannot listen
        server.run()
    if not server.started:
        return console.NOTHING_STARTED
    return console.INTERRUPTED if server.force_exit else 0


def _start_message(host: str, port: int, predictor: Predictor) -> str:
    name = "localhost" if is_loopback(host) else f"[{host}]" if ":" in host else host
    return (
        f"http://{name}:{port} answers: model {predictor.models.active.name}, library"
        f" {predictor.library.home}. Ctrl-C ends it."
    )


if __name__ == "__main__":
    sys.exit(main())
