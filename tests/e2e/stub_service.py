"""A stub of the service: the real page's files, made-up answers, restarts on one port."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any, cast

import uvicorn
from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import JSONResponse, RedirectResponse, Response

from tagger.service import web_page
from tests.conftest import TIMEOUT, wait_until
from tests.e2e.web_page import make_answer
from tests.service.service_process import free_port


class StubService:
    """Serves a copy of the page's files in `folder`. It starts at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(shutil.copytree(web_page.FOLDER, folder))
        self.port = free_port()
        self.overrides: dict[str, Response] = {}  # responses of a proxy in between, by path
        self.uploads: list[str] = []  # file names, in order
        self.additions: list[tuple[str, int, list[str], list[str]]] = []  # name, bytes, tags
        self.edits: list[tuple[list[str], list[str]]] = []  # tags added and removed
        self.delay = 0.0  # seconds before an answer
        self.start()

    def start(self) -> None:
        """Serve the files as they are now."""
        config = uvicorn.Config(self._app(), port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, TIMEOUT)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True  # browsers keep their connections
        self._thread.join(TIMEOUT)

    def deploy(self, name: str, old: str, new: str) -> None:
        """Replace a text in one of the page's files, and restart."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        self.stop()
        self.start()

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def override(request: Request, call_next: Any) -> Response:
            response = self.overrides.get(request.url.path)
            return response if response is not None else await call_next(request)

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
                self.uploads.append(form["file"].filename)  # type: ignore[union-attr, arg-type]
            time.sleep(self.delay)
            return JSONResponse(make_answer([("cat", 0.9), ("dog", 0.1)], model="pets"))

        @app.get("/tags")
        def tags() -> dict[str, Any]:
            return {"tags": [{"label": "dog", "photos": 2}], "may_edit": True}

        @app.post("/library/photos")
        async def add(request: Request) -> dict[str, int]:
            query = request.query_params
            async with request.form() as form:
                file = cast(UploadFile, form["file"])
                addition = str(file.filename), len(await file.read())
            tags = query.getlist("add"), query.getlist("remove")
            self.additions.append((*addition, *tags))
            return {"id": 7}

        @app.post("/library/photos/7/tags")
        def edit(request: Request) -> dict[str, int]:
            query = request.query_params
            self.edits.append((query.getlist("add"), query.getlist("remove")))
            return {"id": 7}

        app.include_router(web_page.create_router(self.folder))
        return app


def captive_portal() -> Response:
    """The answer of a network that redirects every request to its login page."""
    return RedirectResponse("/login")
