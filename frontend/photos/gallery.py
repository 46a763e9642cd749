"""The gallery on a page: all photos of a query, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from frontend.components import photo_gallery, undo_line
from frontend.components.actions import Action
from frontend.components.photo_gallery import Editing, GalleryMessage
from frontend.photos import edits
from frontend.ui.library import open_library
from frontend.ui.models import list_models, model_title
from frontend.ui.photo_lists import VersionedList, photo_lists
from tagger.errors import OptionError, TaggerError, describe_error
from tagger.library.records import Photo, Sort

MAX_TAGS = 100  # of one action
_FULL_WIDTH = """[data-testid="stMainBlockContainer"] { max-width: none; }
@media (min-width: 641px) {
  [data-testid="stMainBlockContainer"] { padding-inline: clamp(1.5rem, 3vw, 3rem); }
}"""
KEY = "gallery"  # after the page's name: the component's key


def load_list(query: str, sort: Sort) -> VersionedList:
    """The photos of a query, as the gallery shows them. Raises QueryError."""
    return photo_lists.load(open_library(), query, sort)


def show_gallery(
    page: str,
    query: str,
    sort: Sort,
    *,
    empty: str,
    labels: bool = False,
    tiles: bool = True,
    opened: int | None = None,
) -> None:
    """Show all photos that a query finds. `page` names the page in session state.

    `empty` is shown where there are none; with `labels` each shows the tag that the query found.
    Without `tiles` there is only the lightbox, which shows the photo `opened`. Raises QueryError.
    """
    photo_gallery.show_gallery(
        load_list(query, sort),
        query,
        sort,
        key=f"{page}-{KEY}",
        editing=_edit_on(page),
        labels=labels,
        empty=empty,
        tiles=tiles,
        opened=opened,
    )


def show_photos(
    page: str,
    photos: Sequence[Photo],
    *,
    key: str,
    captions: Mapping[int, str] | None = None,
    matching: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """Show a few photos, which open over the page and can be edited there; see `show_grid`."""
    editing = _edit_on(page)
    photo_gallery.show_grid(photos, key=key, captions=captions, matching=matching, editing=editing)


def _edit_on(page: str) -> Editing:
    models = [(model, model_title(model)) for model in list_models()]
    active = open_library().active_model()
    undo, redo = (
        "" if operation is None else undo_line.find_changed(operation).title
        for operation in (undo_line.next_undo(), undo_line.next_redo())
    )
    return Editing(
        partial(carry_out, page), partial(_last_message, page), models, active, undo, redo
    )


def carry_out(page: str, action: Action) -> None:
    """Do what a person asked for, or record why not."""
    try:
        edit = _ACTIONS.get(action.kind)
        if edit is None:
            raise OptionError(f"{action.kind[:20]}: no such action")
        edit(page, action)
    except (TaggerError, OSError) as error:
        undo_line.record_error(page, describe_error(error))


def _change_tags(page: str, action: Action) -> None:
    add, remove = (_read_tags(action.values.get(name)) for name in ("add", "remove"))
    edits.change_tags(page, action.ids, add=add, remove=remove)


def _withdraw(page: str, action: Action) -> None:
    labels = _read_tags([action.values.get("label")])
    if not labels:
        raise OptionError("no tag to clear your answer about")
    edits.withdraw_annotation(page, action.ids, labels[0])


def _retag(page: str, action: Action) -> None:
    model = str(action.values.get("model"))
    if model not in list_models():
        raise OptionError(f"{Path(model).name[:100]}: no such model")
    edits.retag_photos(page, action.ids, model)


def _read_tags(labels: object) -> list[str]:
    if not isinstance(labels, list):
        return []
    return [label for label in labels[:MAX_TAGS] if isinstance(label, str)]


def _rate(page: str, action: Action) -> None:
    rating = action.values.get("rating")
    if type(rating) is not int:
        raise OptionError("a rating is a number")
    edits.rate_photos(page, action.ids, rating)


def _set_caption(page: str, action: Action) -> None:
    text = action.values.get("caption")
    if not isinstance(text, str) or len(action.ids) != 1:
        raise OptionError("a caption is a text about one photo")
    edits.set_caption(page, action.ids[0], text)


def _undo(page: str, action: Action) -> None:
    operation_id = action.values.get("operation")
    if operation_id is None:
        undo_line.undo_last(page)
    elif type(operation_id) is int:
        undo_line.undo(page, operation_id, is_undo=action.values.get("redo") is not True)
    else:
        raise OptionError("an operation is named by its number")


def _last_message(page: str) -> GalleryMessage | None:
    edit = undo_line.last_edit(page)
    if edit is None:
        return None
    offers = undo_line.find_offers(edit)
    return GalleryMessage(
        edit.number,
        edit.message,
        edit.operation_id,
        edit.undo_label,
        edit.is_error,
        edit.is_question,
        offers,
    )


_ACTIONS: dict[str, Callable[[str, Action], None]] = {
    "tag": _change_tags,
    "withdraw": _withdraw,
    "confirm": lambda page, action: edits.confirm_tags(page, action.ids),
    "rate": _rate,
    "favourite": lambda page, action: edits.toggle_favourites(page, action.ids),
    "caption": _set_caption,
    "delete": lambda page, action: edits.delete_photos(page, action.ids),
    "retag": _retag,
    "undo": _undo,
    "redo": lambda page, action: undo_line.redo_last(page),
}


def keep_full_width() -> None:
    """Let the page use the whole window."""
    st.html(f"<style>{_FULL_WIDTH}</style>")
