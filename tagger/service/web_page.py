"""The web page: routes for the static files of `web/`, with ETags and a service worker."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).with_name("web")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self';"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # Revalidated at each use; the service worker rejects files that a proxy has transformed.
    "Cache-Control": "no-cache, no-transform",
}
MEDIA_TYPES = {".webmanifest": "application/manifest+json", ".js": "text/javascript"}
WORKER = "sw.js"  # served at the root, since its scope is the folder it is served from
ROOT_URLS = {"index.html": "./", "manifest.webmanifest": "manifest.webmanifest"}


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self.content).digest()

    @property
    def etag(self) -> str:
        return f'"{self.digest.hex()[:32]}"'

    @property
    def integrity(self) -> str:
        """The digest as a subresource integrity value."""
        return f"sha256-{base64.b64encode(self.digest).decode()}"


class Page:
    """The files of one folder by name, read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def files(self) -> dict[str, PageFile]:
        """All files; the service worker gets the list of files to cache written into it."""
        files = {
            path.name: PageFile(path.read_bytes(), _media_type(path))
            for path in sorted(self._folder.iterdir())
            if path.is_file()
        }
        return files | {WORKER: self._build_worker(files)}

    def respond(self, request: Request, name: str) -> Response:
        """A file, or status 304 if the client has it."""
        if name not in self.files:
            raise HTTPException(404, "no such file")
        file = self.files[name]
        headers = {**HEADERS, "ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    @staticmethod
    def _build_worker(files: dict[str, PageFile]) -> PageFile:
        """The worker's script after a line `const PAGE`: a version, and each file's URL and digest.

        So a browser gets a new worker when any file, or the headers it is sent with, changes.
        """
        digests = {
            ROOT_URLS.get(name, f"page/{name}"): file.integrity
            for name, file in files.items()
            if name != WORKER
        }
        script = files[WORKER]
        state = json.dumps([HEADERS, digests, script.integrity]).encode()
        page = {"version": hashlib.sha256(state).hexdigest()[:32], "files": digests}
        content = f"const PAGE = {json.dumps(page)};\n".encode() + script.content
        return PageFile(content, script.media_type)


def create_router(folder: Path) -> APIRouter:
    """Routes for the page in a folder."""
    page = Page(folder)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def index(request: Request) -> Response:
        return page.respond(request, "index.html")

    @router.get("/sw.js")
    def worker(request: Request) -> Response:
        return page.respond(request, WORKER)

    @router.get("/manifest.webmanifest")
    def manifest(request: Request) -> Response:
        return page.respond(request, "manifest.webmanifest")

    @router.get("/page/{name}")
    def file(request: Request, name: str) -> Response:
        return page.respond(request, name)

    return router


def _media_type(path: Path) -> str:
    media_type = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return media_type or "application/octet-stream"


router = create_router(FOLDER)
