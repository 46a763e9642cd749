"""Photo gallery component: a timeline of any number of photos, with a lightbox, or a short list.

The browser fetches what it shows from the app's routes. What a person does with photos arrives as
numbered actions, each of which is carried out once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import actions, teach_offer
from frontend.components.actions import Action
from frontend.components.registration import ignore_change
from frontend.components.teach_offer import Offer
from frontend.ui.photo_lists import VersionedList
from frontend.ui.tiles import SIDES, Tile, base_path, make_tile
from tagger.library.records import Photo
from tagger.text import escape_controls

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "dom",
    "actions",
    "source",
    "timeline",
    "chips",
    "panel",
    "lightbox",
    "selection",
    "gallery",
)
STYLES = ("base", "gallery", "chips", "lightbox")


def read_assets(names: Sequence[str], suffix: str) -> str:
    """Several scripts or styles as one."""
    return "\n".join((HERE / f"{name}.{suffix}").read_text(encoding="utf-8") for name in names)


_component = st.components.v2.component(
    "photo_gallery",
    html=(HERE / "gallery.html").read_text(encoding="utf-8"),
    css=read_assets(STYLES, "css"),
    js=read_assets(SCRIPTS, "js"),
)


_LIST = {"query": "", "sort": "", "version": "", "labels": True, "selectable": False}


@dataclass(frozen=True)
class Cover:
    """A photo that stands for something of this name."""

    name: str
    photo: Photo
    caption: str


@dataclass(frozen=True)
class GalleryMessage:
    """What was done last; `undo` is the button's title, or empty. `number` tells it from others.

    `operation_id` is what the button undoes, `is_question` whether the message asks for that;
    `offers` are of tags of which more photos can be looked at.
    """

    number: int
    text: str
    operation_id: int | None = None
    undo: str = ""
    is_error: bool = False
    is_question: bool = False
    offers: Sequence[Offer] = ()


@dataclass(frozen=True)
class Editing:
    """How a gallery edits photos.

    `carry_out` is called with each action, before the page is drawn; `message` gives the last
    one's message. `models` are names and titles to tag again with, `model` is the active one.
    `undo` and `redo` are the titles of what would be undone and redone, or empty.
    """

    carry_out: Callable[[Action], None]
    message: Callable[[], GalleryMessage | None]
    models: Sequence[tuple[str, str]]
    model: str
    undo: str
    redo: str


def show_gallery(
    listed: VersionedList,
    query: str,
    sort: str,
    *,
    key: str,
    editing: Editing,
    labels: bool,
    empty: str,
    tiles: bool = True,
    opened: int | None = None,
) -> None:
    """Show all photos of a query. `labels`: tiles show the tag that the query found.

    `empty` is the text where there are none. Without `tiles` there is only the lightbox; it shows
    the photo `opened` whenever that is another one than before.
    """
    data = {
        "query": query,
        "sort": sort,
        "version": listed.version,
        "total": len(listed.photos.ids),
        "months": listed.photos.months,
        "labels": labels,
        "empty": empty,
        "selectable": True,
        "tiles": tiles,
        "opened": opened,
    }
    _mount(key, data, editing)


def show_grid(
    photos: Sequence[Photo],
    *,
    key: str,
    captions: Mapping[int, str] | None = None,
    matching: Mapping[int, Sequence[str]] | None = None,
    editing: Editing | None = None,
    only_captions: bool = False,
) -> None:
    """Show these photos with their first tag, or the `matching` ones; with `captions`, by photo id.

    With `only_captions` these take the place of tags. A photo opens over the page; without
    `editing` it can only be looked at.
    """
    captions, matching = captions or {}, matching or {}
    tiles = [
        make_tile(photo, matching.get(photo.id, ()), captions.get(photo.id, "")) for photo in photos
    ]
    if only_captions:
        tiles = [_name_tile(tile, tile["caption"]) for tile in tiles]
    if tiles:
        _mount(key, {**_LIST, "photos": tiles}, editing)


def show_covers(covers: Sequence[Cover], *, key: str, open: Callable[[str], None]) -> None:
    """Show photos that stand for something; a click calls `open` with its name."""
    tiles = [_make_cover(number, cover) for number, cover in enumerate(covers)]

    def open_cover() -> None:
        number = st.session_state[key].get("opened")
        if type(number) is int and 0 <= number < len(covers):
            open(covers[number].name)

    if tiles:
        _mount(key, {**_LIST, "photos": tiles, "opens": True}, None, open_cover)


def _make_cover(number: int, cover: Cover) -> Tile:
    name = escape_controls(cover.name)
    tile = make_tile(cover.photo, caption=cover.caption)
    plain: Tile = {**_name_tile(tile, name), "caption": tile["caption"]}
    return {**plain, "id": number, "name": name, "favourite": False, "missing": False}


def _name_tile(tile: Tile, text: str) -> Tile:
    """A tile with a text in place of its tags."""
    plain: Tile = {**tile, "tag": text, "caption": "", "tagged": True, "score": ""}
    return {**plain, "more": 0, "confirmed": False}


def _mount(
    key: str,
    data: Mapping[str, Any],
    editing: Editing | None,
    open: Callable[[], None] = ignore_change,
) -> None:
    """Mount the component."""
    message = None if editing is None else editing.message()
    more = {
        "key": key,
        "base": base_path(),
        "sides": SIDES,
        "actions": editing is not None,
        "models": [] if editing is None else editing.models,
        "model": "" if editing is None else editing.model,
        "undo": "" if editing is None else escape_controls(editing.undo),
        "redo": "" if editing is None else escape_controls(editing.redo),
        "done": actions.last_done(key),
        "message": None
        if message is None
        else {
            "number": message.number,
            "text": message.text,
            "operation": message.operation_id,
            "undo": message.undo,
            "isError": message.is_error,
            "isQuestion": message.is_question,
            "offers": [escape_controls(offer.text) for offer in message.offers],
        },
    }

    def receive() -> None:
        if editing is not None:
            actions.receive(key, editing.carry_out)

    _component(
        key=key,
        data={**more, **data},
        on_actions_change=receive,
        on_opened_change=open,
    )
    if message is not None and message.offers:
        with st.container(key=f"{key}-offers"):  # hidden, see style.css; `follow` clicks them
            for offer in message.offers:
                teach_offer.show(offer)
