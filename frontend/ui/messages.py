"""Error messages and notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import finish_first
from tagger import TaggerError
from tagger.errors import describe_error

NOTICES_KEY = "notices"  # session state
ERRORS_KEY = "errors-of-actions"  # session state: until a page was drawn with them


def show_error(message: str) -> None:
    """Show an error message, given as plain text."""
    st.error(escape_markdown(message), icon=":material/error:")


@contextmanager
def catch_errors() -> Iterator[None]:
    """Show an error raised inside as a message; the page continues after the block."""
    try:
        yield
    except (TaggerError, OSError) as error:
        show_error(describe_error(error))


def run_action(action: Callable[..., object], *args: object) -> None:
    """Callback for buttons: call `action` to its end. The page that is drawn next shows its error.

    Anything drawn in a callback is lost if the next request comes first.
    """
    with finish_first():
        try:
            action(*args)
        except (TaggerError, OSError) as error:
            report_error(describe_error(error))
    context = get_script_run_ctx()
    if context is not None and context.fragment_ids_this_run:  # no page is drawn
        show_errors()
        forget_errors()


def report_error(message: str) -> None:
    """Show an error message, given as plain text, on the next page drawn."""
    st.session_state.setdefault(ERRORS_KEY, []).append(message)


def show_errors() -> None:
    """Show the messages given to `report_error`."""
    for message in st.session_state.get(ERRORS_KEY, []):
        show_error(message)


def forget_errors() -> None:
    """Show them no more: a page was drawn with them."""
    st.session_state.pop(ERRORS_KEY, None)


def notify(message: str) -> None:
    """Show a toast on the next page drawn, whichever it is; `message` is plain text."""
    st.session_state.setdefault(NOTICES_KEY, []).append(message)


def show_notices() -> None:
    """Show the messages given to `notify` since the last page."""
    for message in st.session_state.get(NOTICES_KEY, []):
        st.toast(escape_markdown(message))  # the next request may end the script here
    st.session_state.pop(NOTICES_KEY, None)
