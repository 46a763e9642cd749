"""What was done last, with its undo: a line on a page, or what a gallery says.

`page` names the page on which it was done; other pages do not show it. What can be undone and
redone is the library's matter: the same on all pages, and after they are loaded anew. What was not
done on the page in this session (a browser's tab) is undone or redone only after a question, which
stands in the place of the last edit and names it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from frontend.components import teach_offer
from frontend.ui.library import open_library
from frontend.ui.messages import forget_clicks, forget_notices, run_action, show_status
from tagger.errors import NothingLeftError, OptionError
from tagger.library.operations import Operation
from tagger.library.photos import MAX_ID
from tagger.text import count_noun

EDIT_KEY = "last-edit"  # session state
PAGE_KEY = "page-of-edits"  # session state: the address of the page that was drawn last
OWN_KEY = "own-operations"  # session state: the page on which each operation was done, by id
SPENT_KEY = "spent-operations"  # session state: see `note_nothing_left`


@dataclass(frozen=True)
class LastEdit:
    """The last edit and its operation, if it changed anything; `is_undo` if it undid another.

    Or a question whether to undo that operation, or to redo it. `number` counts the edits of the
    session.
    """

    page: str
    message: str
    operation_id: int | None
    is_undo: bool = False
    is_error: bool = False
    is_question: bool = False
    number: int = 1

    @property
    def undo_label(self) -> str:
        """What the button says; nothing where nothing is left to undo, or to redo."""
        if self.operation_id is None or not open_library().operation(self.operation_id).undoable:
            return ""
        return "Redo" if self.is_undo else "Undo"


def record(page: str, operation_id: int | None, message: str = "") -> None:
    """Show an operation from now on, with a `message` instead of its title.

    None stands for one that changed nothing; without a message that is passed over.
    """
    _note_own(page, operation_id)
    if operation_id is not None or message:
        text = message or open_library().operation(operation_id or 0).title
        _set(LastEdit(page, text, operation_id))


def record_error(page: str, message: str) -> None:
    """Show an error in the place of the last edit, which can still be undone."""
    edit = last_edit(page)
    if edit is None or edit.is_question:
        edit = LastEdit(page, "", None)
    _set(replace(edit, message=message, is_error=True))


def last_edit(page: str) -> LastEdit | None:
    """The last edit, if it was on this page."""
    edit: LastEdit | None = st.session_state.get(EDIT_KEY)
    return edit if edit is not None and edit.page == page else None


def forget() -> None:
    """Show no edit any more, nor what was said besides."""
    st.session_state.pop(EDIT_KEY, None)
    forget_notices()


def forget_on_other_page(url_path: str) -> None:
    """Where the page is not the one that was drawn last, forget that one's edit and its clicks."""
    if st.session_state.get(PAGE_KEY, url_path) != url_path:
        forget()
        forget_clicks()
    st.session_state[PAGE_KEY] = url_path


def next_undo(before: int = MAX_ID) -> Operation | None:
    """The latest edit before an operation of which something is left, as far as is known."""
    operation = open_library().last_edit(before)
    while operation is not None and has_nothing_left(operation.id):
        operation = open_library().last_edit(before=operation.id)
    return operation


def next_redo() -> Operation | None:
    """The undo that a redo would take back: the last one, unless something was edited since."""
    operation = open_library().last_undo()
    return None if operation is None or has_nothing_left(operation.id) else operation


def find_changed(operation: Operation) -> Operation:
    """The change that an undo or a redo is about; that of a change is itself."""
    while operation.undoes is not None:
        operation = open_library().operation(operation.undoes)
    return operation


def undo_last(page: str) -> None:
    """Undo the latest edit of which something is left, or ask whether to. Raises OptionError.

    It is asked if the edit was not made on this page in this session.
    """
    operation = next_undo()
    while operation is not None:
        if not _is_own(page, operation.id):
            _ask(page, operation, is_undo=False)
            return
        try:
            undo(page, operation.id)
            return
        except NothingLeftError:
            operation = next_undo(before=operation.id)
    raise OptionError("there is nothing to undo")


