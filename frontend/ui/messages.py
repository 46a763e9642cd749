"""Error messages and notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

import streamlit as st

from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import draw_page, finish_first, is_fragment_run
from tagger import TaggerError
from tagger.errors import describe_error
from tagger.text import escape_controls

NOTICES_KEY = "notices"  # session state: messages, each with whether a page was drawn with it
ERRORS_KEY = "errors-of-actions"  # session state: until a page was drawn with them
CLICKS_KEY = "kept-clicks"  # session state: keys of buttons, each with whether the page used it


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


def run_action(action: Callable[..., object], *args: object, whole_page: bool = True) -> None:
    """Callback for buttons: call `action`, which draws nothing. The page shows its error.

    The page is drawn also where the button is in a fragment or a dialog; without `whole_page` only
    for an error.
    """
    if (_call(action, *args) or whole_page) and is_fragment_run():
        draw_page()


def keep_click(key: str) -> None:
    """Callback for the button `key`, whose action draws, or needs what was typed just before.

    The page acts on it with `act_on_click`, or shows something as long as it `is_clicked`. A page
    that was drawn to its end without either forgets it.
    """
    st.session_state.setdefault(CLICKS_KEY, {})[key] = False


def is_clicked(key: str) -> bool:
    """Whether a click on the button `key` was kept; it is as long as the page asks for it."""
    clicks = st.session_state.get(CLICKS_KEY, {})
    if key in clicks:
        clicks[key] = True
    return key in clicks


def act_on_click(key: str, action: Callable[..., object], *args: object) -> None:
    """Call `action` if a click on the button `key` was kept; then draw the page, with its error.

    If another request ends the action, the next page calls it again, if it has such a `key`: name
    in it what the action is about.
    """
    if is_clicked(key):
        try:
            _call(action, *args)
        except Exception:
            forget_click(key)
            raise
        forget_click(key)
        draw_page()


def forget_click(key: str) -> None:
    """Keep a click no longer."""
    with finish_first():
        st.session_state.get(CLICKS_KEY, {}).pop(key, None)


def forget_clicks() -> None:
    """Keep no click any longer."""
    st.session_state.pop(CLICKS_KEY, None)


def forget_unused_clicks() -> None:
    """Keep no click any longer that the page, which was drawn to its end, did not use."""
    clicks = st.session_state.get(CLICKS_KEY, {})
    st.session_state[CLICKS_KEY] = {key: False for key, is_used in clicks.items() if is_used}


def _call(action: Callable[..., object], *args: object) -> bool:
    """Call an action; whether it raised an error, which the next page shows.

    Messages about what was before it go.
    """
    forget_notices()
    try:
        action(*args)
    except (TaggerError, OSError) as error:
        report_error(describe_error(error))
        return True
    return False


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


def show_status(message: str, icon: str = "check") -> None:
    """Show what was done, given as plain text; screen readers say it. `icon` is Streamlit's."""
    st.html(
        f'<p class="it-status" role="status"><span aria-hidden="true">{icon}</span>'
        f'<span dir="auto">{escape(escape_controls(message))}</span></p>',
        width="content",
    )


def notify(message: str) -> None:
    """Show a message on the next page drawn, whichever it is, above its title.

    `message` is plain text. It stays until the next one, an action, a job or another page.
    """
    forget_notices()
    st.session_state.setdefault(NOTICES_KEY, {})[message] = False


def show_notices() -> None:
    """Show the messages given to `notify`."""
    notices = st.session_state.get(NOTICES_KEY, {})
    for message in notices:
        show_status(message)  # the next request may end the script here
        notices[message] = True


def forget_notices() -> None:
    """Show no message any more that was shown on a page."""
    notices = st.session_state.get(NOTICES_KEY, {})
    st.session_state[NOTICES_KEY] = {text: False for text, drawn in notices.items() if not drawn}
