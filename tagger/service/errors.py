"""Exception handlers: errors become a status and JSON with one sentence."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tagger.errors import (
    BusyError,
    DatabaseUnavailableError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    LibraryError,
    ModelChangedError,
    ModelError,
    ModelNotFoundError,
    OptionError,
    QueryError,
    TaggerError,
    VocabularyError,
    WeightsUnavailableError,
)
from tagger.service import schemas
from tagger.service.settings import RETRY_AFTER

_log = logging.getLogger(__name__)

STATUS_CODES: dict[type[TaggerError], int] = {
    ImageFormatError: 415,
    ImageTooLargeError: 413,
    ImageError: 422,
    ModelNotFoundError: 404,
    ModelChangedError: 409,
    ModelError: 422,
    WeightsUnavailableError: 422,
    QueryError: 422,
    OptionError: 422,
    BusyError: 503,
    LibraryError: 503,
}

# Errors of the operating system: a full disk or quota, too many open files, no memory.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)

# By the beginning of the error's location; FastAPI's own messages show internal names.
SENTENCES: dict[tuple[str, ...], str] = {
    ("body", "file"): 'send each photo as a file, in the field "file" of a form:'
    " curl -F file=@photo.jpg",
    ("query", "add"): "up to 50 tags at a time: add=dog&add=cat",
    ("query", "remove"): "up to 50 tags at a time: remove=dog&remove=cat",
    ("body",): 'send JSON such as {"model": "pets"}, with Content-Type: application/json',
    ("header", "X-Client"): "X-Client: 1 to 64 letters, digits, spaces and _ . : / @ + -",
}

# Error responses for the OpenAPI schema: of every route, and of those that take photos.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem} for status in (400, 401, 403, 422, 503)
}
PHOTO_ERROR_RESPONSES = ERROR_RESPONSES | {
    status: {"model": schemas.Problem} for status in (404, 408, 409, 413, 415)
}


def add_handlers(app: FastAPI) -> None:
    """Register a handler for each kind of error."""
    for kind in STATUS_CODES:
        app.add_exception_handler(kind, _handle_tagger_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(OSError, _handle_os_error)


def _handle_tagger_error(request: Request, exception: Exception) -> JSONResponse:
    error = cast(TaggerError, exception)
    status = next(status for kind, status in STATUS_CODES.items() if isinstance(error, kind))
    content: dict[str, Any] = {"detail": str(error)}
    if isinstance(error, DatabaseUnavailableError):  # its message may name hosts
        _log.warning("%s", error)
        content["detail"] = "the library's database cannot be used now: try again in a moment"
    if isinstance(error, VocabularyError):  # its message has the path
        _log.warning("%s", error)
        content["detail"] = f"{error.path.name}{error.detail}"
    if isinstance(error, QueryError):
        content["position"] = error.position
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return JSONResponse(content, status, headers)


def _handle_invalid_request(request: Request, exception: Exception) -> JSONResponse:
    """FastAPI's validation errors as one sentence that does not repeat the input."""
    errors = cast(RequestValidationError, exception).errors()
    sentences = dict.fromkeys(_sentence(error) for error in errors[:3])
    return JSONResponse({"detail": "; ".join(sentences)}, 422)


def _sentence(error: Mapping[str, Any]) -> str:
    location, message = error["loc"], str(error["msg"])
    for beginning, sentence in SENTENCES.items():
        if location[: len(beginning)] == beginning:
            return sentence
    return f"{' '.join(map(str, location))}: {message[:1].lower()}{message[1:]}"


def _handle_os_error(request: Request, exception: Exception) -> JSONResponse:
    """503 if this machine lacks room; anything else is a mistake of ours, and raised again."""
    if cast(OSError, exception).errno not in NO_ROOM:
        raise exception
    return _respond_no_room(exception)


def _respond_no_room(error: Exception) -> JSONResponse:
    _log.warning("no room: %s", error)
    content = {"detail": "this computer has no room for it now: try again in a moment"}
    return JSONResponse(content, 503, {"Retry-After": RETRY_AFTER})


def _handle_http_exception(request: Request, exception: Exception) -> JSONResponse:
    error = cast(HTTPException, exception)
    if isinstance(error.__cause__, OSError):  # FastAPI's 400: a form's temporary files
        return _respond_no_room(error.__cause__)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
