"""Answer grid component: photos that are taken for right, of which one clicks the wrong ones.

Enter, or the button below, saves all answers together. Names reach the page as text only (see
answer_grid.js).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from frontend.components.own import register
from frontend.ui.tiles import base_path, make_tile
from tagger.library.records import Photo
from tagger.text import escape_controls

Mode = Literal["wrong", "right"]  # which photos are clicked

_component = register("answer_grid")


@dataclass(frozen=True)
class GridAnswers:
    """The ids of the photos with the tag and without it, in the grid's order."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]


def show_grid(
    photos: Sequence[Photo],
    tag: str,
    mode: Mode,
    *,
    key: str,
    captions: Mapping[int, str] | None = None,
) -> GridAnswers | None:
    """Show photos; the answers when they are saved, for one run of the script.

    In the mode "wrong" all photos are right but for those clicked; in the mode "right" those
    clicked are right, and nothing is said of the others.
    """
    tiles = [make_tile(photo, caption=(captions or {}).get(photo.id, "")) for photo in photos]
    state = _component(
        key=key,
        data={
            "base": base_path(),
            "mode": mode,
            "tag": escape_controls(tag),
            "photos": tiles,
        },
        on_saved_change=lambda: None,
    )
    return _read_answers(state.get("saved"), [photo.id for photo in photos], mode)


def _read_answers(saved: Any, ids: Sequence[int], mode: Mode) -> GridAnswers | None:
    """The answers that the browser reported, if they are of these photos."""
    if not isinstance(saved, dict) or saved.get("photos") != list(ids):
        return None
    clicked = saved.get("clicked")
    if not isinstance(clicked, list):
        return None
    chosen = tuple(photo_id for photo_id in ids if photo_id in clicked)
    if mode == "right":
        return GridAnswers(chosen, ())
    return GridAnswers(tuple(photo_id for photo_id in ids if photo_id not in chosen), chosen)
