"""Requests of the browser, one after the other: what Streamlit does not see to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

import streamlit as st
from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state.safe_session_state import SafeSessionState

_apply_request = SafeSessionState.on_script_will_rerun


def leave_fragment() -> None:
    """Draw on the page from now on, at the start of a run of the script.

    A run that follows that of a fragment in the same thread would draw where the fragment does.
    """
    context_dg_stack.set(get_default_dg_stack_value())


def finish_callbacks() -> None:
    """From now on, call all callbacks of a request to their end before the next one is answered.

    Streamlit looks for the next request before it calls them, and wherever they use
    `st.session_state`, and begins with that one. A click would be lost, or a photo changed and its
    undo forgotten. A button without a callback loses its click if the next request comes before the
    script is at the button.

    Draw the page where a request is about a fragment that is no longer there. Streamlit knows one
    by its place: if the page was drawn meanwhile with a line less above it, nothing would be drawn,
    and what the request changed not be shown.
    """
    # Streamlit has no public way.
    SafeSessionState.on_script_will_rerun = _apply_uninterrupted  # type: ignore


def _apply_uninterrupted(state: SafeSessionState, *args: Any, **options: Any) -> None:
    with _ignore_requests(state):
        _apply_request(state, *args, **options)
    context = get_script_run_ctx()
    if context is not None and not all(
        map(context.fragment_storage.contains, context.fragment_ids_this_run or ())
    ):
        draw_page()


def draw_page() -> NoReturn:
    """Draw the whole page anew, from a fragment, a dialog or a callback of theirs.

    A request that waits comes first: `st.rerun` alone would turn a link that was clicked meanwhile
    back to this page.
    """
    if (context := get_script_run_ctx()) is not None:
        context.yield_check()
    st.rerun()


def is_fragment_run() -> bool:
    """Whether a fragment or a dialog is drawn, and not the page around it."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


@contextmanager
def finish_first() -> Iterator[None]:
    """Finish what is done inside, outside of a callback, before the next request is answered.

    Draw nothing inside: Streamlit looks for requests there too.
    """
    context = get_script_run_ctx()
    with nullcontext() if context is None else _ignore_requests(context.session_state):
        yield


@contextmanager
def _ignore_requests(state: SafeSessionState) -> Iterator[None]:
    look_for_requests = state._yield_callback  # Streamlit has no public way
    object.__setattr__(state, "_yield_callback", lambda: None)
    try:
        yield
    finally:
        object.__setattr__(state, "_yield_callback", look_for_requests)
