"""Answer grid component: photos that are taken for right, of which one clicks the wrong ones.

Enter, or the button below, saves all answers together. Names reach the page as text only (see
answer_grid.js).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from frontend.components import actions
from frontend.components.actions import Action
from frontend.components.registration import register
from frontend.ui.messages import report_error
from frontend.ui.tiles import base_path, make_tile
from tagger.library.records import Photo
from tagger.text import escape_controls

Mode = Literal["wrong", "right"]  # which photos are clicked

_component = register("answer_grid", "photo_gallery/actions")


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
    save: Callable[[GridAnswers], None],
    captions: Mapping[int, str] | None = None,
) -> None:
    """Show photos; `save` is called with their answers, before the page is drawn.

    In the mode "wrong" all photos are right but for those clicked; in the mode "right" those
    clicked are right, and nothing is said of the others. Errors of `save` are for it to show.
    Answers about other photos than those of now are not saved, which a message says.
    """
    tiles = [make_tile(photo, caption=(captions or {}).get(photo.id, "")) for photo in photos]
    ids = [photo.id for photo in photos]

    def receive(action: Action) -> None:
        answers = _read_answers(action, ids, mode)
        if answers is None:
            report_error("Not saved: these photos have changed meanwhile. Look again, then save.")
        else:
            save(answers)

    _component(
        key=key,
        data={
            "base": base_path(),
            "mode": mode,
            "tag": escape_controls(tag),
            "photos": tiles,
            "done": actions.last_done(key),
        },
        on_actions_change=lambda: actions.receive(key, receive),
    )


def _read_answers(action: Action, ids: Sequence[int], mode: Mode) -> GridAnswers | None:
    """The answers that the browser reported, if they are of these photos."""
    clicked = action.values.get("clicked")
    if list(action.ids) != list(ids) or not isinstance(clicked, list):
        return None
    chosen = tuple(photo_id for photo_id in ids if photo_id in clicked)
    if mode == "right":
        return GridAnswers(chosen, ())
    return GridAnswers(tuple(photo_id for photo_id in ids if photo_id not in chosen), chosen)
