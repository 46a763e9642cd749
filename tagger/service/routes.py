"""The routes: each calls the predictor, the library or a model, and returns JSON, CSV or text."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, File, Header, Path, Query, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tagger.errors import ImageError, ImageFormatError, ImageTooLargeError, ModelError, OptionError
from tagger.images.decode import FORMAT_NAMES
from tagger.library import export as exports
from tagger.library.records import Photo, PhotoPage, Sort
from tagger.library.search.lexer import MAX_LENGTH
from tagger.service import schemas
from tagger.service.dependencies import predictor, reject_unknown_options
from tagger.service.errors import ERROR_RESPONSES, PHOTO_ERROR_RESPONSES
from tagger.service.model_cache import ModelCache
from tagger.service.predictor import PhotoResult, PredictOptions
from tagger.service.settings import MAX_PHOTOS

PAGE_SIZE, MAX_PAGE_SIZE = 48, 500  # photos per page of /photos
MAX_OFFSET = 2**31 - 1
CHUNK_CHARACTERS = 2**16  # of a file, per chunk of the response
OCTET_STREAM = "application/octet-stream"
METRICS_TYPE = "text/plain; version=0.0.4"
MAX_PARSED = 2**16  # bytes of JSON that is not written as usual
_JSON_IMAGE = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"image"\s*:\s*"([^"]*)"\s*\}\s*')
_JSON_ESCAPES = (  # as programs write them in base64
    *((rb"\n", b""), (rb"\r", b""), (rb"\t", b""), (rb"\/", b"/"), (rb"\u002B", b"+")),
    *((rb"\u002b", b"+"), (rb"\u002F", b"/"), (rb"\u002f", b"/"), (rb"\u003D", b"=")),
    (rb"\u003d", b"="),
)
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


router = APIRouter(responses=ERROR_RESPONSES, dependencies=[Depends(reject_unknown_options)])


def _text_response(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}}}


Top = Annotated[int, Query(ge=1, le=1000, description="how many of the likeliest labels to return")]
Threshold = Annotated[float | None, Query(ge=0, le=1, description="instead of each label's own")]
ModelName = Annotated[str | None, Query(max_length=200, description="another model: see /models")]
Heatmap = Annotated[bool, Query(description="also a heatmap of the label, painted on the photo")]
Client = Annotated[
    str | None,
    Header(
        alias="X-Client", pattern=r"^[A-Za-z0-9_ .:/@+-]{1,64}$", description="the client's name"
    ),
]
Search = Annotated[str, Query(max_length=MAX_LENGTH, description="as the app's search takes it")]
Order = Annotated[
    Sort | None, Query(description="by default likeness for a query with a description, or newest")
]
Photos = Annotated[
    list[UploadFile], File(min_length=1, description=f"{FORMAT_NAMES}; up to {MAX_PHOTOS}")
]


@router.post(
    "/predict", response_model=schemas.Answer | schemas.Answers, responses=PHOTO_ERROR_RESPONSES
)
async def predict(
    request: Request,
    file: Photos,
    top: Top = 5,
    threshold: Threshold = None,
    model: ModelName = None,
    heatmap: Heatmap = False,
    x_client: Client = None,
) -> JSONResponse:
    """Tag photos. One file gives one answer, several give a list in their order."""
    if unknown := (await request.form()).keys() - {"file"}:
        fields = ", ".join(sorted(unknown))[:60]
        raise OptionError(f"there is no field {fields!r}; photos go into file, options in the URL")
    if len(file) > MAX_PHOTOS:
        raise ImageTooLargeError(f"{len(file)} files", f"send up to {MAX_PHOTOS} at a time")
    photos = [await upload.read() for upload in file]
    options = PredictOptions(top, threshold, model, heatmap, x_client, _request_id(request))
    results = await predictor(request).predict(photos, options)
    if len(results) > 1:
        return JSONResponse({"results": [schemas.to_json(result) for result in results]})
    return _single_response(results[0])


@router.get("/models")
def models(request: Request) -> schemas.ModelList:
    """The models that a request can name."""
    cache = predictor(request).models
    lines = [_model_line(cache, name) for name in cache.names()]
    return schemas.ModelList(active=cache.active.name, models=[line for line in lines if line])


@router.get("/models/{name}", responses={404: {"model": schemas.Problem}})
def model_card(request: Request, name: Annotated[str, Path(max_length=200)]) -> dict[str, Any]:
    """A model's card: its training photos, figures and weaknesses."""
    return dict(predictor(request).models.load_card(name))


