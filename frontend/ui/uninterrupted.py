"""Requests of the browser, one after the other: what Streamlit does not see to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.scriptrunner import get_script_run_ctx


def leave_fragment() -> None:
    """Draw on the page from now on, at the start of a run of the script.

    A run that follows that of a fragment in the same thread would draw where the fragment does.
    """
    context_dg_stack.set(get_default_dg_stack_value())


@contextmanager
def finish_first() -> Iterator[None]:
    """Finish what is done inside before the next request is answered.

    Streamlit ends a run of the script for the next request wherever `st.session_state` is used, in
    callbacks too: a photo would be changed, and its undo forgotten.
    """
    context = get_script_run_ctx()
    if context is None:
        yield
        return
    state = context.session_state
    look_for_requests = state._yield_callback  # Streamlit has no public way
    object.__setattr__(state, "_yield_callback", lambda: None)
    try:
        yield
    finally:
        object.__setattr__(state, "_yield_callback", look_for_requests)
