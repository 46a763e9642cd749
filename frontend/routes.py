"""The app's HTTP routes: photos, and what is known about them as JSON. They only read.

Streamlit's allowed hosts guard its WebSocket alone; `OwnPagesMiddleware` guards these. A photo is
named by its digest, so that its pictures never change and are cached for good.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from frontend.origins import OwnPagesMiddleware
from frontend.photos.large_photo import find_explainer
from frontend.photos.photo_details import load_details
from frontend.photos.similar import caption_similar
from frontend.ui.library import open_library
from frontend.ui.photo_lists import VersionedList, photo_lists, read_sort
from frontend.ui.suggestions import suggest_tags
from frontend.ui.tiles import SIDES, base_path, make_tile, make_tiles
from tagger.errors import ImageError, LibraryError, OptionError, TaggerError
from tagger.images import decode, transforms
from tagger.library.library import Library
from tagger.library.records import Photo

MAX_WINDOW = 500  # photos
MAX_LISTED = 1_000  # ids in an address
MAX_LABELS = 500  # tags of the photos that are selected
MAX_DIGITS = 9  # of a number
MAX_CACHED = 24  # photos in memory, decoded for a window
SIMILAR_PHOTOS = 12
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOREVER = "private, max-age=31536000, immutable"

Answer = Callable[[Request, Library], Response]


def mount_routes() -> Mount:
    """All routes, to be mounted in `st.App`."""
    routes = {
        "/thumbnails/{digest}.jpg": send_thumbnail,
        "/photos/{digest}.jpg": send_photo,
        "/heatmaps/{id:int}.jpg": send_heatmap,
        "/gallery": describe_gallery,
        "/window": list_window,
        "/ids": list_ids,
        "/details/{id:int}": describe_photo,
        "/similar/{id:int}": list_similar,
        "/tags": list_tags,
        "/labels": list_labels,
    }
    return Mount(
        base_path(),
        routes=[Route(path, _guard(answer)) for path, answer in routes.items()],
        middleware=[Middleware(OwnPagesMiddleware)],
    )


def _guard(answer: Answer) -> Callable[[Request], Response]:
    """An endpoint that answers with the open library, and whose errors become statuses.

    Starlette runs it in a thread.
    """

    @functools.wraps(answer)
    def endpoint(request: Request) -> Response:
        try:
            return answer(request, open_library())
        except ImageError as error:
            return _refuse(404, error.reason)
        except _NotFoundError as error:
            return _refuse(404, str(error))
        except LibraryError as error:
            return _refuse(503, str(error))
        except TaggerError as error:
            return _refuse(400, str(error))

    del endpoint.__wrapped__  # its signature is not that of `answer`
    return endpoint


class _NotFoundError(TaggerError):
    """There is no such photo."""


def _refuse(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status, {"Cache-Control": "no-store"})


# Pictures


def send_thumbnail(request: Request, library: Library) -> Response:
    """A photo's thumbnail. One that is made again is not cached: it may be grey."""
    digest = _read_digest(request)
    if (cached := _not_modified(request, digest)) is not None:
        return cached
    try:
        return _send_jpeg(library.storage.thumbnail_path(digest).read_bytes(), digest)
    except FileNotFoundError:
        jpeg = library.read_thumbnail(_find_photo(library, digest))
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def send_photo(request: Request, library: Library) -> Response:
    """A photo as a JPEG that browsers show, at most `side` pixels long, or else whole.

    Where the file is a JPEG of that size already, it is sent as it is.
    """
    digest = _read_digest(request)
    side = _read_number(request, "side", 0)
    side = next((limit for limit in SIDES if limit >= side), SIDES[-1]) if side else 0
    tag = f"{digest}-{side}"
    if (cached := _not_modified(request, tag)) is not None:
        return cached
    photo = _find_photo(library, digest)
    return _send_jpeg(_make_jpeg(digest, side, photo, library), tag, photo.name)


@st.cache_resource(show_spinner=False, max_entries=MAX_CACHED)
def _make_jpeg(digest: str, side: int, _photo: Photo, _library: Library) -> bytes:
    data = _library.read_original(_photo)
    longer = max(_photo.width, _photo.height)
    if data.startswith(b"\xff\xd8\xff") and (not side or longer <= side):
        return data
    if not side or longer <= side:
        return decode.encode(decode.read(data), "JPEG")
    shorter_side = max(1, round(side * min(_photo.width, _photo.height) / longer))
    rgb = decode.read(data, shorter_side=shorter_side)
    return decode.encode(transforms.thumbnail(rgb, side), "JPEG")


def send_heatmap(request: Request, library: Library) -> Response:
    """A photo under the heatmap of a `tag`, by the first model that thought of it."""
    photo = _load_photo(request, library)
    name = request.query_params.get("tag", "")
    explainer = find_explainer(library, photo, name)
    if explainer is None:
        raise _NotFoundError(f"no model that tagged it knows {name}, or it has changed since")
    tagger, label = explainer
    tag = f"{photo.sha256}-{tagger.sha256}-{quote(label)}"
    if (cached := _not_modified(request, tag)) is not None:
        return cached
    rgb = tagger.heatmap(library.read_original(photo), label)
    response = _send_jpeg(decode.encode(rgb, "JPEG"), tag)
    response.headers["Cache-Control"] = "private, no-cache"  # another model may have tagged it
    return response