@router.post("/model/reload", responses={n: {"model": schemas.Problem} for n in (404, 409)})
def reload(request: Request, body: schemas.Reload | None = None) -> schemas.Reloaded:
    """Load a model, test it, and make it the active one.

    Without a name, the active one is loaded again from its file.
    """
    tagger = predictor(request).models.reload(body.model if body else None)
    return schemas.Reloaded(model=tagger.name, sha256=tagger.sha256)


@router.get("/health")
async def health() -> schemas.Alive:
    """Whether this process is alive."""
    return schemas.Alive()


@router.get("/ready")
async def ready(request: Request) -> schemas.Ready:
    """Whether the model works and answers can be written down."""
    tagger = await predictor(request).ready()
    return schemas.Ready(model=tagger.name)


@router.get("/stats")
def stats(request: Request) -> schemas.Stats:
    """Statistics of all answers, from the database."""
    stats = predictor(request).log.stats()
    return schemas.Stats(
        **asdict(stats), unknown_share=stats.unknown / stats.answers if stats.answers else None
    )


@router.get("/metrics", response_class=Response, responses=_text_response(METRICS_TYPE))
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    return Response(predictor(request).metrics.render(), media_type=METRICS_TYPE)


@router.get("/photos")
def photos(
    request: Request,
    query: Search = "",
    sort: Order = None,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = PAGE_SIZE,
) -> schemas.PhotoPage:
    """Photos of the library that match a query."""
    library = predictor(request).library
    page = library.search(query, sort, offset, limit)
    return schemas.PhotoPage(
        total=page.total,
        photos=[_photo_line(photo, page) for photo in page.photos],
        words=[
            schemas.Interpretation(**asdict(word))
            for word in library.explain(page.tag_query or query)
        ],
        tag_query=page.tag_query,
        description=schemas.DescriptionSummary(**asdict(page.description))
        if page.description
        else None,
    )


@router.get("/export.csv", response_class=StreamingResponse, responses=_text_response("text/csv"))
def export(
    request: Request, query: Search = "", sort: Order = None, bom: bool = False
) -> StreamingResponse:
    """The same photos as a table, one row each; words that are no tags find none here.

    With `bom` it begins with a byte order mark, which Excel needs to read UTF-8.
    """
    file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115
    try:
        exports.write_csv(predictor(request).library.photos(query, sort), file, bom=bom)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Disposition": 'attachment; filename="photos.csv"'}
    return StreamingResponse(_chunks(file), media_type="text/csv", headers=headers)


@router.get("/ping")
async def ping(request: Request) -> schemas.Ready:
    """As `/ready`, under Amazon SageMaker's name."""
    return await ready(request)


@router.post(
    "/invocations",
    response_model=schemas.Answer,
    responses=PHOTO_ERROR_RESPONSES,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                OCTET_STREAM: {"schema": {"type": "string", "format": "binary"}},
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"image": {"type": "string", "format": "byte"}},
                        "required": ["image"],
                    }
                },
            },
        }
    },
)
async def invocations(request: Request, x_client: Client = None) -> JSONResponse:
    """Tag one photo, as Amazon SageMaker sends it: its bytes, or `{"image": BASE64}`."""
    kind = request.headers.get("content-type", OCTET_STREAM).partition(";")[0].strip().lower()
    body = await request.body()
    if kind == "application/json":
        body = await run_in_threadpool(_decode_json, body)
    elif kind not in (OCTET_STREAM, "application/x-image") and not kind.startswith("image/"):
        raise ImageFormatError(kind[:60], "send a photo's bytes, or JSON with its base64")
    options = PredictOptions(client=x_client, request=_request_id(request))
    (result,) = await predictor(request).predict([body], options)
    return _single_response(result)


