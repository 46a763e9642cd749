"""Page state in the URL's query parameters, so that pages can be bookmarked and gone back to.

The URL alone holds the state: widgets write to it and read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

MAX_DIGITS = 9  # of a number: a library holds fewer than a thousand million photos
PAGE = "page"  # of a paged list, from 1
OF_PHOTO = ("photo", "at")  # parameters that the gallery sets in the browser alone
_PATH = "address-path"  # session state: the page, if its address had parameters
_VERSION = "address-pagination"  # session state: counts the pagination widgets


def get(name: str) -> str | None:
    """A query parameter."""
    value: str | None = st.query_params.get(name)
    return value


def get_number(name: str) -> int | None:
    """A query parameter as a whole number; 0 if it is not one."""
    text = get(name)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0


def update(**params: str | int | None) -> None:
    """Set query parameters, and remove those that are None or empty.

    It is one entry in the browser's history.
    """
    old = st.query_params.to_dict()
    kept = {name: value for name, value in old.items() if name not in params}
    new = {
        **kept,
        **{name: str(value) for name, value in params.items() if value not in (None, "")},
    }
    if new != old:
        st.query_params.from_dict(new)


def follow_link(path: str) -> None:
    """Let the address lose its parameters where a link led to the page itself without them.

    Streamlit runs the page without them, but leaves them in the address, and so in the next run.
    """
    names = set(st.query_params) - set(OF_PHOTO)
    if not st.query_params and st.session_state.get(_PATH) == path:
        st.query_params.clear()
    st.session_state[_PATH] = path if names else None


def on_click(**params: str) -> Callable[[], None]:
    """A button callback that sets query parameters and returns to the first page.

    Those that are empty are removed.
    """
    return lambda: update(**{name: value or None for name, value in params.items()}, **{PAGE: None})


def selectbox(
    title: str, name: str, options: Mapping[str, str], width: int, compact: bool = False
) -> str:
    """A select box of values and their labels; the first value is the default.

    With `compact`, only screen readers get its `title`.
    """
    selected, default = _select(name, options)
    st.selectbox(
        title,
        list(options),
        format_func=lambda option: options.get(option, option),
        key=_key(name),
        on_change=_store,
        args=(name, default),
        width=width,
        label_visibility="collapsed" if compact else "visible",
    )
    return selected


def segmented_control(
    title: str,
    name: str,
    options: list[str],
    compact: bool = False,
    titles: Mapping[str, str] = {},
) -> str:
    """A segmented control; the first option is the default. `compact` as in `selectbox`.

    `titles` are shown in place of options.
    """
    selected, default = _select(name, options)
    st.segmented_control(
        title,
        options,
        format_func=lambda option: titles.get(option, option),
        required=True,
        key=_key(name),
        on_change=_store,
        args=(name, default),
        label_visibility="collapsed" if compact else "visible",
    )
    return selected


def text_input(title: str, name: str, placeholder: str) -> str:
    """A search field."""
    value = get(name) or ""
    if st.session_state.get(_key(name)) != value:  # otherwise half-typed text would be lost
        st.session_state[_key(name)] = value
    text: str = st.text_input(
        title,
        key=_key(name),
        type="search",
        placeholder=placeholder,
        on_change=_store,
        args=(name, ""),
    )
    return text


def pagination(pages: int) -> int:
    """A pagination of a list, if it has several pages; the selected page, from 1."""
    selected = min(max(get_number(PAGE) or 1, 1), pages)
    if pages == 1:
        return 1
    version = st.session_state.setdefault(_VERSION, 0)
    if st.session_state.get(f"{_VERSION}-{version}", selected) != selected:
        version = st.session_state[_VERSION] = version + 1  # the old widget would keep its page
    key = f"{_VERSION}-{version}"
    st.pagination(pages, default=selected, key=key, on_change=_store_page, args=(key,))
    return selected


def _select(name: str, options: Iterable[str]) -> tuple[str, str]:
    """The option in the URL, put into the widget's state, and the default.

    What is no option, or the default, leaves the URL.
    """
    default, *rest = options
    value = get(name)
    selected = value if value in rest else default
    if value is not None and (value != selected or value == default):
        update(**{name: None})
    st.session_state[_key(name)] = selected
    return selected, default


def _store(name: str, default: str) -> None:
    value = st.session_state[_key(name)]
    update(**{name: None if value == default else value, PAGE: None})


def _store_page(key: str) -> None:
    page = st.session_state[key]
    update(**{PAGE: None if page == 1 else page})


def _key(name: str) -> str:
    return f"address-{name}"
