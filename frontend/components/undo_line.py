"""A line that says what was done on a page, with Undo. `page` names the page in session state."""

from __future__ import annotations

import streamlit as st

from frontend.components import teach_offer
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown
from tagger.library.operations import Operation


def record(page: str, operation_id: int | None) -> None:
    """Show an operation from now on; None, where nothing was done, changes nothing."""
    if operation_id is not None:
        st.session_state[_key(page)] = operation_id


def show(page: str, with_offer: bool = True) -> None:
    """The last operation of the page, with Undo, or Redo if it is an undo.

    `with_offer`: tags that it added are offered for photos that look alike.
    """
    operation_id = st.session_state.get(_key(page))
    if operation_id is None:
        return
    operation = open_library().operation(operation_id)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"{page}-last"
    ):
        st.markdown(f":material/check: {escape_markdown(operation.title)}", width="content")
        if operation.undoable:
            is_redo = _is_undo(operation)
            st.button(
                "Redo" if is_redo else "Undo",
                key=f"{page}-last-undo",
                icon=":material/redo:" if is_redo else ":material/undo:",
                on_click=run_action,
                args=(_undo, page, operation_id),
            )
        if with_offer and operation.kind == "edit" and operation.undone_by is None:
            teach_offer.show(operation_id)


def _is_undo(operation: Operation) -> bool:
    """Whether an operation undid something, rather than did it again."""
    steps = 0
    while operation.undoes is not None:
        operation, steps = open_library().operation(operation.undoes), steps + 1
    return steps % 2 == 1


def _undo(page: str, operation_id: int) -> None:
    record(page, open_library().undo(operation_id).operation_id)


def _key(page: str) -> str:
    return f"{page}-last-operation"
