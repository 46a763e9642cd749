"""Photos as JSON for the browser: plain texts, and the digest that names their files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from streamlit import config

from tagger.library.records import FAVOURITE, Photo, PhotoPage
from tagger.text import escape_controls, whole_percent

SIDES = (800, 1200, 1600, 2400, 3600)  # pixels, of a photo's longer side, to fit windows
MAX_LABELS = 3  # tags that a query found, on a tile
ROUTES = "library"  # the app's HTTP routes, below its base path: see frontend/routes.py


class Tile(TypedDict):
    """A photo of a grid. `tag` is the one to show, `score` its percentage if a query found it."""

    id: int
    digest: str
    name: str
    width: int
    height: int
    tag: str
    score: str
    tagged: bool
    more: int
    confirmed: bool
    missing: bool
    favourite: bool
    caption: str


def base_path() -> str:
    """The path of the app's routes: "/library", or below the configured base path."""
    base = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"/{base}/{ROUTES}" if base else f"/{ROUTES}"


def make_tile(photo: Photo, matching: Sequence[str] = (), caption: str = "") -> Tile:
    """A photo's tile; with tags that a query found, `matching`, these are shown.

    Of several, each that is confirmed has its own tick.
    """
    tags = {tag.label: tag for tag in photo.tags}
    labels = [label for label in matching if label in tags]
    ticked = [f"{label} ✓" if tags[label].by_person else label for label in labels]
    names = labels if len(labels) == 1 else ticked[:MAX_LABELS]
    main = tags[labels[0]] if labels else next(iter(photo.tags), None)
    score = main.score if len(labels) == 1 and main is not None else None
    return {
        "id": photo.id,
        "digest": photo.sha256,
        "name": escape_controls(photo.name),
        "width": photo.width,
        "height": photo.height,
        "tag": escape_controls(" · ".join(names) or short_label(photo)),
        "score": "" if score is None else whole_percent(score),
        "tagged": main is not None,
        "more": max(0, len(photo.tags) - max(1, len(labels))),
        "confirmed": main is not None and main.by_person and len(labels) < 2,
        "missing": photo.missing,
        "favourite": photo.rating == FAVOURITE,
        "caption": escape_controls(caption),
    }


def make_tiles(page: PhotoPage) -> list[Tile]:
    """The tiles of photos that a query found, each with why."""
    return [
        make_tile(photo, page.matching_tags.get(photo.id, ()), describe_likeness(photo.id, page))
        for photo in page.photos
    ]


def describe_likeness(photo_id: int, page: PhotoPage) -> str:
    """That a photo was found by a description, or nothing."""
    return "by description" if photo_id in page.likeness else ""


def short_label(photo: Photo) -> str:
    """A photo's first tag, or "No tags"."""
    if photo.tags:
        return photo.tags[0].label
    return "No tags"