def _request_id(request: Request) -> str | None:
    """The client's own id for the request, which AccessMiddleware has checked."""
    return getattr(request.state, "request_id", None)


def _single_response(result: PhotoResult | ImageError) -> JSONResponse:
    if isinstance(result, ImageError):
        raise result
    return JSONResponse(schemas.to_json(result))


def _decode_json(body: bytes) -> bytes:
    """The photo in `{"image": BASE64}`, which may be a data URI, in lines, or of the URL alphabet.

    A JSON parser would take many times the body's memory. Raises OptionError.
    """
    match = _JSON_IMAGE.fullmatch(body)
    text = match[1] if match else _parse_json(body)
    for escape, character in _JSON_ESCAPES if b"\\" in text else ():
        text = text.replace(escape, character)
    if text[:5].lower() == b"data:":
        head, _, text = text.partition(b",")
        if not head.lower().endswith(b";base64"):
            raise OptionError("image is a data URI without ;base64")
    text = text.translate(_STANDARD_ALPHABET, b" \t\r\n").rstrip(b"=")
    if wrong := _NO_BASE64.search(text):
        letter = ascii(wrong[0].decode("latin-1"))
        raise OptionError(f"image is no base64: it has {letter} at {wrong.start()}")
    if len(text) % 4 == 1:
        raise OptionError("image is no base64: a letter too many, or some are missing")
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _parse_json(body: bytes) -> bytes:
    """The image of small JSON that is not written as usual. Raises OptionError."""
    if len(body) > MAX_PARSED:
        raise _json_error("no JSON with an image alone")
    try:
        fields = json.loads(body, object_pairs_hook=_unique_fields)
    except (ValueError, RecursionError):
        raise _json_error("no JSON") from None
    if not isinstance(fields, dict):
        raise _json_error("JSON, but no object")
    if "image" not in fields:
        raise _json_error("the field image is missing")
    for name in fields:
        if name != "image":
            raise _json_error(f"there is no field {name[:60]!r}")
    if not isinstance(fields["image"], str):
        raise _json_error("image is no text")
    return fields["image"].encode("utf-8", "replace")


def _unique_fields(fields: list[tuple[str, object]]) -> dict[str, object]:
    """Raises OptionError: programs read a field that comes twice differently."""
    unique = dict(fields)
    if len(unique) < len(fields):
        raise _json_error("a field comes twice")
    return unique


def _json_error(problem: str) -> OptionError:
    return OptionError(f'{problem}: send JSON as {{"image": "the photo in base64"}}')


def _model_line(cache: ModelCache, name: str) -> schemas.ModelLine | None:
    """None if the file is broken, or was removed after it was listed."""
    try:
        card = cache.load_card(name)
    except ModelError:
        return None
    return schemas.ModelLine(
        name=name,
        kind=card["kind"],
        labels=len(card["labels"]),
        about=str(card.get("about") or ""),
        backbone=card["backbone"],
    )


def _photo_line(photo: Photo, page: PhotoPage) -> schemas.PhotoLine:
    return schemas.PhotoLine(
        id=photo.id,
        name=photo.name,
        sha256=photo.sha256,
        width=photo.width,
        height=photo.height,
        added_at=photo.added_at.isoformat(),
        taken_at=photo.taken_at.isoformat() if photo.taken_at else None,
        unknown=photo.unknown,
        reviewed=photo.reviewed,
        confidence=photo.confidence,
        likeness=page.likeness.get(photo.id),
        tags=[
            schemas.PhotoTag(label=t.label, score=t.score, by_person=t.by_person, model=t.model)
            for t in photo.tags
        ],
        matching_tags=list(page.matching_tags.get(photo.id, ())),
    )


def _chunks(file: IO[str]) -> Iterator[str]:
    with file:
        while chunk := file.read(CHUNK_CHARACTERS):
            yield chunk