def _read_digest(request: Request) -> str:
    digest = str(request.path_params["digest"])
    if not _DIGEST.fullmatch(digest):
        raise _NotFoundError(f"{digest}: not a photo's digest")
    return digest


def _find_photo(library: Library, digest: str) -> Photo:
    photo = library.find_by_digest(digest)
    if photo is None:
        raise _NotFoundError(f"{digest}: not in the library")
    return photo


def _not_modified(request: Request, tag: str) -> Response | None:
    """The answer to a browser that has the picture already."""
    if f'"{tag}"' not in request.headers.get("if-none-match", ""):
        return None
    return Response(status_code=304, headers=_cache_headers(tag))


def _send_jpeg(jpeg: bytes, tag: str, name: str | None = None) -> Response:
    headers = _cache_headers(tag)
    if name is not None:
        stem = name.rsplit(".", 1)[0]
        file_name = quote(f"{stem}.jpg", encoding="utf-8", errors="replace")
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{file_name}"
    return Response(jpeg, media_type="image/jpeg", headers=headers)


def _cache_headers(tag: str) -> dict[str, str]:
    return {"Cache-Control": _FOREVER, "ETag": f'"{tag}"'}


# JSON


def describe_gallery(request: Request, library: Library) -> Response:
    """How many photos a query finds and their months; with `photo`, where that one is."""
    listed = _load_list(request, library)
    photo_id = _read_number(request, "photo", 0)
    return _send_json(
        {
            "version": listed.version,
            "total": len(listed.photos.ids),
            "months": listed.photos.months,
            "position": listed.positions.get(photo_id) if photo_id else None,
        }
    )


def list_window(request: Request, library: Library) -> Response:
    """The photos of a query from `offset` on, at most `limit`.

    Those that were deleted since the list was made are left out.
    """
    listed = _load_list(request, library)
    ids = _read_window(request, listed.photos.ids, MAX_WINDOW)
    page = library.load_matches(_read_query(request), ids)
    tiles = make_tiles(page)
    return _send_json({"version": listed.version, "photos": tiles, "ids": list(ids)})


def list_ids(request: Request, library: Library) -> Response:
    """The ids of the photos of a query from `offset` on, at most `limit`."""
    listed = _load_list(request, library)
    ids = _read_window(request, listed.photos.ids, len(listed.photos.ids))
    return _send_json({"version": listed.version, "ids": list(ids)})


def describe_photo(request: Request, library: Library) -> Response:
    """Everything about one photo."""
    return _send_json(load_details(library, _load_photo(request, library).id))


def list_similar(request: Request, library: Library) -> Response:
    """The photos most like one, with their similarity."""
    photo = _load_photo(request, library)
    similar = caption_similar(library.find_similar_to(photo, SIMILAR_PHOTOS))
    tiles = [make_tile(other, caption=caption) for other, caption in similar]
    return _send_json({"photos": tiles})


def list_tags(request: Request, library: Library) -> Response:
    """Tags to add that begin with `prefix`: those of the library first, then the vocabulary's."""
    tags = suggest_tags(library, request.query_params.get("prefix", ""))
    return _send_json({"tags": tags})


def list_labels(request: Request, library: Library) -> Response:
    """The tags of the photos `ids`, or without them of all that a query finds, with counts."""
    ids = [text for text in request.query_params.get("ids", "").split(",") if text]
    if ids:
        numbers = [_parse_number("ids", text) for text in ids[:MAX_LISTED]]
        photos = library.load_matches("", numbers).photos
        counts = Counter(tag.label for photo in photos for tag in photo.tags).most_common()
    else:
        counts = library.label_counts(_read_query(request))
    labels = [{"label": label, "count": count} for label, count in counts]
    return _send_json({"labels": labels[:MAX_LABELS]})


def _load_list(request: Request, library: Library) -> VersionedList:
    sort = read_sort(request.query_params.get("sort"))
    version = request.query_params.get("version")
    return photo_lists.load(library, _read_query(request), sort, version)


def _read_query(request: Request) -> str:
    return request.query_params.get("query", "")


def _read_window(request: Request, ids: Sequence[int], most: int) -> Sequence[int]:
    offset = _read_number(request, "offset", 0)
    limit = min(_read_number(request, "limit", 100), most)
    return ids[offset : offset + limit]


def _load_photo(request: Request, library: Library) -> Photo:
    try:
        return library.photo(int(request.path_params["id"]))
    except OptionError as error:
        raise _NotFoundError(str(error)) from None


def _read_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    return default if text is None else _parse_number(name, text)


def _parse_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise OptionError(f"{name} {text[:20]}: give a whole number")
    return int(text)


def _send_json(content: Mapping[str, object]) -> Response:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})