def redo_last(page: str) -> None:
    """Redo what was undone last, unless something was edited since, or ask. Raises OptionError.

    It is asked if it was not undone on this page in this session.
    """
    operation = next_redo()
    if operation is None:
        raise OptionError("there is nothing to redo")
    if _is_own(page, operation.id):
        undo(page, operation.id, is_undo=False)
    else:
        _ask(page, operation, is_undo=True)


def undo(page: str, operation_id: int, is_undo: bool = True) -> None:
    """Undo an operation, or redo it if it was an undo. Raises OptionError."""
    library = open_library()
    try:
        result = library.undo(operation_id)
    except NothingLeftError as error:
        note_nothing_left(operation_id)
        title = find_changed(library.operation(operation_id)).title
        verb = "undo" if is_undo else "redo"
        raise NothingLeftError(
            f"“{title}”: nothing is left to {verb}, all of it was changed since"
        ) from error
    operation = library.operation(result.operation_id)
    _note_own(page, operation.id)
    changed = find_changed(operation)  # its latest undo may be an earlier one
    _note_own(page, changed.undone_by if is_undo else changed.id)
    message = operation.title
    if result.left_alone:
        message += f"; {count_noun(result.left_alone, 'photo')} changed since and left alone"
    _set(LastEdit(page, message, result.operation_id, is_undo))


def note_nothing_left(operation_id: int) -> None:
    """Remember that nothing is left to undo of an operation, until the library changes."""
    spent: dict[int, str] = st.session_state.get(SPENT_KEY, {})
    st.session_state[SPENT_KEY] = {**spent, operation_id: open_library().version()}


def has_nothing_left(operation_id: int) -> bool:
    """Whether it turned out that nothing is left to undo of an operation."""
    spent: dict[int, str] = st.session_state.get(SPENT_KEY, {})
    return operation_id in spent and spent[operation_id] == open_library().version()


def _note_own(page: str, operation_id: int | None) -> None:
    if operation_id is not None:
        own: dict[int, str] = st.session_state.get(OWN_KEY, {})
        st.session_state[OWN_KEY] = {**own, operation_id: page}


def _is_own(page: str, operation_id: int) -> bool:
    own: dict[int, str] = st.session_state.get(OWN_KEY, {})
    return own.get(operation_id) == page


def _ask(page: str, operation: Operation, is_undo: bool) -> None:
    """Ask whether to undo an operation, or if it is an undo, to redo what it undid."""
    title = find_changed(operation).title
    question = f"{'Redo' if is_undo else 'Undo'} “{title}”?"
    _set(LastEdit(page, question, operation.id, is_undo, is_question=True))


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
        icon = "error" if edit.is_error else "help" if edit.is_question else "check"
        show_status(edit.message, icon)
        if label := edit.undo_label:
            st.button(
                label,
                key=f"{page}-last-undo",
                icon=f":material/{label.lower()}:",
                on_click=run_action,
                args=(undo, page, edit.operation_id, not edit.is_undo),
            )
        if with_offer:
            for offer in find_offers(edit):
                teach_offer.show(offer)


def find_offers(edit: LastEdit) -> list[teach_offer.Offer]:
    """Tags that an edit added, each with how many more photos look like them."""
    is_done = not (edit.is_undo or edit.is_error or edit.is_question)
    if not is_done or edit.operation_id is None:
        return []
    operation = open_library().operation(edit.operation_id)
    if operation.kind != "edit" or operation.undone_by is not None:
        return []
    return teach_offer.find(operation.id)


def _set(edit: LastEdit) -> None:
    before: LastEdit | None = st.session_state.get(EDIT_KEY)
    forget_notices()
    st.session_state[EDIT_KEY] = replace(edit, number=before.number + 1 if before else 1)
