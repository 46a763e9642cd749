"""The trash: deleted photos, of which those that are ticked come back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components import undo_line
from frontend.photos.large_photo import show_thumbnail
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, notify, run_action
from frontend.ui.pages import EVERY, TRASH
from frontend.ui.text import escape_markdown
from tagger.library.records import Photo
from tagger.text import count_noun

PAGE_SIZE = 24  # photos
THUMBNAIL_WIDTH = 150  # pixels: two in a row on a phone


def show(page: str) -> None:
    """The trash, or of the address `?trash=NUMBER` what that operation removed.

    `page` names the page in session state.
    """
    st.button(
        "History",
        key=f"{TRASH}-back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=url_state.on_click(**{TRASH: ""}),
    )
    st.title("Trash", anchor=False)
    st.markdown(
        "Photos that were removed from the library, with their tags. Your own files are never"
        " deleted."
    )
    undo_line.show(page)
    library = open_library()
    operation_id = url_state.get_number(TRASH) or None
    ids = library.trash.find_ids(operation_id)
    total = library.trash.count()
    if operation_id is not None:
        _show_whose(operation_id, len(ids), total)
    if ids:
        _show_photos(page, ids)
    elif not total:
        st.markdown("The trash is empty.")
    if total:
        _offer_emptying(total)


def _show_whose(operation_id: int, count: int, total: int) -> None:
    """The operation that removed these photos, and a button for the whole trash."""
    with catch_errors():
        title = escape_markdown(open_library().operation(operation_id).title)
        none = "" if count else ". None of its photos is in the trash any more."
        st.markdown(f"**{title}**{none}")
    if total > count:
        st.button(
            f"Show all {count_noun(total, 'photo')} in the trash",
            key=f"{TRASH}-all",
            type="tertiary",
            on_click=url_state.on_click(**{TRASH: EVERY}),
        )


def _show_photos(page: str, ids: Sequence[int]) -> None:
    """A page of the photos, those deleted last first."""
    actions = st.container(horizontal=True, gap="small", key=f"{TRASH}-actions")
    grid = st.container(horizontal=True, gap="small", key=f"{TRASH}-photos")
    first = (url_state.pagination(-(-len(ids) // PAGE_SIZE)) - 1) * PAGE_SIZE
    with grid:
        photos = open_library().trash.load(ids[first : first + PAGE_SIZE])
        ticked = [photo.id for photo in photos if _show_photo(photo)]
    with actions:
        _offer_restoring(page, "Restore selected" if not ticked else _restore(ticked), ticked)
        if len(ids) > len(ticked):
            _offer_restoring(page, f"Restore all {len(ids):,}", ids, is_all=True)


def _restore(ids: Sequence[int]) -> str:
    return f"Restore {count_noun(len(ids), 'photo')}"


def _offer_restoring(page: str, label: str, ids: Sequence[int], is_all: bool = False) -> None:
    st.button(
        label,
        key=f"{TRASH}-restore-{'all' if is_all else 'selected'}",
        icon=None if is_all else ":material/restore_from_trash:",
        type="secondary" if is_all else "primary",
        disabled=not ids,
        on_click=run_action,
        args=(_carry_out, page, tuple(ids)),
    )


def _carry_out(page: str, ids: Sequence[int]) -> None:
    undo_line.record(page, open_library().trash.restore(ids))


def _show_photo(photo: Photo) -> bool:
    """A photo; whether it is ticked."""
    with st.container(width=THUMBNAIL_WIDTH, gap="xxsmall"):
        show_thumbnail(photo)
        return st.checkbox(escape_markdown(photo.name), key=f"{TRASH}-photo-{photo.id}")


def _offer_emptying(count: int) -> None:
    with st.popover("Empty trash …", key=f"{TRASH}-emptying", icon=":material/delete_forever:"):
        st.markdown(
            f"Deletes the tags of {'this photo' if count == 1 else f'all {count:,} photos'} in the"
            " trash, and the library’s copies. This can’t be undone."
        )
        st.button(
            "Empty trash", key=f"{TRASH}-empty", type="primary", on_click=run_action, args=(_empty,)
        )


def _empty() -> None:
    if count := open_library().trash.empty():  # else it was clicked twice
        notify(f"Trash emptied: {count_noun(count, 'photo')}.")
