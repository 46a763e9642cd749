"""Edits of photos and tags. The page shows a message for the last one, with an Undo.

`page` names the page in session state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import job_panel, retag_dialog
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown, join_names
from tagger.library.records import Photo
from tagger.text import count_noun


@dataclass(frozen=True)
class LastEdit:
    """The last edit on a page and its operations; `is_undo` if it was an undo itself."""

    message: str
    operation_ids: tuple[int, ...]
    is_undo: bool = False


def change_tags(
    page: str, ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> None:
    """Annotate photos: the tags to `add` are right, those to `remove` wrong. Raises OptionError."""
    operation_id = open_library().edit_tags(ids, add, remove)
    photos = count_noun(len(ids), "photo")
    parts = [f"Added {join_names(add)} to {photos}."] if add else []
    parts += [f"Removed {join_names(remove)} from {photos}."] if remove else []
    _record(page, " ".join(parts), operation_id)


def confirm_tags(page: str, photos: Iterable[Photo]) -> None:
    """Annotate all tags of the photos as right."""
    ids_by_label: dict[str, list[int]] = defaultdict(list)
    for photo in photos:
        for tag in photo.tags:
            if not tag.by_person:
                ids_by_label[tag.label].append(photo.id)
    library = open_library()
    operation_ids = [library.edit_tags(ids, add=[label]) for label, ids in ids_by_label.items()]
    confirmed = {photo_id for ids in ids_by_label.values() for photo_id in ids}
    if operation_ids:
        count = count_noun(len(confirmed), "photo")
        message = f"Confirmed {join_names(list(ids_by_label))} on {count}."
        _record(page, message, *operation_ids)
    else:
        _record(page, "There was no tag to confirm.")


def withdraw_annotation(page: str, photo: Photo, label: str) -> None:
    """Remove the annotation of one tag."""
    operation_id = open_library().withdraw_annotations([photo.id], [label])
    _record(page, f"Took back what was said of {label}.", operation_id)


def delete_photos(page: str, ids: Sequence[int]) -> None:
    """Delete photos from the library, not from the disk."""
    operation_id = open_library().delete(ids)
    photos = count_noun(len(ids), "photo")
    message = f"Deleted {photos} from the library. Undo brings back what was deleted."
    _record(page, message, operation_id)


def retag_photos(page: str, ids: Sequence[int], model: str) -> None:
    """Ask whether to tag photos again with a model, showing what would change."""
    st.session_state.pop(_edit_key(page), None)
    retag_dialog.ask(page, ids, [model], _job_key(page))


def show_retag_job(page: str) -> None:
    """The question whether to tag photos again, and the panel of the job started last."""
    retag_dialog.show_question(page)
    if (job_id := st.session_state.get(_job_key(page))) is not None:
        job_panel.show_job(job_id, key=f"{page}-work")


def show_last_edit(page: str) -> None:
    """The message of the last edit on this page, with Undo and Dismiss."""
    edit: LastEdit | None = st.session_state.get(_edit_key(page))
    if edit is None:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"{page}-done-line"
    ):
        st.markdown(f":material/check: {escape_markdown(edit.message)}", width="content")
        if any(open_library().operation(id).undoable for id in edit.operation_ids):
            st.button(
                "Redo" if edit.is_undo else "Undo",
                key=f"{page}-undo",
                icon=":material/redo:" if edit.is_undo else ":material/undo:",
                on_click=run_action,
                args=(_undo, page, edit),
            )
        st.button(
            "Dismiss", key=f"{page}-dismiss", type="tertiary", on_click=_dismiss, args=(page,)
        )


def _undo(page: str, edit: LastEdit) -> None:
    """Undo an edit's operations in reverse order."""
    results = [open_library().undo(id) for id in reversed(edit.operation_ids)]
    left_alone = max((result.left_alone for result in results), default=0)
    message = edit.message.removeprefix("Undone: ") if edit.is_undo else f"Undone: {edit.message}"
    if left_alone:
        message += f" {count_noun(left_alone, 'photo')} changed since and left alone."
    operation_ids = (result.operation_id for result in results)
    _record(page, message, *operation_ids, is_undo=not edit.is_undo)


def _record(page: str, message: str, *operation_ids: int, is_undo: bool = False) -> None:
    st.session_state.pop(_job_key(page), None)
    st.session_state[_edit_key(page)] = LastEdit(message, operation_ids, is_undo)


def _dismiss(page: str) -> None:
    st.session_state.pop(_edit_key(page), None)


def _edit_key(page: str) -> str:
    return f"{page}-done"


def _job_key(page: str) -> str:
    return f"{page}-work"
