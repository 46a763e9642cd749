"""What was done last on a page, with its undo: a line, or what a gallery says.

`page` names the page in session state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from frontend.components import teach_offer
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown
from tagger.errors import OptionError
from tagger.text import count_noun

COUNT_KEY = "edits-counted"  # session state: how many edits there were


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

    @property
    def undo_label(self) -> str:
        """What the button says; nothing where nothing is left to undo, or to redo."""
        if not any(open_library().operation(id).undoable for id in self.operation_ids):
            return ""
        return "Redo" if self.is_undo else "Undo"


def record(page: str, *operation_ids: int | None, message: str = "", undone: str = "") -> None:
    """Show operations from now on, with a `message` instead of the first one's title.

    None stands for an operation that changed nothing; without a message that is passed over.
    """
    ids = tuple(id for id in operation_ids if id is not None)
    if ids or message:
        _set(page, LastEdit(message or open_library().operation(ids[0]).title, ids, undone=undone))


def record_error(page: str, message: str) -> None:
    """Show an error in the place of the last edit, which can still be undone."""
    edit = last_edit(page) or LastEdit("", ())
    ids, is_undo = edit.operation_ids, edit.is_undo
    _set(page, LastEdit(message, ids, is_undo, is_error=True, undone=edit.undone))


def last_edit(page: str) -> LastEdit | None:
    """The last edit on a page, if there is one."""
    edit: LastEdit | None = st.session_state.get(_key(page))
    return edit


def forget(page: str) -> None:
    """Show no edit any more."""
    st.session_state.pop(_key(page), None)


def undo(page: str) -> None:
    """Undo the last edit's operations in reverse order, or redo them. Raises OptionError."""
    edit = last_edit(page)
    if edit is None or not edit.operation_ids:
        raise OptionError("there is nothing to undo")
    results = [open_library().undo(id) for id in reversed(edit.operation_ids)]
    left_alone = max((result.left_alone for result in results), default=0)
    message = edit.undone or f"Undone: {edit.message}"
    if left_alone:
        message += f"; {count_noun(left_alone, 'photo')} changed since and left alone"
    ids = tuple(result.operation_id for result in results)
    _set(page, LastEdit(message, ids, is_undo=not edit.is_undo, undone=edit.message))


def show(page: str, with_offer: bool = True) -> None:
    """The last edit of the page, with Undo, or Redo if it is an undo.

    `with_offer`: tags that it added are offered for photos that look alike.
    """
    edit = last_edit(page)
    if edit is None:
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"{page}-last"
    ):
        icon = "error" if edit.is_error else "check"
        st.markdown(f":material/{icon}: {escape_markdown(edit.message)}", width="content")
        if label := edit.undo_label:
            st.button(
                label,
                key=f"{page}-last-undo",
                icon=f":material/{label.lower()}:",
                on_click=run_action,
                args=(undo, page),
            )
        if with_offer:
            for offer in find_offers(edit):
                teach_offer.show(offer)


def find_offers(edit: LastEdit) -> list[teach_offer.Offer]:
    """Tags that an edit added, each with how many more photos look like them."""
    if edit.is_undo or edit.is_error or len(edit.operation_ids) != 1:
        return []
    operation = open_library().operation(edit.operation_ids[0])
    if operation.kind != "edit" or operation.undone_by is not None:
        return []
    return teach_offer.find(operation.id)


def _set(page: str, edit: LastEdit) -> None:
    number = st.session_state[COUNT_KEY] = st.session_state.get(COUNT_KEY, 0) + 1
    st.session_state[_key(page)] = replace(edit, number=number)


def _key(page: str) -> str:
    return f"{page}-last-edit"
