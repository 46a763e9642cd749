"""A grid of photos: one opens with a click or Enter, several are selected.

Names and tags reach the page as text alone (see photo_grid.js). What is drawn travels to the
browser once and again only when it changes; which photos are selected is the browser's to keep,
and is told here with every change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.ui.library import open_library
from tagger.library.records import Photo
from tagger.text import data_uri, escape_controls

HERE = Path(__file__).resolve().parent

_component = st.components.v2.component(
    "photo_grid",
    html=(HERE / "photo_grid.html").read_text(encoding="utf-8"),
    css=(HERE / "photo_grid.css").read_text(encoding="utf-8"),
    js=(HERE / "photo_grid.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class GridAnswer:
    """What was done with a grid: the photo just `opened`, and those `selected`, in its order."""

    opened: int | None = None
    selected: tuple[int, ...] = ()


def photo_grid(
    photos: Sequence[Photo],
    *,
    key: str,
    captions: Mapping[int, str] | None = None,
    selectable: bool = True,
) -> GridAnswer:
    """Thumbnails with the first tag of each below, and a caption for those that have one.

    `opened` is told once; `selected` until the selection changes, or `clear_selection` is called.
    """
    if not photos:
        return GridAnswer()
    turn = st.session_state.get(_turn_key(key), 0)
    said = _component(
        key=key,
        data={
            "key": key,
            "turn": turn,
            "selectable": selectable,
            "photos": [tile(photo, (captions or {}).get(photo.id, "")) for photo in photos],
        },
        on_opened_change=_ignore,
        on_selected_change=_ignore,
    )
    here = [photo.id for photo in photos]
    opened = said.get("opened")
    return GridAnswer(
        opened if opened in here else None,
        _selected(said.get("selected"), turn, here) if selectable else (),
    )


def clear_selection(key: str) -> None:
    """Let nothing be selected in a grid any more; before it is drawn again."""
    st.session_state[_turn_key(key)] = st.session_state.get(_turn_key(key), 0) + 1


def first_tag(photo: Photo) -> str:
    """What a photo is called in short: its first tag, "unknown" or "untagged"."""
    if photo.tags:
        return photo.tags[0].label
    return "unknown" if photo.unknown else "untagged"


def tile(photo: Photo, caption: str = "") -> dict[str, Any]:
    """A photo as the browser draws it: its thumbnail, and what stands below, all plain text."""
    return {
        "id": photo.id,
        "name": escape_controls(photo.name),
        "tag": escape_controls(first_tag(photo)),
        "tagged": bool(photo.tags),
        "more": max(0, len(photo.tags) - 1),
        "confirmed": bool(photo.tags) and photo.tags[0].by_person,
        "caption": escape_controls(caption),
        "image": data_uri(open_library().read_thumbnail(photo), "image/jpeg"),
    }


def _selected(said: object, turn: int, here: Sequence[int]) -> tuple[int, ...]:
    """The browser's word on what is selected, if it is of this turn; photos of the grid alone."""
    if not isinstance(said, dict) or said.get("turn") != turn:
        return ()
    ids = said.get("ids")
    return tuple(photo for photo in here if photo in ids) if isinstance(ids, list) else ()


def _turn_key(key: str) -> str:
    return f"{key}-turn"


def _ignore() -> None:
    """Streamlit asks for a function for whatever a component tells; the answer is returned."""
