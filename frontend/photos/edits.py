"""Edits of photos and tags. The page shows a message for the last one, with an Undo.

`page` names the page in session state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import streamlit as st

from frontend.components import job_panel, retag_dialog
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown
from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library.database.schema import CHUNK
from tagger.library.records import Photo
from tagger.text import count_noun

COUNT_KEY = "edits-counted"  # session state: how many edits there were
MAX_NAMED = 3  # tags in a message


@dataclass(frozen=True)
class LastEdit:
    """The last edit on a page and its operations; `is_undo` if it was an undo itself.

    `undone` is the message once it is undone. `number` counts the edits of the session.
    """

    message: str
    operation_ids: tuple[int, ...]
    is_undo: bool = False
    is_error: bool = False
    undone: str = ""
    number: int = 0


def change_tags(
    page: str, ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> None:
    """Annotate photos: the tags to `add` are right, those to `remove` wrong. Raises OptionError."""
    library = open_library()
    had = {tag.label for tag in library.photo(ids[0]).tags} if len(ids) == 1 else set()
    if remove and not add and len(ids) > 1:
        ids = ids_with_tags(ids, remove)
    operation_id = library.edit_tags(ids, add, remove)
    photos = "" if len(ids) == 1 else f" {count_noun(len(ids), 'photo')}"
    parts = []
    if add:
        verb = "Confirmed" if had.issuperset(add) else "Added"
        parts.append(f"{verb} {list_tags(add)}{photos and f' to{photos}'}")
    if remove:
        verb = "Removed" if photos or had.issuperset(remove) else "Not"
        parts.append(f"{verb} {list_tags(remove)}{photos and f' from{photos}'}")
    record(page, ", ".join(parts), operation_id)


def list_tags(labels: Sequence[str]) -> str:
    """The first tags of a list: "dog, cat and 2 more"."""
    rest = len(labels) - MAX_NAMED
    return ", ".join(labels[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def load_photos(ids: Sequence[int]) -> Iterator[Photo]:
    """Photos by id, in chunks."""
    for chunk in chunks(ids, CHUNK):
        yield from open_library().load_matches("", chunk).photos


def ids_with_tags(ids: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The ids of photos that have at least one of the tags."""
    return [p.id for p in load_photos(ids) if any(tag.label in labels for tag in p.tags)]


def confirm_tags(page: str, ids: Sequence[int]) -> None:
    """Annotate all tags of the photos as right."""
    ids_by_label: dict[str, list[int]] = defaultdict(list)
    for photo in load_photos(ids):
        for tag in photo.tags:
            if not tag.by_person:
                ids_by_label[tag.label].append(photo.id)
    library = open_library()
    operation_ids = [library.edit_tags(ids, add=[label]) for label, ids in ids_by_label.items()]
    confirmed = {photo_id for ids in ids_by_label.values() for photo_id in ids}
    if operation_ids:
        count = count_noun(len(confirmed), "photo")
        record(page, f"Confirmed {list_tags(list(ids_by_label))} on {count}", *operation_ids)
    else:
        record(page, "No tags to confirm")


def withdraw_annotation(page: str, ids: Sequence[int], label: str) -> None:
    """Remove the annotation of one tag."""
    operation_id = open_library().withdraw_annotations(ids, [label])
    record(page, f"Cleared your answer about {label}", operation_id)


def delete_photos(page: str, ids: Sequence[int]) -> None:
    """Delete photos from the library, not from the disk."""
    operation_id = open_library().delete(ids)
    photos = count_noun(len(ids), "photo")
    message = f"Deleted {photos} from the library"
    record(page, message, operation_id, undone=f"Restored {photos}")


def retag_photos(page: str, ids: Sequence[int], model: str) -> None:
    """Ask whether to tag photos again with a model, showing what would change."""
    st.session_state.pop(_edit_key(page), None)
    retag_dialog.ask(page, ids, [model], _job_key(page))


def show_retag_job(page: str) -> None:
    """The question whether to tag photos again, and the panel of the job started last."""
    retag_dialog.show_question(page)
    if (job_id := st.session_state.get(_job_key(page))) is not None:
        job_panel.show_job(job_id, key=f"{page}-work")


def last_edit(page: str) -> LastEdit | None:
    """The last edit on a page, if it was not dismissed."""
    edit: LastEdit | None = st.session_state.get(_edit_key(page))
    return edit


def can_undo(edit: LastEdit) -> bool:
    """Whether something of an edit is left to undo, or of an undo to redo."""
    return any(open_library().operation(id).undoable for id in edit.operation_ids)


def show_last_edit(page: str) -> None:
    """The message of the last edit on a page without a gallery, with Undo and Dismiss."""
    edit = last_edit(page)
    if edit is None:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"{page}-done-line"
    ):
        st.markdown(f":material/check: {escape_markdown(edit.message)}", width="content")
        if can_undo(edit):
            st.button(
                "Redo" if edit.is_undo else "Undo",
                key=f"{page}-undo",
                icon=":material/redo:" if edit.is_undo else ":material/undo:",
                on_click=run_action,
                args=(undo_last, page),
            )
        st.button(
            "Dismiss", key=f"{page}-dismiss", type="tertiary", on_click=_dismiss, args=(page,)
        )


def undo_last(page: str) -> None:
    """Undo the last edit's operations in reverse order, or redo them. Raises OptionError."""
    edit = last_edit(page)
    if edit is None or not edit.operation_ids:
        raise OptionError("there is nothing to undo")
    results = [open_library().undo(id) for id in reversed(edit.operation_ids)]
    left_alone = max((result.left_alone for result in results), default=0)
    message = edit.undone or f"Undone: {edit.message}"
    if left_alone:
        message += f"; {count_noun(left_alone, 'photo')} changed since and left alone"
    operation_ids = (result.operation_id for result in results)
    record(page, message, *operation_ids, is_undo=not edit.is_undo, undone=edit.message)


def record_error(page: str, message: str) -> None:
    """Show an error in the place of the last edit, which can still be undone."""
    edit = last_edit(page) or LastEdit("", ())
    ids, is_undo = edit.operation_ids, edit.is_undo
    record(page, message, *ids, is_undo=is_undo, is_error=True, undone=edit.undone)


def record(
    page: str,
    message: str,
    *operation_ids: int,
    is_undo: bool = False,
    is_error: bool = False,
    undone: str = "",
) -> None:
    st.session_state.pop(_job_key(page), None)
    number = st.session_state[COUNT_KEY] = st.session_state.get(COUNT_KEY, 0) + 1
    edit = LastEdit(message, operation_ids, is_undo, is_error, undone, number)
    st.session_state[_edit_key(page)] = edit


def _dismiss(page: str) -> None:
    st.session_state.pop(_edit_key(page), None)


def _edit_key(page: str) -> str:
    return f"{page}-done"


def _job_key(page: str) -> str:
    return f"{page}-work"
