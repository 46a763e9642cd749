"""What the address of a page says of what it shows: a page can be bookmarked, and gone back to.

The address alone decides: whatever a person chooses is said there, and read from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

DIGITS = 9  # of a number: no library holds a thousand million photos
NUMBER = "page"  # of a list shown in pages, from 1
_MADE = "address-pagination"  # how many were made


def said(name: str) -> str | None:
    """What the address says under a name."""
    found: str | None = st.query_params.get(name)
    return found


def number(name: str) -> int | None:
    """A whole number of the address; 0 where there is something else."""
    text = said(name)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else 0


def say(**changed: str | int | None) -> None:
    """Change the address, leaving out what is None: one step for the browser's back button."""
    now = st.query_params.to_dict()
    new = {**now, **{name: str(value) for name, value in changed.items() if value is not None}}
    new = {name: value for name, value in new.items() if changed.get(name, "") is not None}
    if new != now:
        st.query_params.from_dict(new)


def choose(title: str, name: str, options: Mapping[str, str], width: int) -> str:
    """One of several things by its words, the first unless the address says another."""
    first = next(iter(options))
    asked = said(name)
    chosen = first if asked is None or asked not in options else asked
    st.session_state[_key(name)] = chosen  # also where its words have changed
    st.selectbox(
        title,
        list(options),
        format_func=lambda option: options.get(option, option),
        key=_key(name),
        on_change=_choose,
        args=(name, first),
        width=width,
    )
    return chosen


def choose_form(title: str, name: str, options: list[str]) -> str:
    """As `choose`, for a few things side by side."""
    asked = said(name)
    chosen = options[0] if asked is None or asked not in options else asked
    st.session_state[_key(name)] = chosen
    st.segmented_control(
        title, options, required=True, key=_key(name), on_change=_choose, args=(name, options[0])
    )
    return chosen


def choose_page(pages: int) -> int:
    """Which page of a list, from 1."""
    chosen = min(max(number(NUMBER) or 1, 1), pages)
    if pages == 1:
        return 1
    made = st.session_state.setdefault(_MADE, 0)
    if st.session_state.get(f"{_MADE}-{made}", chosen) != chosen:
        made = st.session_state[_MADE] = made + 1  # the old one would stay on its page
    key = f"{_MADE}-{made}"
    st.pagination(pages, default=chosen, key=key, on_change=_turn, args=(key,))
    return chosen


def write(title: str, name: str, placeholder: str) -> str:
    """A line of text."""
    asked = said(name) or ""
    if st.session_state.get(_key(name)) != asked:  # or half a word just typed would be lost
        st.session_state[_key(name)] = asked
    text: str = st.text_input(
        title,
        key=_key(name),
        type="search",
        placeholder=placeholder,
        on_change=_choose,
        args=(name, ""),
    )
    return text


def link(**said: str) -> Callable[[], None]:
    """For a button: say this from the first page on."""
    return lambda: say(**said, **{NUMBER: None})


def _choose(name: str, first: str) -> None:
    chosen = st.session_state[_key(name)]
    say(**{name: None if chosen == first else chosen, NUMBER: None})


def _turn(key: str) -> None:
    chosen = st.session_state[key]
    say(**{NUMBER: None if chosen == 1 else chosen})


def _key(name: str) -> str:
    return f"address-{name}"
