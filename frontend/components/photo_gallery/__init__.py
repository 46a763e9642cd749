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

from frontend.components import actions
from frontend.components.actions import Action
from frontend.ui.photo_lists import VersionedList
from frontend.ui.tiles import SIDES, base_path, make_tile
from tagger.library.records import Photo

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


@dataclass(frozen=True)
class GridEvents:
    """Ids of the photo just `opened`, and of the `selected` ones."""

    opened: int | None = None
    selected: tuple[int, ...] = ()


@dataclass(frozen=True)
class GalleryMessage:
    """What was done last; `undo` is the button's title, or empty. `number` tells it from others."""

    number: int
    text: str
    undo: str = ""
    is_error: bool = False


@dataclass(frozen=True)
class Editing:
    """How a gallery edits photos.

    `carry_out` is called with each action, before the page is drawn; `message` gives the last
    one's message. `models` are names and titles to tag again with, `model` is the active one.
    """

    carry_out: Callable[[Action], None]
    message: Callable[[], GalleryMessage | None]
    models: Sequence[tuple[str, str]]
    model: str


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
    matching: Sequence[str] = (),
    selectable: bool = True,
    editing: Editing | None = None,
) -> GridEvents:
    """Show these photos with their first tag, or the `matching` ones; `captions` by photo id.

    With `editing` a photo opens over the page; else `opened` is set for one run of the script.
    `selected` stays until the selection changes or `clear_selection` is called.
    """
    if not photos:
        return GridEvents()
    captions = captions or {}
    data = {
        "query": "",
        "sort": "",
        "version": "",
        "labels": True,
        "selectable": selectable,
        "opens": editing is None,
        "reports": selectable,
        "photos": [make_tile(photo, matching, captions.get(photo.id, "")) for photo in photos],
    }
    state = _mount(key, data, editing)
    ids = [photo.id for photo in photos]
    opened = state.get("opened")
    cleared = st.session_state.get(_cleared_key(key), 0)
    return GridEvents(
        opened if opened in ids else None,
        _read_selection(state.get("selected"), cleared, ids) if selectable else (),
    )


def _mount(key: str, data: Mapping[str, Any], editing: Editing | None) -> Mapping[str, Any]:
    """Mount the component; its state."""
    message = None if editing is None else editing.message()
    more = {
        "key": key,
        "base": base_path(),
        "sides": SIDES,
        "actions": editing is not None,
        "models": [] if editing is None else editing.models,
        "model": "" if editing is None else editing.model,
        "done": actions.last_done(key),
        "cleared": st.session_state.get(_cleared_key(key), 0),
        "message": None
        if message is None
        else {
            "number": message.number,
            "text": message.text,
            "undo": message.undo,
            "isError": message.is_error,
        },
    }

    def receive() -> None:
        if editing is not None:
            actions.receive(key, editing.carry_out)

    state: Mapping[str, Any] = _component(
        key=key,
        data={**more, **data},
        on_actions_change=receive,
        on_opened_change=_ignore,
        on_selected_change=_ignore,
    )
    return state


def clear_selection(key: str) -> None:
    """Clear a grid's selection; call it before the grid is shown again."""
    st.session_state[_cleared_key(key)] = st.session_state.get(_cleared_key(key), 0) + 1


def _read_selection(selection: object, cleared: int, ids: Sequence[int]) -> tuple[int, ...]:
    """The ids that the browser reported as selected, if they are of this grid and not cleared."""
    if not isinstance(selection, dict) or selection.get("cleared") != cleared:
        return ()
    selected = selection.get("ids")
    return tuple(id for id in ids if id in selected) if isinstance(selected, list) else ()


def _cleared_key(key: str) -> str:
    return f"{key}-cleared"


def _ignore() -> None:
    """Streamlit requires a callback; the state is read from the component's return value."""
