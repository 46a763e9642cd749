"""The service's own page, for phones and desktops: files of `tagger/page/`, as they are."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).with_name("page")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self';"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # kept, and asked about each time
}
TYPES = {".webmanifest": "application/manifest+json", ".js": "text/javascript"}

router = APIRouter(include_in_schema=False)


@router.get("/")
def index(request: Request) -> Response:
    """The page."""
    return _file(request, "index.html")


@router.get("/sw.js")
def worker(request: Request) -> Response:
    """Its service worker: at the root, since it rules what lies below where it is."""
    return _file(request, "sw.js")


@router.get("/manifest.webmanifest")
def manifest(request: Request) -> Response:
    """What lets it be installed."""
    return _file(request, "manifest.webmanifest")


@router.get("/page/{name}")
def part(request: Request, name: str) -> Response:
    """Its other files."""
    return _file(request, name)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Every file by name, with a mark that changes with it: nothing else can be asked for."""
    found = {}
    for path in FOLDER.iterdir():
        if path.is_file():
            content = path.read_bytes()
            found[path.name] = (content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def _file(request: Request, name: str) -> Response:
    if name not in _files():
        raise HTTPException(404, "no such file")
    content, mark = _files()[name]
    headers = {**HEADERS, "ETag": mark}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    ending = Path(name).suffix
    kind = TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)
