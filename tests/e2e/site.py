"""The page of a service that is stopped, started and renewed: on one port, answers made up."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from tagger.service import web_page
from tests.conftest import PATIENCE, wait_until
from tests.e2e.guest import said
from tests.service.serving import free_port


class Site:
    """A copy of the page's files in `folder`, and a service around them. It starts at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(shutil.copytree(web_page.FOLDER, folder))
        self.port = free_port()
        self.elsewhere: dict[str, Response] = {}  # what a proxy answers instead, by path
        self.sent: list[str] = []  # names of the photos that came
        self.seconds = 0.0  # that an answer takes
        self.start()

    def start(self) -> None:
        """Serve the files as they are now."""
        config = uvicorn.Config(self._app(), port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, PATIENCE)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True  # browsers keep their connections
        self._thread.join(PATIENCE)

    def renew(self, name: str, old: str, new: str) -> None:
        """Another version, with this in one of its files."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        self.stop()
        self.start()

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def stand_between(request: Request, call_next: Any) -> Response:
            answer = self.elsewhere.get(request.url.path)
            return answer if answer is not None else await call_next(request)

        @app.get("/health")
        def health() -> dict[str, str]:
            return {"status": "ok"}

        @app.get("/models")
        def models() -> dict[str, Any]:
            lines = [{"name": name, "kind": "single", "labels": 2} for name in ("pets", "sea")]
            return {"active": "pets", "models": lines}

        @app.post("/predict")
        async def predict(request: Request) -> JSONResponse:
            async with request.form() as form:
                self.sent.append(form["file"].filename)  # type: ignore[union-attr, arg-type]
            time.sleep(self.seconds)
            return JSONResponse(said([("cat", 0.9), ("dog", 0.1)], model="pets"))

        app.include_router(web_page.create_router(self.folder))
        return app


def login_page() -> Response:
    """How a network that wants a login first answers whatever is asked."""
    return RedirectResponse("/login")
