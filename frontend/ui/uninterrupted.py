"""Work that the browser's next request must not cut short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.runtime.scriptrunner import get_script_run_ctx


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
