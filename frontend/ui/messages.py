"""Error messages and notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import finish_first
from tagger import TaggerError
from tagger.errors import describe_error

NOTICES_KEY = "notices"


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
    """Callback for buttons: call `action` to its end, or show its error."""
    with catch_errors(), finish_first():
        action(*args)


def notify(message: str) -> None:
    """Show a toast on the next page drawn, whichever it is; `message` is plain text."""
    st.session_state.setdefault(NOTICES_KEY, []).append(message)


def show_notices() -> None:
    """Show the messages given to `notify` since the last page."""
    for message in st.session_state.pop(NOTICES_KEY, []):
        st.toast(escape_markdown(message))
