"""The service's own page, for phones and desktops: files of `tagger/service/web/`, as they are."""

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
    # Kept, and asked about each time. Its worker takes no file that a proxy has changed.
    "Cache-Control": "no-cache, no-transform",
}
MEDIA_TYPES = {".webmanifest": "application/manifest+json", ".js": "text/javascript"}
WORKER = "sw.js"  # at the root, since it rules what lies below where it is
ROOT_FILES = {"index.html": "./", "manifest.webmanifest": "manifest.webmanifest"}
METHODS = ["GET", "HEAD"]


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
        """What changes with it, as an ETag."""
        return f'"{self.digest.hex()[:32]}"'

    @property
    def integrity(self) -> str:
        """What a browser compares it with before it is taken."""
        return f"sha256-{base64.b64encode(self.digest).decode()}"


class Page:
    """The files of a folder by name; nothing else can be asked for. They are read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def files(self) -> dict[str, PageFile]:
        """Every file, the worker with what it is to keep written into it."""
        found = {
            path.name: PageFile(path.read_bytes(), _kind(path))
            for path in sorted(self._folder.iterdir())
            if path.is_file()
        }
        return found | {WORKER: self._worker(found)}

    def respond(self, request: Request, name: str) -> Response:
        """A file, or that it is still the same."""
        if name not in self.files:
            raise HTTPException(404, "no such file")
        part = self.files[name]
        headers = {**HEADERS, "ETag": part.etag}
        if request.headers.get("if-none-match") == part.etag:
            return Response(status_code=304, headers=headers)
        return Response(part.content, media_type=part.media_type, headers=headers)

    @staticmethod
    def _worker(found: dict[str, PageFile]) -> PageFile:
        """The worker, headed by all other files' addresses and digests and one digest of it all.

        So a change to any file, or to how it is answered, is a new worker to a browser.
        """
        files = {
            ROOT_FILES.get(name, f"page/{name}"): part.integrity
            for name, part in found.items()
            if name != WORKER
        }
        script = found[WORKER]
        told = json.dumps([HEADERS, files, script.integrity]).encode()
        page = {"version": hashlib.sha256(told).hexdigest()[:32], "files": files}
        return PageFile(
            f"const PAGE = {json.dumps(page)};\n".encode() + script.content, script.media_type
        )


def create_router(folder: Path) -> APIRouter:
    """The routes of the page in a folder."""
    page = Page(folder)
    made = APIRouter(include_in_schema=False)

    @made.api_route("/", methods=METHODS)
    def index(request: Request) -> Response:
        return page.respond(request, "index.html")

    @made.api_route("/sw.js", methods=METHODS)
    def worker(request: Request) -> Response:
        return page.respond(request, WORKER)

    @made.api_route("/manifest.webmanifest", methods=METHODS)
    def manifest(request: Request) -> Response:
        return page.respond(request, "manifest.webmanifest")

    @made.api_route("/page/{name}", methods=METHODS)
    def part(request: Request, name: str) -> Response:
        return page.respond(request, name)

    return made


def _kind(path: Path) -> str:
    known = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"


router = create_router(FOLDER)
