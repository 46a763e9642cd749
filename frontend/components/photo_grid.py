"""Photo grid component: thumbnails to open with a click or Enter, and to select.

Names and tags reach the page as text only (see photo_grid.js). The browser keeps the selection and
reports every change of it.
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
class GridEvents:
    """Ids of the photo just `opened`, and of the `selected` ones in the grid's order."""

    opened: int | None = None
    selected: tuple[int, ...] = ()


def show_grid(
    photos: Sequence[Photo],
    *,
    key: str,
    captions: Mapping[int, str] | None = None,
    selectable: bool = True,
) -> GridEvents:
    """Show thumbnails with their first tag; `captions` by photo id.

    `opened` is set for one run of the script; `selected` until the selection changes or
    `clear_selection` is called.
    """
    if not photos:
        return GridEvents()
    version = st.session_state.get(_version_key(key), 0)
    state = _component(
        key=key,
        data={
            "key": key,
            "version": version,
            "selectable": selectable,
            "photos": [tile_data(photo, (captions or {}).get(photo.id, "")) for photo in photos],
        },
        on_opened_change=_ignore,
        on_selected_change=_ignore,
    )
    ids = [photo.id for photo in photos]
    opened = state.get("opened")
    return GridEvents(
        opened if opened in ids else None,
        _read_selection(state.get("selected"), version, ids) if selectable else (),
    )


def show_similar_grid(similar: Sequence[tuple[Photo, float]], *, key: str) -> GridEvents:
    """Show photos with their similarity, at most 1, as captions."""
    captions = {photo.id: f"{max(0.0, value):.0%} similar" for photo, value in similar}
    photos = [photo for photo, _ in similar]
    return show_grid(photos, key=key, captions=captions, selectable=False)


def clear_selection(key: str) -> None:
    """Clear a grid's selection; call it before the grid is shown again."""
    st.session_state[_version_key(key)] = st.session_state.get(_version_key(key), 0) + 1


def short_label(photo: Photo) -> str:
    """A photo's first tag, "unknown" or "untagged"."""
    if photo.tags:
        return photo.tags[0].label
    return "unknown" if photo.unknown else "untagged"


def tile_data(photo: Photo, caption: str = "") -> dict[str, Any]:
    """A photo as JSON for the browser: its thumbnail and plain texts."""
    return {
        "id": photo.id,
        "name": escape_controls(photo.name),
        "tag": escape_controls(short_label(photo)),
        "tagged": bool(photo.tags),
        "more": max(0, len(photo.tags) - 1),
        "confirmed": bool(photo.tags) and photo.tags[0].by_person,
        "caption": escape_controls(caption),
        "image": data_uri(open_library().read_thumbnail(photo), "image/jpeg"),
    }


def _read_selection(selection: object, version: int, ids: Sequence[int]) -> tuple[int, ...]:
    """The ids that the browser reported as selected, if they are of this version and grid."""
    if not isinstance(selection, dict) or selection.get("version") != version:
        return ()
    selected = selection.get("ids")
    return tuple(id for id in ids if id in selected) if isinstance(selected, list) else ()


def _version_key(key: str) -> str:
    return f"{key}-version"


def _ignore() -> None:
    """Streamlit requires a callback; the state is read from the component's return value."""
