"""Errors as HTTP answers: a status and one sentence each."""

from __future__ import annotations

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
    WeightsUnavailableError,
)
from tagger.service import schemas
from tagger.service.predictor import RETRY_AFTER

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

# What FastAPI itself would say of these speaks of its own insides.
SENTENCES: dict[tuple[str, ...], str] = {
    ("body", "file"): 'send each photo as a file, in the field "file" of a form:'
    " curl -F file=@photo.jpg",
    ("body",): 'send JSON such as {"model": "pets"}, with Content-Type: application/json',
    ("header", "X-Client"): "X-Client: 1 to 64 letters, digits, spaces and _ . : / @ + -",
}

# What a route may answer instead, for its description: of all of them, and of those with photos.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem} for status in (400, 401, 403, 422, 503)
}
PHOTO_ERROR_RESPONSES = ERROR_RESPONSES | {
    status: {"model": schemas.Problem} for status in (404, 408, 409, 413, 415)
}


def add_handlers(app: FastAPI) -> None:
    """Let an application answer errors so."""
    for kind in STATUS_CODES:
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _told)


def status_code(error: TaggerError) -> int:
    """The status for one of our errors."""
    return next(status for kind, status in STATUS_CODES.items() if isinstance(error, kind))


def _refused(request: Request, error: Exception) -> JSONResponse:
    ours = cast(TaggerError, error)
    status = status_code(ours)
    told: dict[str, Any] = {"detail": str(ours)}
    if isinstance(ours, DatabaseUnavailableError):  # its words may name hosts
        _log.warning("%s", ours)
        told["detail"] = "the library's database cannot be used now: try again in a moment"
    if isinstance(ours, QueryError):
        told["position"] = ours.position
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return JSONResponse(told, status, headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What FastAPI finds wrong with a request, in a sentence and without what was sent."""
    found = cast(RequestValidationError, error).errors()
    told = dict.fromkeys(_sentence(one) for one in found[:3])
    return JSONResponse({"detail": "; ".join(told)}, 422)


def _sentence(found: Mapping[str, Any]) -> str:
    where = found["loc"]
    for beginning, sentence in SENTENCES.items():
        if where[: len(beginning)] == beginning:
            return sentence
    said = str(found["msg"])
    return f"{' '.join(str(part) for part in where)}: {said[:1].lower()}{said[1:]}"


def _told(request: Request, error: Exception) -> JSONResponse:
    ours = cast(HTTPException, error)
    return JSONResponse({"detail": ours.detail}, ours.status_code, ours.headers)
